//! A stream's packets that wait for their frame, in order of sequence, payloads as they came; and
//! the numbers of those that hold no speech, so that they are not taken for lost.

use std::collections::VecDeque;

use nightjar_codec::Codec;
use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::frame::nanos_at;

/// Most packets that wait at once: 10 s at 20 ms, far more than the wait for late packets.
const MAX_PACKETS: usize = 512;

/// Most runs of numbers without speech that are remembered: between any two packets there may be one.
const MAX_RUNS: usize = MAX_PACKETS;

/// A packet with its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct QueuedPacket {
    /// Its count in the sequence.
    pub(crate) sequence: i64,
    /// Its first sample's RTP time, in samples, counted on over wraps.
    pub(crate) ticks: i64,
    /// Its first sample on the grid.
    pub(crate) at: i64,
    /// Samples that the payload holds.
    pub(crate) samples: u16,
    /// Samples more or less that it lasts.
    pub(crate) stretch: i8,
    /// How to decode it.
    pub(crate) codec: Codec,
    /// The RTP payload.
    pub(crate) payload: Vec<u8>,
}

impl QueuedPacket {
    /// Its first sample after it, on the grid.
    pub(crate) fn end(&self) -> i64 {
        self.at + i64::from(self.samples) + i64::from(self.stretch)
    }
}

/// Numbers, one after the other, of packets without speech (events, comfort noise).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Speechless {
    first: i64,
    count: i64,
    /// When the first of them came.
    arrival: Nanos,
}

/// The queue. Payload buffers go round: nothing is allocated once it has reached its usual length.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PacketQueue {
    packets: VecDeque<QueuedPacket>,
    #[serde(skip)]
    spare: Vec<Vec<u8>>,
    speechless: VecDeque<Speechless>,
}

impl PacketQueue {
    pub(crate) fn is_full(&self) -> bool {
        self.packets.len() >= MAX_PACKETS
    }

    /// The place of the first packet in order.
    pub(crate) fn first_at(&self) -> Option<i64> {
        self.packets.front().map(|packet| packet.at)
    }

    /// Puts a packet where its sequence says; `payload` is copied into `packet.payload`.
    pub(crate) fn insert(&mut self, mut packet: QueuedPacket, payload: &[u8]) {
        packet.payload = self.spare.pop().unwrap_or_default();
        packet.payload.clear();
        packet.payload.extend_from_slice(payload);
        let later = self.packets.iter().rev().take_while(|other| other.sequence > packet.sequence).count();
        if self.packets.len() == self.packets.capacity() {
            // The depth is bound by the wait for late packets: doubling would only waste.
            self.packets.reserve_exact(4);
        }
        self.packets.insert(self.packets.len() - later, packet);
    }

    /// The last packet before `sequence` and the first one after it, of those whose frame must
    /// still be open at `arrival`: what else is still here depends on when frames were asked for.
    /// `None` when a packet after it has no open frame, and so it has none either.
    pub(crate) fn open_neighbours(
        &self,
        sequence: i64,
        arrival: Nanos,
        late_after: Nanos,
    ) -> Option<(Option<&QueuedPacket>, Option<&QueuedPacket>)> {
        let is_open = |packet: &&QueuedPacket| arrival < nanos_at(packet.at) + late_after;
        let after = self.packets.iter().find(|packet| packet.sequence > sequence);
        let before = self.packets.iter().rfind(|packet| packet.sequence < sequence).filter(is_open);
        after.is_none_or(|next| is_open(&next)).then_some((before, after))
    }

    /// Notes a packet without speech whose number is the highest so far. It lengthens the run that it follows: a
    /// packet behind both comes later than either.
    pub(crate) fn note_speechless(&mut self, sequence: i64, arrival: Nanos) {
        match self.speechless.back_mut().filter(|run| run.first + run.count == sequence) {
            Some(run) => run.count += 1,
            None => self.note_speechless_behind(sequence, arrival),
        }
    }

    /// Notes a packet without speech that came behind one with a higher number. It stands for itself: those that it
    /// follows by its number may have come in time, and it too late.
    pub(crate) fn note_speechless_behind(&mut self, sequence: i64, arrival: Nanos) {
        if self.speechless.len() == MAX_RUNS {
            self.speechless.pop_front();
        }
        let later = self.speechless.iter().rev().take_while(|run| run.first > sequence).count();
        let run = Speechless { first: sequence, count: 1, arrival };
        self.speechless.insert(self.speechless.len() - later, run);
    }

    /// How many numbers between two played packets were without speech and came before `deadline`.
    pub(crate) fn take_speechless(&mut self, after: i64, before: i64, deadline: Nanos) -> i64 {
        let mut count = 0;
        while let Some(run) = self.speechless.pop_front_if(|run| run.first < before) {
            if run.first > after && run.arrival < deadline {
                count += run.count;
            }
        }
        count
    }

    /// Moves all packets from `since` on earlier; none before them may lie later than they do, or
    /// the order of places would not be the order of packets.
    pub(crate) fn move_earlier(&mut self, since: i64, samples: i64) {
        let mut latest = i64::MAX;
        for packet in self.packets.iter_mut().rev() {
            if packet.sequence >= since {
                packet.at -= samples;
            }
            packet.at = packet.at.min(latest);
            latest = packet.at;
        }
    }

    /// Takes the first packet when it begins before `end`.
    pub(crate) fn pop_before(&mut self, end: i64) -> Option<QueuedPacket> {
        self.packets.pop_front_if(|packet| packet.at < end)
    }

    /// Takes a played packet's buffer back.
    pub(crate) fn recycle(&mut self, payload: Vec<u8>) {
        self.spare.push(payload);
    }

    /// Drops everything and returns how many packets there were.
    pub(crate) fn clear(&mut self) -> u64 {
        let count = self.packets.len() as u64;
        *self = PacketQueue::default();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: i64) -> QueuedPacket {
        QueuedPacket {
            sequence,
            ticks: sequence * 160,
            at: 1000 + sequence * 160,
            samples: 160,
            stretch: 0,
            codec: Codec::Pcma,
            payload: Vec::new(),
        }
    }

    #[test]
    fn packets_come_out_in_order_of_sequence() {
        let mut queue = PacketQueue::default();
        for sequence in [3, 1, 2, 5] {
            queue.insert(packet(sequence), &[sequence as u8]);
        }
        let late_after = Nanos::from_millis(200);
        let sequences = |arrival| {
            let (before, after) = queue.open_neighbours(4, arrival, late_after)?;
            Some((before.map(|packet| packet.sequence), after.map(|packet| packet.sequence)))
        };
        assert_eq!(sequences(Nanos::ZERO), Some((Some(3), Some(5))));
        assert_eq!(sequences(nanos_at(1000 + 3 * 160) + late_after), Some((None, Some(5))));
        assert_eq!(sequences(nanos_at(1000 + 5 * 160) + late_after), None);
        assert!(queue.pop_before(1160).is_none());
        let order: Vec<u8> =
            std::iter::from_fn(|| queue.pop_before(i64::MAX)).map(|packet| packet.payload[0]).collect();
        assert_eq!(order, [1, 2, 3, 5]);
    }

    #[test]
    fn numbers_without_speech_count_when_they_came_in_time() {
        let mut queue = PacketQueue::default();
        queue.note_speechless(5, Nanos::from_millis(10));
        queue.note_speechless(6, Nanos::from_millis(30));
        // 7 does not make 5 and 6 late.
        queue.note_speechless_behind(7, Nanos::from_millis(900));
        queue.note_speechless_behind(3, Nanos::from_millis(900));
        queue.note_speechless(9, Nanos::from_millis(60));
        assert_eq!(queue.take_speechless(2, 8, Nanos::from_millis(500)), 2);
        assert_eq!(queue.take_speechless(8, 12, Nanos::from_millis(500)), 1);
        assert_eq!(queue.take_speechless(0, 99, Nanos::MAX), 0);
    }

    #[test]
    fn a_played_packet_s_buffer_is_used_again() {
        let mut queue = PacketQueue::default();
        queue.insert(packet(0), &[7; 160]);
        let played = queue.pop_before(i64::MAX).unwrap();
        let buffer = played.payload.as_ptr();
        queue.recycle(played.payload);
        queue.insert(packet(1), &[8; 160]);
        assert_eq!(queue.pop_before(i64::MAX).unwrap().payload.as_ptr(), buffer);
    }
}
