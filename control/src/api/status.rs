//! Whether control works, and the figures of a page's header.

use axum::Json;
use axum::extract::State;
use nightjar_schema::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::error::{ApiError, ErrorBody};
use crate::app::Shared;
use crate::store::SignedIn;

/// Control works.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: String,
    /// Control's version.
    pub version: String,
}

/// A sensor.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SensorStatus {
    /// Its name.
    pub name: String,
    /// When it last delivered something or said that it lives; `null` before it ever did.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<Timestamp>,
}

/// Figures for a page's header.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Calls in progress.
    pub live: i64,
    /// Calls that started since midnight, in control's time zone.
    pub today: i64,
    /// All calls.
    pub total: i64,
    /// The configured sensors, by name, and those that once were.
    pub sensors: Vec<SensorStatus>,
}

/// Does control work? Needs no session.
#[utoipa::path(get, path = "/api/health", tag = "status", security(()),
    responses((status = 200, description = "It does", body = Health)))]
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Figures for a page's header.
#[utoipa::path(get, path = "/api/summary", tag = "status",
    responses(
        (status = 200, description = "The figures", body = Summary),
        (status = 401, description = "Not signed in", body = ErrorBody),
    ))]
pub async fn summary(State(app): State<Shared>, _: SignedIn) -> Result<Json<Summary>, ApiError> {
    let counts = app.store.counts(midnight(&jiff::Zoned::now())?).await?;
    let mut sensors = app.store.sensors_seen().await?;
    let mut statuses: Vec<_> =
        sensors.drain(..).map(|(name, at)| SensorStatus { name, last_seen_at: Some(at) }).collect();
    for sensor in &app.sensors {
        if !statuses.iter().any(|status| status.name == sensor.name) {
            statuses.push(SensorStatus { name: sensor.name.clone(), last_seen_at: None });
        }
    }
    statuses.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(Summary { live: counts.live, today: counts.since, total: counts.total, sensors: statuses }))
}

/// When the day began, where it was.
fn midnight(now: &jiff::Zoned) -> Result<Timestamp, ApiError> {
    let start = now.start_of_day().map_err(ApiError::internal)?;
    Ok(Timestamp(start.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_its_own_midnight() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-20T23:30:00Z".parse::<jiff::Timestamp>().unwrap().to_zoned(zone);
        assert_eq!(midnight(&now).ok().unwrap().to_string(), "2026-11-20T22:00:00.000000Z");
    }
}
