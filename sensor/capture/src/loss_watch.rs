//! When a ring lost frames: the kernel only counts them, so the count is looked at from time to time.

use nightjar_wire::Nanos;

use crate::source::RingLoss;

/// Capture time between two looks: no longer than what a packet of speech holds.
const INTERVAL: Nanos = Nanos::from_millis(20);

/// Watches a count of lost frames.
#[derive(Debug)]
pub(crate) struct LossWatch {
    /// When it was looked at, and what it was.
    looked_at: Nanos,
    lost: u64,
}

impl LossWatch {
    /// Of a count that is 0 at `now`.
    pub(crate) fn new(now: Nanos) -> LossWatch {
        LossWatch { looked_at: now, lost: 0 }
    }

    /// Whether it is time to look again.
    pub(crate) fn is_due(&self, now: Nanos) -> bool {
        now >= self.looked_at + INTERVAL
    }

    /// The count at `now`: what was lost since the last look.
    pub(crate) fn look(&mut self, now: Nanos, lost: u64) -> Option<RingLoss> {
        let from = std::mem::replace(&mut self.looked_at, now);
        let frames = lost.saturating_sub(std::mem::replace(&mut self.lost, lost));
        (frames > 0).then_some(RingLoss { from, to: now, frames })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_were_lost_between_two_looks() {
        let ms = Nanos::from_millis;
        let mut watch = LossWatch::new(ms(1_000));
        assert!(!watch.is_due(ms(1_019)) && watch.is_due(ms(1_020)));
        assert_eq!(watch.look(ms(1_020), 0), None);
        assert_eq!(watch.look(ms(1_045), 7), Some(RingLoss { from: ms(1_020), to: ms(1_045), frames: 7 }));
        assert_eq!(watch.look(ms(1_070), 7), None);
    }
}
