//! A call in progress as the spool keeps it: everything that is needed to go on with it behind two
//! places of its lane, so that the journal before them is needed no more.
//!
//! ```text
//! lane:   … packets … [checkpoint] … packets … [watermark] … packets …
//!                          │ told: the capture core's       │ read: the worker has saved the call
//!                          ▼ state, as of here              ▼ here; packets behind are read again
//! ```

use nightjar_flow::Stream;
use nightjar_media::CallAudio;
use nightjar_wire::{CallKey, Nanos};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::admission::Shed;
use crate::closing::Unstored;
use crate::outage::InterruptedStreams;
use crate::recording::SavedRecorder;

/// The first byte of what is saved: its format.
const IN_PROGRESS: u8 = 4;
/// A call that is over, whose recording the disk has refused.
const ENDED: u8 = 2;

/// A record's place in a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The block.
    pub(crate) block: u64,
    /// Which record of it.
    pub(crate) record: u32,
}

/// A lane of a run of the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LaneKey {
    /// The run, as the journal numbers it.
    pub run: u32,
    /// The capture core.
    pub core: u16,
    /// The media worker.
    pub worker: u16,
}

/// What is saved of a call up to where in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    /// The call's lane.
    pub(crate) lane: LaneKey,
    /// The checkpoint holds what the capture core knew here.
    pub(crate) told: Place,
    /// The worker has read so far.
    pub(crate) read: Place,
}

impl Marks {
    /// Whether the capture core's part of a record is in the checkpoint.
    pub(crate) fn has_told(&self, run: u32, place: Place) -> bool {
        (run, place) <= (self.lane.run, self.told)
    }

    /// Whether the worker had read a record when the call was saved.
    pub(crate) fn has_read(&self, run: u32, place: Place) -> bool {
        (run, place) <= (self.lane.run, self.read)
    }
}

/// What the capture core knows of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// `signal::Directory`'s own form.
    pub state: Vec<u8>,
    /// Its streams with their figures.
    pub streams: Vec<Stream>,
    /// What outages have cost them.
    pub interrupted: InterruptedStreams,
    /// Whether the call is not kept, or not any more.
    pub shed: Option<Shed>,
}

/// A call in progress, `A` and `C` owned or borrowed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedCall<A = CallAudio, C = Checkpoint> {
    pub(crate) key: CallKey,
    pub(crate) marks: Marks,
    pub(crate) checkpoint: C,
    pub(crate) audio: A,
    pub(crate) recorder: SavedRecorder,
    /// Frames are closed up to here before the next packet is read.
    pub(crate) until: Nanos,
    pub(crate) ends_at: Option<Nanos>,
    pub(crate) copies: Vec<u32>,
    pub(crate) rtcp: u64,
    /// Packets that the worker has read, RTCP too.
    pub(crate) packets: u64,
}

/// What the spool holds of a call.
pub(crate) enum Saved {
    /// It goes on.
    InProgress(Box<SavedCall>),
    /// Its recording is to be stored.
    Ended(Box<Unstored>),
}

impl SavedCall<&CallAudio, &Checkpoint> {
    /// As the spool keeps it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(IN_PROGRESS, self)
    }
}

impl Saved {
    /// The inverse; `None` for another version's bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Saved> {
        match bytes.split_first()? {
            (&IN_PROGRESS, rest) => postcard::from_bytes(rest).ok().map(Saved::InProgress),
            (&ENDED, rest) => postcard::from_bytes(rest).ok().map(Saved::Ended),
            _ => None,
        }
    }

    /// An ended call as the spool keeps it.
    pub(crate) fn ended(unstored: &Unstored) -> Vec<u8> {
        to_bytes(ENDED, unstored)
    }
}

fn to_bytes(format: u8, value: &impl Serialize) -> Vec<u8> {
    match postcard::to_extend(value, vec![format]) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("a call serialises into memory: {error}"),
    }
}

/// Where an earlier run was with a call, for whoever reads the journal again.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) key: CallKey,
    pub(crate) id: Uuid,
    pub(crate) marks: Marks,
    pub(crate) until: Nanos,
    pub(crate) packets: u64,
    pub(crate) checkpoint: Checkpoint,
}
