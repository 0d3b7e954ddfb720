//! Recordings on disk: those in the making in the worker's spool, finished ones in the store.

use std::collections::BTreeMap;
use std::io::Write;

use nightjar_journal::{Spool, SpooledCall};
use nightjar_schema::Timestamp;
use nightjar_store::{Container, RecordingName, RecordingStore, StoreError, StoredRecording};
use nightjar_wire::Nanos;
use uuid::Uuid;

use crate::recording::{NewFile, Part, RecordingTarget};

/// A worker's spool before the store that all workers share. A recording whose header comes last
/// (WAV) is large and grows in its own file instead: the spool would write every byte twice.
pub struct DiskTarget {
    spool: Spool,
    store: RecordingStore,
}

impl DiskTarget {
    /// A target of one worker.
    pub fn new(spool: Spool, store: RecordingStore) -> DiskTarget {
        DiskTarget { spool, store }
    }

    fn write(&self, file: &NewFile<'_>) -> Result<StoredRecording, StoreError> {
        let name = name(file.call, file.container, file.started_at);
        let mut out = if self.store.has_grown(&name) {
            let mut out = self.store.resume(name)?;
            out.overwrite(0, file.header).map_err(StoreError::at("write", &name.path()))?;
            out
        } else {
            let mut out = self.store.begin(name)?;
            out.write_all(file.header).map_err(StoreError::at("write", &name.path()))?;
            let spooled = self.spool.assemble(file.call.as_u128(), &mut out);
            spooled
                .map_err(|error| StoreError::at("assemble", &name.path())(std::io::Error::other(error)))?;
            out
        };
        out.write_all(file.tail).map_err(StoreError::at("write", &name.path()))?;
        out.finish(file.revision, None)
    }
}

/// What the store calls a call's recording.
fn name(call: Uuid, container: Container, started_at: Nanos) -> RecordingName {
    RecordingName { call, segment: 0, started_at: Timestamp::from_nanos(started_at.0), container }
}

impl RecordingTarget for DiskTarget {
    fn append(&mut self, part: &Part<'_>) -> Result<(), String> {
        if part.reserve > 0 {
            let name = name(part.call, part.container, Nanos::ZERO);
            return self.store.grow(&name, part.reserve, part.bytes).map_err(|error| error.to_string());
        }
        // After a crash a call is mixed again from the journal: the spool needs no resume state.
        self.spool
            .append(part.call.as_u128(), Nanos::ZERO, &[], part.bytes)
            .map_err(|error| error.to_string())
    }

    fn store(&mut self, file: &NewFile<'_>) -> Result<StoredRecording, String> {
        let stored = self.write(file);
        self.spool.forget(file.call.as_u128());
        stored.map_err(|error| error.to_string())
    }

    fn discard(&mut self, call: Uuid) {
        self.spool.forget(call.as_u128());
        self.store.discard(&name(call, Container::Wav, Nanos::ZERO));
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
