//! Calls that are refused or cut: what of them is kept, what their rows say, what the source is told, and
//! that nobody else feels it.

use std::path::Path;
use std::time::Duration;

use nightjar_load::{Frame, FrameClass, Scenario};
use nightjar_media::{ChannelLayout, EncoderConfig};
use nightjar_pipeline::{AdmissionConfig, Analysed, CaptureCore, Depth, Dropped, Learned, Pressure, Spent};
use nightjar_schema::{Call, CallState, DecisionAction, EndCause, GapCause, StreamUse};
use nightjar_wire::Nanos;

use crate::core::{config, feed};
use crate::sensor::{Kill, OpenBlock, Settings, recording, rows};

/// Calls that begin 200 ms apart and talk for `talk` seconds, G.711 in 20 ms packets.
fn calls(count: u64, talk: u64) -> Vec<Frame> {
    let mut scenario = Scenario::new("shedding", 5);
    for index in 0..count {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(100);
        call.talk = Nanos::from_secs(talk);
        call.call_id = Some(format!("call-{index}"));
        scenario.call(Nanos::from_millis(200 * index), call);
    }
    scenario.frames().collect()
}

fn media(frames: &[Frame], call: u32) -> u64 {
    let is_media = |frame: &&Frame| matches!(frame.class, FrameClass::Rtp | FrameClass::Rtcp);
    frames.iter().filter(|frame| frame.call == Some(call)).filter(is_media).count() as u64
}

#[test]
fn calls_beyond_the_budget_are_refused_and_listed_and_their_endpoints_unwanted() {
    let frames = calls(5, 2);
    let mut rows: Vec<Call> = Vec::new();
    let admission = AdmissionConfig { packets_per_second: Some(300), ..AdmissionConfig::default() };
    let mut core = CaptureCore::new(config(Depth::Payload), Analysed::new(|row| rows.push(row)))
        .with_admission(admission);
    let (mut unwanted, mut forgotten) = (Vec::new(), 0);
    for frames in frames.chunks(16) {
        feed(&mut core, frames, 16);
        assert_eq!(core.ledger().residual(), 0);
        core.take_learned(|learned| match learned {
            Learned::Unwanted(endpoint) => unwanted.push(endpoint.socket_addr().to_string()),
            Learned::Forgotten(_) => forgotten += 1,
            Learned::Wanted(_) => {}
        });
    }
    core.finish(EndCause::CaptureEnd);
    core.take_learned(|learned| forgotten += usize::from(matches!(learned, Learned::Forgotten(_))));
    let ledger = core.ledger().clone();
    let counts = core.admission_counts();
    drop(core);

    assert_eq!((counts.admitted, counts.refused[Spent::Promised as usize], counts.promised), (3, 2, 0));
    // Two endpoints with RTCP's of each party.
    assert_eq!((unwanted.len(), forgotten), (2 * 4, 5 * 4));
    let signalling = frames.iter().filter(|frame| frame.class == FrameClass::Signalling).count();
    assert_eq!(ledger.signalling, signalling as u64);
    let refused = media(&frames, 3) + media(&frames, 4);
    assert_eq!((ledger.dropped(Dropped::Refused), ledger.dropped_total()), (refused, refused));
    assert_eq!(rows.len(), 5);
    for row in &rows {
        assert_eq!(row.state, CallState::Completed, "{row:?}");
        if ["call-3", "call-4"].contains(&row.call_ids[0].as_str()) {
            assert_eq!(row.decision.action, DecisionAction::Shed);
            assert_eq!(row.decision.reason.as_deref(), Some("refused: packets_per_second"));
            assert!(row.marks.contains(&"refused".to_owned()) && row.streams.is_empty(), "{row:?}");
        } else {
            assert_eq!((row.decision.action, row.streams.len()), (DecisionAction::Record, 2));
            assert!(row.streams.iter().all(|stream| !unwanted.contains(&stream.dst)));
        }
    }
}

#[test]
fn media_without_signalling_is_refused_first_and_what_waited_of_it_is_counted() {
    let is_media = |frame: &Frame| frame.class == FrameClass::Rtp;
    let frames: Vec<Frame> = calls(1, 5).into_iter().filter(is_media).collect();
    let mut rows: Vec<Call> = Vec::new();
    let admission = AdmissionConfig { packets_per_second: Some(0), ..AdmissionConfig::default() };
    let mut core = CaptureCore::new(config(Depth::Payload), Analysed::new(|row| rows.push(row)))
        .with_admission(admission);
    feed(&mut core, &frames, 64);
    core.finish(EndCause::CaptureEnd);
    let ledger = core.ledger().clone();
    drop(core);
    assert_eq!((ledger.residual(), ledger.held), (0, 0));
    assert_eq!(ledger.dropped(Dropped::Refused), frames.len() as u64);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.decision.action, row.streams.is_empty()), (DecisionAction::Shed, false));
    assert!(row.streams.iter().all(|stream| stream.use_ == StreamUse::Refused), "{row:?}");
}

/// From the third second of the capture on, for 230 ms, 350 frames are lost in a second.
fn lost(now: Nanos) -> u64 {
    let start = calls(1, 1)[0].at;
    let losing = now - (start + Nanos::from_secs(3));
    losing.min(Nanos::from_millis(230)).as_millis() * 350 / 1_000
}

fn settings() -> Settings {
    Settings {
        encoder: EncoderConfig::Wav { channels: ChannelLayout::Stereo },
        cut_every: 8_000,
        open_block: OpenBlock::Kept,
        pause: Duration::ZERO,
        full: 0..0,
        frames_lost: Some(lost),
        lost: None,
    }
}

/// Says what must be of the calls that were cut, and of those that were not.
fn assert_cut(folder: &Path, whole: &Path) {
    let (found, control) = (rows(folder), rows(whole));
    assert_eq!(found.len(), 10);
    let mut cut = Vec::new();
    for (call_id, row) in &found {
        assert_eq!(row.state, CallState::Completed, "{row:?}");
        assert_eq!(row.recordings.len(), 1, "{row:?}");
        let same = recording(folder, row) == recording(whole, &control[call_id]);
        if row.decision.action == DecisionAction::Record {
            assert!(same && row.gaps.is_empty(), "{row:?}");
            continue;
        }
        assert!(!same && row.marks.contains(&"cut".to_owned()), "{row:?}");
        assert_eq!(row.decision.reason.as_deref(), Some("cut: ring"));
        let [gap] = &row.gaps[..] else { panic!("{:?}", row.gaps) };
        let ms = row.recordings[0].duration_ms.unwrap();
        // Both are rounded.
        assert!((gap.at_ms + gap.duration_ms).abs_diff(ms) <= 1, "{row:?}");
        assert_eq!(gap.cause, GapCause::Core);
        // What came before is there: as much as was heard until then, in whole packets.
        let before = recording(whole, &control[call_id]);
        let kept = (gap.at_ms as usize - 60) * 8 * 4;
        assert_eq!(recording(folder, row)[44..kept], before[44..kept]);
        cut.push(call_id.clone());
    }
    // 350 a second are four calls, the newest.
    assert_eq!(cut, ["call-6", "call-7", "call-8", "call-9"]);
}

#[test]
fn a_cut_call_keeps_what_came_before_and_the_others_everything() {
    let frames = calls(10, 5);
    let [folder, whole] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    Settings { frames_lost: None, ..settings() }.run(whole.path(), &frames, &Kill::never());
    settings().run(folder.path(), &frames, &Kill::never());
    assert_cut(folder.path(), whole.path());
}

#[test]
fn a_call_that_was_cut_stays_so_when_the_sensor_is_started_again() {
    let frames = calls(10, 5);
    let whole = tempfile::tempdir().unwrap();
    Settings { frames_lost: None, ..settings() }.run(whole.path(), &frames, &Kill::never());
    let start = frames[0].at;
    let at = |seconds| frames.iter().position(|frame| frame.at >= start + Nanos::from_secs(seconds)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kill = Kill::before(u64::MAX);
    kill.when_taken(at(5));
    let run = settings().run(folder.path(), &frames, &kill);
    // No frame is missing in between, so nothing but the cut is seen in the recordings.
    settings().run(folder.path(), &frames[run.frames..], &Kill::never());
    let found = rows(folder.path());
    let shed = found.iter().filter(|(_, row)| row.decision.action == DecisionAction::Shed);
    for (call_id, row) in shed.clone() {
        let causes: Vec<GapCause> = row.gaps.iter().map(|gap| gap.cause).collect();
        assert_eq!((causes, row.state), (vec![GapCause::Core], CallState::Completed), "{call_id} {row:?}");
    }
    let cut: Vec<&String> = shed.map(|(call_id, _)| call_id).collect();
    assert_eq!(cut, ["call-6", "call-7", "call-8", "call-9"]);
}

#[test]
fn a_cut_call_that_stays_silent_goes_on_until_it_hangs_up() {
    let frames = calls(1, 100);
    let mut rows: Vec<Call> = Vec::new();
    let mut core = CaptureCore::new(config(Depth::Payload), Analysed::new(|row| rows.push(row)))
        .with_admission(AdmissionConfig::default());
    let (start, mut lost_frames) = (frames[0].at, 0);
    for frames in frames.chunks(4) {
        // The source has understood: nothing comes of the call's media behind the cut.
        let comes = |frame: &&Frame| frame.class == FrameClass::Signalling || lost_frames < 40;
        let left: Vec<Frame> = frames.iter().filter(comes).cloned().collect();
        feed(&mut core, &left, 4);
        let at = frames[frames.len() - 1].at;
        core.handle_time(at);
        if at - start > Nanos::from_secs(2) {
            lost_frames += 2;
        }
        core.handle_pressure(&Pressure { lost_frames, ..Pressure::default() });
    }
    core.finish(EndCause::CaptureEnd);
    drop(core);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.decision.action, row.state), (DecisionAction::Shed, CallState::Completed), "{row:?}");
    assert_eq!(row.end.as_ref().unwrap().cause, EndCause::Bye);
}
