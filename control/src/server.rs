//! Control as a whole: opens what it needs, listens, serves, and stops in order.

mod accept;
pub mod tls;

use std::fs::{File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api;
use crate::app::App;
use crate::audio_files::{AudioFiles, make_folder};
use crate::config::Config;
use crate::peaks;
use crate::stopping::{Stop, stopping};
use crate::store::{SqliteStore, StoreError};

/// Requests in progress get so long to end when control stops.
const GRACE: Duration = Duration::from_secs(10);

/// Why control cannot start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder of the data.
    #[error("data_dir {path}: {reason}", path = path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database.
    #[error("database {path}: {error}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: StoreError,
    },
    /// The address.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
}

/// A control that is running.
pub struct Running {
    address: SocketAddr,
    stop: Stop,
    tasks: Vec<JoinHandle<()>>,
    store: Arc<SqliteStore>,
    /// Held as long as control runs: two of them must not share a folder.
    _lock: File,
}

/// Opens the folder of the data, making it (0700) where it is missing.
///
/// # Errors
///
/// Where it cannot be made or written.
pub fn open_data_dir(path: &Path) -> Result<AudioFiles, StartError> {
    let files = make_folder(path).and_then(|()| AudioFiles::open(path));
    files.map_err(|error| unusable(path, &format!("{error}; give it to the user that control runs as")))
}

fn unusable(path: &Path, reason: &str) -> StartError {
    StartError::DataDir { path: path.to_owned(), reason: reason.to_owned() }
}

/// Opens the database of a configuration.
///
/// # Errors
///
/// Where it cannot be opened.
pub async fn open_store(config: &Config) -> Result<SqliteStore, StartError> {
    let failed = |error| StartError::Database { path: config.database.clone(), error };
    SqliteStore::open(&config.database).await.map_err(failed)
}

/// A folder that we made is the owner's alone; one that was there is the operator's choice, which may be a mistake.
fn warn_if_open(data_dir: &Path) {
    let mode = std::fs::metadata(data_dir).map_or(0, |found| found.permissions().mode());
    if mode & 0o007 != 0 {
        tracing::warn!(
            "data_dir {} is open to every user of this machine: chmod 0700 it",
            data_dir.display()
        );
    }
}

fn lock(data_dir: &Path) -> Result<File, StartError> {
    let path = data_dir.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file =
        file.map_err(|error| unusable(data_dir, &format!("the file `lock` cannot be made: {error}")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(unusable(
            data_dir,
            "another nightjar-control is using it: stop that one, or name another folder",
        )),
        Err(TryLockError::Error(error)) => Err(unusable(data_dir, &format!("cannot be locked: {error}"))),
    }
}

impl Running {
    /// Starts control; it serves when this returns.
    ///
    /// # Errors
    ///
    /// Where the data, the database or the address cannot be used.
    pub async fn start(config: &Config) -> Result<Running, StartError> {
        // Before anything else is touched: the files of another control are not ours to tidy.
        make_folder(&config.data_dir).map_err(|error| unusable(&config.data_dir, &error.to_string()))?;
        warn_if_open(&config.data_dir);
        let lock = lock(&config.data_dir)?;
        let files = open_data_dir(&config.data_dir)?;
        let listener = TcpListener::bind(config.listen).await.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        let (listener, address) = listener.map_err(|error| {
            let advice = match error.kind() {
                std::io::ErrorKind::AddrInUse => "another program has this port: stop it, or change `listen`",
                std::io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need the right to use them: change `listen`"
                }
                _ => "change `listen`",
            };
            StartError::Listen { address: config.listen, reason: format!("{error}; {advice}") }
        })?;
        let store = Arc::new(open_store(config).await?);
        let (stop, stopped) = stopping();
        let app = Arc::new(App::new(store.clone(), files, config, stopped.clone()));
        let peaks = tokio::spawn(peaks::run(app.clone()));
        let connections = usize::try_from(config.limits.connections).unwrap_or(usize::MAX);
        let door = accept::Door { listener, tls: config.tls.clone(), connections, stopping: stopped };
        let serving = tokio::spawn(door.serve(api::router(app)));
        Ok(Running { address, stop, tasks: vec![serving, peaks], store, _lock: lock })
    }

    /// Where it listens, with the port that it was given where the configuration has port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new requests, those in progress get [`GRACE`] to end, the database is closed.
    pub async fn stop(self) {
        self.stop.say();
        let ended = async {
            for task in self.tasks {
                // A task that panicked has said so.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("requests that were still in progress were cut off");
        }
        self.store.close().await;
    }
}
