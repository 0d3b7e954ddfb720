//! Ringing, forking, answering.

use nightjar_media::{AudioConfig, CallAudio, Decision, Fate, StreamSpec};
use nightjar_wire::Nanos;

use crate::network::{Packet, Party, Tape, assert_tone, at, level, peak, spec, tone};

/// Two forks with early media to the caller, each its own tone; the second one answers after 3 s.
fn forked() -> (Vec<StreamSpec>, Vec<Packet>) {
    let specs = vec![
        StreamSpec { dialog: Some(0), ..spec(0, 1) },
        StreamSpec { dialog: Some(1), ..spec(1, 2) },
        StreamSpec { dialog: None, ..spec(2, 0) },
    ];
    let mut packets = Vec::new();
    for (stream, hertz, seconds) in [(0, 400.0, 3.0), (1, 1000.0, 6.0), (2, 700.0, 6.0)] {
        packets.extend(Party { delay: 0.0, ..Party::new(stream) }.talk(seconds, &tone(hertz)));
    }
    packets.sort_by_key(|packet| packet.arrival);
    (specs, packets)
}

fn play(config: &AudioConfig, answer: Option<u16>) -> (Tape, nightjar_media::AudioSummary) {
    let (specs, packets) = forked();
    let mut call = CallAudio::new(config, Decision::Undecided);
    specs.into_iter().for_each(|spec| call.open_stream(spec));
    let mut tape = Tape::default();
    let mut answer = answer;
    for packet in &packets {
        if let Some(dialog) = answer.filter(|_| packet.arrival >= at(3.0)) {
            assert_eq!(tape.frames, 0, "nothing is recorded before the answer");
            call.handle_answered(dialog, packet.arrival);
            answer = None;
        }
        call.advance(packet.arrival, &mut tape);
        call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
    }
    let summary = call.finish(at(6.0), &mut tape);
    (tape, summary)
}

#[test]
fn the_losing_fork_is_left_out_early_media_included() {
    let (tape, summary) = play(&AudioConfig::default(), Some(1));
    assert_eq!(tape.planes[0].len(), 48_000);
    assert_tone(&tape.planes[0], 700.0, 400.0);
    assert_tone(&tape.planes[1], 1000.0, 400.0);
    assert_eq!(summary.channel_legs, [vec![0], vec![2]]);
    assert_eq!(summary.streams[0].counts.discarded, 150);
    assert_eq!(summary.counts().encoded, 600);
}

#[test]
fn who_has_been_heard_keeps_its_channel_when_signalling_explains_the_call() {
    let mut packets = Vec::new();
    for (stream, hertz) in [(0, 400.0), (1, 1000.0)] {
        packets.extend(Party { delay: 0.0, ..Party::new(stream) }.talk(6.0, &tone(hertz)));
    }
    packets.sort_by_key(|packet| packet.arrival);
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
    [spec(0, 0), spec(1, 1)].into_iter().for_each(|spec| call.open_stream(spec));
    let mut tape = Tape::default();
    let mut explained = false;
    for packet in &packets {
        if packet.arrival >= at(3.0) && !explained {
            // Who was heard first turns out to be the callee.
            call.open_stream(StreamSpec { receiver: Some(0), dialog: Some(0), ..spec(0, 1) });
            call.open_stream(StreamSpec { receiver: Some(1), dialog: Some(0), ..spec(1, 0) });
            explained = true;
        }
        call.advance(packet.arrival, &mut tape);
        call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
    }
    let summary = call.finish(at(6.0), &mut tape);
    for half in [0..24_000, 24_000..48_000] {
        assert_tone(&tape.planes[0][half.clone()], 400.0, 1000.0);
        assert_tone(&tape.planes[1][half], 1000.0, 400.0);
    }
    assert_eq!(summary.channel_legs, [vec![1], vec![0]]);
}

#[test]
fn a_call_that_nobody_answers_has_all_that_was_heard() {
    let (tape, summary) = play(&AudioConfig::default(), None);
    assert_eq!(summary.duration, Nanos::from_secs(6));
    assert!(level(&tape.planes[1], 400.0) > 3500.0 && level(&tape.planes[1], 1000.0) > 7000.0);
}

#[test]
fn what_rings_too_long_goes_on_with_everything() {
    let config = AudioConfig { max_hold: 40_000, ..AudioConfig::default() };
    let (specs, packets) = forked();
    let mut call = CallAudio::new(&config, Decision::Undecided);
    specs.into_iter().for_each(|spec| call.open_stream(spec));
    let mut tape = Tape::default();
    let mut fates = Vec::new();
    for packet in &packets {
        call.advance(packet.arrival, &mut tape);
        fates.push(call.handle_packet(packet.stream, packet.arrival, &packet.bytes));
    }
    let summary = call.finish(at(6.0), &mut tape);
    let held = fates.iter().filter(|fate| **fate == Fate::Held).count();
    assert!(held > 150 && held <= 40_000 / (172 + 24) + 1, "{held} held");
    assert_eq!(summary.counts().encoded, packets.len() as u64);
    assert!(level(&tape.planes[1][..24_000], 400.0) > 7000.0);
}

#[test]
fn a_hold_that_is_never_released_is_bounded() {
    let config = AudioConfig { max_hold: 40_000, ..AudioConfig::default() };
    let (specs, packets) = forked();
    let mut call = CallAudio::new(&config, Decision::Undecided);
    specs.into_iter().for_each(|spec| call.open_stream(spec));
    let fates = packets.iter().map(|packet| call.handle_packet(packet.stream, packet.arrival, &packet.bytes));
    assert_eq!(fates.filter(|fate| *fate == Fate::Held).count(), 80_000 / (172 + 24) + 1);
}

#[test]
fn after_the_answer_a_losing_fork_is_not_heard() {
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Answered(1));
    let (specs, packets) = forked();
    specs.into_iter().for_each(|spec| call.open_stream(spec));
    let mut tape = Tape::default();
    for packet in packets.iter().filter(|packet| packet.stream == 0) {
        assert_eq!(call.handle_packet(0, packet.arrival, &packet.bytes), Fate::Discarded);
    }
    let summary = call.finish(at(3.0), &mut tape);
    assert_eq!(summary.started_at, None);
    assert_eq!(peak(&tape.planes[1]), 0);
}
