//! A process that appends is killed at random moments: what its journal holds is a prefix without
//! a hole, and misses at most the last 250 ms.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nightjar_journal::{
    BlockPool, JournalConfig, LaneConfig, Overflow, RecordKind, SegmentWriter, lane, recover,
};
use nightjar_wire::Nanos;

/// Set for the process that is to be killed: where its journal lies.
const DIRECTORY: &str = "NIGHTJAR_CRASH_DIRECTORY";

/// What a killed process may have lost of what it had appended.
const MAY_MISS: Duration = Duration::from_millis(250);

/// Bytes of a record here.
const RECORD: [u8; 172] = [0x80; 172];

/// Not a test by itself: the process that is killed. It appends as fast as blocks are free, and
/// says after each batch how many records it has appended and when.
#[test]
fn child() {
    let Ok(directory) = env::var(DIRECTORY) else { return };
    let pool = BlockPool::new(128);
    let config = JournalConfig { segment_bytes: 4 << 20, ..JournalConfig::new(directory, "crash", 1 << 30) };
    let segments = SegmentWriter::start(config, &pool).unwrap();
    let config = LaneConfig { core: 0, worker: 0, handover: 1, overflow: Overflow::Wait };
    let (mut writer, reader) = lane(&pool, Some(segments.journal()), config);
    drop(reader);
    let start = Instant::now();
    let mut out = std::io::stdout().lock();
    let mut appended = 0_u64;
    // Ends by itself should its parent die.
    while start.elapsed() < Duration::from_secs(20) {
        for _ in 0..100 {
            writer.append(RecordKind::Media, 0, Nanos(appended), &RECORD).unwrap();
            appended += 1;
        }
        writer.publish(Nanos(start.elapsed().as_nanos() as u64));
        writeln!(out, "appended {appended} {}", start.elapsed().as_micros()).unwrap();
        // 20 MB/s would be a busy box; beyond that only this machine's disk is measured.
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Runs the child for a while and kills it. Returns what it had said: records and microseconds.
fn run_and_kill(directory: &Path, life: Duration) -> Vec<(u64, u64)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let mut words = line.split(' ');
            // The last line may be cut.
            if let (Some("appended"), Some(count), Some(micros)) = (words.next(), words.next(), words.next())
                && let (Ok(count), Ok(micros)) = (count.parse(), micros.parse())
            {
                said.push((count, micros));
            }
        }
        said
    });
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// A killed process is what a journal in memory survives too; there no other process's writes
/// delay ours.
fn directory() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

#[test]
fn a_killed_process_misses_no_more_than_its_last_quarter_second() {
    let mut seed = u64::from(std::process::id());
    for round in 0..6 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let life = Duration::from_millis(300 + (seed >> 33) % 900);
        let directory = directory();
        let said = run_and_kill(directory.path(), life);
        let (last_count, last_micros) = *said.last().expect("the child has begun to append");

        let mut recovery = recover(directory.path()).unwrap();
        let mut recovered = 0;
        while let Some(block) = recovery.next_block() {
            assert_eq!(block.packets_before, recovered);
            for record in block.records() {
                assert_eq!((record.header.arrival.0, record.bytes), (recovered, &RECORD[..]), "a hole");
                recovered += 1;
            }
        }
        let owed_until = last_micros.saturating_sub(MAY_MISS.as_micros() as u64);
        let owed = said.iter().rev().find(|(_, micros)| *micros <= owed_until).map_or(0, |(count, _)| *count);
        println!("round {round}: {life:?}, appended {last_count}, owed {owed}, recovered {recovered}");
        assert!(recovered >= owed, "life {life:?}: {recovered} of {owed} owed, {last_count} appended");
        // At most one batch was appended after the last word.
        assert!(recovered <= last_count + 100);
    }
}
