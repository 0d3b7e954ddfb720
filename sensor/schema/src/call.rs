//! One call, as a line of `calls.jsonl` holds it. What is unknown is `null`, never 0 or "".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    CallEventKind, CallState, DecisionAction, Direction, EndCause, GapCause, LegRole, Protocol,
    RecordingKind, RecordingState, SourceKind, StreamUse, Timestamp,
};

/// The schema's number.
pub const SCHEMA: u32 = 1;

/// A URI with what it says of the party.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// The address of record as it came, without display name and header parameters.
    pub uri: Option<String>,
    /// The user part or telephone number, visual separators removed.
    pub number: Option<String>,
    /// The display name.
    pub name: Option<String>,
}

/// What the caller dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dialled {
    /// The first request URI.
    pub uri: Option<String>,
    /// Its number.
    pub number: Option<String>,
}

/// A redirection before the call reached its party (RFC 5806, RFC 7044).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Diversion {
    /// Who diverted.
    pub uri: Option<String>,
    /// Their number.
    pub number: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Where the call was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The kind of source.
    pub kind: SourceKind,
    /// The sensor's name.
    pub sensor: String,
    /// Interfaces that carried packets of it; empty for a file.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// The realm.
    pub realm: u16,
}

/// How and by whom the call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// What ended it.
    pub cause: EndCause,
    /// The leg that did, when one did.
    #[serde(default)]
    pub leg: Option<u16>,
    /// A `Reason` header (RFC 3326) or the status phrase.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What the rules decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What is to be kept.
    pub action: DecisionAction,
    /// The rule's name.
    #[serde(default)]
    pub rule: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A name that another system knows the call by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    /// Which system or header: `session_id`, `cisco_guid`, …
    pub kind: String,
    /// The value as it came.
    pub value: String,
}

/// One party on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The party's address of record.
    #[serde(default)]
    pub uri: Option<String>,
    /// Its number.
    #[serde(default)]
    pub number: Option<String>,
    /// Its display name.
    #[serde(default)]
    pub name: Option<String>,
    /// P-Asserted-Identity (RFC 3325).
    #[serde(default)]
    pub asserted_uri: Option<String>,
    /// The device's own name.
    #[serde(default)]
    pub device: Option<String>,
    /// The address that its signalling came from.
    #[serde(default)]
    pub address: Option<String>,
    /// Its MAC.
    #[serde(default)]
    pub mac: Option<String>,
    /// Its line.
    #[serde(default)]
    pub line: Option<String>,
    /// Its part in the call.
    pub role: LegRole,
    /// When it joined: first media path or answer.
    #[serde(default)]
    pub joined_at: Option<Timestamp>,
    /// When it left.
    #[serde(default)]
    pub left_at: Option<Timestamp>,
}

/// One SIP dialog, or its equal in another protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Its Call-ID.
    #[serde(default)]
    pub call_id: Option<String>,
    /// The caller's tag.
    #[serde(default)]
    pub from_tag: Option<String>,
    /// The called party's tag.
    #[serde(default)]
    pub to_tag: Option<String>,
    /// `communication`, `recording` or `monitor`.
    pub purpose: String,
    /// The two legs that it joins, caller first.
    pub legs: Vec<u16>,
    /// The first request's sender, address:port.
    #[serde(default)]
    pub src: Option<String>,
    /// Its receiver.
    #[serde(default)]
    pub dst: Option<String>,
    /// `udp`, `tcp`, `tls`, …
    #[serde(default)]
    pub transport: Option<String>,
    /// First message.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// First 2xx to the INVITE.
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
    /// BYE or final answer.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The last final status code.
    #[serde(default)]
    pub status: Option<u16>,
}

/// A format that a stream used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFormat {
    /// Its first packet.
    pub at: Timestamp,
    /// RTP payload type.
    pub payload_type: u8,
    /// Encoding name.
    #[serde(default)]
    pub codec: Option<String>,
    /// RTP clock rate in Hz.
    #[serde(default)]
    pub clock_rate: Option<u32>,
    /// Audio channels.
    #[serde(default)]
    pub channels: Option<u8>,
    /// Packet time in ms.
    #[serde(default)]
    pub ptime_ms: Option<u16>,
    /// Format parameters.
    #[serde(default)]
    pub fmtp: Option<String>,
    /// Packets in this format.
    pub packets: u64,
    /// `sdp`, `static` or `guessed`.
    pub basis: String,
}

/// Who speaks on a stream that several parties share, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// The leg.
    pub leg: u16,
    /// From.
    pub from_at: Timestamp,
    /// To.
    #[serde(default)]
    pub to_at: Option<Timestamp>,
}

/// One SSRC on one flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// The leg that speaks; `null` when unknown.
    #[serde(default)]
    pub leg: Option<u16>,
    /// The dialog that explains it.
    #[serde(default)]
    pub dialog: Option<u16>,
    /// `audio`, `video`, `image`, `text`, `message`.
    pub kind: String,
    /// SDP label (RFC 4574).
    #[serde(default)]
    pub label: Option<String>,
    /// `0x` and eight hex digits.
    pub ssrc: String,
    /// Sender, address:port.
    pub src: String,
    /// Receiver, address:port.
    pub dst: String,
    /// The commonest format's payload type.
    #[serde(default)]
    pub payload_type: Option<u8>,
    /// The commonest format's encoding name.
    #[serde(default)]
    pub codec: Option<String>,
    /// The commonest format's clock rate in Hz.
    #[serde(default)]
    pub clock_rate: Option<u32>,
    /// Packets, RTP duplicates counted, mirror copies not.
    pub packets: u64,
    /// Sequence numbers that never came (RFC 3550, A.3).
    pub lost: u64,
    /// Packets whose sequence number had come before.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Interarrival jitter at the end (RFC 3550, 6.4.1), ms.
    #[serde(default)]
    pub jitter_ms: Option<f64>,
    /// From the first to the last packet.
    pub duration_ms: u64,
    /// First packet.
    pub started_at: Timestamp,
    /// Last packet.
    pub ended_at: Timestamp,
    /// Of `lost`, those that the sensor lost itself.
    pub lost_ours: u64,
    /// What became of it.
    #[serde(rename = "use")]
    pub use_: StreamUse,
    /// Why it was not mixed.
    #[serde(default)]
    pub reason: Option<String>,
    /// The stream that it repeats.
    #[serde(default)]
    pub copy_of: Option<u16>,
    /// The stream that it continues after an SSRC change.
    #[serde(default)]
    pub continues: Option<u16>,
    /// Every format, in order of first use.
    #[serde(default)]
    pub formats: Vec<StreamFormat>,
    /// Who spoke when.
    #[serde(default)]
    pub speakers: Vec<Speaker>,
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Its id.
    pub id: Uuid,
    /// What it holds.
    pub kind: RecordingKind,
    /// Number of the segment, from 0.
    pub segment: u32,
    /// Its first sample.
    pub started_at: Timestamp,
    /// Whether it is complete.
    pub state: RecordingState,
    /// Relative to the output folder.
    #[serde(default)]
    pub path: Option<String>,
    /// `ogg`, `wav`.
    #[serde(default)]
    pub container: Option<String>,
    /// `opus`, `pcm_s16le`.
    #[serde(default)]
    pub codec: Option<String>,
    /// Channels.
    #[serde(default)]
    pub channels: Option<u16>,
    /// Which legs are heard on which channel.
    #[serde(default)]
    pub channel_legs: Vec<Vec<u16>>,
    /// Hz.
    #[serde(default)]
    pub sample_rate: Option<u32>,
    /// Length.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Size of the file.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// SHA-256 of the file, hex.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Samples that are missing, and who lost them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Index of the recording.
    #[serde(default)]
    pub recording: Option<u16>,
    /// Index of the stream.
    #[serde(default)]
    pub stream: Option<u16>,
    /// Index of the leg.
    #[serde(default)]
    pub leg: Option<u16>,
    /// From the recording's start.
    pub at_ms: u64,
    /// How long.
    pub duration_ms: u64,
    /// Who lost it.
    pub cause: GapCause,
}

/// Something that happened during the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: CallEventKind,
    /// To or by which leg.
    #[serde(default)]
    pub leg: Option<u16>,
    /// On which stream.
    #[serde(default)]
    pub stream: Option<u16>,
    /// Who caused it, outside the call.
    #[serde(default)]
    pub by: Option<String>,
    /// More (the digit, the new format).
    #[serde(default)]
    pub detail: Option<String>,
}

/// A relation to an earlier call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `transferred_from`, `consult_of`, `replaces`, …
    pub relation: String,
    /// The earlier call.
    pub call: Uuid,
    /// What says so.
    pub basis: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The highest wins at ingest.
    pub revision: u32,
    /// The only key.
    pub id: Uuid,
    /// How it was signalled.
    pub protocol: Protocol,
    /// In order of first sight.
    #[serde(default)]
    pub call_ids: Vec<String>,
    /// Where it was seen.
    pub source: Source,
    /// Seen from the site.
    pub direction: Direction,
    /// The caller.
    #[serde(default)]
    pub from: Party,
    /// The answering party, else the called one.
    #[serde(default)]
    pub to: Party,
    /// What was dialled.
    #[serde(default)]
    pub dialled: Dialled,
    /// Redirections, in order.
    #[serde(default)]
    pub diversions: Vec<Diversion>,
    /// Only those configured.
    #[serde(default)]
    pub headers: BTreeMap<String, Vec<String>>,
    /// How it went.
    pub state: CallState,
    /// The final SIP code.
    #[serde(default)]
    pub status: Option<u16>,
    /// First packet.
    pub started_at: Timestamp,
    /// First 2xx.
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
    /// The end.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// What ended it.
    #[serde(default)]
    pub end: Option<End>,
    /// Its beginning is missing here: it was on when the capture began. Of a call without signalling
    /// that is so when its media was there within the capture's first two seconds; of a signalled one
    /// when it is first known from the middle of its dialog, unless its media was seen to begin later.
    pub begun_before_capture: bool,
    /// What the rules said.
    pub decision: Decision,
    /// `one_sided`, `no_signalling`, `undecodable`, `clock_jump`, …
    #[serde(default)]
    pub marks: Vec<String>,
    /// Other systems' names for it.
    #[serde(default)]
    pub correlation: Vec<Correlation>,
    /// The parties; the caller first.
    #[serde(default)]
    pub legs: Vec<Leg>,
    /// The dialogs.
    #[serde(default)]
    pub dialogs: Vec<Dialog>,
    /// The streams.
    #[serde(default)]
    pub streams: Vec<Stream>,
    /// The files.
    #[serde(default)]
    pub recordings: Vec<Recording>,
    /// What is missing in them.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// What happened.
    #[serde(default)]
    pub events: Vec<CallEvent>,
    /// Earlier calls that it belongs with.
    #[serde(default)]
    pub links: Vec<Link>,
}
