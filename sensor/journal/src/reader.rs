//! The media worker's end of a lane: records of open and sealed blocks, in the order of their
//! appends, from memory while the worker keeps up and from disk where it has lagged.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use nightjar_wire::Nanos;

use crate::block::{BLOCK_BYTES, BlockId, HEADER_BYTES, HEADER_WORDS};
use crate::journal::Journal;
use crate::lag::{Found, LagReader};
use crate::lane::{Handover, Lane};
use crate::record::{Record, Records};

/// What the lane has for its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A record, and the block that it lies in: the worker remembers the block for as long as it
    /// may need the record again ([`BlockReader::keep_from`]).
    Record(BlockId, Record<'a>),
    /// This many packets were appended and can be read no more: the worker lagged and the disk
    /// did not take them. They are `lost(disk)`.
    Lost(u64),
    /// Nothing now. Every record that was published before the core's clock showed this has been
    /// read.
    Idle(Nanos),
    /// Nothing ever: the core has closed the lane, and all of it has been read.
    Closed,
}

/// What [`BlockReader::fill`] found.
enum Fill {
    /// The buffer has records, or more blocks are to be looked at.
    Again,
    /// Packets are missing before the next block.
    Lost(u64),
    /// Nothing now.
    Idle,
    /// Nothing ever.
    Closed,
}

/// Reads a lane. Never blocks; takes no lock.
pub struct BlockReader {
    /// The lane's shared words.
    lane: Arc<Lane>,
    /// Blocks, when they are opened.
    handovers: Receiver<Handover>,
    /// Reads from disk what was not handed over, where there is a disk.
    lag: Option<LagReader>,
    /// The block that is read now.
    current: Option<Handover>,
    /// Words of it that were copied.
    copied: usize,
    /// A block that came although one before it did not.
    ahead: Option<Handover>,
    /// The next block.
    sequence: u64,
    /// The block that lies in the buffer.
    buffered: u64,
    /// Copied payload.
    buffer: Box<[u8]>,
    /// Of the buffer, where the next record begins.
    at: usize,
    /// Of the buffer, where the copied records end.
    end: usize,
    /// Packets read or known to be lost.
    packets: u64,
    /// Everything before this has been read.
    clock: Nanos,
}

impl BlockReader {
    /// The reader of a fresh lane.
    pub(crate) fn new(
        journal: Option<&Journal>,
        lane: Arc<Lane>,
        handovers: Receiver<Handover>,
    ) -> BlockReader {
        BlockReader {
            lane,
            handovers,
            lag: journal.map(LagReader::new),
            current: None,
            copied: 0,
            ahead: None,
            sequence: 0,
            buffered: 0,
            buffer: vec![0; BLOCK_BYTES].into(),
            at: 0,
            end: 0,
            packets: 0,
            clock: Nanos::ZERO,
        }
    }

    /// The next record, or why there is none.
    #[expect(clippy::should_implement_trait, reason = "what comes back borrows the reader's buffer")]
    pub fn next(&mut self) -> Next<'_> {
        while self.at == self.end {
            match self.fill() {
                Fill::Again => {}
                Fill::Lost(packets) => return Next::Lost(packets),
                Fill::Idle => return Next::Idle(self.clock),
                Fill::Closed => return Next::Closed,
            }
        }
        let id = self.block_id(self.buffered);
        let mut records = Records::new(&self.buffer[self.at..self.end]);
        let record = records.next();
        self.at = self.end - records.unread();
        match record {
            Some(record) => {
                self.packets += u64::from(record.header.kind.is_packet());
                Next::Record(id, record)
            }
            None => unreachable!("a published block, or one with a good checksum, holds whole records"),
        }
    }

    /// Declares every block before `sequence` dead: no record in it will be asked for again, not
    /// even after a crash. What is never declared dead is kept, up to the journal's limit.
    pub fn keep_from(&self, sequence: u64) {
        self.lane.set_keep_from(sequence);
    }

    /// Blocks below this are durable; those that the disk did not take count as such, since nothing
    /// will ever come of them.
    pub fn durable(&self) -> u64 {
        self.lane.durable()
    }

    /// The block that the next record, or the one after it, will come from: what a worker that
    /// needs nothing of the past passes to [`BlockReader::keep_from`].
    pub fn position(&self) -> BlockId {
        let in_buffer = self.at < self.end;
        self.block_id(if in_buffer { self.buffered } else { self.sequence })
    }

    /// A block of this lane.
    fn block_id(&self, sequence: u64) -> BlockId {
        BlockId { core: self.lane.core, worker: self.lane.worker, sequence }
    }

    /// Copies what is published and not yet copied, or moves on to the next block.
    fn fill(&mut self) -> Fill {
        // Loaded before looking, so that what they promise is there when it is looked for.
        let (clock, closed, opened) = (self.lane.clock(), self.lane.closed(), self.lane.opened());
        if let Some(current) = &self.current {
            let (end, sealed) = current.block.state();
            if end > self.copied {
                let bytes = (end - self.copied) * 8;
                current.block.copy(self.copied, &mut self.buffer[..bytes]);
                (self.at, self.end, self.copied) = (0, bytes, end);
                return Fill::Again;
            }
            if !sealed {
                self.clock = clock;
                return Fill::Idle;
            }
            self.sequence += 1;
            self.current = None;
        }
        match self.next_handover() {
            Some(handover) if handover.sequence == self.sequence => self.begin(handover),
            Some(handover) => {
                self.ahead = Some(handover);
                self.read_from_disk()
            }
            None if opened > self.sequence => self.read_from_disk(),
            None => match closed {
                Some(packets) if packets > self.packets => self.skip_to(packets),
                Some(_) => Fill::Closed,
                None => {
                    self.clock = clock;
                    Fill::Idle
                }
            },
        }
    }

    /// The block that was put aside, or the next that was handed over.
    fn next_handover(&mut self) -> Option<Handover> {
        self.ahead.take().or_else(|| self.handovers.try_recv().ok())
    }

    /// Begins to read a block from memory.
    fn begin(&mut self, handover: Handover) -> Fill {
        if handover.packets_before > self.packets {
            let packets_before = handover.packets_before;
            self.ahead = Some(handover);
            return self.skip_to(packets_before);
        }
        if let Some(lag) = &mut self.lag {
            lag.begin_at(handover.journal_at);
        }
        (self.buffered, self.copied) = (handover.sequence, HEADER_WORDS);
        self.current = Some(handover);
        Fill::Again
    }

    /// Reads the next block from disk, as a whole.
    fn read_from_disk(&mut self) -> Fill {
        let id = self.block_id(self.sequence);
        let found = match &mut self.lag {
            Some(lag) => lag.find(&self.lane, id, &mut self.buffer),
            None => Found::Gone,
        };
        match found {
            Found::Block(header) => {
                (self.at, self.end) = (0, header.payload as usize);
                debug_assert!(self.end <= BLOCK_BYTES - HEADER_BYTES);
                self.buffered = self.sequence;
                self.sequence += 1;
                if header.packets_before > self.packets {
                    self.skip_to(header.packets_before)
                } else {
                    Fill::Again
                }
            }
            // Only the segment writer knows, and it is about to. The clock stands still.
            Found::NotYet => Fill::Idle,
            // How many packets that were, the next block or the lane's end says.
            Found::Gone => {
                self.sequence += 1;
                Fill::Again
            }
        }
    }

    /// Packets up to a lane's `packets`-th are lost.
    fn skip_to(&mut self, packets: u64) -> Fill {
        let lost = packets - self.packets;
        self.packets = packets;
        Fill::Lost(lost)
    }
}
