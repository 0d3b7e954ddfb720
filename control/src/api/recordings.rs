//! A recording's audio, whole or in part, and its peaks.

use std::io::SeekFrom;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::response::Builder;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::error::{ApiError, ErrorBody};
use crate::api::query::{self, Query};
use crate::api::range::{Wanted, wanted};
use crate::app::Shared;
use crate::peaks::Peaks;
use crate::store::{PeaksState, SignedIn, StoredRecording};
use crate::token::hex;

/// Bytes read from a file at once.
const CHUNK: usize = 64 * 1_024;
/// Points of a waveform, unless asked otherwise.
const DEFAULT_POINTS: u32 = 1_000;
/// Most points of a waveform.
const MOST_POINTS: i64 = 20_000;

/// A recording's waveform.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PeaksBody {
    /// The recording.
    pub recording: Uuid,
    /// Its channels.
    pub channels: usize,
    /// Its length.
    pub duration_ms: u64,
    /// Points per channel.
    pub points: usize,
    /// Per channel, per point, the largest amplitude: 0 is silence, 1 is full scale.
    pub peaks: Vec<Vec<f32>>,
}

/// A file of audio.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "it describes a body for openapi.json")]
pub struct AudioFile(Vec<u8>);

/// A waveform that is still being computed.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PendingBody {
    /// `pending`.
    #[schema(example = "pending")]
    pub state: String,
}

/// A recording's audio.
///
/// One byte range is served (206); the entity tag is the file's SHA-256.
#[utoipa::path(get, path = "/api/recordings/{id}/audio", tag = "recordings",
    params(
        ("id" = Uuid, Path, description = "The recording's id"),
        ("download" = Option<u8>, Query, description = "1: as a file to save, not to play"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, description = "The entity tag that the range belongs to"),
    ),
    responses(
        (status = 200, description = "All of it", content(
            (AudioFile = "audio/ogg"),
            (AudioFile = "audio/wav"),
        )),
        (status = 206, description = "The range", content(
            (AudioFile = "audio/ogg"),
            (AudioFile = "audio/wav"),
        )),
        (status = 304, description = "As `If-None-Match` has it already"),
        (status = 400, description = "A parameter is wrong; the message names it", body = ErrorBody),
        (status = 401, description = "Not signed in", body = ErrorBody),
        (status = 404, description = "No such recording, or its file is gone (`no_file`)", body = ErrorBody),
        (status = 416, description = "It has no such range", body = ErrorBody),
    ))]
pub async fn audio(
    State(app): State<Shared>,
    _: SignedIn,
    method: Method,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::parse(raw.as_deref().unwrap_or(""));
    query.only(&["download"])?;
    let download = query.number("download", 0..=1)? == Some(1);
    let recording = find(&app, &id).await?;
    let etag = format!("\"{}\"", hex(&recording.sha256));
    let head = Response::builder()
        .header(header::ETAG, &etag)
        .header(header::ACCEPT_RANGES, "bytes")
        // It never changes, but who has signed out since may not hear it again: the browser asks each time.
        .header(header::CACHE_CONTROL, "private, no-cache")
        .header(header::CONTENT_TYPE, &recording.content_type);
    if is_known(&headers, &etag) {
        return head.status(StatusCode::NOT_MODIFIED).body(Body::empty()).map_err(ApiError::internal);
    }
    let head = if download { head.header(header::CONTENT_DISPOSITION, attachment(&recording)) } else { head };
    let bytes = u64::try_from(recording.bytes).unwrap_or(0);
    // Only GET knows ranges (RFC 9110, 14.2).
    let wanted = if method == Method::GET { wanted(&headers, bytes, &etag) } else { Wanted::Whole };
    send(&app, &recording, head, wanted, bytes).await
}

async fn find(app: &Shared, id: &str) -> Result<StoredRecording, ApiError> {
    app.store.recording(query::id(id)?).await?.ok_or_else(|| ApiError::missing("recording"))
}

/// `If-None-Match` (RFC 9110, 13.1.2).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == etag)
    })
}

fn attachment(recording: &StoredRecording) -> String {
    let extension = recording.path.rsplit_once('.').map_or("ogg", |(_, extension)| extension);
    format!("attachment; filename=\"{}.{extension}\"", recording.id)
}

async fn send(
    app: &Shared,
    recording: &StoredRecording,
    head: Builder,
    wanted: Wanted,
    bytes: u64,
) -> Result<Response, ApiError> {
    let (head, first, length) = match wanted {
        Wanted::Whole => (head.status(StatusCode::OK), 0, bytes),
        Wanted::Part { first, last } => {
            let range = format!("bytes {first}-{last}/{bytes}");
            let head = head.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
            (head, first, last - first + 1)
        }
        Wanted::Unsatisfiable => {
            let message = format!("Range: the recording has {bytes} bytes");
            let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "no_such_range", message);
            let range = [(header::CONTENT_RANGE, format!("bytes */{bytes}"))];
            return Ok((range, error).into_response());
        }
    };
    let mut file = tokio::fs::File::open(app.files.recording(&recording.path)).await.map_err(|error| {
        let cause = format!("the file of recording {} cannot be read: {error}", recording.id);
        match error.kind() {
            std::io::ErrorKind::NotFound => ApiError::no_file(&cause),
            _ => ApiError::internal(cause),
        }
    })?;
    file.seek(SeekFrom::Start(first)).await.map_err(ApiError::internal)?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK));
    head.header(header::CONTENT_LENGTH, length).body(body).map_err(ApiError::internal)
}

/// A recording's waveform: the largest amplitude per channel and point.
#[utoipa::path(get, path = "/api/recordings/{id}/peaks", tag = "recordings",
    params(
        ("id" = Uuid, Path, description = "The recording's id"),
        ("points" = Option<u32>, Query, description = "Points per channel, 1 to 20000; 1000 unless given"),
    ),
    responses(
        (status = 200, description = "The waveform", body = PeaksBody),
        (status = 202, description = "Not computed yet: ask again", body = PendingBody),
        (status = 400, description = "A parameter is wrong; the message names it", body = ErrorBody),
        (status = 401, description = "Not signed in", body = ErrorBody),
        (status = 404, description = "No such recording", body = ErrorBody),
        (status = 422, description = "Its audio cannot be decoded", body = ErrorBody),
    ))]
pub async fn peaks(
    State(app): State<Shared>,
    _: SignedIn,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(raw.as_deref().unwrap_or(""));
    query.only(&["points"])?;
    let points = query.number("points", 1..=MOST_POINTS)?.and_then(|points| u32::try_from(points).ok());
    let points = points.unwrap_or(DEFAULT_POINTS) as usize;
    let recording = find(&app, &id).await?;
    match recording.peaks {
        PeaksState::Pending => {
            let pending = PendingBody { state: "pending".to_owned() };
            return Ok((StatusCode::ACCEPTED, Json(pending)).into_response());
        }
        PeaksState::Failed => {
            let message = "this recording's audio cannot be decoded: there is no waveform";
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "undecodable", message));
        }
        PeaksState::Ready => {}
    }
    let path = app.files.peaks(recording.id);
    let read =
        tokio::task::spawn_blocking(move || Peaks::read(&path).map(|peaks| (peaks.resampled(points), peaks)));
    let (resampled, peaks) = read.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    let body = PeaksBody {
        recording: recording.id,
        channels: peaks.channels(),
        duration_ms: peaks.duration_ms(),
        points,
        peaks: resampled,
    };
    Ok(Json(body).into_response())
}
