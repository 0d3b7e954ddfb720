//! What the benchmarks of this folder share: the calls whose media they send, and the core that analyses it.

pub mod calls;

use nightjar_flow::Limits;
use nightjar_pipeline::{CoreConfig, Depth, Snapshots};
use nightjar_signal::SignalConfig;
use nightjar_wire::{Nanos, Realm};
use rustix::time::{ClockId, clock_gettime};

/// Header analysis: decoded, bound to its call, counted by RFC 3550.
pub fn core_config() -> CoreConfig {
    CoreConfig {
        depth: Depth::Headers,
        snapshots: Snapshots::Never,
        checkpoint_every: Nanos::MAX,
        signal: SignalConfig::default(),
        limits: Limits::default(),
        realm: Realm(0),
    }
}

/// CPU time of this thread in seconds.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
