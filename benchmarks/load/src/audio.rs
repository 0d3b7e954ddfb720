//! What a leg says: a sine, speech-like turns, clicks, silence. Encoded once into loops that all
//! legs share; a packet's payload is then a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::g711::Codec;
use crate::random::Random;
use crate::sine::sine;
use crate::speech;

/// Audio samples per second of every codec here.
pub const SAMPLE_RATE: u64 = 8000;

/// The sound of a leg.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audio {
    /// Digital silence.
    Silence,
    /// A sine of so many Hz, 1..=3999, at about -10 dBFS.
    Tone(u32),
    /// A click of 5 ms at every whole second of the capture clock, silence between.
    Clicks,
    /// Speech-like sound of one of [`speech::VOICES`] voices, all the time.
    Voice(u8),
    /// The same, in turns with the other side of the call.
    Turns(u8),
}

impl Audio {
    /// The frequency of a tone in Hz, `None` for other sounds.
    pub fn tone_hz(&self) -> Option<u32> {
        match self {
            Audio::Tone(hz) => Some(*hz),
            _ => None,
        }
    }
}

/// When which side of a call speaks: the moments at which the turn passes to the other side,
/// the caller beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    passes: Arc<[Nanos]>,
}

impl Turns {
    /// Turns of 1.5 to 6 s from `from` until `until`.
    pub fn plan(random: &mut Random, from: Nanos, until: Nanos) -> Turns {
        let mut passes = Vec::new();
        let mut at = from;
        while at < until {
            at = at + Nanos::from_millis(random.between(1500, 6000));
            passes.push(at);
        }
        Turns { passes: passes.into() }
    }

    /// Whether the caller (`true`) or the callee has the turn at `at`.
    fn caller_speaks(&self, at: Nanos) -> bool {
        self.passes.partition_point(|&pass| pass <= at).is_multiple_of(2)
    }
}

/// An [`Audio`] in a codec, ready to be cut into packets.
#[derive(Clone, Debug)]
pub(crate) struct EncodedAudio {
    table: Arc<[u8]>,
    loop_len: usize,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Loop,
    Clicks { silence: u8 },
    Turns { turns: Turns, caller: bool, silence: u8 },
}

/// Longest packet in samples (60 ms), by which a loop's table repeats its beginning.
const MAX_PACKET_SAMPLES: usize = 480;
const CLICK_SAMPLES: usize = 40;

impl EncodedAudio {
    /// Appends `len` samples that begin at the sender's sample number `sample`, which is played at
    /// `at` of the capture clock.
    pub fn append(&self, sample: u64, at: Nanos, len: usize, out: &mut Vec<u8>) {
        match &self.shape {
            Shape::Loop => self.append_loop(sample, len, out),
            Shape::Turns { turns, caller, silence } => {
                if turns.caller_speaks(at) == *caller {
                    self.append_loop(sample, len, out);
                } else {
                    out.resize(out.len() + len, *silence);
                }
            }
            Shape::Clicks { silence } => self.append_clicks(at, len, *silence, out),
        }
    }

    fn append_loop(&self, sample: u64, len: usize, out: &mut Vec<u8>) {
        let start = (sample % self.loop_len as u64) as usize;
        out.extend_from_slice(&self.table[start..start + len]);
    }

    /// Each whole second begins a click, also one that began in the packet before.
    fn append_clicks(&self, at: Nanos, len: usize, silence: u8, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + len, silence);
        let nanos_in_second = at.0 % 1_000_000_000;
        let into_second = (nanos_in_second * SAMPLE_RATE / 1_000_000_000) as usize;
        if into_second < CLICK_SAMPLES {
            let part = &self.table[into_second..];
            let count = part.len().min(len);
            out[start..start + count].copy_from_slice(&part[..count]);
        }
        let to_next = (SAMPLE_RATE - nanos_in_second * SAMPLE_RATE / 1_000_000_000) as usize;
        if to_next < len {
            let count = CLICK_SAMPLES.min(len - to_next);
            out[start + to_next..start + to_next + count].copy_from_slice(&self.table[..count]);
        }
    }
}

/// The encoded loops, each made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct AudioBank {
    tables: BTreeMap<(Audio, Codec), Arc<[u8]>>,
}

impl AudioBank {
    /// `audio` in `codec`; `turns` and `caller` matter to [`Audio::Turns`] alone.
    pub fn encoded(&mut self, audio: &Audio, codec: Codec, turns: &Turns, caller: bool) -> EncodedAudio {
        let silence = codec.encode(0);
        let (shape, key) = match audio {
            Audio::Clicks => (Shape::Clicks { silence }, audio.clone()),
            Audio::Turns(voice) => {
                (Shape::Turns { turns: turns.clone(), caller, silence }, Audio::Voice(*voice))
            }
            other => (Shape::Loop, other.clone()),
        };
        let table =
            self.tables.entry((key, codec)).or_insert_with_key(|(audio, codec)| encode(audio, *codec));
        let loop_len = table.len().saturating_sub(MAX_PACKET_SAMPLES).max(1);
        EncodedAudio { table: Arc::clone(table), loop_len, shape }
    }
}

fn encode(audio: &Audio, codec: Codec) -> Arc<[u8]> {
    let samples = match audio {
        Audio::Silence => vec![0],
        Audio::Tone(hz) => tone(*hz, SAMPLE_RATE as usize, 10_000.0),
        Audio::Voice(voice) | Audio::Turns(voice) => speech::voice_loop(*voice),
        Audio::Clicks => {
            return tone(1000, CLICK_SAMPLES, 25_000.0).iter().map(|&s| codec.encode(s)).collect();
        }
    };
    let repeated = samples.iter().cycle().take(samples.len() + MAX_PACKET_SAMPLES);
    repeated.map(|&sample| codec.encode(sample)).collect()
}

fn tone(hz: u32, samples: usize, amplitude: f64) -> Vec<i16> {
    let turn = |n: usize| f64::from(hz) * n as f64 / SAMPLE_RATE as f64;
    (0..samples).map(|n| (amplitude * sine(turn(n))) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(audio: &Audio) -> EncodedAudio {
        AudioBank::default().encoded(audio, Codec::Pcma, &Turns::default(), true)
    }

    #[test]
    fn a_tone_goes_on_over_the_loops_end() {
        let audio = encoded(&Audio::Tone(441));
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        audio.append(7900, Nanos::ZERO, 320, &mut whole);
        audio.append(7900, Nanos::ZERO, 160, &mut parts);
        audio.append(8060, Nanos::ZERO, 160, &mut parts);
        assert_eq!(whole, parts);
    }

    #[test]
    fn clicks_begin_at_whole_seconds_whatever_the_packets() {
        let audio = encoded(&Audio::Clicks);
        let mut samples = Vec::new();
        for packet in 0..200u64 {
            audio.append(0, Nanos(packet * 15_000_000), 120, &mut samples);
        }
        let loud: Vec<usize> = (0..samples.len()).filter(|&n| samples[n] != 0xd5).collect();
        assert!(loud.iter().all(|n| n % 8000 < CLICK_SAMPLES), "{loud:?}");
        for second in 0..3 {
            let count = loud.iter().filter(|&&n| n / 8000 == second).count();
            assert!(count > CLICK_SAMPLES / 2, "second {second}: {count} samples");
        }
    }

    #[test]
    fn one_side_speaks_at_a_time() {
        let turns = Turns::plan(&mut Random::new(3), Nanos::ZERO, Nanos::from_secs(60));
        let mut bank = AudioBank::default();
        let sides = [true, false].map(|caller| bank.encoded(&Audio::Turns(0), Codec::Pcmu, &turns, caller));
        let mut spoken = [0, 0];
        for packet in 0..3000u64 {
            let said = [0, 1].map(|side| {
                let mut out = Vec::new();
                sides[side].append(packet * 160, Nanos::from_millis(packet * 20), 160, &mut out);
                out.iter().any(|&code| code != 0xff)
            });
            assert!(!(said[0] && said[1]), "both speak in packet {packet}");
            for side in 0..2 {
                spoken[side] += u32::from(said[side]);
            }
        }
        assert!(spoken[0] > 500 && spoken[1] > 500, "{spoken:?}");
    }
}
