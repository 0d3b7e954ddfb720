//! calls.jsonl of a replay: a fresh file each time, so that the same capture gives the same file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use nightjar_schema::Call;

use super::cannot_write;
use crate::summary::{CallCounts, Summary};

/// Writes rows and counts them.
pub(super) struct RowWriter {
    path: PathBuf,
    file: BufWriter<File>,
    counts: CallCounts,
    /// The first error; nothing more is written after it.
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
        Ok(RowWriter { path, file: BufWriter::new(file), counts: CallCounts::default(), error: None })
    }

    /// Writes one final row.
    pub(super) fn write(&mut self, row: &Call) {
        self.counts.add(row);
        if self.error.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.file, row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"));
        if let Err(error) = written {
            self.error = Some(cannot_write(&self.path, &error));
        }
    }

    /// Closes the file and hands the counts over.
    pub(super) fn finish(mut self, summary: &mut Summary) {
        if self.error.is_none()
            && let Err(error) = self.file.flush()
        {
            self.error = Some(cannot_write(&self.path, &error));
        }
        summary.set_calls(self.counts);
        summary.errors.extend(self.error);
    }
}
