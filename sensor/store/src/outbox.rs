//! The outbox: events on their way to control, durable, in order, at least once.
//!
//! Its size on disk is bounded. When control is away for so long that the limit is reached, what
//! a call's `recorded` event repeats anyway goes first: `updated` events are taken out of the
//! oldest files, then `started` and `ended` ones, and new ones of those kinds are refused. A
//! `recorded` event is never taken out and never refused, whatever the limit.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Sender, bounded};
use nightjar_schema::{Event, EventKind};

use crate::durable::Durability;
use crate::error::StoreError;
use crate::outbox_files::{FILE_BYTES, Place, file_path, list_files, read_cursor};
use crate::outbox_reader::OutboxReader;

/// The smallest limit that an outbox can keep, in bytes.
pub const OUTBOX_SMALLEST_LIMIT: u64 = 4 * FILE_BYTES as u64;

/// Where the outbox lies and how large it may become.
#[derive(Clone, Debug)]
pub struct OutboxConfig {
    /// Its folder; made when it is missing.
    pub directory: PathBuf,
    /// Bytes on disk, at least [`OUTBOX_SMALLEST_LIMIT`]. `recorded` events may exceed it.
    pub limit_bytes: u64,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// It is in the outbox.
    Taken,
    /// The limit is reached, and the call's `recorded` event will say what it would have said.
    Refused,
}

/// The outbox's counters. All but `pending` and `used` count from the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxFigures {
    /// Committed events that control does not have yet.
    pub pending: u64,
    /// Events that control has taken.
    pub delivered: u64,
    /// Events that control will never take, set aside in `rejected.ndjson`.
    pub rejected: u64,
    /// Events that were not taken because the limit is reached.
    pub refused: u64,
    /// Events that were taken out again because the limit is reached.
    pub compacted: u64,
    /// Bytes on disk.
    pub used: u64,
}

/// What writer and reader share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Behind the last committed line, packed. Written by the writer.
    pub end: AtomicU64,
    /// See [`OutboxFigures`].
    pub pending: AtomicU64,
    /// See [`OutboxFigures`].
    pub delivered: AtomicU64,
    /// See [`OutboxFigures`].
    pub rejected: AtomicU64,
    /// See [`OutboxFigures`].
    pub refused: AtomicU64,
    /// See [`OutboxFigures`].
    pub compacted: AtomicU64,
    /// See [`OutboxFigures`].
    pub used: AtomicU64,
    /// The limit.
    pub limit: u64,
}

impl Shared {
    /// The counters now.
    pub fn figures(&self) -> OutboxFigures {
        let read = |word: &AtomicU64| word.load(Ordering::Relaxed);
        OutboxFigures {
            pending: read(&self.pending),
            delivered: read(&self.delivered),
            rejected: read(&self.rejected),
            refused: read(&self.refused),
            compacted: read(&self.compacted),
            used: read(&self.used),
        }
    }

    /// Behind the last committed line.
    pub fn end(&self) -> Place {
        Place::unpack(self.end.load(Ordering::Acquire))
    }
}

/// Opens the outbox: the end that takes events and the end that gives them to an uploader. A last
/// line that a crash has torn is cut off.
///
/// # Errors
/// When the limit is too small or the folder cannot be used.
pub fn open_outbox(config: &OutboxConfig) -> Result<(OutboxWriter, OutboxReader), StoreError> {
    if config.limit_bytes < OUTBOX_SMALLEST_LIMIT {
        let fault = format!("the outbox's limit must be at least {OUTBOX_SMALLEST_LIMIT} bytes");
        return Err(StoreError::Config(fault));
    }
    let directory = &config.directory;
    fs::create_dir_all(directory).map_err(StoreError::file("create", directory))?;
    let files = list_files(directory)?;
    let last = files.last().copied().unwrap_or(0);
    let (file, len) = open_last(directory, last)?;
    let end = Place { file: last, offset: len };

    let first = Place { file: files.first().copied().unwrap_or(0), offset: 0 };
    let cursor = read_cursor(directory).unwrap_or(first).clamp(first, end);
    let (used, pending) = measure(directory, &files, cursor)?;
    let shared = Arc::new(Shared {
        end: AtomicU64::new(end.pack()),
        pending: AtomicU64::new(pending),
        delivered: AtomicU64::new(0),
        rejected: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        compacted: AtomicU64::new(0),
        used: AtomicU64::new(used),
        limit: config.limit_bytes,
    });
    let (wake, woken) = bounded(1);
    let reader = OutboxReader::new(directory.clone(), cursor, Arc::clone(&shared), woken);
    let directory = directory.clone();
    Ok((OutboxWriter { directory, file, end, uncommitted: 0, shared, wake }, reader))
}

/// The end of the outbox that takes events.
#[derive(Debug)]
pub struct OutboxWriter {
    /// The folder.
    directory: PathBuf,
    /// The last file, at its end.
    file: File,
    /// Behind the last line.
    end: Place,
    /// Events since the last commit.
    uncommitted: u64,
    /// What the reader sees.
    shared: Arc<Shared>,
    /// Tells the uploader that there is something.
    wake: Sender<()>,
}

impl OutboxWriter {
    /// Appends an event. It is delivered after the next commit.
    ///
    /// # Errors
    /// When the disk refuses; the outbox then ends with its last whole line.
    pub fn append(&mut self, event: &Event) -> Result<EventOutcome, StoreError> {
        let full = self.shared.used.load(Ordering::Relaxed) >= self.shared.limit;
        if full && event.kind != EventKind::Recorded {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(EventOutcome::Refused);
        }
        let mut line =
            serde_json::to_vec(event).map_err(|source| StoreError::Json { what: "an event", source })?;
        line.push(b'\n');
        if self.end.offset >= FILE_BYTES {
            self.next_file()?;
        }
        let path = file_path(&self.directory, self.end.file);
        if let Err(error) = self.file.write_all(&line) {
            // A full disk may have taken a part of the line.
            let _ = self.file.set_len(u64::from(self.end.offset));
            return Err(StoreError::file("write", &path)(error));
        }
        self.end.offset += line.len() as u32;
        self.uncommitted += 1;
        self.shared.used.fetch_add(line.len() as u64, Ordering::Relaxed);
        Ok(EventOutcome::Taken)
    }

    /// Makes the events so far durable and lets the uploader have them; costs nothing when there
    /// are no new ones.
    ///
    /// # Errors
    /// When the disk refuses; the uploader gets the events with the next commit that succeeds.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.uncommitted == 0 {
            return Ok(());
        }
        let path = file_path(&self.directory, self.end.file);
        Durability::PowerLoss.sync(&self.file).map_err(StoreError::file("sync", &path))?;
        self.shared.pending.fetch_add(self.uncommitted, Ordering::Relaxed);
        self.uncommitted = 0;
        self.shared.end.store(self.end.pack(), Ordering::Release);
        // Full: it is awake already. Disconnected: no uploader.
        let _ = self.wake.try_send(());
        Ok(())
    }

    /// The counters now.
    pub fn figures(&self) -> OutboxFigures {
        self.shared.figures()
    }

    /// Commits the full file and begins the next one.
    fn next_file(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        let number = self.end.file + 1;
        let (file, len) = open_last(&self.directory, number)?;
        (self.file, self.end) = (file, Place { file: number, offset: len });
        Ok(())
    }
}

/// Opens the file that takes lines, and cuts off a torn one at its end.
fn open_last(directory: &Path, number: u32) -> Result<(File, u32), StoreError> {
    let path = file_path(directory, number);
    let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
    let file = file.map_err(StoreError::file("open", &path))?;
    Durability::PowerLoss.sync_folder(directory).map_err(StoreError::file("sync", directory))?;
    let bytes = fs::read(&path).map_err(StoreError::file("read", &path))?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64).map_err(StoreError::file("shorten", &path))?;
    }
    let len = u32::try_from(whole)
        .map_err(|_| StoreError::Config(format!("{} is no outbox file", path.display())))?;
    Ok((file, len))
}

/// Bytes of all files, and lines at or behind the cursor.
fn measure(directory: &Path, files: &[u32], cursor: Place) -> Result<(u64, u64), StoreError> {
    let (mut used, mut pending) = (0, 0);
    for &number in files {
        let path = file_path(directory, number);
        let bytes = fs::read(&path).map_err(StoreError::file("read", &path))?;
        used += bytes.len() as u64;
        let from = match number.cmp(&cursor.file) {
            std::cmp::Ordering::Less => bytes.len(),
            std::cmp::Ordering::Equal => bytes.len().min(cursor.offset as usize),
            std::cmp::Ordering::Greater => 0,
        };
        pending += bytes[from..].iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
    Ok((used, pending))
}
