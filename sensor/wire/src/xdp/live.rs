//! What the program that sends RTP as live frames shares with the load generator: its flows, its run,
//! and the payload that a receiver can check.

/// Length of every frame: Ethernet, IPv4, UDP, RTP, 160 bytes of payload.
pub const FRAME: usize = 14 + 20 + 8 + 12 + 160;
/// Where the payload begins in a frame.
pub const PAYLOAD: usize = 54;
/// Where the checked words begin in a frame: the first multiple of 8 behind the payload's beginning.
pub const WORDS_AT: usize = 56;
/// How many words of 8 bytes are checked.
pub const WORDS: usize = 19;

/// One direction of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveFlow {
    /// Sender's address, as in the packet.
    pub src: [u16; 2],
    /// Receiver's address, as in the packet.
    pub dst: [u16; 2],
    /// Sender's port, as in the packet.
    pub src_port: u16,
    /// Receiver's port, as in the packet.
    pub dst_port: u16,
    /// The IPv4 header's checksum, as in the packet.
    pub checksum: u16,
    /// Sequence number of the first packet.
    pub first_seq: u16,
    /// RTP time of the first packet; it advances by 160 a packet.
    pub first_time: u32,
    /// The SSRC.
    pub ssrc: u32,
}

/// A run, as the generator sets it and the program advances it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveRun {
    /// Flows that take turns.
    pub flows: u32,
    /// Index of the interface that the frames leave by.
    pub interface: u32,
    /// Picoseconds from frame to frame; 0 for as fast as it goes.
    pub interval_ps: u64,
    /// Frames to send in all.
    pub frames: u64,
    /// Frames sent so far: the next one's number.
    pub sent: u64,
    /// CLOCK_MONOTONIC of the first frame's slot; 0 before it.
    pub start_ns: u64,
    /// CLOCK_MONOTONIC of the last frame.
    pub end_ns: u64,
    /// The most that a frame was behind its slot.
    pub most_late_ns: u64,
}

/// The checked words of a packet's payload begin with this one; each next one is one more.
#[inline(always)]
pub const fn first_word(ssrc: u32, seq: u16) -> u64 {
    (((ssrc as u64) << 16) | seq as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Whether a frame's payload is what was sent with this SSRC and sequence number.
pub fn is_intact(payload: &[u8], ssrc: u32, seq: u16) -> bool {
    let Some(words) = payload.get(WORDS_AT - PAYLOAD..) else { return false };
    let first = first_word(ssrc, seq);
    let mut words = words.chunks_exact(8);
    let intact = |(number, word): (u64, &[u8])| {
        word.first_chunk().is_some_and(|bytes| u64::from_ne_bytes(*bytes) == first.wrapping_add(number))
    };
    words.len() == WORDS && (0..).zip(&mut words).all(intact)
}
