//! What the sensor keeps of finished calls and how control gets it: recordings as files,
//! `calls.jsonl`, the durable outbox of events, and the thread that delivers them.
//!
//! ```text
//! finished call ──► RecordingStore: a file, whole or not at all
//!               ──► CallsFile: its row
//!               ──► OutboxWriter ──► outbox/*.ndjson ──► OutboxReader ──► Uploader ──► control
//! ```
//!
//! Control may be away for days: nothing before the outbox waits for it.

mod backoff;
mod calls_file;
mod client;
mod delivery;
mod durable;
mod error;
mod outbox;
mod outbox_files;
mod outbox_reader;
mod recordings;
mod rejected;
mod upload;

pub use calls_file::{CallsFile, RowOutcome};
pub use client::ControlConfig;
pub use durable::Durability;
pub use error::StoreError;
pub use outbox::{
    EventOutcome, OUTBOX_SMALLEST_LIMIT, OutboxConfig, OutboxFigures, OutboxWriter, open_outbox,
};
pub use outbox_reader::OutboxReader;
pub use recordings::{Container, RecordingFile, RecordingName, RecordingStore, StoredRecording};
pub use upload::{UploadState, UploadStatus, UploadWatch, Uploader};
