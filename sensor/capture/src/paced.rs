//! Delays a file's frames to the times that their stamps say, as if the traffic were live.

use std::time::{Duration, Instant};

use nightjar_wire::{LinkType, Nanos};

use crate::SourceError;
use crate::source::{PacketSource, RawFrame, Received, SourceStatistics};

/// The longest wait within one call.
const PATIENCE: Duration = Duration::from_millis(20);
/// A stamp this far behind the one before it begins a new time: nothing is hurried to catch up.
const BACK: Nanos = Nanos::from_secs(1);
/// A stamp this far ahead of the one before it is played at once: no capture pauses that long.
const AHEAD: Nanos = Nanos::from_secs(24 * 3_600);

/// The time that passes, for the tests to replace.
pub trait Pace {
    /// Time since any fixed moment.
    fn elapsed(&mut self) -> Duration;
    /// Waits.
    fn wait(&mut self, span: Duration);
}

/// The host's monotonic clock.
#[derive(Debug)]
pub struct WallPace(Instant);

impl Pace for WallPace {
    fn elapsed(&mut self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&mut self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A source whose frames come when their stamps say, counted from the first one.
///
/// One batch of the inner source is held as a copy; memory is bounded by its batch.
#[derive(Debug)]
pub struct Paced<S, P = WallPace> {
    source: S,
    pace: P,
    held: Held,
    /// The capture time and the pace's time that belong together.
    anchor: Option<(Nanos, Duration)>,
    /// The newest stamp that the anchor has been checked against.
    last: Nanos,
    /// What the inner source said behind the frames that are held.
    behind: Option<Result<Received, SourceError>>,
    given: SourceStatistics,
}

/// Frames that wait for their time, their bytes one behind the other.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    frames: Vec<HeldFrame>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct HeldFrame {
    at: Nanos,
    link: LinkType,
    interface: u16,
    start: usize,
    end: usize,
    original_len: u32,
}

impl<S: PacketSource> Paced<S> {
    /// Plays `source` in real time.
    pub fn realtime(source: S) -> Paced<S> {
        Paced::with_pace(source, WallPace(Instant::now()))
    }
}

impl<S: PacketSource, P: Pace> Paced<S, P> {
    /// Plays `source` by another clock.
    pub fn with_pace(source: S, pace: P) -> Paced<S, P> {
        let (held, given) = (Held::default(), SourceStatistics::default());
        Paced { source, pace, held, anchor: None, last: Nanos::ZERO, behind: None, given }
    }

    /// Takes the next batch of the inner source.
    fn refill(&mut self) {
        let held = &mut self.held;
        held.bytes.clear();
        held.frames.clear();
        held.next = 0;
        let received = self.source.receive(&mut |frame| {
            let start = held.bytes.len();
            held.bytes.extend_from_slice(frame.bytes);
            let RawFrame { at, link, interface, original_len, .. } = frame;
            held.frames.push(HeldFrame { at, link, interface, start, end: held.bytes.len(), original_len });
        });
        if !matches!(received, Ok(Received::Frames(_))) {
            self.behind = Some(received);
        }
    }

    /// When the frame stamped `at` is due; a stamp that jumps is due now.
    fn due(&mut self, at: Nanos) -> Duration {
        let jumps = at + BACK < self.last || at > self.last + AHEAD;
        if self.anchor.is_none() || jumps {
            self.anchor = Some((at, self.pace.elapsed()));
        }
        self.last = at;
        let (origin, then) = self.anchor.unwrap_or_default();
        then + Duration::from_nanos((at - origin).0)
    }

    /// The capture time now, never past the frame that is next.
    fn clock(&mut self) -> Nanos {
        let Some((origin, then)) = self.anchor else { return Nanos::ZERO };
        let since = self.pace.elapsed().saturating_sub(then);
        let now = origin + Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        self.held.frames.get(self.held.next).map_or(now, |next| now.min(next.at))
    }

    /// Gives the held frames that are due now.
    fn give_due(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> (usize, Duration) {
        let first = self.held.next;
        while let Some(frame) = self.held.frames.get(self.held.next).copied() {
            let (due, now) = (self.due(frame.at), self.pace.elapsed());
            if due > now {
                return (self.held.next - first, due - now);
            }
            self.held.next += 1;
            let bytes = &self.held.bytes[frame.start..frame.end];
            self.given.count(bytes.len(), frame.original_len);
            let HeldFrame { at, link, interface, original_len, .. } = frame;
            sink(RawFrame { at, link, interface, bytes, original_len });
        }
        (self.held.next - first, Duration::ZERO)
    }
}

impl<S: PacketSource, P: Pace> PacketSource for Paced<S, P> {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        if self.held.next == self.held.frames.len() {
            if let Some(behind) = self.behind.take() {
                return behind;
            }
            self.refill();
        }
        if self.held.frames.is_empty() {
            return self.behind.take().unwrap_or(Ok(Received::Frames(0)));
        }
        let (frames, wait) = self.give_due(sink);
        if frames > 0 {
            return Ok(Received::Frames(frames));
        }
        self.pace.wait(wait.min(PATIENCE));
        match self.give_due(sink).0 {
            0 => Ok(Received::Idle(self.clock())),
            frames => Ok(Received::Frames(frames)),
        }
    }

    fn interfaces(&self) -> &[String] {
        self.source.interfaces()
    }

    fn statistics(&mut self) -> SourceStatistics {
        let SourceStatistics { received, bytes, truncated, .. } = self.given;
        SourceStatistics { received, bytes, truncated, ..self.source.statistics() }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.source.progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{MemoryFrame, MemorySource};

    /// Time that passes only by waiting.
    struct FakePace(Duration);

    impl Pace for FakePace {
        fn elapsed(&mut self) -> Duration {
            self.0
        }

        fn wait(&mut self, span: Duration) {
            assert!(span <= PATIENCE && !span.is_zero(), "{span:?}");
            self.0 += span;
        }
    }

    /// Each frame's stamp and the time at which it was given, in milliseconds.
    fn play(stamps_ms: &[u64]) -> Vec<(u64, u128)> {
        let frames = stamps_ms.iter().map(|&ms| MemoryFrame::ethernet(Nanos::from_millis(ms), vec![0; 60]));
        let source = MemorySource::frames(frames.collect(), 3);
        let mut paced = Paced::with_pace(source, FakePace(Duration::from_secs(77)));
        let mut given: Vec<(u64, u128)> = Vec::new();
        let mut idle = Nanos::ZERO;
        loop {
            let mut batch = Vec::new();
            match paced.receive(&mut |frame| batch.push(frame.at.as_millis())).unwrap() {
                Received::End => break,
                Received::Frames(count) => assert_eq!(count, batch.len()),
                Received::Idle(clock) => {
                    assert!(batch.is_empty() && clock.0.abs_diff(idle.0) > 0);
                    idle = clock;
                }
            }
            let now = paced.pace.0.as_millis() - 77_000;
            given.extend(batch.iter().map(|&at| (at, now)));
        }
        assert_eq!(paced.statistics().received, stamps_ms.len() as u64);
        given
    }

    #[test]
    fn frames_come_when_their_stamps_say() {
        let given = play(&[1_000, 1_000, 1_005, 1_005, 1_250, 1_251, 3_000]);
        let expected =
            [(1_000, 0), (1_000, 0), (1_005, 5), (1_005, 5), (1_250, 250), (1_251, 251), (3_000, 2_000)];
        assert_eq!(given, expected);
    }

    #[test]
    fn a_stamp_that_runs_back_or_far_ahead_is_played_at_once() {
        const YEARS_80: u64 = 80 * 365 * 24 * 3_600_000;
        let given = play(&[YEARS_80, YEARS_80 + 100, 50, 150, YEARS_80, YEARS_80 + 20]);
        let times: Vec<u128> = given.iter().map(|&(_, time)| time).collect();
        assert_eq!(times, [0, 100, 100, 200, 200, 220]);
    }

    #[test]
    fn a_little_disorder_neither_waits_nor_moves_the_time() {
        let given = play(&[500, 520, 510, 540]);
        assert_eq!(given, [(500, 0), (520, 20), (510, 20), (540, 40)]);
    }
}
