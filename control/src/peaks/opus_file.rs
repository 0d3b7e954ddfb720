//! Peaks of an Ogg Opus file (RFC 7845).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use ogg::reading::{OggReadError, PacketReader};
use opus::MSDecoder;

use super::{CHANNELS, Fold, Peaks, PeaksError};

/// The rate of granule positions, Hz.
const GRANULE_RATE: u64 = 48_000;
/// Longest packet, ms (RFC 6716, 2.1.4).
const LONGEST_MS: usize = 120;
/// Bytes that may be read without a packet coming to its end: Opus packets are far smaller (RFC 7845, 6), and a file
/// that pretends otherwise must not fill the memory.
const BUDGET: u64 = 1 << 20;

/// A file that is read no further than its budget.
struct Budgeted {
    file: BufReader<File>,
    left: u64,
}

impl Read for Budgeted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an Ogg packet without end"));
        }
        let read = self.file.by_ref().take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Seek for Budgeted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// What the identification header says (RFC 7845, 5.1).
#[derive(Debug, PartialEq)]
struct Head {
    channels: usize,
    /// Samples at 48 kHz to leave out at the beginning.
    pre_skip: u64,
    /// The rate to decode at, Hz: the encoder's input rate, where Opus can.
    rate: u32,
    /// Factor on every sample.
    gain: f32,
    streams: u8,
    coupled: u8,
    mapping: Vec<u8>,
}

/// Decodes the file packet by packet.
pub(super) fn peaks(path: &Path) -> Result<Peaks, PeaksError> {
    let file = Budgeted { file: BufReader::new(File::open(path)?), left: BUDGET };
    let mut packets = PacketReader::new(file);
    let first = packets.read_packet().map_err(refused)?;
    let first = first.ok_or_else(|| PeaksError::Undecodable("the file is empty".to_owned()))?;
    let head =
        read_head(&first.data).ok_or_else(|| PeaksError::Undecodable("not an Ogg Opus file".to_owned()))?;
    let serial = first.stream_serial();
    let mut decoder = MSDecoder::new(head.rate, head.streams, head.coupled, &head.mapping)
        .map_err(|error| undecodable(&error))?;
    let mut fold = Fold::new(head.channels, head.rate)?;
    let mut samples = vec![0.0; head.rate as usize * LONGEST_MS / 1_000 * head.channels];
    let mut skip = head.pre_skip * u64::from(head.rate) / GRANULE_RATE;
    let mut granule = 0;
    let mut headers = 1;
    while let Some(packet) = packets.read_packet().map_err(refused)? {
        packets.get_mut().left = BUDGET;
        if packet.stream_serial() != serial {
            continue;
        }
        if headers < 2 {
            // OpusTags.
            headers += 1;
            continue;
        }
        if packet.absgp_page() != u64::MAX {
            granule = packet.absgp_page();
        }
        let frames =
            decoder.decode_float(&packet.data, &mut samples, false).map_err(|error| undecodable(&error))?;
        for frame in samples[..frames * head.channels].chunks_exact(head.channels) {
            match skip {
                0 => fold.push(frame.iter().map(|sample| sample * head.gain))?,
                _ => skip -= 1,
            }
        }
    }
    // The last page's granule position cuts off what the encoder had to pad (RFC 7845, 4.4).
    fold.finish(granule.saturating_sub(head.pre_skip) * u64::from(head.rate) / GRANULE_RATE)
}

fn read_head(packet: &[u8]) -> Option<Head> {
    let fields = packet.strip_prefix(b"OpusHead")?;
    let (fixed, mapping) = fields.split_first_chunk::<11>()?;
    let [version, channels, skip_0, skip_1, rate @ .., gain_0, gain_1, family] = *fixed;
    let (rate, channel_count) = (u32::from_le_bytes(rate), usize::from(channels));
    if version >> 4 != 0 || !(1..=CHANNELS).contains(&channel_count) {
        return None;
    }
    let (streams, coupled, mapping) = match (family, mapping) {
        // One stream, mono or stereo.
        (0, _) if channels <= 2 => (1, channels - 1, (0..channels).collect()),
        (0, _) => return None,
        (_, [streams, coupled, mapping @ ..]) => (*streams, *coupled, mapping.get(..channel_count)?.to_vec()),
        _ => return None,
    };
    let gain = f32::from(i16::from_le_bytes([gain_0, gain_1])) / 256.0;
    Some(Head {
        channels: channel_count,
        pre_skip: u64::from(u16::from_le_bytes([skip_0, skip_1])),
        rate: [8_000, 12_000, 16_000, 24_000].into_iter().find(|known| *known == rate).unwrap_or(48_000),
        gain: 10_f32.powf(gain / 20.0),
        streams,
        coupled,
        mapping,
    })
}

fn undecodable(error: &opus::Error) -> PeaksError {
    PeaksError::Undecodable(error.to_string())
}

fn refused(error: OggReadError) -> PeaksError {
    match error {
        OggReadError::ReadError(error) if error.kind() != io::ErrorKind::InvalidData => PeaksError::Io(error),
        error => PeaksError::Undecodable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(channels: u8, family: u8, rate: u32, mapping: &[u8]) -> Vec<u8> {
        let mut packet = b"OpusHead\x01".to_vec();
        packet.extend([channels, 56, 1]);
        packet.extend(rate.to_le_bytes());
        packet.extend([0, 6, family]);
        packet.extend(mapping);
        packet
    }

    #[test]
    fn headers_of_one_stream_and_of_several() {
        let stereo = read_head(&head(2, 0, 8_000, &[])).unwrap();
        assert_eq!((stereo.streams, stereo.coupled, stereo.mapping.as_slice()), (1, 1, [0, 1].as_slice()));
        assert_eq!((stereo.pre_skip, stereo.rate), (312, 8_000));
        // 6.0 dB.
        assert!((stereo.gain - 1.995).abs() < 0.001);
        let apart = read_head(&head(2, 1, 44_100, &[2, 0, 0, 1])).unwrap();
        assert_eq!((apart.streams, apart.coupled, apart.mapping.as_slice()), (2, 0, [0, 1].as_slice()));
        assert_eq!(apart.rate, 48_000);
    }

    #[test]
    fn headers_that_lie_are_refused() {
        assert!(read_head(&head(3, 0, 8_000, &[])).is_none());
        assert!(read_head(&head(0, 0, 8_000, &[])).is_none());
        assert!(read_head(&head(2, 1, 8_000, &[2, 0, 0])).is_none());
        assert!(read_head(&head(9, 1, 8_000, &[0; 16])).is_none());
        assert!(read_head(b"OpusHead").is_none());
        assert!(read_head(b"").is_none());
    }
}
