//! What signalling says of an endpoint: who receives there, who is to send, in which formats.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{Endpoint, Nanos};

/// A call within one sensor's run: a small handle, never reused while the sensor runs and kept
/// over a restart. The call's lasting name is its UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallKey(pub u32);

/// An RTP payload type, 0..=127.
pub type PayloadType = u8;

/// An SDP media line's kind (RFC 8866, 5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaKind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
    /// `m=image` (T.38)
    Image,
    /// `m=text`, `m=message`, `m=application` and what comes later
    Other,
}

/// How a format is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Basis {
    /// An `a=rtpmap` said so.
    Sdp,
    /// A static payload type of RFC 3551.
    Static,
    /// By the shape of the packets.
    Guessed,
}

/// What a payload type stands for on one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The payload type that packets carry.
    pub payload_type: PayloadType,
    /// The encoding name in its registered spelling where it is known (`PCMA`, `telephone-event`,
    /// `CN`), otherwise as it came.
    pub codec: String,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Audio channels.
    pub channels: u8,
    /// Packet time in ms, when SDP names one.
    pub ptime_ms: Option<u16>,
    /// The format's parameters (`a=fmtp`), as they came.
    pub fmtp: Option<String>,
    /// How it is known.
    pub basis: Basis,
}

/// One endpoint that signalling has named, from one moment on. It ends by a later binding of the
/// same endpoint or by an unbind; a stream that was bound through it stays with its call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Where the media is to be received.
    pub endpoint: Endpoint,
    /// Valid from this moment of the capture clock.
    pub from: Nanos,
    /// Whose media it is.
    pub call: CallKey,
    /// Index into the call's dialogs.
    pub dialog: u16,
    /// Index of the leg that named the endpoint, and so listens there.
    pub receiver: u16,
    /// Index of the leg that is expected to speak: the dialog's other side. `None` when unknown.
    pub speaker: Option<u16>,
    /// Index of the `m=` line.
    pub media_line: u8,
    /// What the line carries.
    pub kind: MediaKind,
    /// The speaker's own endpoint for the same line, when its SDP has been seen.
    pub remote: Option<Endpoint>,
    /// The receiver's RTCP endpoint: `a=rtcp`, the next port, or the same one (`a=rtcp-mux`).
    pub rtcp: Endpoint,
    /// What the payload types sent to this endpoint stand for.
    pub formats: Vec<Format>,
}
