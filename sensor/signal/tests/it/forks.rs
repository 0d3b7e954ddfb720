//! Several targets, in parallel and one after the other.

use nightjar_schema::{CallState, EndCause};
use nightjar_signal::Output;

use crate::scene::{By, Dialog, Scene, audio, end, endpoint};

#[test]
fn several_forks_ring_and_one_answers() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let (desk, mobile) = (dialog.with_to_tag("desk"), dialog.with_to_tag("mobile"));
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&desk.answer(1, 183).sdp(audio("10.0.0.2:5000", "")));
    scene.see(&mobile.answer(1, 180).sdp(audio("10.0.0.3:6000", "")));
    scene.see(&desk.answer(1, 180));
    let shared: Vec<_> = scene
        .bindings()
        .into_iter()
        .filter(|b| b.endpoint == endpoint("10.0.0.1:4000"))
        .map(|b| (b.dialog, b.speaker, b.remote))
        .collect();
    let expected =
        [(0, Some(1), Some(endpoint("10.0.0.2:5000"))), (1, Some(2), Some(endpoint("10.0.0.3:6000")))];
    assert_eq!(shared, expected, "the offer's port is shared by both dialogs");
    scene.see(&mobile.answer(1, 200).sdp(audio("10.0.0.3:6000", ""))).see(&mobile.ack(1));
    assert_eq!(scene.count(|o| matches!(o, Output::Answered { dialog: 1, .. })), 1);
    assert!(!scene.is_bound("10.0.0.2:5000"));
    assert_eq!(scene.binding("10.0.0.1:4000").dialog, 1);
    scene.see(&desk.answer(1, 180)); // late, of the fork that lost
    assert!(!scene.is_bound("10.0.0.2:5000"));
    scene.hang_up(&mobile, By::Callee, 9);
    let row = scene.only_row();
    assert_eq!(
        (row.state, row.status, end(&row)),
        (CallState::Completed, Some(200), (EndCause::Bye, Some(2)))
    );
    assert_eq!((row.dialogs.len(), row.legs.len()), (2, 3));
    assert_eq!((row.dialogs[0].status, row.dialogs[1].status), (None, Some(200)));
    assert_eq!(row.dialogs[1].legs, [0, 2]);
}

#[test]
fn a_fork_that_refuses_ends_nothing_while_another_rings() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let proxy = "10.0.0.2:5060";
    let invite = dialog.invite(1).sdp(audio("10.0.0.1:4000", ""));
    scene.see(&invite);
    let targets = ["10.0.0.3:5060", "10.0.0.4:5060"];
    for target in targets {
        scene.see(&invite.clone().on_hop(proxy, target));
    }
    let of = |target: &str, tag: &str, status: u16| {
        let request = invite.clone().on_hop(proxy, target);
        let mut response = dialog.with_to_tag(tag).answer(1, status);
        (response.src, response.dst, response.branch) = (target.into(), proxy.into(), request.branch);
        response
    };
    scene.see(&of(targets[0], "x", 180)).see(&of(targets[0], "x", 486)).see(&of(targets[1], "y", 180));
    scene.wait_s(60);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 0);
    scene.see(&of(targets[1], "y", 200).sdp(audio("10.0.0.4:5000", "")));
    let winner = dialog.with_to_tag("y");
    scene.see(&winner.answer(1, 200).sdp(audio("10.0.0.4:5000", ""))).see(&winner.ack(1));
    scene.hang_up(&winner, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
}

#[test]
fn forks_that_all_refuse_end_the_call_with_the_callers_own_answer() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let invite = dialog.invite(1);
    let hop = invite.clone().on_hop("10.0.0.2:5060", "10.0.0.3:5060");
    let mut refusal = dialog.answer(1, 404);
    (refusal.src, refusal.dst, refusal.branch) = (hop.dst.clone(), hop.src.clone(), hop.branch.clone());
    scene.see(&invite).see(&hop).see(&refusal);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 0);
    scene.see(&dialog.answer(1, 480));
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Rejected, Some(480)));
}

#[test]
fn the_callers_answer_not_seen_the_last_forks_stands_in_for_it() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let invite = dialog.invite(1);
    let hop = invite.clone().on_hop("10.0.0.2:5060", "10.0.0.3:5060");
    let mut refusal = dialog.answer(1, 404);
    (refusal.src, refusal.dst, refusal.branch) = (hop.dst.clone(), hop.src.clone(), hop.branch.clone());
    scene.see(&invite).see(&hop).see(&refusal);
    scene.wait_s(35);
    let row = scene.closed()[0];
    assert_eq!((row.state, row.status), (CallState::Rejected, Some(404)));
}

#[test]
fn a_proxy_that_cancels_one_target_to_try_the_next_cancels_no_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let invite = dialog.invite(1).sdp(audio("10.0.0.1:4000", ""));
    let hop = invite.clone().on_hop("10.0.0.2:5060", "10.0.0.3:5060");
    scene.see(&invite).see(&hop);
    let mut cancel = dialog.cancel(1);
    (cancel.src, cancel.dst, cancel.branch) = (hop.src.clone(), hop.dst.clone(), hop.branch.clone());
    let mut refusal = dialog.with_to_tag("x").answer(1, 487);
    (refusal.src, refusal.dst, refusal.branch) = (hop.dst.clone(), hop.src.clone(), hop.branch.clone());
    scene.see(&cancel).see(&refusal);
    scene.wait_s(20);
    scene.see(&invite.clone().on_hop("10.0.0.2:5060", "10.0.0.4:5060"));
    scene.wait_s(20);
    let winner = dialog.with_to_tag("y");
    scene.see(&winner.answer(1, 200).sdp(audio("10.0.0.4:5000", ""))).see(&winner.ack(1));
    scene.hang_up(&winner, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.status, end(&row).0), (CallState::Completed, Some(200), EndCause::Bye));
}

#[test]
fn two_forks_that_both_answer_end_with_the_last_bye() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let (one, two) = (dialog.with_to_tag("one"), dialog.with_to_tag("two"));
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&one.answer(1, 200).sdp(audio("10.0.0.2:5000", ""))).see(&one.ack(1));
    scene.see(&two.answer(1, 200).sdp(audio("10.0.0.3:5000", ""))).see(&two.ack(1));
    scene.hang_up(&one, By::Caller, 2);
    assert_eq!(scene.count(|o| matches!(o, Output::Ended { .. })), 0);
    assert_eq!(scene.count(|o| matches!(o, Output::Answered { dialog: 1, .. })), 1, "the other one goes on");
    assert!(!scene.is_bound("10.0.0.2:5000") && scene.is_bound("10.0.0.3:5000"));
    scene.hang_up(&two, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, end(&row)), (CallState::Completed, (EndCause::Bye, Some(0))));
}

#[test]
fn behind_a_proxy_a_target_that_refuses_ends_nothing_while_its_other_target_rings() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let of = |target: &str| dialog.between("10.0.0.2:5060", target);
    let (desk, mobile) = (of("10.0.0.3:5060").with_to_tag("x"), of("10.0.0.4:5060").with_to_tag("y"));
    scene.see(&desk.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&mobile.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&desk.answer(1, 180)).see(&mobile.answer(1, 180));
    scene.see(&desk.answer(1, 486)).see(&desk.refusal_ack(1));
    scene.wait_s(10);
    scene.see(&mobile.answer(1, 200).sdp(audio("10.0.0.4:5000", ""))).see(&mobile.ack(1));
    scene.hang_up(&mobile, By::Callee, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
}

#[test]
fn targets_that_are_asked_one_after_the_other_end_one_after_the_other() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let proxy = "10.0.0.2:5060";
    let invite = dialog.invite(1).sdp(audio("10.0.0.1:4000", ""));
    let ask = |target: &str| invite.clone().on_hop(proxy, target);
    let of = |target: &str, tag: &str, status: u16| {
        let mut response = dialog.with_to_tag(tag).answer(1, status);
        (response.src, response.dst, response.branch) = (target.into(), proxy.into(), ask(target).branch);
        response
    };
    let targets = ["10.0.0.3:5060", "10.0.0.4:5060", "10.0.0.5:5060"];
    scene.see(&invite).see(&ask(targets[0]));
    scene.see(&of(targets[0], "x", 183).sdp(audio("10.0.0.3:5000", "")));
    assert!(scene.is_bound("10.0.0.3:5000"));
    let refused = scene.now;
    scene.see(&of(targets[0], "x", 486));
    assert!(!scene.is_bound("10.0.0.3:5000"));
    // One that refuses without ringing makes no dialog.
    scene.see(&ask(targets[1])).see(&of(targets[1], "y", 404));
    scene.see(&ask(targets[2])).see(&of(targets[2], "z", 180)).wait_s(5);
    let winner = dialog.with_to_tag("z");
    scene.see(&of(targets[2], "z", 200).sdp(audio("10.0.0.5:5000", "")));
    scene.see(&winner.answer(1, 200).sdp(audio("10.0.0.5:5000", ""))).see(&winner.ack(1));
    assert_eq!(scene.binding("10.0.0.1:4000").dialog, 1);
    scene.hang_up(&winner, By::Callee, 9);
    let row = scene.only_row();
    let dialogs: Vec<_> = row.dialogs.iter().map(|d| (d.to_tag.as_deref(), d.status)).collect();
    assert_eq!(dialogs, [(Some("x"), Some(486)), (Some("z"), Some(200))]);
    let refused = Some(nightjar_schema::Timestamp::from_nanos(refused.0));
    assert_eq!((row.dialogs[0].ended_at, row.legs[1].left_at), (refused, refused));
    assert_eq!(
        (row.state, row.status, end(&row)),
        (CallState::Completed, Some(200), (EndCause::Bye, Some(2)))
    );
    assert_eq!(row.legs[2].address.as_deref(), Some("10.0.0.5"));
}

#[test]
fn a_target_behind_which_others_are_asked_may_answer_after_all() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let of = |target: &str| dialog.between("10.0.0.2:5060", target);
    let (desk, mobile) = (of("10.0.0.3:5060"), of("10.0.0.4:5060"));
    scene
        .see(&desk.invite(1).sdp(audio("10.0.0.1:4000", "")))
        .see(&mobile.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&desk.answer(1, 180)).see(&desk.answer(1, 486));
    scene.see(&mobile.answer(1, 180)).see(&mobile.answer(1, 200).sdp(audio("10.0.0.4:5000", "")));
    assert!(scene.is_bound("10.0.0.4:5000"));
    scene.see(&mobile.ack(1)).hang_up(&mobile, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.dialogs.len(), row.dialogs[0].status), (CallState::Completed, 1, Some(200)));
}
