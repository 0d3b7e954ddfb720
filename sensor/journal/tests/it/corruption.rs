//! Segments cut and changed at random: recovery yields a prefix of each and says what it dropped.

use std::fs;
use std::path::{Path, PathBuf};

use nightjar_journal::{
    BlockPool, DropReason, JournalConfig, LaneConfig, Overflow, RecordKind, SegmentPosition, SegmentWriter,
    lane, recover,
};
use nightjar_wire::Nanos;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Records that were recovered, by segment.
type BySegment = Vec<(u32, Vec<u64>)>;

/// Some segments of numbered records; what each holds.
fn write_segments(directory: &Path, records: u64) -> BySegment {
    let pool = BlockPool::new(64);
    let config = JournalConfig { segment_bytes: 256 << 10, ..JournalConfig::new(directory, "s", 1 << 30) };
    let segments = SegmentWriter::start(config, &pool).unwrap();
    let config = LaneConfig { core: 0, worker: 0, handover: 1, overflow: Overflow::Wait };
    let (mut writer, reader) = lane(&pool, Some(segments.journal()), config);
    drop(reader);
    for at in 0..records {
        let len = (at * 7_919 % 1_400) as usize;
        writer.append(RecordKind::Media, 0, Nanos(at), &vec![at as u8; len]).unwrap();
    }
    drop(writer);
    segments.finish();
    by_segment(directory).0
}

fn by_segment(directory: &Path) -> (BySegment, Vec<nightjar_journal::Dropped>) {
    let mut recovery = recover(directory).unwrap();
    let mut all: BySegment = Vec::new();
    while let Some(block) = recovery.next_block() {
        let segment = block.position.segment;
        if all.last().is_none_or(|(last, _)| *last != segment) {
            all.push((segment, Vec::new()));
        }
        let (_, records) = all.last_mut().unwrap();
        for record in block.records() {
            let at = record.header.arrival.0;
            assert_eq!(record.bytes, vec![at as u8; (at * 7_919 % 1_400) as usize]);
            records.push(at);
        }
    }
    (all, recovery.dropped().to_vec())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Flip(Index, u8),
    Zero(Index, u16),
    Noise(Index, Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Damage::Zero(at, count) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + usize::from(*count));
                bytes[at..end].fill(0);
            }
            Damage::Noise(at, noise) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + noise.len());
                bytes[at..end].copy_from_slice(&noise[..end - at]);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<Index>(), 1..5_000_u16).prop_map(|(at, count)| Damage::Zero(at, count)),
        (any::<Index>(), vec(any::<u8>(), 1..200)).prop_map(|(at, noise)| Damage::Noise(at, noise)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_journal_yields_a_prefix_of_each_segment(
        faults in vec((any::<Index>(), damage()), 1..6),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let written = write_segments(directory.path(), 1_500);
        let files = files(directory.path());
        prop_assert_eq!(files.len(), written.len());
        let before: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        for (file, damage) in &faults {
            let file = &files[file.index(files.len())];
            let mut bytes = fs::read(file).unwrap();
            damage.apply(&mut bytes);
            fs::write(file, bytes).unwrap();
        }
        let (recovered, dropped) = by_segment(directory.path());
        for (segment, whole) in &written {
            let part = recovered.iter().find(|(number, _)| number == segment).map(|(_, records)| &records[..]);
            let part = part.unwrap_or(&[]);
            prop_assert!(whole.starts_with(part), "segment {} is no prefix", segment);
            // What is missing is said, unless nothing but zeros stands in its place.
            let bytes = fs::read(&files[*segment as usize]).unwrap();
            let said = dropped.iter().find(|dropped| dropped.from.segment == *segment);
            if let Some(said) = said {
                let from = said.from.offset as usize;
                prop_assert_eq!(from as u64 + said.bytes, 1 + bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64);
                prop_assert!(said.reason != DropReason::Encrypted);
            } else if part.len() < whole.len() {
                let good = good_end(directory.path(), *segment, &before[*segment as usize]);
                prop_assert!(bytes.len() <= good || bytes[good..].iter().all(|&byte| byte == 0));
            }
        }
    }
}

/// Where the last recovered block of a segment ends, by a search for the next block's magic in the
/// undamaged file.
fn good_end(directory: &Path, segment: u32, before: &[u8]) -> usize {
    let mut recovery = recover(directory).unwrap();
    let mut last = None;
    while let Some(block) = recovery.next_block() {
        if block.position.segment == segment {
            last = Some(block.position.offset as usize);
        }
    }
    let Some(last) = last else { return 0 };
    let next = (last + 8..before.len()).step_by(8).find(|&at| before[at..].starts_with(b"NJBL"));
    next.unwrap_or(before.len())
}

#[test]
fn each_damage_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let written = write_segments(directory.path(), 1_500);
    assert!(written.len() >= 4, "{}", written.len());
    let files = files(directory.path());
    let change = |file: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(&files[file]).unwrap();
        change(&mut bytes);
        fs::write(&files[file], bytes).unwrap();
    };
    change(0, &|bytes| bytes[50] ^= 1);
    change(1, &|bytes| bytes[4_096 + 100] ^= 1);
    change(2, &|bytes| bytes.truncate(4_096 + 200));
    change(3, &|bytes| bytes[4_096] ^= 1);
    let (recovered, dropped) = by_segment(directory.path());
    assert_eq!(recovered.len(), written.len() - 4);
    let at = |segment, offset| SegmentPosition { segment, offset };
    let said: Vec<_> = dropped.iter().map(|dropped| (dropped.from, dropped.reason)).collect();
    assert_eq!(
        said,
        [
            (at(0, 0), DropReason::SegmentHeader),
            (at(1, 4_096), DropReason::Checksum),
            (at(2, 4_096), DropReason::Torn),
            (at(3, 4_096), DropReason::BlockHeader),
        ]
    );
}

#[test]
fn nothing_there_is_nothing_recovered() {
    let directory = tempfile::tempdir().unwrap();
    assert!(recover(&directory.path().join("missing")).unwrap().next_block().is_none());
    // Created and never written: not worth a word.
    fs::write(directory.path().join("00000000.seg"), vec![0; 1 << 20]).unwrap();
    fs::write(directory.path().join("00000001.seg"), b"").unwrap();
    let mut recovery = recover(directory.path()).unwrap();
    assert!(recovery.next_block().is_none());
    assert!(recovery.dropped().is_empty());
}
