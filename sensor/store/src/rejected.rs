//! Events that control will never take, each with the reason, for a person to look at.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::StoreError;

/// Beyond this size the file becomes `rejected.old.ndjson`, in place of an earlier one.
const LIMIT: u64 = 16 << 20;

/// One line: the event as it was sent, or as text when it is no JSON.
#[derive(Serialize)]
struct Line<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// `rejected.ndjson` in the outbox's folder.
#[derive(Debug)]
pub(crate) struct RejectedFile {
    /// Its path.
    path: PathBuf,
}

impl RejectedFile {
    /// In the outbox's folder; made with its first line.
    pub fn new(directory: &Path) -> RejectedFile {
        RejectedFile { path: directory.join("rejected.ndjson") }
    }

    /// Appends an event's line with the reason.
    pub fn append(&self, event: &[u8], reason: &str) -> Result<(), StoreError> {
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() >= LIMIT) {
            let old = self.path.with_extension("old.ndjson");
            fs::rename(&self.path, &old).map_err(StoreError::file("replace", &old))?;
        }
        let raw = serde_json::from_slice::<&RawValue>(event).ok();
        let text = raw.is_none().then(|| String::from_utf8_lossy(event).into_owned());
        let line = Line { reason, event: raw, text };
        let mut line = serde_json::to_vec(&line)
            .map_err(|source| StoreError::Json { what: "a rejected event", source })?;
        line.push(b'\n');
        let file = OpenOptions::new().append(true).create(true).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(&line).and_then(|()| file.sync_data()));
        written.map_err(StoreError::file("write", &self.path))
    }
}
