//! The pages, built in.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::error::ApiError;
use crate::token::hex;

/// The built pages.
#[derive(RustEmbed)]
#[folder = "../web/dist"]
struct Dist;

/// A file of the pages; the index for the addresses that the pages themselves understand.
pub async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        let message = format!("there is no {} in this API: openapi.json says what is", uri.path());
        return ApiError::new(StatusCode::NOT_FOUND, "not_found", message).into_response();
    }
    let is_route = path.is_empty() || path == "calls" || path.starts_with("calls/");
    let name = if is_route { "index.html" } else { path };
    match Dist::get(name) {
        Some(file) => serve(name, file, &headers),
        // Somebody who followed a broken link is told so by the page itself.
        None if wants_page(&headers) => match Dist::get("index.html") {
            Some(index) => {
                (StatusCode::NOT_FOUND, serve("index.html", index, &HeaderMap::new())).into_response()
            }
            None => ApiError::missing("page").into_response(),
        },
        None => ApiError::missing("page").into_response(),
    }
}

/// Whether a person's browser asks for something to show, not a page for one of its parts.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

fn serve(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));
    // The builder puts a hash of the content into the names below assets/.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fixed = [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, cache.to_owned())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let content_type = file.metadata.mimetype().to_owned();
    (fixed, [(header::CONTENT_TYPE, content_type)], Body::from(file.data)).into_response()
}
