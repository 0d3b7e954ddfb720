//! A call that a media worker mixes, and the state that it goes on with after a crash.

use std::sync::Arc;

use nightjar_media::{AudioFrame, AudioSummary, CallAudio, FRAME_SAMPLES, FrameSink};
use nightjar_wire::{CallKey, Nanos};

use crate::recording::{Recorder, RecordingTarget};
use crate::saved::{Checkpoint, LaneKey, Marks, Place, SavedCall};

/// A call that the worker mixes.
pub(crate) struct CallInProgress {
    pub(crate) audio: CallAudio,
    pub(crate) recorder: Recorder,
    /// The end of the recording, once signalling has said so.
    pub(crate) ends_at: Option<Nanos>,
    /// Streams that repeat others, for the counts.
    pub(crate) copies: Vec<u32>,
    /// RTCP datagrams.
    pub(crate) rtcp: u64,
    /// The journal block from which on its records are needed; `None` while an earlier run's is read
    /// again.
    pub(crate) first_block: Option<u64>,
    /// An earlier run's journal is needed too.
    pub(crate) earlier: Option<Arc<()>>,
    /// Packets that were read, RTCP too.
    pub(crate) packets: u64,
    /// What the capture core has said of it since it was last saved, and where.
    pub(crate) checkpoint: Option<(Place, Box<Checkpoint>)>,
    /// A state that is not saved yet: what it has read may not be durable.
    pub(crate) unsaved: Option<Unsaved>,
}

/// A call's state on its way to the disk.
pub(crate) struct Unsaved {
    /// The block up to which the journal must be durable first.
    pub(crate) read: u64,
    /// The block from which on records are needed once the state is durable.
    pub(crate) keep_from: u64,
    pub(crate) appended: u64,
    pub(crate) through: Nanos,
    pub(crate) state: Vec<u8>,
}

impl CallInProgress {
    /// Gives the recorder what no packet can change any more.
    pub(crate) fn advance<T: RecordingTarget>(
        &mut self,
        until: Nanos,
        target: &mut T,
        time: &mut EncodeTime,
    ) {
        self.audio.advance(until, &mut Encoding { recorder: &mut self.recorder, target, time });
    }

    /// The same, but not beyond the next cut; true when it is there.
    pub(crate) fn advance_to_cut<T: RecordingTarget>(
        &mut self,
        until: Nanos,
        target: &mut T,
        time: &mut EncodeTime,
    ) -> bool {
        let cut = self.recorder.next_cut(self.audio.position());
        self.audio.advance_to(until, cut, &mut Encoding { recorder: &mut self.recorder, target, time })
    }

    /// Gives the recorder the rest.
    pub(crate) fn finish<T: RecordingTarget>(
        &mut self,
        end: Nanos,
        target: &mut T,
        time: &mut EncodeTime,
    ) -> AudioSummary {
        self.audio.finish(end, &mut Encoding { recorder: &mut self.recorder, target, time })
    }

    /// There is something new to save it with, and nothing that waits to be saved.
    pub(crate) fn wants_to_be_saved(&self) -> bool {
        self.checkpoint.is_some() && self.unsaved.is_none()
    }

    /// Makes the state that it goes on with, should there be a crash, from the record at `place` on.
    pub(crate) fn save<T: RecordingTarget>(
        &mut self,
        key: CallKey,
        (lane, read): (LaneKey, Place),
        until: Nanos,
        target: &mut T,
    ) {
        let Some(recorder) = self.recorder.save(target) else { return };
        let Some((told, checkpoint)) = self.checkpoint.take() else { return };
        let appended = recorder.appended();
        let saved = SavedCall {
            key,
            marks: Marks { lane, told, read },
            checkpoint: &*checkpoint,
            audio: &self.audio,
            recorder,
            until,
            ends_at: self.ends_at,
            copies: self.copies.clone(),
            rtcp: self.rtcp,
            packets: self.packets,
        };
        let (through, state) = (self.audio.given_until(), saved.to_bytes());
        self.unsaved = Some(Unsaved { read: read.block, keep_from: told.block, appended, through, state });
    }
}

/// CPU time spent encoding, for the figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodeTime {
    /// CPU seconds of this thread.
    pub(crate) clock: fn() -> f64,
    /// Those spent encoding, by an estimate.
    pub(crate) seconds: f64,
}

/// Encodes frames as they close, and estimates how long that takes.
struct Encoding<'a, T> {
    recorder: &'a mut Recorder,
    target: &'a mut T,
    time: &'a mut EncodeTime,
}

/// Every so many frames one is timed and stands for all: the clock costs as much as a WAV frame.
const TIMED: u64 = 16;

impl<T: RecordingTarget> FrameSink for Encoding<'_, T> {
    fn frame(&mut self, frame: &AudioFrame) {
        if !(frame.position / FRAME_SAMPLES as u64).is_multiple_of(TIMED) {
            return self.recorder.frame(frame, self.target);
        }
        let started = (self.time.clock)();
        self.recorder.frame(frame, self.target);
        self.time.seconds += ((self.time.clock)() - started) * TIMED as f64;
    }
}
