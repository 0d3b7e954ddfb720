//! Recording in a replay: lanes, media workers, and the thread that writes rows in order.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use nightjar_journal::{BlockPool, JournalConfig, Overflow, SegmentWriter, SpoolDirectory};
use nightjar_pipeline::{Finished, InOrder, Journalled, Keep, OpenCalls, Rows, Unwatched};
use nightjar_store::{Durability, RecordingStore};
use uuid::Uuid;

use super::rows::RowWriter;
use crate::args::{Mode, Replay, Sound};
use crate::cpu;
use crate::summary::Summary;
use crate::workers::{BLOCKS, Setup, Workers, worker_config, worker_count};

/// The largest journal that a replay writes.
const JOURNAL_LIMIT: u64 = 1 << 40;

/// Finished calls that wait to be written.
const FINISHED: usize = 1024;

/// The threads behind the capture core.
pub(super) struct Recorder {
    mode: Mode,
    workers: Workers,
    rows: JoinHandle<RowsReport>,
    journal: Option<SegmentWriter>,
    spool: PathBuf,
}

/// The workers' end of the way to the rows' thread. A replay can be done again: a row is as good as
/// written once it is on its way.
#[derive(Clone)]
struct ToWriter(Sender<Finished>);

impl Rows for ToWriter {
    fn finish(&mut self, done: Finished) {
        // Who receives lives until the last worker has ended.
        let _ = self.0.send(done);
    }

    fn is_durable(&mut self, _call: Uuid) -> bool {
        true
    }

    fn commit(&mut self) {}
}

/// What the rows' thread says when it ends.
struct RowsReport {
    rows: RowWriter,
    errors: Vec<String>,
    cpu_seconds: f64,
}

impl Recorder {
    /// Starts the threads; the output is for the capture core.
    ///
    /// # Errors
    /// When the output folder cannot be used.
    pub(super) fn start(
        args: &Replay,
        sound: Sound,
        rows: RowWriter,
    ) -> Result<(Recorder, Journalled<Unwatched>), String> {
        let pool = BlockPool::new(BLOCKS);
        let (journal, keep) = match args.mode {
            Mode::Journal => (Some(start_journal(&args.out, &args.sensor, &pool)?), Keep::RowsOnly),
            Mode::Record | Mode::Analyse => (None, Keep::Audio),
        };
        let store = RecordingStore::new(&args.out, Durability::Process).map_err(|error| error.to_string())?;
        let spool = args.out.join(".spool");
        let (directory, _) = SpoolDirectory::open(&spool).map_err(|error| error.to_string())?;
        let setup = Setup {
            pool: &pool,
            journal: journal.as_ref().map(SegmentWriter::journal),
            overflow: Overflow::Wait,
            count: worker_count(args.workers),
            config: worker_config(sound, keep),
            spool: &directory.without_sync(),
            store: &store,
        };
        let (finished_to, finished) = bounded(FINISHED);
        let (workers, lanes) = setup.start(OpenCalls::default(), &ToWriter(finished_to))?;
        let rows = std::thread::spawn(move || write_rows(&finished, rows));
        Ok((
            Recorder { mode: args.mode, workers, rows, journal, spool },
            Journalled::new(lanes, Unwatched, false),
        ))
    }

    /// Waits for the threads and adds what they did to the summary. The capture core must be gone.
    pub(super) fn finish(self, summary: &mut Summary) {
        summary.set_workers(self.workers.join());
        let written = self.rows.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        summary.cpu_seconds.store = written.cpu_seconds;
        summary.errors.extend(written.errors);
        // Empty by now; what a fault has left in it is of no use, and takes room that rows need.
        let _ = std::fs::remove_dir_all(&self.spool);
        written.rows.finish(summary);
        if self.mode != Mode::Record {
            summary.audio_packets = None;
        }
        if let Some(journal) = self.journal {
            summary.set_journal(&journal.finish());
        }
    }
}

fn start_journal(out: &Path, sensor: &str, pool: &BlockPool) -> Result<SegmentWriter, String> {
    let directory = out.join("journal");
    // A replay's journal is made anew, like its calls.jsonl.
    match std::fs::remove_dir_all(&directory) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(super::cannot_write(&directory, &error)),
    }
    let config = JournalConfig::new(directory, sensor, JOURNAL_LIMIT);
    SegmentWriter::start(config, pool).map_err(|error| error.to_string())
}

fn write_rows(finished: &Receiver<Finished>, mut rows: RowWriter) -> RowsReport {
    let mut in_order = InOrder::default();
    // A disk that is full fails every recording from then on: one message is enough.
    let (mut errors, mut failed) = (Vec::new(), 0u64);
    for done in finished {
        failed += u64::from(done.error.is_some());
        errors.extend(done.error.filter(|_| failed == 1));
        for row in in_order.add(done.order, done.row) {
            rows.write(&row);
        }
    }
    if failed > 1 {
        errors.push(format!("{} more calls could not be recorded whole either", failed - 1));
    }
    RowsReport { rows, errors, cpu_seconds: cpu::thread_seconds() }
}
