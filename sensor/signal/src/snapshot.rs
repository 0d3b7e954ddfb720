//! A call as bytes, and back: what the journal keeps so that a restart continues the call.

use nightjar_wire::{CallKey, Nanos};

use crate::call::Call;
use crate::directory::Directory;
use crate::output::Output;

/// First byte of a snapshot; another one is another layout.
const VERSION: u8 = 2;

/// Why a snapshot was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestoreError {
    /// Another version's layout.
    Version,
    /// The bytes are not what was written.
    Corrupt,
    /// A call with this handle is there already.
    Exists,
    /// There is no room for it.
    Full,
}

impl Directory {
    /// A call with all that is known of it and its dialogs; `None` for one that is not there.
    pub fn snapshot(&self, call: CallKey) -> Option<Vec<u8>> {
        let call = self.calls.get(&call)?;
        postcard::to_extend(&(self.now, call), vec![VERSION]).ok()
    }

    /// Continues a call after a restart, under the same handle and the same id. Says its bindings
    /// again. Its time-outs do not count the time between the snapshot and the next stamp.
    ///
    /// # Errors
    /// [`RestoreError`]; the directory is then as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<CallKey, RestoreError> {
        let (&version, rest) = bytes.split_first().ok_or(RestoreError::Corrupt)?;
        if version != VERSION {
            return Err(RestoreError::Version);
        }
        let (slept_at, mut call): (Nanos, Call) =
            postcard::from_bytes(rest).map_err(|_| RestoreError::Corrupt)?;
        if !call.is_sound() {
            return Err(RestoreError::Corrupt);
        }
        let key = call.key;
        if self.calls.contains_key(&key) {
            return Err(RestoreError::Exists);
        }
        if self.calls.len() >= self.config.max_calls {
            return Err(RestoreError::Full);
        }
        if key >= self.next_key {
            self.next_key = CallKey(key.0.wrapping_add(1));
        }
        if self.now == Nanos::ZERO {
            self.asleep.push((key, slept_at));
        } else {
            call.shift_clocks(self.now - slept_at);
        }
        for binding in call.dialogs.iter().flat_map(|dialog| dialog.sessions.bound()) {
            self.outputs.push_back(Output::Bind(binding.clone()));
        }
        self.insert(call);
        Ok(key)
    }
}

impl Call {
    /// Its indices point to what is there: bytes that passed a checksum may still be a fault of ours.
    fn is_sound(&self) -> bool {
        let signalled = self.protocol != nightjar_schema::Protocol::None;
        let legs = |legs: &[u16]| legs.iter().all(|leg| usize::from(*leg) < self.legs.len());
        (!signalled || !self.dialogs.is_empty())
            && self.dialogs.iter().all(|dialog| legs(&dialog.legs))
            && self.answered_by.is_none_or(|dialog| usize::from(dialog) < self.dialogs.len())
    }
}
