//! The HTTP API, as `openapi.json` describes it, and the pages.

mod body;
mod calls;
mod drained;
mod error;
mod guard;
mod identity;
mod ingest_events;
mod ingest_recordings;
mod pages;
mod query;
mod range;
mod recordings;
mod session;
mod status;
mod watch;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;
use crate::summary::{CallSummary, PartySummary};
use error::ApiError;
pub use session::Peer;

/// What the description says beside the paths.
#[derive(OpenApi)]
#[openapi(
    info(title = "Nightjar control", description = "Find calls and listen to them; take them in from sensors."),
    components(schemas(CallSummary, PartySummary)),
    tags(
        (name = "session", description = "Signing in and out"),
        (name = "calls", description = "What is known about calls"),
        (name = "recordings", description = "Their audio"),
        (name = "status", description = "How control is"),
        (name = "ingest", description = "For sensors, by bearer token"),
    ),
    security(("session" = [])),
    modifiers(&Schemes),
)]
struct Description;

/// The two ways to say who one is.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let cookie =
            ApiKey::Cookie(ApiKeyValue::with_description(identity::COOKIE, "Set by POST /api/session"));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("A sensor's token, as `nightjar-control token` makes it".to_owned());
        components.add_security_scheme("sensor", SecurityScheme::Http(bearer));
    }
}

/// Routes for people: a session's cookie says who asks.
fn people() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(session::sign_in, session::who, session::sign_out))
        .routes(routes!(calls::list))
        .routes(routes!(calls::one))
        .routes(routes!(recordings::peaks))
        .routes(routes!(watch::live))
        .routes(routes!(status::health))
        .routes(routes!(status::summary))
}

/// Audio is compressed already, and a range counts its own bytes.
fn audio() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(recordings::audio))
}

/// Routes for sensors: a token says who delivers.
fn sensors() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(ingest_events::events)).routes(routes!(ingest_recordings::recording))
}

/// The description of the API (OpenAPI 3.1), as the committed `openapi.json` has it.
pub fn openapi() -> String {
    let routes = people().merge(audio()).merge(sensors());
    let (_, api) = OpenApiRouter::with_openapi(Description::openapi()).merge(routes).split_for_parts();
    let mut text = api.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Everything that is served.
pub fn router(app: Shared) -> Router {
    let forged = middleware::from_fn_with_state(app.clone(), identity::same_site);
    let people = Router::from(people()).fallback(pages::page).layer(CompressionLayer::new());
    people
        .merge(audio())
        .layer(forged)
        .merge(sensors())
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(|_| {
            use axum::response::IntoResponse;
            ApiError::internal("a handler panicked").into_response()
        }))
        .layer(middleware::from_fn(drained::drained))
        .layer(middleware::from_fn(guard::headers))
        .layer(middleware::from_fn(guard::logged))
        .with_state(app)
}

async fn wrong_method() -> ApiError {
    let message = "this address does not know the method: openapi.json says which it does";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message)
}
