//! The packets of each media scenario show what its name promises.

use nightjar_load::{Frame, FrameClass, Side, scenarios};
use nightjar_wire::{LinkType, Nanos, RtpTime, RtpView, Transport, decode_frame};

struct Packet {
    at: Nanos,
    sequence: u16,
    timestamp: u32,
    payload_type: u8,
    marker: bool,
    payload: Vec<u8>,
}

fn packet(frame: &Frame, ssrc: &str) -> Option<Packet> {
    let decoded = decode_frame(LinkType::Ethernet, &frame.bytes).ok()?;
    let Transport::Udp { payload, .. } = decoded.transport else { return None };
    let rtp = RtpView::parse(payload).ok().filter(|rtp| format!("0x{:08x}", rtp.ssrc()) == ssrc)?;
    Some(Packet {
        at: frame.at,
        sequence: rtp.sequence().0,
        timestamp: rtp.timestamp().0,
        payload_type: rtp.payload_type(),
        marker: rtp.marker(),
        payload: rtp.payload().to_vec(),
    })
}

/// The packets of the caller's first stream.
fn callers_packets(name: &str) -> Vec<Packet> {
    let scenario = scenarios::by_name(name, 4);
    let mut stream = scenario.frames();
    stream.by_ref().for_each(drop);
    let expected = stream.finish();
    let ssrc = &expected.calls[0].heard(Side::Caller).next().unwrap().ssrc;
    let rtp = scenario.frames().filter(|frame| frame.class == FrameClass::Rtp);
    rtp.filter_map(|frame| packet(&frame, ssrc)).collect()
}

/// Steps from packet to packet: nanoseconds, sequence, timestamp.
fn steps(packets: &[Packet]) -> Vec<(u64, u16, i32)> {
    let step = |pair: &[Packet]| {
        let ticks = RtpTime(pair[1].timestamp).since(RtpTime(pair[0].timestamp));
        ((pair[1].at - pair[0].at).0, pair[1].sequence.wrapping_sub(pair[0].sequence), ticks)
    };
    packets.windows(2).map(step).collect()
}

const USUAL: (u64, u16, i32) = (20_000_000, 1, 160);

#[test]
fn a_plain_stream_steps_evenly_also_over_the_wraps() {
    for name in ["answered", "sequence-wrap", "timestamp-wrap"] {
        let packets = callers_packets(name);
        assert!(packets[0].marker && packets.len() > 400);
        assert!(steps(&packets).iter().all(|step| *step == USUAL), "{name}");
    }
    let wrapped = callers_packets("sequence-wrap");
    assert!(wrapped.last().unwrap().sequence < wrapped[0].sequence);
    let wrapped = callers_packets("timestamp-wrap");
    assert!(wrapped.last().unwrap().timestamp < wrapped[0].timestamp);
}

#[test]
fn silence_moves_time_and_not_the_sequence() {
    for (name, noise_packets) in [("dtx", 0), ("comfort-noise", 1)] {
        let packets = callers_packets(name);
        let unusual: Vec<_> = steps(&packets).into_iter().filter(|step| *step != USUAL).collect();
        let [(nanos, 1, ticks)] = unusual[..] else { panic!("{name}: {unusual:?}") };
        assert!((1_980_000_000..=2_020_000_000).contains(&nanos), "{name}: {nanos}");
        assert_eq!(ticks as u64 * 125_000, nanos, "{name}");
        assert_eq!(packets.iter().filter(|packet| packet.payload_type == 13).count(), noise_packets);
        assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 2);
    }
}

#[test]
fn a_frozen_timestamp_stands_for_two_seconds_and_then_is_right_again() {
    let packets = callers_packets("timestamp-frozen");
    let frozen = steps(&packets).iter().filter(|step| **step == (20_000_000, 1, 0)).count();
    assert!((98..=101).contains(&frozen), "{frozen}");
    let (first, last) = (&packets[0], packets.last().unwrap());
    assert_eq!(u64::from(last.timestamp.wrapping_sub(first.timestamp)) * 125_000, (last.at - first.at).0);
}

#[test]
fn a_reset_timestamp_jumps_once_with_the_sequence_going_on() {
    let unusual: Vec<_> =
        steps(&callers_packets("timestamp-reset")).into_iter().filter(|step| *step != USUAL).collect();
    let [(20_000_000, 1, ticks)] = unusual[..] else { panic!("{unusual:?}") };
    assert!(ticks.abs() > 100_000, "{ticks}");
}

#[test]
fn digits_are_events_with_a_marker_growing_durations_and_three_ends() {
    let packets = callers_packets("digits");
    let events: Vec<&Packet> = packets.iter().filter(|packet| packet.payload_type == 101).collect();
    let codes: Vec<u8> =
        events.iter().filter(|packet| packet.marker).map(|packet| packet.payload[0]).collect();
    assert_eq!(codes, [1, 5, 9, 11]);
    for code in codes {
        let of_digit: Vec<_> = events.iter().filter(|packet| packet.payload[0] == code).collect();
        assert!(of_digit.iter().all(|packet| packet.timestamp == of_digit[0].timestamp));
        let durations: Vec<u16> = of_digit
            .iter()
            .map(|packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]]))
            .collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 960, 960, 960]);
        let ends = of_digit.iter().filter(|packet| packet.payload[1] & 0x80 != 0).count();
        assert_eq!(ends, 3);
    }
}

#[test]
fn laws_and_packet_times_change_where_they_should() {
    let types: Vec<u8> = callers_packets("law-switch").iter().map(|packet| packet.payload_type).collect();
    let changes = types.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!((types[0], changes), (8, 2));
    let lengths: Vec<usize> =
        callers_packets("ptime-changes").iter().map(|packet| packet.payload.len()).collect();
    assert_eq!((lengths[0], lengths[lengths.len() - 1]), (160, 320));
    let steps = steps(&callers_packets("ptime-changes"));
    assert!(steps.iter().all(|(nanos, one, ticks)| *ticks as u64 * 125_000 == *nanos && *one == 1));
}

#[test]
fn clocks_drift_by_as_much_as_planned() {
    let packets = callers_packets("clicks-drift-30-minutes");
    let (first, last) = (&packets[0], packets.last().unwrap());
    let ticks = f64::from(last.timestamp.wrapping_sub(first.timestamp));
    let ppm = (ticks / 8000.0 / (last.at - first.at).as_secs_f64() - 1.0) * 1e6;
    assert!((ppm - 50.0).abs() < 0.1, "{ppm}");
}
