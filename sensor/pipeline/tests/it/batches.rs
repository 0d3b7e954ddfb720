//! What a worker sees depends on the packets' stamps, not on the batches in which they come.

use nightjar_journal::{BlockPool, LaneConfig, Next, Overflow, RecordKind, lane};
use nightjar_load::{Frame, scenarios};
use nightjar_pipeline::{
    Analysed, CaptureCore, CoreConfig, CoreEvent, Depth, EventReader, Journalled, Snapshots, Told, Unwatched,
};
use nightjar_schema::{Call, EndCause};
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

/// The rows of a capture of which no payload is kept.
fn rows(config: CoreConfig, frames: &[Frame], batch: usize) -> Vec<Call> {
    let mut rows = Vec::new();
    let mut core = CaptureCore::new(config, Analysed::new(|row| rows.push(row)));
    feed(&mut core, frames, batch);
    core.finish(EndCause::CaptureEnd);
    drop(core);
    rows
}

/// The frames, those from `index` on stamped earlier by `by`.
fn set_back(frames: &[Frame], index: usize, by: Nanos) -> Vec<Frame> {
    let mut frames = frames.to_vec();
    frames[index..].iter_mut().for_each(|frame| frame.at = frame.at - by);
    frames
}

#[test]
fn a_clock_that_was_set_back_ends_calls_alike_with_and_without_checkpoints() {
    let call: Vec<Frame> = scenarios::by_name("bye-unseen", 1).frames().collect();
    let noise = |at| Frame { at, bytes: vec![0; 60], ..Frame::empty() };
    // Ahead for one frame, then back; the call's end is timed out.
    let (before, after) = call.split_at(call.len() / 2);
    let end = noise(call[call.len() - 1].at + Nanos::from_secs(75));
    for ahead in [30, 50, 5 * 3600, 30 * 3600] {
        let ahead = noise(before[before.len() - 1].at + Nanos::from_secs(ahead));
        let frames = [before, &[ahead], after, std::slice::from_ref(&end)].concat();
        let rows = |snapshots, checkpoint_every, batch| {
            rows(CoreConfig { snapshots, checkpoint_every, ..config(Depth::Payload) }, &frames, batch)
        };
        let expected = rows(Snapshots::Never, Nanos::MAX, 64);
        assert!(!expected.is_empty());
        assert_eq!(rows(Snapshots::OnChange, Nanos::from_secs(5), 1), expected);
    }
}

#[test]
fn a_call_goes_on_from_where_it_was_when_the_clock_is_set_back() {
    let call: Vec<Frame> = scenarios::by_name("answered", 1).frames().collect();
    let index = call.len() / 2;
    // How long the step itself took is not known.
    let untold = call[index].at - call[index - 1].at;
    let steady = set_back(&call, index, untold);
    let media = |frames: &[Frame]| {
        let written = journal(frames, 64).into_iter();
        written.filter(|(kind, ..)| *kind == RecordKind::Media).collect::<Vec<_>>()
    };
    let (expected, mut expected_rows) = (media(&steady), rows(config(Depth::Payload), &steady, 64));
    assert!(expected.len() > 100 && expected_rows.len() == 1);
    expected_rows[0].marks.push("clock_jump".to_owned());
    for seconds in [2, 3600, 20 * 24 * 3600] {
        let frames = set_back(&call, index, untold + Nanos::from_secs(seconds));
        assert!(media(&frames) == expected, "set back by {seconds} s");
        assert_eq!(rows(config(Depth::Payload), &frames, 64), expected_rows);
    }
}

#[test]
fn no_packet_comes_that_is_stamped_before_a_watermark() {
    let call: Vec<Frame> = scenarios::by_name("answered", 1).frames().collect();
    let disorder = [(3, 300), (3, 900), (50, 1_500), (7, 3_600_000)];
    for (each, millis) in disorder {
        let mut frames = call.clone();
        for frame in frames.iter_mut().skip(1).step_by(each) {
            frame.at = frame.at - Nanos::from_millis(millis);
        }
        let (mut reader, mut watermark) = (EventReader::default(), Nanos::ZERO);
        let (mut media, written) = (0, journal(&frames, 7));
        for (kind, arrival, bytes) in &written {
            match kind {
                RecordKind::Event => {
                    if let Told::Watermark(told) = reader.handle_record(bytes) {
                        watermark = told.at;
                    }
                }
                RecordKind::Media => {
                    media += 1;
                    assert!(*arrival >= watermark, "each {each}th {millis} ms behind");
                }
                _ => {}
            }
        }
        let last = call[call.len() - 1].at;
        assert!(media > 100 && watermark <= last && watermark + Nanos::from_secs(2) > last);
    }
}
