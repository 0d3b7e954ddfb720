//! Lanes while they are written: what a worker sees, when, and in which order.

use std::thread;

use nightjar_journal::{
    AppendError, BLOCK_BYTES, BlockPool, JournalConfig, LaneConfig, Next, Overflow, RECORD_LIMIT, RecordKind,
    SEAL_AFTER, SegmentWriter, lane,
};
use nightjar_wire::Nanos;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{drain, recovered_arrivals};

const LIVE: LaneConfig = LaneConfig { core: 0, worker: 0, handover: 4, overflow: Overflow::Shed };

#[test]
fn a_record_is_seen_when_it_is_published_and_not_before() {
    let pool = BlockPool::new(4);
    let (mut writer, mut reader) = lane(&pool, None, LIVE);
    writer.append(RecordKind::Media, 7, Nanos(100), b"hello").unwrap();
    assert_eq!(reader.next(), Next::Idle(Nanos::ZERO));
    writer.publish(Nanos(200));
    assert_eq!(drain(&mut reader), [(7, 100, b"hello".to_vec())]);
    assert_eq!(reader.next(), Next::Idle(Nanos(200)));
}

#[test]
fn an_idle_core_moves_the_watermark() {
    let pool = BlockPool::new(4);
    let (mut writer, mut reader) = lane(&pool, None, LIVE);
    writer.publish(Nanos(5));
    assert_eq!(reader.next(), Next::Idle(Nanos(5)));
    // It never goes back.
    writer.publish(Nanos(4));
    assert_eq!(reader.next(), Next::Idle(Nanos(5)));
    drop(writer);
    assert_eq!(reader.next(), Next::Closed);
}

#[test]
fn a_block_is_sealed_when_it_is_old_and_preroll_does_not_make_it_old() {
    let pool = BlockPool::new(4);
    let directory = tempfile::tempdir().unwrap();
    let segments = SegmentWriter::start(JournalConfig::new(directory.path(), "s", 1 << 30), &pool).unwrap();
    let (mut writer, _reader) = lane(&pool, Some(segments.journal()), LIVE);
    let start = Nanos::from_secs(1_000);
    writer.publish(start);
    writer.append(RecordKind::Media, 0, start - Nanos::from_secs(2), b"early").unwrap();
    writer.publish(start + Nanos(1));
    writer.append(RecordKind::Media, 0, start + Nanos(2), b"then").unwrap();
    writer.publish(start + SEAL_AFTER);
    writer.append(RecordKind::Media, 0, start + SEAL_AFTER + Nanos(1), b"next block").unwrap();
    drop(writer);
    assert_eq!(segments.finish().blocks, 2);
}

#[test]
fn an_empty_pool_sheds_and_a_record_that_is_too_long_is_refused() {
    let pool = BlockPool::new(2);
    let (mut writer, mut reader) = lane(&pool, None, LIVE);
    let big = vec![1; RECORD_LIMIT];
    writer.append(RecordKind::Media, 0, Nanos(1), &big).unwrap();
    writer.append(RecordKind::Media, 0, Nanos(2), &big).unwrap();
    assert_eq!(writer.append(RecordKind::Media, 0, Nanos(3), &big), Err(AppendError::NoBlock));
    let longer = vec![1; RECORD_LIMIT + 1];
    assert_eq!(writer.append(RecordKind::Event, 0, Nanos(3), &longer), Err(AppendError::TooLong));
    // What was read makes room.
    assert_eq!(drain(&mut reader).len(), 2);
    writer.append(RecordKind::Media, 0, Nanos(4), &big).unwrap();
    drop(writer);
    assert_eq!(drain(&mut reader), [(0, 4, big)]);
    assert_eq!(reader.next(), Next::Closed);
}

#[test]
fn without_a_disk_a_full_handover_sheds() {
    let pool = BlockPool::new(100);
    let (mut writer, mut reader) = lane(&pool, None, LaneConfig { handover: 2, ..LIVE });
    let block = vec![0; RECORD_LIMIT];
    let taken =
        (0..10).take_while(|&at| writer.append(RecordKind::Media, 0, Nanos(at), &block).is_ok()).count();
    assert_eq!(taken, 2);
    drop(writer);
    let arrivals: Vec<u64> = drain(&mut reader).into_iter().map(|(_, arrival, _)| arrival).collect();
    assert_eq!(arrivals, [0, 1]);
    assert_eq!(reader.next(), Next::Closed);
    assert_eq!(pool.free(), 100);
}

#[test]
fn a_lane_without_a_reader_still_goes_to_disk() {
    let pool = BlockPool::new(8);
    let directory = tempfile::tempdir().unwrap();
    let segments = SegmentWriter::start(JournalConfig::new(directory.path(), "s", 1 << 30), &pool).unwrap();
    let (mut writer, reader) =
        lane(&pool, Some(segments.journal()), LaneConfig { overflow: Overflow::Wait, ..LIVE });
    drop(reader);
    for at in 0..10_000 {
        writer.append(RecordKind::Media, 0, Nanos(at), &[0; 1_000]).unwrap();
    }
    drop(writer);
    assert_eq!(segments.finish().lost_blocks, 0);
    assert_eq!(recovered_arrivals(directory.path()), (0..10_000).collect::<Vec<u64>>());
}

/// A core and a worker on threads of their own, the core waiting for blocks: nothing is lost,
/// nothing changes its order, and the disk holds the same.
#[test]
fn two_threads_and_the_disk_agree_on_every_record() {
    let pool = BlockPool::new(8);
    let directory = tempfile::tempdir().unwrap();
    let config =
        JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::new(directory.path(), "s", 1 << 30) };
    let segments = SegmentWriter::start(config, &pool).unwrap();
    let (mut writer, mut reader) =
        lane(&pool, Some(segments.journal()), LaneConfig { overflow: Overflow::Wait, ..LIVE });
    let records = 50_000_u64;
    let body = |at: u64| vec![at as u8; (at * 37 % 700) as usize];
    let core = thread::spawn(move || {
        for at in 0..records {
            writer.append(RecordKind::Media, at as u32, Nanos(at), &body(at)).unwrap();
            if at % 32 == 0 {
                writer.publish(Nanos(at));
            }
        }
    });
    let mut expected = 0;
    let mut clock = Nanos::ZERO;
    loop {
        match reader.next() {
            Next::Record(id, record) => {
                assert_eq!((id.core, id.worker), (0, 0));
                assert_eq!(u64::from(record.header.stream), expected);
                assert_eq!(record.bytes, body(expected));
                expected += 1;
            }
            Next::Lost(packets) => panic!("{packets} lost"),
            // Everything stamped before the watermark has been read by now.
            Next::Idle(now) => {
                assert!(now >= clock && now.0 <= expected, "{now} {expected}");
                clock = now;
                thread::yield_now();
            }
            Next::Closed => break,
        }
    }
    core.join().unwrap();
    assert_eq!(expected, records);
    let figures = segments.finish();
    assert_eq!((figures.lost_blocks, figures.write_errors), (0, 0));
    assert_eq!(recovered_arrivals(directory.path()), (0..records).collect::<Vec<u64>>());
}

/// Live, with a worker that sleeps: what memory cannot hold comes from disk, in order.
#[test]
fn a_worker_that_lags_reads_the_rest_from_disk() {
    let pool = BlockPool::new(64);
    let directory = tempfile::tempdir().unwrap();
    let config =
        JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::new(directory.path(), "s", 1 << 30) };
    let segments = SegmentWriter::start(config, &pool).unwrap();
    let (mut writer, mut reader) = lane(&pool, Some(segments.journal()), LIVE);
    let mut appended = 0;
    while appended < 40_000 {
        match writer.append(RecordKind::Media, 0, Nanos(appended), &[appended as u8; 300]) {
            Ok(()) => appended += 1,
            Err(AppendError::NoBlock) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    drop(writer);
    let mut expected = 0;
    loop {
        match reader.next() {
            Next::Record(_, record) => {
                assert_eq!(record.header.arrival.0, expected);
                assert_eq!(record.bytes, [expected as u8; 300]);
                expected += 1;
            }
            Next::Lost(packets) => panic!("{packets} lost"),
            Next::Idle(_) => thread::yield_now(),
            Next::Closed => break,
        }
    }
    assert_eq!(expected, appended);
    let figures = segments.finish();
    assert!(figures.left_to_disk > 100, "{figures:?}");
}

proptest! {
    /// Any records, published at any places, are read back as they were appended, in memory and
    /// from disk.
    #[test]
    fn records_are_read_back_as_they_were_appended(
        records in vec((0..4_u8, any::<u32>(), any::<u64>(), vec(any::<u8>(), 0..2_000), any::<bool>()), 0..200),
    ) {
        let kinds = [RecordKind::Media, RecordKind::Rtcp, RecordKind::Datagram, RecordKind::Event];
        let pool = BlockPool::new(64);
        let directory = tempfile::tempdir().unwrap();
        let segments = SegmentWriter::start(JournalConfig::new(directory.path(), "s", 1 << 30), &pool).unwrap();
        let config = LaneConfig { core: 3, worker: 9, handover: 64, overflow: Overflow::Shed };
        let (mut writer, mut reader) = lane(&pool, Some(segments.journal()), config);
        let mut read = Vec::new();
        for (kind, stream, arrival, bytes, publish) in &records {
            writer.append(kinds[usize::from(*kind)], *stream, Nanos(*arrival), bytes).unwrap();
            if *publish {
                writer.publish(Nanos(*arrival));
                read.extend(drain(&mut reader));
            }
        }
        drop(writer);
        read.extend(drain(&mut reader));
        let expected: Vec<_> = records.iter().map(|(_, stream, at, bytes, _)| (*stream, *at, bytes.clone())).collect();
        prop_assert_eq!(&read, &expected);
        prop_assert_eq!(reader.next(), Next::Closed);

        segments.finish();
        let mut recovery = nightjar_journal::recover(directory.path()).unwrap();
        let mut from_disk = Vec::new();
        while let Some(block) = recovery.next_block() {
            prop_assert_eq!((block.id.core, block.id.worker), (3, 9));
            for record in block.records() {
                prop_assert!(record.header.arrival >= block.first_arrival);
                prop_assert!(record.header.arrival <= block.last_arrival);
                from_disk.push((record.header.stream, record.header.arrival.0, record.bytes.to_vec()));
            }
        }
        prop_assert!(recovery.dropped().is_empty());
        prop_assert_eq!(&from_disk, &expected);
        prop_assert!(pool.free() >= 63 && BLOCK_BYTES == 65_536);
    }
}
