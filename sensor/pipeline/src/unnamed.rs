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
    /// Takes those of a run that have to wait: the first whose interface's name is not among the `known` ones,
    /// and all behind it. Gives those before it.
    #[inline]
    pub(crate) fn take_from<'a, 'b>(&mut self, run: &'a [RawFrame<'b>], known: usize) -> &'a [RawFrame<'b>] {
        if known == usize::MAX {
            return run;
        }
        let is_known = |frame: &RawFrame<'_>| usize::from(frame.interface) < known;
        let ready = if self.is_empty() { run.iter().take_while(|frame| is_known(frame)).count() } else { 0 };
        let (ready, waiting) = run.split_at(ready);
        waiting.iter().for_each(|frame| self.take(frame));
        ready
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
