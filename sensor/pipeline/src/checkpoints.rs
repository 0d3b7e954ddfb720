//! When the capture core says again all that it knows of a call in progress, so that nothing older
//! of it is needed in the journal.

use std::collections::BTreeSet;

use nightjar_wire::{CallKey, Nanos};

/// The calls by the time of their next checkpoint.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    every: Nanos,
    due: BTreeSet<(Nanos, CallKey)>,
}

impl Checkpoints {
    /// One of each call in every so much capture time.
    pub(crate) fn new(every: Nanos) -> Checkpoints {
        Checkpoints { every, due: BTreeSet::new() }
    }

    /// A call was opened.
    pub(crate) fn handle_opened(&mut self, call: CallKey, at: Nanos) {
        self.due.insert((at + self.every, call));
    }

    /// Calls of an earlier run go on: theirs come soon, but not all at once.
    pub(crate) fn handle_restored(&mut self, calls: &[CallKey], now: Nanos) {
        let step = self.every.0 / (calls.len() as u64 + 1);
        for (index, call) in (1..).zip(calls) {
            self.due.insert((now + Nanos(step * index), *call));
        }
    }

    /// When the next one is due.
    pub(crate) fn next_time(&self) -> Option<Nanos> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next call whose time has come. [`Checkpoints::handle_opened`] is told of it again if it
    /// still goes on.
    pub(crate) fn poll(&mut self, now: Nanos) -> Option<CallKey> {
        self.next_time().filter(|at| *at <= now)?;
        self.due.pop_first().map(|(_, call)| call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_own_time() {
        let mut checkpoints = Checkpoints::new(Nanos::from_secs(30));
        checkpoints.handle_opened(CallKey(2), Nanos::from_secs(1));
        checkpoints.handle_restored(&[CallKey(7), CallKey(8)], Nanos::from_secs(2));
        assert_eq!(checkpoints.next_time(), Some(Nanos::from_secs(12)));
        assert_eq!(checkpoints.poll(Nanos::from_secs(11)), None);
        let due: Vec<CallKey> = std::iter::from_fn(|| checkpoints.poll(Nanos::from_secs(40))).collect();
        assert_eq!(due, [CallKey(7), CallKey(8), CallKey(2)]);
        assert_eq!(checkpoints.next_time(), None);
    }
}
