//! sox hears the tones that the generator says it sent.

use std::io::Write;
use std::process::{Command, Stdio};

use nightjar_load::{Codec, Scenario, Side, scenarios};
use nightjar_wire::{LinkType, Nanos, RtpView, Transport, decode_frame};

/// The audio payloads of one side, one after the other.
fn payloads(scenario: &Scenario, ssrc: &str) -> Vec<u8> {
    let mut audio = Vec::new();
    for frame in scenario.frames() {
        let Ok(decoded) = decode_frame(LinkType::Ethernet, &frame.bytes) else { continue };
        let Transport::Udp { payload, .. } = decoded.transport else { continue };
        if let Ok(rtp) = RtpView::parse(payload)
            && format!("0x{:08x}", rtp.ssrc()) == ssrc
        {
            audio.extend_from_slice(rtp.payload());
        }
    }
    audio
}

fn sox(input: &[u8], arguments: &[&str]) -> std::process::Output {
    let mut child = Command::new("sox")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sox (package sox) runs");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

#[test]
fn sox_hears_each_legs_tone() {
    for (name, kind) in [("answered", "al"), ("pcmu", "ul")] {
        let scenario = scenarios::by_name(name, 9);
        let mut stream = scenario.frames();
        stream.by_ref().for_each(drop);
        let expected = stream.finish();
        let call = &expected.calls[0];
        for side in [Side::Caller, Side::Callee] {
            let ssrc = &call.heard(side).next().unwrap().ssrc;
            let audio = payloads(&scenario, ssrc);
            let output = sox(&audio, &["-t", kind, "-r", "8000", "-c", "1", "-", "-n", "stat"]);
            let report = String::from_utf8(output.stderr).unwrap();
            let line = report.lines().find(|line| line.starts_with("Rough")).unwrap();
            let hz: f64 = line.split_whitespace().last().unwrap().parse().unwrap();
            let tone = f64::from(call.tone_hz(side).unwrap());
            assert!((hz - tone).abs() < 4.0, "{name} {side:?}: {hz} Hz, sent {tone}");
        }
    }
}

#[test]
fn each_code_of_both_laws_survives_soxs_decoder() {
    let codes: Vec<u8> = (0..=255).collect();
    for (codec, kind) in [(Codec::Pcma, "al"), (Codec::Pcmu, "ul")] {
        let decoded = sox(&codes, &["-t", kind, "-r", "8000", "-c", "1", "-", "-t", "s16", "-"]).stdout;
        assert_eq!(decoded.len(), 512);
        for (code, bytes) in codes.iter().zip(decoded.chunks(2)) {
            let sample = i16::from_le_bytes([bytes[0], bytes[1]]);
            // µ-law has two zeros; the encoder uses the positive one.
            let wanted = if codec == Codec::Pcmu && *code == 0x7f { 0xff } else { *code };
            assert_eq!(codec.encode(sample), wanted, "{codec:?} {code:02x}");
        }
    }
}

#[test]
fn clicks_of_both_legs_are_at_whole_seconds_of_the_capture_clock_in_spite_of_drift() {
    let mut scenario = Scenario::new("clicks", 12);
    let mut call = scenario.plain();
    call.talk = Nanos::from_secs(300);
    call.legs.iter_mut().for_each(|leg| leg.audio = nightjar_load::Audio::Clicks);
    (call.legs[0].drift_ppm, call.legs[1].drift_ppm) = (100, -100);
    scenario.call(Nanos::ZERO, call);
    let mut clicks = 0;
    for frame in scenario.frames() {
        let Ok(decoded) = decode_frame(LinkType::Ethernet, &frame.bytes) else { continue };
        let Transport::Udp { payload, .. } = decoded.transport else { continue };
        let Ok(rtp) = RtpView::parse(payload) else { continue };
        let Some(first) = rtp.payload().iter().position(|code| *code != 0xd5) else { continue };
        let at = (frame.at.0 + first as u64 * 125_000) % 1_000_000_000;
        // Within the click's 5 ms, whose first sample is a zero of the sine.
        assert!(at < 5_500_000, "{at} ns after the second");
        clicks += 1;
    }
    assert!(clicks >= 598, "{clicks}");
}
