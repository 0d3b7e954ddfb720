//! `calls.jsonl`: one line per final call. A line is there whole or not at all, and a call that
//! is finished twice (before and after a crash) is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nightjar_schema::{Call, RecordingState};
use serde::Deserialize;
use uuid::Uuid;

use crate::durable::Durability;
use crate::error::StoreError;

/// Calls whose revisions are known. Beyond it the oldest are forgotten: a call that a crash has
/// interrupted is among the newest.
const HELD_LIMIT: usize = 1_000_000;

/// Bytes at the file's end that are read at the start.
const SCAN_LIMIT: u64 = 1 << 30;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// It was written.
    Written,
    /// The call is there already, in this or a later revision.
    AlreadyHeld,
}

/// What identifies a row.
#[derive(Deserialize)]
struct Key {
    id: Uuid,
    revision: u32,
    #[serde(default)]
    recordings: Vec<State>,
}

/// Of a recording only this.
#[derive(Deserialize)]
struct State {
    state: RecordingState,
}

/// Whether a recording of the call is not stored.
fn has_pending(call: &Call) -> bool {
    call.recordings.iter().any(|recording| recording.state == RecordingState::Pending)
}

/// The file. One writer per output folder.
#[derive(Debug)]
pub struct CallsFile {
    /// Its path.
    path: PathBuf,
    /// The file, at its end.
    file: File,
    /// Its length.
    len: u64,
    /// The newest calls in it and their revisions. A call's id begins with its time.
    held: BTreeMap<Uuid, u32>,
    /// Those of them whose recordings are not stored.
    pending: BTreeSet<Uuid>,
    /// Bytes of a torn last line that were cut off at the start.
    cut: u64,
    /// What a committed row is to survive.
    durability: Durability,
    /// Something was written since the last commit.
    dirty: bool,
}

impl CallsFile {
    /// Opens `calls.jsonl` in the output folder, made when it is missing. A last line that a crash
    /// has torn is cut off.
    ///
    /// # Errors
    /// When the folder or file cannot be made, read or written.
    pub fn open(out_dir: &Path, durability: Durability) -> Result<CallsFile, StoreError> {
        fs::create_dir_all(out_dir).map_err(StoreError::file("create", out_dir))?;
        let path = out_dir.join("calls.jsonl");
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = file.map_err(StoreError::file("open", &path))?;
        durability.sync_folder(out_dir).map_err(StoreError::file("sync", out_dir))?;
        let (held, pending) = (BTreeMap::new(), BTreeSet::new());
        let mut calls = CallsFile { path, file, len: 0, held, pending, cut: 0, durability, dirty: false };
        calls.scan()?;
        Ok(calls)
    }

    /// The revision in which a call is there; `None` when it is not (or is very old).
    pub fn held(&self, call: Uuid) -> Option<u32> {
        self.held.get(&call).copied()
    }

    /// True for a call that is there with all of its recordings: nothing of it is to be made any more.
    pub fn is_done(&self, call: Uuid) -> bool {
        self.held.contains_key(&call) && !self.pending.contains(&call)
    }

    /// A call whose recording has been stored after all, by whoever did not know that a row without
    /// it had been written, gets a revision that wins over that one.
    pub fn raise_revision(&self, call: &mut Call) {
        if let Some(held) = self.held(call.id)
            && self.pending.contains(&call.id)
            && !call.recordings.is_empty()
            && !has_pending(call)
        {
            call.revision = call.revision.max(held + 1);
        }
    }

    /// Bytes of a torn last line that were cut off at the start.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Appends a call's row, unless the call is there in this or a later revision. A later one is
    /// one more line; the highest wins.
    ///
    /// # Errors
    /// When the disk refuses; the file then ends with its last whole line.
    pub fn append(&mut self, call: &Call) -> Result<RowOutcome, StoreError> {
        if self.held(call.id).is_some_and(|held| held >= call.revision) {
            return Ok(RowOutcome::AlreadyHeld);
        }
        let mut line =
            serde_json::to_vec(call).map_err(|source| StoreError::Json { what: "a call", source })?;
        line.push(b'\n');
        self.write(&line)?;
        self.hold(call.id, call.revision, has_pending(call));
        Ok(RowOutcome::Written)
    }

    /// Makes the rows so far durable; costs nothing when there are no new ones.
    ///
    /// # Errors
    /// When the disk refuses. Whether the rows are durable is then unknown.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.dirty {
            self.durability.sync(&self.file).map_err(StoreError::file("sync", &self.path))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Appends bytes, all or none.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.dirty = true;
        if let Err(error) = self.file.write_all(bytes) {
            // A full disk may have taken a part of the line.
            let _ = self.file.set_len(self.len);
            return Err(StoreError::file("write", &self.path)(error));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Remembers a call.
    fn hold(&mut self, call: Uuid, revision: u32, is_pending: bool) {
        let held = self.held.entry(call).or_default();
        if revision >= *held {
            *held = revision;
            if is_pending {
                self.pending.insert(call)
            } else {
                self.pending.remove(&call)
            };
        }
        if self.held.len() > HELD_LIMIT
            && let Some((oldest, _)) = self.held.pop_first()
        {
            self.pending.remove(&oldest);
        }
    }

    /// Reads the end of the file and puts a torn last line right.
    fn scan(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let mut file = File::open(&path).map_err(StoreError::file("open", &path))?;
        let read = |error| StoreError::file("read", &path)(error);
        self.len = file.metadata().map_err(read)?.len();
        let start = self.len.saturating_sub(SCAN_LIMIT);
        file.seek(SeekFrom::Start(start)).map_err(read)?;
        let mut lines = BufReader::with_capacity(1 << 20, file.take(self.len - start));
        let (mut line, mut at) = (Vec::new(), start);
        loop {
            line.clear();
            let count = lines.read_until(b'\n', &mut line).map_err(read)? as u64;
            if count == 0 {
                return Ok(());
            }
            // The first line may be the rest of one, and then it does not parse.
            if let Ok(key) = serde_json::from_slice::<Key>(&line) {
                self.hold(
                    key.id,
                    key.revision,
                    key.recordings.iter().any(|r| r.state == RecordingState::Pending),
                );
            }
            if line.last() != Some(&b'\n') {
                return self.mend(at, &line);
            }
            at += count;
        }
    }

    /// The last line has no end: it gets one when it is whole, else it goes.
    fn mend(&mut self, at: u64, line: &[u8]) -> Result<(), StoreError> {
        if serde_json::from_slice::<Call>(line).is_ok() {
            return self.write(b"\n");
        }
        self.file.set_len(at).map_err(StoreError::file("shorten", &self.path))?;
        (self.cut, self.len, self.dirty) = (line.len() as u64, at, true);
        Ok(())
    }
}
