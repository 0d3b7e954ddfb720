//! A lane: the blocks of one capture core for one media worker, and what the three threads at it
//! (core, worker, segment writer) tell each other, each word written by one of them alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::bounded;
use nightjar_wire::Nanos;

use crate::block::{BlockHeader, BlockRef};
use crate::journal::Journal;
use crate::pool::BlockPool;
use crate::reader::BlockReader;
use crate::writer::BlockWriter;

/// What happens to an append when no block is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Live capture: the append is refused at once, the caller counts the packet as dropped.
    Shed,
    /// Replay: the append waits for a block. Whoever frees blocks must run on another thread.
    Wait,
}

/// Who a lane joins, and its limits.
#[derive(Clone, Copy, Debug)]
pub struct LaneConfig {
    /// The capture core.
    pub core: u16,
    /// The media worker.
    pub worker: u16,
    /// Blocks that wait in memory for the worker. What comes beyond them is read from disk when
    /// there is a journal on disk; when there is none, it is as if no block were free.
    pub handover: usize,
    /// When no block is free.
    pub overflow: Overflow,
}

/// Opens a lane: the core's end and the worker's. With `journal`, sealed blocks go to disk.
///
/// One journal holds a pair of core and worker once per run: a second lane of the same pair would
/// give its blocks the same ids.
pub fn lane(pool: &BlockPool, journal: Option<&Journal>, config: LaneConfig) -> (BlockWriter, BlockReader) {
    let shared = Arc::new(Lane::new(config.core, config.worker));
    let (sender, receiver) = bounded(config.handover.max(1));
    let writer = BlockWriter::new(pool.clone(), journal, Arc::clone(&shared), sender, config.overflow);
    (writer, BlockReader::new(journal, shared, receiver))
}

/// The shared words of a lane.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The capture core.
    pub core: u16,
    /// The media worker.
    pub worker: u16,
    /// The core's clock: everything that it appended before is published. Written by the core.
    clock: AtomicU64,
    /// Blocks opened so far; stored after the hand-over. Written by the core.
    opened: AtomicU64,
    /// Packets appended, valid once closed. Written by the core.
    packets: AtomicU64,
    /// Nothing will be appended any more. Written by the core.
    closed: AtomicBool,
    /// Blocks below this are on disk or given up. Written by the segment writer.
    settled: AtomicU64,
    /// Blocks below this are durable or given up. Written by the segment writer.
    durable: AtomicU64,
    /// Blocks below this are dead: nobody will read them again. Written by the worker.
    keep_from: AtomicU64,
}

impl Lane {
    /// Nothing appended, nothing dead.
    pub fn new(core: u16, worker: u16) -> Lane {
        Lane {
            core,
            worker,
            clock: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            packets: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            settled: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            keep_from: AtomicU64::new(0),
        }
    }

    /// The watermark. Load it before looking for records: those of before it are then visible.
    pub fn clock(&self) -> Nanos {
        Nanos(self.clock.load(Ordering::Acquire))
    }

    /// Moves the watermark.
    pub fn set_clock(&self, clock: Nanos) {
        self.clock.store(clock.0, Ordering::Release);
    }

    /// Blocks opened. Load it before the hand-over's channel: a block below it that is not in the
    /// channel was left to the disk.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Acquire)
    }

    /// One more block was opened, and handed over or left to the disk.
    pub fn set_opened(&self, blocks: u64) {
        self.opened.store(blocks, Ordering::Release);
    }

    /// The end, with the number of packets that were appended in all.
    pub fn close(&self, packets: u64) {
        self.packets.store(packets, Ordering::Relaxed);
        self.closed.store(true, Ordering::Release);
    }

    /// After the end: the packets that were appended in all.
    pub fn closed(&self) -> Option<u64> {
        self.closed.load(Ordering::Acquire).then(|| self.packets.load(Ordering::Relaxed))
    }

    /// Blocks whose fate on disk is known.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// The block `sequence` and those before it are on disk or given up.
    pub fn settle(&self, sequence: u64) {
        self.settled.fetch_max(sequence + 1, Ordering::Release);
    }

    /// Blocks that a crash does not cost any more.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The block `sequence` and those before it are durable or given up.
    pub fn set_durable(&self, sequence: u64) {
        self.durable.fetch_max(sequence + 1, Ordering::Release);
    }

    /// The first block that is not dead.
    pub fn keep_from(&self) -> u64 {
        self.keep_from.load(Ordering::Acquire)
    }

    /// Blocks below `sequence` are dead.
    pub fn set_keep_from(&self, sequence: u64) {
        self.keep_from.fetch_max(sequence, Ordering::Release);
    }
}

/// A block on its way to the worker, handed over when it is opened.
pub(crate) struct Handover {
    /// The block.
    pub block: BlockRef,
    /// Its number within the lane.
    pub sequence: u64,
    /// Packets of the lane before it.
    pub packets_before: u64,
    /// Where the segment writer was (packed): this block and later ones lie at or behind it.
    pub journal_at: u64,
}

/// A block on its way to the disk.
pub(crate) struct Sealed {
    /// The block.
    pub block: BlockRef,
    /// Its header, checksum and padding not yet in it.
    pub header: BlockHeader,
    /// Its lane.
    pub lane: Arc<Lane>,
}
