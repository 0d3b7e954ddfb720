//! Each scenario's signalling is the sequence that its name promises.

use nightjar_load::{FrameClass, Scenario, scenarios};
use nightjar_schema::CallState;
use nightjar_wire::{LinkType, Transport, decode_frame};

/// SIP messages as the methods and status codes of their start lines.
fn messages(scenario: &Scenario) -> String {
    let mut words = Vec::new();
    for frame in scenario.frames().filter(|frame| frame.class == FrameClass::Signalling) {
        let Ok(decoded) = decode_frame(LinkType::Ethernet, &frame.bytes) else { panic!("no frame") };
        let Transport::Udp { payload, .. } = decoded.transport else { continue };
        let line = String::from_utf8_lossy(payload);
        let mut parts = line.split_whitespace();
        let first = parts.next().unwrap_or_default().to_owned();
        words.push(if first == "SIP/2.0" { parts.next().unwrap_or_default().to_owned() } else { first });
    }
    words.join(" ")
}

const ANSWERED: &str = "INVITE 100 180 200 ACK BYE 200";

#[test]
fn messages_come_in_the_order_of_the_protocol() {
    for (name, expected) in [
        ("answered", ANSWERED),
        ("bye-by-callee", ANSWERED),
        ("cancelled", "INVITE 100 180 CANCEL 200 487 ACK"),
        ("rejected-486", "INVITE 100 180 486 ACK"),
        ("failed-503", "INVITE 100 180 503 ACK"),
        ("unheard", "INVITE INVITE INVITE INVITE INVITE INVITE INVITE"),
        ("redirected", "INVITE 302 ACK INVITE 100 180 200 ACK BYE 200"),
        ("challenged-401", "INVITE 401 ACK INVITE 100 180 200 ACK BYE 200"),
        ("challenged-twice", "INVITE 407 ACK INVITE 401 ACK INVITE 100 180 200 ACK BYE 200"),
        ("challenge-failed", "INVITE 401 ACK INVITE 100 180 403 ACK"),
        ("early-media", "INVITE 100 183 200 ACK BYE 200"),
        ("early-media-cancelled", "INVITE 100 183 CANCEL 200 487 ACK"),
        ("forked", "INVITE 100 183 183 183 200 ACK BYE 200"),
        ("reinvite-moves-caller", "INVITE 100 180 200 ACK INVITE 200 ACK BYE 200"),
        ("hold-sendonly", "INVITE 100 180 200 ACK INVITE 200 ACK INVITE 200 ACK BYE 200"),
        ("hold-until-bye", "INVITE 100 180 200 ACK INVITE 200 ACK BYE 200"),
        ("bye-unseen", "INVITE 100 180 200 ACK"),
        ("begun-before-capture", "INVITE 200 ACK BYE 200"),
        ("begun-before-capture-bye-only", "BYE 200"),
        ("media-before-signalling", "INVITE 200 ACK BYE 200"),
        ("media-only", ""),
        ("proxy-both-sides", "INVITE INVITE 100 100 180 180 200 200 ACK ACK BYE BYE 200 200"),
        ("mirror-copies", "INVITE INVITE 100 100 180 180 200 200 ACK ACK BYE BYE 200 200"),
    ] {
        assert_eq!(messages(&scenarios::by_name(name, 3)), expected, "{name}");
    }
}

#[test]
fn calls_end_in_the_state_of_their_last_answer() {
    for (name, state, status) in [
        ("answered", CallState::Completed, Some(200)),
        ("cancelled", CallState::Cancelled, Some(487)),
        ("rejected-603", CallState::Rejected, Some(603)),
        ("rejected-404", CallState::Rejected, Some(404)),
        ("failed-503", CallState::Failed, Some(503)),
        ("failed-408", CallState::Failed, Some(408)),
        ("unheard", CallState::Failed, None),
        ("challenge-failed", CallState::Rejected, Some(403)),
        ("bye-unseen", CallState::Incomplete, Some(200)),
        ("media-only", CallState::Incomplete, None),
    ] {
        let mut stream = scenarios::by_name(name, 3).frames();
        stream.by_ref().for_each(drop);
        let call = stream.finish().calls.remove(0);
        assert_eq!((call.state, call.status), (state, status), "{name}");
    }
}
