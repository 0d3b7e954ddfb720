//! What journalling costs: `cargo run --release -p nightjar-journal --example journal_rate [DIRECTORY]`.
//!
//! Records of 172 bytes (G.711, 20 ms, from the RTP header on), one core, one worker. First in
//! memory alone, then to segments in DIRECTORY at fixed rates and as fast as the disk takes it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use nightjar_journal::{
    AppendError, BlockPool, BlockReader, BlockWriter, JournalConfig, LaneConfig, Next, Overflow, RecordKind,
    SegmentWriter, lane,
};
use nightjar_wire::Nanos;
use rustix::time::{ClockId, clock_gettime};

/// Bytes of a record.
const RECORD: [u8; 172] = [0x80; 172];

/// Records of a receive batch.
const BATCH: u64 = 64;

fn main() {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    in_memory();
    println!("to {}:", directory.display());
    for rate in [5, 20, 100, 200] {
        to_disk(&directory, Some(rate * 1_000_000));
    }
    to_disk(&directory, None);
}

/// CPU time so far, of all threads or of this one.
fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Appends a batch and publishes it; returns what was refused.
fn append(writer: &mut BlockWriter, at: u64, now: Nanos) -> u64 {
    let refused = (0..BATCH)
        .filter(|record| {
            let stream = ((at + record) % 2_000) as u32;
            writer.append(RecordKind::Media, stream, now, &RECORD) == Err(AppendError::NoBlock)
        })
        .count();
    writer.publish(now);
    refused as u64
}

/// Reads what there is; returns how many records, and packets lost.
fn read(reader: &mut BlockReader) -> (u64, u64) {
    let (mut records, mut lost) = (0, 0);
    loop {
        match reader.next() {
            Next::Record(_, record) => {
                std::hint::black_box(record.bytes);
                records += 1;
            }
            Next::Lost(packets) => lost += packets,
            Next::Idle(_) | Next::Closed => return (records, lost),
        }
    }
}

/// Appending and reading, each by itself, blocks of the pool reused.
fn in_memory() {
    let pool = BlockPool::new(64);
    let config = LaneConfig { core: 0, worker: 0, handover: 32, overflow: Overflow::Shed };
    let (mut writer, mut reader) = lane(&pool, None, config);
    let (mut appending, mut reading) = (Duration::ZERO, Duration::ZERO);
    let (mut appended, mut records) = (0, 0);
    let allocations = measure(|| {
        while appended < 10_000_000 {
            let start = cpu(ClockId::ThreadCPUTime);
            for _ in 0..100 {
                assert_eq!(append(&mut writer, appended, Nanos(appended)), 0);
                appended += BATCH;
            }
            let middle = cpu(ClockId::ThreadCPUTime);
            records += read(&mut reader).0;
            appending += middle - start;
            reading += cpu(ClockId::ThreadCPUTime) - middle;
        }
    });
    assert_eq!(records, appended);
    let each = |time: Duration| time.as_nanos() as f64 / appended as f64;
    println!(
        "in memory: append {:.1} ns, read {:.1} ns a record, {} allocations in {appended} records",
        each(appending),
        each(reading),
        allocations.count_total
    );
}

/// Two seconds of appends, read back by the worker, at `rate` bytes of RTP a second.
fn to_disk(parent: &Path, rate: Option<u64>) {
    let directory = tempfile::tempdir_in(parent).expect("a directory to write to");
    let pool = BlockPool::new(1_024);
    let config = JournalConfig::new(directory.path(), "rate", 16 << 30);
    let segments = SegmentWriter::start(config, &pool).expect("a journal");
    let config = LaneConfig { core: 0, worker: 0, handover: 64, overflow: Overflow::Shed };
    let (mut writer, mut reader) = lane(&pool, Some(segments.journal()), config);
    let start = Instant::now();
    let (all_before, own_before) = (cpu(ClockId::ProcessCPUTime), cpu(ClockId::ThreadCPUTime));
    let (mut appended, mut refused, mut read_back, mut lost) = (0, 0, 0, 0);
    let allocations = measure(|| {
        while start.elapsed() < Duration::from_secs(2) {
            let elapsed = start.elapsed();
            let due = rate.map_or(u64::MAX, |rate| (elapsed.as_secs_f64() * rate as f64) as u64);
            if appended * RECORD.len() as u64 > due {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            }
            let at = Nanos(elapsed.as_nanos() as u64);
            let dropped = append(&mut writer, appended, at);
            (appended, refused) = (appended + BATCH - dropped, refused + dropped);
            let (records, gone) = read(&mut reader);
            (read_back, lost) = (read_back + records, lost + gone);
            if dropped > 0 {
                std::thread::yield_now();
            }
        }
    });
    drop(writer);
    let figures = segments.finish();
    let (elapsed, all) = (start.elapsed(), cpu(ClockId::ProcessCPUTime) - all_before);
    let writing = all.saturating_sub(cpu(ClockId::ThreadCPUTime) - own_before);
    let (rest, gone) = read(&mut reader);
    assert_eq!(read_back + rest + lost + gone, appended, "every record is read or known to be lost");
    let mib = figures.bytes as f64 / f64::from(1 << 20);
    let asked = rate.map_or("unpaced".to_owned(), |rate| format!("{} MB/s", rate / 1_000_000));
    println!(
        "{asked}: {:.0} MB/s on disk, {:.0} us CPU a MiB for the segment writer, {:.1} bytes a record above \
         its own, {} commits, {} fdatasyncs, {} allocations, {refused} refused",
        figures.bytes as f64 / elapsed.as_secs_f64() / 1e6,
        writing.as_secs_f64() * 1e6 / mib,
        figures.bytes as f64 / appended as f64 - RECORD.len() as f64,
        figures.commits,
        figures.fdatasyncs,
        allocations.count_total,
    );
}
