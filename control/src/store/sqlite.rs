//! The store in one SQLite file: one writer whose transactions begin IMMEDIATE, readers beside it, a write-ahead log.

mod accounts;
mod calls;
mod recordings;
mod search;

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Executor, Sqlite, SqlitePool, Transaction};

use crate::store::StoreError;

/// Each step of the schema; a database's `user_version` says how many it has taken.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/sqlite/0001-calls.sql")];
/// Connections that only read.
const READERS: u32 = 4;
/// How long a statement waits for another process (`admin` beside `serve`).
const BUSY: Duration = Duration::from_secs(10);

/// The store in one SQLite file.
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, makes it where it is missing (readable by its owner alone), and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened or written, is no database, or is of a later version.
    pub async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        // The log beside the database takes over its permissions.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
            .map_err(|error| StoreError::Database(sqlx::Error::Io(error)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged to a sensor is forgotten there: it has to survive a power cut here.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrate(&writer).await?;
        let readers =
            SqlitePoolOptions::new().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(SqliteStore { writer, readers })
    }

    async fn begin(&self) -> Result<Transaction<'_, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Writes the log back and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *tx).await?;
    let known = MIGRATIONS.len() as i64;
    let done =
        usize::try_from(found).ok().filter(|_| found <= known).ok_or(StoreError::Newer { found, known })?;
    for step in &MIGRATIONS[done..] {
        tx.execute(sqlx::raw_sql(*step)).await?;
    }
    if found < known {
        // A pragma takes no bound value; this one is a number of ours.
        tx.execute(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"))).await?;
    }
    tx.commit().await?;
    Ok(())
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        // SQLITE_FULL is 13.
        match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
            Some(code) if code == "13" => StoreError::Full,
            _ => StoreError::Database(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_passes_the_suite_of_every_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("n.sqlite")).await.unwrap();
        suite::run(&store).await;
    }
}
