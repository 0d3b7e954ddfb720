//! What the network does to a stream, and what is heard of it.

use nightjar_media::{AudioConfig, AudioSummary, CallAudio, ChannelLayout, Decision, Fate, Mark, StreamSpec};
use nightjar_schema::{GapCause, StreamUse};
use nightjar_wire::Nanos;

use crate::network::{
    Dice, Packet, Party, START, Tape, assert_tone, at, level, peak, record, record_as, rtp, spec, tone,
};

fn one(packets: Vec<Packet>, end: f64) -> (Vec<i16>, AudioSummary) {
    let (tape, summary) = record(&[spec(0, 0)], packets, at(end));
    let [left, _] = tape.planes;
    (left, summary)
}

/// A party without delay and its 10 s of 400 Hz.
fn ten_seconds() -> Vec<Packet> {
    Party { delay: 0.0, ..Party::new(0) }.talk(10.0, &tone(400.0))
}

#[test]
fn each_party_has_a_channel_and_mono_has_both() {
    let packets = |stream, hertz| Party::new(stream).talk(5.0, &tone(hertz));
    let all = || [packets(0, 400.0), packets(1, 1000.0)].concat();
    let specs = [spec(0, 0), spec(1, 1)];
    let (Tape { planes: [left, right], .. }, summary) = record(&specs, all(), at(5.02));
    assert_tone(&left, 400.0, 1000.0);
    assert_tone(&right, 1000.0, 400.0);
    assert_eq!(summary.channel_legs, [vec![0], vec![1]]);
    assert_eq!(summary.heard, [0, 1]);
    assert!(summary.marks.is_empty());
    assert_eq!(summary.started_at, Some(at(0.02)));
    assert_eq!(summary.duration, Nanos::from_secs(5));

    let config = AudioConfig { channels: ChannelLayout::Mono, ..AudioConfig::default() };
    let (Tape { planes: [both, none], .. }, summary) = record_as(&config, &specs, all(), at(5.02));
    assert!(level(&both, 400.0) > 7000.0 && level(&both, 1000.0) > 7000.0);
    assert!(none.is_empty());
    assert_eq!(summary.channel_legs, [vec![0, 1]]);
}

#[test]
fn other_legs_and_music_on_hold_stand_opposite_their_listener() {
    let mut specs = [spec(0, 0), spec(1, 2), spec(2, 0), spec(3, 0)];
    (specs[2].leg, specs[2].receiver) = (None, Some(0));
    (specs[3].leg, specs[3].receiver) = (None, Some(1));
    for (index, hertz, channel) in [(0, 400.0, 0), (1, 500.0, 1), (2, 600.0, 1), (3, 700.0, 0)] {
        let packets = Party::new(index).talk(2.0, &tone(hertz));
        let (tape, summary) = record(&specs, packets, at(2.02));
        assert_tone(&tape.planes[channel], hertz, 1000.0);
        assert_eq!(peak(&tape.planes[1 - channel]), 0);
        assert_eq!(summary.marks, [Mark::OneSided]);
    }
}

#[test]
fn lost_packets_are_silence_of_their_length_and_a_gap() {
    let mut packets = ten_seconds();
    packets.drain(100..105);
    packets.remove(300);
    let (left, summary) = one(packets, 10.0);
    assert_eq!(left.len(), 80_000);
    assert_eq!(peak(&left[16_000..16_800]), 0);
    assert_tone(&left[16_800..40_000], 400.0, 1000.0);
    let gaps: Vec<_> =
        summary.gaps.iter().map(|gap| (gap.at_ms, gap.duration_ms, gap.leg, gap.cause)).collect();
    assert_eq!(gaps, [(2000, 100, Some(0), GapCause::Wire), (6100, 20, Some(0), GapCause::Wire)]);
}

#[test]
fn what_is_missing_while_a_ring_was_full_is_the_sensors_loss_and_nothing_else_is() {
    let mut packets = ten_seconds();
    packets.drain(300..305);
    packets.drain(100..103);
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
    call.open_stream(spec(0, 0));
    let mut tape = Tape::default();
    for packet in &packets {
        call.handle_packet(0, packet.arrival, &packet.bytes);
        call.advance(packet.arrival, &mut tape);
    }
    // Two looks at the ring in a row, while packets 300 to 304 came.
    call.note_ring_loss(at(6.01), at(6.04));
    call.note_ring_loss(at(6.04), at(6.1));
    let summary = call.finish(at(10.0), &mut tape);
    let gaps: Vec<_> = summary.gaps.iter().map(|gap| (gap.at_ms, gap.duration_ms, gap.cause)).collect();
    assert_eq!(gaps, [(2000, 60, GapCause::Wire), (6000, 100, GapCause::Ring)]);
    assert_eq!(summary.streams[0].lost_in_ring, 5);
}

#[test]
fn digits_that_are_numbered_by_themselves_silence_nobody() {
    for first in [700, 2_500, 20_000] {
        let mut packets = ten_seconds();
        let at_ms = |ms: u64| at(1.005) + Nanos::from_millis(ms);
        for n in 0..8u16 {
            let [high, low] = (160 * (n + 1)).to_be_bytes();
            let event = [5, if n > 4 { 0x8a } else { 10 }, high, low];
            let bytes = rtp(101, n == 0, first + n, 5000 + 8000, 0x1000, &event);
            packets.push(Packet { stream: 0, arrival: at_ms(20 * u64::from(n)), bytes });
        }
        let (left, summary) = one(packets, 10.0);
        assert_tone(&left, 400.0, 1000.0);
        assert!(summary.gaps.is_empty(), "{first}: {:?}", summary.gaps);
        assert_eq!(summary.counts().late, 0, "{first}");
    }
}

#[test]
fn an_empty_packet_of_an_unknown_type_is_no_speech_that_cannot_be_read() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(1.0, &tone(400.0));
    packets.push(party.send(20, false, &[]));
    assert!(one(packets.clone(), 1.1).1.marks.iter().all(|mark| *mark != Mark::Undecodable));
    packets.push(party.send(20, false, b"more"));
    assert!(one(packets, 1.1).1.marks.contains(&Mark::Undecodable));
}

#[test]
fn a_timestamp_jump_in_a_whole_sequence_is_silence_and_no_gap() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(2.0, &tone(400.0));
    party.pause(3.0);
    packets.extend(party.talk(2.0, &tone(400.0)));
    let (left, summary) = one(packets, 7.0);
    assert_eq!(peak(&left[16_000..40_000]), 0);
    assert_tone(&left[40_000..], 400.0, 1000.0);
    assert!(summary.gaps.is_empty());
    assert_eq!(summary.duration, Nanos::from_secs(7));
}

#[test]
fn loss_within_a_pause_is_a_gap_of_what_was_lost_alone() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(2.0, &tone(400.0));
    packets.pop();
    party.pause(3.0);
    packets.extend(party.talk(2.0, &tone(400.0)));
    let (_, summary) = one(packets, 7.0);
    let gaps: Vec<_> = summary.gaps.iter().map(|gap| (gap.at_ms, gap.duration_ms)).collect();
    assert_eq!(gaps, [(1980, 20)]);
}

#[test]
fn reordering_and_duplicates_change_nothing() {
    let (expected, _) = one(ten_seconds(), 10.0);
    let mut packets = ten_seconds();
    let mut dice = Dice(7);
    for index in 20..packets.len() - 6 {
        if dice.unit() < 0.2 {
            // Up to 100 ms later.
            let delay = Nanos::from_millis(20 + dice.next() % 80);
            packets[index].arrival = packets[index].arrival + delay;
        }
        if dice.unit() < 0.1 {
            let mut copy = packets[index].clone();
            copy.arrival = copy.arrival + Nanos::from_millis(dice.next() % 1500);
            packets.push(copy);
        }
    }
    let duplicates = packets.len() as u64 - 500;
    let (left, summary) = one(packets, 10.0);
    assert!(left == expected);
    assert_eq!(summary.counts().duplicate, duplicates);
    assert_eq!(summary.counts().encoded, 500);
    assert!(summary.gaps.is_empty());
}

#[test]
fn a_packet_after_its_frame_is_late_and_a_gap() {
    let mut packets = ten_seconds();
    for index in [100, 101, 200] {
        packets[index].arrival = packets[index].arrival + Nanos::from_millis(400);
    }
    let (left, summary) = one(packets, 10.0);
    assert_eq!(summary.counts().late, 3);
    assert_eq!(peak(&left[16_000..16_320]), 0);
    assert_eq!(summary.gaps.iter().map(|gap| gap.duration_ms).collect::<Vec<_>>(), [40, 20]);
}

#[test]
fn a_late_packet_that_lies_about_its_time_takes_nobody_s_place() {
    // None is a multiple of the tone's 20 samples: another place would be heard.
    for offset in [-151i32, -33, 33, 151, 397] {
        let mut packets = ten_seconds();
        let late = &mut packets[50];
        late.arrival = late.arrival + Nanos::from_millis(30);
        let timestamp = u32::from_be_bytes(late.bytes[4..8].try_into().unwrap());
        late.bytes[4..8].copy_from_slice(&timestamp.wrapping_add_signed(offset).to_be_bytes());
        let (left, summary) = one(packets, 10.0);
        assert_eq!(summary.samples, 80_000);
        assert!(summary.streams[0].heard_samples <= summary.samples, "{offset}: {summary:?}");
        let (expected, _) = one(ten_seconds(), 10.0);
        let its_own = 50 * 160..51 * 160;
        assert!(left[..its_own.start] == expected[..its_own.start], "{offset}");
        assert!(left[its_own.end..] == expected[its_own.end..], "{offset}");
    }
}

#[test]
fn sequence_and_timestamp_wrap_unheard() {
    let mut party = Party { delay: 0.0, sequence: 65_500, timestamp: u32::MAX - 20_000, ..Party::new(0) };
    let packets = party.talk(10.0, &tone(400.0));
    let (left, summary) = one(packets, 10.0);
    assert!(left == one(ten_seconds(), 10.0).0);
    assert!(summary.gaps.is_empty());
}

#[test]
fn a_timestamp_reset_in_speech_is_unheard() {
    for offset in [4_000_000_000u32, 777, 1_000_000, 3_000_000_000] {
        let mut party = Party { delay: 0.0, jitter: 0.02, ..Party::new(0) };
        let mut packets = party.talk(5.0, &tone(400.0));
        let (expected, _) = one([packets.clone(), party_like(&party).talk(5.0, &tone(400.0))].concat(), 10.0);
        party.timestamp = party.timestamp.wrapping_add(offset).wrapping_sub(40_000);
        packets.extend(party.talk(5.0, &tone(400.0)));
        let (left, summary) = one(packets, 10.0);
        assert!(left == expected, "offset {offset}");
        assert_eq!(summary.counts().encoded, 500);
        assert!(summary.gaps.is_empty());
    }
}

fn party_like(party: &Party) -> Party {
    let mut other = Party::new(party.stream);
    (other.sequence, other.timestamp, other.spoken) = (party.sequence, party.timestamp, party.spoken);
    (other.delay, other.jitter, other.dice.0) = (party.delay, party.jitter, party.dice.0);
    other
}

#[test]
fn a_frozen_timestamp_is_placed_by_arrival() {
    let mut party = Party { delay: 0.0, jitter: 0.01, ..Party::new(0) };
    let mut packets = party.talk(2.0, &tone(400.0));
    for _ in 0..200 {
        let frozen = party.timestamp;
        packets.push(party.say(&tone(400.0)));
        party.timestamp = frozen;
    }
    packets.extend(party.talk(2.0, &tone(400.0)));
    let (left, summary) = one(packets, 8.0);
    assert_eq!(summary.counts().encoded, 400);
    assert!(summary.gaps.is_empty());
    // No step: half-second windows hold the whole tone.
    for part in left[800..63_200].chunks_exact(4000) {
        assert_tone(part, 400.0, 1000.0);
    }
}

#[test]
fn a_sender_that_begins_anew_goes_on() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(3.0, &tone(400.0));
    (party.sequence, party.timestamp) = (40_000, 3_333_333_333);
    packets.extend(party.talk(3.0, &tone(400.0)));
    let (left, summary) = one(packets, 6.0);
    assert_eq!(summary.counts().encoded, 300);
    assert!(summary.gaps.is_empty());
    assert_tone(&left, 400.0, 1000.0);
}

#[test]
fn a_hold_in_which_the_timestamp_stands_still_keeps_its_length() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(2.0, &tone(400.0));
    party.spoken += 3600.0;
    packets.extend(party.talk(2.0, &tone(400.0)));
    let (left, summary) = one(packets, 3604.0);
    assert_eq!(summary.duration, Nanos::from_secs(3604));
    assert_eq!(peak(&left[16_000..3602 * 8000]), 0);
    assert_tone(&left[3602 * 8000..], 400.0, 1000.0);
    assert!(summary.marks == [Mark::OneSided] && summary.gaps.is_empty());
}

#[test]
fn a_short_hold_without_time_costs_a_tenth_of_a_second_at_most() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(2.0, &tone(400.0));
    party.spoken += 8.0;
    packets.extend(party.talk(2.0, &tone(400.0)));
    let (left, summary) = one(packets, 12.0);
    assert!(summary.counts().late <= 6, "{:?}", summary.counts());
    assert_tone(&left[81_200..], 400.0, 1000.0);
}

#[test]
fn a_stalled_network_s_burst_moves_nothing() {
    let mut packets = ten_seconds();
    let release = packets[150].arrival;
    for packet in &mut packets[100..150] {
        packet.arrival = release;
    }
    let (left, summary) = one(packets, 10.0);
    assert!(summary.counts().late >= 35 && summary.counts().late <= 45, "{:?}", summary.counts());
    let (expected, _) = one(ten_seconds(), 10.0);
    assert!(left[150 * 160..] == expected[150 * 160..]);
    assert_eq!(summary.gaps.len(), 1);
}

#[test]
fn the_law_may_change_from_packet_to_packet() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = Vec::new();
    for turn in 0..500 {
        party.payload_type = if turn % 3 == 0 { 0 } else { 8 };
        packets.push(party.say(&tone(400.0)));
    }
    let (left, _) = one(packets, 10.0);
    assert_tone(&left, 400.0, 1000.0);
    let noise = left.iter().enumerate().map(|(n, &s)| f64::from(s) - tone(400.0)(n as f64 / 8000.0));
    assert!(noise.map(f64::abs).fold(0.0, f64::max) < 300.0);
}

#[test]
fn digits_are_events_and_silence_and_no_loss() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(2.0, &tone(400.0));
    for (index, code) in [1u8, 11].into_iter().enumerate() {
        for n in 1..=8u16 {
            let [high, low] = (n.min(6) * 160).to_be_bytes();
            let end = if n >= 6 { 0x80 } else { 0 };
            packets.push(party.send(101, n == 1, &[code, end | 10, high, low]));
        }
        party.timestamp += 8 * 160;
        packets.extend(party.talk(1.0 + index as f64, &tone(400.0)));
    }
    let (left, summary) = one(packets, 5.32);
    let digits: Vec<_> = summary
        .digits
        .iter()
        .map(|d| (d.at.signed_since(START) / 1_000_000, d.digit, d.duration_ms))
        .collect();
    assert_eq!(digits, [(2000, '1', 120), (3160, '#', 120)]);
    assert_eq!(peak(&left[16_000..17_280]), 0);
    assert_tone(&left[17_280..25_280], 400.0, 1000.0);
    assert!(summary.gaps.is_empty());
    assert_eq!((summary.counts().events, summary.counts().encoded), (16, 266));
}

#[test]
fn comfort_noise_is_silence() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(1.0, &tone(400.0));
    for _ in 0..10 {
        packets.push(party.send(13, false, &[60]));
        party.timestamp += 160;
        party.pause(0.18);
    }
    packets.extend(party.talk(1.0, &tone(400.0)));
    let (left, summary) = one(packets, 4.0);
    assert_eq!(peak(&left[8000..24_000]), 0);
    assert_tone(&left[24_000..], 400.0, 1000.0);
    assert!(summary.gaps.is_empty());
    assert_eq!(summary.counts().comfort_noise, 10);
}

#[test]
fn how_often_frames_are_asked_for_does_not_matter_when_comfort_noise_comes_late() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(0.2, &tone(400.0));
    packets.push(party.send(13, false, &[60]));
    let mut late = party.send(13, false, &[60]);
    late.arrival = late.arrival + Nanos::from_millis(500);
    party.timestamp += 2 * 160;
    packets.extend(party.talk(1.0, &tone(400.0)));
    packets.push(late);
    packets.sort_by_key(|packet| packet.arrival);
    let asked_for_each = |count: usize| {
        let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
        call.open_stream(spec(0, 0));
        let mut tape = Tape::default();
        for (number, packet) in packets.iter().enumerate() {
            if number.is_multiple_of(count) {
                call.advance(packet.arrival, &mut tape);
            }
            call.handle_packet(0, packet.arrival, &packet.bytes);
        }
        (call.finish(at(1.24), &mut tape), tape)
    };
    let often = asked_for_each(1);
    // The first one is silence, the second one is missing.
    assert_eq!(often.0.gaps.iter().map(|gap| gap.duration_ms).collect::<Vec<_>>(), [20]);
    for count in [3, 10, 100] {
        assert!(asked_for_each(count) == often, "asked for with each {count}th packet");
    }
}

#[test]
fn what_cannot_be_decoded_is_silence_counted_and_marked() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(1.0, &tone(400.0));
    for _ in 0..50 {
        packets.push(party.send(18, false, &[0; 20]));
        party.timestamp += 160;
    }
    packets.extend(party.talk(1.0, &tone(400.0)));
    packets.push(Packet { stream: 0, arrival: at(2.99), bytes: vec![0x80, 8, 0, 0] });
    let (left, summary) = one(packets, 3.0);
    assert_eq!(peak(&left[8000..16_000]), 0);
    assert_eq!((summary.counts().undecodable, summary.counts().malformed), (50, 1));
    assert_eq!(summary.counts().discarded, 51);
    assert!(summary.gaps.is_empty());
    assert_eq!(summary.marks, [Mark::OneSided, Mark::Undecodable]);
}

#[test]
fn another_ssrc_on_the_flow_goes_on_where_the_first_ended() {
    let mut first = Party { delay: 0.0, jitter: 0.02, ..Party::new(0) };
    let mut packets = first.talk(3.0, &tone(400.0));
    let mut second = Party::new(1);
    (second.spoken, second.delay, second.jitter, second.sequence, second.timestamp) = (3.0, 0.0, 0.03, 9, 77);
    packets.extend(second.talk(3.0, &tone(400.0)));
    let mut specs = [spec(0, 0), spec(1, 0)];
    specs[1].continues = Some(0);
    let (tape, summary) = record(&specs, packets, at(6.0));
    assert_eq!(summary.channel_legs, [vec![0], vec![]]);
    // Neither doubled nor interrupted.
    assert!(peak(&tape.planes[0]) < 8300);
    for part in tape.planes[0][..47_840].chunks_exact(1600) {
        assert_tone(part, 400.0, 1000.0);
    }
}

#[test]
fn what_is_lost_while_a_source_moves_to_other_ports_stays_silent() {
    let mut party = Party { delay: 0.0, ..Party::new(0) };
    let mut packets = party.talk(6.0, &tone(400.0));
    // The 151st is lost; those behind it are on another flow.
    packets.remove(150);
    packets[150..].iter_mut().for_each(|packet| packet.stream = 1);
    let mut specs = [spec(0, 0), StreamSpec { ssrc: spec(0, 0).ssrc, ..spec(1, 0) }];
    specs[1].continues = Some(0);
    let (tape, _) = record(&specs, packets, at(6.0));
    let left = &tape.planes[0];
    assert!(peak(&left[24_000..24_160]) <= 8, "{}", peak(&left[24_000..24_160]));
    assert_tone(&left[22_400..24_000], 400.0, 1000.0);
    assert_tone(&left[24_160..47_840], 400.0, 1000.0);
}

#[test]
fn a_copy_is_not_heard_twice() {
    let once = ten_seconds();
    let twice: Vec<Packet> =
        once.iter().flat_map(|p| [p.clone(), Packet { stream: 1, ..p.clone() }]).collect();
    let copy = StreamSpec { use_: StreamUse::Copy, ..spec(1, 0) };
    let (tape, summary) = record(&[spec(0, 0), copy], twice, at(10.0));
    assert!(tape.planes[0] == one(once, 10.0).0);
    assert_eq!(summary.streams[1].counts.discarded, 500);
}

#[test]
fn the_recording_ends_exactly_at_the_end() {
    for (end, samples) in [(10.0, 80_000), (10.123, 80_984), (9.5, 76_000), (9.990_125, 79_921), (0.01, 80)] {
        let (left, summary) = one(ten_seconds(), end);
        assert_eq!(left.len(), samples);
        assert_eq!(summary.duration, Nanos(samples as u64 * 125_000));
    }
    let (left, summary) = one(Vec::new(), 5.0);
    assert!(left.is_empty() && summary.started_at.is_none() && summary.duration == Nanos::ZERO);
}

#[test]
fn what_comes_after_the_end_is_discarded() {
    let (_, summary) = one(ten_seconds(), 5.0);
    assert_eq!((summary.counts().encoded, summary.counts().discarded), (250, 250));
}

#[test]
fn fates_are_told_at_once() {
    let mut call =
        nightjar_media::CallAudio::new(&AudioConfig::default(), nightjar_media::Decision::Everything);
    call.open_stream(spec(0, 0));
    let packets = ten_seconds();
    assert_eq!(call.handle_packet(0, packets[0].arrival, &packets[0].bytes), Fate::Queued);
    assert_eq!(call.handle_packet(0, packets[0].arrival, &packets[0].bytes), Fate::Duplicate);
    assert_eq!(call.handle_packet(0, packets[90].arrival, &packets[1].bytes), Fate::Late);
    assert_eq!(call.handle_packet(9, packets[90].arrival, &packets[1].bytes), Fate::Discarded);
    assert_eq!(call.handle_packet(0, packets[90].arrival, b"x"), Fate::Discarded);
}
