//! The scripts of `calls`, with a crash in the middle: the first bytes say after how many frames, and how many
//! records had not reached the disk. Every call that the journal knows is there once in the end, under its id, unless
//! it turned out to be the signalling of another one, and every packet that was recorded, before or after, has its
//! count.

use std::collections::{BTreeMap, BTreeSet};

use nightjar_flow::{FlowTable, Limits};
use nightjar_journal::RecordKind;
use nightjar_pipeline::{CoreEvent, EventReader, Snapshots, Told, recover};
use nightjar_signal::Directory;
use uuid::Uuid;

use crate::image::{self, RecordBytes};
use crate::recorder::{Memory, Sensor, worker_into};
use crate::script::Script;
use crate::watch::check_row;

pub(super) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (cut, lost) = (usize::from(script.u16()), usize::from(script.byte()));
    let frames = super::calls::frames(script.take(bytes.len()));
    if frames.is_empty() {
        return;
    }
    let (before, after) = frames.split_at(cut % frames.len());
    let mut sensor = Sensor::new(1, Snapshots::OnChange);
    sensor.journal = Some(Vec::new());
    sensor.play(before, 4);
    let mut records = sensor.journal.take().unwrap_or_default();
    drop(sensor);
    records.truncate(records.len().saturating_sub(lost));

    let folder = image::empty_folder("restart");
    let mut segment = image::segment_page(0, 0);
    segment.extend(image::blocks(0, &records));
    std::fs::write(folder.join("00000000.seg"), &segment).expect("a segment is written");

    let memory = Memory::default();
    let mut journal = nightjar_journal::recover(&folder).expect("the folder is there");
    let mut flows = FlowTable::new(Limits { streams: 16, ..Limits::default() });
    let mut worker = worker_into(&memory);
    let found = recover(&mut journal, &mut flows, &mut worker, |_| false);
    assert!(journal.dropped().is_empty() && found.unreadable == 0);
    let recovered = found.packets;
    let mut ids: Vec<Uuid> = Vec::new();
    for done in worker.take_finished() {
        check_row(&done.row);
        ids.push(done.row.id);
    }
    let mut sensor = Sensor::with_calls(2, Snapshots::OnChange, &mut worker.take_calls(), &memory);
    let restored = sensor.core().restore(flows, found, after[0].at);
    let tentative = tentative(sensor.core().directory());
    sensor.play(after, 4);
    let merged = sensor.core().directory().statistics().merged;
    let recorded = sensor.finish();
    for row in &recorded.rows {
        check_row(row);
        ids.push(row.id);
    }
    let unique: BTreeSet<Uuid> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "a call is there twice");
    let known: BTreeSet<Uuid> = restored.ids.iter().copied().chain(known(&records)).collect();
    let gone: Vec<&Uuid> = known.difference(&unique).collect();
    let is_merged = gone.len() as u64 <= merged && gone.iter().all(|id| tentative.contains(id));
    assert!(is_merged, "a call that the journal knew is gone: {gone:?}");
    let counted = worker.ledger().total() + recorded.audio.total();
    assert_eq!(counted, recovered + recorded.ledger.recorded, "a recorded packet without a count");
}

/// The ids of calls without media whose beginning was not seen: any of them may still turn out to be the signalling
/// of a call of which there is media only.
fn tentative(directory: &Directory) -> BTreeSet<Uuid> {
    let calls = directory.open_calls().filter(|call| directory.is_tentative(*call));
    calls.filter_map(|call| directory.row(call)).map(|row| row.id).collect()
}

/// The ids of the calls that the journal has seen opened and of which it holds signalling's state.
fn known(records: &[RecordBytes]) -> Vec<Uuid> {
    let mut reader = EventReader::default();
    let (mut opened, mut ids) = (BTreeMap::new(), Vec::new());
    for record in records.iter().filter(|record| record.kind == RecordKind::Event) {
        match reader.handle_record(&record.bytes) {
            Told::Event(CoreEvent::Opened { call, id, .. }) => {
                opened.insert(call, id);
            }
            Told::Event(CoreEvent::Snapshot { call, .. }) => ids.extend(opened.get(&call)),
            // It was the signalling of another one.
            Told::Event(CoreEvent::Abandoned { call }) => ids.retain(|id| opened.get(&call) != Some(id)),
            _ => {}
        }
    }
    ids
}
