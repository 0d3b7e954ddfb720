//! The media journal: what a capture core appends is in blocks that media workers read at once
//! and that reach the disk within the commit interval; and the spool of encoded pages.
//!
//! A *lane* joins one capture core with one media worker:
//!
//! ```text
//! capture core ── BlockWriter ──► open block (words published per batch) ──► BlockReader ── worker
//!                     │ sealed: full, or 100 ms old                              ▲
//!                     ▼                                                          │ a worker that lags
//!                SegmentWriter: one file sequence, one fdatasync per 250 ms ─────┘
//! ```
//!
//! What bounds each wait: blocks come from a fixed pool, a lane's hand-over has a limit, the
//! segment writer holds at most half of the pool, the segments have a limit on disk.

mod block;
mod commit;
mod disk;
#[cfg(test)]
mod faults;
mod journal;
mod lag;
mod lane;
mod pool;
mod reader;
mod reclaim;
mod record;
mod recovery;
mod segment;
mod spool;
mod spool_file;
mod spool_recovery;
mod spooled_call;
mod status;
mod writer;

pub use block::{BLOCK_BYTES, BlockId};
pub use commit::{COMMIT_INTERVAL, FLUSH_AFTER};
pub use disk::{Durability, durability};
pub use journal::{Journal, JournalConfig, JournalError, SegmentWriter};
pub use lane::{LaneConfig, Overflow, lane};
pub use pool::BlockPool;
pub use reader::{BlockReader, Next};
pub use record::{RECORD_HEADER_BYTES, RECORD_LIMIT, Record, RecordHeader, RecordKind, Records};
pub use recovery::{DropReason, Dropped, RecoveredBlock, Recovery, recover};
pub use segment::{ClockPair, SENSOR_NAME_LIMIT, SegmentHeader, SegmentPosition};
pub use spool::{SPOOL_APPEND_LIMIT, SPOOL_BUFFER_LIMIT, Spool, SpoolDirectory, SpoolError, SpoolFigures};
pub use spool_recovery::{SpoolDropReason, SpoolDropped, SpoolRecovery};
pub use spooled_call::SpooledCall;
pub use status::{JournalFigures, JournalState, SYNC_BOUNDS_NS, SyncTimes};
pub use writer::{AppendError, BlockWriter, SEAL_AFTER};
