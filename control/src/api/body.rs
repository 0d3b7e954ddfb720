//! Bodies of sensors, taken in with patience and bounds.

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt;

use crate::api::error::ApiError;

/// A sender that is silent for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The next piece; `None` at the end.
///
/// # Errors
///
/// Where it does not come, or the body breaks off.
pub async fn piece(stream: &mut BodyDataStream) -> Result<Option<Bytes>, ApiError> {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await;
    let next = next.map_err(|_| {
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body came too slowly: send it again")
    })?;
    next.transpose().map_err(|_| {
        ApiError::new(StatusCode::BAD_REQUEST, "broken_body", "the body broke off: send it again")
    })
}

/// All of it.
///
/// # Errors
///
/// Where it is larger than `limit` bytes (`key` in the configuration), or breaks off.
pub async fn whole(stream: &mut BodyDataStream, limit: u64, key: &str) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = piece(stream).await? {
        if bytes.len() as u64 + piece.len() as u64 > limit {
            return Err(ApiError::too_large(limit, key));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
