//! What the payload types of a stream stand for, and how much each was used.

use nightjar_wire::{Basis, Format, Nanos, PayloadType};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Most payload types that are told apart on one stream; further ones count as the last.
const MAX_FORMATS: usize = 16;

/// One payload type as a stream used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatUse {
    /// The payload type.
    pub payload_type: PayloadType,
    /// Its first packet.
    pub first_at: Nanos,
    /// Packets that carried it.
    pub packets: u64,
    /// Every payload of it so far could be a telephone event (RFC 4733, 2.3).
    pub(crate) like_event: bool,
}

/// The payload types in order of first use.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FormatUses {
    /// Most streams have one, which then lies with the stream.
    uses: SmallVec<[FormatUse; 1]>,
    /// Index of the last packet's.
    current: usize,
}

impl FormatUses {
    #[inline]
    pub(crate) fn handle_packet(&mut self, at: Nanos, payload_type: PayloadType, payload: &[u8]) {
        let like_event = is_like_event(payload);
        if let Some(current) = self.uses.get_mut(self.current)
            && current.payload_type == payload_type
        {
            current.packets += 1;
            current.like_event &= like_event;
            return;
        }
        let known = self.uses.iter().position(|used| used.payload_type == payload_type);
        self.current = match known {
            Some(index) => index,
            None if self.uses.len() < MAX_FORMATS => {
                self.uses.push(FormatUse { payload_type, first_at: at, packets: 0, like_event: true });
                self.uses.len() - 1
            }
            None => MAX_FORMATS - 1,
        };
        let current = &mut self.uses[self.current];
        current.packets += 1;
        current.like_event &= like_event;
    }

    pub(crate) fn as_slice(&self) -> &[FormatUse] {
        &self.uses
    }
}

/// One event of a known kind in four bytes: the reserved bit is 0, the code a DTMF digit's.
fn is_like_event(payload: &[u8]) -> bool {
    matches!(payload, [0..=15, flags, _, _] if flags & 0x40 == 0)
}

/// A dynamic payload type that carries what looks like telephone events, where no SDP was seen.
pub(crate) fn guessed_format(used: &FormatUse) -> Option<Format> {
    (used.payload_type >= 96 && used.like_event).then(|| Format {
        payload_type: used.payload_type,
        codec: "telephone-event".into(),
        clock_rate: 8_000,
        channels: 1,
        ptime_ms: None,
        fmtp: None,
        basis: Basis::Guessed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_counted_per_payload_type_in_order_of_first_use() {
        let mut uses = FormatUses::default();
        for (n, payload_type) in [8, 8, 101, 8].into_iter().enumerate() {
            uses.handle_packet(Nanos(n as u64), payload_type, &[0; 160]);
        }
        let counts: Vec<_> =
            uses.as_slice().iter().map(|u| (u.payload_type, u.first_at.0, u.packets)).collect();
        assert_eq!(counts, [(8, 0, 3), (101, 2, 1)]);
    }

    #[test]
    fn a_dynamic_type_of_events_alone_is_guessed() {
        let mut uses = FormatUses::default();
        uses.handle_packet(Nanos(0), 101, &[5, 10, 0, 160]);
        uses.handle_packet(Nanos(0), 96, &[5, 10, 0, 160, 0]);
        let guesses: Vec<_> = uses.as_slice().iter().map(|used| guessed_format(used).is_some()).collect();
        assert_eq!(guesses, [true, false]);
    }

    #[test]
    fn more_payload_types_than_fit_are_still_counted() {
        let mut uses = FormatUses::default();
        for payload_type in 0..60 {
            uses.handle_packet(Nanos(0), payload_type, &[0; 160]);
        }
        assert_eq!(uses.as_slice().len(), MAX_FORMATS);
        assert_eq!(uses.as_slice().iter().map(|u| u.packets).sum::<u64>(), 60);
    }
}
