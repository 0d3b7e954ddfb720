//! Hold and resume.

use nightjar_schema::{CallEventKind, CallState};
use nightjar_signal::Output;

use crate::scene::{By, Dialog, Scene, audio, events};

const ANSWERED: [(CallEventKind, u16); 2] = [(CallEventKind::Ring, 1), (CallEventKind::Answer, 1)];

fn renegotiate(scene: &mut Scene, dialog: &Dialog, by: By, cseq: u32, offer: &str, answer: &str) {
    let (own, other) = match by {
        By::Caller => ("10.0.0.1:4000", "10.0.0.2:5000"),
        By::Callee => ("10.0.0.2:5000", "10.0.0.1:4000"),
    };
    let responder = if by == By::Caller { By::Callee } else { By::Caller };
    scene.see(&dialog.request(by, "INVITE", cseq).sdp(audio(own, offer)));
    scene.see(&dialog.response(responder, "INVITE", cseq, 200).sdp(audio(other, answer)));
    scene.see(&dialog.request(by, "ACK", cseq));
}

#[test]
fn the_party_that_sends_only_holds_the_other() {
    for (offer, answer) in [("a=sendonly\r\n", "a=recvonly\r\n"), ("a=inactive\r\n", "a=inactive\r\n")] {
        let mut scene = Scene::new();
        let dialog = Dialog::new("c1");
        let call = scene.establish(&dialog);
        scene.talk_s(call, 5);
        renegotiate(&mut scene, &dialog, By::Callee, 2, offer, answer);
        scene.wait_s(20);
        renegotiate(&mut scene, &dialog, By::Callee, 3, "", "");
        scene.hang_up(&dialog, By::Caller, 2);
        let row = scene.only_row();
        let held = [(CallEventKind::Hold, 1), (CallEventKind::Resume, 1)];
        assert_eq!(events(&row), [&ANSWERED[..], &held[..]].concat());
    }
}

#[test]
fn an_hour_on_hold_is_one_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.talk_s(call, 5);
    renegotiate(&mut scene, &dialog, By::Caller, 2, "a=sendonly\r\n", "a=recvonly\r\n");
    scene.wait_s(3600);
    renegotiate(&mut scene, &dialog, By::Caller, 3, "a=sendrecv\r\n", "a=sendrecv\r\n");
    scene.wait_s(30);
    scene.talk_s(call, 5);
    scene.hang_up(&dialog, By::Callee, 2);
    let row = scene.only_row();
    assert_eq!(row.state, CallState::Completed);
    assert_eq!(scene.opened().len(), 1);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 1);
}

#[test]
fn after_the_hold_the_media_time_out_runs_again() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    scene.talk_s(call, 5);
    renegotiate(&mut scene, &dialog, By::Caller, 2, "a=sendonly\r\n", "a=recvonly\r\n");
    scene.wait_s(600);
    renegotiate(&mut scene, &dialog, By::Caller, 3, "", "");
    scene.wait_s(59);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 0);
    scene.wait_s(4);
    assert_eq!(scene.closed()[0].state, CallState::Incomplete);
}

#[test]
fn a_hold_by_the_zero_address_keeps_the_endpoint() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    let zero = "c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 8\r\n";
    scene.see(&dialog.request(By::Caller, "INVITE", 2).sdp(zero));
    scene.see(&dialog.answer(2, 200).sdp(audio("10.0.0.2:5000", "")));
    assert_eq!(scene.binding("10.0.0.1:4000").receiver, 0);
    assert_eq!(scene.count(|o| matches!(o, Output::Unbind { .. })), 0);
    scene.wait_s(300);
    renegotiate(&mut scene, &dialog, By::Caller, 3, "", "");
    let row = scene.only_row();
    let held = [(CallEventKind::Hold, 0), (CallEventKind::Resume, 0)];
    assert_eq!(events(&row), [&ANSWERED[..], &held[..]].concat());
}

#[test]
fn a_hold_that_is_refused_or_seen_twice_is_told_right() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    scene.see(&dialog.request(By::Caller, "INVITE", 2).sdp(audio("10.0.0.1:4000", "a=sendonly\r\n")));
    scene.see(&dialog.answer(2, 491));
    let offer = dialog.request(By::Caller, "INVITE", 3).sdp(audio("10.0.0.1:4000", "a=sendonly\r\n"));
    let answer = dialog.answer(3, 200).sdp(audio("10.0.0.2:5000", "a=recvonly\r\n"));
    scene.see(&offer).see(&offer).see(&answer).see(&answer).see(&offer).see(&answer);
    scene.see(&dialog.ack(3)).see(&dialog.ack(3));
    let row = scene.only_row();
    assert_eq!(events(&row), [&ANSWERED[..], &[(CallEventKind::Hold, 0)]].concat());
}

#[test]
fn both_may_hold_and_a_changed_hold_is_told() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    renegotiate(&mut scene, &dialog, By::Caller, 2, "a=sendonly\r\n", "a=recvonly\r\n");
    renegotiate(&mut scene, &dialog, By::Callee, 5, "a=inactive\r\n", "a=inactive\r\n");
    renegotiate(&mut scene, &dialog, By::Caller, 3, "", "a=sendonly\r\n");
    renegotiate(&mut scene, &dialog, By::Callee, 6, "", "");
    let row = scene.only_row();
    let held = [
        (CallEventKind::Hold, 0),
        (CallEventKind::Hold, 1),
        (CallEventKind::Resume, 0),
        (CallEventKind::Resume, 1),
    ];
    assert_eq!(events(&row), [&ANSWERED[..], &held[..]].concat());
    assert_eq!(scene.count(|o| matches!(o, Output::Unbind { .. })), 2, "only when the call is closed");
}

#[test]
fn each_hold_is_worth_a_changed() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    let changes = |scene: &Scene| scene.count(|o| matches!(o, Output::Changed { .. }));
    assert_eq!(changes(&scene), 2, "ring and answer");
    renegotiate(&mut scene, &dialog, By::Caller, 2, "a=sendonly\r\n", "a=recvonly\r\n");
    assert_eq!(changes(&scene), 3);
    assert_eq!(scene.directory.row(call).unwrap().state, CallState::Active);
}
