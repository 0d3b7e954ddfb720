//! The output of a core that keeps no media: final rows, and nothing else.

use nightjar_schema::Call;
use nightjar_wire::{CallKey, Nanos};

use crate::capture_core::{CoreOutput, Kept};
use crate::event::CoreEvent;

/// Hands each final row on, in order of closing.
pub struct Analysed<F> {
    row: F,
}

impl<F: FnMut(Call)> Analysed<F> {
    /// `row` gets each final row.
    pub fn new(row: F) -> Analysed<F> {
        Analysed { row }
    }
}

impl<F: FnMut(Call)> CoreOutput for Analysed<F> {
    fn media(&mut self, _call: CallKey, _stream: u32, _at: Nanos, _datagram: &[u8]) -> Kept {
        Kept::Yes
    }

    fn rtcp(&mut self, _call: CallKey, _at: Nanos, _datagram: &[u8]) -> Kept {
        Kept::Yes
    }

    fn event(&mut self, _at: Nanos, event: CoreEvent) {
        if let CoreEvent::Closed { row, .. } = event {
            (self.row)(*row);
        }
    }

    fn changed(&mut self, _at: Nanos, _row: &mut dyn FnMut() -> Option<Call>) {}

    fn ring_lost(&mut self, _: Nanos, _: Nanos, _: Nanos) {}

    fn watermark(&mut self, _clock: Nanos, _watermark: Nanos) {}

    fn publish(&mut self, _clock: Nanos) {}
}
