//! After the start a capture core's end of a lane allocates nothing.

use allocation_counter::measure;
use nightjar_journal::{
    BlockPool, JournalConfig, LaneConfig, Next, Overflow, RecordKind, SegmentWriter, lane,
};
use nightjar_wire::Nanos;

#[test]
fn appending_publishing_sealing_and_reading_allocate_nothing() {
    let pool = BlockPool::new(256);
    let directory = tempfile::tempdir().unwrap();
    let segments = SegmentWriter::start(JournalConfig::new(directory.path(), "s", 1 << 30), &pool).unwrap();
    let config = LaneConfig { core: 0, worker: 0, handover: 8, overflow: Overflow::Shed };
    let (mut writer, mut reader) = lane(&pool, Some(segments.journal()), config);
    let packet = [0x80; 172];
    let (mut appended, mut read) = (0, 0);
    let mut batch = || {
        for _ in 0..64 {
            while writer.append(RecordKind::Media, 1, Nanos(appended), &packet).is_err() {
                std::thread::yield_now();
            }
            appended += 1;
        }
        writer.publish(Nanos(appended));
        while let Next::Record(..) = reader.next() {
            read += 1;
        }
    };
    (0..100).for_each(|_| batch());
    let counted = measure(|| (0..2_000).for_each(|_| batch()));
    assert_eq!(counted.count_total, 0);
    assert_eq!((appended, read), (2_100 * 64, 2_100 * 64));
    // The counter does count.
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
    drop(writer);
    segments.finish();
}
