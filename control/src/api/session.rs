//! Signing in and out.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::error::{ApiError, ErrorBody};
use crate::api::identity::{COOKIE, session_limits, session_token};
use crate::app::{Shared, now};
use crate::password;
use crate::store::SignedIn;
use crate::token::{TokenHash, fresh_token};

/// Largest body of a sign-in.
const BODY_BYTES: usize = 8 * 1_024;
/// A client that sends its sign-in more slowly is not waited for.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The address that a request came from, as the listener saw it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A name and a password.
#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    /// The account's name; case does not count.
    #[schema(example = "admin")]
    username: String,
    /// Its password.
    password: String,
}

/// Who is signed in.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// The account's name.
    #[schema(example = "admin")]
    pub username: String,
    /// What the account may do.
    #[schema(example = "admin")]
    pub role: String,
}

/// Sign in.
///
/// Sets the cookie `nightjar_session`, which holds for 12 hours without use and 7 days at most. An unknown user and a
/// wrong password get the same answer in the same time.
#[utoipa::path(post, path = "/api/session", tag = "session", security(()), request_body = Credentials,
    responses(
        (status = 200, description = "Signed in; the session is in the cookie", body = Identity),
        (status = 400, description = "Not a name and a password", body = ErrorBody),
        (status = 401, description = "Unknown user or wrong password", body = ErrorBody),
        (status = 403, description = "Asked for by another site's page", body = ErrorBody),
        (status = 429, description = "Too many attempts; `Retry-After` says when to come back", body = ErrorBody),
    ))]
pub async fn sign_in(
    State(app): State<Shared>,
    Extension(Peer(peer)): Extension<Peer>,
    body: Body,
) -> Result<Response, ApiError> {
    let credentials = read(body).await?;
    if let Err(wait) = app.throttle.attempt(peer.ip(), &credentials.username) {
        let message = "too many attempts to sign in: wait as long as Retry-After says (seconds)";
        return Err(ApiError::too_many(message, wait.as_secs() + 1));
    }
    let account = app.store.account(&credentials.username).await?;
    let kept = account.as_ref().map(|account| account.password.clone());
    let _turn = app.hashing.acquire().await.map_err(ApiError::internal)?;
    let right = tokio::task::spawn_blocking(move || password::verify(&credentials.password, kept.as_deref()));
    let right = right.await.map_err(ApiError::internal)?;
    let Some(account) = account.filter(|_| right) else {
        tracing::warn!(client = %peer.ip(), "an attempt to sign in failed");
        let message = "the user name or the password is wrong";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", message));
    };
    let token = fresh_token();
    let now = now();
    app.store.open_session(TokenHash::of(&token), account.id, now, session_limits(now)).await?;
    let identity = Identity { username: account.username, role: account.role };
    Ok(([(header::SET_COOKIE, cookie(&token, app.secure, None)?)], Json(identity)).into_response())
}

/// Who is signed in?
#[utoipa::path(get, path = "/api/session", tag = "session",
    responses(
        (status = 200, description = "The one whose session this is", body = Identity),
        (status = 401, description = "Nobody", body = ErrorBody),
    ))]
pub async fn who(signed_in: SignedIn) -> Json<Identity> {
    Json(Identity { username: signed_in.username, role: signed_in.role })
}

/// Sign out.
#[utoipa::path(delete, path = "/api/session", tag = "session",
    responses(
        (status = 204, description = "Signed out, or nobody was signed in"),
        (status = 403, description = "Asked for by another site's page", body = ErrorBody),
    ))]
pub async fn sign_out(State(app): State<Shared>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(token) = session_token(&headers) {
        app.store.close_session(token).await?;
    }
    let forget = cookie("", app.secure, Some(0))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, forget)]).into_response())
}

async fn read(body: Body) -> Result<Credentials, ApiError> {
    let form = "send {\"username\": …, \"password\": …}, and nothing longer than 1024 bytes";
    let refused = || ApiError::new(StatusCode::BAD_REQUEST, "bad_body", form);
    let bytes = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, BODY_BYTES)).await;
    let bytes = bytes.map_err(|_| refused())?.map_err(|_| refused())?;
    let credentials: Credentials = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    let fits = |text: &str| text.len() <= password::LONGEST;
    if fits(&credentials.username) && fits(&credentials.password) { Ok(credentials) } else { Err(refused()) }
}

fn cookie(token: &str, secure: bool, max_age_s: Option<u32>) -> Result<HeaderValue, ApiError> {
    let secure = if secure { "; Secure" } else { "" };
    let max_age = max_age_s.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/{secure}{max_age}");
    HeaderValue::from_str(&text).map_err(ApiError::internal)
}
