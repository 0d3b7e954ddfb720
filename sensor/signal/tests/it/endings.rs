//! How calls end.

use nightjar_schema::{CallState, EndCause, Timestamp};
use nightjar_signal::Output;
use nightjar_wire::Nanos;

use crate::scene::{By, Dialog, START, Scene, audio, end};

#[test]
fn either_side_may_hang_up() {
    for (by, leg) in [(By::Caller, 0), (By::Callee, 1)] {
        let mut scene = Scene::new();
        let dialog = Dialog::new("c1");
        scene.establish(&dialog);
        scene.hang_up(&dialog, by, 2);
        assert_eq!(end(&scene.only_row()), (EndCause::Bye, Some(leg)));
    }
}

#[test]
fn a_bye_that_nobody_answers_ends_the_call_at_its_own_time() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    let bye = scene.now;
    scene.see(&dialog.request(By::Caller, "BYE", 2)).see(&dialog.request(By::Caller, "BYE", 2));
    scene.wait_s(5);
    let row = scene.closed()[0].clone();
    assert_eq!((row.state, row.ended_at), (CallState::Completed, Some(Timestamp::from_nanos(bye.0))));
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { at, .. } if *at == bye)), 1);
}

#[test]
fn a_challenged_bye_is_none_until_it_is_repeated() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.see(&dialog.request(By::Caller, "BYE", 2)).see(&dialog.response(By::Callee, "BYE", 2, 401));
    scene.talk_s(call, 10);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 0);
    let bye = scene.now;
    scene.hang_up(&dialog, By::Caller, 3);
    let row = scene.only_row();
    assert_eq!((row.state, row.ended_at), (CallState::Completed, Some(Timestamp::from_nanos(bye.0))));
}

#[test]
fn a_bye_that_is_refused_ends_the_call_all_the_same() {
    for status in [481, 408, 500, 403] {
        let mut scene = Scene::new();
        let dialog = Dialog::new("c1");
        scene.establish(&dialog);
        scene.see(&dialog.request(By::Caller, "BYE", 2)).see(&dialog.response(By::Callee, "BYE", 2, status));
        scene.wait_s(3);
        assert_eq!(scene.closed()[0].state, CallState::Completed);
    }
}

#[test]
fn a_bye_before_the_answer_gives_the_call_up() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.answer(1, 180));
    scene.see(&dialog.request(By::Caller, "BYE", 2)).see(&dialog.response(By::Callee, "BYE", 2, 200));
    scene.see(&dialog.answer(1, 487));
    let row = scene.only_row();
    assert_eq!((row.state, end(&row)), (CallState::Cancelled, (EndCause::Bye, Some(0))));
}

#[test]
fn an_answer_that_crosses_the_bye_completes_the_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.answer(1, 180));
    scene.see(&dialog.request(By::Caller, "BYE", 2)).see(&dialog.response(By::Callee, "BYE", 2, 200));
    scene.see(&dialog.answer(1, 200)).see(&dialog.ack(1));
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
    assert!(row.answered_at.is_some());
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 1);
}

#[test]
fn a_lost_bye_is_made_up_for_by_the_media_time_out() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.talk_s(call, 100);
    let last = scene.now - Nanos::from_secs(1);
    scene.wait_s(58);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 0);
    scene.wait_s(10);
    let row = scene.closed()[0].clone();
    assert_eq!((row.state, row.status), (CallState::Incomplete, Some(200)));
    assert_eq!(end(&row), (EndCause::MediaTimeout, None));
    assert_eq!(row.ended_at, Some(Timestamp::from_nanos(last.0)), "the row ends with the last media");
    let decided = last + Nanos::from_secs(60);
    assert_eq!(
        scene.count(
            |o| matches!(o, Output::Ended { at, last_sign, .. } if *at == decided && *last_sign == last)
        ),
        1
    );
}

#[test]
fn the_time_out_does_not_depend_on_how_often_time_is_told() {
    let run = |step_ms: u64| {
        let mut scene = Scene::new();
        let call = scene.establish(&Dialog::new("c1"));
        scene.talk_s(call, 3);
        for _ in 0..(100_000 / step_ms) {
            scene.wait_ms(step_ms);
        }
        scene.said
    };
    assert_eq!(run(10), run(100_000));
}

#[test]
fn a_call_whose_media_passes_elsewhere_is_not_timed_out_for_it() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    scene.wait_s(3 * 3600);
    scene.hang_up(&dialog, By::Caller, 2);
    assert_eq!(scene.only_row().state, CallState::Completed);
    let mut scene = Scene::new();
    scene.establish(&dialog);
    scene.wait_s(5 * 3600);
    assert_eq!(end(scene.closed()[0]), (EndCause::MediaTimeout, None));
}

#[test]
fn what_comes_late_for_a_closed_call_opens_no_other() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.talk_s(call, 3);
    scene.wait_s(70);
    assert_eq!(scene.closed().len(), 1);
    scene.hang_up(&dialog, By::Callee, 2);
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", ""))).see(&dialog.ack(1));
    scene.end_capture();
    assert_eq!((scene.closed().len(), scene.opened().len()), (1, 1));
}

#[test]
fn a_call_that_was_given_up_and_is_renegotiated_goes_on_as_another() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.talk_s(call, 3);
    scene.wait_s(70);
    scene.see(&dialog.request(By::Callee, "INVITE", 5).sdp(audio("10.0.0.2:5000", "")));
    assert_eq!(scene.opened().len(), 2);
    assert!(scene.is_bound("10.0.0.2:5000"));
}

#[test]
fn a_session_timer_that_is_not_refreshed_ends_the_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(
        &dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")).header("Session-Expires: 1800;refresher=uac"),
    );
    scene.see(&dialog.ack(1));
    scene.wait_s(900);
    scene.see(&dialog.request(By::Caller, "UPDATE", 2).header("x: 1800"));
    scene.see(&dialog.response(By::Callee, "UPDATE", 2, 200).header("x: 1800;refresher=uac"));
    let refreshed = scene.now;
    scene.wait_s(1800 + 31);
    assert!(scene.closed().is_empty());
    scene.wait_s(10);
    let row = scene.closed()[0].clone();
    assert_eq!((row.state, end(&row)), (CallState::Incomplete, (EndCause::SessionTimer, None)));
    assert_eq!(row.ended_at, Some(Timestamp::from_nanos(refreshed.0 - 10_000_000)));
}

#[test]
fn while_media_flows_a_session_timer_ends_nothing() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")).header("Session-Expires: 90"));
    scene.see(&dialog.ack(1));
    let call = scene.opened()[0];
    scene.talk_s(call, 600);
    scene.hang_up(&dialog, By::Caller, 2);
    assert_eq!(scene.only_row().state, CallState::Completed);
}

#[test]
fn options_and_info_within_the_dialog_refresh_nothing() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.talk_s(call, 2);
    for cseq in 2..30 {
        scene.see(&dialog.request(By::Caller, "OPTIONS", cseq)).see(&dialog.request(
            By::Caller,
            "INFO",
            cseq,
        ));
        scene.see(&dialog.response(By::Callee, "OPTIONS", cseq, 200));
        scene.wait_s(3);
    }
    assert_eq!(end(scene.closed()[0]), (EndCause::MediaTimeout, None));
}

#[test]
fn the_end_of_the_capture_closes_what_is_open() {
    let mut scene = Scene::new();
    let (answered, ringing, leaving) = (Dialog::new("c1"), Dialog::new("c2"), Dialog::new("c3"));
    scene.establish(&answered);
    scene.see(&ringing.invite(1)).see(&ringing.answer(1, 180));
    scene.establish(&leaving);
    scene.see(&leaving.request(By::Caller, "BYE", 2));
    let at = scene.now;
    scene.end_capture();
    let rows = scene.closed();
    let short: Vec<_> = rows.iter().map(|row| (row.state, end(row).0)).collect();
    assert_eq!(
        short,
        [
            (CallState::Incomplete, EndCause::CaptureEnd),
            (CallState::Failed, EndCause::CaptureEnd),
            (CallState::Completed, EndCause::Bye)
        ]
    );
    assert_eq!(rows[0].ended_at, Some(Timestamp::from_nanos(at.0)));
    assert!(scene.bindings().is_empty());
    assert_eq!(scene.directory.next_time(), None);
}

#[test]
fn a_clock_that_jumps_by_years_does_not_tear_a_call_apart() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1));
    scene.wait_s(200_000_000);
    scene.see(&dialog.answer(1, 100));
    scene.wait_s(300_000);
    scene.see(&dialog.answer(1, 200)).see(&dialog.ack(1));
    scene.wait_s(1_000_000_000);
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.marks), (CallState::Completed, vec!["clock_jump".to_owned()]));
}

#[test]
fn a_stamp_that_goes_back_times_nothing_out() {
    let mut scene = Scene::new();
    scene.directory.handle_time(START + Nanos::from_secs(10_000));
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    scene.wait_s(30);
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.started_at), (CallState::Completed, Timestamp::from_nanos(START.0)));
}
