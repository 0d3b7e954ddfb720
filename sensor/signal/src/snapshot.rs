//! A call as bytes, and back: what the journal keeps so that a restart continues the call.

use nightjar_wire::{Binding, CallKey, Nanos};

use crate::call::{Call, MAX_DIALOGS, MAX_FLOWS};
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
        self.ids.add(call.id);
        self.insert(call);
        Ok(key)
    }
}

impl Call {
    /// Its indices point to what is there, and its bindings are its own: bytes that passed a
    /// checksum may still be a fault of ours.
    fn is_sound(&self) -> bool {
        let signalled = self.protocol != nightjar_schema::Protocol::None;
        let leg = |leg: u16| usize::from(leg) < self.legs.len();
        let some_leg = |number: Option<u16>| number.is_none_or(leg);
        let own = |dialog: usize, binding: &Binding| {
            (binding.call, usize::from(binding.dialog), binding.endpoint.realm)
                == (self.key, dialog, self.realm)
                && binding.rtcp.realm == self.realm
                && leg(binding.receiver)
                && some_leg(binding.speaker)
        };
        let mut dialogs = self.dialogs.iter().enumerate();
        (!signalled || !self.dialogs.is_empty())
            && self.dialogs.len() <= MAX_DIALOGS
            && self.flows.len() <= MAX_FLOWS
            && self.dialogs.iter().all(|dialog| dialog.legs.iter().all(|number| leg(*number)))
            && dialogs.all(|(at, dialog)| dialog.sessions.bound().iter().all(|binding| own(at, binding)))
            && self.answered_by.is_none_or(|dialog| usize::from(dialog) < self.dialogs.len())
            && self.flows.iter().all(|flow| some_leg(flow.speaker))
            && self.happenings.iter().all(|happening| leg(happening.leg))
            && self.ending.as_ref().is_none_or(|ending| some_leg(ending.leg))
            && self.ending.is_some() == self.clocks.closing.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SignalConfig;
    use nightjar_wire::{Endpoint, Realm};

    const INVITE: &[u8] =
        b"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
        To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n\
        v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n";

    /// What becomes of a call's snapshot that `harm` has been done to.
    fn restore(harm: impl FnOnce(&mut Call)) -> Result<CallKey, RestoreError> {
        Directory::new(SignalConfig::default()).restore(&harmed(harm))
    }

    fn harmed(harm: impl FnOnce(&mut Call)) -> Vec<u8> {
        let endpoint = |host: u8| Endpoint::new(Realm(0), [10, 0, 0, host].into(), 5060);
        let mut directory = Directory::new(SignalConfig::default());
        directory.handle_sip(Nanos::from_secs(1), endpoint(1), endpoint(2), INVITE).expect("a message");
        let mut call = directory.calls.remove(&CallKey(0)).expect("a call");
        assert!(!call.dialogs[0].sessions.bound().is_empty());
        harm(&mut call);
        postcard::to_extend(&(directory.now, &call), vec![VERSION]).expect("a call serialises")
    }

    #[test]
    fn a_refusal_that_never_was_does_not_fall_due_for_ever() {
        let state = harmed(|call| {
            let since = Some(Nanos::from_secs(1));
            (call.clocks.retry, call.clocks.settled, call.clocks.cancelled) = (since, since, since);
        });
        let mut directory = Directory::new(SignalConfig::default());
        assert_eq!(directory.restore(&state), Ok(CallKey(0)));
        directory.handle_time(Nanos::from_secs(1));
        directory.handle_time(Nanos::from_secs(3_600));
        assert_eq!(directory.open_calls().count(), 0);
    }

    #[test]
    fn a_state_that_points_elsewhere_is_refused() {
        assert_eq!(restore(|_| {}), Ok(CallKey(0)));
        // Its bindings are now another call's, another realm's.
        assert_eq!(restore(|call| call.key = CallKey(7)), Err(RestoreError::Corrupt));
        assert_eq!(restore(|call| call.realm = Realm(7)), Err(RestoreError::Corrupt));
        assert_eq!(restore(|call| call.legs.truncate(1)), Err(RestoreError::Corrupt));
        assert_eq!(restore(|call| call.answered_by = Some(1)), Err(RestoreError::Corrupt));
        assert_eq!(restore(|call| call.dialogs.clear()), Err(RestoreError::Corrupt));
        assert_eq!(restore(|call| call.clocks.closing = Some(Nanos(1))), Err(RestoreError::Corrupt));
    }
}
