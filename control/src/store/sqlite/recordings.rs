//! Recordings in SQLite.

use async_trait::async_trait;
use nightjar_schema::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{SqliteStore, calls};
use crate::store::{PeaksState, Recordings, StoreError, StoredRecording};
use crate::summary::CallSummary;

#[async_trait]
impl Recordings for SqliteStore {
    async fn add_recording(
        &self,
        recording: &StoredRecording,
    ) -> Result<(bool, Option<CallSummary>), StoreError> {
        let mut tx = self.begin().await?;
        let sql = "SELECT id, summary, audio, sensor FROM calls WHERE id = ?";
        let call = sqlx::query(sql).bind(recording.call).fetch_optional(&mut *tx).await?;
        if let Some(call) = &call
            && call.try_get::<&str, _>("sensor")? != recording.sensor
        {
            return Err(StoreError::Foreign(recording.call));
        }
        let sql =
            "INSERT INTO recordings (id, call, sensor, content_type, bytes, sha256, path, stored_at, peaks)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";
        let query = sqlx::query(sql)
            .bind(recording.id)
            .bind(recording.call)
            .bind(&recording.sensor)
            .bind(&recording.content_type)
            .bind(recording.bytes)
            .bind(recording.sha256.as_slice())
            .bind(&recording.path)
            .bind(recording.stored_at.0)
            .bind(peaks_name(recording.peaks));
        let added = query.execute(&mut *tx).await?.rows_affected() == 1;
        calls::touch_sensor(&mut tx, &recording.sensor, recording.stored_at).await?;
        let call = match &call {
            Some(row) => Some(calls::listed(&mut tx, row).await?),
            None => None,
        };
        tx.commit().await?;
        Ok((added, call))
    }

    async fn recording(&self, id: Uuid) -> Result<Option<StoredRecording>, StoreError> {
        let row = sqlx::query("SELECT * FROM recordings WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(stored).transpose()
    }

    async fn pending_peaks(&self, limit: u32) -> Result<Vec<StoredRecording>, StoreError> {
        let sql = "SELECT * FROM recordings WHERE peaks = 'pending' ORDER BY stored_at LIMIT ?";
        let rows = sqlx::query(sql).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(stored).collect()
    }

    async fn set_peaks(&self, id: Uuid, state: PeaksState) -> Result<(), StoreError> {
        let sql = "UPDATE recordings SET peaks = ? WHERE id = ?";
        sqlx::query(sql).bind(peaks_name(state)).bind(id).execute(&self.writer).await?;
        Ok(())
    }
}

fn stored(row: &SqliteRow) -> Result<StoredRecording, StoreError> {
    let sha256: &[u8] = row.try_get("sha256")?;
    let peaks = match row.try_get("peaks")? {
        "ready" => PeaksState::Ready,
        "failed" => PeaksState::Failed,
        _ => PeaksState::Pending,
    };
    Ok(StoredRecording {
        id: row.try_get("id")?,
        call: row.try_get("call")?,
        sensor: row.try_get("sensor")?,
        content_type: row.try_get("content_type")?,
        bytes: row.try_get("bytes")?,
        sha256: sha256
            .try_into()
            .map_err(|_| StoreError::Corrupt("a hash is not 32 bytes long".to_owned()))?,
        path: row.try_get("path")?,
        stored_at: Timestamp(row.try_get("stored_at")?),
        peaks,
    })
}

fn peaks_name(state: PeaksState) -> &'static str {
    match state {
        PeaksState::Pending => "pending",
        PeaksState::Ready => "ready",
        PeaksState::Failed => "failed",
    }
}
