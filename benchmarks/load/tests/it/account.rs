//! The generator's account agrees with its frames, read back through the sensor's own views.

use std::collections::BTreeMap;

use nightjar_load::{Frame, FrameClass, scenarios};
use nightjar_schema::{CallState, Timestamp};
use nightjar_wire::{
    FrameError, LinkType, MediaClass, Nanos, RtpView, Transport, classify, decode_frame, looks_like_sip,
};

#[test]
fn frames_are_in_the_order_of_time_and_counted_once() {
    for entry in scenarios::all().filter(|entry| !entry.name.ends_with("30-minutes")) {
        let mut stream = entry.scenario(5).frames();
        let mut last = Nanos::ZERO;
        let mut classes = BTreeMap::<FrameClass, u64>::new();
        let (mut frames, mut bytes) = (0, 0);
        for frame in stream.by_ref() {
            assert!(frame.at >= last, "{}: a stamp goes back", entry.name);
            last = frame.at;
            frames += 1;
            bytes += frame.bytes.len() as u64;
            *classes.entry(frame.class).or_default() += 1;
        }
        let ledger = stream.finish().ledger;
        assert_eq!((ledger.frames, ledger.bytes), (frames, bytes), "{}", entry.name);
        for class in FrameClass::ALL {
            let count = classes.get(&class).copied().unwrap_or(0);
            assert_eq!(ledger.of(class), count, "{}: {class:?}", entry.name);
        }
    }
}

#[test]
fn each_frame_looks_like_its_class() {
    for entry in scenarios::all().filter(|entry| !entry.name.ends_with("30-minutes")) {
        for frame in entry.scenario(6).frames() {
            assert!(looks_right(&frame), "{}: {:?} {:02x?}", entry.name, frame.class, frame.bytes);
        }
    }
}

fn looks_right(frame: &Frame) -> bool {
    let decoded = decode_frame(LinkType::Ethernet, &frame.bytes).map(|frame| frame.transport);
    match (frame.class, decoded) {
        (FrameClass::Signalling, Ok(Transport::Fragment(_)))
        | (FrameClass::Tcp, Ok(Transport::Tcp { .. }))
        | (FrameClass::OtherTransport, Ok(Transport::Other(_)))
        | (FrameClass::NotIp, Err(FrameError::NotIp))
        | (FrameClass::MalformedIp, Err(FrameError::Malformed))
        | (FrameClass::Truncated, Err(FrameError::Truncated)) => true,
        (class, Ok(Transport::Udp { payload, truncated: false, .. })) => match class {
            FrameClass::Signalling => looks_like_sip(payload),
            FrameClass::Rtp | FrameClass::RtpCopy | FrameClass::UnexplainedRtp => {
                classify(payload) == MediaClass::Rtp && RtpView::parse(payload).is_ok()
            }
            FrameClass::MalformedRtp => {
                classify(payload) == MediaClass::Rtp && RtpView::parse(payload).is_err()
            }
            FrameClass::Rtcp | FrameClass::RtcpCopy => classify(payload) == MediaClass::Rtcp,
            FrameClass::Stun => classify(payload) == MediaClass::Stun,
            FrameClass::Dtls => classify(payload) == MediaClass::Dtls,
            FrameClass::KeepAlive => classify(payload) == MediaClass::KeepAlive,
            FrameClass::UdpOther => classify(payload) == MediaClass::Other && !looks_like_sip(payload),
            _ => false,
        },
        _ => false,
    }
}

#[test]
fn streams_add_up_to_the_ledger() {
    for entry in scenarios::all().filter(|entry| !entry.name.ends_with("30-minutes")) {
        let mut stream = entry.scenario(8).frames();
        stream.by_ref().for_each(drop);
        let expected = stream.finish();
        let streams = || expected.calls.iter().flat_map(|call| &call.streams);
        assert_eq!(
            streams().map(|s| s.packets).sum::<u64>(),
            expected.ledger.of(FrameClass::Rtp),
            "{}",
            entry.name
        );
        assert_eq!(
            streams().map(|s| s.rtcp).sum::<u64>(),
            expected.ledger.of(FrameClass::Rtcp),
            "{}",
            entry.name
        );
    }
}

#[test]
fn a_hang_up_ends_every_call_at_once() {
    let mut stream = scenarios::by_name("office", 4).frames();
    let at = nightjar_load::SCENARIO_START + Nanos::from_secs(37);
    let mut last = Nanos::ZERO;
    while stream.next_at().is_some_and(|next| next <= at) {
        last = stream.next().unwrap().at;
    }
    assert!(stream.active_calls() > 5 && last <= at);
    stream.hang_up_all(at);
    for frame in stream.by_ref() {
        assert!(frame.at - at < Nanos::from_millis(100));
        assert_eq!(frame.class, FrameClass::Signalling);
    }
    let expected = stream.finish();
    let limit = Timestamp::from_nanos((at + Nanos::from_millis(100)).0);
    assert!(expected.calls.iter().all(|call| call.ended_at.is_some_and(|ended| ended <= limit)));
    let hung_up = expected.calls.iter().filter(|call| call.ended_at >= Some(Timestamp::from_nanos(at.0)));
    let states: Vec<CallState> = hung_up.map(|call| call.state).collect();
    assert!(states.len() > 5, "{states:?}");
    assert!(
        states.iter().all(|state| matches!(state, CallState::Completed | CallState::Cancelled)),
        "{states:?}"
    );
    let messages: u64 = expected.calls.iter().map(|call| call.sip_messages).sum();
    assert_eq!(messages, expected.ledger.of(FrameClass::Signalling));
}
