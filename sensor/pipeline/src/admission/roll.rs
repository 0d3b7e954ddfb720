//! The calls that have asked, what each promises, and who would be cut first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use nightjar_wire::{CallKey, Endpoint};

use super::{MediaLine, Priority};

/// Media lines of one call that count at most.
const MAX_LINES: usize = 64;

/// One call.
#[derive(Debug)]
enum Entry {
    Admitted {
        priority: Priority,
        /// Which admission it was.
        number: u64,
        lines: Vec<MediaLine>,
    },
    /// Refused, cut, or over.
    Done,
}

/// All calls.
#[derive(Debug, Default)]
pub(super) struct Roll {
    calls: BTreeMap<CallKey, Entry>,
    /// The admitted ones in the order of cutting: the least priority, of those the newest.
    order: BTreeSet<(Priority, Reverse<u64>, CallKey)>,
    /// Packets a second that each priority's calls promise.
    promised: [u64; Priority::ALL.len()],
    next: u64,
}

/// Packets a second of these lines. One alone is the first of two: the other side answers.
pub(super) fn promise(lines: &[MediaLine]) -> u64 {
    let sum: u64 = lines.iter().map(|line| u64::from(line.packets_per_second)).sum();
    let most = lines.iter().map(|line| u64::from(line.packets_per_second)).max().unwrap_or(0);
    sum.max(2 * most)
}

impl Roll {
    /// Whether the call has asked.
    pub(super) fn knows(&self, call: CallKey) -> bool {
        self.calls.contains_key(&call)
    }

    /// Packets a second that all admitted calls promise.
    pub(super) fn promised(&self) -> u64 {
        self.promised.iter().sum()
    }

    /// Those of calls of this priority and above.
    pub(super) fn promised_from(&self, priority: Priority) -> u64 {
        self.promised[priority as usize..].iter().sum()
    }

    /// Admits a call that has not asked before.
    pub(super) fn admit(&mut self, call: CallKey, priority: Priority, lines: Vec<MediaLine>) {
        let number = self.next;
        self.next += 1;
        self.promised[priority as usize] += promise(&lines);
        self.order.insert((priority, Reverse(number), call));
        self.calls.insert(call, Entry::Admitted { priority, number, lines });
    }

    /// Notes a call that is not kept.
    pub(super) fn shed(&mut self, call: CallKey) {
        self.end(call);
        self.calls.insert(call, Entry::Done);
    }

    /// Adds a line to an admitted call, or replaces what its endpoint promised.
    pub(super) fn add_line(&mut self, call: CallKey, line: MediaLine) {
        self.change(call, |lines| match lines.iter().position(|known| known.endpoint == line.endpoint) {
            Some(place) => lines[place] = line,
            None if lines.len() < MAX_LINES => lines.push(line),
            None => {}
        });
    }

    /// Takes a line back.
    pub(super) fn remove_line(&mut self, call: CallKey, endpoint: Endpoint) {
        self.change(call, |lines| lines.retain(|known| known.endpoint != endpoint));
    }

    fn change(&mut self, call: CallKey, change: impl FnOnce(&mut Vec<MediaLine>)) {
        let Some(Entry::Admitted { priority, lines, .. }) = self.calls.get_mut(&call) else { return };
        let promised = &mut self.promised[*priority as usize];
        *promised -= promise(lines);
        change(lines);
        *promised += promise(lines);
    }

    /// The call promises nothing more; returns what it did.
    pub(super) fn end(&mut self, call: CallKey) -> u64 {
        let Some(entry) = self.calls.get_mut(&call) else { return 0 };
        let Entry::Admitted { priority, number, lines } = std::mem::replace(entry, Entry::Done) else {
            return 0;
        };
        let promised = promise(&lines);
        self.promised[priority as usize] -= promised;
        self.order.remove(&(priority, Reverse(number), call));
        promised
    }

    /// Forgets a call.
    pub(super) fn forget(&mut self, call: CallKey) {
        self.end(call);
        self.calls.remove(&call);
    }

    /// Ends the admitted call that is worth least; says which, and what it promised.
    pub(super) fn cut_least(&mut self) -> Option<(CallKey, u64)> {
        let (_, _, call) = *self.order.first()?;
        Some((call, self.end(call)))
    }
}
