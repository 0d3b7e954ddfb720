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

/// Frames of a run at most, as a live source gives them.
const RUN: usize = 32;

/// Hands frames over in batches of so many.
pub fn feed<O: CoreOutput>(core: &mut CaptureCore<O>, frames: &[Frame], batch: usize) {
    for frames in frames.chunks(batch) {
        for frames in frames.chunks(RUN) {
            // On the stack: who counts allocations counts the core's.
            let mut run = [view(&frames[0]); RUN];
            for (place, frame) in run.iter_mut().zip(frames) {
                *place = view(frame);
            }
            core.handle_frames(&run[..frames.len()]);
        }
        core.end_batch(Nanos::ZERO);
    }
}

fn view(frame: &Frame) -> RawFrame<'_> {
    let (link, bytes) = (LinkType::Ethernet, frame.bytes.as_slice());
    RawFrame { at: frame.at, link, interface: 0, bytes, original_len: frame.original_len }
}
