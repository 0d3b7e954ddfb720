//! Segments of the journal, as a crash or a broken disk may leave them. The first byte says how: bit 0 puts the
//! checksums right, bit 1 gives only the beginning of the first page, bit 2 makes two segments of it.

use nightjar_flow::{FlowTable, Limits};
use nightjar_journal::{DropReason, recover};

use crate::image::{self, PAGE, PAGE_PART};
use crate::recorder;

pub(super) fn run(bytes: &[u8]) {
    let [shape, rest @ ..] = bytes else { return };
    let folder = image::empty_folder("journal");
    let halves = if shape & 4 == 0 { (rest, &[][..]) } else { rest.split_at(rest.len() / 2) };
    for (number, part) in [halves.0, halves.1].into_iter().enumerate() {
        let mut image = expand(*shape, part);
        if shape & 1 != 0 {
            image::repair_segment(&mut image, number as u32);
        }
        std::fs::write(folder.join(format!("{number:08}.seg")), &image).expect("a segment is written");
    }
    walk(&folder, bytes.len());
    let mut recovery = recover(&folder).expect("the folder is there");
    let mut flows = FlowTable::new(Limits { streams: 64, ..Limits::default() });
    let mut worker = recorder::worker();
    let found = nightjar_pipeline::recover(&mut recovery, &mut flows, &mut worker, |_| false);
    assert!(found.unreadable + found.packets <= bytes.len() as u64);
}

fn expand(shape: u8, part: &[u8]) -> Vec<u8> {
    if shape & 2 == 0 {
        return part.to_vec();
    }
    let (first, blocks) = part.split_at(part.len().min(PAGE_PART));
    let mut image = first.to_vec();
    image.resize(PAGE, 0);
    image.extend_from_slice(blocks);
    image
}

/// Blocks come in order, each once, with records that lie within them; the rest is said to be dropped.
fn walk(folder: &std::path::Path, len: usize) {
    let mut recovery = recover(folder).expect("the folder is there");
    let (mut blocks, mut position) = (0, None);
    let mut last = std::collections::BTreeMap::new();
    while let Some(block) = recovery.next_block() {
        blocks += 1;
        assert!(position.replace(block.position).is_none_or(|before| before < block.position));
        let lane = (block.run, block.id.core, block.id.worker);
        assert!(last.insert(lane, block.id.sequence).is_none_or(|before| before < block.id.sequence));
        let mut records = block.records();
        let read: usize = records.by_ref().map(|record| 16 + record.bytes.len()).sum();
        assert!(read + records.unread() <= nightjar_journal::BLOCK_BYTES);
    }
    assert!(blocks <= len / 64);
    assert!(recovery.segments().len() + recovery.dropped().len() >= usize::from(blocks > 0));
    for dropped in recovery.dropped() {
        assert!(dropped.bytes > 0 && dropped.bytes <= (len + 2 * PAGE) as u64);
        assert!(!matches!(dropped.reason, DropReason::Unreadable(_)));
    }
}
