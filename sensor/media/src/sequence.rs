//! The order of a stream's packets by sequence number (RFC 3550, A.1), duplicates included.

use nightjar_wire::SeqNumber;
use serde::{Deserialize, Serialize};

/// How far behind the highest number duplicates are still told apart.
const WINDOW: i64 = 128;

/// Numbers that may be missing at once before the sender is taken to have begun anew (RFC 3550,
/// A.1: MAX_DROPOUT).
const MAX_DROPOUT: i16 = 3000;

/// Where a packet stands among those before it. `sequence` counts on over wraps and restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The stream's first.
    First {
        sequence: i64,
    },
    /// Later than all before; `missing` numbers lie between.
    Ahead {
        sequence: i64,
        missing: u16,
    },
    /// Out of order, not seen before.
    Behind {
        sequence: i64,
    },
    Duplicate,
    /// Of the time before the sender began anew.
    Stale,
    /// Far away: very old, or the sender began anew. The timestamp must tell.
    Wild,
}

/// What was seen of a stream's sequence numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SequenceWindow {
    /// The highest number and its count.
    highest: Option<(SeqNumber, i64)>,
    /// Bit `n`: the number `n` below the highest has come.
    seen: u128,
    /// The highest number before the sender began anew.
    former: Option<SeqNumber>,
}

impl SequenceWindow {
    pub(crate) fn observe(&mut self, number: SeqNumber) -> Order {
        let Some((highest, count)) = self.highest else {
            (self.highest, self.seen) = (Some((number, 0)), 1);
            return Order::First { sequence: 0 };
        };
        let ahead = number.since(highest);
        let sequence = count + i64::from(ahead);
        if ahead > 0 && ahead <= MAX_DROPOUT {
            self.seen = if i64::from(ahead) < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.highest = Some((number, sequence));
            return Order::Ahead { sequence, missing: ahead as u16 - 1 };
        }
        if ahead > 0 || i64::from(ahead) <= -WINDOW {
            return if self.is_stale(number) { Order::Stale } else { Order::Wild };
        }
        let bit = 1u128 << -ahead;
        if self.seen & bit != 0 {
            return Order::Duplicate;
        }
        self.seen |= bit;
        Order::Behind { sequence }
    }

    /// How far a [`Order::Wild`] number lies behind the highest, if it may be an old packet.
    pub(crate) fn behind(&self, number: SeqNumber) -> Option<u16> {
        let (highest, _) = self.highest?;
        let behind = highest.since(number);
        (behind > 0 && behind <= MAX_DROPOUT).then_some(behind as u16)
    }

    /// Whether a number would be [`Order::Ahead`].
    pub(crate) fn is_ahead(&self, number: SeqNumber) -> bool {
        self.highest.is_some_and(|(highest, _)| (1..=MAX_DROPOUT).contains(&number.since(highest)))
    }

    /// The sender is back with `number`; between it and what came before only `lost` packets count.
    pub(crate) fn resume(&mut self, number: SeqNumber, lost: u16) -> i64 {
        let sequence = self.restart(number) + i64::from(lost);
        self.highest = Some((number, sequence));
        sequence
    }

    /// The sender began anew: `number` follows what came before. Returns its count.
    pub(crate) fn restart(&mut self, number: SeqNumber) -> i64 {
        let sequence = self.highest.map_or(0, |(_, count)| count + 1);
        self.former = self.highest.map(|(highest, _)| highest);
        self.highest = Some((number, sequence));
        // What lies below must not be taken for new: its counts belong to what came before.
        self.seen = u128::MAX;
        sequence
    }

    fn is_stale(&self, number: SeqNumber) -> bool {
        self.former.is_some_and(|former| (0..MAX_DROPOUT).contains(&former.since(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_away_has_lost_what_was_lost_when_it_left() {
        let mut window = SequenceWindow::default();
        window.observe(SeqNumber(10));
        assert!(window.is_ahead(SeqNumber(200)) && !window.is_ahead(SeqNumber(10)));
        assert_eq!(window.resume(SeqNumber(200), 2), 3);
        assert_eq!(window.observe(SeqNumber(201)), Order::Ahead { sequence: 4, missing: 0 });
        assert_eq!(window.observe(SeqNumber(199)), Order::Duplicate);
    }

    #[test]
    fn order_survives_the_wrap() {
        let mut window = SequenceWindow::default();
        assert_eq!(window.observe(SeqNumber(65_534)), Order::First { sequence: 0 });
        assert_eq!(window.observe(SeqNumber(1)), Order::Ahead { sequence: 3, missing: 2 });
        assert_eq!(window.observe(SeqNumber(65_535)), Order::Behind { sequence: 1 });
        assert_eq!(window.observe(SeqNumber(65_535)), Order::Duplicate);
        assert_eq!(window.observe(SeqNumber(65_534)), Order::Duplicate);
        assert_eq!(window.observe(SeqNumber(0)), Order::Behind { sequence: 2 });
        assert_eq!(window.observe(SeqNumber(2)), Order::Ahead { sequence: 4, missing: 0 });
    }

    #[test]
    fn duplicates_are_known_to_the_window_s_edge() {
        let mut window = SequenceWindow::default();
        window.observe(SeqNumber(0));
        window.observe(SeqNumber(127));
        assert_eq!(window.observe(SeqNumber(0)), Order::Duplicate);
        assert_eq!(window.observe(SeqNumber(1)), Order::Behind { sequence: 1 });
        window.observe(SeqNumber(128));
        assert_eq!(window.observe(SeqNumber(0)), Order::Wild);
        assert_eq!(window.behind(SeqNumber(0)), Some(128));
    }

    #[test]
    fn a_restart_counts_on() {
        let mut window = SequenceWindow::default();
        window.observe(SeqNumber(10));
        assert_eq!(window.observe(SeqNumber(20_000)), Order::Wild);
        assert_eq!(window.behind(SeqNumber(20_000)), None);
        assert_eq!(window.restart(SeqNumber(20_000)), 1);
        assert_eq!(window.observe(SeqNumber(20_001)), Order::Ahead { sequence: 2, missing: 0 });
        assert_eq!(window.observe(SeqNumber(20_000)), Order::Duplicate);
        assert_eq!(window.observe(SeqNumber(19_990)), Order::Duplicate);
        assert_eq!(window.observe(SeqNumber(10)), Order::Stale);
        assert_eq!(window.observe(SeqNumber(11)), Order::Wild);
    }
}
