//! What the capture core does with its frames, and what that came to.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use nightjar_bench_veth::{calls, core_config, cpu_seconds};
use nightjar_capture::{CaptureClock, PacketSource, Received, Stopped};
use nightjar_pipeline::{AfterError, Analysed, CaptureCore, Depth, capture_loop};

use crate::CAPTURES;

/// What the capture core came to.
#[derive(Default)]
pub struct Captured {
    /// Frames that came.
    pub received: u64,
    /// CPU seconds of its thread, user and system.
    pub cpu_seconds: f64,
    /// Frames that were bound to calls, or journalled.
    pub recorded: u64,
    /// What else is to be said.
    pub remark: String,
}

/// The least that a receiver can do: it looks at each frame.
pub fn looked_at(mut source: impl PacketSource, stop: &AtomicBool) -> Captured {
    core_affinity::set_for_current(CAPTURES);
    let started = cpu_seconds();
    let (mut sum, mut draining) = (0_u64, false);
    let mut look = |frames: &[nightjar_capture::RawFrame<'_>]| {
        sum += frames.iter().map(|frame| u64::from(frame.bytes[frame.bytes.len() - 1])).sum::<u64>();
    };
    loop {
        if !draining && stop.load(Ordering::Relaxed) {
            draining = matches!(source.stop(), Ok(Stopped::Draining));
        }
        if matches!(source.receive_runs(&mut look), Ok(Received::End) | Err(_)) {
            break;
        }
    }
    let cpu_seconds = cpu_seconds() - started;
    black_box(sum);
    Captured { received: source.statistics().received, cpu_seconds, ..Captured::default() }
}

/// Header analysis.
pub fn analysed(
    mut source: impl PacketSource,
    clock: CaptureClock,
    calls: u32,
    stop: &AtomicBool,
) -> Captured {
    core_affinity::set_for_current(CAPTURES);
    let mut core = CaptureCore::new(core_config(Depth::Headers), Analysed::new(|_| {}));
    calls::set_up(&mut core, clock.now(), calls);
    let started = cpu_seconds();
    capture_loop(&mut source, &mut core, stop, AfterError::Stop, |_, _| {});
    let cpu_seconds = cpu_seconds() - started;
    let (received, recorded) = (source.statistics().received, core.ledger().recorded);
    Captured { received, cpu_seconds, recorded, remark: String::new() }
}
