//! Recordings on disk: those in the making in the worker's spool, finished ones in the store.

use std::collections::BTreeMap;
use std::io::Write;

use nightjar_journal::{Spool, SpooledCall};
use nightjar_schema::Timestamp;
use nightjar_store::{Container, RecordingName, RecordingStore, StoreError, StoredRecording};
use nightjar_wire::Nanos;
use uuid::Uuid;

use crate::recording::{NewFile, Part, RecordingTarget, ResumedFile, Save};

/// Bytes of a WAV header, for which room is left.
const WAV_HEADER: u64 = 44;

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
        let mut out = if file.container == Container::Wav && file.appended > 0 {
            let mut out = self.store.resume(name, WAV_HEADER + file.appended)?;
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
        if part.container == Container::Wav {
            let name = name(part.call, part.container, Nanos::ZERO);
            let grown = self.store.grow(&name, WAV_HEADER + part.at, part.bytes);
            return grown.map_err(|error| error.to_string());
        }
        self.spool.append(part.call.as_u128(), part.bytes).map_err(|error| error.to_string())
    }

    fn save(&mut self, save: &Save<'_>) -> Result<(), String> {
        let in_spool = match save.container {
            Container::Opus => save.appended,
            Container::Wav => 0,
        };
        if in_spool < save.appended {
            // A state must not be durable before what it goes on behind.
            let name = name(save.call, save.container, Nanos::ZERO);
            self.store.sync_grown(&name).map_err(|error| error.to_string())?;
        }
        let saved = self.spool.save(save.call.as_u128(), in_spool, save.through, save.state);
        saved.map_err(|error| error.to_string())
    }

    fn resume(&mut self, from: &ResumedFile) -> Result<(), String> {
        match from.container {
            Container::Wav => {
                let name = name(from.call, from.container, from.started_at);
                self.store.cut_back(&name, WAV_HEADER + from.appended).map_err(|error| error.to_string())
            }
            Container::Opus => {
                let spooled = self.spool.call(from.call.as_u128()).map_or(0, |spooled| spooled.bytes);
                if spooled == from.appended {
                    return Ok(());
                }
                Err(format!("the spool has {spooled} bytes of {}, not {}", from.call, from.appended))
            }
        }
    }

    fn store(&mut self, file: &NewFile<'_>) -> Result<StoredRecording, String> {
        self.write(file).map_err(|error| error.to_string())
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

    fn commit(&mut self) -> Result<(), String> {
        // What could not be committed stays in memory; an append that finds no room says so.
        self.spool.commit().map_err(|error| error.to_string())
    }
}
