//! A block: 64 KiB of records that one capture core writes while others read what it has published.
//!
//! The words are relaxed atomics and `published` is the one Release store per batch, so an open
//! block is shared without a lock and without `unsafe`. A block in memory has the layout of a
//! block on disk: a header of 64 bytes, then records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam_channel::Sender;
use nightjar_wire::Nanos;

/// Bytes of a block, header included.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// Words of a block.
pub(crate) const BLOCK_WORDS: usize = BLOCK_BYTES / 8;

/// Words of a block's header.
pub(crate) const HEADER_WORDS: usize = 8;

/// Bytes of a block's header.
pub(crate) const HEADER_BYTES: usize = HEADER_WORDS * 8;

/// In `published`: no word will be added.
const SEALED: u64 = 1 << 63;

/// "NJBL" as it lies on disk.
const MAGIC: u32 = u32::from_le_bytes(*b"NJBL");

/// Which block it is: the `sequence`-th of one capture core for one media worker, from 0 in each
/// run of the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// The capture core that wrote it.
    pub core: u16,
    /// The media worker that it is for.
    pub worker: u16,
    /// Its number within the lane.
    pub sequence: u64,
}

/// What stands before a block's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    /// CRC-32C over the rest of the header and the payload.
    pub crc: u32,
    /// Bytes of the payload.
    pub payload: u32,
    /// Bytes from this header to the next one; more than the block's own where it was padded.
    pub stride: u32,
    /// Which block it is.
    pub id: BlockId,
    /// The least arrival in it.
    pub first_arrival: Nanos,
    /// The greatest arrival in it.
    pub last_arrival: Nanos,
    /// Packets of the lane before this block: who misses blocks knows how many packets that were.
    pub packets_before: u64,
    /// Packets in it.
    pub packets: u32,
}

impl BlockHeader {
    /// As eight little-endian words.
    pub fn words(&self) -> [u64; HEADER_WORDS] {
        [
            u64::from(MAGIC) | u64::from(self.crc) << 32,
            u64::from(self.payload) | u64::from(self.stride) << 32,
            u64::from(self.id.core) | u64::from(self.id.worker) << 16 | u64::from(self.packets) << 32,
            self.id.sequence,
            self.first_arrival.0,
            self.last_arrival.0,
            self.packets_before,
            0,
        ]
    }

    /// As it lies on disk.
    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(self.words()) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    /// The inverse of [`BlockHeader::bytes`]; `None` when the magic, a length or the
    /// reserved word is impossible. The checksum is not looked at.
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Option<BlockHeader> {
        let (chunks, _) = bytes.as_chunks::<8>();
        let word = |index: usize| u64::from_le_bytes(chunks[index]);
        let header = BlockHeader {
            crc: (word(0) >> 32) as u32,
            payload: word(1) as u32,
            stride: (word(1) >> 32) as u32,
            id: BlockId { core: word(2) as u16, worker: (word(2) >> 16) as u16, sequence: word(3) },
            first_arrival: Nanos(word(4)),
            last_arrival: Nanos(word(5)),
            packets_before: word(6),
            packets: (word(2) >> 32) as u32,
        };
        let own = header.payload as usize + HEADER_BYTES;
        let sound = word(0) as u32 == MAGIC
            && own <= BLOCK_BYTES
            && header.payload.is_multiple_of(8)
            && header.stride as usize >= own
            && header.stride.is_multiple_of(8)
            && word(7) == 0;
        sound.then_some(header)
    }

    /// The checksum that the header should hold, given its payload's.
    pub fn checksum(&self, payload_crc: u32) -> u32 {
        crc32c::crc32c_append(payload_crc, &self.bytes()[8..])
    }
}

/// The memory of a block. Reused for as long as its pool lives.
pub(crate) struct Block {
    /// Header (from sealing on), then records.
    words: Box<[AtomicU64; BLOCK_WORDS]>,
    /// Words that may be read, header included; with [`SEALED`].
    published: AtomicU64,
    /// [`BlockRef`]s that point here.
    users: AtomicU32,
    /// Where it goes when nobody uses it.
    free: Sender<Arc<Block>>,
}

impl Block {
    /// An empty block that returns to `free`.
    pub fn new(free: Sender<Arc<Block>>) -> Block {
        let words: Box<[AtomicU64]> = (0..BLOCK_WORDS).map(|_| AtomicU64::new(0)).collect();
        let words = words.try_into().unwrap_or_else(|_| unreachable!("as many words as a block has"));
        Block { words, published: AtomicU64::new(HEADER_WORDS as u64), users: AtomicU32::new(0), free }
    }

    /// For the one writer: `count` words from `at`.
    ///
    /// # Panics
    /// When they do not lie within the block.
    pub fn slots(&self, at: usize, count: usize) -> &[AtomicU64] {
        &self.words[at..at + count]
    }

    /// Lets readers see the words below `end`.
    pub fn publish(&self, end: usize) {
        self.published.store(end as u64, Ordering::Release);
    }

    /// Writes the header and lets readers see everything; no word may be written afterwards.
    pub fn seal(&self, header: &BlockHeader, end: usize) {
        for (slot, word) in self.words.iter().zip(header.words()) {
            slot.store(word, Ordering::Relaxed);
        }
        self.published.store(end as u64 | SEALED, Ordering::Release);
    }

    /// Words that may be read, and whether no more will come.
    pub fn state(&self) -> (usize, bool) {
        let state = self.published.load(Ordering::Acquire);
        ((state & !SEALED) as usize, state & SEALED != 0)
    }

    /// Copies words from `at` on into `out`, whose length is a multiple of 8. The words must be
    /// published, or what is copied has no meaning.
    pub fn copy(&self, at: usize, out: &mut [u8]) {
        let (chunks, _) = out.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(&self.words[at..]) {
            *chunk = word.load(Ordering::Relaxed).to_le_bytes();
        }
    }
}

/// A share in a block; the last one that is dropped gives the block back to its pool.
pub(crate) struct BlockRef {
    /// The block.
    block: Arc<Block>,
}

impl BlockRef {
    /// The first share in a block that came from the pool's free list, as an empty block.
    pub fn first(block: Arc<Block>) -> BlockRef {
        block.published.store(HEADER_WORDS as u64, Ordering::Relaxed);
        block.users.store(1, Ordering::Relaxed);
        BlockRef { block }
    }
}

impl std::ops::Deref for BlockRef {
    type Target = Block;

    fn deref(&self) -> &Block {
        &self.block
    }
}

impl Clone for BlockRef {
    fn clone(&self) -> BlockRef {
        self.block.users.fetch_add(1, Ordering::Relaxed);
        BlockRef { block: Arc::clone(&self.block) }
    }
}

impl Drop for BlockRef {
    fn drop(&mut self) {
        // AcqRel: what other users read of the block happened before its next writer's stores.
        if self.block.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Fails when the pool is gone, and then the block goes with it.
            let _ = self.block.free.try_send(Arc::clone(&self.block));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BlockHeader {
        BlockHeader {
            crc: 0x0102_0304,
            payload: 1_000,
            stride: 4_096,
            id: BlockId { core: 65_535, worker: 2, sequence: 1 << 50 },
            first_arrival: Nanos(7),
            last_arrival: Nanos(u64::MAX),
            packets_before: 99,
            packets: u32::MAX,
        }
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        assert_eq!(BlockHeader::from_bytes(&header().bytes()), Some(header()));
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for change in [
            BlockHeader { payload: BLOCK_BYTES as u32, ..header() },
            BlockHeader { payload: 1_001, ..header() },
            BlockHeader { stride: 1_056, ..header() },
            BlockHeader { stride: 4_097, ..header() },
        ] {
            assert_eq!(BlockHeader::from_bytes(&change.bytes()), None, "{change:?}");
        }
        assert_eq!(BlockHeader::from_bytes(&[0; HEADER_BYTES]), None);
    }

    #[test]
    fn the_checksum_covers_the_header() {
        let one = header();
        let other = BlockHeader { stride: 8_192, ..one };
        assert_ne!(one.checksum(1), other.checksum(1));
        assert_ne!(one.checksum(1), one.checksum(2));
    }
}
