//! What a caller is told when something is refused or fails: one JSON form, the right status, and a message that
//! says what is wrong, where, and what to do. What only the operator may know goes to the log.

use std::io;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::StoreError;

/// A refusal.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_s: Option<u64>,
}

/// The body of a refusal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The refusal.
    pub error: ErrorDetail,
}

/// What was refused and why.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A name for programs; stable.
    #[schema(example = "bad_parameter")]
    pub code: String,
    /// A sentence for people.
    #[schema(example = "limit: must be a number from 1 to 200")]
    pub message: String,
}

impl ApiError {
    /// A refusal with a status, a name for programs and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into(), retry_after_s: None }
    }

    /// 400 for a parameter, by name.
    pub fn parameter(name: &str, what: impl std::fmt::Display) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("{name}: {what}"))
    }

    /// 401: nobody is signed in.
    pub fn signed_out() -> ApiError {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "not_signed_in",
            "nobody is signed in: POST /api/session first",
        )
    }

    /// 404 for a thing that is not there.
    pub fn missing(what: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// 404 for a recording whose file is not where it was stored. The cause goes to the log.
    pub fn no_file(cause: &str) -> ApiError {
        tracing::error!(%cause, "a recording's file is gone");
        let message = "this recording's file is no longer in control's data_dir: it was removed there";
        ApiError::new(StatusCode::NOT_FOUND, "no_file", message)
    }

    /// 413 for a body larger than a limit of the configuration.
    pub fn too_large(limit_bytes: u64, key: &str) -> ApiError {
        let message =
            format!("the body is larger than {limit_bytes} bytes (`{key}` in control's configuration)");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// 429, and when to come back.
    pub fn too_many(message: &str, retry_after_s: u64) -> ApiError {
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message);
        ApiError { retry_after_s: Some(retry_after_s), ..error }
    }

    /// 500: our fault. The cause goes to the log, which names neither calls nor parties.
    pub fn internal(cause: impl std::fmt::Display) -> ApiError {
        tracing::error!(%cause, "a request failed");
        let message = "control failed to do this; its log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// 507: no room.
    fn full() -> ApiError {
        tracing::error!("the disk of data_dir is full: nothing more can be stored");
        let message = "the disk that holds control's data_dir is full: make room there, then send it again";
        ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = ErrorDetail { code: self.code.to_owned(), message: self.message };
        let mut response = (self.status, Json(ErrorBody { error: detail })).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        match error {
            StoreError::Full => ApiError::full(),
            StoreError::Foreign(id) => {
                let message =
                    format!("{id} belongs to another sensor: a sensor may only write its own calls");
                ApiError::new(StatusCode::FORBIDDEN, "not_yours", message)
            }
            error => ApiError::internal(error),
        }
    }
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> ApiError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ApiError::full(),
            _ => ApiError::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_507_and_anything_else_is_500() {
        // ENOSPC, EDQUOT, EIO.
        for (errno, status) in [(28, 507), (122, 507), (5, 500)] {
            let error = ApiError::from(io::Error::from_raw_os_error(errno));
            assert_eq!(error.status().as_u16(), status, "errno {errno}");
        }
        assert_eq!(ApiError::from(StoreError::Full).status().as_u16(), 507);
    }
}
