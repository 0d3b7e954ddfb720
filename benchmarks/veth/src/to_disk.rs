//! Every packet into a journal on disk: a capture core, a worker that reads its lane and makes nothing of it,
//! and the segment writer.

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nightjar_bench_veth::{calls, core_config, cpu_seconds};
use nightjar_capture::{CaptureClock, PacketSource};
use nightjar_journal::{
    BlockPool, BlockReader, JournalConfig, LaneConfig, Next, Overflow, SegmentWriter, lane,
};
use nightjar_pipeline::{AfterError, CaptureCore, Depth, Journalled, Unwatched, capture_loop};

use crate::CAPTURES;
use crate::captured::Captured;

/// Blocks of 64 KiB: 0.3 s of a million packets a second.
const BLOCKS: usize = 1_024;

/// Journals what comes until `stop` is set.
pub fn journalled(
    mut source: impl PacketSource,
    clock: CaptureClock,
    calls: u32,
    directory: &Path,
    stop: &AtomicBool,
) -> Captured {
    core_affinity::set_for_current(CAPTURES);
    let directory = tempfile::tempdir_in(directory).expect("a directory to write to");
    let pool = BlockPool::new(BLOCKS);
    let config = JournalConfig::new(directory.path(), "bench", 16 << 30);
    let segments = SegmentWriter::start(config, &pool).expect("a journal");
    let config = LaneConfig { core: 0, worker: 0, handover: 512, overflow: Overflow::Shed };
    let (writer, mut reader) = lane(&pool, Some(segments.journal()), config);
    let done = AtomicBool::new(false);
    let mut captured = Captured::default();
    let mut read = 0;
    thread::scope(|scope| {
        let worker = scope.spawn(|| read_all(&mut reader, &done));
        let output = Journalled::new(vec![writer], Unwatched, false);
        let mut core = CaptureCore::new(core_config(Depth::Payload), output);
        calls::set_up(&mut core, clock.now(), calls);
        let started = cpu_seconds();
        capture_loop(&mut source, &mut core, stop, AfterError::Stop, |_, _| {});
        captured.cpu_seconds = cpu_seconds() - started;
        captured.recorded = core.ledger().recorded;
        drop(core);
        done.store(true, Ordering::Relaxed);
        read = worker.join().expect("the worker reads to the end");
    });
    let figures = segments.finish();
    captured.received = source.statistics().received;
    captured.remark = format!(
        "; {:.0} MB on disk in {} commits, {} blocks lost, {read} records read back",
        figures.bytes as f64 / 1e6,
        figures.commits,
        figures.lost_blocks
    );
    captured
}

/// Reads the lane to its end; returns how many records came.
fn read_all(reader: &mut BlockReader, done: &AtomicBool) -> u64 {
    let mut records = 0;
    loop {
        match reader.next() {
            Next::Record(_, record) => {
                black_box(record.bytes);
                records += 1;
            }
            Next::Lost(_) => {}
            Next::Closed => return records,
            Next::Idle(_) if done.load(Ordering::Relaxed) => return records,
            Next::Idle(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}
