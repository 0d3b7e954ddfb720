//! What calls may promise after some were cut: the load that the sensor could bear then. It rises while
//! nothing is lost, or those that were cut would be followed by as many newcomers and cut again.

use nightjar_wire::Nanos;

/// A rise by a sixteenth.
const RISE: u64 = 16;
/// Time without loss for one rise: a load that has fallen to half is let back in eleven seconds.
const EVERY: Nanos = Nanos::from_secs(1);

/// None until the first cut.
#[derive(Debug, Default)]
pub(super) struct Ceiling(Option<Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    promised: u64,
    /// Forgotten once it has risen above this.
    until: u64,
    risen_at: Nanos,
}

impl Ceiling {
    /// What may be promised; `None` where nothing is known.
    pub(super) fn promised(&self) -> Option<u64> {
        self.0.map(|known| known.promised)
    }

    /// Calls were cut: they promised `before`, and promise `after` now.
    pub(super) fn handle_cut(&mut self, at: Nanos, before: u64, after: u64) {
        let until = self.0.map_or(0, |known| known.until).max(before.saturating_mul(2));
        self.0 = Some(Known { promised: after, until, risen_at: at });
    }

    /// Lets it rise when nothing was lost.
    pub(super) fn handle_time(&mut self, at: Nanos, losing: bool) {
        let Some(known) = &mut self.0 else { return };
        if losing {
            known.risen_at = at;
        } else if at - known.risen_at >= EVERY {
            known.risen_at = at;
            // At least by one call of two streams.
            known.promised += (known.promised / RISE).max(100);
        }
        if known.promised > known.until {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_while_nothing_is_lost_and_is_forgotten_at_twice_the_load() {
        let mut ceiling = Ceiling::default();
        ceiling.handle_time(Nanos::from_secs(1), false);
        assert_eq!(ceiling.promised(), None);
        ceiling.handle_cut(Nanos::from_secs(1), 4_000, 3_200);
        ceiling.handle_time(Nanos::from_secs(2), true);
        assert_eq!(ceiling.promised(), Some(3_200));
        ceiling.handle_time(Nanos::from_millis(2_900), false);
        ceiling.handle_time(Nanos::from_secs(3), false);
        assert_eq!(ceiling.promised(), Some(3_400));
        for second in 4..17 {
            ceiling.handle_time(Nanos::from_secs(second), false);
        }
        assert!(ceiling.promised().is_some_and(|promised| promised > 7_000), "{ceiling:?}");
        (17..20).for_each(|second| ceiling.handle_time(Nanos::from_secs(second), false));
        assert_eq!(ceiling.promised(), None);
    }
}
