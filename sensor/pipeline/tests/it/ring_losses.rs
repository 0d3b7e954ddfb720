//! A gap is the sensor's where a ring of its source was full, and the wire's anywhere else.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nightjar_capture::RingLoss;
use nightjar_capture::fakes::{MemoryFrame, MemorySource, Play};
use nightjar_journal::{BlockPool, LaneConfig, Next, Overflow, RecordKind, lane};
use nightjar_load::{Frame, FrameClass, Scenario};
use nightjar_media::{ChannelLayout, EncoderConfig};
use nightjar_pipeline::{
    AfterError, CaptureCore, Depth, EventReader, Journalled, Told, Unwatched, capture_loop,
};
use nightjar_schema::{Call, GapCause};
use nightjar_wire::Nanos;

use crate::core::config;
use crate::sensor::{Kill, OpenBlock, Settings, rows};

/// How long each hole is.
const HOLE: Nanos = Nanos::from_millis(100);
/// What of a call is lost in a hole: five packets of each party.
const PACKETS: u64 = 5;

/// Two calls, without what came in the 100 ms behind each of these times; and where the first hole is.
fn frames(holes: &[Nanos]) -> (Vec<Frame>, RingLoss) {
    let mut scenario = Scenario::new("ring", 5);
    for index in 0..2 {
        let mut call = scenario.plain();
        call.talk = Nanos::from_secs(20);
        scenario.call(Nanos::from_millis(300 * index), call);
    }
    let all: Vec<Frame> = scenario.frames().collect();
    let from = all[0].at + holes[0];
    let in_hole = |frame: &Frame| {
        let mut starts = holes.iter().map(|hole| all[0].at + *hole);
        frame.class == FrameClass::Rtp && starts.any(|start| (start..start + HOLE).contains(&frame.at))
    };
    let kept: Vec<Frame> = all.iter().filter(|frame| !in_hole(frame)).cloned().collect();
    let frames = (all.len() - kept.len()) as u64;
    assert_eq!(frames, 4 * PACKETS * holes.len() as u64, "two parties each of two calls");
    (kept, RingLoss { from, to: from + HOLE, frames: 4 * PACKETS })
}

fn settings(lost: Option<RingLoss>, open_block: OpenBlock) -> Settings {
    let encoder = EncoderConfig::Wav { channels: ChannelLayout::Stereo };
    Settings {
        encoder,
        cut_every: 3 * 8000,
        open_block,
        pause: Duration::ZERO,
        full: 0..0,
        frames_lost: None,
        lost,
    }
}

/// Gaps of streams: their causes with how many there are, and the packets that each stream has lost by us.
fn told(row: &Call) -> (Vec<(GapCause, usize)>, Vec<u64>) {
    let of_streams = row.gaps.iter().filter(|gap| gap.stream.is_some());
    let causes: Vec<GapCause> = of_streams.map(|gap| gap.cause).collect();
    let runs = causes.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    (runs, row.streams.iter().map(|stream| stream.lost_ours).collect())
}

#[test]
fn a_gap_while_a_ring_was_full_is_the_sensors_and_any_other_is_the_wires() {
    let (frames, loss) = frames(&[Nanos::from_secs(8), Nanos::from_secs(12)]);
    for (lost, first, ours) in [(Some(loss), GapCause::Ring, PACKETS), (None, GapCause::Wire, 0)] {
        let folder = tempfile::tempdir().unwrap();
        settings(lost, OpenBlock::Kept).run(folder.path(), &frames, &Kill::never());
        let rows = rows(folder.path());
        assert_eq!(rows.len(), 2);
        for row in rows.values() {
            let expected =
                if ours > 0 { vec![(first, 2), (GapCause::Wire, 2)] } else { vec![(GapCause::Wire, 4)] };
            assert_eq!(told(row), (expected, vec![ours; 2]), "{:?}", row.gaps);
            assert!(row.streams.iter().all(|stream| stream.lost == 2 * PACKETS));
        }
    }
}

#[test]
fn what_a_ring_has_lost_is_known_after_a_crash() {
    let (frames, loss) = frames(&[Nanos::from_secs(8)]);
    let at = |span: Nanos| frames.iter().position(|frame| frame.at >= frames[0].at + span).unwrap();
    // Once the calls were saved behind the loss, and once before: then the journal alone has it.
    for second in [9, 16] {
        let folder = tempfile::tempdir().unwrap();
        let kill = Kill::never();
        kill.when_taken(at(Nanos::from_secs(second)));
        let taken = settings(Some(loss), OpenBlock::Kept).run(folder.path(), &frames, &kill).frames;
        settings(None, OpenBlock::Kept).run(folder.path(), &frames[taken..], &Kill::never());
        let rows = rows(folder.path());
        assert_eq!(rows.len(), 2);
        for row in rows.values() {
            let (causes, ours) = told(row);
            assert_eq!((causes, ours), (vec![(GapCause::Ring, 2)], vec![PACKETS; 2]), "{:?}", row.gaps);
        }
    }
}

#[test]
fn the_capture_loop_hands_a_sources_losses_to_every_lane() {
    let pool = BlockPool::new(16);
    let lanes = (0..2).map(|worker| LaneConfig { core: 0, worker, handover: 8, overflow: Overflow::Shed });
    let (writers, readers): (Vec<_>, Vec<_>) = lanes.map(|config| lane(&pool, None, config)).unzip();
    let mut core = CaptureCore::new(config(Depth::Payload), Journalled::new(writers, Unwatched, false));
    let (from, to) = (Nanos::from_secs(1), Nanos::from_millis(1_020));
    let frame = MemoryFrame::ethernet(from, vec![0; 60]);
    let plays = [Play::Frames(vec![frame]), Play::Lost(RingLoss { from, to, frames: 3 })];
    let mut source = MemorySource::plays(plays);
    let stop = AtomicBool::new(false);
    assert!(capture_loop(&mut source, &mut core, &stop, AfterError::Stop, |_, _| {}).is_empty());
    core.end_batch(Nanos::ZERO);
    drop(core);
    for (worker, mut reader) in (0..).zip(readers) {
        let (mut events, mut lost) = (EventReader::default(), Vec::new());
        while let Next::Record(_, record) = reader.next() {
            assert_eq!(record.header.kind, RecordKind::Event);
            if let Told::RingLost(told) = events.handle_record(record.bytes) {
                lost.push((told.from, told.to, told.share.worker, told.share.workers));
            }
        }
        assert_eq!(lost, [(from, to, worker, 2)]);
    }
}
