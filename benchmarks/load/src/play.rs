//! Plays a scenario in real time into a sink of frames, paced by their stamps, until it ends, its
//! time is over or somebody asks it to stop; then every call hangs up.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nightjar_wire::Nanos;

use crate::expected::Expected;
use crate::frame::Frame;
use crate::scenario::Scenario;
use crate::schedule::{FrameStream, Notice};

/// Where frames go: an interface, or a test's memory.
pub trait FrameSink {
    /// Sends frames in order and returns how many were taken; at least one.
    ///
    /// # Errors
    /// When not even the first frame can be sent.
    fn send_batch(&mut self, frames: &[&[u8]]) -> io::Result<usize>;
}

/// The time that frames are paced by.
pub trait PlayClock {
    /// Now, never going back.
    fn now(&self) -> Nanos;
    /// Waits for so long.
    fn wait(&self, span: Nanos);
}

/// The machine's clock: UTC when it was made, monotonic from then on.
#[derive(Debug)]
pub struct WallClock {
    utc: Nanos,
    made: Instant,
}

impl WallClock {
    /// Anchored now.
    pub fn new() -> WallClock {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallClock { utc: Nanos(utc.as_nanos() as u64), made: Instant::now() }
    }
}

impl Default for WallClock {
    fn default() -> WallClock {
        WallClock::new()
    }
}

impl PlayClock for WallClock {
    fn now(&self) -> Nanos {
        self.utc + Nanos(self.made.elapsed().as_nanos() as u64)
    }

    fn wait(&self, span: Nanos) {
        thread::sleep(Duration::from_nanos(span.0));
    }
}

/// Frames that are sent at once.
const BATCH: usize = 64;
/// From the call of [`play`] to the scenario's start.
const LEAD: Nanos = Nanos::from_millis(200);
/// A request to stop is seen after at most so long.
const LONGEST_WAIT: Nanos = Nanos::from_millis(50);

/// Plays `scenario` from now on. After `span` from the scenario's start, or when `stop` becomes
/// true, all calls hang up and the play ends with their last message. `tell` is given each call's
/// start and end. Returns the account of what was sent; its stamps are the planned ones.
///
/// # Errors
/// What the sink says: then frames are missing and the account would be wrong.
pub fn play(
    scenario: &Scenario,
    span: Option<Nanos>,
    sink: &mut impl FrameSink,
    clock: &impl PlayClock,
    stop: &AtomicBool,
    mut tell: impl FnMut(&Notice),
) -> io::Result<Expected> {
    let start = clock.now() + LEAD;
    let end = span.map(|span| start + span);
    let mut stream = scenario.clone().starting_at(start).frames();
    stream.keep_notices();
    let mut batch: Vec<Frame> = (0..BATCH).map(|_| Frame::empty()).collect();
    let mut hung_up = false;
    while let Some(next) = stream.next_at() {
        let now = clock.now();
        let over = end.is_some_and(|end| now >= end) || stop.load(Ordering::Relaxed);
        if over && !hung_up {
            stream.hang_up_all(now);
            hung_up = true;
            continue;
        }
        if next > now {
            let deadline = if hung_up { next } else { next.min(end.unwrap_or(Nanos::MAX)) };
            clock.wait((deadline - now).min(LONGEST_WAIT));
            continue;
        }
        let count = take_due(&mut stream, now, &mut batch);
        send_all(sink, &batch[..count])?;
        stream.take_notices().iter().for_each(&mut tell);
    }
    stream.take_notices().iter().for_each(tell);
    Ok(stream.finish())
}

/// Fills `batch` with frames that are due; returns how many.
fn take_due(stream: &mut FrameStream, now: Nanos, batch: &mut [Frame]) -> usize {
    let mut count = 0;
    while count < batch.len() && stream.next_at().is_some_and(|at| at <= now) {
        count += usize::from(stream.next_into(&mut batch[count]));
    }
    count
}

fn send_all(sink: &mut impl FrameSink, frames: &[Frame]) -> io::Result<()> {
    let bytes: Vec<&[u8]> = frames.iter().map(|frame| frame.bytes.as_slice()).collect();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match sink.send_batch(rest)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            sent => rest = &rest[sent..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::BulkPlan;
    use std::cell::Cell;

    /// A clock that only waiting moves, and a sink that takes a few frames at a time.
    struct Simulated {
        now: Cell<u64>,
    }

    impl PlayClock for Simulated {
        fn now(&self) -> Nanos {
            Nanos(self.now.get())
        }

        fn wait(&self, span: Nanos) {
            assert!(span > Nanos::ZERO);
            self.now.set(self.now.get() + span.0);
        }
    }

    struct Counting(u64);

    impl FrameSink for Counting {
        fn send_batch(&mut self, frames: &[&[u8]]) -> io::Result<usize> {
            let taken = frames.len().min(3);
            self.0 += taken as u64;
            Ok(taken)
        }
    }

    fn office() -> Scenario {
        Scenario::bulk("office", 7, BulkPlan::office(Nanos::from_millis(1500)))
    }

    #[test]
    fn an_endless_scenario_ends_with_its_time_and_every_frame_is_counted() {
        let (clock, mut sink) = (Simulated { now: Cell::new(1_000) }, Counting(0));
        let (mut started, mut ended) = (0, 0);
        let span = Some(Nanos::from_secs(30));
        let expected =
            play(&office(), span, &mut sink, &clock, &AtomicBool::new(false), |notice| match notice {
                Notice::Started(_) => started += 1,
                Notice::Ended(_) => ended += 1,
            });
        let expected = expected.unwrap();
        assert_eq!(expected.ledger.frames, sink.0);
        assert_eq!((started, ended), (expected.calls.len(), expected.calls.len()));
        assert!(started >= 20, "{started} calls");
        assert!((30_200_000_000..30_500_000_000).contains(&clock.now.get()), "{}", clock.now.get());
    }

    #[test]
    fn a_request_to_stop_hangs_everything_up() {
        let (clock, mut sink) = (Simulated { now: Cell::new(1_000) }, Counting(0));
        let stop = AtomicBool::new(false);
        let mut seen = 0;
        let expected = play(&office(), None, &mut sink, &clock, &stop, |notice| {
            seen += u32::from(matches!(notice, Notice::Started(_)));
            stop.store(seen == 6, Ordering::Relaxed);
        });
        let expected = expected.unwrap();
        assert!(expected.calls.iter().all(|call| call.ended_at.is_some()));
        assert_eq!(expected.calls.len(), 6);
        assert_eq!(expected.ledger.frames, sink.0);
    }

    #[test]
    fn a_sink_that_fails_ends_the_play() {
        struct Broken;
        impl FrameSink for Broken {
            fn send_batch(&mut self, _: &[&[u8]]) -> io::Result<usize> {
                Err(io::ErrorKind::NetworkDown.into())
            }
        }
        let clock = Simulated { now: Cell::new(1_000) };
        let played = play(&office(), None, &mut Broken, &clock, &AtomicBool::new(false), |_| {});
        assert_eq!(played.unwrap_err().kind(), io::ErrorKind::NetworkDown);
    }
}
