//! The thread that delivers the outbox to control, as the rest of the sensor sees it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::client::{Client, ControlConfig};
use crate::delivery::Delivery;
use crate::error::StoreError;
use crate::outbox::Shared;
use crate::outbox_reader::OutboxReader;

/// How delivery is going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// Control takes what it is sent.
    Delivering,
    /// Control cannot be reached or has a fault; the last attempt's error.
    Waiting(String),
    /// Control refuses this sensor: somebody has to change a setting.
    Barred(String),
}

/// Delivery at one moment. The counters count from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// How it is going.
    pub state: UploadState,
    /// Committed events that control does not have.
    pub pending: u64,
    /// Events that control has taken.
    pub delivered: u64,
    /// Events set aside in `rejected.ndjson`.
    pub rejected: u64,
    /// Recordings that control has taken.
    pub recordings: u64,
    /// Recordings whose file was gone; their events were delivered without them.
    pub missing: u64,
}

/// What the thread tells.
pub(crate) struct Progress {
    /// How it is going.
    pub state: Mutex<UploadState>,
    /// See [`UploadStatus`].
    pub recordings: AtomicU64,
    /// See [`UploadStatus`].
    pub missing: AtomicU64,
}

/// The delivering thread.
pub struct Uploader {
    /// Sends the moment at which the thread is to end at the latest.
    drain: Sender<Instant>,
    /// Disconnects when the thread ends.
    ended: Receiver<()>,
    /// The thread.
    thread: JoinHandle<()>,
    /// What it tells.
    watch: UploadWatch,
}

/// Tells how delivery goes, also while it drains.
#[derive(Clone)]
pub struct UploadWatch {
    /// What the thread tells.
    progress: Arc<Progress>,
    /// The outbox's counters.
    shared: Arc<Shared>,
}

impl UploadWatch {
    /// Delivery now.
    pub fn status(&self) -> UploadStatus {
        let figures = self.shared.figures();
        UploadStatus {
            state: self.progress.state.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            pending: figures.pending,
            delivered: figures.delivered,
            rejected: figures.rejected,
            recordings: self.progress.recordings.load(Ordering::Relaxed),
            missing: self.progress.missing.load(Ordering::Relaxed),
        }
    }
}

impl Uploader {
    /// Starts delivering. Recordings' paths are relative to `out_dir`.
    ///
    /// # Errors
    /// When a setting is impossible or the thread cannot be started. That control cannot be reached
    /// is no error.
    pub fn start(
        config: &ControlConfig,
        outbox: OutboxReader,
        out_dir: &Path,
    ) -> Result<Uploader, StoreError> {
        let client = Client::new(config)?;
        let (drain, drained) = bounded(1);
        let (end, ended) = bounded(0);
        let state = Mutex::new(UploadState::Delivering);
        let progress =
            Arc::new(Progress { state, recordings: AtomicU64::new(0), missing: AtomicU64::new(0) });
        let shared = Arc::clone(&outbox.shared);
        let delivery = Delivery::new(client, outbox, out_dir, Arc::clone(&progress), drained);
        let thread = std::thread::Builder::new().name("upload".to_owned()).spawn(move || {
            let _end = end;
            delivery.run();
        });
        let thread = thread.map_err(|error| StoreError::Config(format!("the upload thread: {error}")))?;
        Ok(Uploader { drain, ended, thread, watch: UploadWatch { progress, shared } })
    }

    /// Delivery now.
    pub fn status(&self) -> UploadStatus {
        self.watch.status()
    }

    /// The same for another thread.
    pub fn watch(&self) -> UploadWatch {
        self.watch.clone()
    }

    /// Delivers what is committed, for `timeout` at most, and ends the thread. What is still
    /// pending then (see the status that comes back) stays in the outbox for the next start. A
    /// request that hangs is left behind.
    pub fn drain(self, timeout: Duration) -> UploadStatus {
        let _ = self.drain.send(Instant::now() + timeout);
        let _ = self.ended.recv_timeout(timeout + Duration::from_millis(100));
        let status = self.status();
        if self.thread.is_finished() {
            let _ = self.thread.join();
        }
        status
    }
}
