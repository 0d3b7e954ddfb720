//! After start-up a packet of a call in progress allocates nothing on the capture path (DESIGN,
//! invariant 4).

use allocation_counter::measure;
use nightjar_capture::RawFrame;
use nightjar_flow::Limits;
use nightjar_journal::{BlockPool, LaneConfig, Overflow, lane};
use nightjar_load::{Frame, scenarios};
use nightjar_pipeline::{
    Analysed, CaptureCore, CoreConfig, CoreOutput, Depth, Journalled, Snapshots, Unwatched,
};
use nightjar_signal::SignalConfig;
use nightjar_wire::{LinkType, Nanos, Realm};

/// Blocks that hold the whole scenario, so that nobody has to read them.
const BLOCKS: usize = 256;

fn config(depth: Depth) -> CoreConfig {
    CoreConfig {
        depth,
        snapshots: Snapshots::Never,
        checkpoint_every: Nanos::MAX,
        signal: SignalConfig::default(),
        limits: Limits::default(),
        realm: Realm(0),
    }
}

fn handle<O: CoreOutput>(core: &mut CaptureCore<O>, frames: &[Frame]) {
    for frame in frames {
        core.handle_frame(&RawFrame {
            at: frame.at,
            link: LinkType::Ethernet,
            interface: 0,
            bytes: &frame.bytes,
            original_len: frame.original_len,
        });
        core.end_batch(Nanos::ZERO);
    }
}

/// Allocations while the middle of a call passes, its beginning having passed before.
fn allocations<O: CoreOutput>(mut core: CaptureCore<O>) -> u64 {
    let frames: Vec<Frame> = scenarios::by_name("answered", 1).frames().collect();
    let (beginning, rest) = frames.split_at(frames.len() / 4);
    let middle = &rest[..frames.len() / 2];
    handle(&mut core, beginning);
    assert!(core.ledger().recorded > 100, "the call has begun");
    let before = core.ledger().recorded;
    let counted = measure(|| handle(&mut core, middle));
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
