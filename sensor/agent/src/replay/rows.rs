//! calls.jsonl of a replay: a fresh file each time, so that the same capture gives the same file.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nightjar_schema::Call;

use super::cannot_write;
use crate::summary::{CallCounts, Summary};

/// Bytes that are written at a time.
const CHUNK: usize = 64 << 10;
/// Rows that wait for room on a full disk, in bytes; what is more is lost.
const MAX_PENDING: usize = 64 << 20;

/// Writes rows and counts them. A full disk leaves whole rows behind, and the rest may still be
/// written when room was made: by the spool's end, for one.
pub(super) struct RowWriter {
    path: PathBuf,
    file: File,
    /// Whole rows in the file, in bytes.
    written: u64,
    /// Rows that are not in the file yet.
    pending: Vec<u8>,
    counts: CallCounts,
    /// Why a row is lost.
    error: Option<String>,
}

impl RowWriter {
    /// Makes the folder and begins the file.
    ///
    /// # Errors
    /// What is wrong with the folder, in plain words.
    pub(super) fn create(out: &Path) -> Result<RowWriter, String> {
        std::fs::create_dir_all(out).map_err(|error| cannot_write(out, &error))?;
        let path = out.join("calls.jsonl");
        let file = File::create(&path).map_err(|error| cannot_write(&path, &error))?;
        Ok(RowWriter::onto(file, path))
    }

    fn onto(file: File, path: PathBuf) -> RowWriter {
        let (written, pending) = (0, Vec::new());
        RowWriter { path, file, written, pending, counts: CallCounts::default(), error: None }
    }

    /// Writes one final row.
    pub(super) fn write(&mut self, row: &Call) {
        self.counts.add(row);
        if self.error.is_some() {
            return;
        }
        if let Err(error) = serde_json::to_writer(&mut self.pending, row) {
            self.error = Some(cannot_write(&self.path, &error.into()));
            return;
        }
        self.pending.push(b'\n');
        if self.pending.len() >= CHUNK
            && let Err(error) = self.flush()
            && self.pending.len() >= MAX_PENDING
        {
            self.error = Some(cannot_write(&self.path, &error));
        }
    }

    /// Writes what is pending. When that fails, no half row stays in the file.
    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.write_all(&self.pending);
        let whole = if result.is_ok() {
            self.pending.len()
        } else {
            let end = self.file.stream_position()?;
            let there = usize::try_from(end - self.written).unwrap_or(0).min(self.pending.len());
            self.pending[..there].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
        };
        self.written += whole as u64;
        self.pending.drain(..whole);
        if result.is_err() {
            self.file.set_len(self.written)?;
            self.file.seek(SeekFrom::Start(self.written))?;
        }
        result
    }

    /// Closes the file and hands the counts over.
    pub(super) fn finish(mut self, summary: &mut Summary) {
        if let Err(error) = self.flush() {
            self.error.get_or_insert(cannot_write(&self.path, &error));
        }
        summary.set_calls(self.counts);
        summary.errors.extend(self.error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::io::Read;

    fn row(number: u64) -> Call {
        let row = serde_json::json!({
            "schema": 1, "revision": 1, "id": uuid::Uuid::from_u128(number.into()), "protocol": "sip",
            "call_ids": ["a@b"], "source": {"kind": "mirror", "sensor": "s1", "realm": 0},
            "direction": "inbound", "state": "completed", "started_at": "2026-01-31T23:59:59.5Z",
            "begun_before_capture": false, "decision": {"action": "record"},
        });
        serde_json::from_value(row).unwrap()
    }

    /// A file that takes no more than so many bytes.
    fn small_file(bytes: u64) -> File {
        let file = File::from(memfd_create("rows", MemfdFlags::ALLOW_SEALING).unwrap());
        file.set_len(bytes).unwrap();
        fcntl_add_seals(&file, SealFlags::GROW).unwrap();
        file
    }

    #[test]
    fn a_full_disk_leaves_whole_rows_and_one_message() {
        let file = small_file(3 * 4096);
        let mut read = file.try_clone().unwrap();
        let mut rows = RowWriter::onto(file, "calls.jsonl".into());
        (0..500).for_each(|number| rows.write(&row(number)));
        let mut summary = Summary::default();
        rows.finish(&mut summary);
        assert_eq!((summary.calls, summary.errors.len()), (500, 1), "{:?}", summary.errors);
        assert!(summary.errors[0].starts_with("cannot write calls.jsonl: "), "{:?}", summary.errors);
        let mut text = String::new();
        read.seek(SeekFrom::Start(0)).unwrap();
        read.read_to_string(&mut text).unwrap();
        assert!(text.ends_with('\n') && text.len() > 2 * 4096);
        for (number, line) in text.lines().enumerate() {
            assert_eq!(serde_json::from_str::<Call>(line).unwrap().id, row(number as u64).id);
        }
    }
}
