//! The ring of blocks that the kernel and this process share: mapping it, and whose turn each block
//! is.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nightjar_wire::Nanos;

use super::block;
use crate::SourceError;
use crate::interface::explain;
use crate::socket::PacketSocket;

/// A receive ring. The kernel fills its blocks in turn; each is read and handed back in turn.
#[derive(Debug)]
pub(super) struct Ring {
    blocks: Blocks,
    /// Unmapped when the ring goes.
    _mapping: Mapping,
}

impl Ring {
    /// Maps the ring of `count` blocks of `block_bytes` that was set up on `socket`.
    pub(super) fn map(socket: &PacketSocket, block_bytes: usize, count: usize) -> Result<Ring, SourceError> {
        let mapping = Mapping::new(socket, block_bytes * count)?;
        // SAFETY: the mapping holds `count` blocks, is page-aligned, and lives as long as the ring.
        let blocks = unsafe { Blocks::new(mapping.base, block_bytes, count) };
        Ok(Ring { blocks, _mapping: mapping })
    }

    /// The kernel's stamp of the first frame that waits; `None` when no block is ready.
    pub(super) fn first_stamp(&mut self) -> Option<Nanos> {
        self.blocks.ready().map(|block| block::first_stamp(block))
    }

    /// Gives the next block to `take` and then back to the kernel; false when none is ready.
    pub(super) fn take_block(&mut self, take: impl FnOnce(&mut [u8])) -> bool {
        self.blocks.take(take)
    }
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
        if self.status(self.next).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
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

    fn take(&mut self, take: impl FnOnce(&mut [u8])) -> bool {
        if self.ready().is_none() {
            return false;
        }
        let turn = Turn(self);
        if let Some(block) = turn.0.ready() {
            take(block);
        }
        true
    }
}

/// A block's turn: hands it back when it ends, also by a panic.
struct Turn<'a>(&'a mut Blocks);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let blocks = &mut *self.0;
        // Release: what was read and written in the block stays before its return.
        blocks.status(blocks.next).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        blocks.next = (blocks.next + 1) % blocks.count;
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::super::block::tests::{Put, fill};
    use super::*;

    const BLOCK: usize = 1_024;

    /// Three blocks over plain memory, and a writer that plays the kernel.
    fn three() -> (Vec<u64>, Blocks) {
        let mut memory = vec![0u64; 3 * BLOCK / 8];
        let base = NonNull::new(memory.as_mut_ptr().cast()).unwrap();
        // SAFETY: three blocks, aligned to 8; the vector is neither moved nor resized while they
        // are used.
        let blocks = unsafe { Blocks::new(base, BLOCK, 3) };
        (memory, blocks)
    }

    /// Fills block `number` and hands it over, as the kernel does.
    fn hand_over(blocks: &mut Blocks, number: usize, byte: u8) {
        // SAFETY: the block is the kernel's, which this test plays, and lies within the memory.
        let block =
            unsafe { std::slice::from_raw_parts_mut(blocks.base.as_ptr().add(number * BLOCK), BLOCK) };
        fill(block, &[Put(&[byte; 60], 60, None)]);
        blocks.status(number).store(libc::TP_STATUS_USER | libc::TP_STATUS_BLK_TMO, Ordering::Release);
    }

    fn take(blocks: &mut Blocks) -> Option<u8> {
        let mut seen = None;
        let taken = blocks.take(|block| block::each_frame(block, |frame| seen = Some(frame.bytes[0])));
        assert_eq!(taken, seen.is_some());
        seen
    }

    #[test]
    fn blocks_are_taken_in_turn_and_handed_back() {
        let (_memory, mut blocks) = three();
        assert_eq!(take(&mut blocks), None);
        for round in 0..7u8 {
            hand_over(&mut blocks, usize::from(round) % 3, round);
            assert_eq!(take(&mut blocks), Some(round));
            assert_eq!(blocks.status(usize::from(round) % 3).load(Ordering::Acquire), libc::TP_STATUS_KERNEL);
            assert_eq!(take(&mut blocks), None);
        }
    }

    #[test]
    fn a_later_block_waits_for_its_turn() {
        let (_memory, mut blocks) = three();
        hand_over(&mut blocks, 1, 9);
        assert_eq!(take(&mut blocks), None);
        hand_over(&mut blocks, 0, 8);
        assert_eq!((take(&mut blocks), take(&mut blocks), take(&mut blocks)), (Some(8), Some(9), None));
    }

    #[test]
    fn a_panic_while_a_block_is_read_hands_it_back() {
        let (_memory, mut blocks) = three();
        hand_over(&mut blocks, 0, 1);
        let panicked = catch_unwind(AssertUnwindSafe(|| blocks.take(|_| panic!("a reader's bug"))));
        assert!(panicked.is_err());
        assert_eq!((blocks.status(0).load(Ordering::Acquire), blocks.next), (libc::TP_STATUS_KERNEL, 1));
    }
}
