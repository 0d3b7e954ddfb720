//! Calls that are over, until nothing of them is needed any more: a call's pages and packets are
//! kept until its row is durable, and those of a recording that a full disk has refused until the
//! disk takes it.

use std::sync::Arc;

use nightjar_schema::{Call, RecordingState};
use nightjar_store::{Container, StoredRecording};
use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::media_worker::Finished;
use crate::recording::{NewFile, RecordingTarget, Save};
use crate::saved::Saved;

/// Recordings that wait for room at most; beyond them the oldest is given up.
const MAX_UNSTORED: usize = 1_000;
/// Commits between two attempts to store a recording: at first, and at most (a minute).
const RETRY_AFTER: (u32, u32) = (4, 240);

/// A recording that the disk has refused, and its call's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unstored {
    /// The row's number in order of closing.
    pub(crate) order: u64,
    /// The row as it was written, the recording pending.
    pub(crate) row: Box<Call>,
    /// The recording's first sample.
    pub(crate) started_at: Nanos,
    /// How it is packed.
    pub(crate) is_wav: bool,
    /// What goes before what was appended.
    pub(crate) header: Vec<u8>,
    /// Bytes that were appended.
    pub(crate) appended: u64,
    /// What goes behind them.
    pub(crate) tail: Vec<u8>,
}

impl Unstored {
    fn container(&self) -> Container {
        if self.is_wav { Container::Wav } else { Container::Opus }
    }

    /// Makes the file, and the row that says so.
    fn store<T: RecordingTarget>(&mut self, target: &mut T) -> Result<Finished, String> {
        let stored = target.store(&NewFile {
            call: self.row.id,
            started_at: self.started_at,
            container: self.container(),
            revision: self.row.revision + 1,
            header: &self.header,
            appended: self.appended,
            tail: &self.tail,
        })?;
        let mut row = self.row.clone();
        row.revision += 1;
        if let Some(recording) = row.recordings.last_mut() {
            recording.state = RecordingState::Final;
            let StoredRecording { path, bytes, sha256 } = stored;
            (recording.path, recording.bytes, recording.sha256) = (Some(path), Some(bytes), Some(sha256));
        }
        Ok(Finished { order: self.order, row, error: None })
    }
}

/// A call that is over.
struct Closing {
    id: Uuid,
    /// The journal block that its records are needed from.
    first_block: Option<u64>,
    /// An earlier run's journal is needed for it.
    earlier: Option<Arc<()>>,
    /// Its recording, when it is to be stored yet.
    unstored: Option<Box<Unstored>>,
    /// What `unstored` says is in the spool: not yet, in the next commit, durable.
    kept: Kept,
    /// Commits until the next attempt, and between attempts.
    wait: (u32, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    No,
    Uncommitted,
    Yes,
}

/// The calls of a worker that are over.
#[derive(Default)]
pub(crate) struct ClosingCalls {
    calls: Vec<Closing>,
}

impl ClosingCalls {
    /// A call is over; its row is on its way.
    pub(crate) fn push(
        &mut self,
        id: Uuid,
        first_block: Option<u64>,
        earlier: Option<Arc<()>>,
        unstored: Option<Box<Unstored>>,
    ) {
        let wait = (0, RETRY_AFTER.0);
        self.calls.push(Closing { id, first_block, earlier, unstored, kept: Kept::No, wait });
    }

    /// A call whose recording an earlier run could not store: what it needs is in the spool.
    pub(crate) fn resume(&mut self, unstored: Box<Unstored>) {
        self.push(unstored.row.id, None, None, Some(unstored));
        if let Some(call) = self.calls.last_mut() {
            call.kept = Kept::Yes;
        }
    }

    /// Theirs is an earlier run's journal, until they are settled or the spool has what they need.
    pub(crate) fn calls_of_an_earlier_run(&mut self, earlier: &Arc<()>) {
        for call in self.calls.iter_mut().filter(|call| call.kept != Kept::Yes) {
            call.earlier = Some(Arc::clone(earlier));
        }
    }

    /// Takes another worker's over.
    pub(crate) fn append(&mut self, other: &mut ClosingCalls) {
        self.calls.append(&mut other.calls);
    }

    /// The first journal block that one of them has a record in.
    pub(crate) fn oldest_block(&self) -> Option<u64> {
        self.calls.iter().filter_map(|call| call.first_block).min()
    }

    /// Whether a call is among them.
    pub(crate) fn contains(&self, id: Uuid) -> bool {
        self.calls.iter().any(|call| call.id == id)
    }

    /// Lets calls go whose rows are durable, and tries again to store what the disk has refused;
    /// returns the rows of those that it now has taken. Called once per commit, before it.
    pub(crate) fn settle<T: RecordingTarget>(
        &mut self,
        target: &mut T,
        mut is_durable: impl FnMut(Uuid) -> bool,
    ) -> Vec<Finished> {
        let mut stored = Vec::new();
        self.calls.retain_mut(|call| {
            if !is_durable(call.id) {
                return true;
            }
            let Some(unstored) = &mut call.unstored else {
                target.discard(call.id);
                return false;
            };
            call.wait.0 = call.wait.0.saturating_sub(1);
            if call.wait.0 == 0 {
                match unstored.store(target) {
                    Ok(row) => {
                        stored.push(row);
                        call.unstored = None;
                        return true;
                    }
                    Err(_) => call.wait = (call.wait.1, (call.wait.1 * 2).min(RETRY_AFTER.1)),
                }
            }
            if call.kept == Kept::No && keep(unstored, target) {
                call.kept = Kept::Uncommitted;
            }
            true
        });
        let waiting = self.calls.iter().filter(|call| call.unstored.is_some()).count();
        if waiting > MAX_UNSTORED
            && let Some(oldest) = self.calls.iter().position(|call| call.unstored.is_some())
        {
            target.discard(self.calls.remove(oldest).id);
        }
        stored
    }

    /// Everything that was appended before is durable: what the spool holds is needed in no
    /// journal.
    pub(crate) fn handle_committed(&mut self) {
        for call in self.calls.iter_mut().filter(|call| call.kept == Kept::Uncommitted) {
            (call.kept, call.first_block, call.earlier) = (Kept::Yes, None, None);
        }
    }
}

/// Writes down what is needed to store the recording after a restart.
fn keep<T: RecordingTarget>(unstored: &Unstored, target: &mut T) -> bool {
    let state = Saved::ended(unstored);
    let save = Save {
        call: unstored.row.id,
        container: unstored.container(),
        appended: unstored.appended,
        through: unstored.started_at,
        state: &state,
    };
    target.save(&save).is_ok()
}
