//! The grid that all legs meet on: samples of 125 µs on the capture clock, cut into 20 ms frames.

use nightjar_wire::Nanos;

use crate::ChannelLayout;

/// Samples per second of every frame.
pub const SAMPLE_RATE: u32 = 8000;

/// Samples per channel of a frame: 20 ms.
pub const FRAME_SAMPLES: usize = 160;

/// One frame's length on the grid.
pub(crate) const FRAME: i64 = FRAME_SAMPLES as i64;

/// Nanoseconds per sample.
pub(crate) const SAMPLE_NANOS: i64 = 1_000_000_000 / SAMPLE_RATE as i64;

/// The sample that begins at or before `at`, counted from the epoch.
pub(crate) fn sample_at(at: Nanos) -> i64 {
    (at.0 / SAMPLE_NANOS as u64) as i64
}

/// The moment at which a sample begins.
pub(crate) fn nanos_at(sample: i64) -> Nanos {
    Nanos(u64::try_from(sample).unwrap_or(0).saturating_mul(SAMPLE_NANOS as u64))
}

/// 20 ms of the call, or less at its very end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFrame {
    /// Its first sample, counted from the start of the recording.
    pub position: u64,
    /// Samples per channel: [`FRAME_SAMPLES`], less in the last frame only.
    pub len: usize,
    /// One or two channels.
    pub channels: ChannelLayout,
    /// The channels' samples; the second is zero in mono.
    planes: [[i16; FRAME_SAMPLES]; 2],
    /// Whether a packet's samples are on the channel.
    heard: [bool; 2],
}

impl AudioFrame {
    /// A silent frame at the start.
    pub fn silent(channels: ChannelLayout) -> AudioFrame {
        AudioFrame {
            position: 0,
            len: FRAME_SAMPLES,
            channels,
            planes: [[0; FRAME_SAMPLES]; 2],
            heard: [false; 2],
        }
    }

    /// One channel's samples.
    ///
    /// # Panics
    /// When `channel` is not below the layout's count.
    pub fn plane(&self, channel: usize) -> &[i16] {
        assert!(channel < self.channels.count(), "no such channel");
        &self.planes[channel][..self.len]
    }

    /// Whether a packet's samples are on the channel; without one it is exact silence.
    pub fn heard(&self, channel: usize) -> bool {
        self.heard[channel]
    }

    /// Makes it silent again and moves it on.
    pub(crate) fn begin(&mut self, position: u64, len: usize) {
        self.position = position;
        self.len = len;
        for (plane, heard) in self.planes.iter_mut().zip(&mut self.heard) {
            if std::mem::take(heard) {
                plane.fill(0);
            }
        }
    }

    /// Lets `render` write samples of one more stream; several add up, with saturation. `render`
    /// gets a silent plane and says whether it wrote.
    pub(crate) fn mix(&mut self, channel: usize, render: impl FnOnce(&mut [i16; FRAME_SAMPLES]) -> bool) {
        if !self.heard[channel] {
            self.heard[channel] = render(&mut self.planes[channel]);
            return;
        }
        let mut other = [0; FRAME_SAMPLES];
        if render(&mut other) {
            for (sum, sample) in self.planes[channel].iter_mut().zip(other) {
                *sum = sum.saturating_add(sample);
            }
        }
    }
}

/// Where frames go, in order and without holes.
pub trait FrameSink {
    /// Takes the next frame.
    fn frame(&mut self, frame: &AudioFrame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_add_up_with_saturation() {
        let mut frame = AudioFrame::silent(ChannelLayout::Mono);
        for _ in 0..2 {
            frame.mix(0, |plane| {
                plane[..2].copy_from_slice(&[30_000, -30_000]);
                true
            });
        }
        assert_eq!(frame.plane(0)[..3], [i16::MAX, i16::MIN, 0]);
        assert!(frame.heard(0));
        frame.begin(160, 160);
        assert_eq!(frame.plane(0), [0; 160]);
        assert!(!frame.heard(0));
    }

    #[test]
    fn samples_and_moments_agree() {
        assert_eq!(sample_at(Nanos(249_999)), 1);
        assert_eq!(nanos_at(1), Nanos(125_000));
        assert_eq!(nanos_at(-3), Nanos::ZERO);
        assert_eq!(sample_at(Nanos::MAX), (u64::MAX / 125_000) as i64);
    }
}
