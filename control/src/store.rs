//! What control remembers: people, sessions, sensors, calls, recordings. One trait, so that another database is
//! another implementation; [`suite`](crate::store::suite) is what each has to pass.

mod sqlite;
#[cfg(test)]
pub(crate) mod suite;

use async_trait::async_trait;
use nightjar_schema::Timestamp;
use uuid::Uuid;

use crate::precedence::Precedence;
use crate::summary::{CallSummary, Outline};
use crate::token::TokenHash;
pub use sqlite::SqliteStore;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk.
    #[error("the disk of the database is full")]
    Full,
    /// The call or recording belongs to another sensor.
    #[error("call or recording {0} belongs to another sensor")]
    Foreign(Uuid),
    /// The database is of a later version of control.
    #[error(
        "the database has schema {found}, this version knows up to {known}: run a newer nightjar-control"
    )]
    Newer {
        /// What the database says.
        found: i64,
        /// What this version knows.
        known: i64,
    },
    /// What is stored cannot be read back. Says where, not what: that may be a number or a name.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// The database's own error.
    #[error("database: {0}")]
    Database(sqlx::Error),
}

/// A person who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its key.
    pub id: i64,
    /// The name to sign in with; unique, case apart.
    pub username: String,
    /// `admin`.
    pub role: String,
    /// Argon2 hash in PHC form.
    pub password: String,
}

/// Who a session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The account.
    pub account: i64,
    /// Its name.
    pub username: String,
    /// Its role.
    pub role: String,
    /// When the session was last used.
    pub used_at: Timestamp,
}

/// Which sessions still hold at a moment.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// A session that was opened before is over.
    pub opened_after: Timestamp,
    /// A session that was last used before is over.
    pub used_after: Timestamp,
}

/// One report about a call.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// Whether it stands against others.
    pub precedence: Precedence,
    /// What it is listed and found by.
    pub outline: Outline,
    /// The row as the sensor wrote it, verbatim.
    pub document: String,
}

/// Which calls are asked for; an empty filter is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Started at or after.
    pub from: Option<Timestamp>,
    /// Started before.
    pub to: Option<Timestamp>,
    /// One of its numbers is this, or ends in these digits.
    pub number: Option<String>,
    /// A party's name or URI contains this.
    pub party: Option<String>,
    /// At least so long.
    pub min_duration_ms: Option<i64>,
    /// At most so long.
    pub max_duration_ms: Option<i64>,
    /// In one of these states; empty is any.
    pub states: Vec<String>,
    /// Each of these terms is in a number, a name, a URI or a Call-ID.
    pub terms: Vec<String>,
}

/// A place in the list of calls: after this call. Newest first, ties by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When that call started.
    pub started_at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// One page of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallSummary>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// Numbers of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// In progress.
    pub live: i64,
    /// Started since a given moment.
    pub since: i64,
    /// All.
    pub total: i64,
}

/// How far a recording's peaks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeaksState {
    /// Not computed yet.
    Pending,
    /// There.
    Ready,
    /// The audio could not be decoded.
    Failed,
}

/// A stored recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecording {
    /// Its id.
    pub id: Uuid,
    /// Its call's.
    pub call: Uuid,
    /// The sensor that sent it.
    pub sensor: String,
    /// `audio/ogg` or `audio/wav`.
    pub content_type: String,
    /// Size.
    pub bytes: i64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Where the file is, below the folder of recordings.
    pub path: String,
    /// When it came.
    pub stored_at: Timestamp,
    /// Its peaks.
    pub peaks: PeaksState,
}

/// People and their sessions.
#[async_trait]
pub trait Accounts {
    /// Adds an account; `false` where the name is taken.
    async fn add_account(
        &self,
        username: &str,
        role: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Finds an account by its name, case apart.
    async fn account(&self, username: &str) -> Result<Option<Account>, StoreError>;
    /// Sets an account's password and ends its sessions; `false` where there is no such account.
    async fn set_password(&self, username: &str, password: &str) -> Result<bool, StoreError>;
    /// Opens a session, and forgets those that are over.
    async fn open_session(
        &self,
        token: TokenHash,
        account: i64,
        now: Timestamp,
        limits: SessionLimits,
    ) -> Result<(), StoreError>;
    /// Who a session belongs to, if it still holds.
    async fn session(&self, token: TokenHash, limits: SessionLimits) -> Result<Option<SignedIn>, StoreError>;
    /// Notes that a session was used.
    async fn touch_session(&self, token: TokenHash, now: Timestamp) -> Result<(), StoreError>;
    /// Ends a session.
    async fn close_session(&self, token: TokenHash) -> Result<(), StoreError>;
}

/// Calls and the sensors that report them.
#[async_trait]
pub trait Calls {
    /// Takes reports of one sensor, in order: all or none. Gives the calls whose rows changed, as they are now.
    async fn report_calls(
        &self,
        sensor: &str,
        reports: &[CallReport],
        now: Timestamp,
    ) -> Result<Vec<CallSummary>, StoreError>;
    /// One page of calls.
    async fn calls(
        &self,
        filter: &CallFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<CallPage, StoreError>;
    /// Calls in progress, the newest `limit` of them, oldest first.
    async fn active_calls(&self, limit: u32) -> Result<Vec<CallSummary>, StoreError>;
    /// A call's row, verbatim.
    async fn call(&self, id: Uuid) -> Result<Option<String>, StoreError>;
    /// Numbers of calls.
    async fn counts(&self, since: Timestamp) -> Result<Counts, StoreError>;
    /// When each sensor delivered last, by name.
    async fn sensors_seen(&self) -> Result<Vec<(String, Timestamp)>, StoreError>;
}

/// Recordings; their files lie elsewhere.
#[async_trait]
pub trait Recordings {
    /// Adds a recording, `false` where its id is taken; and gives its call as it is now, if known.
    async fn add_recording(
        &self,
        recording: &StoredRecording,
    ) -> Result<(bool, Option<CallSummary>), StoreError>;
    /// Finds a recording.
    async fn recording(&self, id: Uuid) -> Result<Option<StoredRecording>, StoreError>;
    /// Recordings whose peaks are pending, oldest first, at most `limit`.
    async fn pending_peaks(&self, limit: u32) -> Result<Vec<StoredRecording>, StoreError>;
    /// Notes how far a recording's peaks are.
    async fn set_peaks(&self, id: Uuid, state: PeaksState) -> Result<(), StoreError>;
}

/// What control remembers. Every method that changes something is one transaction.
pub trait Store: Accounts + Calls + Recordings + Send + Sync + 'static {}

impl<T: Accounts + Calls + Recordings + Send + Sync + 'static> Store for T {}
