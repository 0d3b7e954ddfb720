//! The calls: a filtered list, newest first, and one call whole.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use nightjar_schema::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::error::{ApiError, ErrorBody};
use crate::api::query::{self, Query};
use crate::app::{Shared, now};
use crate::store::{CallFilter, Cursor, SignedIn};
use crate::summary::CallSummary;
use crate::token::{hex, unhex};

/// Calls on a page, unless asked otherwise.
const DEFAULT_LIMIT: u32 = 50;
/// Most calls on a page.
const LARGEST_LIMIT: u32 = 200;
/// Longest text to search for, characters.
const LONGEST_TEXT: usize = 200;
/// The states that a call can be in.
const STATES: [&str; 7] = ["active", "completed", "incomplete", "cancelled", "rejected", "failed", "unknown"];

/// What the list is filtered by; all given conditions have to hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it describes the query for openapi.json; `read` reads it")]
struct ListQuery {
    /// Started at or after this moment (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Started before this moment (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// A caller's, answering party's, dialled or leg's number: the whole number, or its last three digits or more.
    number: Option<String>,
    /// Part of a party's name or URI.
    party: Option<String>,
    /// Shortest duration from answer to end.
    min_duration_ms: Option<i64>,
    /// Longest duration from answer to end.
    max_duration_ms: Option<i64>,
    /// States, separated by commas.
    #[param(example = "active,completed")]
    state: Option<String>,
    /// Words, each of which is part of a number, a name, a URI or a Call-ID.
    q: Option<String>,
    /// Calls on the page, at most 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of calls.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CallList {
    /// Newest first.
    pub calls: Vec<CallSummary>,
    /// Asks for the next page; `null` at the end.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// Calls in progress, whatever the filter.
    pub live: i64,
}

/// List calls, newest first.
#[utoipa::path(get, path = "/api/calls", operation_id = "list_calls", tag = "calls", params(ListQuery),
    responses(
        (status = 200, description = "A page of calls", body = CallList),
        (status = 400, description = "A parameter is wrong; the message names it", body = ErrorBody),
        (status = 401, description = "Not signed in", body = ErrorBody),
    ))]
pub async fn list(
    State(app): State<Shared>,
    _: SignedIn,
    RawQuery(raw): RawQuery,
) -> Result<Json<CallList>, ApiError> {
    let (filter, after, limit) = read(&Query::parse(raw.as_deref().unwrap_or("")))?;
    let page = app.store.calls(&filter, after, limit).await?;
    let live = app.store.counts(now()).await?.live;
    Ok(Json(CallList { calls: page.calls, next_cursor: page.next.map(write_cursor), live }))
}

/// One call, whole: its row of `calls.jsonl` as the sensor wrote it.
#[utoipa::path(get, path = "/api/calls/{id}", operation_id = "call", tag = "calls", params(("id" = Uuid, Path, description = "The call's id")),
    responses(
        (status = 200, description = "The call (schema 1 of calls.jsonl)", body = Object),
        (status = 400, description = "Not an id", body = ErrorBody),
        (status = 401, description = "Not signed in", body = ErrorBody),
        (status = 404, description = "No such call", body = ErrorBody),
    ))]
pub async fn one(
    State(app): State<Shared>,
    _: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let document = app.store.call(query::id(&id)?).await?.ok_or_else(|| ApiError::missing("call"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

fn read(query: &Query) -> Result<(CallFilter, Option<Cursor>, u32), ApiError> {
    query.only(&[
        "from",
        "to",
        "number",
        "party",
        "min_duration_ms",
        "max_duration_ms",
        "state",
        "q",
        "limit",
        "cursor",
    ])?;
    let filter = CallFilter {
        from: query.time("from")?,
        to: query.time("to")?,
        number: query.short("number", LONGEST_TEXT)?,
        party: query.short("party", LONGEST_TEXT)?,
        min_duration_ms: query.number("min_duration_ms", 0..=i64::MAX)?,
        max_duration_ms: query.number("max_duration_ms", 0..=i64::MAX)?,
        states: states(query)?,
        terms: query.short("q", LONGEST_TEXT)?.map(|q| words(&q)).unwrap_or_default(),
    };
    let cursor = query.text("cursor");
    let after = cursor.map(|text| {
        let refused = || ApiError::parameter("cursor", "must be the next_cursor of an earlier page");
        read_cursor(text).ok_or_else(refused)
    });
    let limit = query.number("limit", 1..=i64::from(LARGEST_LIMIT))?;
    let limit = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT);
    Ok((filter, after.transpose()?, limit))
}

fn states(query: &Query) -> Result<Vec<String>, ApiError> {
    let Some(text) = query.text("state") else { return Ok(Vec::new()) };
    let mut states: Vec<_> = text.split(',').map(|state| state.trim().to_owned()).collect();
    states.retain(|state| !state.is_empty());
    states.sort_unstable();
    states.dedup();
    match states.iter().find(|state| !STATES.contains(&state.as_str())) {
        None => Ok(states),
        Some(_) => Err(ApiError::parameter("state", format!("must be some of {}", STATES.join(",")))),
    }
}

/// At most eight words; more would only cost.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().take(8).map(str::to_owned).collect()
}

/// A cursor as text: the start in microseconds and the id, hexadecimal.
fn write_cursor(cursor: Cursor) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&cursor.started_at.0.to_be_bytes());
    bytes[8..].copy_from_slice(cursor.id.as_bytes());
    hex(&bytes)
}

fn read_cursor(text: &str) -> Option<Cursor> {
    let mut bytes = [0; 24];
    if !unhex(text, &mut bytes) {
        return None;
    }
    let (start, id) = bytes.split_first_chunk::<8>()?;
    Some(Cursor { started_at: Timestamp(i64::from_be_bytes(*start)), id: Uuid::from_slice(id).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        for micros in [0, -5, i64::MAX, 1_700_000_000_123_456] {
            let cursor = Cursor { started_at: Timestamp(micros), id: Uuid::from_u128(7 << 100 | 5) };
            assert_eq!(read_cursor(&write_cursor(cursor)), Some(cursor));
        }
        assert_eq!(read_cursor("00"), None);
        assert_eq!(read_cursor(&"x".repeat(48)), None);
    }

    #[test]
    fn each_wrong_parameter_is_refused() {
        let wrong = [
            "from=yesterday",
            "to=2026-01-01",
            "min_duration_ms=-1",
            "max_duration_ms=long",
            "state=complete",
            "limit=0",
            "limit=201",
            "cursor=1",
            "colour=red",
            "q=a&q=b",
        ];
        for raw in wrong {
            assert!(read(&Query::parse(raw)).is_err(), "{raw}");
        }
        let (filter, after, limit) =
            read(&Query::parse("from=&state=active,,completed&q=a+b%20c")).ok().unwrap();
        assert_eq!((filter.from, after, limit), (None, None, 50));
        assert_eq!(filter.states, ["active", "completed"]);
        assert_eq!(filter.terms, ["a", "b", "c"]);
    }
}
