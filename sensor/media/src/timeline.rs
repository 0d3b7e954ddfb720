//! The call's timeline: from the first sample on, frame after frame, without the silences that are
//! too long to be true.

use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::frame::{FRAME, FRAME_SAMPLES, SAMPLE_NANOS};

/// Where the recording stands on the grid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Timeline {
    /// The recording's first sample on the grid.
    pub(crate) origin: i64,
    /// The next frame's first sample on the grid.
    pub(crate) next: i64,
    /// The same, from the start of the recording.
    pub(crate) position: u64,
    /// End of the latest frame in which somebody was heard, on the grid.
    heard_until: i64,
    /// Samples of the grid that are not in the recording.
    pub(crate) skipped: u64,
    /// The longest silence that is recorded, in samples.
    max_silence: i64,
}

/// What to do with the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Record it.
    Record,
    /// Nobody has been heard for too long: it and those after it are left out.
    Skip,
}

impl Timeline {
    /// A timeline that begins with the sample `origin` of the grid.
    pub(crate) fn new(origin: i64, max_silence: Nanos) -> Timeline {
        let max_silence = (max_silence.0 / SAMPLE_NANOS as u64) as i64;
        Timeline { origin, next: origin, position: 0, heard_until: origin, skipped: 0, max_silence }
    }

    /// Whether the next frame, in which nobody is heard, still belongs into the recording.
    pub(crate) fn silent_step(&self) -> Step {
        if self.next - self.heard_until >= self.max_silence { Step::Skip } else { Step::Record }
    }

    /// The next frame was recorded.
    pub(crate) fn advance(&mut self, samples: usize, heard: bool) {
        self.next += samples as i64;
        self.position += samples as u64;
        if heard {
            self.heard_until = self.next;
        }
    }

    /// Leaves out whole frames, at least one, up to the one that holds `until`.
    pub(crate) fn skip_to(&mut self, until: i64) {
        let frames = ((until - self.next) / FRAME).max(1);
        self.next += frames * FRAME;
        self.skipped += frames as u64 * FRAME_SAMPLES as u64;
    }
}
