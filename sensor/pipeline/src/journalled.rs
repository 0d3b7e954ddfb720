//! The capture core's output into the journal: one lane per media worker, packets and events in
//! one order, so that a worker (or a recovery) sees what the core saw.

use std::collections::VecDeque;

use nightjar_journal::{AppendError, BlockWriter, RECORD_LIMIT, RecordKind};
use nightjar_schema::Call;
use nightjar_wire::{CallKey, Nanos};

use crate::capture_core::{CoreOutput, Kept};
use crate::event::CoreEvent;

/// Capture time between two watermarks.
pub const WATERMARK_INTERVAL: Nanos = Nanos::from_millis(100);

/// Events that wait for a free block, per lane; beyond them the disk is gone for good.
const MAX_PENDING_EVENTS: usize = 100_000;

/// Bytes of one event at most. A call's state or row has some KB, one blown up on purpose some MB.
const MAX_EVENT: usize = 64 << 20;

/// A part of an event's bytes follows in the next record.
const PART_MORE: u8 = 1;
/// The event's bytes end with this record.
const PART_LAST: u8 = 0;

/// Where news of calls go while they live; control hears of them through it.
pub trait Watcher {
    /// The call as it is known at `at`. Must not block.
    fn changed(&mut self, at: Nanos, row: Call);
}

/// Nobody watches (replay).
pub struct Unwatched;

impl Watcher for Unwatched {
    fn changed(&mut self, _at: Nanos, _row: Call) {}
}

/// One lane to a media worker.
struct Lane {
    writer: BlockWriter,
    /// Event records that found no block; packets wait for none, so they are refused meanwhile.
    pending: VecDeque<(u32, Nanos, Vec<u8>)>,
}

/// Appends to the lanes.
pub struct Journalled<W> {
    lanes: Vec<Lane>,
    watcher: W,
    watches: bool,
    scratch: Vec<u8>,
    /// The last watermark that was appended.
    watermark: Nanos,
    /// Events that could not be kept, ever, or were too long.
    lost_events: u64,
}

impl<W: Watcher> Journalled<W> {
    /// An output over one lane per media worker; `watches`: whether the watcher wants rows at all.
    pub fn new(lanes: Vec<BlockWriter>, watcher: W, watches: bool) -> Journalled<W> {
        let lanes = lanes.into_iter().map(|writer| Lane { writer, pending: VecDeque::new() }).collect();
        Journalled { lanes, watcher, watches, scratch: Vec::new(), watermark: Nanos::ZERO, lost_events: 0 }
    }

    /// Which worker owns a call: chosen once, by its key.
    pub fn worker_of(call: CallKey, workers: usize) -> usize {
        call.0 as usize % workers
    }

    /// Events that found no room for good: 0 while the disk works.
    pub fn lost_events(&self) -> u64 {
        self.lost_events
    }

    fn lane(&mut self, call: CallKey) -> &mut Lane {
        let index = Self::worker_of(call, self.lanes.len());
        &mut self.lanes[index]
    }

    fn append_packet(&mut self, kind: RecordKind, call: CallKey, tag: u32, at: Nanos, bytes: &[u8]) -> Kept {
        let lane = self.lane(call);
        if !lane.pending.is_empty() && !lane.flush() {
            return Kept::NoRoom;
        }
        match lane.writer.append(kind, tag, at, bytes) {
            Ok(()) => Kept::Yes,
            Err(AppendError::NoBlock | AppendError::TooLong) => Kept::NoRoom,
        }
    }
}

impl Lane {
    /// Appends a record, or keeps it until there is room; false when one was lost.
    fn append(&mut self, tag: u32, at: Nanos, record: Vec<u8>) -> bool {
        self.pending.push_back((tag, at, record));
        self.flush();
        let fits = self.pending.len() <= MAX_PENDING_EVENTS;
        if !fits {
            self.pending.pop_front();
        }
        fits
    }

    /// Appends the parts of an event, or keeps those that find no room; false when they were lost.
    fn append_event(&mut self, tag: u32, at: Nanos, bytes: &[u8]) -> bool {
        let mut parts = bytes.chunks(RECORD_LIMIT - 1).peekable();
        while let Some(part) = parts.next() {
            let flag = if parts.peek().is_some() { PART_MORE } else { PART_LAST };
            let record = [&[flag], part].concat();
            self.pending.push_back((tag, at, record));
        }
        self.flush();
        if self.pending.len() > MAX_PENDING_EVENTS {
            self.pending.pop_front();
            return false;
        }
        true
    }

    /// Appends what waits; true when nothing waits any more.
    fn flush(&mut self) -> bool {
        while let Some((tag, at, record)) = self.pending.front() {
            if self.writer.append(RecordKind::Event, *tag, *at, record).is_err() {
                return false;
            }
            self.pending.pop_front();
        }
        true
    }
}

impl<W: Watcher> CoreOutput for Journalled<W> {
    fn media(&mut self, call: CallKey, stream: u32, at: Nanos, datagram: &[u8]) -> Kept {
        self.append_packet(RecordKind::Media, call, stream, at, datagram)
    }

    fn rtcp(&mut self, call: CallKey, at: Nanos, datagram: &[u8]) -> Kept {
        self.append_packet(RecordKind::Rtcp, call, call.0, at, datagram)
    }

    fn event(&mut self, at: Nanos, event: CoreEvent) {
        let call = event.call();
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        match postcard::to_extend(&event, bytes) {
            Ok(bytes) => {
                if bytes.len() > MAX_EVENT || !self.lane(call).append_event(call.0, at, &bytes) {
                    self.lost_events += 1;
                }
                self.scratch = bytes;
            }
            Err(error) => unreachable!("an event serialises into memory: {error}"),
        }
    }

    fn changed(&mut self, at: Nanos, row: &mut dyn FnMut() -> Option<Call>) {
        if self.watches
            && let Some(row) = row()
        {
            self.watcher.changed(at, row);
        }
    }

    fn watermark(&mut self, clock: Nanos, watermark: Nanos) {
        if watermark < self.watermark + WATERMARK_INTERVAL {
            return;
        }
        self.watermark = watermark;
        let workers = self.lanes.len() as u32;
        for (worker, lane) in (0..).zip(&mut self.lanes) {
            // A mark that finds no room is made up for by the next one.
            let record = Watermark { at: watermark, share: Share { worker, workers } }.to_record();
            let _ = lane.flush() && lane.writer.append(RecordKind::Event, u32::MAX, clock, &record).is_ok();
        }
    }

    fn ring_lost(&mut self, clock: Nanos, from: Nanos, to: Nanos) {
        let workers = self.lanes.len() as u32;
        for (worker, lane) in (0..).zip(&mut self.lanes) {
            let record = RingLost { from, to, share: Share { worker, workers } }.to_record();
            self.lost_events += u64::from(!lane.append(u32::MAX, clock, record.to_vec()));
        }
    }

    fn publish(&mut self, clock: Nanos) {
        for lane in &mut self.lanes {
            lane.writer.publish(clock);
        }
    }
}

/// Stand where an event's part flag does.
const PART_WATERMARK: u8 = 2;
const PART_RING_LOST: u8 = 3;

/// Which calls travel in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The lane's worker.
    pub worker: u32,
    /// How many workers share the calls: those with `key % workers == worker` are this lane's.
    pub workers: u32,
}

impl Share {
    /// True for a call whose packets travel in the lane.
    pub fn covers(&self, call: CallKey) -> bool {
        call.0 % self.workers.max(1) == self.worker
    }
}

/// No packet of this lane's calls that is stamped earlier comes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The time.
    pub at: Nanos,
    /// The lane's calls.
    pub share: Share,
}

/// Frames were lost in a ring that was full: any call's of this lane may be among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLost {
    /// None of them was lost yet.
    pub from: Nanos,
    /// All of them were.
    pub to: Nanos,
    /// The lane's calls.
    pub share: Share,
}

impl Watermark {
    fn to_record(self) -> [u8; 17] {
        let mut record = [PART_WATERMARK; 17];
        record[1..9].copy_from_slice(&self.at.0.to_le_bytes());
        record[9..13].copy_from_slice(&self.share.worker.to_le_bytes());
        record[13..].copy_from_slice(&self.share.workers.to_le_bytes());
        record
    }

    fn from_bytes(bytes: &[u8]) -> Option<Watermark> {
        let (at, share) = bytes.split_first_chunk()?;
        Some(Watermark { at: Nanos(u64::from_le_bytes(*at)), share: Share::from_bytes(share)? })
    }
}

impl RingLost {
    fn to_record(self) -> [u8; 25] {
        let mut record = [PART_RING_LOST; 25];
        record[1..9].copy_from_slice(&self.from.0.to_le_bytes());
        record[9..17].copy_from_slice(&self.to.0.to_le_bytes());
        record[17..21].copy_from_slice(&self.share.worker.to_le_bytes());
        record[21..].copy_from_slice(&self.share.workers.to_le_bytes());
        record
    }

    fn from_bytes(bytes: &[u8]) -> Option<RingLost> {
        let (from, rest) = bytes.split_first_chunk()?;
        let (to, share) = rest.split_first_chunk()?;
        let [from, to] = [from, to].map(|at| Nanos(u64::from_le_bytes(*at)));
        Some(RingLost { from, to, share: Share::from_bytes(share)? })
    }
}

impl Share {
    fn from_bytes(bytes: &[u8]) -> Option<Share> {
        let (worker, workers) = bytes.split_first_chunk()?;
        let workers = u32::from_le_bytes(workers.try_into().ok()?);
        Some(Share { worker: u32::from_le_bytes(*worker), workers })
    }
}

/// What an event record says.
#[derive(Debug)]
pub enum Told {
    /// Something about a call.
    Event(CoreEvent),
    /// A lane's watermark.
    Watermark(Watermark),
    /// A ring was full.
    RingLost(RingLost),
    /// A part of an event; the rest follows.
    Part,
    /// Bytes that are no event: of another version, damaged, or more than an event may have.
    Unreadable,
}

/// Puts the parts of events together again, one per lane.
#[derive(Debug, Default)]
pub struct EventReader {
    parts: Vec<u8>,
    /// The event is longer than [`MAX_EVENT`]: what is left of it is passed over.
    overlong: bool,
}

impl EventReader {
    /// Takes the next event record of the lane.
    pub fn handle_record(&mut self, record: &[u8]) -> Told {
        match record.split_first() {
            Some((&PART_WATERMARK, bytes)) => {
                Watermark::from_bytes(bytes).map_or(Told::Unreadable, Told::Watermark)
            }
            Some((&PART_RING_LOST, bytes)) => {
                RingLost::from_bytes(bytes).map_or(Told::Unreadable, Told::RingLost)
            }
            Some((&PART_MORE, part)) => {
                self.take(part);
                Told::Part
            }
            Some((&PART_LAST, part)) => {
                self.take(part);
                let event = postcard::from_bytes(&self.parts).ok().filter(|_| !self.overlong);
                self.parts.clear();
                self.overlong = false;
                event.map_or(Told::Unreadable, Told::Event)
            }
            _ => Told::Unreadable,
        }
    }

    fn take(&mut self, part: &[u8]) {
        self.overlong |= self.parts.len() + part.len() > MAX_EVENT;
        if self.overlong {
            self.parts = Vec::new();
        } else {
            self.parts.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_end_is_given_up_and_the_next_one_is_read() {
        let mut reader = EventReader::default();
        let mut part = vec![0; 1 << 20];
        part[0] = PART_MORE;
        for _ in 0..=2 * MAX_EVENT / part.len() {
            assert!(matches!(reader.handle_record(&part), Told::Part));
            assert!(reader.parts.len() <= MAX_EVENT);
        }
        let event = CoreEvent::Abandoned { call: CallKey(7) };
        let last = postcard::to_extend(&event, vec![PART_LAST]).expect("an event serialises");
        assert!(matches!(reader.handle_record(&last), Told::Unreadable));
        assert!(matches!(reader.handle_record(&last), Told::Event(CoreEvent::Abandoned { .. })));
    }
}
