//! The fixed supply of blocks: all memory of the journal, allocated at the start.

use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};

use crate::block::{Block, BlockRef};

/// A fixed number of blocks. A clone shares them.
#[derive(Clone)]
pub struct BlockPool {
    /// The blocks that nobody uses.
    free: Receiver<Arc<Block>>,
    /// How many blocks there are.
    limit: usize,
}

impl BlockPool {
    /// Allocates `limit` blocks of [`crate::BLOCK_BYTES`].
    ///
    /// Each lane has one block open, a worker that lags holds as many as its hand-over takes, and
    /// the segment writer holds what is not committed: at 20 MB/s that is 80 blocks.
    ///
    /// # Panics
    /// When `limit` is 0.
    pub fn new(limit: usize) -> BlockPool {
        assert!(limit > 0, "a pool of blocks holds at least one");
        let (sender, free) = bounded(limit);
        for _ in 0..limit {
            let _ = sender.try_send(Arc::new(Block::new(sender.clone())));
        }
        BlockPool { free, limit }
    }

    /// How many blocks there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many are free now.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// A free block, if there is one.
    pub(crate) fn try_take(&self) -> Option<BlockRef> {
        self.free.try_recv().ok().map(BlockRef::first)
    }

    /// A free block; waits for one.
    pub(crate) fn take(&self) -> Option<BlockRef> {
        self.free.recv().ok().map(BlockRef::first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_returns_when_its_last_share_is_dropped() {
        let pool = BlockPool::new(2);
        let one = pool.try_take().unwrap();
        let again = one.clone();
        let two = pool.try_take().unwrap();
        assert!(pool.try_take().is_none());
        drop(one);
        assert_eq!(pool.free(), 0);
        drop(again);
        assert_eq!(pool.free(), 1);
        drop(two);
        assert_eq!(pool.free(), 2);
    }

    #[test]
    fn a_block_that_outlives_its_pool_is_simply_dropped() {
        let pool = BlockPool::new(1);
        let block = pool.try_take().unwrap();
        drop(pool);
        drop(block);
    }
}
