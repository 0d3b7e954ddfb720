//! When the generator could not send: on a machine that is busy with other things a thread, or all
//! of the machine, may stand still for a second. What was late on the wire is no fault of the
//! sensor's, and what it says of it (a gap of cause `wire`) is true.

use std::sync::{Mutex, PoisonError};

use nightjar_load::{PlayClock, WallClock};
use nightjar_wire::Nanos;

/// What is no stall: the generator's own work, a thread's wake-up.
const USUAL: Nanos = Nanos::from_millis(20);

/// The times in which the generator stood still.
#[derive(Clone, Debug, Default)]
pub struct Stalls {
    spans: Vec<(Nanos, Nanos)>,
}

impl Stalls {
    /// When a frame that was planned for `at` was sent at the latest.
    pub fn sent_at(&self, at: Nanos) -> Nanos {
        self.spans.iter().find(|(from, to)| (*from..*to).contains(&at)).map_or(at, |(_, to)| *to)
    }

    /// How much of `from..to` they take.
    pub fn within(&self, from: Nanos, to: Nanos) -> Nanos {
        let parts = self.spans.iter().map(|&(start, end)| end.min(to) - start.max(from));
        parts.fold(Nanos::ZERO, |sum, part| sum + part)
    }

    /// All of them together.
    pub fn total(&self) -> Nanos {
        self.within(Nanos::ZERO, Nanos::MAX)
    }
}

/// The generator's clock, which notes when it was not asked for too long.
#[derive(Debug, Default)]
pub(crate) struct WatchedClock {
    wall: WallClock,
    /// When it should be asked next, and the stalls so far.
    seen: Mutex<(Nanos, Stalls)>,
}

impl WatchedClock {
    /// What was noted.
    pub(crate) fn into_stalls(self) -> Stalls {
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
}

impl PlayClock for WatchedClock {
    fn now(&self) -> Nanos {
        let now = self.wall.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, stalls) = &mut *seen;
        if *due > Nanos::ZERO && now - *due > USUAL {
            stalls.spans.push((*due, now));
        }
        *due = now;
        now
    }

    fn wait(&self, span: Nanos) {
        let now = self.now();
        self.wall.wait(span);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).0 = now + span;
    }
}
