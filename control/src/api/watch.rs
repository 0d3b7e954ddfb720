//! Calls as they change, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures_util::{Stream, stream};
use tokio::sync::broadcast;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api::error::{ApiError, ErrorBody};
use crate::api::identity;
use crate::app::Shared;
use crate::stopping::Stopping;
use crate::store::SignedIn;

/// Between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Most active calls told at the beginning: the newest.
const ACTIVE: u32 = 1_000;

/// One page that watches.
struct Watcher {
    app: Shared,
    headers: HeaderMap,
    changes: broadcast::Receiver<Arc<str>>,
    /// What is told first: the calls that are active now, last one first.
    active: Vec<String>,
    tick: Interval,
    stopping: Stopping,
}

/// Watch calls.
///
/// `event: call` with a `CallSummary` for every call that is active, then for each change of any call (started,
/// updated, ended, recorded). `event: resync` when changes were missed: load the list anew. A comment every 15 s.
#[utoipa::path(get, path = "/api/live", tag = "calls",
    responses(
        (status = 200, description = "Events without end", body = String, content_type = "text/event-stream"),
        (status = 401, description = "Not signed in", body = ErrorBody),
    ))]
pub async fn live(
    State(app): State<Shared>,
    _: SignedIn,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Watching begins before the list is read: what changes in between is told twice rather than never.
    let changes = app.live.watch();
    let active = app.store.active_calls(ACTIVE).await?;
    let json = active.iter().rev().map(serde_json::to_string).collect::<Result<_, _>>();
    let active = json.map_err(ApiError::internal)?;
    let mut tick = interval(KEEP_ALIVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopping = app.stopping.clone();
    let watcher = Watcher { app, headers, changes, active, tick, stopping };
    Ok(Sse::new(stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok(event), watcher))
    })))
}

impl Watcher {
    /// The next event; `None` when the session is over or control stops.
    async fn next(&mut self) -> Option<Event> {
        if let Some(call) = self.active.pop() {
            return Some(Event::default().event("call").data(call));
        }
        tokio::select! {
            change = self.changes.recv() => match change {
                Ok(call) => Some(Event::default().event("call").data(&*call)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::default().event("resync").data("{}")),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            _ = self.tick.tick() => {
                // Who signed out, or was signed out, sees no more.
                identity::signed_in(&self.app, &self.headers).await.ok()?;
                Some(Event::default().comment("alive"))
            }
            () = self.stopping.heard() => None,
        }
    }
}
