//! How long to wait before the next attempt.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that double from 0.5 s to 30 s, each shortened by up to a half at random, so that
/// sensors that lost control together do not all return together.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// Failures in a row.
    failures: u32,
    /// State of a xorshift generator; not 0.
    random: u64,
}

impl Backoff {
    /// No failure yet.
    pub fn new() -> Backoff {
        Backoff { failures: 0, random: RandomState::new().build_hasher().finish() | 1 }
    }

    /// One more failure; how long to wait now.
    pub fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        full.mul_f64(0.5 + share / 2.0)
    }

    /// It went well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_begin_anew() {
        for _ in 0..100 {
            let mut backoff = Backoff::new();
            for full in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] {
                let wait = backoff.next();
                assert!(
                    wait >= Duration::from_millis(full / 2) && wait <= Duration::from_millis(full),
                    "{wait:?}"
                );
            }
            backoff.reset();
            assert!(backoff.next() <= FIRST);
        }
    }

    #[test]
    fn waits_differ() {
        let waits: Vec<Duration> = (0..20).map(|_| Backoff::new().next()).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
