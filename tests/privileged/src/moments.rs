//! Random moments and places that a failed test can be repeated with, and waiting.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nightjar_load::Random;
use nightjar_wire::Nanos;

/// A number that differs each time.
pub fn any_number() -> u64 {
    RandomState::new().hash_one(0)
}

/// A source of random numbers for `test`; `NIGHTJAR_SEED` repeats an earlier one, which is printed.
pub fn random(test: &str) -> Random {
    let asked = env::var("NIGHTJAR_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = asked.unwrap_or_else(any_number);
    println!("{test}: NIGHTJAR_SEED={seed}");
    Random::new(seed)
}

/// The wall clock.
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Asks every 20 ms until `done` is true; false when that takes longer than `patience`.
pub fn wait_until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !done() {
        if started.elapsed() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}
