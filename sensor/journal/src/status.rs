//! What the segment writer tells everybody else: how far it is, how it is doing, what it counted.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::block::{BlockHeader, HEADER_BYTES};
use crate::segment::SegmentPosition;

/// How the journal's disk is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalState {
    /// Sealed blocks are written and committed.
    Writing,
    /// The disk, or the journal's own limit, is full; nothing is overwritten. Blocks wait in
    /// memory, then they are lost. Encoding the oldest backlog frees segments.
    Full,
    /// Writes or syncs fail, with the last error's number (`errno`, 0 when there is none). A new
    /// segment is tried at each commit interval.
    Failing(i32),
}

/// Upper bounds of [`SyncTimes::counts`], nanoseconds; the last count is of those beyond.
pub const SYNC_BOUNDS_NS: [u64; 10] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
];

/// How long `fdatasync`s took, failed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncTimes {
    /// How many took at most as long as each of [`SYNC_BOUNDS_NS`] and longer than the one before;
    /// then those that took longer than all.
    pub counts: [u64; SYNC_BOUNDS_NS.len() + 1],
    /// All together, nanoseconds.
    pub total_ns: u64,
}

/// The journal's counters at one moment. All count from the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalFigures {
    /// Commits: everything written so far is durable.
    pub commits: u64,
    /// `fdatasync` calls on segments, failed ones included.
    pub fdatasyncs: u64,
    /// Commits made before their time because uncommitted blocks held half of the pool.
    pub early_commits: u64,
    /// Blocks written; one that is rewritten after a failure counts again.
    pub blocks: u64,
    /// Bytes written, headers and padding included.
    pub bytes: u64,
    /// Of them, padding to whole pages.
    pub padding: u64,
    /// Writes that failed, and segments that could not be created.
    pub write_errors: u64,
    /// `fdatasync` calls that failed; each abandons its segment.
    pub sync_errors: u64,
    /// Segments created.
    pub segments_created: u64,
    /// Segments removed because everything in them was dead.
    pub segments_removed: u64,
    /// Blocks that a full hand-over left to be read from disk.
    pub left_to_disk: u64,
    /// Blocks that reached no segment.
    pub lost_blocks: u64,
    /// Packets in them. A worker that had them from memory has not lost them.
    pub lost_packets: u64,
    /// Bytes in them.
    pub lost_bytes: u64,
    /// Bytes of all segments on the disk now, those of earlier runs included.
    pub used: u64,
    /// What `used` may reach.
    pub limit: u64,
    /// Blocks that are sealed and not durable yet, at this moment.
    pub uncommitted: u64,
    /// How long the `fdatasync`s took.
    pub syncs: SyncTimes,
}

/// The shared words. Written by the segment writer's thread, except where a line says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// 0 writing, 1 full, 2 failing.
    state: AtomicU8,
    /// The last error's number.
    errno: AtomicI32,
    /// [`SegmentPosition`] behind the last block written, packed.
    written: AtomicU64,
    /// See [`JournalFigures`].
    pub commits: AtomicU64,
    /// See [`JournalFigures`].
    pub fdatasyncs: AtomicU64,
    /// See [`JournalFigures`].
    pub early_commits: AtomicU64,
    /// See [`JournalFigures`].
    pub blocks: AtomicU64,
    /// See [`JournalFigures`].
    pub bytes: AtomicU64,
    /// See [`JournalFigures`].
    pub padding: AtomicU64,
    /// See [`JournalFigures`].
    pub write_errors: AtomicU64,
    /// See [`JournalFigures`].
    pub sync_errors: AtomicU64,
    /// See [`JournalFigures`].
    pub segments_created: AtomicU64,
    /// See [`JournalFigures`].
    pub segments_removed: AtomicU64,
    /// See [`JournalFigures`]. Written by capture cores.
    pub left_to_disk: AtomicU64,
    /// See [`JournalFigures`]. Written by capture cores too, once the segment writer has ended.
    lost_blocks: AtomicU64,
    /// Like `lost_blocks`.
    lost_packets: AtomicU64,
    /// Like `lost_blocks`.
    lost_bytes: AtomicU64,
    /// See [`JournalFigures`].
    pub used: AtomicU64,
    /// See [`JournalFigures`].
    pub limit: AtomicU64,
    /// See [`JournalFigures`].
    pub uncommitted: AtomicU64,
    /// See [`SyncTimes`].
    sync_counts: [AtomicU64; SYNC_BOUNDS_NS.len() + 1],
    /// See [`SyncTimes`].
    sync_total_ns: AtomicU64,
    /// Segments of earlier runs are not needed any more. Written by whoever recovered them.
    pub forget_recovered: AtomicBool,
}

impl Status {
    /// How the disk is doing.
    pub fn state(&self) -> JournalState {
        match self.state.load(Ordering::Acquire) {
            0 => JournalState::Writing,
            1 => JournalState::Full,
            _ => JournalState::Failing(self.errno.load(Ordering::Relaxed)),
        }
    }

    /// Says how the disk is doing.
    pub fn set_state(&self, state: JournalState) {
        let number = match state {
            JournalState::Writing => 0,
            JournalState::Full => 1,
            JournalState::Failing(errno) => {
                self.errno.store(errno, Ordering::Relaxed);
                2
            }
        };
        self.state.store(number, Ordering::Release);
    }

    /// Where the next block will be written, packed so that it compares like a position.
    pub fn written_packed(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Where the next block will be written.
    pub fn written(&self) -> SegmentPosition {
        SegmentPosition::unpack(self.written_packed())
    }

    /// Everything before `position` can be read from disk.
    pub fn set_written(&self, position: SegmentPosition) {
        self.written.store(position.pack(), Ordering::Release);
    }

    /// An `fdatasync` took so long.
    pub fn count_sync(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = SYNC_BOUNDS_NS.iter().position(|bound| took <= *bound).unwrap_or(SYNC_BOUNDS_NS.len());
        add(&self.sync_counts[place], 1);
        add(&self.sync_total_ns, took);
    }

    /// A block that will be in no segment.
    pub fn count_lost(&self, header: &BlockHeader) {
        self.lost_blocks.fetch_add(1, Ordering::Relaxed);
        self.lost_packets.fetch_add(u64::from(header.packets), Ordering::Relaxed);
        self.lost_bytes.fetch_add(u64::from(header.payload) + HEADER_BYTES as u64, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn figures(&self) -> JournalFigures {
        let read = |word: &AtomicU64| word.load(Ordering::Relaxed);
        JournalFigures {
            commits: read(&self.commits),
            fdatasyncs: read(&self.fdatasyncs),
            early_commits: read(&self.early_commits),
            blocks: read(&self.blocks),
            bytes: read(&self.bytes),
            padding: read(&self.padding),
            write_errors: read(&self.write_errors),
            sync_errors: read(&self.sync_errors),
            segments_created: read(&self.segments_created),
            segments_removed: read(&self.segments_removed),
            left_to_disk: read(&self.left_to_disk),
            lost_blocks: read(&self.lost_blocks),
            lost_packets: read(&self.lost_packets),
            lost_bytes: read(&self.lost_bytes),
            used: read(&self.used),
            limit: read(&self.limit),
            uncommitted: read(&self.uncommitted),
            syncs: SyncTimes {
                counts: self.sync_counts.each_ref().map(read),
                total_ns: read(&self.sync_total_ns),
            },
        }
    }
}

/// Adds to a counter that one thread writes.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_counts_once_below_the_first_bound_that_it_keeps() {
        let status = Status::default();
        for took_us in [1, 500, 501, 5_000_000] {
            status.count_sync(Duration::from_micros(took_us));
        }
        let SyncTimes { counts, total_ns } = status.figures().syncs;
        assert_eq!((counts[0], counts[1], counts[SYNC_BOUNDS_NS.len()]), (2, 1, 1));
        assert_eq!((counts.iter().sum::<u64>(), total_ns), (4, 5_001_002_000));
    }
}
