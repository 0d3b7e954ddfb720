//! Calls that are not whole, not readable, or not decodable.

use nightjar_capture::fakes::MemoryFrame;
use nightjar_wire::{Transport, decode_frame};

use super::scene::{ETHERNET, Scene, datagram, faults, frames, rtp, scenario, segment};
use crate::doctor::finding::{CodecPackets, Finding};
use crate::doctor::host::{HostChanges, Interface};
use crate::doctor::judgement::judge;

const PHONE: ([u8; 4], u16) = ([10, 0, 0, 1], 5060);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 5060);
const PHONE_MEDIA: ([u8; 4], u16) = ([10, 0, 0, 1], 4000);
const SERVER_MEDIA: ([u8; 4], u16) = ([10, 0, 0, 2], 6000);

/// An INVITE and its 200, with these media lines.
fn call(via: &str, lines: &str) -> Vec<MemoryFrame> {
    let message = |first: &str, host: &str, port: u16| {
        let sdp = format!("v=0\r\nc=IN IP4 {host}\r\nm=audio {port} {lines}");
        format!(
            "{first}\r\nVia: SIP/2.0/{via} h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\
             Call-ID: one\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )
    };
    let invite = message("INVITE sip:b@x SIP/2.0", "10.0.0.1", 4000);
    let answer = message("SIP/2.0 200 OK", "10.0.0.2", 6000);
    vec![datagram(100, PHONE, SERVER, invite.as_bytes()), datagram(900, SERVER, PHONE, answer.as_bytes())]
}

/// Media of that call, both ways.
fn both_ways(payload_type: u8) -> Vec<MemoryFrame> {
    [rtp(PHONE_MEDIA, SERVER_MEDIA, payload_type, 200), rtp(SERVER_MEDIA, PHONE_MEDIA, payload_type, 200)]
        .concat()
}

/// In order of their stamps.
fn in_order(mut frames: Vec<MemoryFrame>) -> Scene {
    frames.sort_by_key(|frame| frame.at);
    Scene::of_frames(&frames)
}

/// The sender of a frame's datagram, as the generator numbers networks: true for the caller's side.
fn is_callers(frame: &MemoryFrame) -> bool {
    let frame = decode_frame(ETHERNET, &frame.bytes).unwrap();
    frame.network.src.to_string().starts_with("198.18.")
}

fn is_sip(frame: &MemoryFrame) -> bool {
    matches!(decode_frame(ETHERNET, &frame.bytes).unwrap().transport, Transport::Udp { dst_port: 5060, .. })
}

#[test]
fn the_call_made_by_hand_is_healthy() {
    let scene = in_order([call("UDP", "RTP/AVP 8\r\n"), both_ways(8)].concat());
    assert_eq!(faults(&scene.judged()), Vec::<String>::new());
}

#[test]
fn a_mirror_of_one_direction_is_told_by_media_and_by_signalling() {
    let all = frames(&scenario("answered"));
    let half: Vec<_> = all.into_iter().filter(is_callers).collect();
    let found = Scene::of_frames(&half).judged();
    assert!(found.contains(&Finding::OneDirectionMedia { one_way: 1, flows: 1 }), "{found:?}");
    // INVITE and BYE alone would prove nothing; repeated they do.
    let half: Vec<_> = frames(&scenario("retransmissions")).into_iter().filter(is_callers).collect();
    let found = Scene::of_frames(&half).judged();
    assert!(found.contains(&Finding::OneDirectionSignalling { requests: 4, responses: 0 }), "{found:?}");
}

#[test]
fn signalling_without_media_and_media_without_signalling() {
    let all = frames(&scenario("answered"));
    let (sip, media): (Vec<_>, Vec<_>) = all.into_iter().partition(is_sip);
    let found = Scene::of_frames(&sip).judged();
    assert_eq!(faults(&found), ["signalling_without_media"]);
    assert!(found.contains(&Finding::SignallingWithoutMedia { answered: 1, without_media: 1 }), "{found:?}");
    let found = Scene::of_frames(&media).judged();
    assert_eq!(faults(&found), ["media_without_signalling"]);
}

#[test]
fn signalling_by_tls_or_tcp_is_told_apart() {
    let tls: Vec<_> = (0..5).map(|n| segment(n, 5061)).collect();
    let found = Scene::of_frames(&tls).judged();
    assert_eq!(faults(&found), ["encrypted_signalling"]);
    let expected = Finding::EncryptedSignalling { tls_segments: 5, via_tls: 0, messages: 0 };
    assert!(found.contains(&expected), "{found:?}");
    let tcp: Vec<_> = (0..5).map(|n| segment(n, 5060)).collect();
    assert_eq!(faults(&Scene::of_frames(&tcp).judged()), ["signalling_by_tcp"]);
    let web: Vec<_> = (0..20).map(|n| segment(n, 443)).collect();
    assert_eq!(faults(&Scene::of_frames(&web).judged()), ["no_telephony"]);
}

#[test]
fn a_message_that_came_by_a_secure_websocket_is_told() {
    let scene = in_order([call("WSS", "RTP/AVP 8\r\n"), both_ways(8)].concat());
    assert_eq!(faults(&scene.judged()), ["encrypted_signalling"]);
}

#[test]
fn srtp_is_told_by_profile_by_keys_and_by_handshakes() {
    for lines in [
        "RTP/SAVP 8\r\n",
        "UDP/TLS/RTP/SAVPF 8\r\n",
        "RTP/AVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
    ] {
        let scene = in_order([call("UDP", lines), both_ways(8)].concat());
        let expected = Finding::EncryptedMedia { calls: 1, dtls_flows: 0, zrtp_flows: 0 };
        assert!(scene.judged().contains(&expected), "{lines}: {:?}", scene.judged());
    }
    let mut hello = vec![0; 40];
    hello[..3].copy_from_slice(&[22, 0xfe, 0xfd]);
    let handshake = |src, dst| vec![datagram(950, src, dst, &hello)];
    let on_media = in_order([both_ways(8), handshake(PHONE_MEDIA, SERVER_MEDIA)].concat());
    let expected = Finding::EncryptedMedia { calls: 0, dtls_flows: 1, zrtp_flows: 0 };
    assert!(on_media.judged().contains(&expected), "{:?}", on_media.judged());
    let of_a_vpn = in_order([both_ways(8), handshake(([10, 0, 0, 9], 999), ([10, 0, 0, 8], 443))].concat());
    assert_eq!(faults(&of_a_vpn.judged()), ["media_without_signalling"]);
}

#[test]
fn codecs_without_a_decoder_are_named_with_their_packets() {
    let lines = "RTP/AVP 97 101\r\na=rtpmap:97 AMR-WB/16000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let scene = in_order([call("UDP", lines), both_ways(97)].concat());
    let codecs = vec![CodecPackets { codec: "AMR-WB/16000".into(), packets: 400 }];
    assert_eq!(faults(&scene.judged()), ["undecodable_codecs"]);
    assert!(scene.judged().contains(&Finding::UndecodableCodecs { codecs }), "{:?}", scene.judged());
    // Nobody said what 97 stands for: nothing is guessed.
    let unknown = in_order(both_ways(97)).judged();
    assert_eq!(faults(&unknown), ["media_without_signalling"]);
}

/// Sixteen flows of eight calls, each flow on the queue that `queue` gives it.
fn on_queues(queue: fn(call: u8, direction: u16) -> u16) -> Vec<Finding> {
    let mut scene = Scene::of_frames(&call("UDP", "RTP/AVP 8\r\n"));
    for number in 0..8 {
        let (phone, server) = (([10, 0, 1, number], 4000), ([10, 0, 2, number], 6000));
        for (direction, (src, dst)) in (0..).zip([(phone, server), (server, phone)]) {
            for frame in rtp(src, dst, 8, 30) {
                scene.seen.see(&frame.view(), Some(queue(number, direction)));
            }
        }
    }
    let interface = Interface { name: "eth0".into(), queues: 4, ..Interface::default() };
    let host = HostChanges { interfaces: vec![interface], ..HostChanges::default() };
    let found = judge(&scene.seen, &host, &scene.expected);
    // Flows were played one after the other, so the stamps go back.
    found.into_iter().filter(|finding| !matches!(finding, Finding::ClockJumps { .. })).collect()
}

#[test]
fn directions_on_different_queues_are_counted() {
    let found = on_queues(|call, direction| (u16::from(call) + u16::from(call < 3) * direction) % 4);
    assert!(found.contains(&Finding::DirectionsOnDifferentQueues { pairs: 8, apart: 3 }), "{found:?}");
    assert_eq!(faults(&found), ["directions_on_different_queues"]);
    assert_eq!(faults(&on_queues(|call, _| u16::from(call) % 4)), Vec::<String>::new());
}

#[test]
fn one_queue_that_does_all_the_work_is_named() {
    let found = on_queues(|_, _| 2);
    let expected = Finding::AllOnOneQueue { interface: "eth0".into(), queues: 4, queue: 2, flows: 16 };
    assert!(found.contains(&expected), "{found:?}");
}
