//! Who computes peaks: one recording after the other, in the order of their coming, also after a restart.

use std::time::Duration;

use crate::app::Shared;
use crate::peaks::{Peaks, PeaksError};
use crate::stopping::Stopping;
use crate::store::{PeaksState, StoredRecording};

/// Recordings asked for at once.
const BATCH: u32 = 16;
/// Before another try where the store or the disk would not.
const PAUSE: Duration = Duration::from_secs(30);

/// Works until control stops.
pub async fn run(app: Shared) {
    let mut stopping = app.stopping.clone();
    while !stopping.said() {
        let pending = match app.store.pending_peaks(BATCH).await {
            Ok(pending) => pending,
            Err(error) => {
                tracing::error!(%error, "waveforms wait: recordings cannot be listed");
                wait(&mut stopping, tokio::time::sleep(PAUSE)).await;
                continue;
            }
        };
        if pending.is_empty() {
            wait(&mut stopping, app.peaks_wanted.notified()).await;
            continue;
        }
        for recording in pending {
            if stopping.said() {
                return;
            }
            if !compute(&app, recording).await {
                wait(&mut stopping, tokio::time::sleep(PAUSE)).await;
                break;
            }
        }
    }
}

async fn wait(stopping: &mut Stopping, what: impl Future<Output = ()>) {
    tokio::select! {
        () = what => {}
        () = stopping.heard() => {}
    }
}

/// Computes and keeps one recording's peaks; `false` where they could not be kept.
async fn compute(app: &Shared, recording: StoredRecording) -> bool {
    let files = app.files.clone();
    let id = recording.id;
    let task = tokio::task::spawn_blocking(move || {
        let peaks = Peaks::of_file(&files.recording(&recording.path), &recording.content_type)?;
        files.keep_peaks(id, &peaks.to_bytes())?;
        Ok::<_, PeaksError>(())
    });
    let state = match task.await {
        Ok(Ok(())) => PeaksState::Ready,
        Ok(Err(PeaksError::Io(error))) if is_full(&error) => {
            tracing::error!(%error, "waveforms wait: the disk of data_dir is full");
            return false;
        }
        Ok(Err(error)) => {
            tracing::warn!(recording = %id, %error, "a recording has no waveform");
            PeaksState::Failed
        }
        // A panic in a decoder is that recording's fault alone.
        Err(error) => {
            tracing::error!(recording = %id, %error, "a recording has no waveform");
            PeaksState::Failed
        }
    };
    match app.store.set_peaks(id, state).await {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "waveforms wait: the database refuses");
            false
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
