//! A segment: one file of the journal. A header page, then blocks, each with its checksum.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use nightjar_wire::Nanos;
use rustix::time::ClockId;

use crate::disk::PAGE;

/// Bytes of a segment's header: one page, so that direct writes behind it are aligned.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = PAGE as u32;

/// The longest sensor name that a segment's header holds, in bytes.
pub const SENSOR_NAME_LIMIT: usize = 256;

/// The format that this version writes, and the only one that it reads.
const FORMAT: u32 = 1;

/// What a segment begins with.
const MAGIC: [u8; 8] = *b"NJSEGMNT";

/// A place in the journal. Later blocks have greater places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentPosition {
    /// The segment's number.
    pub segment: u32,
    /// Bytes from its beginning.
    pub offset: u32,
}

impl SegmentPosition {
    /// As one word that compares the same way.
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.offset)
    }

    /// The inverse of [`SegmentPosition::pack`].
    pub(crate) fn unpack(word: u64) -> SegmentPosition {
        SegmentPosition { segment: (word >> 32) as u32, offset: word as u32 }
    }

    /// Before the first block of a segment.
    pub(crate) fn first(segment: u32) -> SegmentPosition {
        SegmentPosition { segment, offset: SEGMENT_HEADER_BYTES }
    }
}

/// The same moment on two clocks; stamps of one are so translated into the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPair {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Nanos,
    /// UTC.
    pub utc: Nanos,
}

impl ClockPair {
    /// The clocks now.
    pub fn now() -> ClockPair {
        let read = |clock| {
            let at = rustix::time::clock_gettime(clock);
            Nanos::from_secs(at.tv_sec.try_into().unwrap_or(0)) + Nanos(at.tv_nsec.try_into().unwrap_or(0))
        };
        ClockPair { monotonic: read(ClockId::Monotonic), utc: read(ClockId::Realtime) }
    }
}

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Its number, which is also its name's.
    pub number: u32,
    /// The first segment's number of the sensor's run that wrote it; lanes count their blocks
    /// from 0 in each run.
    pub run: u32,
    /// When it was begun.
    pub clocks: ClockPair,
    /// The key that its blocks are encrypted with; 0: none.
    pub key: u32,
    /// The sensor's name.
    pub sensor: String,
}

impl SegmentHeader {
    /// As the first page of the file.
    ///
    /// # Panics
    /// When the sensor's name is longer than [`SENSOR_NAME_LIMIT`], which the writer's start checks.
    pub(crate) fn page(&self) -> [u8; PAGE] {
        assert!(self.sensor.len() <= SENSOR_NAME_LIMIT, "checked when the writer was started");
        let mut page = [0; PAGE];
        page[..8].copy_from_slice(&MAGIC);
        page[12..16].copy_from_slice(&FORMAT.to_le_bytes());
        page[16..20].copy_from_slice(&self.number.to_le_bytes());
        page[20..24].copy_from_slice(&self.run.to_le_bytes());
        page[24..32].copy_from_slice(&self.clocks.monotonic.0.to_le_bytes());
        page[32..40].copy_from_slice(&self.clocks.utc.0.to_le_bytes());
        page[40..44].copy_from_slice(&self.key.to_le_bytes());
        page[44..48].copy_from_slice(&(self.sensor.len() as u32).to_le_bytes());
        page[48..48 + self.sensor.len()].copy_from_slice(self.sensor.as_bytes());
        let crc = crc32c::crc32c(&page[12..]);
        page[8..12].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads a first page.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_page(page: &[u8; PAGE]) -> Result<SegmentHeader, HeaderFault> {
        let word = |at: usize| u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if page[..8] != MAGIC {
            return Err(HeaderFault::Magic);
        }
        if word(8) != crc32c::crc32c(&page[12..]) {
            return Err(HeaderFault::Checksum);
        }
        if word(12) != FORMAT {
            return Err(HeaderFault::Format(word(12)));
        }
        let name = page[48..].get(..word(44) as usize).ok_or(HeaderFault::Checksum)?;
        Ok(SegmentHeader {
            number: word(16),
            run: word(20),
            clocks: ClockPair { monotonic: Nanos(long(24)), utc: Nanos(long(32)) },
            key: word(40),
            sensor: String::from_utf8_lossy(name).into_owned(),
        })
    }
}

/// Why a first page is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Another kind of file, or one that was never written.
    Magic,
    /// Damaged.
    Checksum,
    /// Written by another version.
    Format(u32),
}

/// A segment's path.
pub(crate) fn segment_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.seg"))
}

/// The numbers of the segments in a directory, in order. Other files are passed over.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn list_segments(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("seg")) {
            continue;
        }
        if let Some(number) = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok())
            && segment_path(directory, number) == path
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let clocks = ClockPair { monotonic: Nanos(5), utc: Nanos(u64::MAX) };
        SegmentHeader { number: 7, run: 3, clocks, key: 0, sensor: "sensor-ö".to_owned() }
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        assert_eq!(SegmentHeader::from_page(&header().page()), Ok(header()));
    }

    #[test]
    fn each_fault_has_its_name() {
        let mut page = header().page();
        page[100] ^= 1;
        assert_eq!(SegmentHeader::from_page(&page), Err(HeaderFault::Checksum));
        page[0] = 0;
        assert_eq!(SegmentHeader::from_page(&page), Err(HeaderFault::Magic));
        let mut page = header().page();
        page[12] = 2;
        let crc = crc32c::crc32c(&page[12..]);
        page[8..12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::from_page(&page), Err(HeaderFault::Format(2)));
    }

    #[test]
    fn only_our_files_are_listed_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["00000010.seg", "00000002.seg", "2.seg", "x.seg", "00000003.tmp", "100000000.seg"] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        assert_eq!(list_segments(dir.path()).unwrap(), [2, 10, 100_000_000]);
    }

    #[test]
    fn positions_compare_packed_as_they_do_unpacked() {
        let one = SegmentPosition { segment: 1, offset: u32::MAX };
        let two = SegmentPosition { segment: 2, offset: 0 };
        assert!(one < two && one.pack() < two.pack());
        assert_eq!(SegmentPosition::unpack(one.pack()), one);
    }
}
