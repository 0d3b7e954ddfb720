//! Frames of an interface that a capture file has just described. Their realm may go by its name, which
//! the source tells when the batch has ended; until then they wait, and all behind them.

use std::ops::Range;

use nightjar_capture::RawFrame;
use nightjar_wire::{LinkType, Nanos};

/// What waits: of one batch at most.
#[derive(Debug, Default)]
pub(crate) struct Unnamed {
    frames: Vec<Waiting>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    at: Nanos,
    link: LinkType,
    interface: u16,
    bytes: Range<usize>,
    original_len: u32,
}

impl Unnamed {
    /// Whether a frame has to wait: then it was taken. The names of `known` interfaces are.
    #[inline]
    pub(crate) fn takes(&mut self, frame: &RawFrame<'_>, known: usize) -> bool {
        let waits = usize::from(frame.interface) >= known || !self.frames.is_empty();
        if waits {
            self.take(frame);
        }
        waits
    }

    #[cold]
    fn take(&mut self, frame: &RawFrame<'_>) {
        let RawFrame { at, link, interface, original_len, .. } = *frame;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame.bytes);
        self.frames.push(Waiting { at, link, interface, bytes: start..self.bytes.len(), original_len });
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Gives all, in order.
    pub(crate) fn give(&mut self, mut each: impl FnMut(&RawFrame<'_>)) {
        for Waiting { at, link, interface, bytes, original_len } in self.frames.drain(..) {
            each(&RawFrame { at, link, interface, bytes: &self.bytes[bytes], original_len });
        }
        self.bytes.clear();
    }
}
