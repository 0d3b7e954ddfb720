//! Recordings on disk: those in the making in the worker's spool, finished ones in the store.

use std::collections::BTreeMap;
use std::io::Write;

use nightjar_journal::{Spool, SpooledCall};
use nightjar_schema::Timestamp;
use nightjar_store::{RecordingName, RecordingStore, StoredRecording};
use nightjar_wire::Nanos;
use uuid::Uuid;

use crate::recording::{NewFile, RecordingTarget};

/// A worker's spool before the store that all workers share.
pub struct DiskTarget {
    spool: Spool,
    store: RecordingStore,
}

impl DiskTarget {
    /// A target of one worker.
    pub fn new(spool: Spool, store: RecordingStore) -> DiskTarget {
        DiskTarget { spool, store }
    }

    fn write(&self, file: &NewFile<'_>) -> Result<StoredRecording, String> {
        let name = RecordingName {
            call: file.call,
            segment: 0,
            started_at: Timestamp::from_nanos(file.started_at.0),
            container: file.container,
        };
        let mut out = self.store.begin(name).map_err(|error| error.to_string())?;
        out.write_all(file.header).map_err(|error| format!("cannot write {}: {error}", name.path()))?;
        self.spool.assemble(file.call.as_u128(), &mut out).map_err(|error| error.to_string())?;
        out.write_all(file.tail).map_err(|error| format!("cannot write {}: {error}", name.path()))?;
        out.finish(file.revision, None).map_err(|error| error.to_string())
    }
}

impl RecordingTarget for DiskTarget {
    fn append(&mut self, call: Uuid, bytes: &[u8]) -> Result<(), String> {
        // After a crash a call is mixed again from the journal: the spool needs no resume state.
        self.spool.append(call.as_u128(), Nanos::ZERO, &[], bytes).map_err(|error| error.to_string())
    }

    fn store(&mut self, file: &NewFile<'_>) -> Result<StoredRecording, String> {
        let stored = self.write(file);
        self.spool.forget(file.call.as_u128());
        stored
    }

    fn discard(&mut self, call: Uuid) {
        self.spool.forget(call.as_u128());
    }

    fn give_away(&mut self) -> Result<BTreeMap<Uuid, SpooledCall>, String> {
        let calls = self.spool.give_away().map_err(|error| error.to_string())?;
        Ok(calls.into_iter().map(|(call, spooled)| (Uuid::from_u128(call), spooled)).collect())
    }

    fn adopt(&mut self, call: Uuid, spooled: SpooledCall) {
        self.spool.adopt(call.as_u128(), spooled);
    }

    fn commit(&mut self) {
        // What could not be committed stays in memory; an append that finds no room says so.
        let _ = self.spool.commit();
    }
}
