//! A recording's samples, and what is heard in them: levels and tones.

use std::path::Path;
use std::process::Command;

/// A recording's channels.
#[derive(Clone, Debug)]
pub struct Sound {
    /// Samples per second.
    pub rate: u32,
    /// The channels.
    pub channels: Vec<Channel>,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Samples per second.
    pub rate: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

impl Sound {
    /// Reads a WAV file of 16-bit PCM with the canonical header of 44 bytes.
    ///
    /// # Panics
    /// When it is another file, or its lengths contradict it.
    pub fn from_wav(bytes: &[u8]) -> Sound {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert!(bytes.starts_with(b"RIFF") && &bytes[8..16] == b"WAVEfmt ", "no WAV");
        assert_eq!(number(40) as usize, bytes.len() - 44, "the WAV's length");
        let count = usize::from(bytes[22]);
        Sound::from_pcm(&bytes[44..], count, number(24))
    }

    /// Has ffmpeg decode a file of so many channels to 8 kHz, with libopus when it is Opus: ffmpeg's
    /// own decoder holds back the last 2 ms.
    ///
    /// # Panics
    /// When ffmpeg is missing or finds a fault.
    pub fn by_ffmpeg(path: &Path, count: usize) -> Sound {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-xerror", "-c:a", "libopus", "-i"])
            .arg(path)
            .args(["-f", "s16le", "-ar", "8000", "-"])
            .output()
            .expect("ffmpeg is needed (Debian: apt-get install ffmpeg)");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaint.is_empty(), "ffmpeg: {complaint}");
        Sound::from_pcm(&output.stdout, count, 8000)
    }

    /// Takes interleaved little-endian samples of so many channels.
    pub fn from_pcm(bytes: &[u8], count: usize, rate: u32) -> Sound {
        let (samples, _) = bytes.as_chunks::<2>();
        let channel = |n: usize| Channel {
            rate,
            samples: samples.iter().skip(n).step_by(count).map(|pair| i16::from_le_bytes(*pair)).collect(),
        };
        Sound { rate, channels: (0..count).map(channel).collect() }
    }

    /// Its length in ms.
    pub fn duration_ms(&self) -> u64 {
        let samples = self.channels.first().map_or(0, |channel| channel.samples.len() as u64);
        samples * 1000 / u64::from(self.rate)
    }
}

impl Channel {
    /// The samples between two moments in ms, as far as there are any.
    pub fn between(&self, from_ms: u64, to_ms: u64) -> &[i16] {
        let index = |ms: u64| ((ms * u64::from(self.rate) / 1000) as usize).min(self.samples.len());
        &self.samples[index(from_ms)..index(to_ms).max(index(from_ms))]
    }

    /// The amplitude (0..=32768) of a sine of `hz` between two moments, by Goertzel's algorithm
    /// under a Hann window, which keeps a strong tone from leaking into its neighbours.
    pub fn tone(&self, hz: u32, from_ms: u64, to_ms: u64) -> f64 {
        let samples = self.between(from_ms, to_ms);
        let turn = std::f64::consts::TAU * f64::from(hz) / f64::from(self.rate);
        let step = std::f64::consts::TAU / samples.len().max(1) as f64;
        let (mut one, mut two, mut weight) = (0.0, 0.0, 0.0);
        for (index, sample) in samples.iter().enumerate() {
            let window = 0.5 - 0.5 * (step * index as f64).cos();
            weight += window;
            let zero = window * f64::from(*sample) + 2.0 * turn.cos() * one - two;
            (two, one) = (one, zero);
        }
        let power = one * one + two * two - 2.0 * turn.cos() * one * two;
        if weight > 0.0 { 2.0 * power.max(0.0).sqrt() / weight } else { 0.0 }
    }

    /// The loudest sample's size between two moments.
    pub fn peak(&self, from_ms: u64, to_ms: u64) -> u16 {
        self.between(from_ms, to_ms).iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
    }

    /// The root of the mean square between two moments.
    pub fn level(&self, from_ms: u64, to_ms: u64) -> f64 {
        let samples = self.between(from_ms, to_ms);
        let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (sum / samples.len().max(1) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, amplitude: f64, count: usize) -> Vec<i16> {
        let turn = std::f64::consts::TAU * hz / 8000.0;
        (0..count).map(|n| (amplitude * (turn * n as f64).sin()) as i16).collect()
    }

    #[test]
    fn a_tone_is_told_from_its_neighbour() {
        let channel = Channel { rate: 8000, samples: sine(450.0, 10_000.0, 8000) };
        assert!((channel.tone(450, 100, 600) - 10_000.0).abs() < 100.0);
        assert!(channel.tone(500, 100, 600) < 50.0);
        assert!((channel.level(0, 1000) - 7071.0).abs() < 20.0);
        assert_eq!(channel.peak(1500, 2000), 0);
    }

    #[test]
    fn channels_are_taken_apart() {
        let sound = Sound::from_pcm(&[1, 0, 2, 0, 3, 0, 4, 0], 2, 8000);
        assert_eq!(sound.channels[0].samples, [1, 3]);
        assert_eq!(sound.channels[1].samples, [2, 4]);
    }
}
