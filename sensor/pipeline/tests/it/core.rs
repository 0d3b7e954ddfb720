//! A capture core for tests, and how it is fed.

use nightjar_capture::RawFrame;
use nightjar_flow::Limits;
use nightjar_load::Frame;
use nightjar_pipeline::{CaptureCore, CoreConfig, CoreOutput, Depth, Snapshots};
use nightjar_signal::SignalConfig;
use nightjar_wire::{LinkType, Nanos, Realm};

/// Settings as in a replay.
pub fn config(depth: Depth) -> CoreConfig {
    CoreConfig {
        depth,
        snapshots: Snapshots::Never,
        checkpoint_every: Nanos::MAX,
        signal: SignalConfig::default(),
        limits: Limits::default(),
        realm: Realm(0),
    }
}

/// Hands frames over in batches of so many.
pub fn feed<O: CoreOutput>(core: &mut CaptureCore<O>, frames: &[Frame], batch: usize) {
    for frames in frames.chunks(batch) {
        match frames {
            // Without a list: allocations are counted.
            [frame] => core.handle_frame(&view(frame)),
            _ => core.handle_frames(&frames.iter().map(view).collect::<Vec<_>>()),
        }
        core.end_batch(Nanos::ZERO);
    }
}

fn view(frame: &Frame) -> RawFrame<'_> {
    let (link, bytes) = (LinkType::Ethernet, frame.bytes.as_slice());
    RawFrame { at: frame.at, link, interface: 0, bytes, original_len: frame.original_len }
}
