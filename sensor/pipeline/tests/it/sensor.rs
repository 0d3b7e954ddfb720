//! A sensor on one thread and a real disk that is killed between two of the steps of its writing:
//! from some step on nothing reaches the disk any more, and the process forgets everything.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nightjar_capture::RingLoss;
use nightjar_flow::FlowTable;
use nightjar_journal::{
    BlockPool, JournalConfig, LaneConfig, Next, Overflow, SegmentWriter, SpoolDirectory, SpooledCall, lane,
};
use nightjar_load::Frame;
use nightjar_media::{AudioConfig, EncoderConfig};
use nightjar_pipeline::{
    AdmissionConfig, CaptureCore, CoreConfig, Depth, DiskTarget, Finished, Journalled, Keep, LaneKey,
    MediaWorker, NewFile, Part, Pressure, RecordingConfig, RecordingTarget, ResumedFile, Rows, Save,
    Snapshots, Unwatched, WorkerConfig, recover,
};
use nightjar_schema::{Call, EndCause};
use nightjar_store::{CallsFile, Durability, RecordingStore, StoredRecording};
use nightjar_wire::Nanos;
use uuid::Uuid;

use crate::core::{config, feed};

/// Steps until the kill.
#[derive(Clone, Default)]
pub struct Kill {
    steps: Rc<Cell<u64>>,
    at: Rc<Cell<u64>>,
    /// After so many frames.
    taken: Rc<Cell<Option<usize>>>,
    /// The disk has no room.
    full: Rc<Cell<bool>>,
}

impl Kill {
    /// Before the `at`-th step.
    pub fn before(at: u64) -> Kill {
        Kill { at: Rc::new(Cell::new(at)), ..Kill::default() }
    }

    /// Never.
    pub fn never() -> Kill {
        Kill::before(u64::MAX)
    }

    /// Once so many frames are taken.
    pub fn when_taken(&self, frames: usize) {
        self.taken.set(Some(frames));
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    fn is_dead(&self) -> bool {
        self.steps.get() >= self.at.get()
    }

    /// Does a step, unless that is too late.
    fn step<R>(&self, step: impl FnOnce() -> R) -> Option<R> {
        if self.is_dead() {
            return None;
        }
        self.steps.set(self.steps.get() + 1);
        Some(step())
    }

    /// Does a step that needs room.
    fn write<R>(&self, step: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
        if self.full.get() {
            return Err("no room".into());
        }
        self.step(step).unwrap_or_else(|| Err("killed".into()))
    }
}

/// A disk that takes nothing after the kill.
struct Killing {
    disk: DiskTarget,
    kill: Kill,
}

impl RecordingTarget for Killing {
    fn append(&mut self, part: &Part<'_>) -> Result<(), String> {
        self.kill.write(|| self.disk.append(part))
    }

    fn save(&mut self, save: &Save<'_>) -> Result<(), String> {
        self.kill.write(|| self.disk.save(save))
    }

    fn resume(&mut self, from: &ResumedFile) -> Result<(), String> {
        self.kill.write(|| self.disk.resume(from))
    }

    fn store(&mut self, file: &NewFile<'_>) -> Result<StoredRecording, String> {
        self.kill.write(|| self.disk.store(file))
    }

    fn discard(&mut self, call: Uuid) {
        self.kill.step(|| self.disk.discard(call));
    }

    fn give_away(&mut self) -> Result<BTreeMap<Uuid, SpooledCall>, String> {
        self.kill.write(|| self.disk.give_away())
    }

    fn adopt(&mut self, call: Uuid, spooled: SpooledCall) {
        self.disk.adopt(call, spooled);
    }

    fn commit(&mut self) -> Result<(), String> {
        self.kill.write(|| self.disk.commit())
    }
}

/// calls.jsonl; a row is durable with the next commit.
struct File {
    calls: CallsFile,
    unwritten: Vec<Call>,
    undurable: Vec<Uuid>,
    kill: Kill,
}

impl Rows for File {
    fn finish(&mut self, done: Finished) {
        self.undurable.push(done.row.id);
        self.unwritten.push(*done.row);
    }

    fn is_durable(&mut self, call: Uuid) -> bool {
        !self.kill.is_dead() && !self.undurable.contains(&call)
    }

    fn commit(&mut self) {
        for mut row in self.unwritten.drain(..) {
            self.kill.step(|| {
                self.calls.raise_revision(&mut row);
                self.calls.append(&row).unwrap()
            });
        }
        if self.kill.step(|| self.calls.commit().unwrap()).is_some() {
            self.undurable.clear();
        }
    }
}

/// What a run came to.
pub struct Run {
    /// Frames that it has taken.
    pub frames: usize,
    /// Blocks of the journal that were needed, at most.
    pub most_pinned: u64,
    /// Segments of the journal that were removed.
    pub removed: u64,
}

/// What a kill does to records of the block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenBlock {
    /// It had just been sealed.
    Kept,
    /// They were not written yet.
    Lost,
}

/// The sensor's settings.
#[derive(Clone)]
pub struct Settings {
    pub encoder: EncoderConfig,
    /// Samples between two cuts.
    pub cut_every: u64,
    pub open_block: OpenBlock,
    /// After each batch: without one there is no telling when a process will be where.
    pub pause: Duration,
    /// Frames during which the disk has no room for recordings.
    pub full: Range<usize>,
    /// Frames that the source has lost by a moment of the capture; `None`: every call is kept.
    pub frames_lost: Option<fn(Nanos) -> u64>,
    /// A ring was full; the source says so with the batch behind it.
    pub lost: Option<RingLoss>,
}

const BATCH: usize = 64;

impl Settings {
    fn worker(&self) -> WorkerConfig {
        let mut recording = RecordingConfig::new(self.encoder);
        recording.cut_every = self.cut_every;
        let audio = AudioConfig { channels: self.encoder.channels(), ..AudioConfig::default() };
        WorkerConfig { audio, recording, keep: Keep::Audio, cpu_seconds: || 0.0 }
    }

    /// Goes on with what lies in `folder`, and takes frames until they end or it is killed.
    pub fn run(&self, folder: &Path, frames: &[Frame], kill: &Kill) -> Run {
        let calls = CallsFile::open(folder, Durability::Process).unwrap();
        let mut rows = File { calls, unwritten: Vec::new(), undurable: Vec::new(), kill: kill.clone() };
        let (spool, recovery) = SpoolDirectory::open(&folder.join("spool")).unwrap();
        assert!(recovery.dropped.is_empty(), "{:?}", recovery.dropped);
        let spooled: BTreeMap<Uuid, SpooledCall> =
            recovery.calls.into_iter().map(|(call, spooled)| (Uuid::from_u128(call), spooled)).collect();
        let goes_on = |call| spooled.get(&call).is_some_and(|spooled| !spooled.resume_state.is_empty());
        let store = RecordingStore::reopen(folder, Durability::Process, goes_on).unwrap();
        let worker = || {
            let disk = DiskTarget::new(spool.clone().without_sync().spool(), store.clone());
            MediaWorker::new(self.worker(), Killing { disk, kill: kill.clone() })
        };
        // What an earlier run has left.
        let mut first = worker();
        first.resume(spooled, |call| rows.calls.is_done(call));
        let mut flows = FlowTable::new(config(Depth::Payload).limits);
        let mut journal = nightjar_journal::recover(&folder.join("journal")).unwrap();
        let found = recover(&mut journal, &mut flows, &mut first, |call| rows.calls.is_done(call));
        assert!(journal.dropped().is_empty(), "{:?}", journal.dropped());
        first.take_finished().into_iter().for_each(|done| rows.finish(done));
        rows.commit();
        first.settle(|call| rows.is_durable(call));
        let mut open = first.take_calls();
        std::mem::forget(first);
        if kill.is_dead() {
            return Run { frames: 0, most_pinned: 0, removed: 0 };
        }
        // Capturing begins.
        let pool = BlockPool::new(32);
        let journal = JournalConfig {
            segment_bytes: 256 << 10,
            first_segment: found.next_run(),
            ..JournalConfig::new(folder.join("journal"), "test", 1 << 30)
        };
        let journal = SegmentWriter::start(journal, &pool).unwrap();
        let lane_config = LaneConfig { core: 0, worker: 0, handover: 32, overflow: Overflow::Wait };
        let (writer, mut reader) = lane(&pool, Some(journal.journal()), lane_config);
        let earlier = open.earlier();
        let mut worker = worker();
        worker.journalled_in(LaneKey { run: journal.journal().run(), core: 0, worker: 0 });
        worker.adopt(&mut open, 0, 1);
        drop(open);
        let config = CoreConfig {
            snapshots: Snapshots::OnChange,
            checkpoint_every: Nanos::from_secs(5),
            ..config(Depth::Payload)
        };
        let mut core = CaptureCore::new(config, Journalled::new(vec![writer], Unwatched, false));
        if self.frames_lost.is_some() {
            core = core.with_admission(AdmissionConfig::default());
        }
        let restored = core.restore(flows, found, frames[0].at);
        assert_eq!(restored.abandoned, 0);

        let mut lost = self.lost;
        let (mut taken, most_pinned) = (0_usize, Cell::new(0));
        let mut read = |worker: &mut MediaWorker<Killing>, rows: &mut File| {
            while let Next::Record(block, record) = reader.next() {
                worker.handle_record(Some(block.sequence), &record);
            }
            worker.take_finished().into_iter().for_each(|done| rows.finish(done));
            rows.commit();
            worker.settle(|call| rows.is_durable(call));
            worker.take_finished().into_iter().for_each(|done| rows.finish(done));
            worker.commit(reader.durable());
            if !kill.is_dead() {
                let position = reader.position().sequence;
                let needed = worker.oldest_block().unwrap_or(position);
                reader.keep_from(needed);
                most_pinned.set(most_pinned.get().max(position - needed));
                if !earlier.are_needed() {
                    journal.journal().forget_recovered();
                }
            }
        };
        for frames in frames.chunks(BATCH) {
            feed(&mut core, frames, BATCH);
            let behind = |loss: &mut RingLoss| frames.last().is_some_and(|frame| frame.at >= loss.to);
            if let Some(loss) = lost.take_if(behind) {
                core.handle_ring_loss(&loss);
                core.end_batch(Nanos::ZERO);
            }
            taken += frames.len();
            if let Some(lost) = self.frames_lost {
                let lost_frames = lost(core.clock());
                core.handle_pressure(&Pressure { lost_frames, ..Pressure::default() });
            }
            std::thread::sleep(self.pause);
            kill.full.set(self.full.contains(&taken));
            if kill.taken.get().is_some_and(|at| at <= taken) {
                // What was read is still written down, as by workers that keep up.
                (0..3).for_each(|_| read(&mut worker, &mut rows));
                kill.at.set(0);
            }
            read(&mut worker, &mut rows);
            if kill.is_dead() {
                break;
            }
        }
        if kill.is_dead() {
            match self.open_block {
                OpenBlock::Kept => drop(core),
                OpenBlock::Lost => std::mem::forget(core),
            }
        } else {
            core.finish(EndCause::CaptureEnd);
            core.end_batch(Nanos::ZERO);
            drop(core);
            (0..3).for_each(|_| read(&mut worker, &mut rows));
        }
        std::mem::forget((worker, spool));
        let figures = journal.finish();
        Run { frames: taken, most_pinned: most_pinned.get(), removed: figures.segments_removed }
    }
}

/// The final rows of a folder, by Call-ID.
pub fn rows(folder: &Path) -> BTreeMap<String, Call> {
    let text = fs::read_to_string(folder.join("calls.jsonl")).unwrap();
    let mut rows = BTreeMap::new();
    for row in text.lines().map(|line| serde_json::from_str::<Call>(line).unwrap()) {
        let before = rows.insert(row.call_ids[0].clone(), row.clone());
        if let Some(before) = before {
            let both = [&before, &row].map(|row| (row.begun_before_capture, row.started_at, row.ended_at));
            assert!(before.id == row.id, "{:?} is two calls: {both:?}", row.call_ids);
            assert!(before.revision < row.revision, "{:?} has two rows", before.call_ids);
        }
    }
    rows
}

/// A call's recording.
pub fn recording(folder: &Path, row: &Call) -> Vec<u8> {
    let path: PathBuf = folder.join(row.recordings[0].path.as_ref().expect("it is stored"));
    fs::read(path).unwrap()
}
