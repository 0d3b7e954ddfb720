//! Who asks: a person by a session's cookie, a sensor by its token.

use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nightjar_schema::Timestamp;

use crate::api::error::ApiError;
use crate::app::{Shared, now};
use crate::store::{SessionLimits, SignedIn};
use crate::token::TokenHash;

/// The cookie of a session.
pub const COOKIE: &str = "nightjar_session";
/// A session that nobody used for so long is over.
const IDLE: Duration = Duration::from_secs(12 * 3_600);
/// A session is over after so long, used or not.
const ABSOLUTE: Duration = Duration::from_secs(7 * 86_400);
/// Use is noted at most so often: a page asks many times a second, a database writes to a disk.
const TOUCH: Duration = Duration::from_secs(60);

/// Which sessions hold at a moment.
pub fn session_limits(now: Timestamp) -> SessionLimits {
    SessionLimits { opened_after: before(now, ABSOLUTE), used_after: before(now, IDLE) }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}

/// The session's token in a request's cookies.
pub fn session_token(headers: &HeaderMap) -> Option<TokenHash> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| TokenHash::of(value))
}

/// Who is signed in, without counting as use.
///
/// # Errors
///
/// 401 where nobody is.
pub async fn signed_in(app: &Shared, headers: &HeaderMap) -> Result<SignedIn, ApiError> {
    let token = session_token(headers).ok_or_else(ApiError::signed_out)?;
    app.store.session(token, session_limits(now())).await?.ok_or_else(ApiError::signed_out)
}

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<SignedIn, ApiError> {
        let found = signed_in(app, &parts.headers).await?;
        let now = now();
        if found.used_at < before(now, TOUCH)
            && let Some(token) = session_token(&parts.headers)
        {
            app.store.touch_session(token, now).await?;
        }
        Ok(found)
    }
}

/// The sensor that delivers, by its bearer token (RFC 6750).
pub struct Delivering {
    /// Its name.
    pub name: String,
}

impl FromRequestParts<Shared> for Delivering {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Delivering, ApiError> {
        let refused = || {
            let message = "this is for sensors: send `Authorization: Bearer TOKEN` with a token whose SHA-256 is in \
                           control's configuration";
            ApiError::new(StatusCode::UNAUTHORIZED, "unknown_sensor", message)
        };
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = value.and_then(|value| value.split_once(' ')).ok_or_else(refused)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused());
        }
        let given = TokenHash::of(token.trim());
        // Each is compared, whichever matches: the time tells nothing.
        let matching = app.sensors.iter().filter(|sensor| sensor.token.matches(&given));
        let name = matching.map(|sensor| &sensor.name).fold(None, |_, name| Some(name));
        Ok(Delivering { name: name.ok_or_else(refused)?.clone() })
    }
}

/// Refuses changes that another site's page asks a signed-in browser for (cross-site request forgery).
pub async fn same_site(State(_): State<Shared>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || from_own_page(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    let message =
        "this change was asked for by another site's page: open Nightjar's own page and do it there";
    ApiError::new(StatusCode::FORBIDDEN, "cross_site", message).into_response()
}

/// `Sec-Fetch-Site` says it where the browser knows it; else `Origin` has to name our host. A client without
/// either is no browser and carries no cookie that it did not mean to send.
fn from_own_page(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return true };
    // HTTP/2 carries the host in the request's URI.
    let host = text("host").or(uri.authority().map(Authority::as_str));
    origin.split_once("://").is_some_and(|(_, origin)| Some(origin) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn another_sites_page_is_told_apart() {
        let own: &[&[(&str, &str)]] = &[
            &[("sec-fetch-site", "same-origin"), ("origin", "http://elsewhere")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://nj.example:8443"), ("host", "nj.example:8443")],
            &[("host", "nj.example")],
        ];
        let others: &[&[(&str, &str)]] = &[
            &[("sec-fetch-site", "cross-site"), ("origin", "http://nj.example"), ("host", "nj.example")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example"), ("host", "nj.example")],
            &[("origin", "null"), ("host", "nj.example")],
        ];
        let path = Uri::from_static("/api/session");
        own.iter().for_each(|pairs| assert!(from_own_page(&headers(pairs), &path), "{pairs:?}"));
        others.iter().for_each(|pairs| assert!(!from_own_page(&headers(pairs), &path), "{pairs:?}"));
    }

    #[test]
    fn http_2_names_the_host_in_the_address() {
        let uri = Uri::from_static("https://nj.example:8443/api/session");
        assert!(from_own_page(&headers(&[("origin", "https://nj.example:8443")]), &uri));
        assert!(!from_own_page(&headers(&[("origin", "https://nj.example")]), &uri));
    }

    #[test]
    fn a_session_is_over_after_12_hours_idle_and_7_days_in_all() {
        let hour = 3_600_000_000;
        let limits = session_limits(Timestamp(1_000 * hour));
        assert_eq!(limits.used_after, Timestamp((1_000 - 12) * hour));
        assert_eq!(limits.opened_after, Timestamp((1_000 - 7 * 24) * hour));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = session_token(&headers(&[("cookie", "a=b; nightjar_session=abc ;c=d")]));
        assert_eq!(found, Some(TokenHash::of("abc")));
        assert_eq!(session_token(&headers(&[("cookie", "xnightjar_session=abc")])), None);
    }
}
