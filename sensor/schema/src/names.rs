//! The open enumerations of a call's record: a reader meets a name that it does not know as `Unknown`.

use serde::{Deserialize, Serialize};

/// The signalling protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// SIP (RFC 3261).
    Sip,
    /// Cisco's skinny client control protocol.
    Sccp,
    /// A recording session (RFC 7866).
    Siprec,
    /// Media without signalling.
    None,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How the traffic reached the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A mirror port or a capture file.
    Mirror,
    /// A SIPREC client.
    Siprec,
    /// A phone's built-in bridge.
    Bib,
    /// Media forked to us.
    Forked,
    /// An imported recording.
    Import,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Seen from the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From outside.
    Inbound,
    /// To outside.
    Outbound,
    /// Within the site.
    Internal,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How the call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Not over yet (events only; a final row never holds it).
    Active,
    /// Answered and ended by BYE.
    Completed,
    /// Answered, its end was never seen.
    Incomplete,
    /// CANCEL or 487.
    Cancelled,
    /// Another 4xx, or 6xx.
    Rejected,
    /// 408, 5xx, or no final answer.
    Failed,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What ended the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// A BYE.
    Bye,
    /// A CANCEL.
    Cancel,
    /// A final answer other than 2xx.
    Rejected,
    /// No media for the configured time.
    MediaTimeout,
    /// No final answer for the configured time.
    SetupTimeout,
    /// The session timer ran out (RFC 4028).
    SessionTimer,
    /// The sensor was stopped.
    Shutdown,
    /// The sensor crashed and could not continue the call.
    Crash,
    /// The capture file ended.
    CaptureEnd,
    /// A table was full.
    Evicted,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What the rules said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionAction {
    /// Audio is kept.
    Record,
    /// Only metadata is kept.
    Metadata,
    /// Kept when somebody asks.
    OnDemand,
    /// Nothing may be kept.
    Never,
    /// Refused or cut under load.
    Shed,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A party's part in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegRole {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
    /// Who was consulted.
    Consulted,
    /// To whom the call was transferred.
    Transferee,
    /// A conference's party.
    Conference,
    /// Who barged in.
    Barge,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUse {
    /// It is in the recording.
    Mixed,
    /// Its payload was kept, undecoded.
    Kept,
    /// It was counted only.
    Counted,
    /// It repeats another stream.
    Copy,
    /// It was not to be recorded.
    Refused,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// A screen.
    Screen,
    /// Text.
    Text,
    /// A transcript.
    Transcript,
    /// Payloads as they came.
    Payload,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether a recording is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It is stored.
    Final,
    /// It is still being written.
    Pending,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Who lost what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The network, before the mirror.
    Wire,
    /// The NIC.
    Nic,
    /// The XDP program.
    Xdp,
    /// A ring was full.
    Ring,
    /// A core was too slow.
    Core,
    /// The disk was too slow or full.
    Disk,
    /// A crash lost what was not committed.
    Crash,
    /// No sensor ran.
    SensorDown,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What happened during the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEventKind {
    /// The called side rings.
    Ring,
    /// The call was answered.
    Answer,
    /// A party was put on hold.
    Hold,
    /// The hold ended.
    Resume,
    /// Recording was paused.
    Pause,
    /// Recording goes on.
    Unpause,
    /// A party joined.
    Join,
    /// A party left.
    Leave,
    /// The call was transferred.
    Transfer,
    /// The call was parked.
    Park,
    /// A digit was dialled in the call (RFC 4733).
    Dtmf,
    /// The media format changed.
    Format,
    /// A stream began.
    MediaStart,
    /// A stream ended.
    MediaStop,
    /// An agent was assigned.
    Agent,
    /// The recording was split.
    Split,
    /// A name that this version does not know.
    #[serde(other)]
    Unknown,
}
