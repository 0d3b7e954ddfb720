//! What a call's audio is told from outside: layout and limits, whose streams there are, and which
//! of a forked call's dialogs was answered.

use nightjar_schema::StreamUse;
use nightjar_wire::{Format, Nanos};
use serde::{Deserialize, Serialize};

/// How parties become channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelLayout {
    /// All parties on one channel.
    Mono,
    /// The caller (leg 0) left, all others right; a stream without leg and receiver left.
    Stereo,
}

impl ChannelLayout {
    /// The number of channels.
    pub const fn count(self) -> usize {
        match self {
            ChannelLayout::Mono => 1,
            ChannelLayout::Stereo => 2,
        }
    }
}

/// Layout and limits of a call's audio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioConfig {
    /// How parties become channels.
    pub channels: ChannelLayout,
    /// How long a frame waits for its packets, in capture time after the frame's end; also the
    /// bound of what is queued per stream.
    pub late_after: Nanos,
    /// Bytes of packets that are kept raw until one of a forked call's dialogs is answered. When
    /// they are used up the call goes on with every stream.
    pub max_hold: usize,
    /// The longest stretch in which nobody is heard that is stored as silence. What lies beyond it
    /// is skipped and the call is marked `clock_jump`: a stamp from another century must not fill
    /// the disk.
    pub max_silence: Nanos,
}

impl Default for AudioConfig {
    fn default() -> AudioConfig {
        AudioConfig {
            channels: ChannelLayout::Stereo,
            late_after: Nanos::from_millis(200),
            max_hold: 1 << 20,
            max_silence: Nanos::from_secs(4 * 3600),
        }
    }
}

/// Which dialogs' streams belong into the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call is ringing and may fork: packets are kept as they came.
    Undecided,
    /// This dialog was answered: its streams are mixed, and those of no dialog.
    Answered(u16),
    /// Every stream is mixed (a call without signalling, for one).
    Everything,
}

/// One SSRC on one flow, and who is heard on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// The pipeline's number for the stream.
    pub stream: u32,
    /// The dialog that explains it.
    pub dialog: Option<u16>,
    /// The leg that speaks; `None` for an unnamed source (music on hold).
    pub leg: Option<u16>,
    /// The leg that listens. An unnamed source is heard where that leg's partner would be.
    pub receiver: Option<u16>,
    /// The RTP synchronisation source.
    pub ssrc: u32,
    /// What its payload types stand for; the static ones of RFC 3551 need no entry.
    pub formats: Vec<Format>,
    /// Only `Mixed` is heard; packets of others are counted as discarded.
    pub use_: StreamUse,
    /// The stream that this one continues after an SSRC change on the same flow: its audio then
    /// follows the other's without overlap.
    pub continues: Option<u32>,
}

impl StreamSpec {
    /// A mixed stream of an unknown speaker.
    pub fn new(stream: u32, ssrc: u32) -> StreamSpec {
        StreamSpec {
            stream,
            dialog: None,
            leg: None,
            receiver: None,
            ssrc,
            formats: Vec::new(),
            use_: StreamUse::Mixed,
            continues: None,
        }
    }
}

/// What became of a packet, as far as it is known when it is handed over. The final numbers are in
/// the summary's [`StreamCounts`](crate::StreamCounts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Speech that has its place.
    Queued,
    /// Kept raw until the call is answered.
    Held,
    /// Its sequence number had come before.
    Duplicate,
    /// Its frame had closed before it came.
    Late,
    /// Nothing here decodes its format.
    Undecodable,
    /// A telephone-event (RFC 4733).
    Event,
    /// Comfort noise (RFC 3389).
    ComfortNoise,
    /// Not an RTP packet, of a stream that is not mixed, or beyond a limit.
    Discarded,
}
