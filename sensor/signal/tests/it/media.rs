//! Which endpoints are bound, to whom, in which formats.

use nightjar_signal::Output;
use nightjar_wire::{Basis, MediaKind};

use crate::scene::{By, Dialog, START, Scene, audio, endpoint};

#[test]
fn offer_and_answer_bind_both_ends_with_each_others_address() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    let early = scene.binding("10.0.0.1:4000");
    assert_eq!((early.receiver, early.speaker, early.remote, early.from), (0, Some(1), None, START));
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")));
    let caller = scene.binding("10.0.0.1:4000");
    let callee = scene.binding("10.0.0.2:5000");
    assert_eq!(
        (caller.receiver, caller.speaker, caller.remote),
        (0, Some(1), Some(endpoint("10.0.0.2:5000")))
    );
    assert_eq!(
        (callee.receiver, callee.speaker, callee.remote),
        (1, Some(0), Some(endpoint("10.0.0.1:4000")))
    );
    assert_eq!((caller.from, caller.rtcp), (START, endpoint("10.0.0.1:4001")));
    assert_eq!((caller.kind, caller.media_line, caller.dialog), (MediaKind::Audio, 0, 0));
    let formats: Vec<_> =
        caller.formats.iter().map(|f| (f.payload_type, f.codec.as_str(), f.basis, f.ptime_ms)).collect();
    assert_eq!(
        formats,
        [(8, "PCMA", Basis::Static, Some(20)), (101, "telephone-event", Basis::Sdp, Some(20))]
    );
}

#[test]
fn the_receivers_map_wins_and_the_other_sides_fills_in() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let offer = "c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 iLBC/8000\r\n";
    let answer = "c=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 97 98 0\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:98 AMR/8000\r\n";
    scene.see(&dialog.invite(1).sdp(offer)).see(&dialog.answer(1, 200).sdp(answer));
    let formats = |address: &str| {
        let binding = scene.binding(address);
        binding.formats.into_iter().map(|f| (f.payload_type, f.codec)).collect::<Vec<_>>()
    };
    let owned =
        |list: &[(u8, &str)]| list.iter().map(|(pt, name)| (*pt, (*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(formats("10.0.0.1:4000"), owned(&[(96, "opus"), (97, "iLBC"), (98, "AMR"), (0, "PCMU")]));
    assert_eq!(formats("10.0.0.2:5000"), owned(&[(97, "opus"), (98, "AMR"), (0, "PCMU"), (96, "opus")]));
}

#[test]
fn repetitions_bind_nothing_again() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let invite = dialog.invite(1).sdp(audio("10.0.0.1:4000", ""));
    let answer = dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", ""));
    scene.see(&invite).see(&answer).see(&dialog.ack(1));
    let said = scene.said.len();
    scene.see(&invite).see(&answer).see(&dialog.ack(1)).see(&answer);
    assert_eq!(scene.said.len(), said);
}

#[test]
fn early_media_is_bound_before_the_answer_and_moves_with_it() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.answer(1, 183).sdp(audio("10.0.0.7:7000", "")));
    assert_eq!(scene.binding("10.0.0.7:7000").receiver, 1);
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")));
    assert!(!scene.is_bound("10.0.0.7:7000"));
    assert_eq!(scene.binding("10.0.0.1:4000").remote, Some(endpoint("10.0.0.2:5000")));
    scene.see(&dialog.ack(1));
    scene.hang_up(&dialog, By::Caller, 2);
    let row = scene.only_row();
    assert_eq!(row.events.len(), 1);
    assert!(row.legs[1].joined_at.unwrap() < row.answered_at.unwrap(), "joined with the first media path");
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1)).see(&dialog.answer(1, 180));
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")));
    assert_eq!(scene.binding("10.0.0.2:5000").remote, None);
    scene.see(&dialog.ack(1).sdp(audio("10.0.0.1:4000", "")));
    assert_eq!(scene.binding("10.0.0.2:5000").remote, Some(endpoint("10.0.0.1:4000")));
    assert_eq!(scene.binding("10.0.0.1:4000").receiver, 0);
}

#[test]
fn a_prack_and_an_update_may_carry_descriptions() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1));
    scene.see(
        &dialog.answer(1, 183).sdp(audio("10.0.0.2:5000", "")).header("RSeq: 1").header("Require: 100rel"),
    );
    scene.see(&dialog.request(By::Caller, "PRACK", 2).sdp(audio("10.0.0.1:4000", "")));
    assert_eq!(scene.binding("10.0.0.2:5000").remote, Some(endpoint("10.0.0.1:4000")));
    scene.see(&dialog.response(By::Callee, "PRACK", 2, 200));
    scene.see(&dialog.request(By::Callee, "UPDATE", 9).sdp(audio("10.0.0.2:5002", "")));
    scene.see(&dialog.response(By::Caller, "UPDATE", 9, 200).sdp(audio("10.0.0.1:4000", "")));
    assert!(!scene.is_bound("10.0.0.2:5000"));
    assert_eq!(scene.binding("10.0.0.1:4000").remote, Some(endpoint("10.0.0.2:5002")));
    scene.see(&dialog.answer(1, 200)).see(&dialog.ack(1));
    assert_eq!(scene.bindings().len(), 2);
}

#[test]
fn a_reinvite_moves_an_endpoint_when_it_is_accepted() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    scene.see(&dialog.request(By::Caller, "INVITE", 2).sdp(audio("10.0.0.3:4400", "")));
    assert!(
        scene.is_bound("10.0.0.1:4000") && scene.is_bound("10.0.0.3:4400"),
        "until it is answered both hold"
    );
    let answered = scene.now;
    scene.see(&dialog.answer(2, 200).sdp(audio("10.0.0.2:5000", "")));
    assert!(!scene.is_bound("10.0.0.1:4000"));
    assert_eq!(scene.binding("10.0.0.2:5000").remote, Some(endpoint("10.0.0.3:4400")));
    let old = endpoint("10.0.0.1:4000");
    assert_eq!(
        scene.count(
            |o| matches!(o, Output::Unbind { endpoint, until, .. } if *endpoint == old && *until == answered)
        ),
        1
    );
    assert_eq!(scene.count(|o| matches!(o, Output::Answered { .. })), 1);
}

#[test]
fn a_reinvite_that_is_refused_moves_nothing() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    scene.see(&dialog.request(By::Callee, "INVITE", 2).sdp(audio("10.0.0.3:4400", "")));
    scene.see(&dialog.response(By::Caller, "INVITE", 2, 491));
    assert!(scene.is_bound("10.0.0.2:5000") && !scene.is_bound("10.0.0.3:4400"));
    assert_eq!(scene.binding("10.0.0.1:4000").remote, Some(endpoint("10.0.0.2:5000")));
    scene.hang_up(&dialog, By::Caller, 2);
    assert_eq!(scene.only_row().status, Some(200), "the call's status is its INVITE's");
}

#[test]
fn a_reinvite_changes_the_codec_on_the_same_ports() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.establish(&dialog);
    let g722 = |addr: &str, port: u16| format!("c=IN IP4 {addr}\r\nm=audio {port} RTP/AVP 9\r\n");
    scene.see(&dialog.request(By::Caller, "INVITE", 2).sdp(g722("10.0.0.1", 4000)));
    scene.see(&dialog.answer(2, 200).sdp(g722("10.0.0.2", 5000)));
    for address in ["10.0.0.1:4000", "10.0.0.2:5000"] {
        let codecs: Vec<_> = scene.binding(address).formats.into_iter().map(|f| f.codec).collect();
        assert_eq!(codecs, ["G722"]);
    }
    assert_eq!(scene.binding("10.0.0.1:4000").from, START, "the interval goes on");
}

#[test]
fn rtcp_is_bound_where_it_goes() {
    let rtcp = |offer: &str, answer: &str| {
        let mut scene = Scene::new();
        let dialog = Dialog::new("c1");
        scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", offer)));
        scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", answer)));
        scene.binding("10.0.0.1:4000").rtcp
    };
    assert_eq!(rtcp("a=rtcp-mux\r\n", "a=rtcp-mux\r\n"), endpoint("10.0.0.1:4000"));
    assert_eq!(rtcp("a=rtcp-mux\r\n", ""), endpoint("10.0.0.1:4001"));
    assert_eq!(rtcp("a=rtcp:4010\r\n", ""), endpoint("10.0.0.1:4010"));
    assert_eq!(rtcp("a=rtcp:4010 IN IP4 10.0.0.8\r\n", ""), endpoint("10.0.0.8:4010"));
}

#[test]
fn several_lines_are_bound_apart_and_rejected_ones_not_at_all() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let offer = "c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\na=label:a1\r\nm=video 4002 RTP/AVP 31\r\n\
                 m=image 4004 udptl t38\r\nm=message 4006 TCP/MSRP *\r\n";
    let answer =
        "c=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\nm=image 5004 udptl t38\r\n";
    scene.see(&dialog.invite(1).sdp(offer)).see(&dialog.answer(1, 200).sdp(answer));
    let mut bound: Vec<_> = scene.bindings();
    bound.sort_by_key(|b| b.endpoint);
    let short: Vec<_> =
        bound.iter().map(|b| (b.endpoint.port, b.kind, b.media_line, b.remote.map(|r| r.port))).collect();
    assert_eq!(
        short,
        [
            (4000, MediaKind::Audio, 0, Some(5000)),
            (4002, MediaKind::Video, 1, None),
            (4004, MediaKind::Image, 2, Some(5004)),
            (5000, MediaKind::Audio, 0, Some(4000)),
            (5004, MediaKind::Image, 2, Some(4004)),
        ]
    );
    let call = scene.opened()[0];
    assert_eq!(scene.directory.media_label(call, 0, 0, 0), Some("a1"));
    assert_eq!(scene.directory.media_label(call, 0, 1, 0), None);
}

#[test]
fn ipv6_and_multipart_bodies_are_bound_too() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1").between("[fe80::1]:5060", "[fe80::2]:5060");
    let mut invite = dialog.invite(1).header("Content-Type: multipart/mixed;boundary=xx");
    let sdp = audio("[2001:db8::1]:4000", "");
    invite.body = format!(
        "--xx\r\nContent-Type: text/plain\r\n\r\nhi\r\n--xx\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--xx--\r\n"
    );
    scene.see(&invite);
    assert!(scene.is_bound("[2001:db8::1]:4000"));
}

#[test]
fn consecutive_calls_on_the_same_ports_follow_each_other() {
    let mut scene = Scene::new();
    let (first, second) = (Dialog::new("c1"), Dialog::new("c2"));
    let one = scene.establish(&first);
    scene.hang_up(&first, By::Caller, 2);
    scene.wait_ms(300);
    let begin = scene.now;
    let two = scene.establish(&second);
    assert_ne!(one, two);
    let of_second: Vec<_> = scene.bindings().into_iter().filter(|b| b.call == two).collect();
    assert_eq!(of_second.len(), 2);
    assert!(of_second.iter().all(|binding| binding.from >= begin));
    scene.wait_s(3);
    assert!(scene.bindings().iter().all(|binding| binding.call == two), "the first call's are taken back");
    scene.hang_up(&second, By::Caller, 2);
    scene.end_capture();
    assert_eq!(scene.closed().len(), 2);
}

#[test]
fn a_cut_description_binds_only_whole_lines() {
    let mut scene = Scene::new();
    let text = Dialog::new("c1").invite(1).sdp("c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n").text();
    let cut = text.find("4000").unwrap() + 2;
    scene.see_bytes("10.0.0.1:5060", "10.0.0.2:5060", &text.as_bytes()[..cut]).unwrap();
    assert!(scene.bindings().is_empty());
    assert_eq!(scene.opened().len(), 1);
}

#[test]
fn a_reinvite_to_a_callee_without_a_tag_is_no_new_call() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1").with_to_tag("");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", ""))).see(&dialog.ack(1));
    scene.see(&dialog.invite(2).sdp(audio("10.0.0.1:4004", "")));
    scene.see(&dialog.answer(2, 200).sdp(audio("10.0.0.2:5000", ""))).see(&dialog.ack(2));
    assert!(scene.is_bound("10.0.0.1:4004") && !scene.is_bound("10.0.0.1:4000"));
    scene.hang_up(&dialog, By::Callee, 1);
    let row = scene.only_row();
    assert_eq!(
        (row.state, row.status, row.dialogs.len()),
        (nightjar_schema::CallState::Completed, Some(200), 1)
    );
}
