//! What an earlier run of the sensor left in the journal: ended calls are finished, calls in
//! progress continue under their ids, with a gap for the time in which no sensor ran.

use std::collections::{BTreeMap, BTreeSet};

use nightjar_flow::{FlowTable, Membership, StreamFacts, StreamKey};
use nightjar_journal::{Record, RecordKind, Recovery};
use nightjar_wire::{CallKey, Nanos, RtpView};
use uuid::Uuid;

use crate::admission::Shed;
use crate::event::CoreEvent;
use crate::journalled::{EventReader, Told};
use crate::media_worker::MediaWorker;
use crate::outage::Interrupted;
use crate::recording::RecordingTarget;
use crate::saved::{LaneKey, Marks, Place, Resumed};

/// What was found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The last state that signalling wrote of each call that was not closed.
    pub snapshots: BTreeMap<CallKey, Vec<u8>>,
    /// Packets that were read again, or that the saved calls had read.
    pub packets: u64,
    /// Event records that could not be read.
    pub unreadable: u64,
    /// The highest number of a closed row.
    pub closed: u64,
    /// What earlier outages have cost the streams.
    pub(crate) interrupted: Interrupted,
    /// Calls that are not kept, or not any more.
    pub(crate) shed: BTreeMap<CallKey, Shed>,
    /// The last stamp of each lane.
    lanes: BTreeMap<LaneKey, Nanos>,
    /// The lane that last told of each call that was not closed.
    lane_of: BTreeMap<CallKey, LaneKey>,
    /// Calls that were written down before the crash: nothing of them is needed.
    done: BTreeSet<CallKey>,
    /// Calls that were saved, and up to where.
    saved: BTreeMap<CallKey, SavedUntil>,
    /// Streams of this journal.
    keys: BTreeMap<u32, (StreamKey, CallKey)>,
    /// Calls whose beginning is in this journal.
    opened: BTreeSet<CallKey>,
    /// Packets that were counted again.
    numbered: u64,
}

/// What was saved of a call.
#[derive(Debug)]
struct SavedUntil {
    id: Uuid,
    marks: Marks,
    /// Its audio.
    until: Nanos,
}

/// Reads the journal again: `worker` mixes what was recorded, `flows` counts its streams. Of calls
/// that the worker has [resumed](MediaWorker::resume) only what they lack is read; calls that
/// `is_done` knows are passed over.
pub fn recover<T: RecordingTarget>(
    journal: &mut Recovery,
    flows: &mut FlowTable,
    worker: &mut MediaWorker<T>,
    is_done: impl Fn(Uuid) -> bool,
) -> Recovered {
    let mut found = Recovered::default();
    for call in worker.take_resumed() {
        found.resume(call, flows);
    }
    // An event's parts follow each other within a lane.
    let mut readers: BTreeMap<LaneKey, EventReader> = BTreeMap::new();
    while let Some(block) = journal.next_block() {
        let lane = LaneKey { run: block.run, core: block.id.core, worker: block.id.worker };
        let events = readers.entry(lane).or_default();
        let last = found.lanes.entry(lane).or_default();
        *last = block.last_arrival.max(*last);
        for (record, index) in block.records().zip(0..) {
            let place = Place { block: block.id.sequence, record: index };
            if record.header.kind != RecordKind::Event {
                found.handle_packet(&record, lane.run, place, flows, worker);
                continue;
            }
            match events.handle_record(record.bytes) {
                Told::Watermark(watermark) => worker.handle_watermark(watermark),
                Told::RingLost(lost) => worker.handle_ring_lost(lost),
                Told::Event(event) if found.is_wanted(&event, &is_done) => {
                    let saved = found.saved.get(&event.call()).map(|saved| saved.marks);
                    if !saved.is_some_and(|marks| marks.has_told(lane.run, place)) {
                        found.handle_event(&event, lane, flows);
                    }
                    if !saved.is_some_and(|marks| marks.has_read(lane.run, place)) {
                        worker.handle_event(event);
                    }
                }
                Told::Event(_) | Told::Part => {}
                Told::Unreadable => found.unreadable += 1,
            }
        }
    }
    worker.discard_stateless();
    found
}

impl Recovered {
    /// Goes on with a call that was saved.
    fn resume(&mut self, call: Resumed, flows: &mut FlowTable) {
        let Resumed { key, id, marks, until, packets, checkpoint } = call;
        self.packets += packets;
        for stream in checkpoint.streams {
            self.keys.insert(stream.id, (stream.key, key));
            flows.adopt_stream(stream);
        }
        self.interrupted.resume(checkpoint.interrupted);
        self.snapshots.insert(key, checkpoint.state);
        self.shed.extend(checkpoint.shed.map(|shed| (key, shed)));
        self.lane_of.insert(key, marks.lane);
        self.saved.insert(key, SavedUntil { id, marks, until });
    }

    /// Takes a packet for whomever it is new to.
    fn handle_packet<T: RecordingTarget>(
        &mut self,
        record: &Record<'_>,
        run: u32,
        place: Place,
        flows: &mut FlowTable,
        worker: &mut MediaWorker<T>,
    ) {
        let header = record.header;
        let stream = self.keys.get(&header.stream).filter(|_| header.kind == RecordKind::Media).copied();
        let call = match header.kind {
            RecordKind::Rtcp => Some(CallKey(header.stream)),
            _ => stream.map(|(_, call)| call),
        };
        let saved = call.and_then(|call| self.saved.get(&call)).map(|saved| saved.marks);
        if !saved.is_some_and(|marks| marks.has_told(run, place))
            && let (Some((key, _)), Ok(rtp)) = (stream, RtpView::parse(record.bytes))
        {
            // Mirror copies were left out before the journal: a number of its own for each datagram
            // keeps repetitions what they are.
            self.numbered += 1;
            let ip_id = Some((self.numbered % 65_535) as u16 + 1);
            flows.handle_rtp(header.arrival, key.flow, &rtp, ip_id);
            self.interrupted.handle_packet(header.stream, rtp.sequence());
        }
        if !saved.is_some_and(|marks| marks.has_read(run, place)) {
            self.packets += 1;
            worker.handle_packet(record);
        }
    }

    /// The last moment that the journal knows of a call: whatever its lane last held.
    pub(crate) fn last_at(&self, call: CallKey) -> Nanos {
        let lane = self.lane_of.get(&call).and_then(|lane| self.lanes.get(lane)).copied();
        let saved = self.saved.get(&call).map(|saved| saved.until);
        lane.max(saved).unwrap_or(Nanos::MAX)
    }

    /// The last moment that the journal knows.
    pub(crate) fn latest(&self) -> Nanos {
        let saved = self.saved.values().map(|saved| saved.until);
        self.lanes.values().copied().chain(saved).max().unwrap_or(Nanos::ZERO)
    }

    /// The least number that the next run may have: places that were saved are in earlier ones.
    pub fn next_run(&self) -> u32 {
        self.saved.values().map(|saved| saved.marks.lane.run + 1).max().unwrap_or(0)
    }

    /// Calls that were not closed, whether signalling's state of them was found or not.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = CallKey> {
        self.lane_of.keys().copied()
    }

    /// Whether a call begins that has the key of one that was saved, and is over.
    fn is_successor(&self, event: &CoreEvent) -> bool {
        let CoreEvent::Opened { call, id, .. } = event else { return false };
        !self.lane_of.contains_key(call) && self.saved.get(call).is_some_and(|saved| saved.id != *id)
    }

    /// False for events of calls that were written down before the crash.
    fn is_wanted(&mut self, event: &CoreEvent, is_done: impl Fn(Uuid) -> bool) -> bool {
        let call = event.call();
        if let CoreEvent::Closed { order, .. } = event {
            self.closed = self.closed.max(order + 1);
        }
        match event {
            // Its marks say what is wanted of it, and of earlier calls with the same key.
            _ if self.saved.contains_key(&call) && !self.is_successor(event) => return true,
            CoreEvent::Opened { id, .. } if is_done(*id) => {
                self.done.insert(call);
            }
            // A later call may have the same key.
            CoreEvent::Opened { .. } => {
                self.done.remove(&call);
                self.saved.remove(&call);
                self.opened.insert(call);
            }
            // Its beginning is not in the journal any more, since it was saved, and then written down.
            CoreEvent::Closed { row, .. } if is_done(row.id) => {
                self.done.insert(call);
            }
            CoreEvent::Stream(told) if self.done.contains(&call) => {
                self.keys.remove(&told.stream);
            }
            _ => {}
        }
        let is_known = self.opened.contains(&call);
        let is_closed = matches!(event, CoreEvent::Closed { .. });
        !self.done.contains(&call) && (is_known || is_closed)
    }

    fn handle_event(&mut self, event: &CoreEvent, lane: LaneKey, flows: &mut FlowTable) {
        self.lane_of.insert(event.call(), lane);
        match event {
            CoreEvent::Stream(told) => {
                let key = StreamKey { flow: told.flow, ssrc: told.ssrc };
                self.keys.insert(told.stream, (key, told.call));
                let membership = Membership {
                    call: told.call,
                    dialog: told.dialog,
                    speaker: told.speaker,
                    receiver: told.receiver,
                };
                let facts = StreamFacts {
                    membership,
                    kind: told.kind,
                    formats: told.formats.clone(),
                    copy_of: told.copy_of,
                    continues: told.continues,
                };
                flows.recover_stream(told.stream, key, &facts);
            }
            CoreEvent::Snapshot { call, state } => {
                self.snapshots.insert(*call, state.clone());
            }
            CoreEvent::Ended { call, .. } => flows.end_call(*call),
            CoreEvent::Closed { call, .. } | CoreEvent::Abandoned { call } => {
                self.snapshots.remove(call);
                self.lane_of.remove(call);
                self.shed.remove(call);
                flows.close_call(*call).iter().for_each(|stream| {
                    self.interrupted.take(stream.id);
                });
            }
            CoreEvent::Outage { call, .. } => self.interrupted.handle_outage(*call, flows),
            CoreEvent::Returned { call, .. } => flows.handle_resume(*call),
            CoreEvent::Shed { call, shed, .. } => {
                self.shed.insert(*call, *shed);
            }
            // What it says has been read here.
            CoreEvent::Opened { .. } | CoreEvent::Answered { .. } | CoreEvent::Checkpoint { .. } => {}
        }
    }
}
