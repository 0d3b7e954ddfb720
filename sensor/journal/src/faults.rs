//! Tests of the segment writer on a disk that fails when told to, with a clock of the test's.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nightjar_wire::Nanos;

use crate::commit::{COMMIT_INTERVAL, Committer, FLUSH_AFTER};
use crate::disk::{Disk, DiskFile, FileSystem};
use crate::journal::{JournalConfig, Message};
use crate::lane::{LaneConfig, Overflow, lane};
use crate::pool::BlockPool;
use crate::reader::{BlockReader, Next};
use crate::record::RecordKind;
use crate::recovery::recover;
use crate::status::{JournalState, Status};
use crate::writer::BlockWriter;
use crate::{BLOCK_BYTES, Journal};

/// What the disk is to do.
#[derive(Default)]
struct Orders {
    /// Errors of the next creates, writes and syncs, in order; then they succeed.
    creates: Vec<io::ErrorKind>,
    writes: Vec<io::ErrorKind>,
    syncs: Vec<io::ErrorKind>,
    /// Every sync from now on fails.
    dead: bool,
    /// Syncs per file, failed ones included.
    synced: BTreeMap<PathBuf, u32>,
}

fn next_fault(orders: &mut Vec<io::ErrorKind>) -> io::Result<()> {
    if orders.is_empty() { Ok(()) } else { Err(orders.remove(0).into()) }
}

/// A real file system that obeys orders.
#[derive(Clone, Default)]
struct FaultyDisk(Arc<Mutex<Orders>>);

struct FaultyFile {
    orders: Arc<Mutex<Orders>>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// What was written since the last good sync: offset and length.
    dirty: Vec<(u64, usize)>,
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        next_fault(&mut self.0.lock().unwrap().creates)?;
        let file = FileSystem.create(path, bytes)?;
        Ok(Box::new(FaultyFile {
            orders: Arc::clone(&self.0),
            path: path.to_owned(),
            file,
            dirty: Vec::new(),
        }))
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        next_fault(&mut self.orders.lock().unwrap().writes)?;
        self.dirty.push((offset, bytes.len()));
        self.file.write_at(bytes, offset)
    }

    /// A failed sync loses the pages, as a power cut would show.
    fn sync(&mut self) -> io::Result<()> {
        let mut orders = self.orders.lock().unwrap();
        *orders.synced.entry(self.path.clone()).or_default() += 1;
        let dead = if orders.dead { Err(io::ErrorKind::Other.into()) } else { Ok(()) };
        if let Err(error) = dead.and_then(|()| next_fault(&mut orders.syncs)) {
            let writable = std::fs::OpenOptions::new().write(true).open(&self.path)?;
            for (offset, len) in self.dirty.drain(..) {
                std::os::unix::fs::FileExt::write_all_at(&writable, &vec![0; len], offset)?;
            }
            return Err(error);
        }
        self.dirty.clear();
        self.file.sync()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }
}

/// A lane, a segment writer without its thread, and a clock that the test moves.
struct Bench {
    directory: tempfile::TempDir,
    orders: Arc<Mutex<Orders>>,
    committer: Committer,
    messages: crossbeam_channel::Receiver<Message>,
    status: Arc<Status>,
    writer: BlockWriter,
    reader: BlockReader,
    now: Instant,
    appended: u64,
}

const SEGMENT_BYTES: u32 = 1 << 20;

impl Bench {
    fn new(pool: usize, handover: usize, limit_bytes: u64) -> Bench {
        Bench::within(tempfile::tempdir().unwrap(), pool, handover, limit_bytes)
    }

    fn within(directory: tempfile::TempDir, pool: usize, handover: usize, limit_bytes: u64) -> Bench {
        let config = JournalConfig {
            segment_bytes: SEGMENT_BYTES,
            ..JournalConfig::new(directory.path(), "test", limit_bytes)
        };
        let (disk, status, now) = (FaultyDisk::default(), Arc::new(Status::default()), Instant::now());
        let orders = Arc::clone(&disk.0);
        let committer = Committer::new(Box::new(disk), config, pool, Arc::clone(&status), now).unwrap();
        let (sender, messages) = crossbeam_channel::bounded(pool + 1);
        let journal = Journal::for_tests(sender, Arc::clone(&status), directory.path());
        let blocks = BlockPool::new(pool);
        let config = LaneConfig { core: 1, worker: 2, handover, overflow: Overflow::Shed };
        let (writer, reader) = lane(&blocks, Some(&journal), config);
        Bench { directory, orders, committer, messages, status, writer, reader, now, appended: 0 }
    }

    /// Appends one sealed block of 60 numbered records.
    fn block(&mut self) {
        for _ in 0..60 {
            let mut bytes = [0; 1_000];
            bytes[..8].copy_from_slice(&self.appended.to_le_bytes());
            self.writer.append(RecordKind::Media, 0, Nanos(self.appended), &bytes).unwrap();
            self.appended += 1;
        }
        self.writer.seal();
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Ok(Message::Sealed(sealed)) = self.messages.try_recv() {
            self.committer.accept(sealed, self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.committer.deadline() <= end {
            self.now = self.now.max(self.committer.deadline());
            self.committer.tick(self.now);
        }
        self.now = end;
    }

    /// The numbers that the worker reads until there is nothing, and the packets lost on the way.
    fn read(&mut self) -> (Vec<u64>, u64) {
        let (mut numbers, mut lost) = (Vec::new(), 0);
        loop {
            match self.reader.next() {
                Next::Record(_, record) => numbers.push(record.header.arrival.0),
                Next::Lost(packets) => lost += packets,
                Next::Idle(_) | Next::Closed => return (numbers, lost),
            }
        }
    }

    fn recovered(&self) -> Vec<u64> {
        let mut recovery = recover(self.directory.path()).unwrap();
        let mut numbers = Vec::new();
        while let Some(block) = recovery.next_block() {
            numbers.extend(block.records().map(|record| record.header.arrival.0));
        }
        numbers
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock().unwrap());
    }
}

fn count(numbers: u64) -> Vec<u64> {
    (0..numbers).collect()
}

#[test]
fn one_sync_per_interval_and_none_when_nothing_was_written() {
    let mut bench = Bench::new(1_000, 1_000, 1 << 30);
    // 5 s with a block every 10 ms: 20 intervals, and one commit more per full segment (up to 17
    // blocks to the MiB), which also begins a new interval.
    for _ in 0..500 {
        bench.pass(Duration::from_millis(10));
        bench.block();
        bench.read();
    }
    bench.pass(COMMIT_INTERVAL);
    let figures = bench.status.figures();
    assert_eq!(figures.blocks, 500);
    assert!(figures.segments_created >= 29, "{figures:?}");
    assert_eq!(figures.fdatasyncs, figures.commits);
    assert!(figures.commits <= 20 + figures.segments_created, "{figures:?}");
    assert_eq!(figures.early_commits, 0);

    bench.pass(10 * COMMIT_INTERVAL);
    assert_eq!(bench.status.figures().fdatasyncs, figures.fdatasyncs);
    assert_eq!(bench.recovered(), count(500 * 60));
}

#[test]
fn a_slow_lane_is_synced_once_per_interval_exactly() {
    let mut bench = Bench::new(1_000, 1_000, 1 << 30);
    for _ in 0..12 {
        bench.block();
        bench.pass(COMMIT_INTERVAL);
    }
    let figures = bench.status.figures();
    assert_eq!((figures.commits, figures.fdatasyncs, figures.segments_created), (12, 12, 1));
}

#[test]
fn a_sealed_block_is_in_its_file_after_the_flush_time() {
    let mut bench = Bench::new(100, 100, 1 << 30);
    bench.block();
    bench.pass(FLUSH_AFTER);
    assert_eq!(bench.status.figures().fdatasyncs, 0);
    assert_eq!(bench.recovered(), count(60));
}

#[test]
fn after_a_failed_sync_what_was_not_committed_is_in_a_new_segment() {
    let mut bench = Bench::new(100, 100, 1 << 30);
    bench.block();
    bench.pass(COMMIT_INTERVAL);
    bench.order(|orders| orders.syncs.push(io::ErrorKind::Other));
    bench.block();
    bench.block();
    bench.pass(COMMIT_INTERVAL);
    bench.block();
    bench.pass(COMMIT_INTERVAL);

    let figures = bench.status.figures();
    assert_eq!((figures.sync_errors, figures.lost_blocks, figures.segments_created), (1, 0, 2));
    assert_eq!(bench.status.state(), JournalState::Writing);
    assert_eq!(bench.recovered(), count(4 * 60));
    // The first file: one good sync, one failed, and never again.
    let synced: Vec<u32> = bench.orders.lock().unwrap().synced.values().copied().collect();
    assert_eq!(synced, [2, 2]);
}

#[test]
fn a_failed_write_begins_a_new_segment_at_once() {
    let mut bench = Bench::new(100, 100, 1 << 30);
    bench.block();
    bench.pass(COMMIT_INTERVAL);
    bench.order(|orders| orders.writes.push(io::ErrorKind::Other));
    bench.block();
    bench.pass(FLUSH_AFTER);
    assert_eq!(bench.recovered(), count(120));
    assert_eq!(bench.status.figures().write_errors, 1);
}

#[test]
fn a_disk_that_is_full_for_a_while_loses_nothing_that_memory_holds() {
    let mut bench = Bench::new(100, 100, 1 << 30);
    bench.order(|orders| orders.creates = vec![io::ErrorKind::StorageFull; 6]);
    bench.block();
    assert_eq!(bench.status.state(), JournalState::Full);
    bench.block();
    bench.pass(COMMIT_INTERVAL);
    assert_eq!(bench.status.state(), JournalState::Full);
    bench.pass(2 * COMMIT_INTERVAL);
    assert_eq!(bench.status.state(), JournalState::Writing);
    assert_eq!(bench.recovered(), count(120));
    assert_eq!(bench.status.figures().lost_blocks, 0);
}

#[test]
fn a_dead_disk_costs_what_memory_cannot_hold_and_a_worker_that_lagged_is_told() {
    let mut bench = Bench::new(8, 2, 1 << 30);
    bench.order(|orders| orders.dead = true);
    for _ in 0..20 {
        bench.block();
    }
    bench.pass(COMMIT_INTERVAL);
    assert_eq!(bench.status.state(), JournalState::Failing(0));
    let figures = bench.status.figures();
    // Half of the pool is held, the rest is given up; what the worker was handed it reads.
    assert_eq!(figures.lost_blocks, 16);
    assert_eq!(figures.lost_packets, 16 * 60);
    let (numbers, _) = bench.read();
    assert_eq!(numbers[..120], count(120));
    drop(bench.writer);
    bench.committer.finish(bench.now);
    assert_eq!(bench.status.figures().lost_blocks, 20);
}

#[test]
fn what_a_lagging_worker_missed_is_counted_once_and_exactly() {
    let mut bench = Bench::new(8, 2, 1 << 30);
    bench.order(|orders| orders.creates = vec![io::ErrorKind::Other; 1_000]);
    for _ in 0..20 {
        bench.block();
    }
    bench.order(|orders| orders.creates.clear());
    bench.pass(COMMIT_INTERVAL);
    // Blocks 0 and 1 from memory, 16 to 19 from disk, 2 to 15 nowhere.
    let (numbers, lost) = bench.read();
    let expected: Vec<u64> = (0..120).chain(16 * 60..20 * 60).collect();
    assert_eq!(numbers, expected);
    assert_eq!(lost, 14 * 60);
}

#[test]
fn a_lagging_worker_reads_from_disk_in_order() {
    let mut bench = Bench::new(1_000, 2, 1 << 30);
    for _ in 0..100 {
        bench.block();
    }
    bench.pass(FLUSH_AFTER);
    assert_eq!(bench.read(), (count(6_000), 0));
    bench.block();
    assert_eq!(bench.read(), ((6_000..6_060).collect(), 0));
    assert_eq!(bench.status.figures().left_to_disk, 98);
}

#[test]
fn the_limit_is_kept_and_dead_segments_make_room() {
    let limit = 3 * u64::from(SEGMENT_BYTES);
    let mut bench = Bench::new(200, 200, limit);
    for _ in 0..60 {
        bench.block();
        bench.read();
    }
    bench.pass(COMMIT_INTERVAL);
    assert_eq!(bench.status.state(), JournalState::Full);
    assert_eq!(bench.status.figures().segments_created, 3);
    assert!(bench.status.figures().used <= limit);

    // Half of the second segment is still needed: only the first one goes.
    bench.reader.keep_from(24);
    bench.pass(2 * COMMIT_INTERVAL);
    assert_eq!(bench.status.state(), JournalState::Writing);
    assert_eq!(bench.status.figures().segments_removed, 1);
    bench.reader.keep_from(60);
    bench.pass(2 * COMMIT_INTERVAL);
    assert_eq!(bench.status.figures().segments_removed, 3);
    // 60 blocks, 17 to a segment; the open one stays.
    assert_eq!(bench.recovered(), (51 * 60..60 * 60).collect::<Vec<u64>>());
    assert_eq!(bench.status.figures().lost_blocks, 0);
}

#[test]
fn an_earlier_runs_segments_stay_until_they_are_let_go() {
    let mut first = Bench::new(10, 10, 1 << 30);
    first.block();
    let Bench { directory, committer, now, .. } = first;
    committer.finish(now);

    let mut second = Bench::within(directory, 10, 10, 1 << 30);
    second.block();
    second.pass(COMMIT_INTERVAL);
    let both: Vec<u64> = (0..60).chain(0..60).collect();
    assert_eq!(second.recovered(), both);
    second.status.forget_recovered.store(true, std::sync::atomic::Ordering::Release);
    second.pass(COMMIT_INTERVAL);
    assert_eq!(second.recovered(), count(60));
}

#[test]
fn a_closed_segment_gives_back_what_it_did_not_use() {
    let mut bench = Bench::new(10, 10, 1 << 30);
    bench.block();
    let Bench { directory, committer, now, .. } = bench;
    committer.finish(now);
    let bytes = std::fs::metadata(directory.path().join("00000000.seg")).unwrap().len();
    assert!(bytes <= (4_096 + BLOCK_BYTES) as u64, "{bytes}");
}
