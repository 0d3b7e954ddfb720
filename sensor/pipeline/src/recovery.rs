//! What an earlier run of the sensor left in the journal: ended calls are finished, calls in
//! progress continue under their ids, with a gap for the time in which no sensor ran.

use std::collections::{BTreeMap, BTreeSet};

use nightjar_flow::{FlowTable, Membership, StreamFacts, StreamKey};
use nightjar_journal::{RecordKind, Recovery};
use nightjar_wire::{CallKey, Nanos, RtpView};
use uuid::Uuid;

use crate::event::CoreEvent;
use crate::journalled::{EventReader, Told};
use crate::media_worker::MediaWorker;
use crate::outage::Interrupted;
use crate::recording::RecordingTarget;

/// A lane of a run: run, core, worker.
type LaneKey = (u32, u16, u16);

/// What was found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The last state that signalling wrote of each call that was not closed.
    pub snapshots: BTreeMap<CallKey, Vec<u8>>,
    /// Packets that were read again.
    pub packets: u64,
    /// Event records that could not be read.
    pub unreadable: u64,
    /// The highest number of a closed row.
    pub closed: u64,
    /// What earlier outages have cost the streams.
    pub(crate) interrupted: Interrupted,
    /// The last stamp of each lane.
    lanes: BTreeMap<LaneKey, Nanos>,
    /// The lane that last told of each call that was not closed.
    lane_of: BTreeMap<CallKey, LaneKey>,
    /// Calls that were written down before the crash: nothing of them is needed.
    done: BTreeSet<CallKey>,
}

/// Reads the journal again: `worker` mixes what was recorded, `flows` counts its streams. Calls
/// that `is_done` knows are passed over.
pub fn recover<T: RecordingTarget>(
    journal: &mut Recovery,
    flows: &mut FlowTable,
    worker: &mut MediaWorker<T>,
    is_done: impl Fn(Uuid) -> bool,
) -> Recovered {
    let mut found = Recovered::default();
    // An event's parts follow each other within a lane.
    let mut readers: BTreeMap<LaneKey, EventReader> = BTreeMap::new();
    let mut keys: BTreeMap<u32, StreamKey> = BTreeMap::new();
    while let Some(block) = journal.next_block() {
        let lane = (block.run, block.id.core, block.id.worker);
        let events = readers.entry(lane).or_default();
        let last = found.lanes.entry(lane).or_default();
        *last = block.last_arrival.max(*last);
        for record in block.records() {
            let header = record.header;
            match header.kind {
                RecordKind::Media => {
                    found.packets += 1;
                    if let (Some(key), Ok(rtp)) = (keys.get(&header.stream), RtpView::parse(record.bytes)) {
                        // Mirror copies were left out before the journal: a number of its own for
                        // each datagram keeps repetitions what they are.
                        let ip_id = Some((found.packets % 65_535) as u16 + 1);
                        flows.handle_rtp(header.arrival, key.flow, &rtp, ip_id);
                        found.interrupted.handle_packet(header.stream, rtp.sequence());
                    }
                    worker.handle_record(None, &record);
                }
                RecordKind::Rtcp | RecordKind::Datagram => {
                    found.packets += 1;
                    worker.handle_record(None, &record);
                }
                RecordKind::Event => match events.handle_record(record.bytes) {
                    Told::Watermark(watermark) => worker.handle_watermark(watermark),
                    Told::Event(event) => {
                        if found.is_wanted(&event, &is_done, &mut keys) {
                            found.handle_event(&event, lane, flows, &mut keys);
                            worker.handle_event(event);
                        }
                    }
                    Told::Part => {}
                    Told::Unreadable => found.unreadable += 1,
                },
            }
        }
    }
    found
}

impl Recovered {
    /// The last moment that the journal knows of a call: whatever its lane last held.
    pub(crate) fn last_at(&self, call: CallKey) -> Nanos {
        self.lane_of.get(&call).and_then(|lane| self.lanes.get(lane)).copied().unwrap_or(Nanos::MAX)
    }

    /// Calls that were not closed, whether signalling's state of them was found or not.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = CallKey> {
        self.lane_of.keys().copied()
    }

    /// False for events of calls that were written down before the crash.
    fn is_wanted(
        &mut self,
        event: &CoreEvent,
        is_done: impl Fn(Uuid) -> bool,
        keys: &mut BTreeMap<u32, StreamKey>,
    ) -> bool {
        let call = event.call();
        match event {
            CoreEvent::Opened { id, .. } if is_done(*id) => {
                self.done.insert(call);
            }
            // A later call may have the same key.
            CoreEvent::Opened { .. } => {
                self.done.remove(&call);
            }
            CoreEvent::Stream { stream, .. } if self.done.contains(&call) => {
                keys.remove(stream);
            }
            CoreEvent::Closed { order, .. } => self.closed = self.closed.max(order + 1),
            _ => {}
        }
        !self.done.contains(&call)
    }

    fn handle_event(
        &mut self,
        event: &CoreEvent,
        lane: LaneKey,
        flows: &mut FlowTable,
        keys: &mut BTreeMap<u32, StreamKey>,
    ) {
        self.lane_of.insert(event.call(), lane);
        match event {
            CoreEvent::Stream {
                call,
                stream,
                flow,
                dialog,
                speaker,
                receiver,
                ssrc,
                kind,
                formats,
                copy_of,
                continues,
            } => {
                let key = StreamKey { flow: *flow, ssrc: *ssrc };
                keys.insert(*stream, key);
                let facts = StreamFacts {
                    membership: Membership {
                        call: *call,
                        dialog: *dialog,
                        speaker: *speaker,
                        receiver: *receiver,
                    },
                    kind: *kind,
                    formats: formats.clone(),
                    copy_of: *copy_of,
                    continues: *continues,
                };
                flows.recover_stream(*stream, key, &facts);
            }
            CoreEvent::Snapshot { call, state } => {
                self.snapshots.insert(*call, state.clone());
            }
            CoreEvent::Ended { call, at } => flows.end_call(*call, *at),
            CoreEvent::Closed { call, .. } | CoreEvent::Abandoned { call } => {
                self.snapshots.remove(call);
                self.lane_of.remove(call);
                flows.close_call(*call).iter().for_each(|stream| {
                    self.interrupted.take(stream.id);
                });
            }
            CoreEvent::Outage { call, .. } => self.interrupted.handle_outage(*call, flows),
            CoreEvent::Returned { call, .. } => flows.handle_resume(*call),
            CoreEvent::Opened { .. } | CoreEvent::Answered { .. } => {}
        }
    }
}
