//! What the requests share.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nightjar_schema::Timestamp;
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::audio_files::AudioFiles;
use crate::config::{Limits, Sensor};
use crate::live::Live;
use crate::stopping::Stopping;
use crate::store::Store;
use crate::throttle::Throttle;

/// Passwords hashed at once, 19 MiB each.
const HASHING: usize = 2;

/// What the requests share.
pub struct App {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Recordings and peaks.
    pub files: AudioFiles,
    /// Changes on their way to the pages.
    pub live: Live,
    /// Who may deliver.
    pub sensors: Vec<Sensor>,
    /// Limits on signing in.
    pub throttle: Throttle,
    /// Bounds of the configuration.
    pub limits: Limits,
    /// Cookies are for TLS alone.
    pub secure: bool,
    /// Bounds how many passwords are hashed at once.
    pub hashing: Semaphore,
    /// Held from a change to its announcement, so that changes are announced in their order.
    pub turn: Mutex<()>,
    /// Wakes who computes peaks.
    pub peaks_wanted: Notify,
    /// Turns true when control stops: what would go on for ever ends then.
    pub stopping: Stopping,
}

/// The state as handlers get it.
pub type Shared = Arc<App>;

impl App {
    /// Over this store and these files.
    pub fn new(
        store: Arc<dyn Store>,
        files: AudioFiles,
        config: &crate::config::Config,
        stopping: Stopping,
    ) -> App {
        let per_minute = u32::try_from(config.limits.sign_ins_per_minute).unwrap_or(u32::MAX);
        App {
            store,
            files,
            live: Live::default(),
            sensors: config.sensors.clone(),
            throttle: Throttle::new(per_minute),
            limits: config.limits,
            secure: config.tls.is_some(),
            hashing: Semaphore::new(HASHING),
            turn: Mutex::new(()),
            peaks_wanted: Notify::new(),
            stopping,
        }
    }
}

/// The wall clock. Control's own deeds are stamped with it; calls carry the capture's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
