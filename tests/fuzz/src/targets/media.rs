//! A call's audio from a script of packets, changes and time: frames come in order and without holes, every packet
//! has its count, and how often frames are asked for does not change them.

use std::collections::BTreeMap;

use nightjar_media::{
    AudioConfig, AudioFrame, AudioSummary, CallAudio, ChannelLayout, Decision, FRAME_SAMPLES, FrameSink,
    StreamSpec,
};
use nightjar_schema::{GapCause, StreamUse};
use nightjar_wire::{Basis, Format, Nanos, RtpView};

use crate::script::Script;
use crate::world;

const MAX_STEPS: usize = 400;

/// One step of a script.
#[derive(Clone, Debug)]
enum Step {
    Packet { at: Nanos, stream: u32, datagram: Vec<u8> },
    Open(StreamSpec),
    Relabel(u32, Option<u16>),
    Use(u32, StreamUse),
    Formats(u32, Vec<Format>),
    Answered(u16),
    Outage(Nanos, Nanos),
    Advance(Nanos),
}

/// What a call has come to.
#[derive(Debug, Default, PartialEq)]
struct Recording {
    frames: Vec<AudioFrame>,
    summary: AudioSummary,
}

impl FrameSink for Recording {
    fn frame(&mut self, frame: &AudioFrame) {
        let next = self.frames.last().map_or(0, |last| last.position + FRAME_SAMPLES as u64);
        assert_eq!(frame.position, next, "frames come in order and without holes");
        assert!(
            self.frames.last().is_none_or(|last| last.len == FRAME_SAMPLES),
            "only the last frame is shorter"
        );
        self.frames.push(frame.clone());
    }
}

/// When frames are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Where the script says.
    Seldom,
    /// After each packet too.
    Often,
}

struct Scene {
    config: AudioConfig,
    decision: Decision,
    steps: Vec<Step>,
    /// All time that passed forward.
    span: Nanos,
    last_at: Nanos,
    /// Stamps never went back, and nothing but packets came.
    steady: bool,
}

pub(super) fn run(bytes: &[u8]) {
    let scene = read(bytes);
    let often = play(&scene, Asked::Often);
    check(&scene, &often);
    let seldom = play(&scene, Asked::Seldom);
    check(&scene, &seldom);
    if scene.steady {
        assert!(often == seldom, "it matters how often frames are asked for");
    }
}

/// The steps of a script, a line each.
pub(crate) fn show(bytes: &[u8]) -> String {
    let scene = read(bytes);
    let mut text = format!("{:?} {:?} for {} ms\n", scene.config, scene.decision, scene.span.as_millis());
    for step in &scene.steps {
        let line = match step {
            Step::Packet { at, stream, datagram } => {
                let what = match RtpView::parse(datagram) {
                    Ok(rtp) => format!(
                        "type {} sequence {} time {} {} bytes",
                        rtp.payload_type(),
                        rtp.sequence().0,
                        rtp.timestamp().0,
                        rtp.payload().len()
                    ),
                    Err(error) => format!("{error:?}"),
                };
                format!("{} ms stream {stream} {what}", since_start(*at))
            }
            Step::Advance(to) => format!("advance to {} ms", since_start(*to)),
            other => format!("{other:?}"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn since_start(at: Nanos) -> i64 {
    at.signed_since(world::START) / 1_000_000
}

fn read(bytes: &[u8]) -> Scene {
    let mut script = Script::new(bytes);
    let settings = script.byte();
    let channels = if settings & 1 == 0 { ChannelLayout::Stereo } else { ChannelLayout::Mono };
    let late_after = Nanos::from_millis(if settings & 2 == 0 { 200 } else { 60 });
    let max_hold = if settings & 4 == 0 { 1 << 20 } else { 2 << 10 };
    let config = AudioConfig { channels, late_after, max_hold, max_silence: Nanos::from_secs(3) };
    let decision = match settings >> 3 & 3 {
        0 | 1 => Decision::Everything,
        2 => Decision::Answered(0),
        _ => Decision::Undecided,
    };
    let mut scene =
        Scene { config, decision, steps: Vec::new(), span: Nanos::ZERO, last_at: world::START, steady: true };
    for (stream, dialog) in [(0, 0), (1, 0)] {
        let leg = Some(stream as u16);
        scene.steps.push(Step::Open(StreamSpec {
            leg,
            dialog: Some(dialog),
            ..StreamSpec::new(stream, stream)
        }));
    }
    let mut at = world::START;
    // Each stream's sequence number and timestamp.
    let mut senders = [(65_530u16, u32::MAX - 480); 4];
    while !script.is_done() && scene.steps.len() < MAX_STEPS {
        let before = at;
        let code = script.byte();
        let stream = u32::from(code & 3);
        let step = match code >> 2 & 7 {
            0..=3 => {
                let timing = script.byte();
                let shape = script.byte();
                at = at + Nanos::from_millis(u64::from(timing & 31));
                let (sequence, timestamp) = &mut senders[stream as usize];
                *sequence = sequence.wrapping_add([1, 1, 1, 0, 2, 9, 700, 65_535][usize::from(timing >> 5)]);
                let samples = [160, 80, 240, 0, 480, 161, 8_000, 1_000_000][usize::from(shape & 7)];
                *timestamp = if code & 0x80 == 0 {
                    timestamp.wrapping_add(samples)
                } else {
                    timestamp.wrapping_sub(samples)
                };
                let len = [160, 80, 240, 1, 4, 0, 480, 1300][usize::from(shape >> 3 & 7)];
                let payload_type = [8, 0, 101, 13][usize::from(shape >> 6)];
                let payload = vec![script.byte(); len];
                let datagram = world::rtp(payload_type, *sequence, *timestamp, stream, &payload);
                Step::Packet { at, stream, datagram }
            }
            4 => {
                let len = usize::from(script.byte() & 63);
                Step::Packet { at, stream, datagram: script.take(len).to_vec() }
            }
            5 => {
                at = at.offset(world::STEPS_NANOS[usize::from(script.byte() & 15)]);
                if at < before {
                    // A watermark has told the time so far before the clock goes back.
                    scene.steps.push(Step::Advance(scene.last_at));
                }
                scene.steady &= at >= before;
                Step::Advance(at)
            }
            6 => {
                scene.steady = false;
                change(code, stream, at, &mut script)
            }
            _ => Step::Advance(at),
        };
        scene.span = scene.span + (at - before);
        scene.last_at = scene.last_at.max(at);
        scene.steps.push(step);
    }
    // Held packets are released at once when their room is used up, and that depends on when they are asked for.
    scene.steady &= scene.decision != Decision::Undecided;
    scene
}

fn change(code: u8, stream: u32, at: Nanos, script: &mut Script<'_>) -> Step {
    let number = script.byte();
    let leg = Some(u16::from(number & 3)).filter(|leg| *leg < 3);
    match code >> 5 {
        0 | 1 => Step::Open(StreamSpec {
            leg,
            dialog: Some(u16::from(number >> 2 & 1)),
            receiver: Some(u16::from(number >> 3 & 1)),
            continues: Some(u32::from(number >> 4 & 3)).filter(|of| *of != stream),
            ..StreamSpec::new(stream, stream)
        }),
        2 => Step::Relabel(stream, leg),
        3 => Step::Use(
            stream,
            [StreamUse::Mixed, StreamUse::Copy, StreamUse::Counted][usize::from(number % 3)],
        ),
        4 => {
            let codec = ["PCMU", "telephone-event", "CN", "G729", "PCMA"][usize::from(number % 5)].to_owned();
            let clock_rate = [8_000, 16_000, 48_000, 1][usize::from(number >> 6)];
            let (channels, ptime_ms, fmtp, basis) = (1, None, None, Basis::Sdp);
            Step::Formats(
                stream,
                vec![Format { payload_type: 101, codec, clock_rate, channels, ptime_ms, fmtp, basis }],
            )
        }
        5 | 6 => Step::Answered(u16::from(number & 1)),
        _ => Step::Outage(at, at + Nanos::from_millis(u64::from(number) * 10)),
    }
}

fn play(scene: &Scene, asked: Asked) -> Recording {
    let mut call = CallAudio::new(&scene.config, scene.decision);
    let mut recording = Recording::default();
    for step in &scene.steps {
        match step {
            Step::Packet { at, stream, datagram } => {
                let _ = call.handle_packet(*stream, *at, datagram);
                if asked == Asked::Often {
                    call.advance(*at, &mut recording);
                }
            }
            Step::Open(spec) => call.open_stream(spec.clone()),
            Step::Relabel(stream, leg) => call.relabel(*stream, *leg, Some(0)),
            Step::Use(stream, use_) => call.set_use(*stream, *use_),
            Step::Formats(stream, formats) => call.set_formats(*stream, formats.clone()),
            Step::Answered(dialog) => call.handle_answered(*dialog, scene.last_at),
            Step::Outage(from, to) => call.note_outage(*from, *to, GapCause::SensorDown),
            Step::Advance(to) => call.advance(*to, &mut recording),
        }
        let _ = call.progress();
    }
    recording.summary = call.finish(scene.last_at, &mut recording);
    recording
}

fn check(scene: &Scene, recording: &Recording) {
    let summary = &recording.summary;
    let samples: u64 = recording.frames.iter().map(|frame| frame.len as u64).sum();
    assert_eq!(samples, summary.samples);
    assert_eq!(summary.duration, Nanos(summary.samples * 125_000));
    // Half a second more: a packet may be placed ahead of its arrival.
    let limit = (scene.span + Nanos::from_millis(1_500)).0 / 125_000;
    assert!(samples <= limit, "{samples} samples of {limit} that time has");

    let mut handed: BTreeMap<u32, u64> = BTreeMap::new();
    for step in &scene.steps {
        if let Step::Packet { stream: stream @ 0..=1, .. } = step {
            *handed.entry(*stream).or_default() += 1;
        }
    }
    for stream in &summary.streams {
        let counts = stream.counts;
        assert!(counts.events + counts.comfort_noise <= counts.encoded);
        assert!(counts.undecodable + counts.malformed <= counts.discarded);
        assert!(stream.heard_samples <= summary.samples);
        if stream.stream <= 1 {
            assert_eq!(
                counts.total(),
                handed.get(&stream.stream).copied().unwrap_or(0),
                "a packet without a count"
            );
        }
    }
    assert!(summary.gaps.is_sorted_by_key(|gap| gap.at_ms));
    let end = summary.samples.div_ceil(8);
    for gap in &summary.gaps {
        assert!(gap.duration_ms > 0 && gap.at_ms <= end, "a gap behind the end");
    }
    for (channel, legs) in summary.channel_legs.iter().enumerate() {
        assert!(channel < scene.config.channels.count() && legs.is_sorted());
    }
}
