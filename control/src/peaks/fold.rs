//! Samples folded into points as they are decoded.

use super::{CHANNELS, MOST, PER_SECOND, Peaks, PeaksError};

/// Samples so far, folded.
pub(super) struct Fold {
    channels: usize,
    rate: u32,
    /// Frames (a sample of each channel) seen.
    frames: u64,
    /// The point that is being filled, largest amplitude per channel.
    open: [f32; CHANNELS],
    /// The frame at which the open point is full.
    full_at: u64,
    points: Vec<u8>,
}

impl Fold {
    /// For audio of so many channels at so many Hz.
    pub(super) fn new(channels: usize, rate: u32) -> Result<Fold, PeaksError> {
        if !(1..=CHANNELS).contains(&channels) || rate < PER_SECOND {
            let message = format!("{channels} channels at {rate} Hz are not supported");
            return Err(PeaksError::Undecodable(message));
        }
        let mut fold =
            Fold { channels, rate, frames: 0, open: [0.0; CHANNELS], full_at: 0, points: Vec::new() };
        fold.full_at = fold.boundary(1);
        Ok(fold)
    }

    /// The frame at which point number `point` begins; rates that are no multiple of 20 still do not drift.
    fn boundary(&self, point: u64) -> u64 {
        (point * u64::from(self.rate)).div_ceil(u64::from(PER_SECOND))
    }

    /// Takes one frame; samples from -1 to 1.
    pub(super) fn push(&mut self, frame: impl Iterator<Item = f32>) -> Result<(), PeaksError> {
        for (largest, sample) in self.open.iter_mut().zip(frame) {
            *largest = largest.max(sample.abs());
        }
        self.frames += 1;
        if self.frames == self.full_at { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), PeaksError> {
        if self.points.len() + self.channels > MOST {
            return Err(PeaksError::TooLong);
        }
        // Saturates: more than full scale is full scale.
        self.points.extend(self.open[..self.channels].iter().map(|largest| (largest * 255.0).round() as u8));
        self.open = [0.0; CHANNELS];
        let closed = (self.points.len() / self.channels) as u64;
        self.full_at = self.boundary(closed + 1);
        Ok(())
    }

    /// The waveform of the first `frames` frames, or of all where there are fewer.
    pub(super) fn finish(mut self, frames: u64) -> Result<Peaks, PeaksError> {
        let frames = frames.min(self.frames);
        self.close()?;
        let points = (frames * u64::from(PER_SECOND)).div_ceil(u64::from(self.rate));
        self.points.truncate(points as usize * self.channels);
        let duration_ms = frames * 1_000 / u64::from(self.rate);
        Ok(Peaks { channels: self.channels, duration_ms, points: self.points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_covers_50_ms_and_the_last_one_what_is_left() {
        let mut fold = Fold::new(1, 8_000).unwrap();
        for frame in 0..900 {
            fold.push(std::iter::once(if frame == 400 { -1.0 } else { 0.0 })).unwrap();
        }
        let peaks = fold.finish(u64::MAX).unwrap();
        assert_eq!((peaks.points.as_slice(), peaks.duration_ms), ([0, 255, 0].as_slice(), 112));
    }

    #[test]
    fn what_lies_behind_the_end_does_not_count() {
        let mut fold = Fold::new(2, 8_000).unwrap();
        for _ in 0..1_000 {
            fold.push([0.5, 2.0].into_iter()).unwrap();
        }
        let peaks = fold.finish(400).unwrap();
        assert_eq!((peaks.points.as_slice(), peaks.duration_ms), ([128, 255].as_slice(), 50));
    }

    #[test]
    fn an_odd_rate_does_not_drift() {
        let mut fold = Fold::new(1, 11_025).unwrap();
        for _ in 0..11_025 * 60 {
            fold.push(std::iter::once(0.0)).unwrap();
        }
        let peaks = fold.finish(u64::MAX).unwrap();
        assert_eq!((peaks.points.len(), peaks.duration_ms), (1_200, 60_000));
    }
}
