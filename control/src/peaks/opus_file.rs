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
/// Bytes that may be read without a packet of the stream coming to its end: Opus packets are far smaller (RFC 7845, 6), and a file
/// that pretends otherwise must not fill the memory.
const BUDGET: u64 = 1 << 20;
/// Streams beside the one that is decoded; each costs the reader memory.
const STREAMS: u32 = 16;

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
    let mut strangers = 0;
    while let Some(packet) = packets.read_packet().map_err(refused)? {
        if packet.stream_serial() != serial {
            strangers += u32::from(packet.first_in_stream());
            if strangers > STREAMS {
                return Err(PeaksError::Undecodable("too many streams in one file".to_owned()));
            }
            continue;
        }
        packets.get_mut().left = BUDGET;
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
        OggReadError::ReadError(error) if error.kind() == io::ErrorKind::InvalidData => {
            PeaksError::Undecodable(error.to_string())
        }
        OggReadError::ReadError(error) => PeaksError::Io(error),
        error => PeaksError::Undecodable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use ogg::writing::{PacketWriteEndInfo, PacketWriter};
    use proptest::prelude::*;

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

    /// A second of a tone, several packets a page.
    fn file() -> Vec<u8> {
        let mut encoder = opus::Encoder::new(8_000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        let mut file = Vec::new();
        let mut writer = PacketWriter::new(&mut file);
        writer.write_packet(head(1, 0, 8_000, &[]), 1, PacketWriteEndInfo::EndPage, 0).unwrap();
        writer.write_packet(b"OpusTags".to_vec(), 1, PacketWriteEndInfo::EndPage, 0).unwrap();
        for packet in 1..=50 {
            let samples: Vec<i16> = (0..160).map(|n| if n / 8 % 2 == 0 { 9_000 } else { -9_000 }).collect();
            let data = encoder.encode_vec(&samples, 1_000).unwrap();
            let end =
                if packet % 10 == 0 { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            writer.write_packet(data, 1, end, packet * 960).unwrap();
        }
        drop(writer);
        file
    }

    fn peaks_of(bytes: &[u8]) -> Result<Peaks, PeaksError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.ogg");
        std::fs::write(&path, bytes).unwrap();
        peaks(&path)
    }

    #[test]
    fn a_packet_without_end_does_not_fill_the_memory() {
        // Pages of 255 full segments each, none of which ends a packet.
        let mut bytes = file();
        let page = |sequence: u32| {
            // All but the first continue a packet.
            let mut page = b"OggS\0".to_vec();
            page.push(u8::from(sequence > 7));
            page.extend(u64::MAX.to_le_bytes());
            page.extend(1_u32.to_le_bytes());
            page.extend(sequence.to_le_bytes());
            page.extend([0; 4]);
            page.push(255);
            page.extend([255; 255]);
            page.extend([0; 255 * 255]);
            let checksum = ogg_crc(&page);
            page[22..26].copy_from_slice(&checksum.to_le_bytes());
            page
        };
        (7..60).for_each(|sequence| bytes.extend(page(sequence)));
        let error = peaks_of(&bytes).expect_err("it is refused");
        assert!(error.to_string().contains("without end"), "{error}");
    }

    /// RFC 3533, 6: polynomial 0x04c11db7, from 0, not reflected.
    fn ogg_crc(bytes: &[u8]) -> u32 {
        bytes.iter().fold(0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte) << 24, |crc: u32, _| {
                if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damage_is_refused_or_decoded_and_never_panics(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = file();
            prop_assert_eq!(peaks_of(&bytes).unwrap().duration_ms(), 993);
            for (place, value) in damage {
                *place.get_mut(&mut bytes) = value;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            let _ = peaks_of(&bytes);
        }
    }
}
