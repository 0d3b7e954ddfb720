//! The end of the outbox that gives events to the uploader, and makes room when control is away.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;
use nightjar_schema::{EventKind, Recording, RecordingState};
use serde::Deserialize;
use uuid::Uuid;

use crate::durable::{Durability, replace};
use crate::error::StoreError;
use crate::outbox::{OutboxFigures, Shared};
use crate::outbox_files::{Place, file_path, list_files, write_cursor};
use crate::rejected::RejectedFile;

/// Bytes of a batch, unless its first line alone is longer.
const BATCH_BYTES: usize = 2 << 20;

/// What the uploader needs to know of an event.
#[derive(Debug, Deserialize)]
pub(crate) struct Outline {
    /// What happened.
    pub kind: EventKind,
    /// To which call.
    pub call: CallOutline,
}

/// What the uploader needs to know of a call.
#[derive(Debug, Deserialize)]
pub(crate) struct CallOutline {
    /// Its id.
    pub id: Uuid,
    /// Its files.
    #[serde(default)]
    pub recordings: Vec<Recording>,
}

/// An event that is to be delivered.
#[derive(Debug)]
pub(crate) struct PendingEvent {
    /// Its line, with its end.
    pub line: Vec<u8>,
    /// Behind it.
    pub end: Place,
    /// What it says; `None` when it cannot be read.
    pub outline: Option<Outline>,
}

impl PendingEvent {
    /// The files that control must have before the event.
    pub fn uploads(&self) -> impl Iterator<Item = (Uuid, &Recording)> {
        let outline = self.outline.iter().filter(|outline| outline.kind == EventKind::Recorded);
        outline.flat_map(|outline| {
            let stored =
                outline.call.recordings.iter().filter(|recording| recording.state == RecordingState::Final);
            stored.map(|recording| (outline.call.id, recording))
        })
    }
}

/// How much was taken out of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Compaction {
    /// `updated` events.
    Updates,
    /// All but `recorded` events.
    AllButRecorded,
}

/// Reads the outbox from its cursor on. One uploader has it.
#[derive(Debug)]
pub struct OutboxReader {
    /// The folder.
    directory: PathBuf,
    /// Before the first event that control does not have.
    cursor: Place,
    /// What the writer says, and the counters.
    pub(crate) shared: Arc<Shared>,
    /// The writer has committed something.
    pub(crate) woken: Receiver<()>,
    /// Files that were compacted, and how far.
    compacted: BTreeMap<u32, Compaction>,
    /// Where rejected events go.
    rejected: RejectedFile,
}

impl OutboxReader {
    /// From `cursor` on.
    pub(crate) fn new(
        directory: PathBuf,
        cursor: Place,
        shared: Arc<Shared>,
        woken: Receiver<()>,
    ) -> OutboxReader {
        let rejected = RejectedFile::new(&directory);
        OutboxReader { directory, cursor, shared, woken, compacted: BTreeMap::new(), rejected }
    }

    /// The counters now.
    pub fn figures(&self) -> OutboxFigures {
        self.shared.figures()
    }

    /// The next events, in order, `most` at most; none when everything is delivered.
    pub(crate) fn batch(&mut self, most: usize) -> Result<Vec<PendingEvent>, StoreError> {
        let end = self.shared.end();
        let mut events = Vec::new();
        while self.cursor < end && events.is_empty() {
            let path = file_path(&self.directory, self.cursor.file);
            let limit = if self.cursor.file == end.file { end.offset } else { u32::MAX };
            match File::open(&path) {
                Ok(file) => {
                    events = read_lines(file, self.cursor, limit, most)
                        .map_err(StoreError::file("read", &path))?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::file("open", &path)(error)),
            }
            if events.is_empty() {
                if self.cursor.file >= end.file {
                    break;
                }
                self.advance(Place { file: self.cursor.file + 1, offset: 0 })?;
            }
        }
        Ok(events)
    }

    /// Control has these events, the next ones in order.
    pub(crate) fn delivered(&mut self, events: &[PendingEvent]) -> Result<(), StoreError> {
        let Some(last) = events.last() else { return Ok(()) };
        self.shared.delivered.fetch_add(events.len() as u64, Ordering::Relaxed);
        self.shared.pending.fetch_sub(events.len() as u64, Ordering::Relaxed);
        self.advance(last.end)
    }

    /// Control will never take this event, the next in order.
    pub(crate) fn reject(&mut self, event: &PendingEvent, reason: &str) -> Result<(), StoreError> {
        self.rejected.append(&event.line, reason)?;
        self.shared.rejected.fetch_add(1, Ordering::Relaxed);
        self.shared.pending.fetch_sub(1, Ordering::Relaxed);
        self.advance(event.end)
    }

    /// Takes events out that are not worth their place, when the limit is reached.
    pub(crate) fn make_room(&mut self) -> Result<(), StoreError> {
        if self.shared.used.load(Ordering::Relaxed) < self.shared.limit {
            return Ok(());
        }
        for compaction in [Compaction::Updates, Compaction::AllButRecorded] {
            for number in list_files(&self.directory)? {
                if self.shared.used.load(Ordering::Relaxed) < self.shared.limit {
                    return Ok(());
                }
                // The cursor's file has offsets that are in use, the last file a writer.
                let inner = number > self.cursor.file && number < self.shared.end().file;
                if inner && self.compacted.get(&number).is_none_or(|done| *done < compaction) {
                    self.compact(number, compaction)?;
                    self.compacted.insert(number, compaction);
                }
            }
        }
        Ok(())
    }

    /// Takes events out of one file.
    fn compact(&self, number: u32, compaction: Compaction) -> Result<(), StoreError> {
        let path = file_path(&self.directory, number);
        let bytes = fs::read(&path).map_err(StoreError::file("read", &path))?;
        let mut kept = Vec::with_capacity(bytes.len());
        let mut taken_out = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let kind = serde_json::from_slice::<Outline>(line).map(|outline| outline.kind);
            let goes = match kind {
                Ok(EventKind::Updated) => true,
                Ok(EventKind::Started | EventKind::Ended) => compaction == Compaction::AllButRecorded,
                Ok(EventKind::Recorded) | Err(_) => false,
            };
            if goes {
                taken_out += 1;
            } else {
                kept.extend_from_slice(line);
            }
        }
        if taken_out == 0 {
            return Ok(());
        }
        replace(&path, &kept, Durability::PowerLoss)?;
        self.shared.used.fetch_sub((bytes.len() - kept.len()) as u64, Ordering::Relaxed);
        self.shared.compacted.fetch_add(taken_out, Ordering::Relaxed);
        self.shared.pending.fetch_sub(taken_out, Ordering::Relaxed);
        Ok(())
    }

    /// Moves the cursor, and removes the files behind it.
    fn advance(&mut self, place: Place) -> Result<(), StoreError> {
        let passed = self.cursor.file..place.file;
        self.cursor = place;
        write_cursor(&self.directory, place)?;
        for number in passed {
            self.compacted.remove(&number);
            let path = file_path(&self.directory, number);
            let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            match fs::remove_file(&path) {
                Ok(()) => {
                    self.shared.used.fetch_sub(bytes, Ordering::Relaxed);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::file("remove", &path)(error)),
            }
        }
        Ok(())
    }
}

/// Reads whole lines from `from` on that end at or before `limit`.
fn read_lines(mut file: File, from: Place, limit: u32, most: usize) -> std::io::Result<Vec<PendingEvent>> {
    file.seek(SeekFrom::Start(u64::from(from.offset)))?;
    let mut lines = BufReader::with_capacity(64 << 10, file);
    let (mut events, mut at, mut bytes) = (Vec::new(), from, 0);
    while events.len() < most && at.offset < limit {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        bytes += line.len();
        if bytes > BATCH_BYTES && !events.is_empty() {
            break;
        }
        at.offset += line.len() as u32;
        let outline = serde_json::from_slice(&line).ok();
        events.push(PendingEvent { line, end: at, outline });
    }
    Ok(events)
}
