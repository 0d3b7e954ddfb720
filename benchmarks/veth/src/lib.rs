//! What the benchmarks of this folder share: the calls whose media they send, and the core that analyses it.

pub mod calls;

use nightjar_flow::Limits;
use nightjar_pipeline::{CoreConfig, Depth, Snapshots};
use nightjar_signal::SignalConfig;
use nightjar_wire::{Nanos, Realms, VxlanPorts};
use rustix::time::{ClockId, clock_gettime};

/// Decoded, bound to its call, counted by RFC 3550; kept, too, at [`Depth::Payload`].
pub fn core_config(depth: Depth) -> CoreConfig {
    CoreConfig {
        depth,
        snapshots: Snapshots::Never,
        checkpoint_every: Nanos::MAX,
        signal: SignalConfig::default(),
        limits: Limits::default(),
        realms: Realms::default(),
        vxlan: VxlanPorts::USUAL,
    }
}

/// CPU time of this thread in seconds.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU time so far of the kernel's softirq threads, in seconds: what was put off to them. 0 when that cannot be
/// read.
pub fn softirq_seconds() -> f64 {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0.0 };
    let of = |path: std::path::PathBuf| {
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        let counts = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let nanos = counts.split(' ').next()?.parse::<f64>().ok()?;
        name.starts_with("ksoftirqd/").then_some(nanos / 1e9)
    };
    processes.flatten().filter_map(|process| of(process.path())).sum()
}
