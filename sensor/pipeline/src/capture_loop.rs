//! The capture loop: batches from a source into a core until the source ends or somebody stops it.

use std::sync::atomic::{AtomicBool, Ordering};

use nightjar_capture::{PacketSource, Received, SourceError, Stopped};

use crate::capture_core::{CaptureCore, CoreOutput};
use crate::learned::Learned;
use crate::unnamed::Unnamed;

/// What the loop does after a source's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterError {
    /// Goes on: behind the fault there may be another file.
    GoOn,
    /// Ends, with what had arrived: a live source that fails is gone.
    Stop,
}

/// Runs until the source ends, or `stop` is set and what the source had by then is read. `each_batch`
/// is told after every batch, for progress and metrics. Returns the source's errors in order.
pub fn capture_loop<S: PacketSource, O: CoreOutput>(
    source: &mut S,
    core: &mut CaptureCore<O>,
    stop: &AtomicBool,
    after_error: AfterError,
    mut each_batch: impl FnMut(&mut S, &mut CaptureCore<O>),
) -> Vec<SourceError> {
    let mut errors = Vec::new();
    let lateness = source.lateness_limit();
    let (mut failed, mut draining) = (false, false);
    let mut unnamed = Unnamed::default();
    core.know_interfaces(source.interfaces());
    loop {
        if !draining && (failed || stop.load(Ordering::Relaxed)) {
            match source.stop() {
                Ok(Stopped::Draining) => draining = true,
                Ok(Stopped::AtOnce) => break,
                Err(error) => {
                    errors.push(error);
                    break;
                }
            }
        }
        let known = core.known_interfaces();
        let received = source.receive_runs(&mut |frames| {
            core.handle_frames(unnamed.take_from(frames, known));
        });
        if !unnamed.is_empty() {
            core.know_interfaces(source.interfaces());
            unnamed.give(|frame| core.handle_frame(frame));
        }
        match received {
            Ok(Received::Frames(_)) => core.end_batch(lateness),
            Ok(Received::Idle(now)) => {
                core.handle_time(now);
                core.end_batch(lateness);
            }
            Ok(Received::End) => break,
            Err(error) => {
                errors.push(error);
                core.end_batch(lateness);
                if draining {
                    break;
                }
                failed = after_error == AfterError::Stop;
            }
        }
        if let Some(loss) = source.take_ring_loss() {
            core.handle_ring_loss(&loss);
        }
        core.take_learned(|learned| match learned {
            Learned::Wanted(endpoint) => source.learn(endpoint),
            Learned::Unwanted(endpoint) => source.shed(endpoint),
            Learned::Forgotten(endpoint) => source.forget(endpoint),
        });
        each_batch(source, core);
    }
    if let Some(loss) = source.take_ring_loss() {
        core.handle_ring_loss(&loss);
    }
    core.handle_unknown_link(source.statistics().unknown_link);
    errors
}
