//! One stream: an SSRC on a flow, whose call it belongs to, and its figures.

use std::mem::offset_of;

use nightjar_wire::{CallKey, FlowKey, Format, MediaKind, Nanos, PayloadType};
use serde::{Deserialize, Serialize};

use crate::figures::Figures;
use crate::formats::{FormatUse, FormatUses, guessed_format};
use crate::packed_key::PackedKey;

/// What identifies a stream on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    /// The flow.
    pub flow: FlowKey,
    /// RTP's synchronisation source.
    pub ssrc: u32,
}

/// Whose a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The call.
    pub call: CallKey,
    /// Index of the dialog that explains it; `None` for media without signalling.
    pub dialog: Option<u16>,
    /// Index of the leg that speaks; `None` for a source that nobody named.
    pub speaker: Option<u16>,
    /// Index of the leg that listens.
    pub receiver: Option<u16>,
}

/// What is known of a stream beside its packets.
#[derive(Clone, Debug)]
pub struct StreamFacts {
    /// Whose it is.
    pub membership: Membership,
    /// What it carries.
    pub kind: MediaKind,
    /// The formats that signalling names for its receiver.
    pub formats: Vec<Format>,
    /// The stream that it repeats.
    pub copy_of: Option<u32>,
    /// The stream that it continues.
    pub continues: Option<u32>,
}

/// A stream and all that is known about it. What each packet needs comes first, in five lines of the cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[repr(C, align(64))]
pub struct Stream {
    /// `key`, as packets are held against it.
    #[serde(skip)]
    pub(crate) packed: PackedKey,
    /// Whose it is; `None` while no binding explains it.
    pub membership: Option<Membership>,
    /// Its figures.
    pub figures: Figures,
    pub(crate) uses: FormatUses,
    /// When the pipeline was last told that media flows.
    pub(crate) reported_at: Nanos,
    /// Unique during a sensor's run; journal records carry it.
    pub id: u32,
    /// RTP clock rate for jitter, in Hz.
    pub(crate) clock_rate: u32,
    /// A packet in sequence right behind another: what RTP does and other traffic does not.
    pub(crate) in_sequence: u32,
    /// Its call is over.
    pub(crate) call_ended: bool,
    /// Its sender was sent elsewhere, or told to pause, and may be back with the next packet.
    pub(crate) away: bool,
    /// Its key leads to another stream, or to none.
    #[serde(skip)]
    pub(crate) superseded: bool,
    /// It is none: its slot is free.
    #[serde(skip)]
    pub(crate) vacant: bool,
    /// Where it was seen.
    pub key: StreamKey,
    /// What it carries.
    pub kind: MediaKind,
    /// The formats that signalling names for its receiver.
    pub formats: Vec<Format>,
    /// The stream that it repeats: a relay's other side.
    pub copy_of: Option<u32>,
    /// The stream that it continues after an SSRC change.
    pub continues: Option<u32>,
}

impl Stream {
    pub(crate) fn new(id: u32, key: StreamKey, at: Nanos) -> Stream {
        Stream {
            packed: key.into(),
            membership: None,
            figures: Figures::new(at),
            uses: FormatUses::default(),
            reported_at: Nanos::ZERO,
            id,
            clock_rate: 8_000,
            in_sequence: 0,
            call_ended: false,
            away: false,
            superseded: false,
            vacant: false,
            key,
            kind: MediaKind::Audio,
            formats: Vec::new(),
            copy_of: None,
            continues: None,
        }
    }

    /// What lies in a slot without a stream.
    pub(crate) fn vacant() -> Stream {
        let key = PackedKey::default().key();
        Stream { superseded: true, vacant: true, ..Stream::new(0, key, Nanos::ZERO) }
    }

    /// A place in each line of the cache that the next packet needs.
    #[inline]
    pub(crate) fn lines(&self) -> [*const u8; 5] {
        // The key; the figures with the packets that are remembered; the uses.
        const LINES: [usize; 5] =
            [0, HOT_FIGURES, HOT_FIGURES + 64, HOT_FIGURES + 128, offset_of!(Stream, uses)];
        const HOT_FIGURES: usize = offset_of!(Stream, figures);
        let start = std::ptr::from_ref(self).cast::<u8>();
        LINES.map(|line| start.wrapping_add(line))
    }

    /// The payload types that it carried, in order of first use.
    pub fn uses(&self) -> &[FormatUse] {
        self.uses.as_slice()
    }

    /// The commonest payload type, the earlier one where two are as common.
    pub fn main_use(&self) -> Option<&FormatUse> {
        self.uses().iter().rev().max_by_key(|used| used.packets)
    }

    /// What a payload type stands for here: by SDP, else by RFC 3551, else by its shape.
    pub fn format(&self, payload_type: PayloadType) -> Option<Format> {
        self.formats
            .iter()
            .find(|format| format.payload_type == payload_type)
            .cloned()
            .or_else(|| Format::of_static(payload_type))
            .or_else(|| {
                self.uses().iter().find(|used| used.payload_type == payload_type).and_then(guessed_format)
            })
    }

    /// Its commonest payload type is one of RFC 3551's video types.
    pub(crate) fn is_static_video(&self) -> bool {
        self.main_use().is_some_and(|used| matches!(used.payload_type, 26 | 31 | 32 | 34))
    }

    pub(crate) fn set_formats(&mut self, formats: &[Format]) {
        self.formats = formats.to_vec();
        if let Some(format) = self.main_use().and_then(|used| self.format(used.payload_type)) {
            self.clock_rate = format.clock_rate.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    #[test]
    fn what_a_packet_needs_lies_in_five_lines() {
        let line = |at: usize| at / 64;
        assert_eq!(line(offset_of!(Stream, membership) + size_of::<Option<Membership>>() - 1), 0);
        assert_eq!(line(offset_of!(Stream, figures)), 1);
        let first = offset_of!(Stream, uses);
        assert_eq!((first % 64, line(first)), (0, line(offset_of!(Stream, vacant))));
        assert!(size_of::<Stream>() <= 8 * 64, "{}", size_of::<Stream>());
    }
}
