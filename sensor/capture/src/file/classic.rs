//! The classic pcap format: one link type, a record header of 16 bytes before each frame
//! (draft-ietf-opsawg-pcap).

use nightjar_wire::{LinkType, Nanos};

use super::window::Window;
use super::{BATCH, Fault, MAX_FRAME, Step};
use crate::source::{RawFrame, SourceStatistics};

const FILE_HEADER: usize = 24;

/// A classic pcap stream behind its header.
pub(super) struct Classic {
    swapped: bool,
    /// Length of a record header: 16, or 24 in Kuznetzov's modified format.
    record_header: usize,
    /// Nanoseconds per unit of a stamp's second word: 1,000 or 1.
    fraction_ns: u32,
    lengths: Lengths,
    link: LinkType,
    interface: u16,
}

/// In which order a record header holds its two lengths, as libpcap reads old versions.
#[derive(Clone, Copy)]
enum Lengths {
    /// Captured, then original: version 2.4.
    InOrder,
    /// Original, then captured: before 2.3.
    Swapped,
    /// The lesser one is the captured: 2.3, and the 2.543 of old DG/UX.
    Either,
}

impl Lengths {
    fn of_version(major: u16, minor: u16) -> Lengths {
        match (major, minor) {
            (2, 3 | 543) => Lengths::Either,
            (2, 0..=2) => Lengths::Swapped,
            _ => Lengths::InOrder,
        }
    }

    /// Captured and original length from the header's third and fourth word.
    #[inline]
    fn pair(self, third: u32, fourth: u32) -> (usize, u32) {
        match self {
            Lengths::InOrder => (third as usize, fourth),
            Lengths::Swapped => (fourth as usize, third),
            Lengths::Either => (third.min(fourth) as usize, third.max(fourth)),
        }
    }
}

/// What one of the magic numbers says, read in little-endian order.
fn variant(magic: u32) -> Option<(bool, usize, u32)> {
    let swapped = !matches!(magic, 0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34);
    match if swapped { magic.swap_bytes() } else { magic } {
        0xa1b2_c3d4 => Some((swapped, 16, 1_000)),
        0xa1b2_3c4d => Some((swapped, 16, 1)),
        0xa1b2_cd34 => Some((swapped, 24, 1_000)),
        _ => None,
    }
}

/// True when a stream begins with one of the format's magic numbers.
pub(super) fn recognise(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(|magic| variant(u32::from_le_bytes(*magic)).is_some())
}

impl Classic {
    /// Reads the file header. The window must begin with one of the magic numbers.
    pub(super) fn open(window: &mut Window, interface: u16) -> Result<Classic, Fault> {
        window.fill(FILE_HEADER)?;
        let Some(header) = window.bytes().first_chunk::<FILE_HEADER>() else {
            let here = window.bytes().len();
            return Err(Fault::cut_off(
                window,
                format!("a file header of {FILE_HEADER} bytes, of which {here} are there"),
            ));
        };
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let Some((swapped, record_header, fraction_ns)) = variant(u32::from_le_bytes(word(0))) else {
            return Err(Fault::corrupt(window, "no magic number of a pcap file".to_owned()));
        };
        let network = if swapped { u32::from_be_bytes(word(20)) } else { u32::from_le_bytes(word(20)) };
        // The upper bits tell of a frame check sequence, which IP's own length leaves out.
        let number = network & 0x03ff_ffff;
        let link = LinkType::from_number(number).ok_or(Fault::UnknownLink(number))?;
        let half = |at: usize| {
            let half = [header[at], header[at + 1]];
            if swapped { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) }
        };
        let lengths = Lengths::of_version(half(4), half(6));
        window.consume(FILE_HEADER);
        Ok(Classic { swapped, record_header, fraction_ns, lengths, link, interface })
    }

    /// Gives up to [`BATCH`] frames to `sink`.
    pub(super) fn batch(
        &self,
        window: &mut Window,
        statistics: &mut SourceStatistics,
        sink: &mut impl FnMut(RawFrame<'_>),
    ) -> Result<Step, Fault> {
        loop {
            let mut left = BATCH;
            let (consumed, wanted) = if self.swapped {
                self.records::<true>(window.bytes(), &mut left, statistics, sink)
            } else {
                self.records::<false>(window.bytes(), &mut left, statistics, sink)
            };
            window.consume(consumed);
            // What there is goes on before a read that may wait (a pipe).
            if left < BATCH {
                return Ok(Step::More);
            }
            if wanted > self.record_header + MAX_FRAME {
                let promised = wanted - self.record_header;
                let what = format!("a frame of {promised} bytes, where {MAX_FRAME} is the most");
                return Err(Fault::corrupt(window, what));
            }
            window.fill(wanted)?;
            let here = window.bytes().len();
            if here == 0 {
                return Ok(Step::End);
            }
            if here < wanted {
                let what = format!("a record of {wanted} bytes or more, of which {here} are there");
                return Err(Fault::cut_off(window, what));
            }
        }
    }

    /// Gives the whole records in `bytes`, at most `left`; returns how many bytes they took and how
    /// many the next record needs.
    #[inline]
    fn records<const SWAPPED: bool>(
        &self,
        bytes: &[u8],
        left: &mut usize,
        statistics: &mut SourceStatistics,
        sink: &mut impl FnMut(RawFrame<'_>),
    ) -> (usize, usize) {
        let mut rest = bytes;
        let wanted = loop {
            let Some(header) = rest.first_chunk::<16>() else { break self.record_header };
            let word = |at: usize| {
                let word = [header[at], header[at + 1], header[at + 2], header[at + 3]];
                if SWAPPED { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
            };
            let (captured, original_len) = self.lengths.pair(word(8), word(12));
            let wanted = self.record_header + captured;
            if captured > MAX_FRAME || rest.len() < wanted || *left == 0 {
                break wanted;
            }
            let (record, behind) = rest.split_at(wanted);
            let frame = &record[self.record_header..];
            let fraction = u64::from(word(4)) * u64::from(self.fraction_ns);
            let at = Nanos(u64::from(word(0)) * 1_000_000_000 + fraction);
            statistics.count(frame.len(), original_len);
            sink(RawFrame { at, link: self.link, interface: self.interface, bytes: frame, original_len });
            rest = behind;
            *left -= 1;
        };
        (bytes.len() - rest.len(), wanted)
    }
}
