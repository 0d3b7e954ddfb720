//! How calls come about, or do not.

use nightjar_schema::{CallEventKind, CallState, EndCause, LegRole, Protocol, Timestamp};
use nightjar_signal::Output;

use crate::scene::{By, Dialog, START, Scene, audio, end, events};

#[test]
fn a_call_is_opened_rings_is_answered_and_ended_by_bye() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.talk_s(call, 30);
    scene.hang_up(&dialog, By::Callee, 7);
    scene.wait_s(1);
    assert!(scene.closed().is_empty(), "it lingers for late packets");
    scene.wait_s(2);
    let row = scene.closed()[0].clone();
    assert_eq!((row.protocol, row.state, row.status), (Protocol::Sip, CallState::Completed, Some(200)));
    assert_eq!(row.started_at, Timestamp::from_nanos(START.0));
    assert_eq!(row.answered_at, Some(Timestamp::from_nanos(START.0 + 20_000_000)));
    assert_eq!(row.ended_at, Some(Timestamp::from_nanos(START.0 + 30_040_000_000)));
    assert_eq!(end(&row), (EndCause::Bye, Some(1)));
    assert_eq!(events(&row), [(CallEventKind::Ring, 1), (CallEventKind::Answer, 1)]);
    assert_eq!(row.call_ids, ["c1"]);
    assert!(!row.begun_before_capture);
    let legs: Vec<_> = row.legs.iter().map(|leg| (leg.role, leg.address.as_deref().unwrap())).collect();
    assert_eq!(legs, [(LegRole::Caller, "10.0.0.1"), (LegRole::Callee, "10.0.0.2")]);
    let of = &row.dialogs[0];
    assert_eq!((of.from_tag.as_deref(), of.to_tag.as_deref()), (Some("c1-a"), Some("c1-b")));
    assert_eq!((of.src.as_deref(), of.dst.as_deref()), (Some("10.0.0.1:5060"), Some("10.0.0.2:5060")));
    assert_eq!((of.status, of.answered_at, of.ended_at), (Some(200), row.answered_at, row.ended_at));
    assert_eq!(scene.count(|o| matches!(o, Output::Opened { .. })), 1);
    assert_eq!(scene.count(|o| matches!(o, Output::Answered { dialog: 0, .. })), 1);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 1);
    assert!(scene.bindings().is_empty());
    assert_eq!(scene.directory.open_calls().count(), 0);
    assert_eq!(scene.directory.next_time(), None);
}

#[test]
fn the_same_traffic_gives_the_same_id_and_other_traffic_another() {
    let ids = |call_id: &str| {
        let mut scene = Scene::new();
        scene.establish(&Dialog::new(call_id));
        scene.only_row().id
    };
    assert_eq!(ids("c1"), ids("c1"));
    assert_ne!(ids("c1"), ids("c2"));
}

#[test]
fn a_rejected_call_says_so() {
    for (status, state, cause, leg) in [
        (486, CallState::Rejected, EndCause::Rejected, Some(1)),
        (603, CallState::Rejected, EndCause::Rejected, Some(1)),
        (404, CallState::Rejected, EndCause::Rejected, None),
        (403, CallState::Rejected, EndCause::Rejected, None),
        (488, CallState::Rejected, EndCause::Rejected, None),
        (487, CallState::Cancelled, EndCause::Cancel, Some(0)),
        (408, CallState::Failed, EndCause::Rejected, None),
        (503, CallState::Failed, EndCause::Rejected, None),
    ] {
        let mut scene = Scene::new();
        let dialog = Dialog::new("c1");
        scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
        scene.see(&dialog.answer(1, status)).see(&dialog.refusal_ack(1));
        scene.wait_s(3);
        let row = scene.closed()[0].clone();
        assert_eq!((row.state, row.status), (state, Some(status)));
        assert_eq!(end(&row), (cause, leg), "{status}");
        assert_eq!((row.answered_at, row.dialogs[0].status), (None, Some(status)));
        assert_eq!(row.end.unwrap().reason.as_deref(), Some("Phrase"));
    }
}

#[test]
fn a_cancelled_call_is_cancelled_whatever_the_final_code() {
    for status in [487, 408] {
        let mut scene = Scene::new();
        let dialog = Dialog::new("c1");
        scene.see(&dialog.invite(1)).see(&dialog.answer(1, 180));
        scene.see(&dialog.cancel(1).header("Reason: SIP;cause=600;text=\"gave up\""));
        scene.see(&dialog.cancel(1));
        scene.see(&dialog.response(By::Callee, "CANCEL", 1, 200));
        scene.see(&dialog.answer(1, status)).see(&dialog.refusal_ack(1));
        let row = scene.only_row();
        assert_eq!((row.state, row.status), (CallState::Cancelled, Some(status)));
        assert_eq!(end(&row), (EndCause::Cancel, Some(0)));
        assert_eq!(row.end.unwrap().reason.as_deref(), Some("gave up"));
    }
}

#[test]
fn a_cancel_whose_487_is_never_seen_ends_the_call_after_a_while() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.cancel(1));
    scene.wait_s(31);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 0);
    scene.wait_s(4);
    let row = scene.closed()[0].clone();
    assert_eq!((row.state, row.status), (CallState::Cancelled, None));
    assert_eq!(row.ended_at, Some(Timestamp::from_nanos(START.0 + 10_000_000)));
}

#[test]
fn a_cancel_that_crosses_the_answer_cancels_nothing() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.cancel(1)).see(&dialog.answer(1, 200)).see(&dialog.ack(1));
    scene.wait_s(60);
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
}

#[test]
fn a_challenged_invite_and_its_retry_are_one_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.with_to_tag("proxy").answer(1, 407));
    scene.see(&dialog.with_to_tag("proxy").refusal_ack(1));
    scene.wait_s(52);
    scene.see(&dialog.invite(2).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.with_to_tag("proxy").refusal_ack(1)); // a late copy
    scene.see(&dialog.answer(2, 180)).see(&dialog.answer(2, 200).sdp(audio("10.0.0.2:5000", "")));
    scene.see(&dialog.ack(2));
    scene.hang_up(&dialog, By::Caller, 3);
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
    assert_eq!((row.dialogs.len(), row.dialogs[0].to_tag.as_deref()), (1, Some("c1-b")));
    assert_eq!(row.legs.len(), 2);
}

#[test]
fn a_challenge_that_is_not_taken_up_rejects_the_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.answer(1, 401)).see(&dialog.refusal_ack(1));
    scene.wait_s(119);
    assert!(scene.closed().is_empty());
    scene.wait_s(4);
    let row = scene.closed()[0].clone();
    assert_eq!((row.state, row.status), (CallState::Rejected, Some(401)));
    assert_eq!(row.ended_at, Some(Timestamp::from_nanos(START.0 + 10_000_000)));
}

#[test]
fn challenged_twice_and_then_forbidden_keeps_the_last_code() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.answer(1, 407)).see(&dialog.refusal_ack(1));
    scene.see(&dialog.invite(2)).see(&dialog.answer(2, 407)).see(&dialog.refusal_ack(2));
    scene.see(&dialog.invite(3)).see(&dialog.answer(3, 403)).see(&dialog.refusal_ack(3));
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Rejected, Some(403)));
}

#[test]
fn a_redirected_invite_under_the_same_call_id_is_one_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.with_to_tag("r").answer(1, 302)).see(&dialog.refusal_ack(1));
    let target = dialog.between("10.0.0.1:5060", "10.0.0.9:5060");
    scene.see(&target.invite(2).start("INVITE sip:300@c.example SIP/2.0"));
    scene.see(&target.answer(2, 200)).see(&target.ack(2));
    scene.hang_up(&target, By::Caller, 3);
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
    assert_eq!(row.dialled.uri.as_deref(), Some("sip:200@b.example"));
}

#[test]
fn a_redirection_that_is_not_followed_rejects_the_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.answer(1, 302)).see(&dialog.refusal_ack(1));
    let row = scene.only_row();
    assert_eq!((row.state, row.status, end(&row).0), (CallState::Rejected, Some(302), EndCause::Rejected));
}

#[test]
fn without_a_final_answer_the_call_has_failed() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.answer(1, 100));
    scene.wait_s(100);
    scene.see(&dialog.answer(1, 180));
    scene.wait_s(239);
    assert!(scene.closed().is_empty(), "each provisional answer grants as much again");
    scene.wait_s(4);
    let row = scene.closed()[0].clone();
    assert_eq!((row.state, row.status, end(&row)), (CallState::Failed, None, (EndCause::SetupTimeout, None)));
    assert_eq!(
        row.ended_at,
        Some(Timestamp::from_nanos(START.0 + 100_020_000_000)),
        "the last that was heard"
    );
}

#[test]
fn early_media_keeps_an_unanswered_call_in_setup() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.answer(1, 183).sdp(audio("10.0.0.2:5000", "")));
    let call = scene.opened()[0];
    scene.talk_s(call, 600);
    assert!(scene.closed().is_empty());
    scene.wait_s(63);
    assert_eq!(scene.closed()[0].state, CallState::Failed);
}

#[test]
fn an_answer_that_only_its_ack_shows_is_an_answer() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", ""))).see(&dialog.ack(1));
    scene.wait_s(300);
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, None));
    assert_eq!(row.answered_at, Some(Timestamp::from_nanos(START.0 + 10_000_000)));
}

#[test]
fn other_requests_open_no_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    for method in ["REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "INFO", "NOTIFY", "PUBLISH", "REFER"] {
        scene.see(&dialog.request(By::Caller, method, 1).sdp(audio("10.0.0.1:4000", "")));
        scene.see(&dialog.response(By::Callee, method, 1, 200).sdp(audio("10.0.0.2:4000", "")));
    }
    scene.see(&dialog.request(By::Caller, "ACK", 1)).see(&dialog.answer(1, 486)).see(&dialog.answer(1, 100));
    scene.see(&dialog.response(By::Callee, "BYE", 1, 200)).see(&dialog.cancel(1));
    scene.end_capture();
    assert!(scene.said.is_empty());
    assert_eq!(scene.directory.statistics().requests.register, 1);
    assert_eq!(scene.directory.statistics().opened, 0);
}

#[test]
fn a_call_id_that_is_used_again_makes_a_new_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    scene.hang_up(&dialog, By::Caller, 2);
    scene.wait_ms(100);
    let mut again = dialog.invite(1).sdp(audio("10.0.0.1:4000", ""));
    again.branch.push_str("-again");
    scene.see(&again).see(&dialog.answer(1, 180)).see(&dialog.with_to_tag("new").answer(1, 200));
    scene.wait_s(10);
    let mut third = again.clone();
    third.cseq = "9 INVITE".into();
    scene.see(&third);
    scene.end_capture();
    assert_eq!(scene.closed().len(), 3);
    let ids: std::collections::BTreeSet<_> = scene.closed().iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn different_call_ids_and_different_callers_are_different_calls() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let mut other = dialog.clone();
    other.from_tag = "other".into();
    scene.see(&dialog.invite(1)).see(&other.invite(1)).see(&Dialog::new("c2").invite(1));
    assert_eq!(scene.opened().len(), 3);
}
