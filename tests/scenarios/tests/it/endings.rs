//! How calls end that nobody hangs up, while other calls keep the capture's clock going.

use std::path::Path;

use nightjar_load::{
    CallPlan, Ending, HoldForm, MidCall, MidCallChange, Music, PcapOptions, Scenario, Side, Visible,
};
use nightjar_scenarios::{Replayed, SEED, Setting, generated, replay_file};
use nightjar_schema::{Call, CallState, EndCause, Protocol};
use nightjar_wire::Nanos;

/// A call varied by `vary` beside a plain one of five minutes; the former's row.
fn beside_a_long_call(vary: fn(&mut CallPlan)) -> (Call, Replayed) {
    let mut scenario = Scenario::new("endings", *SEED);
    let mut call = scenario.plain();
    vary(&mut call);
    scenario.call(Nanos::ZERO, call);
    let mut long = scenario.plain();
    long.talk = Nanos::from_secs(300);
    scenario.call(Nanos::from_secs(1), long);
    let replay = |path: &Path| replay_file(path, Setting::default());
    let (expected, replayed) = generated(&scenario, "capture.pcap", &PcapOptions::default(), replay);
    let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((replayed.calls.len(), replayed.summary.packets.residual()), (2, 0));
    assert_eq!(replayed.summary.packets.recorded, expected.ledger.media());
    let own = |row: &&Call| row.call_ids.first() == expected.calls[0].call_id.as_ref();
    let row = replayed.calls.iter().find(own).expect("the call has a row").clone();
    (row, replayed)
}

#[test]
fn a_call_whose_bye_was_never_seen_ends_by_media_time_out_and_its_recording_with_its_media() {
    let (row, replayed) = beside_a_long_call(|call| call.ending = Ending::ByeUnseen);
    assert_eq!(row.state, CallState::Incomplete);
    assert_eq!(row.end.as_ref().map(|end| end.cause), Some(EndCause::MediaTimeout));
    let last = row.streams.iter().map(|stream| stream.ended_at).max().unwrap();
    let (recording, sound) = replayed.sound(&row).expect("a recording");
    let end = recording.started_at.0 / 1000 + sound.duration_ms() as i64;
    assert!((0..=20).contains(&(end - last.0 / 1000)), "it ends {} ms after its media", end - last.0 / 1000);
}

#[test]
fn a_hold_suspends_the_media_time_out() {
    let (row, _) = beside_a_long_call(|call| {
        call.talk = Nanos::from_secs(200);
        let (how, span) = (HoldForm::SendOnly, Nanos::from_secs(180));
        let change = MidCallChange::Hold { how, span, music: Music::None };
        call.mid_call.push(MidCall { at: Nanos::from_secs(5), by: Side::Callee, change });
    });
    assert_eq!((row.state, row.end.map(|end| end.cause)), (CallState::Completed, Some(EndCause::Bye)));
    assert!((199_900..=200_100).contains(&row.recordings[0].duration_ms.unwrap()), "{:?}", row.recordings);
}

#[test]
fn a_call_without_signalling_ends_by_media_time_out() {
    let (row, _) = beside_a_long_call(|call| call.visible = Visible::MediaOnly);
    assert_eq!(row.protocol, Protocol::None);
    assert_eq!(row.end.map(|end| end.cause), Some(EndCause::MediaTimeout));
    assert_eq!(row.streams.len(), 2);
}

#[test]
fn a_held_call_whose_session_timer_runs_out_is_over() {
    let (row, _) = beside_a_long_call(|call| {
        call.session_expires = Some(90);
        call.ending = Ending::ByeUnseen;
        let (how, span) = (HoldForm::SendOnly, Nanos::from_secs(400));
        let change = MidCallChange::Hold { how, span, music: Music::None };
        call.mid_call.push(MidCall { at: Nanos::from_secs(5), by: Side::Callee, change });
    });
    assert_eq!(
        (row.state, row.end.map(|end| end.cause)),
        (CallState::Incomplete, Some(EndCause::SessionTimer))
    );
}
