//! The capture clock: a source's stamps, made to go forward. Everything behind the entry of the capture core runs
//! on it, so nothing there meets a time that is over.
//!
//! A live source's stamps are steady; a file's may go back: by milliseconds where queues were written in the wrong
//! order, by hours where a clock was set or files were put one behind the other, anywhere where one is damaged.
//! Stamps that lie a little behind are disorder, and come as late as is still allowed. Stamps that lie further
//! behind belong to a clock that lags: it goes on from where the capture is, so that their distances stay what they
//! are. Several clocks may take turns in one file (taps that nobody has set): each keeps its own lag.

use nightjar_wire::Nanos;

/// Stamps that go back by more are another clock's, not disorder.
const MAX_DISORDER: Nanos = Nanos::from_secs(1);

/// Lags that are remembered.
const MAX_LAGS: usize = 8;

/// What a frame's stamp means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The capture time.
    pub(crate) at: Nanos,
    /// The clock that stamps was set back just now, or another one begins that lags.
    pub(crate) set_back: bool,
}

/// The clock. It never goes back.
#[derive(Debug, Default)]
pub(crate) struct SteadyClock {
    /// The latest capture time.
    latest: Nanos,
    /// What clocks have lagged behind, the last one that was met first.
    lags: Vec<Nanos>,
    /// The latest stamp was of a clock that lags.
    lagging: bool,
}

impl SteadyClock {
    /// The latest capture time.
    pub(crate) fn latest(&self) -> Nanos {
        self.latest
    }

    /// Goes on behind an earlier run, whose last moment was `at`.
    pub(crate) fn go_on_from(&mut self, at: Nanos) {
        self.latest = self.latest.max(at);
    }

    /// The capture time of a frame's stamp; it lies `lateness` behind the latest at most. The clock itself stays
    /// where it is until [`SteadyClock::advance`].
    pub(crate) fn of_stamp(&mut self, stamp: Nanos, lateness: Nanos) -> Moment {
        let earliest = self.latest - lateness;
        let is_near = |at: Nanos| at + MAX_DISORDER >= earliest;
        self.lagging = !is_near(stamp);
        if !self.lagging {
            return Moment { at: stamp.max(earliest), set_back: false };
        }
        // The least lag that fits: a larger one would make the time in between pass once more.
        let known = self.lags.iter().copied().filter(|lag| is_near(stamp + *lag)).min();
        let lag = known.unwrap_or(self.latest - stamp);
        self.lags.retain(|other| *other != lag);
        self.lags.insert(0, lag);
        self.lags.truncate(MAX_LAGS);
        Moment { at: (stamp + lag).max(earliest), set_back: known.is_none() }
    }

    /// Nothing has come up to `now`, by the source's clock: the time that it is, if that clock does not lag. Where
    /// it does, only the next frame tells whether it still will.
    pub(crate) fn of_silence(&self, now: Nanos) -> Nanos {
        if self.lagging { self.latest } else { now.max(self.latest) }
    }

    /// Moves the clock on.
    pub(crate) fn advance(&mut self, now: Nanos) {
        self.latest = self.latest.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    const HOUR: u64 = 3_600_000;

    /// The capture times of stamps, and how often a clock was set back.
    fn run(clock: &mut SteadyClock, stamps: &[u64]) -> (Vec<u64>, usize) {
        let mut set_back = 0;
        let times = stamps.iter().map(|stamp| {
            let moment = clock.of_stamp(ms(*stamp), Nanos::ZERO);
            clock.advance(moment.at);
            set_back += usize::from(moment.set_back);
            moment.at.as_millis()
        });
        (times.collect(), set_back)
    }

    #[test]
    fn disorder_comes_as_late_as_is_allowed() {
        let mut clock = SteadyClock::default();
        let (times, set_back) = run(&mut clock, &[5_000, 4_995, 5_003, 4_100, 5_004]);
        assert_eq!((times, set_back), (vec![5_000, 5_000, 5_003, 5_003, 5_004], 0));
        let late = |stamp| Moment { at: ms(stamp), set_back: false };
        assert_eq!(clock.of_stamp(ms(4_990), ms(20)), late(4_990));
        assert_eq!(clock.of_stamp(ms(4_970), ms(20)), late(4_984));
    }

    #[test]
    fn a_clock_that_was_set_back_goes_on_until_it_is_set_right() {
        let from = 10 * HOUR;
        let lagging =
            [from, from + 20, from + 40 - HOUR, from + 60 - HOUR, from + 50 - HOUR, from + 80 - HOUR];
        let (times, set_back) = run(&mut SteadyClock::default(), &[&lagging[..], &[from + 100]].concat());
        // Nobody knows how long the step itself took.
        let expected = [0, 20, 20, 40, 40, 60, 100].map(|after| from + after);
        assert_eq!((times, set_back), (expected.to_vec(), 1));
    }

    #[test]
    fn clocks_that_take_turns_do_not_push_each_other_on() {
        let mut clock = SteadyClock::default();
        let turns = |from: u64| {
            (from..from + 1_000).flat_map(|n| {
                let at = 10 * HOUR + 20 * n;
                [at, at - 1_500, at - HOUR, at - 2 * HOUR]
            })
        };
        let damaged = 7;
        let stamps: Vec<u64> = turns(0).chain([damaged]).chain(turns(1_000)).collect();
        let (times, set_back) = run(&mut clock, &stamps);
        assert!(times.is_sorted());
        assert_eq!((times.last().unwrap() - times[0], set_back), (1_999 * 20, 4));
    }

    #[test]
    fn an_earlier_run_s_time_is_not_lived_again() {
        let mut clock = SteadyClock::default();
        clock.go_on_from(ms(2 * HOUR));
        assert_eq!(run(&mut clock, &[HOUR, HOUR + 20]).0, [2 * HOUR, 2 * HOUR + 20]);
    }

    #[test]
    fn silence_moves_only_a_clock_that_does_not_lag() {
        let mut clock = SteadyClock::default();
        run(&mut clock, &[2 * HOUR]);
        assert_eq!(clock.of_silence(ms(2 * HOUR + 20)), ms(2 * HOUR + 20));
        assert_eq!(clock.of_silence(ms(HOUR)), ms(2 * HOUR));
        run(&mut clock, &[HOUR]);
        assert_eq!(clock.of_silence(ms(HOUR + 20)), ms(2 * HOUR));
    }

    proptest! {
        /// Whatever stamps say, time goes forward.
        #[test]
        fn it_never_goes_back(stamps in proptest::collection::vec(any::<u64>(), 1..100)) {
            let mut clock = SteadyClock::default();
            for stamp in stamps {
                let before = clock.latest();
                let at = clock.of_stamp(Nanos(stamp), Nanos::ZERO).at;
                prop_assert!(at >= before);
                clock.advance(at);
            }
        }
    }
}
