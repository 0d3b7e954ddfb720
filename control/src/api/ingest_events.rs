//! Events of a sensor: what it knows of its calls, line by line, at least once and in any order.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use nightjar_schema::{EventKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::body;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::identity::Delivering;
use crate::app::{Shared, now};
use crate::precedence::{Precedence, Stage};
use crate::store::CallReport;
use crate::summary::Outline;

/// One event, its call still as the sensor wrote it: fields that this version does not know are kept.
#[derive(Deserialize)]
struct Line<'a> {
    id: Uuid,
    at: Timestamp,
    kind: &'a str,
    #[serde(borrow)]
    call: &'a RawValue,
}

/// What became of a batch.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Events that control has now, repeats included.
    pub accepted: usize,
}

/// Deliver events.
///
/// NDJSON, one event a line: `{id, at, kind, call}`. All or none of a batch is taken. Repeats and late events are
/// accepted and change nothing: of each call the row with the highest revision stands, a final one above all others.
#[utoipa::path(post, path = "/api/ingest/v1/events", operation_id = "deliver_events", tag = "ingest", security(("sensor" = [])),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "Taken", body = Accepted),
        (status = 400, description = "A line is no event; the message names it", body = ErrorBody),
        (status = 401, description = "Unknown sensor", body = ErrorBody),
        (status = 403, description = "A call is another sensor's", body = ErrorBody),
        (status = 408, description = "The body came too slowly", body = ErrorBody),
        (status = 413, description = "The batch is too large", body = ErrorBody),
        (status = 507, description = "The disk is full", body = ErrorBody),
    ))]
pub async fn events(
    State(app): State<Shared>,
    sensor: Delivering,
    body: Body,
) -> Result<Json<Accepted>, ApiError> {
    let mut stream = body.into_data_stream();
    let bytes = body::whole(&mut stream, app.limits.events_bytes, "limits.events_bytes").await?;
    let name = sensor.name.clone();
    let read = tokio::task::spawn_blocking(move || read(&bytes, &name)).await.map_err(ApiError::internal)?;
    let reports = read?;
    // Announcing in the order of change: two batches of one sensor must not overtake each other.
    let turn = app.turn.lock().await;
    let changed = app.store.report_calls(&sensor.name, &reports, now()).await?;
    app.live.announce(&changed);
    drop(turn);
    Ok(Json(Accepted { accepted: reports.len() }))
}

fn read(bytes: &[u8], sensor: &str) -> Result<Vec<CallReport>, ApiError> {
    let mut reports = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let report = read_line(line).map_err(|what| {
            let message = format!("line {}: {what}; nothing of this batch was taken", index + 1);
            ApiError::new(StatusCode::BAD_REQUEST, "bad_event", message)
        })?;
        let found = &report.outline.summary;
        if found.sensor != sensor {
            let message = format!(
                "line {}: call {} has another source.sensor than the one whose token this is; nothing of this batch was \
                 taken",
                index + 1,
                found.id
            );
            return Err(ApiError::new(StatusCode::FORBIDDEN, "not_yours", message));
        }
        reports.push(report);
    }
    Ok(reports)
}

fn read_line(line: &[u8]) -> Result<CallReport, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| format!("not an event: {error}"))?;
    let document = line.call.get();
    let (outline, revision) = Outline::read(document).map_err(|error| format!("not a call: {error}"))?;
    // A kind that a newer sensor knows still carries a row.
    let kind = serde_json::from_value::<EventKind>(line.kind.into()).ok();
    let precedence = Precedence::new(revision, Stage::of(kind), line.at, line.id);
    Ok(CallReport { precedence, outline, document: document.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"{"schema":1,"revision":2,"id":"01890a5d-ac96-774b-bcce-b302099a8057","protocol":"sip","novel":[1],
        "source":{"kind":"mirror","sensor":"s1","realm":0},"direction":"inbound","state":"active",
        "started_at":"2026-01-01T00:00:00Z","begun_before_capture":false,"decision":{"action":"record"}}"#;

    fn line(kind: &str) -> String {
        let call = CALL.replace('\n', "");
        format!(
            r#"{{"id":"01890a5d-ac96-774b-bcce-000000000001","at":"2026-01-01T00:00:01Z","kind":"{kind}","call":{call}}}"#
        )
    }

    #[test]
    fn the_row_is_kept_to_the_letter() {
        let report = &read(format!("\n{}\n\n", line("started")).as_bytes(), "s1").ok().unwrap()[0];
        assert_eq!(report.document, CALL.replace('\n', ""));
        assert_eq!((report.precedence.revision(), report.precedence.stage()), (2, Stage::Started));
    }

    #[test]
    fn a_kind_of_a_newer_sensor_counts_as_an_update() {
        let report = &read(line("teleported").as_bytes(), "s1").ok().unwrap()[0];
        assert_eq!(report.precedence.stage(), Stage::Updated);
    }

    #[test]
    fn a_bad_line_is_named_and_another_sensors_call_refused() {
        let status =
            |text: &str, sensor| read(text.as_bytes(), sensor).err().map(|error| error.status().as_u16());
        assert_eq!(status(&format!("{}\nnonsense", line("ended")), "s1"), Some(400));
        assert_eq!(status(&line("ended").replace("\"started_at\"", "\"x\""), "s1"), Some(400));
        assert_eq!(status(&line("ended"), "s2"), Some(403));
        assert_eq!(status("", "s1"), None);
    }
}
