//! Calls in SQLite: one row each, weighed against what comes later, with what a search finds them by beside it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nightjar_schema::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::SqliteStore;
use super::search::{self, Reach};
use crate::phone;
use crate::precedence::{Precedence, Stage};
use crate::store::{CallFilter, CallPage, CallReport, Calls, Counts, Cursor, StoreError};
use crate::summary::{CallSummary, Outline};

#[async_trait]
impl Calls for SqliteStore {
    async fn report_calls(
        &self,
        sensor: &str,
        reports: &[CallReport],
        now: Timestamp,
    ) -> Result<Vec<CallSummary>, StoreError> {
        let mut tx = self.begin().await?;
        let mut changed = BTreeMap::new();
        for (order, report) in reports.iter().enumerate() {
            if let Some(number) = apply(&mut tx, sensor, report).await? {
                changed.insert(report.outline.summary.id, (order, number));
            }
        }
        touch_sensor(&mut tx, sensor, now).await?;
        let mut numbers: Vec<_> = changed.into_values().collect();
        numbers.sort_unstable();
        let mut summaries = Vec::with_capacity(numbers.len());
        for (_, number) in numbers {
            let sql = "SELECT id, summary, audio FROM calls WHERE number = ?";
            let row = sqlx::query(sql).bind(number).fetch_one(&mut *tx).await?;
            summaries.push(listed(&mut tx, &row).await?);
        }
        tx.commit().await?;
        Ok(summaries)
    }

    async fn calls(
        &self,
        filter: &CallFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<CallPage, StoreError> {
        let mut reader = self.readers.acquire().await?;
        // One more than asked for tells whether there is a next page.
        let wanted = limit + 1;
        let mut rows = Vec::new();
        if search::is_for_text(filter) {
            rows = search::page(filter, after, wanted, Reach::Newest).build().fetch_all(&mut *reader).await?;
        }
        if rows.len() < wanted as usize {
            rows = search::page(filter, after, wanted, Reach::All).build().fetch_all(&mut *reader).await?;
        }
        let shown = rows.len().min(limit as usize);
        let mut calls = Vec::with_capacity(shown);
        for row in &rows[..shown] {
            calls.push(listed(&mut reader, row).await?);
        }
        let last = calls.last().filter(|_| rows.len() > shown);
        let next = last.map(|call| Cursor { started_at: call.started_at, id: call.id });
        Ok(CallPage { calls, next })
    }

    async fn active_calls(&self, limit: u32) -> Result<Vec<CallSummary>, StoreError> {
        let mut reader = self.readers.acquire().await?;
        let sql = "SELECT id, summary, audio FROM calls WHERE state = 'active'
                   ORDER BY started_at DESC, id DESC LIMIT ?";
        let rows = sqlx::query(sql).bind(limit).fetch_all(&mut *reader).await?;
        let mut calls = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            calls.push(listed(&mut reader, row).await?);
        }
        Ok(calls)
    }

    async fn call(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        let sql = "SELECT document FROM calls WHERE id = ?";
        Ok(sqlx::query_scalar(sql).bind(id).fetch_optional(&self.readers).await?)
    }

    async fn counts(&self, since: Timestamp) -> Result<Counts, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM calls WHERE state = 'active') AS live,
                          (SELECT count(*) FROM calls WHERE started_at >= ?) AS since,
                          (SELECT calls FROM totals) AS total";
        let row = sqlx::query(sql).bind(since.0).fetch_one(&self.readers).await?;
        Ok(Counts { live: row.try_get("live")?, since: row.try_get("since")?, total: row.try_get("total")? })
    }

    async fn sensors_seen(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let rows =
            sqlx::query("SELECT name, seen_at FROM sensors ORDER BY name").fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, Timestamp(row.try_get("seen_at")?)))).collect()
    }
}

/// Notes that a sensor delivered.
pub(super) async fn touch_sensor(
    connection: &mut SqliteConnection,
    sensor: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO sensors (name, seen_at) VALUES (?, ?)
               ON CONFLICT (name) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)";
    sqlx::query(sql).bind(sensor).bind(now.0).execute(connection).await?;
    Ok(())
}

/// A row's call as a list shows it, with the audio that is stored for it.
///
/// Costs one look into an index per call, which a page of 50 can afford and a join would not save.
pub(super) async fn listed(
    connection: &mut SqliteConnection,
    row: &SqliteRow,
) -> Result<CallSummary, StoreError> {
    let summary: CallSummary =
        serde_json::from_str(row.try_get("summary")?).map_err(|error| corrupt(&error))?;
    let audio = serde_json::from_str(row.try_get("audio")?).map_err(|error| corrupt(&error))?;
    let sql = "SELECT id FROM recordings WHERE call = ? AND sensor = ? ORDER BY stored_at, id";
    let stored: Vec<Uuid> =
        sqlx::query_scalar(sql).bind(summary.id).bind(&summary.sensor).fetch_all(connection).await?;
    let outline =
        Outline { summary, audio, numbers: Vec::new(), parties: String::new(), identifiers: String::new() };
    Ok(outline.with_audio(&stored))
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!(
        "a call's summary, {:?} error in column {}",
        error.classify(),
        error.column()
    ))
}

/// Takes one report; gives the call's number where its row changed.
async fn apply(
    connection: &mut SqliteConnection,
    sensor: &str,
    report: &CallReport,
) -> Result<Option<i64>, StoreError> {
    let id = report.outline.summary.id;
    let sql = "SELECT number, sensor, revision, stage, event_at, event FROM calls WHERE id = ?";
    let known = sqlx::query(sql).bind(id).fetch_optional(&mut *connection).await?;
    let number = match known {
        None => insert(connection, report).await?,
        Some(row) if row.try_get::<&str, _>("sensor")? != sensor => return Err(StoreError::Foreign(id)),
        Some(row) if report.precedence <= precedence(&row)? => return Ok(None),
        Some(row) => update(connection, row.try_get("number")?, report).await?,
    };
    index(connection, number, &report.outline).await?;
    Ok(Some(number))
}

fn precedence(row: &SqliteRow) -> Result<Precedence, StoreError> {
    let stage = Stage::from_number(row.try_get("stage")?);
    let at = Timestamp(row.try_get("event_at")?);
    Ok(Precedence::new(row.try_get("revision")?, stage, at, row.try_get("event")?))
}

async fn insert(connection: &mut SqliteConnection, report: &CallReport) -> Result<i64, StoreError> {
    let sql =
        "INSERT INTO calls (state, started_at, duration_ms, revision, stage, event_at, event, summary, audio,
                                  document, id, sensor)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number";
    let summary = &report.outline.summary;
    let query = sqlx::query_scalar_with(sql, arguments(report)?).bind(summary.id).bind(&summary.sensor);
    Ok(query.fetch_one(connection).await?)
}

async fn update(
    connection: &mut SqliteConnection,
    number: i64,
    report: &CallReport,
) -> Result<i64, StoreError> {
    let sql =
        "UPDATE calls SET state = ?, started_at = ?, duration_ms = ?, revision = ?, stage = ?, event_at = ?,
                                event = ?, summary = ?, audio = ?, document = ?
               WHERE number = ?";
    sqlx::query_with(sql, arguments(report)?).bind(number).execute(connection).await?;
    Ok(number)
}

/// The columns that insert and update share, in their common order.
fn arguments(report: &CallReport) -> Result<sqlx::sqlite::SqliteArguments, StoreError> {
    use sqlx::Arguments;
    let encode = |error| StoreError::Database(sqlx::Error::Encode(error));
    let (summary, weight) = (&report.outline.summary, &report.precedence);
    let mut arguments = sqlx::sqlite::SqliteArguments::default();
    arguments.add(summary.state.clone()).map_err(encode)?;
    arguments.add(summary.started_at.0).map_err(encode)?;
    arguments.add(summary.duration_ms).map_err(encode)?;
    arguments.add(weight.revision()).map_err(encode)?;
    arguments.add(weight.stage().number()).map_err(encode)?;
    arguments.add(weight.at().0).map_err(encode)?;
    arguments.add(weight.event()).map_err(encode)?;
    arguments.add(serde_json::to_string(summary).map_err(|error| corrupt(&error))?).map_err(encode)?;
    arguments
        .add(serde_json::to_string(&report.outline.audio).map_err(|error| corrupt(&error))?)
        .map_err(encode)?;
    arguments.add(report.document.clone()).map_err(encode)?;
    Ok(arguments)
}

/// Renews what the call is found by, where it changed: most updates of a call change none of it.
async fn index(connection: &mut SqliteConnection, number: i64, outline: &Outline) -> Result<(), StoreError> {
    let numbers = outline.numbers.join("\n");
    let sql = "SELECT numbers = ? AND parties = ? AND identifiers = ? FROM call_text WHERE rowid = ?";
    let query = sqlx::query_scalar(sql).bind(&numbers).bind(&outline.parties).bind(&outline.identifiers);
    let same: Option<bool> = query.bind(number).fetch_optional(&mut *connection).await?;
    if same == Some(true) {
        return Ok(());
    }
    sqlx::query("DELETE FROM call_text WHERE rowid = ?").bind(number).execute(&mut *connection).await?;
    let sql = "INSERT INTO call_text (rowid, numbers, parties, identifiers) VALUES (?, ?, ?, ?)";
    let query =
        sqlx::query(sql).bind(number).bind(&numbers).bind(&outline.parties).bind(&outline.identifiers);
    query.execute(&mut *connection).await?;
    sqlx::query("DELETE FROM call_numbers WHERE call = ?").bind(number).execute(&mut *connection).await?;
    for value in &outline.numbers {
        let sql = "INSERT INTO call_numbers (number, call, reversed) VALUES (?, ?, ?)";
        let query = sqlx::query(sql).bind(value).bind(number).bind(phone::reversed_digits(value));
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
