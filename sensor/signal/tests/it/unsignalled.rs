//! Media without signalling, and signalling that explains it later.

use nightjar_schema::{CallState, EndCause, LegRole, Protocol};
use nightjar_signal::{AdoptedFlow, Output};
use nightjar_wire::{CallKey, Nanos};

use crate::scene::{By, Dialog, START, Scene, audio, end, flow};

const A: &str = "10.0.0.1:4000";
const B: &str = "10.0.0.2:5000";

fn adoptions(scene: &Scene) -> Vec<(u16, Vec<AdoptedFlow>)> {
    scene
        .said
        .iter()
        .filter_map(|output| match output {
            Output::Adopted { dialog, flows, .. } => Some((*dialog, flows.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn both_directions_are_one_call_that_ends_by_silence() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    assert_eq!(scene.unsignalled(B, A, 2), call);
    assert_eq!(scene.unsignalled(B, A, 3), call, "a new SSRC is no new call");
    assert_eq!(scene.directory.unsignalled_speaker(call, flow(A, B)), Some(0));
    assert_eq!(scene.directory.unsignalled_speaker(call, flow(B, A)), Some(1));
    scene.talk_s(call, 100);
    scene.wait_s(70);
    let row = scene.closed()[0].clone();
    assert_eq!(
        (row.protocol, row.state, end(&row).0),
        (Protocol::None, CallState::Incomplete, EndCause::MediaTimeout)
    );
    assert_eq!((row.marks, row.begun_before_capture), (vec!["no_signalling".to_owned()], true));
    let legs: Vec<_> = row.legs.iter().map(|leg| (leg.role, leg.address.as_deref().unwrap())).collect();
    assert_eq!(legs, [(LegRole::Unknown, "10.0.0.1"), (LegRole::Unknown, "10.0.0.2")]);
    assert!(row.dialogs.is_empty() && row.call_ids.is_empty());
    assert_ne!(scene.unsignalled(A, B, 1), call, "after its end it is another call");
}

#[test]
fn the_first_packet_names_the_call_although_it_waited() {
    let mut scene = Scene::new();
    scene.wait_s(2);
    let call = scene.directory.handle_unsignalled(START, flow(A, B), 1);
    scene.collect();
    assert!(matches!(scene.said[0], Output::Opened { at: START, .. }));
    scene.wait_s(59);
    assert!(scene.directory.row(call).is_some(), "the time-out runs from now");
}

#[test]
fn ports_that_differ_by_direction_meet_when_only_one_call_lacks_the_other() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    assert_eq!(scene.unsignalled("10.0.0.2:5002", "10.0.0.1:4002", 2), call);
    assert_eq!(scene.directory.unsignalled_speaker(call, flow("10.0.0.2:5002", "10.0.0.1:4002")), Some(1));
    let (two, three) = (
        scene.unsignalled("10.0.0.1:6000", "10.0.0.2:7000", 3),
        scene.unsignalled("10.0.0.1:6002", "10.0.0.2:7002", 4),
    );
    let four = scene.unsignalled("10.0.0.2:7004", "10.0.0.1:6004", 5);
    let all = std::collections::BTreeSet::from([call, two, three, four]);
    assert_eq!(all.len(), 4, "two candidates are none");
}

#[test]
fn a_reinvite_explains_the_media_that_ran_before_it() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    scene.unsignalled(B, A, 2);
    let id = scene.directory.row(call).unwrap().id;
    scene.talk_s(call, 20);
    let dialog = Dialog::new("c1");
    // The callee re-invites: it is taken for the caller, and so becomes the first leg.
    scene.see(&dialog.request(By::Callee, "INVITE", 3).sdp(audio(B, "")));
    let expected = vec![
        AdoptedFlow { flow: flow(A, B), ssrc: 1, speaker: Some(1) },
        AdoptedFlow { flow: flow(B, A), ssrc: 2, speaker: Some(0) },
    ];
    assert_eq!(adoptions(&scene), [(0, expected)]);
    let adopted = scene.said.iter().position(|o| matches!(o, Output::Adopted { .. })).unwrap();
    let bound = scene.said.iter().position(|o| matches!(o, Output::Bind(_))).unwrap();
    assert!(adopted < bound);
    scene.see(&dialog.response(By::Caller, "INVITE", 3, 200).sdp(audio(A, "")));
    assert_eq!((scene.binding(A).call, scene.binding(B).receiver), (call, 0));
    assert_eq!(scene.unsignalled(A, B, 9), call, "its flows still lead to it");
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.id, row.protocol, row.state), (id, Protocol::Sip, CallState::Completed));
    assert!(row.begun_before_capture && row.marks.is_empty());
    assert_eq!((row.call_ids.len(), scene.opened().len()), (1, 1));
}

#[test]
fn a_late_offer_explains_the_media_with_its_answer() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    let dialog = Dialog::new("c1").between("10.0.9.1:5060", "10.0.9.2:5060");
    scene.see(&dialog.request(By::Caller, "INVITE", 3));
    assert!(adoptions(&scene).is_empty());
    scene.see(&dialog.answer(3, 200).sdp(audio(B, "")));
    assert_eq!(adoptions(&scene), [(0, vec![AdoptedFlow { flow: flow(A, B), ssrc: 1, speaker: Some(0) }])]);
    assert_eq!((scene.opened().len(), scene.binding(B).call), (1, call));
    scene.see(&dialog.ack(3).sdp(audio(A, "")));
    assert_eq!(scene.bindings().len(), 2);
    scene.end_capture();
    assert_eq!(scene.closed().len(), 1);
}

#[test]
fn an_invite_whose_media_flows_already_explains_it() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(B, A, 1);
    scene.talk_s(call, 3);
    let dialog = Dialog::new("c1");
    assert_eq!(scene.see(&dialog.invite(1).sdp(audio(A, ""))).opened(), [call]);
    assert_eq!(adoptions(&scene), [(0, vec![AdoptedFlow { flow: flow(B, A), ssrc: 1, speaker: Some(1) }])]);
    scene.see(&dialog.answer(1, 200).sdp(audio(B, ""))).see(&dialog.ack(1));
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
}

#[test]
fn an_invite_on_the_ports_of_media_that_has_stopped_is_another_call() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(B, A, 1);
    scene.wait_s(10);
    scene.see(&Dialog::new("c1").invite(1).sdp(audio(A, "")));
    assert!(adoptions(&scene).is_empty());
    assert_ne!(scene.binding(A).call, call);
}

#[test]
fn a_bye_between_the_same_hosts_ends_the_only_call_there() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    scene.unsignalled(B, A, 2);
    scene.talk_s(call, 5);
    let dialog = Dialog::new("c1");
    scene.hang_up(&dialog, By::Callee, 8);
    assert_eq!(adoptions(&scene)[0].1.iter().map(|f| f.speaker).collect::<Vec<_>>(), [Some(1), Some(0)]);
    let row = scene.only_row();
    assert_eq!((row.state, end(&row)), (CallState::Completed, (EndCause::Bye, Some(0))));

    let mut scene = Scene::new();
    scene.unsignalled(A, B, 1);
    scene.unsignalled("10.0.0.1:4002", "10.0.0.2:5002", 1);
    scene.hang_up(&dialog, By::Callee, 8);
    assert!(adoptions(&scene).is_empty(), "of two it could be either");
    assert_eq!(scene.opened().len(), 3);
}

/// What was said of merging, as the handles that are gone and that go on.
fn mergers(scene: &Scene) -> Vec<(CallKey, CallKey)> {
    let merged = |output: &Output| match output {
        Output::Merged { call, into, .. } => Some((*call, *into)),
        _ => None,
    };
    scene.said.iter().filter_map(merged).collect()
}

#[test]
fn a_refresh_whose_offer_lies_and_whose_answer_does_not_explains_the_media() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    scene.unsignalled(B, A, 2);
    scene.talk_s(call, 10);
    let dialog = Dialog::new("c1");
    scene.see(&dialog.request(By::Caller, "INVITE", 3).sdp(audio("192.168.1.2:4000", "")));
    let told = scene.opened()[1];
    assert!(scene.directory.is_tentative(told) && !scene.directory.is_tentative(call));
    scene.see(&dialog.response(By::Callee, "INVITE", 3, 200).sdp(audio(B, "")));
    assert_eq!(mergers(&scene), [(told, call)]);
    assert_eq!(adoptions(&scene)[0].1.iter().map(|f| f.speaker).collect::<Vec<_>>(), [Some(0), Some(1)]);
    assert!(scene.bindings().iter().all(|binding| binding.call == call));
    assert_eq!((scene.binding(B).receiver, scene.is_bound("192.168.1.2:4000")), (1, true));
    scene.hang_up(&dialog, By::Caller, 4);
    let row = scene.only_row();
    assert_eq!((row.protocol, row.state), (Protocol::Sip, CallState::Completed));
    assert_eq!((scene.directory.statistics().merged, scene.directory.statistics().adopted), (1, 1));
}

#[test]
fn a_call_known_by_an_update_alone_is_explained_by_its_later_reinvite() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    let dialog = Dialog::new("c1").between("10.0.9.1:5060", "10.0.9.2:5060");
    scene.see(&dialog.request(By::Caller, "UPDATE", 3)).see(&dialog.response(By::Callee, "UPDATE", 3, 200));
    scene.talk_s(call, 10);
    let told = scene.opened()[1];
    scene.see(&dialog.request(By::Caller, "INVITE", 4).sdp(audio(A, "")));
    assert_eq!(mergers(&scene), [(told, call)]);
    scene.see(&dialog.response(By::Callee, "INVITE", 4, 200).sdp(audio(B, "")));
    scene.hang_up(&dialog, By::Callee, 5);
    assert_eq!(scene.only_row().state, CallState::Completed);
}

#[test]
fn a_call_with_media_of_its_own_is_nobody_elses_signalling() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.request(By::Caller, "INVITE", 3).sdp(audio("10.0.0.1:4400", "")));
    let own = scene.opened()[0];
    scene.talk_s(own, 2);
    let other = scene.unsignalled(A, B, 1);
    scene.see(&dialog.response(By::Callee, "INVITE", 3, 200).sdp(audio(B, "")));
    assert!(mergers(&scene).is_empty() && adoptions(&scene).is_empty());
    assert_ne!(own, other);
}

#[test]
fn a_call_that_begins_on_the_ports_of_media_that_has_stopped_is_not_merged() {
    let mut scene = Scene::new();
    scene.unsignalled(A, B, 1);
    scene.wait_s(10);
    let dialog = Dialog::new("c1").between("10.0.9.1:5060", "10.0.9.2:5060");
    scene.see(&dialog.request(By::Caller, "UPDATE", 3)).wait_s(3);
    scene.see(&dialog.request(By::Caller, "INVITE", 4).sdp(audio(A, "")));
    assert!(mergers(&scene).is_empty());
    assert_eq!(scene.opened().len(), 2);
}

#[test]
fn only_media_that_is_there_from_the_first_moments_on_began_before_the_capture() {
    let begun = |first_ms: u64| {
        let mut scene = Scene::new();
        scene.directory.handle_time(START);
        scene.wait_ms(first_ms);
        let call = scene.unsignalled(A, B, 1);
        scene.directory.row(call).unwrap().begun_before_capture
    };
    assert_eq!([0, 1_900, 2_100, 60_000].map(begun), [true, true, false, false]);
    // Its other direction may have been there earlier.
    let mut scene = Scene::new();
    scene.directory.handle_time(START);
    scene.wait_s(4);
    let call = scene.directory.handle_unsignalled(START + Nanos::from_secs(3), flow(A, B), 1);
    assert!(!scene.directory.row(call).unwrap().begun_before_capture);
    scene.directory.handle_unsignalled(START + Nanos::from_secs(1), flow(B, A), 2);
    let row = scene.directory.row(call).unwrap();
    assert!(row.begun_before_capture && row.started_at.0 * 1000 == (START.0 + 1_000_000_000) as i64);
}

#[test]
fn behind_a_jump_of_the_clock_the_capture_begins_anew() {
    let mut scene = Scene::new();
    scene.directory.handle_time(START);
    scene.wait_s(1_000_000);
    scene.wait_ms(500);
    let call = scene.unsignalled(A, B, 1);
    assert!(scene.directory.row(call).unwrap().begun_before_capture);
}

#[test]
fn media_that_began_in_mid_capture_did_so_whatever_explains_it() {
    let mut scene = Scene::new();
    scene.directory.handle_time(START);
    scene.wait_s(10);
    let call = scene.unsignalled(A, B, 1);
    scene.talk_s(call, 5);
    let dialog = Dialog::new("c1");
    scene.see(&dialog.request(By::Caller, "INVITE", 3).sdp(audio(A, "")));
    scene.see(&dialog.response(By::Callee, "INVITE", 3, 200).sdp(audio(B, "")));
    scene.hang_up(&dialog, By::Caller, 4);
    let row = scene.only_row();
    assert_eq!((row.begun_before_capture, row.answered_at, row.state), (false, None, CallState::Completed));
}

#[test]
fn two_calls_without_signalling_that_could_be_meant_are_left_alone() {
    let mut scene = Scene::new();
    scene.unsignalled(A, B, 1);
    scene.unsignalled("10.0.0.3:6000", A, 2);
    scene.see(&Dialog::new("c1").request(By::Caller, "INVITE", 2).sdp(audio(A, "")));
    assert!(adoptions(&scene).is_empty());
    assert_eq!(scene.opened().len(), 3);
}

#[test]
fn an_adopted_call_that_loses_its_bye_times_out_like_any_other() {
    let mut scene = Scene::new();
    let call = scene.unsignalled(A, B, 1);
    scene.see(&Dialog::new("c1").request(By::Caller, "INVITE", 2).sdp(audio(A, "")));
    scene.talk_s(call, 10);
    scene.wait_s(70);
    assert_eq!(end(scene.closed()[0]), (EndCause::MediaTimeout, None));
    assert!(scene.bindings().is_empty());
    assert_ne!(scene.unsignalled(A, B, 1), call);
    assert!(scene.now > START + Nanos::from_secs(60));
}

/// A call between two public hosts whose descriptions tell inside addresses.
fn behind_two_nats(name: &str, scene: &mut Scene, ports: [u16; 2]) {
    let dialog = Dialog::new(name).between("203.0.113.5:5060", "198.51.100.7:5060");
    let inside = |host: &str, port: u16| audio(&format!("{host}:{port}"), "");
    scene.see(&dialog.invite(1).sdp(inside("192.168.1.10", ports[0])));
    scene.see(&dialog.answer(1, 200).sdp(inside("10.0.0.7", ports[1]))).see(&dialog.ack(1));
}

#[test]
fn media_between_the_hosts_of_a_call_that_hides_behind_nats_is_that_calls() {
    let mut scene = Scene::new();
    behind_two_nats("c1", &mut scene, [4000, 5000]);
    let call = scene.opened()[0];
    let (caller, callee) = ("203.0.113.5:33444", "198.51.100.7:44555");
    assert_eq!(scene.unsignalled(callee, caller, 2), call);
    assert_eq!((scene.binding(caller).receiver, scene.binding(caller).speaker), (0, Some(1)));
    assert_eq!((scene.binding(callee).receiver, scene.binding(callee).speaker), (1, Some(0)));
    scene.directory.handle_media(START, call);
    assert_ne!(scene.unsignalled("203.0.113.5:9000", "198.51.100.7:9000", 3), call, "it has its media");
    scene.end_capture();
    assert!(!scene.is_bound(caller) && !scene.is_bound(callee));
}

#[test]
fn among_several_hidden_calls_the_port_tells_and_else_nothing_is_guessed() {
    let mut scene = Scene::new();
    behind_two_nats("c1", &mut scene, [4000, 5000]);
    behind_two_nats("c2", &mut scene, [4002, 5002]);
    let calls = scene.opened();
    assert_eq!(scene.unsignalled("203.0.113.5:4002", "198.51.100.7:44555", 1), calls[1]);
    scene.directory.handle_media(START, calls[1]);
    behind_two_nats("c3", &mut scene, [4004, 5004]);
    let signalled = scene.opened();
    let strange = scene.unsignalled("203.0.113.5:9000", "198.51.100.7:9000", 2);
    assert!(signalled.len() == 3 && !signalled.contains(&strange));
}

#[test]
fn a_call_that_names_where_it_receives_takes_no_other_media() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1").between("10.0.0.1:5060", "10.0.0.9:5060");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", ""))).see(&dialog.ack(1));
    let call = scene.opened()[0];
    assert_ne!(scene.unsignalled("10.0.0.1:7000", "10.0.0.9:7000", 1), call);
}
