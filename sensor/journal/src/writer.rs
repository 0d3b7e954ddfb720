//! The capture core's end of a lane: appends records, publishes them, seals blocks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Sender, TrySendError};
use nightjar_wire::Nanos;
use thiserror::Error;

use crate::block::{BLOCK_WORDS, BlockHeader, BlockId, BlockRef, HEADER_BYTES, HEADER_WORDS};
use crate::journal::{Journal, Message};
use crate::lane::{Handover, Lane, Overflow, Sealed};
use crate::pool::BlockPool;
use crate::record::{RECORD_LIMIT, RecordHeader, RecordKind, record_words};

/// A block that has been open for this long is sealed even when it is not full, so that it
/// reaches the disk: with the segment writer's own delays it bounds what a crash costs.
pub const SEAL_AFTER: Nanos = Nanos::from_millis(100);

/// Why a record was not appended. Counted, never logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum AppendError {
    /// No block is free: disk or worker are too slow. The packet is `dropped(journal_full)`.
    #[error("no free block in the journal's pool")]
    NoBlock,
    /// Longer than [`RECORD_LIMIT`].
    #[error("record longer than {RECORD_LIMIT} bytes")]
    TooLong,
}

/// The open block and what its header will say.
struct Open {
    /// The block.
    block: BlockRef,
    /// Words written, header included.
    end: usize,
    /// The lane's clock when it was opened.
    opened_at: Nanos,
    /// The least arrival in it.
    first_arrival: Nanos,
    /// The greatest arrival in it.
    last_arrival: Nanos,
    /// Packets of the lane before it.
    packets_before: u64,
    /// Packets in it.
    packets: u32,
}

/// Appends records to a lane. Allocates nothing and takes no lock; makes no system call either,
/// unless it has to wait ([`Overflow::Wait`]) or has to wake the segment writer after a seal.
pub struct BlockWriter {
    /// Where blocks come from.
    pool: BlockPool,
    /// Where sealed blocks go, when they go to disk.
    journal: Option<Journal>,
    /// The lane's shared words.
    lane: Arc<Lane>,
    /// To the worker.
    handover: Sender<Handover>,
    /// When no block is free.
    overflow: Overflow,
    /// The block that takes records now.
    open: Option<Open>,
    /// The next block's number.
    sequence: u64,
    /// Packets in sealed blocks.
    packets: u64,
    /// The clock of the last publish.
    clock: Nanos,
}

impl BlockWriter {
    /// The writer of a fresh lane.
    pub(crate) fn new(
        pool: BlockPool,
        journal: Option<&Journal>,
        lane: Arc<Lane>,
        handover: Sender<Handover>,
        overflow: Overflow,
    ) -> BlockWriter {
        let (open, sequence, packets) = (None, 0, 0);
        let journal = journal.cloned();
        BlockWriter { pool, journal, lane, handover, overflow, open, sequence, packets, clock: Nanos::ZERO }
    }

    /// Copies a record into the open block. Nobody sees it before [`BlockWriter::publish`] (or
    /// before the block is sealed because the next record does not fit).
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append(
        &mut self,
        kind: RecordKind,
        stream: u32,
        arrival: Nanos,
        bytes: &[u8],
    ) -> Result<(), AppendError> {
        if bytes.len() > RECORD_LIMIT {
            return Err(AppendError::TooLong);
        }
        let words = record_words(bytes.len());
        if self.open.as_ref().is_some_and(|open| open.end + words > BLOCK_WORDS) {
            self.seal();
        }
        if self.open.is_none() {
            self.open = Some(self.open_block(arrival)?);
        }
        let Some(open) = &mut self.open else { return Err(AppendError::NoBlock) };
        // Fits: the limit is below 64 KiB.
        let header = RecordHeader { len: bytes.len() as u16, kind, stream, arrival };
        open.write(header, bytes, words);
        Ok(())
    }

    /// Lets readers see every record so far, and says that nothing stamped before `clock` will be
    /// appended except by [`BlockWriter::append`]s that name an older arrival on purpose
    /// (pre-roll). Once per receive batch; an idle core calls it too, and that is its heartbeat.
    /// Seals a block that is [`SEAL_AFTER`] old.
    pub fn publish(&mut self, clock: Nanos) {
        if let Some(open) = &self.open {
            open.block.publish(open.end);
            if clock - open.opened_at >= SEAL_AFTER {
                self.seal();
            }
        }
        self.clock = self.clock.max(clock);
        self.lane.set_clock(self.clock);
    }

    /// Seals the open block, if there is one: it takes no more records and goes to disk.
    pub fn seal(&mut self) {
        let Some(open) = self.open.take() else { return };
        let id = BlockId { core: self.lane.core, worker: self.lane.worker, sequence: self.sequence - 1 };
        let header = open.header(id);
        open.block.seal(&header, open.end);
        self.packets += u64::from(open.packets);
        let Some(journal) = &self.journal else { return };
        let sealed = Sealed { block: open.block, header, lane: Arc::clone(&self.lane) };
        // The channel takes as many messages as there are blocks, so this never waits; it fails
        // when the segment writer has ended, and then the block is in no segment.
        if journal.sender.try_send(Message::Sealed(sealed)).is_err() {
            journal.status.count_lost(&header);
            self.lane.settle(id.sequence);
            self.lane.set_durable(id.sequence);
        }
    }

    /// Offers a fresh block to the worker. One whose hand-over is full reads the block from disk
    /// later; where there is no disk, the block is not opened.
    fn hand_over(&self, handover: Handover) -> Result<(), AppendError> {
        if self.overflow == Overflow::Wait {
            // Disconnected: no worker reads this lane.
            let _ = self.handover.send(handover);
            return Ok(());
        }
        match (self.handover.try_send(handover), &self.journal) {
            (Err(TrySendError::Full(_)), None) => Err(AppendError::NoBlock),
            (Err(TrySendError::Full(_)), Some(journal)) => {
                journal.status.left_to_disk.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            (Ok(()) | Err(TrySendError::Disconnected(_)), _) => Ok(()),
        }
    }

    /// Takes a block and offers it to the worker.
    fn open_block(&mut self, arrival: Nanos) -> Result<Open, AppendError> {
        let block = match self.overflow {
            Overflow::Shed => self.pool.try_take(),
            Overflow::Wait => self.pool.take(),
        };
        let block = block.ok_or(AppendError::NoBlock)?;
        let journal_at = self.journal.as_ref().map_or(0, |journal| journal.status.written_packed());
        let (sequence, packets_before) = (self.sequence, self.packets);
        self.hand_over(Handover { block: block.clone(), sequence, packets_before, journal_at })?;
        self.sequence += 1;
        self.lane.set_opened(self.sequence);
        // A pre-roll record is older than the clock; it must not make its block look old.
        let opened_at = self.clock.max(arrival);
        let (first_arrival, last_arrival) = (arrival, arrival);
        Ok(Open {
            block,
            end: HEADER_WORDS,
            opened_at,
            first_arrival,
            last_arrival,
            packets_before,
            packets: 0,
        })
    }
}

impl Open {
    /// Writes one record at the end.
    fn write(&mut self, header: RecordHeader, bytes: &[u8], words: usize) {
        let slots = self.block.slots(self.end, words);
        let (head, body) = slots.split_at(2);
        for (slot, word) in head.iter().zip(header.words()) {
            slot.store(word, Ordering::Relaxed);
        }
        let (whole, rest) = bytes.as_chunks::<8>();
        for (slot, chunk) in body.iter().zip(whole) {
            slot.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            body[whole.len()].store(u64::from_le_bytes(last), Ordering::Relaxed);
        }
        self.end += words;
        self.first_arrival = self.first_arrival.min(header.arrival);
        self.last_arrival = self.last_arrival.max(header.arrival);
        self.packets += u32::from(header.kind.is_packet());
    }

    /// What the sealed block's header says; the checksum is the segment writer's to fill in.
    fn header(&self, id: BlockId) -> BlockHeader {
        let bytes = (self.end * 8) as u32;
        BlockHeader {
            crc: 0,
            payload: bytes - HEADER_BYTES as u32,
            stride: bytes,
            id,
            first_arrival: self.first_arrival,
            last_arrival: self.last_arrival,
            packets_before: self.packets_before,
            packets: self.packets,
        }
    }
}

impl Drop for BlockWriter {
    /// Seals the open block and closes the lane.
    fn drop(&mut self) {
        self.seal();
        self.lane.close(self.packets);
    }
}
