//! What was missed while no sensor ran: the sequence numbers between a stream's last packet before
//! an outage and its first one behind it are the sensor's loss, not the network's.

use std::collections::BTreeMap;

use nightjar_flow::FlowTable;
use nightjar_wire::{CallKey, SeqNumber};
use serde::{Deserialize, Serialize};

/// A larger step is no loss but another numbering, as in the stream's figures.
const LONGEST_STEP: i16 = 3_000;

/// The streams that an outage has interrupted.
#[derive(Debug, Default)]
pub(crate) struct Interrupted {
    /// Streams that have not gone on yet, with their newest number before.
    waiting: BTreeMap<u32, SeqNumber>,
    /// Numbers that were missed, by stream.
    missed: BTreeMap<u32, u64>,
}

/// What is known of one call's streams.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InterruptedStreams {
    waiting: Vec<(u32, SeqNumber)>,
    missed: Vec<(u32, u64)>,
}

impl Interrupted {
    /// What is known of some streams, to be saved.
    pub(crate) fn of(&self, streams: &[u32]) -> InterruptedStreams {
        let of = |stream: &&u32| streams.contains(stream);
        let waiting = self.waiting.iter().filter(|(stream, _)| of(stream));
        let missed = self.missed.iter().filter(|(stream, _)| of(stream));
        InterruptedStreams {
            waiting: waiting.map(|(stream, number)| (*stream, *number)).collect(),
            missed: missed.map(|(stream, number)| (*stream, *number)).collect(),
        }
    }

    /// Goes on with what was saved.
    pub(crate) fn resume(&mut self, saved: InterruptedStreams) {
        self.waiting.extend(saved.waiting);
        self.missed.extend(saved.missed);
    }

    /// An outage has interrupted the call's streams.
    pub(crate) fn handle_outage(&mut self, call: CallKey, flows: &FlowTable) {
        let streams = flows.streams_of(call).filter(|stream| stream.figures.packets > 0);
        self.waiting.extend(streams.map(|stream| (stream.id, stream.figures.newest())));
    }

    /// A stream's packet; the first one behind the outage tells how many were missed.
    #[inline]
    pub(crate) fn handle_packet(&mut self, stream: u32, sequence: SeqNumber) {
        if self.waiting.is_empty() {
            return;
        }
        if let Some(before) = self.waiting.remove(&stream) {
            let step = sequence.since(before);
            if (2..LONGEST_STEP).contains(&step) {
                *self.missed.entry(stream).or_default() += u64::from(step.unsigned_abs()) - 1;
            }
        }
    }

    /// Numbers that a stream's outages have cost; the stream is forgotten.
    pub(crate) fn take(&mut self, stream: u32) -> u64 {
        self.waiting.remove(&stream);
        self.missed.remove(&stream).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting_at(number: u16) -> Interrupted {
        Interrupted { waiting: BTreeMap::from([(7, SeqNumber(number))]), missed: BTreeMap::new() }
    }

    #[test]
    fn the_first_packet_behind_an_outage_tells_what_was_missed() {
        let mut interrupted = waiting_at(65_534);
        interrupted.handle_packet(8, SeqNumber(9));
        interrupted.handle_packet(7, SeqNumber(3));
        interrupted.handle_packet(7, SeqNumber(9));
        assert_eq!((interrupted.take(7), interrupted.take(7), interrupted.take(8)), (4, 0, 0));
    }

    #[test]
    fn neither_a_late_packet_nor_another_numbering_is_a_loss() {
        for next in [65_530, 65_534, 65_535, 4_000] {
            let mut interrupted = waiting_at(65_534);
            interrupted.handle_packet(7, SeqNumber(next));
            assert_eq!(interrupted.take(7), 0, "{next}");
        }
    }
}
