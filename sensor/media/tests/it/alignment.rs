//! What was said together is heard together.

use crate::network::{Packet, Party, START, at, record, spec};
use nightjar_wire::Nanos;

/// A click of 4 ms at each whole second.
fn clicks(t: f64) -> f64 {
    if t.rem_euclid(1.0) < 0.004 { 20_000.0 } else { 0.0 }
}

/// Where clicks begin, in samples.
fn onsets(samples: &[i16]) -> Vec<usize> {
    let mut onsets = Vec::new();
    let mut quiet_since = 0;
    for (index, sample) in samples.iter().enumerate() {
        if sample.unsigned_abs() > 10_000 {
            if index - quiet_since > 800 || onsets.is_empty() {
                onsets.push(index);
            }
            quiet_since = index;
        }
    }
    onsets
}

/// Clicks of both channels, in s since START.
fn record_clicks(packets: Vec<Packet>, end: f64) -> [Vec<f64>; 2] {
    let (tape, summary) = record(&[spec(0, 0), spec(1, 1)], packets, at(end));
    assert_eq!(summary.counts().late, 0);
    assert!(summary.gaps.is_empty());
    let origin = summary.started_at.unwrap().signed_since(START) as f64 / 1e9;
    tape.planes.map(|plane| onsets(&plane).iter().map(|&index| origin + index as f64 / 8000.0).collect())
}

fn assert_together(clicks: &[Vec<f64>; 2], count: usize, within: f64) {
    for channel in clicks {
        assert!(channel.len() >= count, "{} clicks", channel.len());
        // No step: a second is a second, but for one sample in each second packet.
        let worst = channel.windows(2).map(|pair| (pair[1] - pair[0] - 1.0).abs()).fold(0.0, f64::max);
        assert!(worst < 0.004, "a step of {worst} s");
    }
    let apart = clicks[0].iter().zip(&clicks[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < within, "clicks are {apart} s apart");
}

#[test]
fn half_an_hour_with_clocks_100_ppm_apart_and_jitter() {
    let mut packets = Vec::new();
    for (stream, ppm) in [(0, 50.0), (1, -50.0)] {
        let mut party = Party::new(stream);
        (party.ppm, party.jitter, party.timestamp) = (ppm, 0.03, u32::MAX - 100_000);
        packets.extend(party.talk(1801.0, &clicks));
    }
    let clicks = record_clicks(packets, 1801.2);
    assert_together(&clicks, 1800, 0.02);
    let apart = |from: usize| -> f64 {
        let pairs = clicks[0].iter().zip(&clicks[1]).skip(from);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    assert!(apart(5) < 0.005, "{}", apart(5));
    // Every click is where it was heard, at the start, the middle and the end.
    for channel in &clicks {
        for second in [5, 900, 1795] {
            let off = channel[second] - second as f64 - 0.02;
            assert!(off.abs() < 0.005, "click {second} is off by {off} s");
        }
    }
}

#[test]
fn the_first_click_stands_right_although_the_first_packets_were_late() {
    for seed in 0..20 {
        let mut packets = Vec::new();
        for stream in [0, 1] {
            let mut party = Party::new(stream);
            (party.jitter, party.dice.0) = (0.04, seed * 2 + u64::from(stream));
            packets.extend(party.talk(3.0, &|t| clicks(t - 0.3)));
        }
        let clicks = record_clicks(packets, 3.1);
        let apart = (clicks[0][0] - clicks[1][0]).abs();
        assert!(apart < 0.02, "seed {seed}: {apart} s apart");
    }
}

#[test]
fn parties_with_other_packet_times_stand_together() {
    let mut packets = Vec::new();
    for (stream, samples) in [(0, 160), (1, 480)] {
        let mut party = Party::new(stream);
        party.samples = samples;
        packets.extend(party.talk(10.2, &clicks));
    }
    assert_together(&record_clicks(packets, 10.3), 9, 0.001);
}

#[test]
fn a_change_of_packet_time_moves_nothing() {
    let mut packets = Vec::new();
    for stream in [0, 1] {
        let mut party = Party::new(stream);
        for samples in [160, 80, 320, 240, 480, 100, 160] {
            party.samples = if stream == 0 { samples } else { 160 };
            packets.extend(party.talk(3.0, &clicks));
        }
    }
    assert_together(&record_clicks(packets, 21.3), 19, 0.001);
}

#[test]
fn a_path_that_becomes_longer_is_followed_without_a_step() {
    let mut packets = Vec::new();
    for stream in [0, 1] {
        let mut party = Party::new(stream);
        packets.extend(party.talk(10.0, &clicks));
        if stream == 0 {
            party.delay += 0.015;
        }
        packets.extend(party.talk(60.0, &clicks));
    }
    let clicks = record_clicks(packets, 70.2);
    let steps = clicks[0].windows(2).map(|pair| (pair[1] - pair[0] - 1.0).abs()).fold(0.0, f64::max);
    assert!(steps < 0.005, "a step of {steps} s");
    let moved = clicks[0][65] - clicks[1][65];
    assert!((moved - 0.015).abs() < 0.003, "moved by {moved} s");
}

#[test]
fn drift_is_made_up_for_in_pauses_too() {
    let mut packets = Vec::new();
    for (stream, ppm) in [(0, 100.0), (1, -100.0)] {
        let mut party = Party::new(stream);
        party.ppm = ppm;
        // Silence suppression: 0.6 s around each click, every 2 s, for 10 minutes.
        for turn in 0..300 {
            party.pause((f64::from(turn) * 2.0 + 0.8 - party.spoken).max(0.0));
            packets.extend(party.talk(0.6, &clicks));
        }
    }
    let (tape, summary) = record(&[spec(0, 0), spec(1, 1)], packets, at(600.0) + Nanos::from_millis(100));
    assert!(summary.gaps.is_empty(), "{:?}", summary.gaps.first());
    let [left, right] = tape.planes.map(|plane| onsets(&plane));
    assert!(left.len() >= 299 && left.len() == right.len());
    let apart = left.iter().zip(&right).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(apart <= 40, "clicks are {apart} samples apart");
}
