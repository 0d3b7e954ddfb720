//! Neither the size of batches nor the interleaving of streams reaches the output.

use nightjar_media::{AudioConfig, AudioSummary, CallAudio, Decision};
use nightjar_wire::Nanos;
use proptest::prelude::*;

use crate::network::{Dice, Packet, Party, Tape, at, spec, tone};

/// A call over a bad network: everything that can happen to a stream, by seed.
fn rough_call(seed: u64) -> Vec<Packet> {
    let mut packets = Vec::new();
    for stream in 0..3 {
        let mut party = Party::new(stream);
        let mut dice = Dice(seed ^ u64::from(stream) << 32);
        party.jitter = dice.unit() * 0.08;
        party.ppm = dice.unit() * 400.0 - 200.0;
        party.dice.0 = dice.next();
        for _ in 0..40 {
            match dice.next() % 12 {
                0 => party.pause(dice.unit() * 2.0),
                1 => party.spoken += dice.unit() * 2.0,
                2 => party.timestamp = party.timestamp.wrapping_add(dice.next() as u32),
                3 => party.sequence = party.sequence.wrapping_add((dice.next() % 9) as u16),
                4 => party.sequence = dice.next() as u16,
                5 => party.samples = [80, 160, 240, 320, 480, 101][dice.next() as usize % 6],
                6 => party.delay = dice.unit() * 0.4,
                7 => party.timestamp = party.timestamp.wrapping_sub((dice.next() % 400) as u32),
                8 => packets.push(party.send(101, false, &[3, 10, 0, 160])),
                9 => packets.push(party.send(13, false, &[50])),
                _ => {}
            }
            let from = packets.len();
            packets.extend(party.talk(dice.unit() * 0.6, &tone(300.0 + 100.0 * f64::from(stream))));
            for index in from..packets.len() {
                let fortune = dice.next() % 20;
                let delay = Nanos::from_millis(dice.next() % 260);
                if fortune == 0 {
                    packets[index].arrival = packets[index].arrival + delay;
                } else if fortune == 1 {
                    let mut copy = packets[index].clone();
                    copy.arrival = copy.arrival + delay;
                    packets.push(copy);
                }
            }
        }
    }
    packets.sort_by_key(|packet| (packet.arrival, packet.stream));
    packets
}

fn call(decision: Decision) -> CallAudio {
    let mut call = CallAudio::new(&AudioConfig::default(), decision);
    for stream in 0..3 {
        call.open_stream(spec(stream, stream as u16));
    }
    call
}

/// Frames after every packet.
fn record_finely(packets: &[Packet], end: Nanos) -> (Tape, AudioSummary) {
    let (mut call, mut tape) = (call(Decision::Everything), Tape::default());
    for packet in packets {
        call.advance(packet.arrival, &mut tape);
        call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
    }
    let summary = call.finish(end, &mut tape);
    (tape, summary)
}

/// Frames after batches of up to `most` packets, each batch stream by stream.
fn record_coarsely(packets: &[Packet], end: Nanos, most: u64, seed: u64) -> (Tape, AudioSummary) {
    let (mut call, mut tape) = (call(Decision::Everything), Tape::default());
    let mut dice = Dice(seed);
    let mut rest = packets;
    while !rest.is_empty() {
        let count = rest.len().min(1 + (dice.next() % most) as usize);
        let (batch, later) = rest.split_at(count);
        for stream in [2, 0, 1] {
            for packet in batch.iter().filter(|packet| packet.stream == stream) {
                call.handle_packet(stream, packet.arrival, &packet.bytes);
            }
        }
        rest = later;
        if let Some(next) = rest.first() {
            call.advance(next.arrival, &mut tape);
        }
    }
    let summary = call.finish(end, &mut tape);
    (tape, summary)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_batches_give_the_same_recording(seed: u64, most in 1u64..120) {
        let packets = rough_call(seed);
        let end = packets.last().unwrap().arrival + Nanos::from_millis(333);
        let (tape, summary) = record_finely(&packets, end);
        prop_assert_eq!(summary.counts().total(), packets.len() as u64);
        let (other_tape, other_summary) = record_coarsely(&packets, end, most, seed);
        prop_assert_eq!(&other_summary, &summary);
        prop_assert!(other_tape.planes == tape.planes);
    }

    #[test]
    fn holding_until_the_answer_changes_nothing(seed: u64, answered_after in 1usize..400) {
        let packets = rough_call(seed);
        let end = packets.last().unwrap().arrival + Nanos::from_millis(333);
        let (tape, summary) = record_finely(&packets, end);
        let (mut call, mut other) = (call(Decision::Undecided), Tape::default());
        for (index, packet) in packets.iter().enumerate() {
            if index == answered_after {
                call.handle_answered(0, packet.arrival);
            }
            call.advance(packet.arrival, &mut other);
            call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
        }
        let other_summary = call.finish(end, &mut other);
        prop_assert_eq!(other_summary, summary);
        prop_assert!(other.planes == tape.planes);
    }

    #[test]
    fn no_bytes_upset_it(
        datagrams in prop::collection::vec((0u32..4, any::<u64>(), prop::collection::vec(any::<u8>(), 0..64)), 0..60),
        end: u64,
    ) {
        let (mut call, mut tape) = (call(Decision::Everything), Tape::default());
        let config = AudioConfig::default();
        let mut taken = 0;
        for (stream, arrival, mut bytes) in datagrams {
            if let Some(first) = bytes.first_mut() {
                *first = 0x80 | *first & 0x3f;
            }
            // Any order of stamps.
            let arrival = Nanos(arrival >> 8);
            call.handle_packet(stream, arrival, &bytes);
            taken += u64::from(stream < 3);
        }
        let summary = call.finish(Nanos(end >> 8).min(at(1.0)), &mut tape);
        prop_assert_eq!(summary.counts().total(), taken);
        prop_assert!(tape.planes[0].len() as u64 <= config.max_silence.0 / 125_000 * 70);
    }
}
