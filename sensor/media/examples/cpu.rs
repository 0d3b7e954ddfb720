//! What a call's audio costs: CPU seconds per 1,000 call-minutes of two-way G.711 for each stage,
//! bytes, and memory per call. `cargo run --release -p nightjar-media --example cpu [minutes]`

use std::fs;

use nightjar_codec::Law;
use nightjar_media::{
    AudioConfig, AudioFrame, CallAudio, ChannelLayout, Decision, Encoder, EncoderConfig, EncoderSink,
    FrameSink, OpusLayout, StreamSpec,
};
use nightjar_wire::Nanos;

const START: Nanos = Nanos::from_secs(1_700_000_000);

/// Seconds of different audio; longer calls repeat them.
const SECONDS: usize = 120;

/// Both parties' packets of [`SECONDS`]: payloads only, 20 ms each.
struct Talk {
    payloads: [Vec<[u8; 160]>; 2],
}

impl Talk {
    /// Speech-like: turns of some seconds, syllables of a voiced harmonic sound with pauses between,
    /// a line's noise under it, little of both at once.
    fn new() -> Talk {
        let mut seed = 7u64;
        let mut dice = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / (1u64 << 31) as f64
        };
        let mut turns = Vec::new();
        let (mut at, mut party) = (0.0, 0);
        while at < SECONDS as f64 {
            let length = 1.0 + 5.0 * dice();
            turns.push((at, at + length, party));
            at += length + 0.4 * dice() - 0.1;
            party = 1 - party;
        }
        let payloads = [0, 1].map(|party| {
            let pitch = if party == 0 { 110.0 } else { 190.0 };
            let voice = |t: f64, noise: f64| {
                let talking = turns.iter().any(|&(from, to, who)| who == party && (from..to).contains(&t));
                let syllable = (t * 4.3 * std::f64::consts::PI).sin().max(0.0).powi(2);
                let glide = pitch * (1.0 + 0.05 * (t * 2.1).sin());
                let harmonics: f64 = (1..16)
                    .map(|n| {
                        let hertz = glide * f64::from(n);
                        let formant =
                            (-((hertz - 600.0 - 300.0 * (t * 3.0).sin()) / 500.0).powi(2)).exp() + 0.05;
                        formant * (2.0 * std::f64::consts::PI * hertz * t).sin()
                    })
                    .sum();
                let voiced = if talking { 5000.0 * syllable * harmonics } else { 0.0 };
                voiced + noise * 16.0 + if talking { noise * 300.0 * (1.0 - syllable) } else { 0.0 }
            };
            let mut at = 0;
            let mut packet = || {
                [0; 160].map(|_: u8| {
                    at += 1;
                    Law::A.compress(voice(f64::from(at) / 8000.0, 2.0 * dice() - 1.0) as i16)
                })
            };
            (0..SECONDS * 50).map(|_| packet()).collect()
        });
        Talk { payloads }
    }

    fn packet(&self, party: usize, index: usize, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&[0x80, 8]);
        bytes.extend_from_slice(&(index as u16).to_be_bytes());
        bytes.extend_from_slice(&(index as u32 * 160).to_be_bytes());
        bytes.extend_from_slice(&(party as u32 + 1).to_be_bytes());
        bytes.extend_from_slice(&self.payloads[party][index % (SECONDS * 50)]);
    }
}

/// Frames that nobody keeps.
#[derive(Default)]
struct Nowhere {
    samples: i64,
}

impl FrameSink for Nowhere {
    fn frame(&mut self, frame: &AudioFrame) {
        self.samples += i64::from(frame.plane(0)[0]) + frame.len as i64;
    }
}

fn call(channels: ChannelLayout) -> CallAudio {
    let mut call = CallAudio::new(&AudioConfig { channels, ..AudioConfig::default() }, Decision::Everything);
    for stream in 0..2 {
        call.open_stream(StreamSpec { leg: Some(stream as u16), ..StreamSpec::new(stream, stream + 1) });
    }
    call
}

fn feed(talk: &Talk, call: &mut CallAudio, packets: std::ops::Range<usize>, sink: &mut impl FrameSink) {
    let mut bytes = Vec::with_capacity(172);
    for index in packets {
        let arrival = START + Nanos::from_millis(20 * index as u64);
        for party in 0..2 {
            talk.packet(party, index, &mut bytes);
            call.handle_packet(party as u32, arrival, &bytes);
        }
        // A worker reads blocks of about 100 ms.
        if index % 5 == 0 {
            call.advance(arrival, sink);
        }
    }
}

/// CPU time of this thread so far, in s.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells CPU time");
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).expect("a number of ns") / 1e9
}

/// Resident memory in bytes.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux tells memory");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * 4096
}

fn encode(talk: &Talk, config: &EncoderConfig, minutes: usize) -> (f64, usize) {
    let before = cpu_seconds();
    let mut out = Vec::with_capacity(1 << 20);
    let mut bytes = 0;
    let mut encoder = Encoder::new(config, 1, &mut out).expect("an encoder");
    let mut call = call(config.channels());
    let packets = minutes * 3000;
    for from in (0..packets).step_by(500) {
        let mut sink = EncoderSink { encoder: &mut encoder, out: &mut out };
        feed(talk, &mut call, from..from + 500, &mut sink);
        bytes += out.len();
        out.clear();
    }
    let end = START + Nanos::from_millis(20 * packets as u64 - 20);
    call.finish(end, &mut EncoderSink { encoder: &mut encoder, out: &mut out });
    encoder.finish(&mut out);
    (cpu_seconds() - before, bytes + out.len())
}

/// Resident bytes per call with its encoder, two seconds into the call.
fn memory(talk: &Talk, config: &EncoderConfig, calls: usize) -> usize {
    let mut out = Vec::with_capacity(1 << 20);
    let mut kept = Vec::with_capacity(calls);
    let mut first = 0;
    for number in 0..2 * calls {
        if number == calls {
            first = resident();
        }
        let mut encoder = Encoder::new(config, 1, &mut out).expect("an encoder");
        let mut call = call(config.channels());
        feed(talk, &mut call, 0..100, &mut EncoderSink { encoder: &mut encoder, out: &mut out });
        out.clear();
        kept.push((call, encoder));
    }
    let resident = resident();
    // Memory that is given back would be used again by the next configuration's calls.
    std::mem::forget(kept);
    (resident - first) / calls
}

fn main() {
    let minutes = std::env::args().nth(1).map_or(20, |text| text.parse().expect("a number of minutes"));
    let talk = Talk::new();
    let per_thousand = 1000.0 / minutes as f64;
    let before = cpu_seconds();
    let mut nowhere = Nowhere::default();
    let mut quiet = call(ChannelLayout::Stereo);
    feed(&talk, &mut quiet, 0..minutes * 3000, &mut nowhere);
    let spent = cpu_seconds() - before;
    let packet = spent / (minutes * 6000) as f64 * 1e9;
    println!(
        "order, decode, mix       {:7.2} CPU s per 1,000 call-minutes, {packet:.0} ns a packet",
        spent * per_thousand
    );
    let layouts = [OpusLayout::Mono, OpusLayout::Coupled, OpusLayout::Parties];
    let mut configs = vec![EncoderConfig::Wav { channels: ChannelLayout::Stereo }];
    configs.extend(layouts.map(EncoderConfig::ogg_opus));
    for config in &configs {
        let (spent, bytes) = encode(&talk, config, minutes);
        let name = match config {
            EncoderConfig::Wav { .. } => "WAV stereo".to_owned(),
            EncoderConfig::OggOpus { layout, .. } => format!("Ogg Opus {layout:?}"),
        };
        let kbps = bytes as f64 * 8.0 / (minutes * 60) as f64 / 1000.0;
        let memory = memory(&talk, config, 500) as f64 / 1024.0;
        println!(
            "{name:24} {:7.2} CPU s per 1,000 call-minutes, {kbps:.1} kbit/s, {memory:.1} KiB a call",
            spent * per_thousand
        );
    }
    assert!(nowhere.samples != 0);
}
