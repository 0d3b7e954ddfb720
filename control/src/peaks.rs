//! Waveforms: per channel the largest amplitude of every 50 ms, computed once from a stored recording, kept as a
//! small file beside it, and drawn at whatever width a page has.

mod fold;
mod opus_file;
mod wav_file;
mod worker;

use std::fs;
use std::io;
use std::path::Path;

use fold::Fold;
pub use worker::run;

/// Points a second: a minute is 1,200 of them, which is what a wide screen shows.
pub const PER_SECOND: u32 = 20;
/// Most points times channels (230 hours of mono); a longer recording has no waveform.
const MOST: usize = 1 << 24;
/// Most channels.
const CHANNELS: usize = 8;
/// What a peaks file begins with: a name and the format's version.
const MAGIC: [u8; 8] = *b"NJPEAKS1";
/// Bytes before the points: the magic, channels (u16), points a second (u16), duration in ms (u64), little-endian.
const HEADER: usize = 20;

/// Why a recording has no waveform.
#[derive(Debug, thiserror::Error)]
pub enum PeaksError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not audio that this version decodes.
    #[error("cannot be decoded: {0}")]
    Undecodable(String),
    /// It is longer than [`MOST`] points.
    #[error("is too long for a waveform")]
    TooLong,
}

/// A recording's waveform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peaks {
    channels: usize,
    duration_ms: u64,
    /// Point by point, channel by channel; 255 is full scale.
    points: Vec<u8>,
}

impl Peaks {
    /// Decodes a recording, streaming: memory holds the points alone. Takes seconds for hours of audio.
    ///
    /// # Errors
    ///
    /// Where it cannot be read or decoded, or is too long.
    pub fn of_file(path: &Path, content_type: &str) -> Result<Peaks, PeaksError> {
        match content_type {
            "audio/ogg" => opus_file::peaks(path),
            "audio/wav" => wav_file::peaks(path),
            other => Err(PeaksError::Undecodable(format!("{other} is not known"))),
        }
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Length.
    pub fn duration_ms(&self) -> u64 {
        self.duration_ms
    }

    /// As a file holds it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.points.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(self.channels as u16).to_le_bytes());
        bytes.extend_from_slice(&(PER_SECOND as u16).to_le_bytes());
        bytes.extend_from_slice(&self.duration_ms.to_le_bytes());
        bytes.extend_from_slice(&self.points);
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Where it is not there or is no file of peaks.
    pub fn read(path: &Path) -> io::Result<Peaks> {
        let bytes = fs::read(path)?;
        let refused = || io::Error::new(io::ErrorKind::InvalidData, "not a file of peaks");
        let (header, points) = bytes.split_first_chunk::<HEADER>().ok_or_else(refused)?;
        let (magic, numbers) = header.split_at(MAGIC.len());
        let channels = usize::from(u16::from_le_bytes([numbers[0], numbers[1]]));
        let per_second = u32::from(u16::from_le_bytes([numbers[2], numbers[3]]));
        let duration_ms = numbers[4..].try_into().map(u64::from_le_bytes).map_err(|_| refused())?;
        let whole = (1..=CHANNELS).contains(&channels) && points.len().is_multiple_of(channels);
        if magic != MAGIC || per_second != PER_SECOND || !whole {
            return Err(refused());
        }
        Ok(Peaks { channels, duration_ms, points: points.to_vec() })
    }

    /// Per channel exactly so many points from 0 to 1, each the largest of what it covers. Where there are fewer, they
    /// are repeated, so that the picture spans the whole duration either way.
    pub fn resampled(&self, points: usize) -> Vec<Vec<f32>> {
        let have = self.points.len() / self.channels;
        let one = |channel: usize, point: usize| {
            let first = point * have / points;
            let end = ((point + 1) * have).div_ceil(points).clamp(first + 1, have.max(first + 1));
            let covered = (first..end).filter_map(|at| self.points.get(at * self.channels + channel));
            let largest = covered.max().copied().unwrap_or(0);
            // Three decimals are finer than what is kept.
            (f32::from(largest) / 255.0 * 1_000.0).round() / 1_000.0
        };
        (0..self.channels).map(|channel| (0..points).map(|point| one(channel, point)).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        let peaks = Peaks { channels: 2, duration_ms: 150, points: vec![0, 255, 1, 2, 3, 4] };
        fs::write(&path, peaks.to_bytes()).unwrap();
        assert_eq!(Peaks::read(&path).unwrap(), peaks);
        for broken in [&peaks.to_bytes()[..19], &peaks.to_bytes()[..25], b"NJPEAKS2"] {
            fs::write(&path, broken).unwrap();
            assert!(Peaks::read(&path).is_err());
        }
    }

    #[test]
    fn channels_stay_apart_when_resampled() {
        let peaks = Peaks { channels: 2, duration_ms: 200, points: vec![0, 255, 51, 255, 102, 0, 0, 0] };
        assert_eq!(peaks.resampled(2), [[0.2, 0.4], [1.0, 0.0]]);
        assert_eq!(peaks.resampled(1), [[0.4], [1.0]]);
        assert_eq!(peaks.resampled(8)[0], [0.0, 0.0, 0.2, 0.2, 0.4, 0.4, 0.0, 0.0]);
        let empty = Peaks { channels: 1, duration_ms: 0, points: Vec::new() };
        assert_eq!(empty.resampled(3), [[0.0, 0.0, 0.0]]);
    }

    proptest! {
        #[test]
        fn no_peak_is_lost_at_any_width(points in prop::collection::vec(any::<u8>(), 1..300), width in 1_usize..700) {
            let peaks = Peaks { channels: 1, duration_ms: 1, points: points.clone() };
            let drawn = peaks.resampled(width);
            prop_assert_eq!(drawn[0].len(), width);
            let largest = drawn[0].iter().copied().fold(0.0, f32::max);
            let kept = f32::from(*points.iter().max().unwrap()) / 255.0;
            prop_assert!((largest - kept).abs() < 0.001);
        }
    }
}
