//! Waveforms of audio whose amplitude is known.

use std::f64::consts::TAU;
use std::io::Cursor;
use std::process::{Command, Stdio};

use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use opus::{Application, Bitrate, Channels, Encoder, MSEncoder};
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{Control, TOKENS, sha256, until};
use crate::rows::id;

/// Hz.
const RATE: u32 = 8_000;

/// Amplitude per channel at a second: silence, then a tone that differs per channel, then silence on the right alone.
fn amplitude(channel: usize, second: f64) -> f64 {
    match (second, channel) {
        (..1.0, _) => 0.0,
        (_, 0) => 0.5,
        (..2.0, _) => 0.25,
        _ => 0.0,
    }
}

/// Three seconds of it, interleaved.
fn samples() -> Vec<i16> {
    let frame = |n: u32| {
        let second = f64::from(n) / f64::from(RATE);
        [0, 1].map(|channel| (amplitude(channel, second) * 32_767.0 * (TAU * 440.0 * second).sin()) as i16)
    };
    (0..3 * RATE).flat_map(frame).collect()
}

fn wav() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    samples().into_iter().for_each(|sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

/// An Ogg Opus file around packets of 20 ms.
fn ogg(mapping: &[u8], mut encode: impl FnMut(&[i16]) -> Vec<u8>) -> Vec<u8> {
    const PRE_SKIP: u16 = 312;
    let mut file = Vec::new();
    let mut writer = PacketWriter::new(&mut file);
    let mut head = b"OpusHead\x01\x02".to_vec();
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(RATE.to_le_bytes());
    head.extend([0, 0]);
    head.extend(mapping);
    writer.write_packet(head, 7, PacketWriteEndInfo::EndPage, 0).unwrap();
    writer.write_packet(b"OpusTags\x01\0\0\0x\0\0\0\0".to_vec(), 7, PacketWriteEndInfo::EndPage, 0).unwrap();
    let mut samples = samples();
    samples.extend([0; 320]);
    let packets: Vec<_> = samples.chunks(320).map(&mut encode).collect();
    let last = packets.len() - 1;
    for (index, packet) in packets.into_iter().enumerate() {
        // The last page cuts off what was padded.
        let granule = ((index as u64 + 1) * 960).min(u64::from(PRE_SKIP) + 3 * 48_000);
        let end =
            if index == last { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::NormalPacket };
        writer.write_packet(packet, 7, end, granule).unwrap();
    }
    drop(writer);
    file
}

fn coupled() -> Vec<u8> {
    let mut encoder = Encoder::new(RATE, Channels::Stereo, Application::Voip).unwrap();
    encoder.set_bitrate(Bitrate::Bits(64_000)).unwrap();
    ogg(&[0], |frame| encoder.encode_vec(frame, 1_500).unwrap())
}

fn apart() -> Vec<u8> {
    let mut encoder = MSEncoder::new(RATE, 2, 0, &[0, 1], Application::Voip).unwrap();
    encoder.set_bitrate(Bitrate::Bits(64_000)).unwrap();
    ogg(&[1, 2, 0, 0, 1], |frame| encoder.encode_vec(frame, 1_500).unwrap())
}

/// As the sensor writes it: an encoder per party, put together by hand (RFC 6716, appendix B), and
/// one and the same packet for every frame of silence.
fn parties() -> Vec<u8> {
    const SILENCE: [u8; 6] = [0x08, 0x07, 0xc6, 0xb2, 0x3a, 0x72];
    let mut encoders = [0, 1].map(|_| Encoder::new(RATE, Channels::Mono, Application::Voip).unwrap());
    encoders.iter_mut().for_each(|encoder| encoder.set_bitrate(Bitrate::Bits(32_000)).unwrap());
    ogg(&[1, 2, 0, 0, 1], |frame| {
        let mut packet = |channel: usize| {
            let samples: Vec<i16> = frame.iter().skip(channel).step_by(2).copied().collect();
            let silent = samples.iter().all(|sample| *sample == 0);
            if silent { SILENCE.to_vec() } else { encoders[channel].encode_vec(&samples, 250).unwrap() }
        };
        let (mut first, second) = (packet(0), packet(1));
        first.insert(1, first.len() as u8 - 1);
        [first, second].concat()
    })
}

/// Uploads a file; gives the path of its peaks.
fn upload(control: &Control, segment: u32, content_type: &str, bytes: &[u8]) -> String {
    let recording: Uuid = nightjar_schema::recording_id(id(1), "audio", segment);
    let (bearer, hash, call) = (format!("Bearer {}", TOKENS[0]), sha256(bytes), id(1).to_string());
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", content_type),
        ("x-nightjar-call", call.as_str()),
        ("x-nightjar-sha256", hash.as_str()),
    ];
    let answer = control.send("PUT", &format!("/api/ingest/v1/recordings/{recording}"), &headers, bytes);
    assert_eq!(answer.status, 201);
    format!("/api/recordings/{recording}/peaks")
}

fn peaks(control: &Control, cookie: &str, path: &str) -> Value {
    until("the waveform is there", || {
        let answer = control.get(cookie, path);
        if answer.status == 202 {
            assert_eq!(answer.json()["state"], "pending");
            return None;
        }
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        Some(answer.json())
    })
}

/// Every point is what was put in; points within 60 ms of a change may be of either side, and a codec has a tolerance.
fn check(body: &Value, tolerance: f64) {
    assert_eq!(body["channels"], 2);
    let duration = body["duration_ms"].as_f64().unwrap();
    assert!((duration - 3_000.0).abs() <= 1.0, "{duration}");
    for channel in 0..2 {
        let points = body["peaks"][channel].as_array().unwrap();
        assert_eq!(points.len(), body["points"].as_u64().unwrap() as usize);
        for (index, point) in points.iter().enumerate() {
            let (from, to) =
                (index as f64 * 3.0 / points.len() as f64, (index + 1) as f64 * 3.0 / points.len() as f64);
            if [1.0, 2.0].iter().any(|change| from - 0.06 <= *change && *change <= to + 0.06) {
                continue;
            }
            let (expected, found) = (amplitude(channel, from), point.as_f64().unwrap());
            assert!(
                (found - expected).abs() <= tolerance,
                "channel {channel} at {from:.2} s: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn a_wav_file_of_known_amplitude() {
    let control = Control::start();
    let cookie = control.sign_in();
    let path = upload(&control, 0, "audio/wav", &wav());
    check(&peaks(&control, &cookie, &path), 0.005);
    let narrow = peaks(&control, &cookie, &format!("{path}?points=6"));
    assert_eq!(narrow["points"], 6);
    check(&narrow, 0.005);
    check(&peaks(&control, &cookie, &format!("{path}?points=60")), 0.005);
    assert_eq!(control.get(&cookie, &format!("{path}?points=0")).status, 400);
    assert_eq!(control.get("", &path).status, 401);
}

#[test]
fn opus_files_of_known_amplitude() {
    let control = Control::start();
    let cookie = control.sign_in();
    for (segment, bytes) in [coupled(), apart(), parties()].iter().enumerate() {
        let path = upload(&control, u32::try_from(segment).unwrap(), "audio/ogg", bytes);
        check(&peaks(&control, &cookie, &format!("{path}?points=60")), 0.06);
    }
}

/// Another implementation's file: ffmpeg's muxer, libopus of the system, 48 kHz.
#[test]
fn an_opus_file_of_ffmpeg() {
    let tones = "sine=440:duration=3:sample_rate=48000,volume='if(lt(t,1),0,4)':eval=frame[a];\
                 sine=440:duration=3:sample_rate=48000,volume='if(between(t,1,2),2,0)':eval=frame[b];[a][b]join=inputs=2";
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-filter_complex",
        tones,
        "-c:a",
        "libopus",
        "-b:a",
        "96k",
        "-f",
        "ogg",
        "-",
    ]);
    let output = match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED an_opus_file_of_ffmpeg: ffmpeg is not installed");
            return;
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let control = Control::start();
    let cookie = control.sign_in();
    let path = upload(&control, 0, "audio/ogg", &output.stdout);
    check(&peaks(&control, &cookie, &format!("{path}?points=60")), 0.06);
}

#[test]
fn a_file_that_is_no_audio_has_no_waveform() {
    let control = Control::start();
    let cookie = control.sign_in();
    let mut torn = coupled();
    torn.truncate(40);
    for (segment, (content_type, bytes)) in
        [("audio/ogg", b"nothing of it".as_slice()), ("audio/wav", b"RIFF"), ("audio/ogg", &torn)]
            .iter()
            .enumerate()
    {
        let path = upload(&control, u32::try_from(segment).unwrap(), content_type, bytes);
        let status = until("it is given up", || {
            let status = control.get(&cookie, &path).status;
            (status != 202).then_some(status)
        });
        assert_eq!(status, 422, "{content_type}");
    }
}
