//! Recordings as files: whole, as their rows say, and with the right tones, ffmpeg being the ear.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use std::process::Command;

use nightjar_load::{CallExpected, Side};
use nightjar_schema::{Call, Recording, RecordingState};
use sha2::{Digest, Sha256};

/// Samples a second that ffmpeg is asked for.
const RATE: u32 = 8000;

/// A decoded recording: samples per channel, at 8 kHz, from -1 to 1.
#[derive(Clone, Debug)]
pub struct Sound {
    /// The channels, left first.
    pub channels: Vec<Vec<f64>>,
}

impl Sound {
    /// Lets ffmpeg decode a file.
    ///
    /// # Panics
    /// When it cannot.
    pub fn read(path: &Path, channels: u16) -> Sound {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(path);
        ffmpeg.args(["-ar", &RATE.to_string(), "-ac", &channels.to_string(), "-f", "s16le", "-"]);
        let output = ffmpeg.output().expect("ffmpeg is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{}: {error}", path.display());
        let samples: Vec<f64> = output
            .stdout
            .as_chunks::<2>()
            .0
            .iter()
            .map(|bytes| f64::from(i16::from_le_bytes(*bytes)) / 32768.0)
            .collect();
        let count = usize::from(channels);
        let channel = |of: usize| samples.iter().skip(of).step_by(count).copied().collect();
        Sound { channels: (0..count).map(channel).collect() }
    }

    /// Length in ms.
    pub fn duration_ms(&self) -> u64 {
        self.channels.first().map_or(0, |channel| channel.len() as u64 * 1000 / u64::from(RATE))
    }

    /// A part, in ms from the start.
    #[must_use]
    pub fn part(&self, from_ms: u64, to_ms: u64) -> Sound {
        let at = |ms: u64, len: usize| (ms as usize * RATE as usize / 1000).min(len);
        let cut = |channel: &Vec<f64>| channel[at(from_ms, channel.len())..at(to_ms, channel.len())].to_vec();
        Sound { channels: self.channels.iter().map(cut).collect() }
    }

    /// Mean square of a channel.
    pub fn power(&self, channel: usize) -> f64 {
        let samples = &self.channels[channel];
        samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len().max(1) as f64
    }

    /// How much of a channel's power is one tone's: 1 for the tone alone, 0 without it. The median
    /// over parts of 250 ms with sound in them, so that the edges of gaps do not count; 0 for silence.
    pub fn share_of_tone(&self, channel: usize, hz: u32) -> f64 {
        let parts = self.channels[channel].chunks_exact(RATE as usize / 4);
        let mut shares: Vec<f64> = parts.filter_map(|part| tone_share(part, hz)).collect();
        shares.sort_by(f64::total_cmp);
        shares.get(shares.len() / 2).copied().unwrap_or(0.0)
    }
}

/// The tone's share of the samples' power by correlation; none for silence.
fn tone_share(samples: &[f64], hz: u32) -> Option<f64> {
    let power = samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64;
    let step = TAU * f64::from(hz) / f64::from(RATE);
    let (mut re, mut im) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let (sin, cos) = (step * index as f64).sin_cos();
        re += sample * cos;
        im += sample * sin;
    }
    let amplitude = 2.0 * re.hypot(im) / samples.len() as f64;
    (power > 1e-5).then(|| amplitude * amplitude / 2.0 / power)
}

/// The file of a recording is there and is what its row says.
///
/// # Panics
/// When it is not.
pub fn assert_file(data: &Path, recording: &Recording) {
    assert_eq!(recording.state, RecordingState::Final, "{recording:?}");
    let path = data.join(recording.path.as_deref().expect("a final recording has a path"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(Some(bytes.len() as u64), recording.bytes, "{}", path.display());
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(Some(&digest), recording.sha256.as_ref(), "{}", path.display());
}

/// Decodes a call's only recording.
///
/// # Panics
/// When it has another number of recordings, or the file is not as its row says.
pub fn listen(data: &Path, row: &Call) -> Sound {
    let [recording] = &row.recordings[..] else { panic!("{}: {:?}", row.id, row.recordings) };
    assert_file(data, recording);
    let channels = recording.channels.expect("audio has channels");
    let sound = Sound::read(&data.join(recording.path.as_deref().expect("asserted above")), channels);
    let said = recording.duration_ms.expect("a final recording has a length");
    assert!(sound.duration_ms().abs_diff(said) <= 1, "{}: {said} ms, not {}", row.id, sound.duration_ms());
    sound
}

/// The caller's tone is heard on the left, the callee's on the right, and no other.
///
/// # Panics
/// When one is not, or the recording is not what its row says.
pub fn assert_tones(data: &Path, row: &Call, call: &CallExpected) {
    let sound = listen(data, row);
    for (channel, side) in [Side::Caller, Side::Callee].into_iter().enumerate() {
        let Some(hz) = call.tone_hz(side) else { continue };
        let share = sound.share_of_tone(channel, hz);
        assert!(share > 0.9, "{}: {hz} Hz is {share:.2} of channel {channel}", row.id);
    }
}
