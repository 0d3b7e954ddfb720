//! Whether frames are being lost, for how long, and how many a second.

use nightjar_wire::Nanos;

/// Load that loses frames for so long is cut, and again each time that it goes on for so long.
pub const LOSING: Nanos = Nanos::from_millis(100);
/// Losses farther apart are not one and the same shortage: a core that is throttled, or that shares its
/// CPU, loses frames in turns of some tens of milliseconds.
const PAUSE: Nanos = Nanos::from_millis(250);
/// Samples with losses that a shortage shows at least: one long stall shows one, however much it cost.
const EVIDENCE: u32 = 3;
/// Without a loss for so long there is no shortage any more.
const QUIET: Nanos = Nanos::from_secs(1);

/// One counter of lost frames.
#[derive(Debug, Default)]
pub(super) struct Losing {
    /// The last sample: when, and the counter.
    last: Option<(Nanos, u64)>,
    /// Losses that belong together, since the last verdict on them.
    episode: Option<Episode>,
    /// There was a shortage, and its last loss was at this time.
    shortage: Option<Nanos>,
}

#[derive(Clone, Copy, Debug)]
struct Episode {
    /// The first loss is behind this moment.
    since: Nanos,
    last_loss: Nanos,
    lost: u64,
    samples: u32,
}

impl Losing {
    /// Takes the counter as it stands; says how many frames a second are lost when that has gone on for
    /// [`LOSING`].
    pub(super) fn handle_sample(&mut self, at: Nanos, counter: u64) -> Option<u64> {
        let (before, known) = self.last.replace((at, counter))?;
        let lost = counter.saturating_sub(known);
        self.episode = self.episode.filter(|episode| at - episode.last_loss <= PAUSE);
        if lost == 0 {
            self.shortage = self.shortage.filter(|last| at - *last < QUIET);
            return None;
        }
        let fresh = Episode { since: before, last_loss: at, lost: 0, samples: 0 };
        let episode = self.episode.get_or_insert(fresh);
        episode.last_loss = at;
        episode.lost += lost;
        episode.samples += 1;
        let span = at - episode.since;
        if self.shortage.is_some() {
            self.shortage = Some(at);
        }
        if span < LOSING || episode.samples < EVIDENCE {
            return None;
        }
        let excess = u128::from(episode.lost) * 1_000_000_000 / u128::from(span.0);
        *episode = Episode { since: at, last_loss: at, lost: 0, samples: 0 };
        self.shortage = Some(at);
        Some(u64::try_from(excess).unwrap_or(u64::MAX).max(1))
    }

    /// From the first verdict until nothing was lost for [`QUIET`].
    pub(super) fn is_losing(&self) -> bool {
        self.shortage.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples 10 ms apart, each with so many lost since the one before; the verdicts, by their ms.
    fn verdicts(lost: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        let (mut losing, mut counter) = (Losing::default(), 0);
        let mut verdicts = Vec::new();
        losing.handle_sample(Nanos::ZERO, 0);
        for (ms, lost) in (10..).step_by(10).zip(lost) {
            counter += lost;
            verdicts.extend(losing.handle_sample(Nanos::from_millis(ms), counter).map(|rate| (ms, rate)));
        }
        verdicts
    }

    #[test]
    fn a_shortage_is_found_each_hundred_milliseconds_with_its_rate() {
        assert_eq!(verdicts([30; 25]), [(100, 3_000), (200, 3_000)]);
    }

    #[test]
    fn one_long_stall_is_no_shortage() {
        assert_eq!(verdicts([vec![0; 5], vec![90_000], vec![0; 200]].concat()), []);
        assert_eq!(verdicts([vec![90_000, 0], vec![0; 15], vec![10_000], vec![0; 200]].concat()), []);
    }

    #[test]
    fn a_core_that_is_throttled_loses_in_turns() {
        let turn = [vec![0; 7], vec![500, 700, 300]].concat();
        let found = verdicts(turn.repeat(4));
        assert_eq!(found.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [180, 280, 380], "{found:?}");
        assert!(found[1..].iter().all(|(_, rate)| *rate == 15_000), "{found:?}");
    }

    #[test]
    fn it_is_over_after_a_second_without_loss() {
        let mut losing = Losing::default();
        let mut counter = 0;
        for ms in (0..=120).step_by(10) {
            losing.handle_sample(Nanos::from_millis(ms), counter);
            counter += 5;
        }
        assert!(losing.is_losing());
        losing.handle_sample(Nanos::from_millis(1_110), counter - 5);
        assert!(losing.is_losing());
        losing.handle_sample(Nanos::from_millis(1_120), counter - 5);
        assert!(!losing.is_losing());
    }
}
