//! The ring of blocks that the kernel and this process share: mapping it, and whose turn each block
//! is.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nightjar_wire::Nanos;

use super::block::{self, Cursor, RingFrame};
use crate::SourceError;
use crate::interface::explain;
use crate::socket::PacketSocket;

/// A receive ring. The kernel fills its blocks in turn; each is read, frame by frame, and handed back
/// in turn.
#[derive(Debug)]
pub(super) struct Ring {
    blocks: Blocks,
    /// Where the reading of the next block stands, once it has begun.
    cursor: Option<Cursor>,
    /// Unmapped when the ring goes.
    _mapping: Mapping,
}

impl Ring {
    /// Maps the ring of `count` blocks of `block_bytes` that was set up on `socket`.
    pub(super) fn map(socket: &PacketSocket, block_bytes: usize, count: usize) -> Result<Ring, SourceError> {
        let mapping = Mapping::new(socket, block_bytes * count)?;
        // SAFETY: the mapping holds `count` blocks, is page-aligned, and lives as long as the ring.
        let blocks = unsafe { Blocks::new(mapping.base, block_bytes, count) };
        Ok(Ring { blocks, cursor: None, _mapping: mapping })
    }

    /// The kernel's stamp of the next frame that waits; `None` when none does.
    #[inline]
    pub(super) fn head(&mut self) -> Option<Nanos> {
        head(&mut self.blocks, &mut self.cursor)
    }

    /// Gives the next frame to `give`; false when none waits. Its block goes back to the kernel with
    /// its last frame.
    #[inline]
    pub(super) fn take(&mut self, give: impl FnOnce(RingFrame<'_>)) -> bool {
        take(&mut self.blocks, &mut self.cursor, give)
    }

    /// How many of the blocks wait to be read, in thousandths, by quarters.
    pub(super) fn fill(&self) -> u16 {
        let (count, ours) = (self.blocks.count, |behind: usize| self.blocks.is_ours(behind));
        let quarters = [count / 4, count / 2, count * 3 / 4, count - 1];
        250 * quarters.into_iter().take_while(|behind| ours(*behind)).count() as u16
    }

    /// Half of the blocks, or more, wait to be read.
    pub(super) fn is_half_full(&self) -> bool {
        self.blocks.is_ours(self.blocks.count / 2)
    }
}

/// See [`Ring::head`].
#[inline]
fn head(blocks: &mut Blocks, cursor: &mut Option<Cursor>) -> Option<Nanos> {
    loop {
        let block = blocks.ready()?;
        let stamp = cursor.get_or_insert_with(|| Cursor::start(block)).stamp(block);
        if stamp.is_some() {
            return stamp;
        }
        // An empty block, one that is damaged from here on, or one whose reader panicked at its end.
        blocks.hand_back();
        *cursor = None;
    }
}

/// See [`Ring::take`]. Should `give` panic, the frame is behind the cursor all the same.
#[inline]
fn take(blocks: &mut Blocks, cursor: &mut Option<Cursor>, give: impl FnOnce(RingFrame<'_>)) -> bool {
    if head(blocks, cursor).is_none() {
        return false;
    }
    let (Some(block), Some(place)) = (blocks.ready(), cursor.as_mut()) else { return false };
    let Some(frame) = place.take(block) else { return false };
    give(frame);
    if place.is_at_end() {
        blocks.hand_back();
        *cursor = None;
    }
    true
}

/// A shared mapping of a packet socket's ring.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory, used through whoever owns this value alone.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(socket: &PacketSocket, len: usize) -> Result<Mapping, SourceError> {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        // SAFETY: a new mapping at an address of the kernel's choice; it touches no other memory.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, socket.raw(), 0) };
        let base = if base == libc::MAP_FAILED { None } else { NonNull::new(base.cast()) };
        let failed = || explain(io::Error::last_os_error(), "map the receive ring", socket.interface());
        Ok(Mapping { base: base.ok_or_else(failed)?, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this range was mapped by `new`, and nothing borrows from it any more: blocks are
        // lent for the length of one call.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Blocks in turn over memory that somebody else (the kernel, in tests the test) writes too.
#[derive(Debug)]
struct Blocks {
    base: NonNull<u8>,
    block_bytes: usize,
    count: usize,
    /// The block that becomes ready next.
    next: usize,
}

// SAFETY: as for `Mapping`; the status words are atomic.
unsafe impl Send for Blocks {}

impl Blocks {
    /// # Safety
    /// `base` must be aligned to 8 bytes and point to `count` blocks of `block_bytes`, a multiple of 8
    /// and longer than a block's header, which stay valid as long as this value is used; whoever else
    /// writes them does so only while a block's status leaves it to them.
    unsafe fn new(base: NonNull<u8>, block_bytes: usize, count: usize) -> Blocks {
        Blocks { base, block_bytes, count, next: 0 }
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        // SAFETY: by the contract of `new` the block's header is valid, its status word aligned to 4
        // bytes; both sides access that word atomically.
        unsafe {
            AtomicU32::from_ptr(self.base.as_ptr().add(block * self.block_bytes + block::STATUS).cast())
        }
    }

    /// The next block, if the kernel has handed it over. What it wrote before is visible (acquire).
    fn ready(&mut self) -> Option<&mut [u8]> {
        if !self.is_ours(0) {
            return None;
        }
        // SAFETY: by the contract of `new` the range is valid; the status says that it is ours, and
        // `&mut self` lets it be lent once only.
        Some(unsafe {
            std::slice::from_raw_parts_mut(
                self.base.as_ptr().add(self.next * self.block_bytes),
                self.block_bytes,
            )
        })
    }

    /// Whether the block so many behind the next one is handed over too. Blocks are handed over in
    /// turn: then all before it are.
    fn is_ours(&self, behind: usize) -> bool {
        let status = self.status((self.next + behind) % self.count);
        status.load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// Leaves the next block to the kernel.
    fn hand_back(&mut self) {
        // Release: what was read and written in the block stays before its return.
        self.status(self.next).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.count;
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::super::block::tests::{Put, fill};
    use super::*;

    const BLOCK: usize = 1_024;

    /// Three blocks over plain memory, and a writer that plays the kernel.
    struct Three {
        blocks: Blocks,
        cursor: Option<Cursor>,
        _memory: Vec<u64>,
    }

    impl Three {
        fn new() -> Three {
            let mut memory = vec![0u64; 3 * BLOCK / 8];
            let base = NonNull::new(memory.as_mut_ptr().cast()).unwrap();
            // SAFETY: three blocks, aligned to 8; the vector is neither resized nor dropped while they
            // are used.
            let blocks = unsafe { Blocks::new(base, BLOCK, 3) };
            Three { blocks, cursor: None, _memory: memory }
        }

        /// Fills block `number` and hands it over, as the kernel does.
        fn hand_over(&mut self, number: usize, bytes: &[u8]) {
            // SAFETY: the block is the kernel's, which this test plays, and lies within the memory.
            let block = unsafe {
                std::slice::from_raw_parts_mut(self.blocks.base.as_ptr().add(number * BLOCK), BLOCK)
            };
            let frames: Vec<[u8; 60]> = bytes.iter().map(|byte| [*byte; 60]).collect();
            let frames: Vec<Put<'_>> = frames.iter().map(|frame| Put(frame, 60, None)).collect();
            fill(block, &frames);
            let status = libc::TP_STATUS_USER | libc::TP_STATUS_BLK_TMO;
            self.blocks.status(number).store(status, Ordering::Release);
        }

        /// The next frame's byte, and which block comes after it.
        fn take(&mut self) -> Option<(u8, usize)> {
            let mut seen = None;
            let ready = head(&mut self.blocks, &mut self.cursor).is_some();
            let taken = take(&mut self.blocks, &mut self.cursor, |frame| seen = Some(frame.bytes[0]));
            assert_eq!((taken, ready), (seen.is_some(), seen.is_some()));
            seen.map(|byte| (byte, self.blocks.next))
        }
    }

    #[test]
    fn frames_are_taken_in_turn_and_a_block_is_handed_back_with_its_last() {
        let mut ring = Three::new();
        assert_eq!(ring.take(), None);
        for round in 0..7u8 {
            let (this, next) = (usize::from(round) % 3, usize::from(round + 1) % 3);
            ring.hand_over(this, &[round, round + 100]);
            assert_eq!(ring.take(), Some((round, this)));
            assert_eq!(ring.take(), Some((round + 100, next)));
            assert_eq!(ring.blocks.status(this).load(Ordering::Acquire), libc::TP_STATUS_KERNEL);
            assert_eq!(ring.take(), None);
        }
    }

    #[test]
    fn a_later_block_waits_for_its_turn() {
        let mut ring = Three::new();
        ring.hand_over(1, &[9]);
        assert_eq!(ring.take(), None);
        assert!(ring.blocks.is_ours(1) && !ring.blocks.is_ours(2));
        ring.hand_over(0, &[8]);
        assert_eq!((ring.take(), ring.take(), ring.take()), (Some((8, 1)), Some((9, 2)), None));
    }

    #[test]
    fn an_empty_block_is_passed_over() {
        let mut ring = Three::new();
        ring.hand_over(0, &[]);
        ring.hand_over(1, &[7]);
        assert_eq!((ring.take(), ring.take()), (Some((7, 2)), None));
    }

    #[test]
    fn after_a_panic_the_next_frame_is_read() {
        let mut ring = Three::new();
        ring.hand_over(0, &[1, 2]);
        ring.hand_over(1, &[3]);
        for _ in 0..2 {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                take(&mut ring.blocks, &mut ring.cursor, |_| panic!("a reader's bug"))
            }));
            assert!(panicked.is_err());
        }
        assert_eq!(ring.take(), Some((3, 2)));
        assert_eq!(ring.blocks.status(0).load(Ordering::Acquire), libc::TP_STATUS_KERNEL);
    }
}
