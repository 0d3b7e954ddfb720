//! The journal on disk as the rest of the sensor sees it: start, status, end. One per disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use thiserror::Error;

use crate::block::BLOCK_BYTES;
use crate::commit::Committer;
use crate::disk::{self, Disk, Durability, FileSystem, PAGE};
use crate::lane::Sealed;
use crate::pool::BlockPool;
use crate::segment::{SENSOR_NAME_LIMIT, SegmentPosition};
use crate::status::{JournalFigures, JournalState, Status};

/// What the journal needs to know. Checked by [`SegmentWriter::start`].
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Where the segments lie; made when it is missing.
    pub directory: PathBuf,
    /// The sensor's name, for the segments' headers.
    pub sensor: String,
    /// Bytes of a segment: a multiple of 4096, at least 256 KiB.
    pub segment_bytes: u32,
    /// Bytes that all segments may take together: at least two segments.
    pub limit_bytes: u64,
    /// The first new segment has at least this number: whoever has noted a place in a run knows it
    /// from any later run's, even if somebody has removed the segments.
    pub first_segment: u32,
}

impl JournalConfig {
    /// A journal of 64 MiB segments in `directory`, limited to `limit_bytes`.
    pub fn new(directory: impl Into<PathBuf>, sensor: impl Into<String>, limit_bytes: u64) -> JournalConfig {
        let (directory, sensor) = (directory.into(), sensor.into());
        JournalConfig { directory, sensor, segment_bytes: 64 << 20, limit_bytes, first_segment: 0 }
    }

    /// Every limit that is not met, the first of them.
    fn check(&self) -> Result<(), JournalError> {
        let smallest = 4 * BLOCK_BYTES as u32;
        if self.segment_bytes < smallest || !self.segment_bytes.is_multiple_of(PAGE as u32) {
            let fault = format!("segment_bytes must be a multiple of {PAGE} and at least {smallest}");
            return Err(JournalError::Config(fault));
        }
        if self.limit_bytes < 2 * u64::from(self.segment_bytes) {
            let fault = format!("limit_bytes must hold two segments of {} bytes", self.segment_bytes);
            return Err(JournalError::Config(fault));
        }
        if self.sensor.len() > SENSOR_NAME_LIMIT {
            let fault = format!("the sensor's name must not be longer than {SENSOR_NAME_LIMIT} bytes");
            return Err(JournalError::Config(fault));
        }
        Ok(())
    }
}

/// Why the journal could not be started or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// A setting is impossible.
    #[error("journal: {0}")]
    Config(String),
    /// The directory refused something.
    #[error("journal directory {path}: {source}; the sensor's user needs read and write access to it")]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The thread could not be started.
    #[error("journal thread: {0}")]
    Thread(std::io::Error),
}

/// To the segment writer's thread.
pub(crate) enum Message {
    /// A block to write.
    Sealed(Sealed),
    /// Write what came before, commit, end.
    Stop,
}

/// The journal as lanes and watchers know it; a clone is another handle to the same one.
#[derive(Clone)]
pub struct Journal {
    /// To the segment writer.
    pub(crate) sender: Sender<Message>,
    /// What it says of itself.
    pub(crate) status: Arc<Status>,
    /// Where the segments lie.
    pub(crate) directory: Arc<Path>,
    /// What a power cut does to them.
    durability: Durability,
    /// The first segment of this run.
    run: u32,
}

impl Journal {
    /// Without a thread behind it.
    #[cfg(test)]
    pub(crate) fn for_tests(sender: Sender<Message>, status: Arc<Status>, directory: &Path) -> Journal {
        let (directory, durability) = (Arc::from(directory), Durability::PowerLoss);
        Journal { sender, status, directory, durability, run: 0 }
    }

    /// How the disk is doing.
    pub fn state(&self) -> JournalState {
        self.status.state()
    }

    /// The counters now.
    pub fn figures(&self) -> JournalFigures {
        self.status.figures()
    }

    /// Where the next block will be written.
    pub fn position(&self) -> SegmentPosition {
        self.status.written()
    }

    /// Tells this run's blocks from those of other runs, as [`crate::RecoveredBlock::run`] does.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// What the journal survives: on a tmpfs a killed process, not a power cut.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// What [`crate::recover`] yielded is not needed any more: the segments of earlier runs are
    /// removed at the next commit interval.
    pub fn forget_recovered(&self) {
        self.status.forget_recovered.store(true, Ordering::Release);
    }
}

/// The thread that writes the segments; the only writer in its directory.
pub struct SegmentWriter {
    /// What everybody else holds.
    journal: Journal,
    /// The thread.
    thread: JoinHandle<()>,
}

impl SegmentWriter {
    /// Starts the thread for lanes whose blocks come from `pool`. Segments that are there already
    /// stay until [`Journal::forget_recovered`]; new ones are numbered behind them.
    ///
    /// # Errors
    /// When a setting is impossible or the directory cannot be used. A full disk is no error
    /// here: it is a state, see [`Journal::state`].
    pub fn start(config: JournalConfig, pool: &BlockPool) -> Result<SegmentWriter, JournalError> {
        SegmentWriter::start_on(Box::new(FileSystem), config, pool)
    }

    /// As [`SegmentWriter::start`], on a disk of the caller's.
    pub(crate) fn start_on(
        disk: Box<dyn Disk>,
        config: JournalConfig,
        pool: &BlockPool,
    ) -> Result<SegmentWriter, JournalError> {
        config.check()?;
        let directory: Arc<Path> = Arc::from(config.directory.as_path());
        let refused = |source| JournalError::Directory { path: directory.to_path_buf(), source };
        std::fs::create_dir_all(&directory).map_err(refused)?;
        let durability = disk::durability(&directory).map_err(refused)?;
        let status = Arc::new(Status::default());
        let committer = Committer::new(disk, config, pool.limit(), Arc::clone(&status), Instant::now())
            .map_err(refused)?;
        let first = committer.run();
        // One message per block of the pool and one to stop: a send never waits.
        let (sender, receiver) = bounded(pool.limit() + 1);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(committer, &receiver))
            .map_err(JournalError::Thread)?;
        let journal = Journal { sender, status, directory: Arc::clone(&directory), durability, run: first };
        Ok(SegmentWriter { journal, thread })
    }

    /// For lanes and watchers.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Writes and commits every block that was sealed before, and ends the thread. Close the lanes
    /// first: blocks sealed later are lost, and counted so.
    ///
    /// # Panics
    /// When the thread has panicked.
    pub fn finish(self) -> JournalFigures {
        // Fails only when the thread has panicked, and then the join says so.
        let _ = self.journal.sender.send(Message::Stop);
        assert!(self.thread.join().is_ok(), "the journal's thread panicked");
        self.journal.figures()
    }
}

/// The thread: blocks as they come, flushes and commits by the clock.
fn run(mut committer: Committer, messages: &Receiver<Message>) {
    loop {
        match messages.recv_deadline(committer.deadline()) {
            Ok(Message::Sealed(sealed)) => committer.accept(sealed, Instant::now()),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                return committer.finish(Instant::now());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        committer.tick(Instant::now());
        committer.count_uncommitted();
    }
}
