//! Recordings of a sensor: uploaded whole, checked against their hash while they come in, repeatable.

use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::api::body;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::identity::Delivering;
use crate::api::query;
use crate::api::recordings::AudioFile;
use crate::app::{Shared, now};
use crate::audio_files::{AudioFiles, Incoming};
use crate::store::{PeaksState, StoredRecording};
use crate::token::unhex;

/// The header that names the call.
const CALL: &str = "x-nightjar-call";
/// The header that names the file's SHA-256.
const SHA256: &str = "x-nightjar-sha256";
/// What the headers say of an upload.
struct Upload {
    id: Uuid,
    call: Uuid,
    content_type: &'static str,
    sha256: [u8; 32],
}

/// Deliver a recording.
///
/// The body is the file. The same again is 200 and changes nothing; another file under the same id is refused.
#[utoipa::path(put, path = "/api/ingest/v1/recordings/{id}", operation_id = "deliver_recording", tag = "ingest", security(("sensor" = [])),
    params(
        ("id" = Uuid, Path, description = "The recording's id"),
        ("X-Nightjar-Call" = Uuid, Header, description = "Its call's id"),
        ("X-Nightjar-Sha256" = String, Header, description = "SHA-256 of the file, hexadecimal"),
    ),
    request_body(content(
        (AudioFile = "audio/ogg"),
        (AudioFile = "audio/wav"),
    )),
    responses(
        (status = 200, description = "It was there already"),
        (status = 201, description = "Stored, safely on the disk"),
        (status = 400, description = "A header is missing or wrong; the message names it", body = ErrorBody),
        (status = 401, description = "Unknown sensor", body = ErrorBody),
        (status = 403, description = "The call is another sensor's", body = ErrorBody),
        (status = 408, description = "The body came too slowly", body = ErrorBody),
        (status = 409, description = "Another file has this id", body = ErrorBody),
        (status = 413, description = "The file is too large", body = ErrorBody),
        (status = 415, description = "Neither audio/ogg nor audio/wav", body = ErrorBody),
        (status = 422, description = "The file is not what its hash says", body = ErrorBody),
        (status = 507, description = "The disk is full", body = ErrorBody),
    ))]
pub async fn recording(
    State(app): State<Shared>,
    sensor: Delivering,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let upload = read(&id, &headers)?;
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > app.limits.recording_bytes) {
        return Err(too_large(&app));
    }
    let known = app.store.recording(upload.id).await?;
    if let Some(known) = &known {
        agree(known, &upload, &sensor.name)?;
    }
    let mut stream = body.into_data_stream();
    let (incoming, bytes) = receive(&app, &mut stream, &upload, known.is_some()).await?;
    match incoming {
        Some(incoming) => keep(&app, upload, &sensor.name, incoming, bytes).await,
        None => Ok(StatusCode::OK),
    }
}

fn read(id: &str, headers: &HeaderMap) -> Result<Upload, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let call = text(CALL).and_then(|value| Uuid::parse_str(value).ok());
    let call = call.ok_or_else(|| ApiError::parameter("X-Nightjar-Call", "must be the call's UUID"))?;
    let mut sha256 = [0; 32];
    if !text(SHA256).is_some_and(|value| unhex(value, &mut sha256)) {
        let message = "must be the file's SHA-256, 64 hexadecimal digits";
        return Err(ApiError::parameter("X-Nightjar-Sha256", message));
    }
    let content_type = text("content-type").and_then(|value| value.split(';').next()).unwrap_or("").trim();
    let content_type = match content_type.to_ascii_lowercase().as_str() {
        "audio/ogg" => "audio/ogg",
        "audio/wav" | "audio/x-wav" | "audio/vnd.wave" => "audio/wav",
        _ => {
            let message = "Content-Type: must be audio/ogg or audio/wav";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_type", message));
        }
    };
    Ok(Upload { id: query::id(id)?, call, content_type, sha256 })
}

/// Whether what is stored under the id is what is being sent.
fn agree(known: &StoredRecording, upload: &Upload, sensor: &str) -> Result<(), ApiError> {
    if known.sensor != sensor {
        return Err(crate::store::StoreError::Foreign(upload.id).into());
    }
    if known.sha256 != upload.sha256 || known.call != upload.call {
        let message = format!(
            "recording {} is stored with other content or for another call: it is never changed",
            upload.id
        );
        return Err(ApiError::new(StatusCode::CONFLICT, "other_content", message));
    }
    Ok(())
}

fn too_large(app: &Shared) -> ApiError {
    ApiError::too_large(app.limits.recording_bytes, "limits.recording_bytes")
}

/// Takes the body in, hashing it, into a file unless it is stored already, and checks the hash.
async fn receive(
    app: &Shared,
    stream: &mut BodyDataStream,
    upload: &Upload,
    repeated: bool,
) -> Result<(Option<Incoming>, u64), ApiError> {
    let mut target = None;
    if !repeated {
        let (incoming, file) = app.files.begin()?;
        target = Some((incoming, tokio::fs::File::from_std(file)));
    }
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    while let Some(chunk) = body::piece(stream).await? {
        bytes += chunk.len() as u64;
        if bytes > app.limits.recording_bytes {
            return Err(too_large(app));
        }
        hash.update(&chunk);
        if let Some((_, file)) = &mut target {
            file.write_all(&chunk).await?;
        }
    }
    if <[u8; 32]>::from(hash.finalize()) != upload.sha256 {
        let message = "the file is not what X-Nightjar-Sha256 says: it was damaged on the way, or the hash is of another";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_hash", message));
    }
    let Some((incoming, mut file)) = target else { return Ok((None, bytes)) };
    file.flush().await?;
    file.sync_all().await?;
    Ok((Some(incoming), bytes))
}

/// Moves the file into place, then names it in the database: what the database names is there.
async fn keep(
    app: &Shared,
    upload: Upload,
    sensor: &str,
    incoming: Incoming,
    bytes: u64,
) -> Result<StatusCode, ApiError> {
    let path = AudioFiles::recording_path(upload.id, upload.content_type);
    let recording = StoredRecording {
        id: upload.id,
        call: upload.call,
        sensor: sensor.to_owned(),
        content_type: upload.content_type.to_owned(),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        sha256: upload.sha256,
        path: path.clone(),
        stored_at: now(),
        peaks: PeaksState::Pending,
    };
    // One at a time from here on: two uploads of one id must not move one file and name the other.
    let turn = app.turn.lock().await;
    if let Some(known) = app.store.recording(upload.id).await? {
        agree(&known, &upload, sensor)?;
        return Ok(StatusCode::OK);
    }
    let files = app.files.clone();
    let moved = tokio::task::spawn_blocking(move || files.keep_recording(incoming, &path));
    moved.await.map_err(ApiError::internal)??;
    let (_, call) = app.store.add_recording(&recording).await?;
    app.live.announce(call.as_slice());
    drop(turn);
    app.peaks_wanted.notify_one();
    Ok(StatusCode::CREATED)
}
