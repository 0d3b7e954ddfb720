//! What an earlier run left: every segment in order, each up to its last good block.
//!
//! Nothing is believed: a header or a block whose checksum is wrong ends its segment, what lies
//! behind it is reported as dropped, and recovery goes on with the next segment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nightjar_wire::Nanos;

use crate::block::{BLOCK_BYTES, BlockHeader, BlockId, HEADER_BYTES};
use crate::disk::PAGE;
use crate::journal::JournalError;
use crate::record::Records;
use crate::segment::{
    HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentPosition, list_segments, segment_path,
};

/// Why the rest of a segment was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The segment does not begin as one: it was never written, or is damaged.
    SegmentHeader,
    /// Another version of the sensor wrote it.
    Format(u32),
    /// A key is needed to read it.
    Encrypted,
    /// Behind the last block stands something that is no block.
    BlockHeader,
    /// The file ends within a block.
    Torn,
    /// A block's checksum is wrong.
    Checksum,
    /// The disk refused to read it.
    Unreadable(io::ErrorKind),
}

/// A part of a segment that was not recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where it begins.
    pub from: SegmentPosition,
    /// How many bytes it has, trailing zeros left out.
    pub bytes: u64,
    /// What is wrong with its beginning.
    pub reason: DropReason,
}

/// One good block.
#[derive(Clone, Copy, Debug)]
pub struct RecoveredBlock<'a> {
    /// The run of the sensor that wrote it.
    pub run: u32,
    /// Which block it is, within that run.
    pub id: BlockId,
    /// Where it lies.
    pub position: SegmentPosition,
    /// The least arrival in it.
    pub first_arrival: Nanos,
    /// The greatest arrival in it.
    pub last_arrival: Nanos,
    /// Packets of its lane and run before it: more than were yielded means that blocks are
    /// missing (dead and reclaimed, or lost).
    pub packets_before: u64,
    /// Its records.
    payload: &'a [u8],
}

impl<'a> RecoveredBlock<'a> {
    /// Its records, in the order of their appends.
    pub fn records(&self) -> Records<'a> {
        Records::new(self.payload)
    }
}

/// The segment that is being read.
struct Current {
    /// Its file.
    file: File,
    /// Its header.
    header: SegmentHeader,
    /// The next block's place.
    offset: u64,
    /// The file's length.
    len: u64,
}

/// Walks the segments of earlier runs. Nothing is changed on the disk.
pub struct Recovery {
    /// Where they lie.
    directory: PathBuf,
    /// Those not yet read, the next one last.
    waiting: Vec<u32>,
    /// The one that is being read.
    current: Option<Current>,
    /// The payload of the block that was yielded last.
    buffer: Box<[u8]>,
    /// For each run, core and worker the last block yielded: one that was written twice, because a
    /// sync had failed, is yielded once.
    last: BTreeMap<(u32, u16, u16), u64>,
    /// Segments read, their headers.
    segments: Vec<SegmentHeader>,
    /// What could not be recovered.
    dropped: Vec<Dropped>,
}

/// Begins to recover what lies in `directory`; a missing directory holds nothing. Do it before
/// [`crate::SegmentWriter::start`], which adds segments of its own.
///
/// # Errors
/// When the directory cannot be listed.
pub fn recover(directory: &Path) -> Result<Recovery, JournalError> {
    let mut waiting = match list_segments(directory) {
        Ok(numbers) => numbers,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(JournalError::Directory { path: directory.to_path_buf(), source }),
    };
    waiting.reverse();
    Ok(Recovery {
        directory: directory.to_path_buf(),
        waiting,
        current: None,
        buffer: vec![0; BLOCK_BYTES].into(),
        last: BTreeMap::new(),
        segments: Vec::new(),
        dropped: Vec::new(),
    })
}

impl Recovery {
    /// The next good block, or `None` when every segment has been read.
    pub fn next_block(&mut self) -> Option<RecoveredBlock<'_>> {
        let (header, run, position) = loop {
            let Some(mut current) = self.current.take() else {
                let number = self.waiting.pop()?;
                self.current = self.open(number);
                continue;
            };
            let position = SegmentPosition { segment: current.header.number, offset: current.offset as u32 };
            match self.read_block(&mut current) {
                Ok(Some(header)) => {
                    let run = current.header.run;
                    self.current = Some(current);
                    if self.is_new(run, header.id) {
                        break (header, run, position);
                    }
                }
                Ok(None) => {}
                Err(reason) => self.drop_rest(&current, reason),
            }
        };
        let (id, payload) = (header.id, &self.buffer[..header.payload as usize]);
        let BlockHeader { first_arrival, last_arrival, packets_before, .. } = header;
        Some(RecoveredBlock { run, id, position, first_arrival, last_arrival, packets_before, payload })
    }

    /// The headers of the segments that were opened so far.
    pub fn segments(&self) -> &[SegmentHeader] {
        &self.segments
    }

    /// What could not be recovered so far.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// Opens a segment and reads its header.
    fn open(&mut self, number: u32) -> Option<Current> {
        let opened = File::open(segment_path(&self.directory, number));
        let opened = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata.len())));
        let from = SegmentPosition { segment: number, offset: 0 };
        let (file, len) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.dropped.push(Dropped { from, bytes: 0, reason: DropReason::Unreadable(error.kind()) });
                return None;
            }
        };
        let mut page = [0; PAGE];
        let read = file.read_exact_at(&mut page, 0);
        let header = match read.map(|()| SegmentHeader::from_page(&page)) {
            Ok(Ok(header)) if header.number == number && header.key == 0 => Ok(header),
            Ok(Ok(header)) if header.number == number => Err(DropReason::Encrypted),
            Ok(Ok(_) | Err(HeaderFault::Magic | HeaderFault::Checksum)) => Err(DropReason::SegmentHeader),
            Ok(Err(HeaderFault::Format(format))) => Err(DropReason::Format(format)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(DropReason::SegmentHeader),
            Err(error) => Err(DropReason::Unreadable(error.kind())),
        };
        match header {
            Ok(header) => {
                self.segments.push(header.clone());
                Some(Current { file, header, offset: u64::from(SEGMENT_HEADER_BYTES), len })
            }
            Err(reason) => {
                self.note_dropped(&file, from, len, reason);
                None
            }
        }
    }

    /// Reads the next block into the buffer and moves behind it; `None` at the end.
    fn read_block(&mut self, current: &mut Current) -> Result<Option<BlockHeader>, DropReason> {
        if current.offset >= current.len {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        read(&current.file, &mut bytes, current.offset)?;
        let header = BlockHeader::from_bytes(&bytes).ok_or(DropReason::BlockHeader)?;
        let payload = &mut self.buffer[..header.payload as usize];
        read(&current.file, payload, current.offset + HEADER_BYTES as u64)?;
        if header.crc != header.checksum(crc32c::crc32c(payload)) {
            return Err(DropReason::Checksum);
        }
        current.offset += u64::from(header.stride);
        Ok(Some(header))
    }

    /// Whether a block comes for the first time.
    fn is_new(&mut self, run: u32, id: BlockId) -> bool {
        let key = (run, id.core, id.worker);
        if self.last.get(&key).is_some_and(|last| id.sequence <= *last) {
            return false;
        }
        self.last.insert(key, id.sequence);
        true
    }

    /// The rest of a segment is not recovered.
    fn drop_rest(&mut self, current: &Current, reason: DropReason) {
        let from = SegmentPosition { segment: current.header.number, offset: current.offset as u32 };
        self.note_dropped(&current.file, from, current.len, reason);
    }

    /// Notes what is dropped, unless nothing was ever written there.
    fn note_dropped(&mut self, file: &File, from: SegmentPosition, len: u64, reason: DropReason) {
        let end = written_end(file, u64::from(from.offset), len);
        if end > u64::from(from.offset) {
            self.dropped.push(Dropped { from, bytes: end - u64::from(from.offset), reason });
        }
    }
}

/// Reads a part of a block.
fn read(file: &File, out: &mut [u8], offset: u64) -> Result<(), DropReason> {
    file.read_exact_at(out, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DropReason::Torn,
        kind => DropReason::Unreadable(kind),
    })
}

/// Behind the last byte from `from` on that is not 0: a segment is allocated before it is
/// written, so its unwritten rest reads as zeros. What cannot be read counts as written.
fn written_end(file: &File, from: u64, len: u64) -> u64 {
    let mut chunk = vec![0; 1 << 18];
    let (mut at, mut end) = (from, from);
    while at < len {
        let want = chunk.len().min(usize::try_from(len - at).unwrap_or(usize::MAX));
        let Ok(read) = file.read_at(&mut chunk[..want], at) else { return len };
        if read == 0 {
            break;
        }
        if let Some(last) = chunk[..read].iter().rposition(|&byte| byte != 0) {
            end = at + last as u64 + 1;
        }
        at += read as u64;
    }
    end
}
