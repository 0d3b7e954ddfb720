//! What a worker sees depends on the packets' stamps, not on the batches in which they come.

use nightjar_journal::{BlockPool, LaneConfig, Next, Overflow, RecordKind, lane};
use nightjar_load::{Frame, scenarios};
use nightjar_pipeline::{CaptureCore, CoreEvent, Depth, EventReader, Journalled, Told, Unwatched};
use nightjar_schema::EndCause;
use nightjar_wire::Nanos;

use crate::core::{config, feed};

/// Blocks that hold a whole scenario.
const BLOCKS: usize = 256;

/// Kind, arrival and bytes of a record.
type Written = (RecordKind, Nanos, Vec<u8>);

/// What a capture core writes for its worker.
fn journal(frames: &[Frame], batch: usize) -> Vec<Written> {
    let pool = BlockPool::new(BLOCKS);
    let lane_config = LaneConfig { core: 0, worker: 0, handover: BLOCKS, overflow: Overflow::Shed };
    let (writer, mut reader) = lane(&pool, None, lane_config);
    let mut core = CaptureCore::new(config(Depth::Payload), Journalled::new(vec![writer], Unwatched, false));
    feed(&mut core, frames, batch);
    core.finish(EndCause::CaptureEnd);
    core.end_batch(Nanos::ZERO);
    drop(core);
    let mut written = Vec::new();
    while let Next::Record(_, record) = reader.next() {
        written.push((record.header.kind, record.header.arrival, record.bytes.to_vec()));
    }
    written
}

#[test]
fn the_size_of_the_batches_does_not_reach_the_worker() {
    for name in ["office", "early-media", "media-only", "ssrc-change"] {
        let frames: Vec<Frame> = scenarios::by_name(name, 1).frames().take(4_000).collect();
        let whole = journal(&frames, 512);
        assert!(whole.iter().any(|(kind, ..)| *kind == RecordKind::Media), "{name}");
        for batch in [1, 7, 64] {
            assert!(journal(&frames, batch) == whole, "{name} in batches of {batch}");
        }
    }
}

#[test]
fn what_was_said_before_a_timeout_is_heard_before_it_ends_the_call() {
    let mut frames: Vec<Frame> = scenarios::by_name("bye-unseen", 1).frames().collect();
    // Nothing comes for an hour; then a frame of no call lets the time-out be noticed.
    let last = frames.last().expect("a call has frames").at;
    frames.push(Frame { at: last + Nanos::from_secs(3600), bytes: vec![0; 60], ..Frame::empty() });
    let written = journal(&frames, 512);
    let said = written.iter().rposition(|(kind, ..)| *kind == RecordKind::Media).expect("media");
    let (_, last_media, _) = written[said];
    let mut reader = EventReader::default();
    let told = written[said + 1..].iter().map(|(_, _, bytes)| reader.handle_record(bytes));
    let heard = told
        .take_while(|told| !matches!(told, Told::Event(CoreEvent::Ended { .. })))
        .any(|told| matches!(told, Told::Watermark(mark) if mark.at > last_media + Nanos::from_secs(1)));
    assert!(heard, "no watermark lies between the last packet and the end");
}
