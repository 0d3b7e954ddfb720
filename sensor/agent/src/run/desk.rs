//! Where everything about calls is written down: final rows, events for control. Media workers
//! bring finished calls here, a thread of its own the news of those in progress.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nightjar_pipeline::{Finished, Rows, Watcher};
use nightjar_schema::{Call, CallState, Event, EventKind, Timestamp, recording_id};
use nightjar_store::{CallsFile, Durability, OutboxWriter, StoreError};
use nightjar_wire::Nanos;
use uuid::Uuid;

use crate::summary::CallCounts;

/// News of calls in progress that wait to be written; further ones are left out, the next news of
/// the same call makes up for them.
const NEWS: usize = 4096;
/// Rows that wait for a disk that is full.
const UNWRITTEN: usize = 10_000;
/// Errors that are kept for the summary; each kind is logged once.
const ERRORS: usize = 100;
/// How often what was written is made durable.
const COMMIT_INTERVAL: Duration = Duration::from_millis(250);

/// The files and what was written to them.
pub(super) struct Desk {
    calls: CallsFile,
    /// None without a control to deliver to.
    outbox: Option<OutboxWriter>,
    counts: CallCounts,
    /// Calls that control has heard of, with the hash of what it heard last.
    told: BTreeMap<Uuid, Timestamp>,
    /// Calls whose latest row is not durable yet.
    undurable: BTreeSet<Uuid>,
    /// Rows that the disk has not taken yet, oldest first.
    unwritten: VecDeque<Call>,
    errors: Vec<String>,
}

/// The desk, shared by the workers.
#[derive(Clone)]
pub(super) struct SharedDesk(Arc<Mutex<Desk>>);

impl SharedDesk {
    /// Opens calls.jsonl in the data folder.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) fn open(data_dir: &Path, outbox: Option<OutboxWriter>) -> Result<SharedDesk, String> {
        let calls = CallsFile::open(data_dir, Durability::PowerLoss).map_err(|error| error.to_string())?;
        Ok(SharedDesk(Arc::new(Mutex::new(Desk {
            calls,
            outbox,
            counts: CallCounts::default(),
            told: BTreeMap::new(),
            undurable: BTreeSet::new(),
            unwritten: VecDeque::new(),
            errors: Vec::new(),
        }))))
    }

    /// A worker that panicked has left whole lines: the files stay usable.
    pub(super) fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows for SharedDesk {
    fn finish(&mut self, done: Finished) {
        self.lock().finish(done);
    }

    fn is_durable(&mut self, call: Uuid) -> bool {
        self.lock().is_durable(call)
    }

    fn commit(&mut self) {
        self.lock().commit();
    }
}

impl Desk {
    /// Writes a finished call down; what the disk does not take is tried again.
    pub(super) fn finish(&mut self, done: Finished) {
        if let Some(error) = done.error {
            self.report(error);
        }
        self.undurable.insert(done.row.id);
        self.unwritten.push_back(*done.row);
        self.write_rows();
        if self.unwritten.len() > UNWRITTEN {
            let lost = self.unwritten.pop_front();
            lost.iter().for_each(|row| _ = self.undurable.remove(&row.id));
            self.report(format!(
                "more than {UNWRITTEN} calls could not be written down; the oldest are lost"
            ));
        }
    }

    /// Writes rows in their order until the disk refuses one.
    fn write_rows(&mut self) {
        while let Some(mut row) = self.unwritten.pop_front() {
            if let Err(error) = self.write(&mut row) {
                self.unwritten.push_front(row);
                return self.report(error.to_string());
            }
            self.told.remove(&row.id);
        }
    }

    /// The outbox first: a crash in between tells control twice, not never.
    fn write(&mut self, row: &mut Call) -> Result<(), StoreError> {
        self.calls.raise_revision(row);
        if self.calls.held(row.id).is_some_and(|held| held >= row.revision) {
            return Ok(());
        }
        let at = row.ended_at.unwrap_or(row.started_at);
        self.tell(at, EventKind::Recorded, row.clone())?;
        let is_first = self.calls.held(row.id).is_none();
        self.calls.append(row)?;
        if is_first {
            self.counts.add(row);
        }
        Ok(())
    }

    /// True for a call that is written down already, its recording stored.
    pub(super) fn is_done(&self, call: Uuid) -> bool {
        self.calls.is_done(call)
    }

    /// Writes news of a call in progress.
    fn change(&mut self, at: Nanos, row: Call) {
        let at = Timestamp::from_nanos(at.0);
        let kind = match (row.state, self.told.insert(row.id, at)) {
            (CallState::Active, None) => EventKind::Started,
            (CallState::Active, Some(_)) => EventKind::Updated,
            _ => EventKind::Ended,
        };
        if let Err(error) = self.tell(at, kind, row) {
            self.report(error.to_string());
        }
    }

    fn tell(&mut self, at: Timestamp, kind: EventKind, call: Call) -> Result<(), StoreError> {
        let Some(outbox) = &mut self.outbox else { return Ok(()) };
        // The same event again, after a crash, has the same id.
        let id = recording_id(call.id, &format!("{kind:?} {at}"), call.revision);
        outbox.append(&Event { id, at, kind, call }).map(|_| ())
    }

    /// Makes everything durable, in the order in which it was written.
    pub(super) fn commit(&mut self) {
        self.write_rows();
        let results = [self.outbox.as_mut().map_or(Ok(()), OutboxWriter::commit), self.calls.commit()];
        if results.iter().all(Result::is_ok) {
            let unwritten = &self.unwritten;
            self.undurable.retain(|id| unwritten.iter().any(|row| row.id == *id));
        }
        for error in results.into_iter().filter_map(Result::err) {
            self.report(error.to_string());
        }
    }

    /// True for a call whose latest row would survive a crash.
    pub(super) fn is_durable(&self, call: Uuid) -> bool {
        !self.undurable.contains(&call)
    }

    /// What was counted.
    pub(super) fn counts(&self) -> CallCounts {
        self.counts.clone()
    }

    /// What was counted and what went wrong.
    pub(super) fn take_report(&mut self) -> (CallCounts, Vec<String>) {
        (self.counts(), std::mem::take(&mut self.errors))
    }

    /// An error is logged once.
    fn report(&mut self, error: String) {
        if self.errors.len() < ERRORS && !self.errors.contains(&error) {
            tracing::error!("{error}");
            self.errors.push(error);
        }
    }
}

/// The capture core's end: passes news on, never waits.
pub(super) struct NewsSender(Sender<(Nanos, Call)>);

impl Watcher for NewsSender {
    fn changed(&mut self, at: Nanos, row: Call) {
        let _ = self.0.try_send((at, row));
    }
}

/// Starts the thread that writes news down and commits; it ends when the sender is gone.
pub(super) fn start_news(desk: &SharedDesk) -> (NewsSender, JoinHandle<()>) {
    let (sender, receiver) = bounded(NEWS);
    let desk = desk.clone();
    let thread = std::thread::spawn(move || write_news(&desk, &receiver));
    (NewsSender(sender), thread)
}

fn write_news(desk: &SharedDesk, news: &Receiver<(Nanos, Call)>) {
    let mut commit_at = Instant::now() + COMMIT_INTERVAL;
    loop {
        match news.recv_deadline(commit_at) {
            Ok((at, row)) => desk.lock().change(at, row),
            Err(RecvTimeoutError::Timeout) => {
                desk.lock().commit();
                commit_at = Instant::now() + COMMIT_INTERVAL;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    desk.lock().commit();
}
