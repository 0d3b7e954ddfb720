//! Speech-like sound: syllables of a harmonic voice or of noise, with pauses, in a loop of eight
//! seconds. Nobody's voice, but it has a voice's pitch, rhythm, level and silence.

use crate::random::Random;
use crate::sine::sine;

/// How many different voices there are.
pub const VOICES: u8 = 8;
/// Length of a voice's loop in samples at 8 kHz.
pub const LOOP_SAMPLES: usize = 64_000;

const SAMPLE_RATE: f64 = 8000.0;
const PEAK: f64 = 9000.0;

/// One loop of a voice, 8 kHz, 16 bits.
pub fn voice_loop(voice: u8) -> Vec<i16> {
    let mut random = Random::derive(0x5_9eec, u64::from(voice));
    let pitch_hz = 95.0 + 22.0 * f64::from(voice % VOICES);
    let mut samples = Vec::with_capacity(LOOP_SAMPLES);
    while samples.len() < LOOP_SAMPLES {
        for _ in 0..random.between(3, 9) {
            syllable(&mut samples, &mut random, pitch_hz);
        }
        let pause = random.between(1200, 4000) as usize;
        samples.resize(samples.len() + pause, 0);
    }
    samples.truncate(LOOP_SAMPLES);
    samples
}

/// Appends a consonant of noise (or none) and a vowel: harmonics of a gliding pitch under two
/// formants, swelling and fading.
fn syllable(samples: &mut Vec<i16>, random: &mut Random, pitch_hz: f64) {
    if random.below(3) == 0 {
        consonant(samples, random);
    }
    let length = random.between(900, 2000) as usize;
    let glide = 0.9 + 0.2 * random.unit();
    let formants = [300.0 + 500.0 * random.unit(), 900.0 + 1400.0 * random.unit()];
    let weights = harmonic_weights(pitch_hz, formants);
    let total: f64 = weights.iter().sum();
    let mut phase = 0.0;
    for index in 0..length {
        let position = index as f64 / length as f64;
        let swell = sine(position / 2.0);
        phase += pitch_hz * (1.0 + (glide - 1.0) * position) / SAMPLE_RATE;
        let voiced: f64 =
            weights.iter().enumerate().map(|(n, weight)| weight * sine(phase * (n + 1) as f64)).sum();
        samples.push((PEAK * swell * voiced / total * 1.6).clamp(-32_000.0, 32_000.0) as i16);
    }
}

/// A burst of noise, 40 to 80 ms.
fn consonant(samples: &mut Vec<i16>, random: &mut Random) {
    let length = random.between(320, 640) as usize;
    for index in 0..length {
        let swell = sine(index as f64 / length as f64 / 2.0);
        samples.push((PEAK * 0.25 * swell * (2.0 * random.unit() - 1.0)) as i16);
    }
}

/// How strong each harmonic below 3.4 kHz is under two resonances.
fn harmonic_weights(pitch_hz: f64, formants: [f64; 2]) -> Vec<f64> {
    let count = (3400.0 / pitch_hz) as u32;
    let weight = |n: u32| {
        let hz = pitch_hz * f64::from(n);
        let resonance = |formant: f64| {
            let distance = (hz - formant) / 180.0;
            1.0 / (1.0 + distance * distance)
        };
        (resonance(formants[0]) + 0.5 * resonance(formants[1]) + 0.05) / f64::from(n).max(1.0)
    };
    (1..=count).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_speaks_and_pauses_and_never_clips() {
        for voice in 0..VOICES {
            let samples = voice_loop(voice);
            assert_eq!(samples.len(), LOOP_SAMPLES);
            let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!((2000..30_000).contains(&peak), "voice {voice} peaks at {peak}");
            let silent = samples.chunks(160).filter(|chunk| chunk.iter().all(|&s| s == 0)).count();
            assert!((20..200).contains(&silent), "voice {voice}: {silent} silent frames of 400");
        }
    }

    #[test]
    fn voices_differ() {
        assert_ne!(voice_loop(0), voice_loop(1));
    }
}
