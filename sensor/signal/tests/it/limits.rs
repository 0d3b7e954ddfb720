//! Nothing grows without bound, nothing panics.

use nightjar_schema::EndCause;
use nightjar_signal::{Output, SipError};
use nightjar_wire::{CallKey, Nanos};
use proptest::prelude::*;

use crate::scene::{By, Dialog, Message, Scene, audio, end, endpoint, flow};

#[test]
fn the_oldest_call_makes_room() {
    let mut scene = Scene::with(|config| config.max_calls = 3);
    for call in 0..5 {
        scene.see(&Dialog::new(&format!("c{call}")).invite(1).sdp(audio("10.0.0.1:4000", "")));
    }
    let rows = scene.closed();
    assert_eq!(rows.iter().map(|row| row.call_ids[0].as_str()).collect::<Vec<_>>(), ["c0", "c1"]);
    assert_eq!(end(rows[0]), (EndCause::Evicted, None));
    assert_eq!(scene.directory.statistics().evicted, 2);
    assert_eq!(scene.directory.open_calls().collect::<Vec<_>>(), [CallKey(2), CallKey(3), CallKey(4)]);
    scene.unsignalled("10.0.0.1:1", "10.0.0.2:2", 1);
    assert_eq!(scene.directory.open_calls().count(), 3);
}

#[test]
fn dialogs_legs_and_events_of_one_call_are_bounded() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    for fork in 0..100 {
        let fork = dialog.with_to_tag(&format!("t{fork}"));
        scene.see(&fork.answer(1, 180).sdp(audio("10.0.0.2:5000", "")));
    }
    scene.see(&dialog.with_to_tag("t0").answer(1, 200).sdp(audio("10.0.0.2:5000", "")));
    let dialog = dialog.with_to_tag("t0");
    for cseq in 2..1_500 {
        let way = if cseq % 2 == 0 { "a=sendonly\r\n" } else { "" };
        scene.see(&dialog.request(By::Caller, "INVITE", cseq).sdp(audio("10.0.0.1:4000", way)));
        scene.see(&dialog.answer(cseq, 200).sdp(audio("10.0.0.2:5000", "")));
    }
    let row = scene.only_row();
    assert_eq!((row.dialogs.len(), row.legs.len(), row.events.len()), (32, 16, 1_000));
}

#[test]
fn hops_and_moves_without_end_keep_few_bindings() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let invite = dialog.invite(1);
    scene.see(&invite.clone().sdp(audio("10.0.0.1:4000", "")));
    for hop in 1..200u8 {
        let sdp = audio(&format!("10.1.{hop}.1:4000"), "");
        scene.see(&invite.clone().on_hop("10.0.0.2:5060", &format!("10.2.{hop}.1:5060")).sdp(sdp));
    }
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")));
    for cseq in 2..200 {
        scene.see(
            &dialog.request(By::Caller, "INVITE", cseq).sdp(audio(&format!("10.0.0.1:{}", 4000 + cseq), "")),
        );
        scene.see(&dialog.answer(cseq, 200).sdp(audio("10.0.0.2:5000", "")));
    }
    assert!(scene.bindings().len() <= 16, "{}", scene.bindings().len());
    scene.end_capture();
    assert!(scene.bindings().is_empty());
}

#[test]
fn what_is_no_message_is_named_and_counted() {
    let mut scene = Scene::new();
    let (src, dst) = ("10.0.0.1:5060", "10.0.0.2:5060");
    assert_eq!(scene.see_bytes(src, dst, b"hello"), Err(SipError::NotSip));
    assert_eq!(scene.see_bytes(src, dst, b"INVITE sip:a SIP/2.0\r\n\r\n"), Err(SipError::HeaderMissing));
    let long = Dialog::new("c1").with_to_tag(&"t".repeat(600)).ack(1).text();
    assert_eq!(scene.see_bytes(src, dst, long.as_bytes()), Err(SipError::FieldTooLong));
    let malformed = scene.directory.statistics().malformed;
    assert_eq!((malformed.not_sip, malformed.header_missing, malformed.field_too_long), (1, 1, 1));
}

#[test]
fn every_call_that_is_opened_is_closed_once() {
    let mut scene = Scene::with(|config| config.max_calls = 20);
    for n in 0..100u32 {
        let dialog = Dialog::new(&format!("c{}", n % 37));
        match n % 5 {
            0 => drop(scene.establish(&dialog)),
            1 => scene.hang_up(&dialog, By::Callee, n),
            2 => drop(scene.see(&dialog.invite(n)).see(&dialog.answer(n, 486))),
            3 => drop(scene.unsignalled(&format!("10.0.0.1:{}", 4000 + n), "10.0.0.2:9000", n)),
            _ => drop(scene.wait_s(u64::from(n))),
        }
    }
    scene.end_capture();
    let mut opened = scene.opened();
    let mut closed: Vec<_> = scene
        .said
        .iter()
        .filter_map(|output| match output {
            Output::Closed { call, .. } => Some(*call),
            _ => None,
        })
        .collect();
    assert!(opened.len() > 30);
    let ended = scene.count(|output| matches!(output, Output::Ended { .. }));
    assert_eq!(ended, opened.len());
    opened.sort_unstable();
    closed.sort_unstable();
    assert_eq!(opened, closed);
    assert!(scene.bindings().is_empty());
    let statistics = scene.directory.statistics();
    assert_eq!((statistics.opened, statistics.closed), (opened.len() as u64, closed.len() as u64));
}

/// Any message of a few dialogs on one of two hops, or `None` for media without signalling; and
/// the milliseconds that pass after it.
type Step = (Option<Message>, u8, u64);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let status = prop::sample::select(vec![100u16, 180, 183, 200, 302, 407, 486, 487, 503]);
    let step = (0usize..14, 1u32..4, status, 0u8..6, any::<bool>(), 0u64..40_000);
    let step = step.prop_map(|(kind, cseq, status, who, moved, wait)| {
        let message = message(kind, cseq, status, who, moved);
        let hop = |message: Message| message.on_hop("10.0.0.2:5060", "10.0.0.3:5060");
        (message.map(|message| if moved { hop(message) } else { message }), who, wait)
    });
    proptest::collection::vec(step, 1..most)
}

fn message(kind: usize, cseq: u32, status: u16, who: u8, moved: bool) -> Option<Message> {
    let dialog = Dialog::new(&format!("c{}", who % 2)).with_to_tag(&format!("t{}", who / 2));
    let by = if cseq.is_multiple_of(2) { By::Caller } else { By::Callee };
    let sdp = audio(&format!("10.0.{who}.1:{}", 4000 + cseq), if moved { "a=sendonly\r\n" } else { "" });
    Some(match kind {
        0 => dialog.invite(cseq).sdp(sdp),
        1 => dialog.invite(cseq),
        2 => dialog.answer(cseq, status).sdp(sdp),
        3 => dialog.answer(cseq, status),
        4 => dialog.ack(cseq),
        5 => dialog.ack(cseq).sdp(sdp),
        6 => dialog.request(by, "BYE", cseq),
        7 => dialog.response(by, "BYE", cseq, status),
        8 => dialog.cancel(cseq),
        9 => dialog.request(by, "INVITE", cseq).sdp(sdp),
        10 => dialog.response(by, "INVITE", cseq, status).sdp(sdp),
        11 => dialog.request(by, "UPDATE", cseq).sdp(sdp),
        12 => dialog.response(by, "UPDATE", cseq, status).header("Session-Expires: 90"),
        _ => return None,
    })
}

fn take(scene: &mut Scene, step: &Step, copies: usize) {
    let begin = scene.now;
    for _ in 0..copies {
        scene.now = begin;
        match &step.0 {
            Some(message) => drop(scene.see(message)),
            None => drop(scene.unsignalled(&format!("10.0.{}.1:4001", step.1), "10.0.9.9:9000", 1)),
        }
    }
}

/// How many test cases a property is tried with; PROPTEST_CASES asks for more.
pub fn cases(few: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(few), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(200))]

    /// Whatever comes in whatever order: each call is opened before all else, ended and closed
    /// once, bindings are taken back, and a snapshot at any moment restores.
    #[test]
    fn any_order_of_messages_keeps_the_books(steps in steps(60)) {
        let mut scene = Scene::with(|config| config.max_calls = 4);
        for step in &steps {
            take(&mut scene, step, 1);
            scene.wait_ms(step.2);
            for call in scene.directory.open_calls().collect::<Vec<_>>() {
                let bytes = scene.directory.snapshot(call).unwrap();
                let mut other = Scene::new();
                prop_assert_eq!(other.directory.restore(&bytes), Ok(call));
                prop_assert_eq!(other.directory.row(call), scene.directory.row(call));
            }
        }
        scene.end_capture();
        let mut known = std::collections::BTreeMap::new();
        for output in &scene.said {
            match output {
                Output::Opened { call, .. } => prop_assert!(known.insert(*call, 0).is_none()),
                Output::Ended { call, .. } => { prop_assert_eq!(known.insert(*call, 1), Some(0)); }
                Output::Closed { call, row } => {
                    prop_assert_eq!(known.insert(*call, 2), Some(1));
                    prop_assert!(row.ended_at.unwrap() >= row.started_at);
                    prop_assert!(row.legs.len() >= 2);
                }
                Output::Bind(binding) => prop_assert!(known.get(&binding.call).is_some_and(|state| *state < 2)),
                Output::Unbind { call, .. } => prop_assert!(known.get(call).is_some_and(|state| *state < 2)),
                Output::Merged { call, into, .. } => {
                    prop_assert_eq!(known.remove(call), Some(0));
                    prop_assert_eq!(known.get(into), Some(&0));
                }
                Output::Answered { call, .. }
                | Output::Changed { call, .. }
                | Output::Adopted { call, .. }
                | Output::Resumed { call, .. } => {
                    prop_assert_eq!(known.get(call), Some(&0));
                }
            }
        }
        prop_assert!(known.values().all(|state| *state == 2));
        prop_assert!(scene.bindings().is_empty());
        prop_assert_eq!(scene.directory.next_time(), None);
    }

    /// A mirror that copies each packet, and a clock that is told the time more often, change
    /// nothing.
    #[test]
    fn copies_and_more_frequent_time_change_nothing(steps in steps(40)) {
        let (mut plain, mut busy) = (Scene::new(), Scene::new());
        for step in &steps {
            take(&mut plain, step, 1);
            take(&mut busy, step, 2);
            plain.wait_ms(step.2);
            busy.wait_ms(step.2 / 3).wait_ms(step.2 / 2).wait_ms(step.2 - step.2 / 3 - step.2 / 2);
        }
        plain.end_capture();
        busy.end_capture();
        let differs = plain.said.iter().zip(&busy.said).find(|(plain, busy)| plain != busy);
        prop_assert!(differs.is_none(), "{differs:?}");
        prop_assert_eq!(plain.said.len(), busy.said.len());
    }

    #[test]
    fn no_bytes_make_the_directory_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut scene = Scene::new();
        let _ = scene.directory.handle_sip(scene.now, endpoint("10.0.0.1:5060"), endpoint("10.0.0.2:5060"), &bytes);
        scene.directory.handle_unsignalled(Nanos::MAX, flow("10.0.0.1:1", "10.0.0.1:1"), 0);
        scene.directory.handle_time(Nanos::MAX);
    }

    #[test]
    fn no_byte_that_is_changed_makes_the_directory_panic(at: prop::sample::Index, byte: u8) {
        let dialog = Dialog::new("c1");
        let mut scene = Scene::new();
        let messages = [
            dialog.invite(1).sdp(audio("10.0.0.1:4000", "a=rtcp:4001\r\n")),
            dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")),
            dialog.ack(1),
            dialog.request(By::Callee, "BYE", 2),
        ];
        let all: usize = messages.iter().map(|message| message.text().len()).sum();
        let mut at = at.index(all);
        for message in messages {
            let mut text = message.text().into_bytes();
            if let Some(changed) = text.get_mut(at) {
                *changed = byte;
                at = usize::MAX;
            } else {
                at -= text.len();
            }
            let _ = scene.see_bytes(&message.src, &message.dst, &text);
        }
        scene.end_capture();
    }
}
