//! What a packet costs on disk beyond its own bytes.

use std::time::Duration;

use nightjar_journal::{BlockPool, JournalConfig, LaneConfig, Overflow, RecordKind, SegmentWriter, lane};
use nightjar_wire::Nanos;

/// 400 calls of G.711 (two streams of 50 packets a second, 172 bytes each from the RTP header on)
/// over two workers, 2 s of it in real time: record header, alignment, block headers and padding
/// together stay within 40 bytes a packet.
#[test]
fn a_journalled_packet_costs_at_most_40_bytes_more() {
    let pool = BlockPool::new(1_024);
    let directory = tempfile::tempdir().unwrap();
    let segments = SegmentWriter::start(JournalConfig::new(directory.path(), "s", 1 << 30), &pool).unwrap();
    let mut lanes: Vec<_> = (0..2)
        .map(|worker| {
            let config = LaneConfig { core: 0, worker, handover: 1, overflow: Overflow::Shed };
            lane(&pool, Some(segments.journal()), config).0
        })
        .collect();
    let packet = [0x80; 172];
    let mut packets = 0_u64;
    for millis in 0..2_000 {
        let now = Nanos::from_millis(millis);
        for _ in 0..40 {
            let lane = &mut lanes[(packets % 2) as usize];
            lane.append(RecordKind::Media, packets as u32, now, &packet).unwrap();
            packets += 1;
        }
        for lane in &mut lanes {
            lane.publish(now);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(lanes);
    let figures = segments.finish();
    let overhead = (figures.bytes - packets * packet.len() as u64) as f64 / packets as f64;
    println!("{overhead:.2} bytes a packet, {} of them padding", figures.padding / packets);
    assert_eq!(figures.lost_blocks, 0);
    assert!(overhead >= 16.0, "{overhead}");
    assert!(overhead <= 40.0, "{overhead}");
}
