//! Reads back from the segments what a lagging worker was not handed in memory, so that lag costs
//! disk reads and no memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::block::{BlockHeader, BlockId, HEADER_BYTES};
use crate::journal::Journal;
use crate::lane::Lane;
use crate::segment::{SegmentPosition, segment_path};
use crate::status::Status;

/// What became of a block.
pub(crate) enum Found {
    /// Its payload was read.
    Block(BlockHeader),
    /// It is not on disk yet.
    NotYet,
    /// It never was, or is damaged.
    Gone,
}

/// Walks the segments of this run behind their writer, header by header.
pub(crate) struct LagReader {
    /// Where the segments lie.
    directory: Arc<Path>,
    /// How far they are written.
    status: Arc<Status>,
    /// The next header.
    at: SegmentPosition,
    /// The open segment and its number.
    file: Option<(u32, File)>,
}

impl LagReader {
    /// At the beginning of the run.
    pub fn new(journal: &Journal) -> LagReader {
        let at = journal.status.written();
        LagReader {
            directory: Arc::clone(&journal.directory),
            status: Arc::clone(&journal.status),
            at,
            file: None,
        }
    }

    /// What will be asked for lies at or behind this (packed) position.
    pub fn begin_at(&mut self, packed: u64) {
        self.at = self.at.max(SegmentPosition::unpack(packed));
        // An open file would keep the space of a segment that is removed.
        self.file = None;
    }

    /// Looks for a block of `lane`, and copies its payload to the front of `out`. Blocks of a lane
    /// are asked for in order.
    pub fn find(&mut self, lane: &Lane, id: BlockId, out: &mut [u8]) -> Found {
        // Loaded in this order: a settled block lies before `written`, or nowhere.
        let settled = lane.settled() > id.sequence;
        let written = self.status.written();
        while self.at < written {
            let Some(header) = self.header() else {
                if self.at.segment >= written.segment {
                    break;
                }
                self.at = SegmentPosition::first(self.at.segment + 1);
                continue;
            };
            let ours = header.id.core == id.core && header.id.worker == id.worker;
            if ours && header.id.sequence > id.sequence {
                return Found::Gone;
            }
            let payload_at = u64::from(self.at.offset) + HEADER_BYTES as u64;
            self.at.offset = self.at.offset.saturating_add(header.stride);
            if ours && header.id.sequence == id.sequence {
                let payload = &mut out[..header.payload as usize];
                // A damaged copy may have a good one in a later segment.
                if self.read(payload, payload_at).is_ok()
                    && header.crc == header.checksum(crc32c::crc32c(payload))
                {
                    return Found::Block(header);
                }
            }
        }
        if settled { Found::Gone } else { Found::NotYet }
    }

    /// The header at the current place; `None` behind the last one of its segment.
    fn header(&mut self) -> Option<BlockHeader> {
        if self.file.as_ref().is_none_or(|(number, _)| *number != self.at.segment) {
            let file = File::open(segment_path(&self.directory, self.at.segment)).ok()?;
            self.file = Some((self.at.segment, file));
        }
        let mut bytes = [0; HEADER_BYTES];
        self.read(&mut bytes, u64::from(self.at.offset)).ok()?;
        BlockHeader::from_bytes(&bytes)
    }

    /// Reads from the open segment.
    fn read(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let (_, file) = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.read_exact_at(out, offset)
    }
}
