//! The sensor inline, from frames to recordings that stay in memory: capture core, lanes, media workers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use nightjar_capture::fakes::MemoryFrame;
use nightjar_flow::Limits;
use nightjar_journal::{BlockPool, BlockReader, LaneConfig, Next, Overflow, RecordHeader, SpooledCall, lane};
use nightjar_media::{AudioConfig, ChannelLayout, EncoderConfig};
use nightjar_pipeline::{
    AudioLedger, CaptureCore, CoreConfig, Depth, Journalled, Keep, Ledger, MediaWorker, NewFile, OpenCalls,
    Part, RecordingConfig, RecordingTarget, ResumedFile, Save, Snapshots, Unwatched, WorkerConfig,
};
use nightjar_schema::{Call, EndCause};
use nightjar_signal::SignalConfig;
use nightjar_store::StoredRecording;
use nightjar_wire::{Nanos, Realms, VxlanPorts};
use uuid::Uuid;

use crate::image::RecordBytes;

/// What all workers of a sensor have written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Rc<RefCell<Written>>);

#[derive(Debug, Default)]
struct Written {
    /// Recordings in the making, by call.
    spooled: BTreeMap<Uuid, Vec<u8>>,
    /// Finished files, by path.
    files: BTreeMap<String, Vec<u8>>,
}

impl RecordingTarget for Memory {
    fn append(&mut self, part: &Part<'_>) -> Result<(), String> {
        self.0.borrow_mut().spooled.entry(part.call).or_default().extend_from_slice(part.bytes);
        Ok(())
    }

    fn store(&mut self, file: &NewFile<'_>) -> Result<StoredRecording, String> {
        let mut written = self.0.borrow_mut();
        let spooled = written.spooled.remove(&file.call).unwrap_or_default();
        let bytes = [file.header, &spooled, file.tail].concat();
        let path = format!("{}.{}", file.call, file.container.extension());
        let stored =
            StoredRecording { path: path.clone(), bytes: bytes.len() as u64, sha256: "0".repeat(64) };
        let before = written.files.insert(path, bytes);
        assert!(before.is_none(), "a recording is written twice");
        Ok(stored)
    }

    fn discard(&mut self, call: Uuid) {
        self.0.borrow_mut().spooled.remove(&call);
    }

    /// All workers share what was appended, so there is nothing to move.
    fn give_away(&mut self) -> Result<BTreeMap<Uuid, SpooledCall>, String> {
        Ok(BTreeMap::new())
    }

    fn adopt(&mut self, _call: Uuid, _spooled: SpooledCall) {}

    /// Nothing outlives the process.
    fn save(&mut self, _save: &Save<'_>) -> Result<(), String> {
        Ok(())
    }

    fn resume(&mut self, _from: &ResumedFile) -> Result<(), String> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Settings with limits that are reached soon.
pub(crate) fn worker_config() -> WorkerConfig {
    let channels = ChannelLayout::Stereo;
    let audio = AudioConfig {
        channels,
        max_hold: 8 << 10,
        max_silence: Nanos::from_secs(5),
        ..AudioConfig::default()
    };
    WorkerConfig {
        audio,
        recording: RecordingConfig::new(EncoderConfig::Wav { channels }),
        keep: Keep::Audio,
        cpu_seconds: || 0.0,
    }
}

/// A worker without calls that leaves its recordings at `memory`.
pub(crate) fn worker_into(memory: &Memory) -> MediaWorker<Memory> {
    MediaWorker::new(worker_config(), memory.clone())
}

/// A worker without calls.
pub(crate) fn worker() -> MediaWorker<Memory> {
    worker_into(&Memory::default())
}

/// Of the capture core's pre-roll: room for one datagram of any length, so that it is soon full.
pub(crate) const PREROLL_BYTES: usize = 66_000;

/// Blocks in memory.
const BLOCKS: usize = 24;

thread_local! {
    static POOL: BlockPool = BlockPool::new(BLOCKS);
}

/// What a capture has come to.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// Final rows in order of closing.
    pub(crate) rows: Vec<Call>,
    /// Recordings by path.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The capture core's ledger.
    pub(crate) ledger: Ledger,
    /// What became of the recorded packets.
    pub(crate) audio: AudioLedger,
}

/// A capture core and its media workers, inline: lanes, workers and what they have finished.
pub(crate) struct Sensor {
    core: Option<CaptureCore<Journalled<Unwatched>>>,
    lanes: Vec<(BlockReader, MediaWorker<Memory>)>,
    memory: Memory,
    /// Rows by their number in order of closing.
    rows: BTreeMap<u64, Call>,
    /// Every record that the first lane's worker has read, when they are kept.
    pub(crate) journal: Option<Vec<RecordBytes>>,
    recorded: Recorded,
}

impl Sensor {
    pub(crate) fn new(workers: u16, snapshots: Snapshots) -> Sensor {
        Sensor::with_calls(workers, snapshots, &mut OpenCalls::default(), &Memory::default())
    }

    /// A sensor whose workers go on with `open`.
    pub(crate) fn with_calls(
        workers: u16,
        snapshots: Snapshots,
        open: &mut OpenCalls,
        memory: &Memory,
    ) -> Sensor {
        let signal = SignalConfig { sensor: "fuzz".to_owned(), max_calls: 8, ..SignalConfig::default() };
        let limits = Limits { streams: 16, ..Limits::default() };
        let checkpoint_every = Nanos::from_secs(5);
        let (realms, vxlan) = (Realms::default(), VxlanPorts::USUAL);
        let config =
            CoreConfig { depth: Depth::Payload, snapshots, checkpoint_every, signal, limits, realms, vxlan };
        let (mut writers, mut lanes) = (Vec::new(), Vec::new());
        for index in 0..workers {
            let lane_config = LaneConfig {
                core: 0,
                worker: index,
                handover: BLOCKS / usize::from(workers),
                overflow: Overflow::Shed,
            };
            let (writer, reader) = POOL.with(|pool| lane(pool, None, lane_config));
            let mut worker = worker_into(memory);
            worker.adopt(open, u32::from(index), u32::from(workers));
            writers.push(writer);
            lanes.push((reader, worker));
        }
        let core =
            CaptureCore::with_preroll(config, Journalled::new(writers, Unwatched, false), PREROLL_BYTES);
        let (memory, rows) = (memory.clone(), BTreeMap::new());
        Sensor { core: Some(core), lanes, memory, rows, journal: None, recorded: Recorded::default() }
    }

    /// The capture core.
    pub(crate) fn core(&mut self) -> &mut CaptureCore<Journalled<Unwatched>> {
        self.core.as_mut().expect("the core is there until the end")
    }

    /// Takes frames in batches; the workers follow each.
    pub(crate) fn play(&mut self, frames: &[MemoryFrame], batch: usize) {
        for frames in frames.chunks(batch) {
            for frame in frames {
                self.core().handle_frame(&frame.view());
            }
            self.core().end_batch(Nanos::ZERO);
            assert_eq!(self.core().ledger().residual(), 0, "a frame is counted twice or not at all");
            self.follow();
        }
    }

    /// Ends the capture.
    pub(crate) fn finish(mut self) -> Recorded {
        let mut core = self.core.take().expect("the core is there until the end");
        core.finish(EndCause::CaptureEnd);
        core.end_batch(Nanos::ZERO);
        self.recorded.ledger = core.ledger().clone();
        let closed = core.closed_calls();
        assert_eq!(core.output().lost_events(), 0);
        drop(core);
        self.follow();
        let first = closed - self.rows.len() as u64;
        assert!(self.rows.keys().copied().eq(first..closed), "a closed call without its row");
        let mut recorded = self.recorded;
        recorded.rows = self.rows.into_values().collect();
        for (_, worker) in &self.lanes {
            recorded.audio.add(worker.ledger());
        }
        assert_eq!((recorded.ledger.residual(), recorded.ledger.held), (0, 0));
        let written = self.memory.0.take();
        assert!(written.spooled.is_empty(), "what was encoded of a call is left over");
        recorded.files = written.files;
        recorded
    }

    fn follow(&mut self) {
        for (reader, worker) in &mut self.lanes {
            loop {
                match reader.next() {
                    Next::Record(block, record) => {
                        if let Some(journal) = &mut self.journal {
                            let (header, bytes) = (record.header, record.bytes.to_vec());
                            let RecordHeader { kind, stream, arrival, .. } = header;
                            journal.push(RecordBytes { kind, stream, arrival, bytes });
                        }
                        worker.handle_record(Some(block.sequence), &record);
                    }
                    Next::Lost(packets) => worker.handle_lost(packets),
                    Next::Idle(_) | Next::Closed => break,
                }
            }
            for done in worker.take_finished() {
                assert_eq!(done.error, None);
                let before = self.rows.insert(done.order, *done.row);
                assert!(before.is_none(), "two rows have one number");
            }
        }
    }
}
