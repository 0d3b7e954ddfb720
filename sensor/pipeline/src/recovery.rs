//! What an earlier run of the sensor left in the journal: ended calls are finished, calls in
//! progress continue under their ids, with a gap for the time in which no sensor ran.

use std::collections::BTreeMap;

use nightjar_flow::{FlowTable, Membership, StreamFacts, StreamKey};
use nightjar_journal::{RecordKind, Recovery};
use nightjar_wire::{CallKey, Nanos, RtpView};

use crate::event::CoreEvent;
use crate::journalled::{EventReader, Told};
use crate::media_worker::MediaWorker;
use crate::recording::RecordingTarget;

/// What was found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The last state that signalling wrote of each call that was not closed.
    pub snapshots: BTreeMap<CallKey, Vec<u8>>,
    /// Media packets that were read again.
    pub packets: u64,
    /// The latest stamp.
    pub last_at: Nanos,
    /// Event records that could not be read.
    pub unreadable: u64,
    /// The highest number of a closed row.
    pub closed: u64,
}

/// Reads the journal again: `worker` mixes what was recorded, `flows` counts its streams.
pub fn recover<T: RecordingTarget>(
    journal: &mut Recovery,
    flows: &mut FlowTable,
    worker: &mut MediaWorker<T>,
) -> Recovered {
    let mut found = Recovered::default();
    // A lane of a run: an event's parts follow each other there.
    let mut readers: BTreeMap<(u32, u16, u16), EventReader> = BTreeMap::new();
    let mut keys: BTreeMap<u32, StreamKey> = BTreeMap::new();
    while let Some(block) = journal.next_block() {
        let events = readers.entry((block.run, block.id.core, block.id.worker)).or_default();
        for record in block.records() {
            let header = record.header;
            match header.kind {
                RecordKind::Media => {
                    found.packets += 1;
                    found.last_at = found.last_at.max(header.arrival);
                    if let (Some(key), Ok(rtp)) = (keys.get(&header.stream), RtpView::parse(record.bytes)) {
                        // Mirror copies were left out before the journal: a number of its own for
                        // each datagram keeps repetitions what they are.
                        let ip_id = Some((found.packets % 65_535) as u16 + 1);
                        flows.handle_rtp(header.arrival, key.flow, &rtp, ip_id);
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
                        found.handle_event(&event, flows, &mut keys);
                        worker.handle_event(event);
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
    fn handle_event(
        &mut self,
        event: &CoreEvent,
        flows: &mut FlowTable,
        keys: &mut BTreeMap<u32, StreamKey>,
    ) {
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
            CoreEvent::Closed { call, order, .. } => {
                self.snapshots.remove(call);
                self.closed = self.closed.max(order + 1);
                flows.close_call(*call);
            }
            CoreEvent::Opened { .. } | CoreEvent::Answered { .. } => {}
        }
    }
}
