//! A packet of a leg between its slot and the wire.

use nightjar_wire::Nanos;

/// A packet under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub at: Nanos,
    /// Its place in the sender's sequence, not wrapped.
    pub position: u64,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub marker: bool,
    /// It was sent before.
    pub repeated: bool,
    /// Index of the leg's flow that it takes.
    pub flow: usize,
    /// Index of the leg's stream that it belongs to.
    pub stream: usize,
    pub body: Body,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// Samples of the leg's source, from a tick on, which is played at `at`.
    Audio { source: usize, tick: u64, at: Nanos, len: usize },
    /// A telephone-event.
    Event { digit: char, duration: u16, end: bool },
    /// Comfort noise.
    Noise,
    /// H.264.
    Video { len: usize },
}

impl Packet {
    /// Appends the RTP header (RFC 3550, 5.1).
    pub fn append_header(&self, payload_type: u8, out: &mut Vec<u8>) {
        let mut header = [0x80, payload_type | u8::from(self.marker) << 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&header);
    }
}

impl Body {
    /// Bytes of the payload.
    pub fn len(&self) -> usize {
        match self {
            Body::Audio { len, .. } | Body::Video { len } => *len,
            Body::Event { .. } => 4,
            Body::Noise => 1,
        }
    }
}

/// Appends a telephone-event's payload (RFC 4733, 2.3) at -10 dBm0.
pub(crate) fn append_event(digit: char, duration: u16, end: bool, out: &mut Vec<u8>) {
    let [high, low] = duration.to_be_bytes();
    out.extend_from_slice(&[event_code(digit), u8::from(end) << 7 | 10, high, low]);
}

/// The event code of a digit (RFC 4733, 3.2).
fn event_code(digit: char) -> u8 {
    match digit {
        '*' => 10,
        '#' => 11,
        'A'..='D' => digit as u8 - b'A' + 12,
        _ => digit.to_digit(10).unwrap_or(0) as u8,
    }
}

/// Appends a video payload: one H.264 unit of filler data (RFC 6184, 5.6; type 12).
pub(crate) fn append_filler(len: usize, out: &mut Vec<u8>) {
    out.push(0x0c);
    out.resize(out.len() + len.saturating_sub(2), 0xff);
    out.push(0x80);
}
