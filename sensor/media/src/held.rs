//! Packets of a call that is not answered yet, as they came.

use std::collections::BTreeMap;

use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::stream::MAX_BACKWARDS;

/// Bytes that a held packet costs beside its own.
const OVERHEAD: usize = size_of::<HeldPacket>();

/// One packet's place among the bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct HeldPacket {
    stream: u32,
    arrival: Nanos,
    start: u32,
    len: u32,
}

/// The packets, in the order in which they were handed over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    packets: Vec<HeldPacket>,
    bytes: Vec<u8>,
    /// Watermarks, each with the number of packets that were handed over before.
    watermarks: Vec<(usize, Nanos)>,
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Memory in use, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.packets.len() * OVERHEAD
    }

    pub(crate) fn push(&mut self, stream: u32, arrival: Nanos, datagram: &[u8]) {
        let (start, len) = (self.bytes.len() as u32, datagram.len() as u32);
        self.packets.push(HeldPacket { stream, arrival, start, len });
        self.bytes.extend_from_slice(datagram);
    }

    /// No packet comes any more that was captured earlier: one stamped so is from behind a jump.
    pub(crate) fn note_watermark(&mut self, watermark: Nanos) {
        match self.watermarks.last_mut() {
            Some((count, known)) if *count == self.packets.len() => *known = watermark.max(*known),
            _ => self.watermarks.push((self.packets.len(), watermark)),
        }
    }

    /// Gives up all packets in order of arrival, and streams of the same moment by number, so that
    /// the order of hand-over does not matter; but when stamps jump back a stream's packets stay in
    /// their own order, and come behind what was captured before the jump. With each comes the
    /// watermark that it was handed over after.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(u32, Nanos, Nanos, &[u8])) {
        let Held { packets, bytes, watermarks } = std::mem::take(self);
        let mut latest: BTreeMap<u32, Nanos> = BTreeMap::new();
        let mut order: Vec<(Nanos, u32, Nanos, HeldPacket)> = Vec::with_capacity(packets.len());
        let mut watermarks = watermarks.into_iter().peekable();
        let mut watermark = Nanos::ZERO;
        for (number, packet) in packets.into_iter().enumerate() {
            while let Some((_, told)) = watermarks.next_if(|(count, _)| *count <= number) {
                watermark = told.max(watermark);
            }
            let latest = latest.entry(packet.stream).or_default();
            *latest = packet.arrival.max(*latest);
            if *latest + MAX_BACKWARDS < watermark {
                *latest = watermark;
            }
            order.push((*latest, packet.stream, watermark, packet));
        }
        order.sort_by_key(|(latest, stream, ..)| (*latest, *stream));
        for (_, _, watermark, packet) in &order {
            let start = packet.start as usize;
            take(packet.stream, packet.arrival, *watermark, &bytes[start..start + packet.len as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_in_order_of_arrival_whoever_was_first_handed_over() {
        let mut held = Held::default();
        held.push(2, Nanos(5), b"b");
        held.push(2, Nanos(9), b"d");
        held.push(1, Nanos(5), b"a");
        held.push(1, Nanos(7), b"c");
        assert_eq!(held.size(), 4 * (1 + OVERHEAD));
        let mut order = Vec::new();
        held.drain(|_, _, _, datagram| order.extend_from_slice(datagram));
        assert_eq!(order, b"abcd");
        assert!(held.is_empty());
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_turn_a_stream_round() {
        let mut held = Held::default();
        for (stream, arrival, byte) in
            [(1, 90, b"a"), (2, 95, b"b"), (1, 20, b"c"), (2, 30, b"d"), (1, 40, b"e")]
        {
            held.push(stream, Nanos(arrival), byte);
        }
        let mut order = Vec::new();
        held.drain(|_, _, _, datagram| order.extend_from_slice(datagram));
        assert_eq!(order, b"acebd");
    }

    #[test]
    fn a_stream_that_begins_behind_a_jump_does_not_come_first() {
        let mut held = Held::default();
        let second = |seconds| Nanos::from_secs(seconds);
        for (stream, arrival, byte) in
            [(1, second(3600), b"a"), (2, second(7), b"c"), (1, second(3600), b"b"), (2, second(8), b"d")]
        {
            held.push(stream, arrival, byte);
            held.note_watermark(arrival);
        }
        let mut order = Vec::new();
        held.drain(|_, _, _, datagram| order.extend_from_slice(datagram));
        assert_eq!(order, b"abcd");
    }
}
