//! The latest times in which a ring lost frames, for calls that are opened afterwards: media waits for its
//! signalling, and so may what is missing of it.

use std::collections::VecDeque;

use nightjar_wire::Nanos;

/// How many are kept; at most 20 ms each, so that they reach back further than media waits.
const MOST: usize = 256;

/// Times, the latest last.
#[derive(Debug, Default)]
pub(crate) struct RecentLosses {
    times: VecDeque<(Nanos, Nanos)>,
}

impl RecentLosses {
    /// Adds a time; the oldest is forgotten where there is no room.
    pub(crate) fn push(&mut self, from: Nanos, to: Nanos) {
        if self.times.len() == MOST {
            self.times.pop_front();
        }
        self.times.push_back((from, to));
    }

    /// Those that end at `at` or later.
    pub(crate) fn since(&self, at: Nanos) -> impl Iterator<Item = (Nanos, Nanos)> {
        self.times.iter().copied().filter(move |(_, to)| *to >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_what_ended_before_is_left_out() {
        let mut losses = RecentLosses::default();
        for ms in 0..MOST as u64 + 2 {
            losses.push(Nanos::from_millis(ms), Nanos::from_millis(ms + 1));
        }
        let kept: Vec<_> = losses.since(Nanos::ZERO).collect();
        assert_eq!((kept.len(), kept[0].0), (MOST, Nanos::from_millis(2)));
        assert_eq!(losses.since(Nanos::from_millis(257)).count(), 2);
    }
}
