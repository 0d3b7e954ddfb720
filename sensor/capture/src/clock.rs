//! The capture clock of a live host: nanoseconds since the epoch that never jump.
//!
//! The kernel stamps frames with CLOCK_REALTIME, which NTP may step. The capture clock is
//! CLOCK_MONOTONIC moved by a constant, the difference of the two clocks at the start. A stamp is
//! mapped back by the difference that holds now. The kernel slews both clocks alike, so the
//! difference changes by steps alone (and leap seconds, which are steps too); it is measured anew
//! for each batch, and a change of less than a millisecond is taken for the measurement's noise.
//! A frame from before a step may still be in the ring when the step is noticed: it is told by the
//! new difference, which puts it before the step or into the future. A step shorter than the time
//! between two batches may shift the frames of one batch by its own length.

use nightjar_wire::Nanos;

/// A change of the clocks' difference that is a step of the wall clock.
const STEP_NS: u64 = 1_000_000;
/// How long frames from before a step are looked for.
const STEP_MEMORY: Nanos = Nanos::from_secs(60);
/// Trials to read both clocks close together.
const TRIALS: usize = 8;
/// Two readings of one clock that enclose the other's closer than this are good at once.
const CLOSE_NS: u64 = 5_000;

/// Readings of two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPair {
    /// CLOCK_MONOTONIC: nanoseconds since the host started.
    pub monotonic: Nanos,
    /// CLOCK_REALTIME: nanoseconds since the epoch.
    pub utc: Nanos,
}

impl ClockPair {
    /// Reads both clocks, the closest of a few trials.
    pub fn now() -> ClockPair {
        let mut best = (u64::MAX, ClockPair { monotonic: Nanos::ZERO, utc: Nanos::ZERO });
        for _ in 0..TRIALS {
            let before = read(libc::CLOCK_MONOTONIC);
            let utc = read(libc::CLOCK_REALTIME);
            let apart = (read(libc::CLOCK_MONOTONIC) - before).0;
            if apart < best.0 {
                best = (apart, ClockPair { monotonic: before + Nanos(apart / 2), utc });
            }
            if apart < CLOSE_NS {
                break;
            }
        }
        best.1
    }

    /// UTC minus monotonic.
    fn difference(self) -> i64 {
        self.utc.signed_since(self.monotonic)
    }
}

/// The capture clock. One is made at the start and copied to every live source, so that their
/// stamps are comparable.
#[derive(Clone, Copy, Debug)]
pub struct CaptureClock {
    start: ClockPair,
    /// UTC minus monotonic as it is now.
    difference: i64,
    /// The capture time of the last measurement.
    measured: Nanos,
    /// The last step of the wall clock, while frames from before it may still come.
    step: Option<Step>,
}

/// A step of the wall clock.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// UTC minus monotonic before it.
    difference: i64,
    /// The last measurement before it, in capture time: the step came later.
    after: Nanos,
    /// The first measurement after it, in capture time.
    noticed: Nanos,
}

impl CaptureClock {
    /// A clock that shows UTC now, and from then on runs steadily.
    pub fn start() -> CaptureClock {
        CaptureClock::start_at(ClockPair::now())
    }

    fn start_at(start: ClockPair) -> CaptureClock {
        CaptureClock { start, difference: start.difference(), measured: start.utc, step: None }
    }

    /// Capture time now.
    pub fn now(&self) -> Nanos {
        self.of_monotonic(read(libc::CLOCK_MONOTONIC))
    }

    /// The pair of readings that ties this clock to the host's: capture time is `utc` plus what
    /// CLOCK_MONOTONIC has advanced since `monotonic`.
    pub fn pair(&self) -> ClockPair {
        self.start
    }

    /// Measures the clocks' difference anew, once before each batch.
    pub(crate) fn measure(&mut self) {
        self.measure_at(ClockPair::now());
    }

    fn measure_at(&mut self, pair: ClockPair) {
        let (now, difference) = (self.of_monotonic(pair.monotonic), pair.difference());
        if difference.abs_diff(self.difference) > STEP_NS {
            self.step = Some(Step { difference: self.difference, after: self.measured, noticed: now });
            self.difference = difference;
        }
        self.step = self.step.filter(|step| now - step.noticed < STEP_MEMORY);
        self.measured = now;
    }

    /// The capture time of a kernel stamp (CLOCK_REALTIME).
    #[inline]
    pub(crate) fn of_stamp(&self, realtime: Nanos) -> Nanos {
        self.of_stamp_by(realtime, || self.now())
    }

    #[inline]
    fn of_stamp_by(&self, realtime: Nanos, now: impl FnOnce() -> Nanos) -> Nanos {
        let stamp = self.mapped(realtime, self.difference);
        match self.step {
            Some(step) if stamp < step.after || stamp > now() => self.mapped(realtime, step.difference),
            _ => stamp,
        }
    }

    fn mapped(&self, realtime: Nanos, difference: i64) -> Nanos {
        realtime.offset(self.start.difference().saturating_sub(difference))
    }

    /// The capture time of a CLOCK_MONOTONIC stamp.
    #[inline]
    pub(crate) fn of_monotonic(&self, monotonic: Nanos) -> Nanos {
        self.start.utc.offset(monotonic.signed_since(self.start.monotonic))
    }
}

/// Reads one of the system's clocks.
fn read(clock: libc::clockid_t) -> Nanos {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec. The two clocks read here exist on every Linux, so the call
    // cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn pair(monotonic: u64, utc: u64) -> ClockPair {
        ClockPair { monotonic: Nanos(monotonic), utc: Nanos(utc) }
    }

    #[test]
    fn the_clock_starts_at_utc_and_runs_with_the_monotonic_clock() {
        let clock = CaptureClock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(clock.pair().utc <= first && first <= second);
        let utc = ClockPair::now().utc;
        assert!(utc.signed_since(second).abs() < 1_000_000_000);
    }

    /// The host: both clocks at a capture time, the wall clock stepped by `step`.
    fn host(start: ClockPair, at: Nanos, step: i64) -> ClockPair {
        ClockPair { monotonic: start.monotonic + (at - start.utc), utc: at.offset(step) }
    }

    #[test]
    fn stamps_keep_their_order_and_distance_over_a_step_of_the_wall_clock() {
        for step in [HOUR, -HOUR, 50_000_000, -50_000_000] {
            let start = pair(1_000_000_000, 1_700_000_000_000_000_000);
            let mut clock = CaptureClock::start_at(start);
            // A batch each 20 ms brings the frames of the 20 ms before, one a millisecond, and is
            // itself read 20 ms late; the wall clock steps at 50 ms.
            for batch in 0..200 {
                let at = |ms: u64| start.utc + Nanos::from_millis(ms);
                let stepped = |ms: u64| if ms >= 50 { step } else { 0 };
                let now = 20 * (batch + 2);
                clock.measure_at(host(start, at(now), stepped(now)));
                for ms in 20 * batch..20 * (batch + 1) {
                    let stamp = at(ms).offset(stepped(ms));
                    assert_eq!(clock.of_stamp_by(stamp, || at(now)), at(ms), "step {step}, at {ms} ms");
                }
            }
        }
    }

    #[test]
    fn a_step_is_forgotten_when_no_frame_from_before_it_can_come() {
        let start = pair(1_000_000_000, 1_700_000_000_000_000_000);
        let mut clock = CaptureClock::start_at(start);
        for secs in 1..=62 {
            clock.measure_at(host(start, start.utc + Nanos::from_secs(secs), HOUR));
            assert_eq!(clock.step.is_some(), secs < 61, "{secs}");
        }
    }

    #[test]
    fn noise_of_the_measurement_moves_nothing() {
        let start = pair(1_000, 1_700_000_000_000_000_000);
        let mut clock = CaptureClock::start_at(start);
        for noise in [900_000, -900_000, 300, 0] {
            clock.measure_at(host(start, start.utc + Nanos(1_000), noise));
            assert_eq!(clock.of_stamp(start.utc + Nanos(500)), start.utc + Nanos(500));
        }
    }
}
