//! What a call's audio came to: times, counts, gaps, digits, marks.

use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::{AudioGap, Digit};

/// Packets of one stream, each counted once:
/// handed over = `encoded` + `duplicate` + `late` + `discarded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCounts {
    /// Used: speech in the recording, telephone-events, comfort noise.
    pub encoded: u64,
    /// Of `encoded`: telephone-events.
    pub events: u64,
    /// Of `encoded`: comfort noise.
    pub comfort_noise: u64,
    /// Repetitions of a sequence number.
    pub duplicate: u64,
    /// Came when their frame had closed.
    pub late: u64,
    /// Not used for another reason: a losing fork's, a copy's, after the end, undecodable, not RTP.
    pub discarded: u64,
    /// Of `discarded`: in a format that nothing here decodes.
    pub undecodable: u64,
    /// Of `discarded`: not a well-formed RTP packet.
    pub malformed: u64,
}

impl StreamCounts {
    /// All packets that were handed over.
    pub fn total(&self) -> u64 {
        self.encoded + self.duplicate + self.late + self.discarded
    }
}

impl std::ops::AddAssign for StreamCounts {
    fn add_assign(&mut self, other: StreamCounts) {
        self.encoded += other.encoded;
        self.events += other.events;
        self.comfort_noise += other.comfort_noise;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.discarded += other.discarded;
        self.undecodable += other.undecodable;
        self.malformed += other.malformed;
    }
}

/// One stream in the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// The pipeline's number for it.
    pub stream: u32,
    /// Who speaks on it.
    pub leg: Option<u16>,
    /// Its packets.
    pub counts: StreamCounts,
    /// Samples of it that are in the recording.
    pub heard_samples: u64,
    /// Packets of it that were lost while a ring of ours was full.
    pub lost_in_ring: u64,
}

/// Something that a reader of the recording should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mark {
    /// Only one side is heard.
    OneSided,
    /// Packets of a format that nothing here decodes were left out.
    Undecodable,
    /// The capture's stamps jumped: time was skipped or joined.
    ClockJump,
}

impl Mark {
    /// The name in `calls.jsonl`.
    pub const fn name(self) -> &'static str {
        match self {
            Mark::OneSided => "one_sided",
            Mark::Undecodable => "undecodable",
            Mark::ClockJump => "clock_jump",
        }
    }
}

/// A call's audio, so far or in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioSummary {
    /// The first sample's moment; `None` when nothing was recorded.
    pub started_at: Option<Nanos>,
    /// Length of the recording.
    pub duration: Nanos,
    /// Length in samples per channel at [`SAMPLE_RATE`](crate::SAMPLE_RATE).
    pub samples: u64,
    /// Samples per channel that were skipped because nobody was heard for too long.
    pub skipped_samples: u64,
    /// The streams, in order of their opening.
    pub streams: Vec<StreamSummary>,
    /// What is missing, in order of time.
    pub gaps: Vec<AudioGap>,
    /// Gaps that found no room in the list, and their length in ms.
    pub unlisted_gaps: (u64, u64),
    /// Keys pressed, in order of time.
    pub digits: Vec<Digit>,
    /// What to know of it.
    pub marks: Vec<Mark>,
    /// Which legs are heard on each channel.
    pub channel_legs: Vec<Vec<u16>>,
    /// The streams that are heard.
    pub heard: Vec<u32>,
}

impl AudioSummary {
    /// The packets of all streams together.
    pub fn counts(&self) -> StreamCounts {
        let mut sum = StreamCounts::default();
        for stream in &self.streams {
            sum += stream.counts;
        }
        sum
    }
}
