//! What can go wrong with files, said so that the reader knows which file and what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why something was not stored.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file system refused something.
    #[error("cannot {action} {path}: {source}{}", advice(.source))]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another recording of the same or a later revision of the call is there already.
    #[error(
        "{path} holds another recording of this call, of revision {held}; revision {offered} does not replace it"
    )]
    Superseded {
        /// The file.
        path: PathBuf,
        /// Its call's revision in `calls.jsonl`.
        held: u32,
        /// The revision that was offered.
        offered: u32,
    },
    /// A row or event could not be written as JSON.
    #[error("cannot write {what} as JSON: {source}")]
    Json {
        /// What it was.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A setting is impossible.
    #[error("{0}")]
    Config(String),
}

impl StoreError {
    /// Names the recording, by its path under the output folder, that an operation failed on.
    pub fn at(action: &'static str, path: &str) -> impl FnOnce(io::Error) -> StoreError {
        StoreError::file(action, Path::new(path))
    }

    /// Names the file that an operation failed on.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::File { action, path: path.to_path_buf(), source }
    }

    /// Whether the disk, a quota or the file system's limit is full.
    pub fn is_full(&self) -> bool {
        match self {
            StoreError::File { source, .. } => is_full(source.kind()),
            _ => false,
        }
    }
}

/// The kinds of error that room would cure.
fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// What to do about it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        kind if is_full(kind) => "; free space on this disk, or choose an output folder on another",
        io::ErrorKind::PermissionDenied => "; the sensor's user needs to read and write there",
        io::ErrorKind::ReadOnlyFilesystem => "; the file system is mounted read-only",
        io::ErrorKind::NotADirectory => "; a part of the path is a file, not a folder",
        io::ErrorKind::NotFound => "; it was removed, or its folder was",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_path_and_what_to_do() {
        let error =
            StoreError::file("write", Path::new("/out/calls.jsonl"))(io::ErrorKind::StorageFull.into());
        let text = error.to_string();
        assert!(text.starts_with("cannot write /out/calls.jsonl: "), "{text}");
        assert!(text.contains("free space"), "{text}");
        assert!(error.is_full());
        let error = StoreError::file("create", Path::new("/x"))(io::ErrorKind::PermissionDenied.into());
        assert!(error.to_string().contains("user needs"), "{error}");
        assert!(!error.is_full());
    }
}
