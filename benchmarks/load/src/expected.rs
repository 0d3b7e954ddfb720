//! What a sensor should find in a capture: the ledger, the calls and their streams, counted by
//! the generator as it sends, and written beside the capture as `….expected.json`.

use nightjar_schema::{CallState, Protocol, Timestamp};
use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::g711::Codec;
use crate::ledger::Ledger;
use crate::party::Side;

/// The truth about a capture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expected {
    /// The scenario's name.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// Every frame by class.
    pub ledger: Ledger,
    /// The calls in the order of their beginning. In a very long run only the last ones.
    pub calls: Vec<CallExpected>,
    /// Calls that are not listed, because there were too many.
    pub calls_not_listed: u64,
}

/// The truth about one call. Moments are `null` when the tap cannot see them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallExpected {
    /// Its index in the scenario.
    pub index: u32,
    /// `sip`, or `none` when no signalling is visible.
    pub protocol: Protocol,
    /// Its Call-ID, when signalling is visible.
    pub call_id: Option<String>,
    /// The state that its row should end with.
    pub state: CallState,
    /// The final status of the INVITE; `null` when none is visible.
    pub status: Option<u16>,
    /// The caller's number.
    pub from_number: Option<String>,
    /// The caller's display name.
    pub from_name: Option<String>,
    /// The number in `To`.
    pub to_number: Option<String>,
    /// Its display name.
    pub to_name: Option<String>,
    /// The number of the first INVITE's request URI.
    pub dialled_number: Option<String>,
    /// The number of the last INVITE's request URI, which a redirection changes.
    pub reached_number: Option<String>,
    /// Its first visible frame.
    pub started_at: Timestamp,
    /// The first 2xx to the INVITE.
    pub answered_at: Option<Timestamp>,
    /// The BYE or the final answer.
    pub ended_at: Option<Timestamp>,
    /// From answer to BYE in ms, when both are visible.
    pub talk_ms: Option<u64>,
    /// Whether its beginning is missing: its INVITE was before the first visible frame; where its media
    /// is visible from earlier on, whether that was there within the capture's first two seconds.
    pub begun_before_capture: bool,
    /// Who sent the BYE.
    pub ended_by: Option<Side>,
    /// Holds, from re-INVITE to re-INVITE.
    pub holds: Vec<HoldExpected>,
    /// The dialogs of forks and hunted targets, in the order of their first answer; empty where there
    /// is only the usual one.
    #[serde(default)]
    pub dialogs: Vec<DialogExpected>,
    /// SIP messages that the tap sees (each once, however many fragments, copies apart).
    pub sip_messages: u64,
    /// Its streams in the order of their first packet; one per SSRC and 5-tuple.
    pub streams: Vec<StreamExpected>,
}

impl CallExpected {
    /// The streams of a side that are meant to be heard: no video, no losing fork, no third party.
    pub fn heard(&self, side: Side) -> impl Iterator<Item = &StreamExpected> {
        self.streams.iter().filter(move |stream| {
            stream.speaker == side.into() && stream.kind == StreamKind::Audio && stream.packets > 0
        })
    }

    /// The tone of a side's first stream in Hz.
    pub fn tone_hz(&self, side: Side) -> Option<u32> {
        self.heard(side).next().and_then(|stream| stream.tones_hz.first().copied())
    }
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldExpected {
    /// Who held.
    pub by: Side,
    /// The re-INVITE that held.
    pub from_at: Timestamp,
    /// The re-INVITE that resumed.
    pub to_at: Option<Timestamp>,
}

/// A dialog of a call that has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogExpected {
    /// The answering side's tag.
    pub to_tag: String,
    /// The final answer that came from it; `None` when a fork lost without one.
    pub status: Option<u16>,
    /// When it ended: its refusal, its BYE, or the call's end.
    pub ended_at: Option<Timestamp>,
}

/// Who speaks on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The caller.
    Caller,
    /// The callee that answers (or would have).
    Callee,
    /// A fork that does not answer.
    LosingFork,
    /// A third host: music on hold.
    Third,
}

impl From<Side> for Speaker {
    fn from(side: Side) -> Speaker {
        match side {
            Side::Caller => Speaker::Caller,
            Side::Callee => Speaker::Callee,
        }
    }
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// The truth about one stream: one SSRC on one 5-tuple.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StreamExpected {
    /// Who speaks.
    pub speaker: Speaker,
    /// Audio or video.
    pub kind: StreamKind,
    /// `0x` and eight hex digits.
    pub ssrc: String,
    /// Sender, address:port.
    pub src: String,
    /// Receiver, address:port.
    pub dst: String,
    /// Codecs in the order of their use; empty for video.
    pub codecs: Vec<Codec>,
    /// Packet times in ms in the order of their use.
    pub ptimes_ms: Vec<u16>,
    /// Tones in Hz in the order of their use.
    pub tones_hz: Vec<u32>,
    /// Digits sent as telephone-events.
    pub digits: String,
    /// RTP packets on the wire, duplicates included, mirror copies not.
    pub packets: u64,
    /// Sequence numbers between the first and the last that never came.
    pub lost: u64,
    /// Sequence numbers between its first and its last that were given to packets on other sockets while
    /// it was away: not lost, although whoever looks at this stream alone takes them for it.
    #[serde(default)]
    pub elsewhere: u64,
    /// Packets that repeat a sequence number.
    pub duplicates: u64,
    /// Packets whose sequence number is below one that came before, duplicates not included.
    pub reordered: u64,
    /// RTCP datagrams of its sender.
    pub rtcp: u64,
    /// Its first packet.
    pub first_at: Option<Timestamp>,
    /// Its last packet.
    pub last_at: Option<Timestamp>,
}

/// A stamp as the capture's reader sees it.
pub(crate) fn timestamp(at: Nanos) -> Timestamp {
    Timestamp::from_nanos(at.0)
}
