//! What every answer carries, and the line of the log about it.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// The pages may load from here alone, play and draw what they made themselves, and be framed by nobody.
const POLICY: &str = "default-src 'self'; media-src 'self' blob:; img-src 'self' data:; style-src 'self' \
                      'unsafe-inline'; frame-ancestors 'none'";

/// Adds the headers that browsers are kept in bounds with.
pub async fn headers(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: under that, a form of our own page would say that it comes from `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Logs the route, never the address asked for: that holds numbers and names.
pub async fn logged(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("page", MatchedPath::as_str).to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let (status, took_ms) = (response.status().as_u16(), begun.elapsed().as_millis() as u64);
    tracing::debug!(%method, route, status, took_ms, "answered");
    response
}
