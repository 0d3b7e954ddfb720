//! Calls whose beginning was before the capture.

use nightjar_schema::{CallState, EndCause};
use nightjar_signal::Output;

use crate::scene::{By, Dialog, Scene, audio, end, endpoint, events};

#[test]
fn a_reinvite_seen_first_makes_a_call_that_began_before() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.request(By::Callee, "INVITE", 5).sdp(audio("10.0.0.2:5000", "")));
    scene.see(&dialog.response(By::Caller, "INVITE", 5, 200).sdp(audio("10.0.0.1:4000", "")));
    assert_eq!(scene.binding("10.0.0.1:4000").remote, Some(endpoint("10.0.0.2:5000")));
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert!(row.begun_before_capture);
    assert_eq!((row.state, row.answered_at, row.status), (CallState::Completed, None, None));
    assert_eq!(end(&row), (EndCause::Bye, Some(1)), "who re-invites is taken for the caller");
    assert!(events(&row).is_empty());
}

#[test]
fn an_update_seen_first_makes_a_call_that_began_before() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.request(By::Caller, "UPDATE", 5));
    assert!(scene.opened().is_empty(), "its media may belong to a call that is open already");
    scene.see(&dialog.response(By::Callee, "UPDATE", 5, 200));
    scene.wait_s(3);
    assert_eq!(scene.opened().len(), 1);
    scene.hang_up(&dialog, By::Callee, 9);
    let row = scene.only_row();
    assert_eq!((row.begun_before_capture, row.state), (true, CallState::Completed));
}

#[test]
fn a_200_seen_first_answers_a_call_that_began_before() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", ""))).see(&dialog.ack(1));
    scene.hang_up(&dialog, By::Callee, 1);
    let row = scene.only_row();
    assert_eq!((row.begun_before_capture, row.state, row.status), (true, CallState::Completed, Some(200)));
    assert!(row.answered_at.is_some());
    assert_eq!((row.from.number.as_deref(), row.to.number.as_deref()), (Some("+49301"), Some("200")));
    assert_eq!(row.dialled.uri, None);
    assert_eq!(row.dialogs[0].src.as_deref(), Some("10.0.0.1:5060"), "the request's sender");
    assert_eq!((row.legs[0].address.as_deref(), row.legs[1].address.as_deref()), (None, Some("10.0.0.2")));
}

#[test]
fn a_180_seen_first_is_followed_to_its_end() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.answer(1, 180)).see(&dialog.answer(1, 486)).see(&dialog.refusal_ack(1));
    let row = scene.only_row();
    assert_eq!((row.begun_before_capture, row.state, row.status), (true, CallState::Rejected, Some(486)));
}

#[test]
fn a_bye_seen_first_is_a_call_that_is_over() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.hang_up(&dialog, By::Callee, 8);
    let row = scene.only_row();
    assert_eq!((row.begun_before_capture, row.state), (true, CallState::Completed));
    assert_eq!((end(&row), row.ended_at), ((EndCause::Bye, Some(0)), Some(row.started_at)));
    assert_eq!(scene.count(|o| matches!(o, Output::Opened { .. })), 1);
}

#[test]
fn a_hold_is_understood_in_a_call_that_began_before() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.request(By::Caller, "INVITE", 5).sdp(audio("10.0.0.1:4000", "a=sendonly\r\n")));
    scene.see(&dialog.response(By::Callee, "INVITE", 5, 200).sdp(audio("10.0.0.2:5000", "a=recvonly\r\n")));
    let call = scene.opened()[0];
    scene.talk_s(call, 1);
    scene.wait_s(1000);
    assert!(scene.closed().is_empty());
    assert_eq!(events(&scene.only_row()).len(), 1);
}

#[test]
fn two_calls_of_one_name_and_one_stamp_have_two_ids() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let now = scene.now;
    scene.see(&dialog.request(By::Caller, "UPDATE", 5).sdp(audio("10.0.0.1:4000", "")));
    scene.now = now;
    scene.see(&dialog.invite(6).sdp(audio("10.0.0.1:4000", "")));
    let mut ids: Vec<_> = scene
        .said
        .iter()
        .filter_map(|said| if let Output::Opened { id, .. } = said { Some(*id) } else { None })
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}
