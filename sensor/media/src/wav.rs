//! WAV: raw samples while the call lasts, and a header that is made when their number is known.

use crate::{AudioFrame, ChannelLayout, SAMPLE_RATE};

/// Bytes of a header.
const HEADER_LEN: usize = 44;

/// A recording in the making: its bytes so far are samples only, so that it can be continued by
/// whoever knows how many there are.
#[derive(Clone, Debug)]
pub struct WavWriter {
    channels: ChannelLayout,
    samples: u64,
}

impl WavWriter {
    /// A recording of which `samples` per channel were written before.
    pub fn new(channels: ChannelLayout, samples: u64) -> WavWriter {
        WavWriter { channels, samples }
    }

    /// Samples per channel so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Appends a frame's samples, 16 bits little-endian, interleaved.
    ///
    /// # Panics
    /// When the frame has other channels than the recording.
    pub fn frame(&mut self, frame: &AudioFrame, out: &mut Vec<u8>) {
        assert_eq!(frame.channels, self.channels, "a frame of another layout");
        self.samples += frame.len as u64;
        match self.channels {
            ChannelLayout::Mono => out.extend(frame.plane(0).iter().flat_map(|sample| sample.to_le_bytes())),
            ChannelLayout::Stereo => {
                let pairs = frame.plane(0).iter().zip(frame.plane(1));
                out.extend(pairs.flat_map(|(left, right)| {
                    let ([a, b], [c, d]) = (left.to_le_bytes(), right.to_le_bytes());
                    [a, b, c, d]
                }));
            }
        }
    }

    /// The header to put before the samples.
    pub fn header(&self) -> [u8; HEADER_LEN] {
        wav_header(self.channels, self.samples)
    }
}

/// The header of a file with `samples` 16-bit samples per channel at [`SAMPLE_RATE`]. Beyond 4 GiB
/// the lengths say "to the end of the file", as players expect.
pub fn wav_header(channels: ChannelLayout, samples: u64) -> [u8; HEADER_LEN] {
    let block = 2 * channels.count() as u32;
    let data = u32::try_from(samples * u64::from(block)).unwrap_or(u32::MAX);
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&data.saturating_add(HEADER_LEN as u32 - 8).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&1u16.to_le_bytes()); // PCM
    header[22..24].copy_from_slice(&(channels.count() as u16).to_le_bytes());
    header[24..28].copy_from_slice(&SAMPLE_RATE.to_le_bytes());
    header[28..32].copy_from_slice(&(SAMPLE_RATE * block).to_le_bytes());
    header[32..34].copy_from_slice(&(block as u16).to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..].copy_from_slice(&data.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_saturate_where_the_format_ends() {
        let header = wav_header(ChannelLayout::Stereo, u64::from(u32::MAX));
        assert_eq!(header[4..8], [0xff; 4]);
        assert_eq!(header[40..], [0xff; 4]);
        assert_eq!(wav_header(ChannelLayout::Mono, 8000)[40..], 16_000u32.to_le_bytes());
    }
}
