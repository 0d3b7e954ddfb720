//! After start-up a packet of a call in progress allocates nothing on the capture path (DESIGN,
//! invariant 4).

use allocation_counter::measure;
use nightjar_journal::{BlockPool, LaneConfig, Overflow, lane};
use nightjar_load::{Frame, scenarios};
use nightjar_pipeline::{Analysed, CaptureCore, CoreOutput, Depth, Journalled, Unwatched};

use crate::core::{config, feed};

/// Blocks that hold the whole scenario, so that nobody has to read them.
const BLOCKS: usize = 256;

/// Allocations while the middle of a call passes, its beginning having passed before.
fn allocations<O: CoreOutput>(mut core: CaptureCore<O>) -> u64 {
    let frames: Vec<Frame> = scenarios::by_name("answered", 1).frames().collect();
    let (beginning, rest) = frames.split_at(frames.len() / 4);
    let middle = &rest[..frames.len() / 2];
    feed(&mut core, beginning, 1);
    assert!(core.ledger().recorded > 100, "the call has begun");
    let before = core.ledger().recorded;
    let counted = measure(|| {
        feed(&mut core, &middle[..middle.len() / 2], 1);
        feed(&mut core, &middle[middle.len() / 2..], 64);
    });
    assert_eq!(core.ledger().recorded - before, middle.len() as u64, "all of it is media");
    counted.count_total
}

#[test]
fn a_packet_that_is_analysed_allocates_nothing() {
    assert_eq!(allocations(CaptureCore::new(config(Depth::Headers), Analysed::new(|_| {}))), 0);
}

#[test]
fn a_packet_that_is_journalled_allocates_nothing() {
    let pool = BlockPool::new(BLOCKS);
    let lane_config = LaneConfig { core: 0, worker: 0, handover: BLOCKS, overflow: Overflow::Shed };
    let (writer, _reader) = lane(&pool, None, lane_config);
    let output = Journalled::new(vec![writer], Unwatched, false);
    // A watermark's record each 200 ms is made on the stack, but waits for nothing.
    assert_eq!(allocations(CaptureCore::new(config(Depth::Payload), output)), 0);
}
