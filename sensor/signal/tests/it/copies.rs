//! The same dialog seen twice: a mirror that copies, a proxy's two sides.

use nightjar_schema::CallState;
use proptest::prelude::*;

use crate::limits::cases;
use crate::scene::{By, Dialog, Message, Scene, audio, endpoint, events};

fn whole_call(dialog: &Dialog) -> Vec<Message> {
    let bye = dialog.request(By::Caller, "BYE", 3);
    vec![
        dialog.invite(1).sdp(audio("10.0.0.1:4000", "")),
        dialog.with_to_tag("p").answer(1, 407),
        dialog.with_to_tag("p").refusal_ack(1),
        dialog.invite(2).sdp(audio("10.0.0.1:4000", "")),
        dialog.answer(2, 100),
        dialog.answer(2, 180),
        dialog.answer(2, 200).sdp(audio("10.0.0.2:5000", "")),
        dialog.ack(2),
        dialog.request(By::Callee, "INVITE", 7).sdp(audio("10.0.0.2:5000", "a=sendonly\r\n")),
        dialog.response(By::Caller, "INVITE", 7, 200).sdp(audio("10.0.0.1:4000", "a=recvonly\r\n")),
        dialog.request(By::Callee, "ACK", 7),
        bye,
        dialog.response(By::Callee, "BYE", 3, 200),
    ]
}

#[test]
fn a_mirror_that_copies_each_packet_changes_nothing() {
    let dialog = Dialog::new("c1");
    let mut once = Scene::new();
    let mut twice = Scene::new();
    for message in whole_call(&dialog) {
        once.see(&message);
        let text = message.text();
        for _ in 0..2 {
            let (src, dst) = (endpoint(&message.src), endpoint(&message.dst));
            twice.directory.handle_sip(twice.now, src, dst, text.as_bytes()).unwrap();
            twice.collect();
        }
        twice.now = once.now;
    }
    once.end_capture();
    twice.end_capture();
    assert_eq!(once.said, twice.said);
    assert_eq!(once.closed()[0].state, CallState::Completed);
    assert_eq!(events(once.closed()[0]).len(), 3);
}

#[test]
fn retransmissions_seconds_later_change_nothing() {
    let dialog = Dialog::new("c1");
    let mut scene = Scene::new();
    for message in whole_call(&dialog) {
        scene.see(&message);
        let said = scene.said.len();
        scene.wait_ms(500);
        scene.see(&message);
        assert_eq!(scene.said.len(), said, "{}", message.start);
    }
    assert!(scene.directory.statistics().retransmissions > 0);
    assert_eq!(scene.only_row().state, CallState::Completed);
}

#[test]
fn a_proxys_two_sides_are_one_call() {
    let dialog = Dialog::new("c1");
    let far = |message: Message| {
        let other = |addr: &str| if addr == "10.0.0.1:5060" { "10.0.0.2:5060" } else { "10.0.0.3:5060" };
        let (src, dst) = (other(&message.src), other(&message.dst));
        message.on_hop(src, dst)
    };
    let mut scene = Scene::new();
    for message in whole_call(&dialog) {
        // Requests of the caller pass the near side first, everything else the far side.
        let from_caller = message.src == dialog.caller;
        let pair = [message.clone(), far(message)];
        for message in if from_caller { [&pair[0], &pair[1]] } else { [&pair[1], &pair[0]] } {
            scene.see(message);
        }
    }
    let row = scene.only_row();
    assert_eq!((row.state, row.status, row.dialogs.len()), (CallState::Completed, Some(200), 1));
    assert_eq!(events(&row).len(), 3);
}

#[test]
fn descriptions_that_a_proxy_rewrites_bind_further_endpoints_of_the_same_legs() {
    let dialog = Dialog::new("c1");
    let mut scene = Scene::new();
    let invite = dialog.invite(1);
    scene.see(&invite.clone().sdp(audio("10.0.0.1:4000", "")));
    let hop = invite.on_hop("10.0.0.2:5060", "10.0.0.3:5060");
    scene.see(&hop.clone().sdp(audio("10.0.0.2:30000", "")));
    let mut answer = dialog.answer(1, 200).sdp(audio("10.0.0.3:5000", ""));
    (answer.src, answer.dst, answer.branch) = (hop.dst.clone(), hop.src.clone(), hop.branch.clone());
    scene.see(&answer);
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:30002", ""))).see(&dialog.ack(1));
    let short = |address: &str| {
        let binding = scene.binding(address);
        (binding.dialog, binding.receiver, binding.speaker, binding.remote.map(|remote| remote.port))
    };
    assert_eq!(short("10.0.0.1:4000"), (0, 0, Some(1), Some(30002)));
    assert_eq!(short("10.0.0.2:30002"), (0, 1, Some(0), Some(4000)));
    assert_eq!(short("10.0.0.2:30000"), (0, 0, Some(1), Some(5000)));
    assert_eq!(short("10.0.0.3:5000"), (0, 1, Some(0), Some(30000)));
    assert_eq!(scene.opened().len(), 1);
}

#[test]
fn an_address_translator_that_rewrites_in_place_binds_both_addresses() {
    let dialog = Dialog::new("c1");
    let mut scene = Scene::new();
    let inside = dialog.between("192.168.1.2:5060", "10.0.0.2:5060");
    let invite = inside.invite(1).sdp(audio("192.168.1.2:4000", ""));
    let mut outside = invite.clone().sdp(audio("203.0.113.7:61000", ""));
    outside.src = "203.0.113.7:61001".into();
    scene.see(&invite).see(&outside);
    assert!(scene.is_bound("192.168.1.2:4000") && scene.is_bound("203.0.113.7:61000"));
    assert_eq!(scene.opened().len(), 1);
}

proptest! {
    #![proptest_config(cases(200))]

    /// A capture loses packets, and two ports of a mirror may overtake each other: it stays one
    /// call, and what was seen of its answer and its end is told.
    #[test]
    fn whatever_is_lost_or_overtaken_it_is_one_call(
        kept in proptest::collection::vec(prop::bool::weighted(0.7), 13),
        overtaken in prop::sample::subsequence((0..12usize).collect::<Vec<_>>(), 0..4),
    ) {
        let messages = whole_call(&Dialog::new("c1"));
        let mut order: Vec<usize> = (0..messages.len()).collect();
        for at in overtaken {
            order.swap(at, at + 1);
        }
        let mut scene = Scene::new();
        for at in order.into_iter().filter(|at| kept[*at]) {
            scene.see(&messages[at]);
        }
        scene.wait_s(5).end_capture();
        prop_assert!(scene.closed().len() <= 1, "{} calls", scene.closed().len());
        let (answer, bye) = (kept[6], kept[11]);
        if let Some(row) = scene.closed().first() {
            // Without its own INVITE, an answer that comes late may be any re-INVITE's.
            let begun = kept[3];
            prop_assert!(!(begun && answer) || row.status == Some(200));
            prop_assert_eq!(answer && bye, answer && row.state == CallState::Completed);
        } else {
            prop_assert!(!answer && !bye && !kept[0] && !kept[3]);
        }
    }
}
