//! A capture core for tests, and how it is fed.

use nightjar_capture::RawFrame;
use nightjar_flow::Limits;
use nightjar_load::Frame;
use nightjar_pipeline::{CaptureCore, CoreConfig, CoreOutput, Depth, Snapshots};
use nightjar_signal::SignalConfig;
use nightjar_wire::{LinkType, Nanos, Realms, VxlanPorts};

/// Settings as in a replay.
pub fn config(depth: Depth) -> CoreConfig {
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

/// Hands frames over in batches of so many.
pub fn feed<O: CoreOutput>(core: &mut CaptureCore<O>, frames: &[Frame], batch: usize) {
    for frames in frames.chunks(batch) {
        for frame in frames {
            core.handle_frame(&RawFrame {
                at: frame.at,
                link: LinkType::Ethernet,
                interface: 0,
                bytes: &frame.bytes,
                original_len: frame.original_len,
            });
        }
        core.end_batch(Nanos::ZERO);
    }
}
