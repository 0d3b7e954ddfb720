//! Streams that an earlier run of the sensor left.

use nightjar_wire::{CallKey, Nanos};

use super::FlowTable;
use crate::stream::{Stream, StreamFacts, StreamKey};

impl FlowTable {
    /// Takes over a stream of an earlier run of the sensor under its id, or what was learnt of it
    /// later. Its packets follow through [`FlowTable::handle_rtp`].
    pub fn recover_stream(&mut self, id: u32, key: StreamKey, facts: &StreamFacts) {
        self.next_id = self.next_id.max(id.wrapping_add(1));
        if !self.streams.contains(id) {
            self.of_call.entry(facts.membership.call).or_default().push(id);
            self.streams.insert(Stream::new(id, key, Nanos::MAX));
        }
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.membership = Some(facts.membership);
        stream.kind = facts.kind;
        stream.set_formats(&facts.formats);
        (stream.copy_of, stream.continues) = (facts.copy_of, facts.continues);
    }

    /// A call goes on from a state that may be older than its streams: what these know of legs and
    /// dialogs that it does not have is forgotten, until a binding tells it again. Returns the
    /// streams that it concerns.
    pub fn forget_unknown(&mut self, call: CallKey, legs: usize, dialogs: usize) -> Vec<u32> {
        let mut changed = Vec::new();
        for id in self.of_call.get(&call).into_iter().flatten().copied() {
            let membership = self.streams.get_mut(id).and_then(|stream| stream.membership.as_mut());
            let Some(membership) = membership else { continue };
            let before = *membership;
            let known = |index: &u16, count: usize| usize::from(*index) < count;
            membership.dialog = before.dialog.filter(|dialog| known(dialog, dialogs));
            membership.speaker = before.speaker.filter(|leg| known(leg, legs));
            membership.receiver = before.receiver.filter(|leg| known(leg, legs));
            if *membership != before {
                changed.push(id);
            }
        }
        changed
    }

    /// Takes over a stream of an earlier run with all that was known of it at some moment. Its packets
    /// since follow through [`FlowTable::handle_rtp`].
    pub fn adopt_stream(&mut self, stream: Stream) {
        let Some(membership) = stream.membership else { return };
        self.next_id = self.next_id.max(stream.id.wrapping_add(1));
        self.of_call.entry(membership.call).or_default().push(stream.id);
        self.streams.insert(stream);
    }
}
