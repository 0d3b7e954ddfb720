//! The media workers' threads, behind the capture core in replay and live capture alike.

use std::sync::Arc;
use std::thread::JoinHandle;

use nightjar_journal::{BlockPool, BlockWriter, Journal, LaneConfig, Overflow, SpoolDirectory, lane};
use nightjar_media::{AudioConfig, ChannelLayout, EncoderConfig, OpusLayout};
use nightjar_pipeline::{
    AudioLedger, DiskTarget, Keep, LaneKey, MediaWorker, OpenCalls, RecordingConfig, Rows, SharedAudioLedger,
    WorkerConfig, worker_loop,
};
use nightjar_store::RecordingStore;

use crate::args::{Channels, Format, Sound, Stereo};
use crate::cpu;

/// Blocks in memory, shared by all lanes: 16 MiB.
pub(crate) const BLOCKS: usize = 256;

/// Of them, those that all hand-overs take at most: half of the blocks may wait for a commit, and a worker
/// that lags must leave the capture core some. What finds no place there is read from the disk.
const HANDED_OVER: usize = BLOCKS / 4;

/// What the workers share.
pub(crate) struct Setup<'a> {
    /// Where blocks come from.
    pub(crate) pool: &'a BlockPool,
    /// Where sealed blocks go, if they go to disk.
    pub(crate) journal: Option<&'a Journal>,
    /// What happens when no block is free.
    pub(crate) overflow: Overflow,
    /// How many workers.
    pub(crate) count: usize,
    /// How they mix and encode.
    pub(crate) config: WorkerConfig,
    /// Where recordings in the making lie.
    pub(crate) spool: &'a SpoolDirectory,
    /// Where finished ones go.
    pub(crate) store: &'a RecordingStore,
}

/// What the workers have done.
#[derive(Debug, Default)]
pub(crate) struct WorkersReport {
    /// What became of their packets.
    pub(crate) ledger: AudioLedger,
    /// CPU seconds of ordering, decoding and mixing.
    pub(crate) mix_seconds: f64,
    /// CPU seconds of encoding.
    pub(crate) encode_seconds: f64,
}

/// Running workers.
pub(crate) struct Workers {
    threads: Vec<JoinHandle<WorkersReport>>,
    /// What they do, in their order, while they do it.
    ledgers: Vec<Arc<SharedAudioLedger>>,
}

/// How recordings are made, as the command line or the configuration asks.
pub(crate) fn worker_config(sound: Sound, keep: Keep) -> WorkerConfig {
    let (layout, opus) = match (sound.channels, sound.stereo) {
        (Channels::Mono, _) => (ChannelLayout::Mono, OpusLayout::Mono),
        (Channels::Stereo, Stereo::Parties) => (ChannelLayout::Stereo, OpusLayout::Parties),
        (Channels::Stereo, Stereo::Coupled) => (ChannelLayout::Stereo, OpusLayout::Coupled),
    };
    let encoder = match sound.format {
        Format::Opus => EncoderConfig::ogg_opus(opus),
        Format::Wav => EncoderConfig::Wav { channels: layout },
    };
    let audio = AudioConfig { channels: layout, ..AudioConfig::default() };
    let recording = RecordingConfig::new(encoder);
    WorkerConfig { audio, recording, keep, cpu_seconds: cpu::thread_seconds }
}

/// One worker per core, unless a number is asked for.
pub(crate) fn worker_count(asked: u16) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        asked => usize::from(asked),
    }
}

impl Setup<'_> {
    /// A worker without calls.
    pub(crate) fn worker(&self) -> MediaWorker<DiskTarget> {
        MediaWorker::new(self.config.clone(), DiskTarget::new(self.spool.spool(), self.store.clone()))
    }

    /// Starts the threads; the lanes' other ends are for the capture core. `open` holds calls of
    /// an earlier run, `rows` gets each call that is done.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn start(
        &self,
        mut open: OpenCalls,
        rows: &(impl Rows + Clone + Send + 'static),
    ) -> Result<(Workers, Vec<BlockWriter>), String> {
        let mut lanes = Vec::new();
        let mut threads = Vec::new();
        let mut ledgers = Vec::new();
        for index in 0..self.count {
            let config = LaneConfig {
                core: 0,
                worker: index as u16,
                handover: (HANDED_OVER / self.count).max(2),
                overflow: self.overflow,
            };
            let (writer, mut reader) = lane(self.pool, self.journal, config);
            lanes.push(writer);
            let mut worker = self.worker();
            worker.adopt(&mut open, index as u32, self.count as u32);
            ledgers.push(worker.shared_ledger());
            if let Some(journal) = self.journal {
                worker.journalled_in(LaneKey { run: journal.run(), core: 0, worker: index as u16 });
            }
            let mut rows = rows.clone();
            let thread = std::thread::Builder::new().name(format!("media-{index}"));
            let spawned = thread.spawn(move || {
                worker_loop(&mut reader, &mut worker, &mut rows);
                let encode_seconds = worker.encode_seconds();
                let mix_seconds = (cpu::thread_seconds() - encode_seconds).max(0.0);
                WorkersReport { ledger: worker.ledger().clone(), mix_seconds, encode_seconds }
            });
            threads.push(spawned.map_err(|error| format!("cannot start a media worker: {error}"))?);
        }
        Ok((Workers { threads, ledgers }, lanes))
    }
}

impl Workers {
    /// What became of the packets so far, worker by worker.
    pub(crate) fn ledgers(&self) -> Vec<Arc<SharedAudioLedger>> {
        self.ledgers.clone()
    }

    /// Waits for all of them. The capture core, which holds the lanes' other ends, must be gone.
    pub(crate) fn join(self) -> WorkersReport {
        let mut sum = WorkersReport::default();
        for thread in self.threads {
            let report = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.ledger.add(&report.ledger);
            sum.mix_seconds += report.mix_seconds;
            sum.encode_seconds += report.encode_seconds;
        }
        sum
    }
}
