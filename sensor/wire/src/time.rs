//! Time on the capture clock, RTP time and RTP sequence numbers, each with its own arithmetic.

use core::fmt;
use core::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A moment on the capture clock, or a span of it: nanoseconds since the UNIX epoch (UTC) for a
/// moment. Arithmetic saturates: a capture's stamps are not to be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The start of time.
    pub const ZERO: Nanos = Nanos(0);
    /// Later than every stamp.
    pub const MAX: Nanos = Nanos(u64::MAX);

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Nanos {
        Nanos(secs.saturating_mul(1_000_000_000))
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Nanos {
        Nanos(millis.saturating_mul(1_000_000))
    }

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Nanos {
        Nanos(micros.saturating_mul(1_000))
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole microseconds, rounded down.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds, for figures that are shown.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `self - other` as a signed number of nanoseconds, saturating.
    pub fn signed_since(self, other: Nanos) -> i64 {
        if self.0 >= other.0 {
            i64::try_from(self.0 - other.0).unwrap_or(i64::MAX)
        } else {
            i64::try_from(other.0 - self.0).map_or(i64::MIN, |d| -d)
        }
    }

    /// Moved by a signed number of nanoseconds, saturating.
    pub fn offset(self, nanos: i64) -> Nanos {
        Nanos(self.0.saturating_add_signed(nanos))
    }
}

impl Add for Nanos {
    type Output = Nanos;

    fn add(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }
}

impl Sub for Nanos {
    type Output = Nanos;

    /// The span since `other`; zero when `other` is later.
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// An RTP timestamp in ticks of its clock rate; wraps at 32 bits (RFC 3550, 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// The signed distance in ticks, over the shorter way round.
    pub const fn since(self, other: RtpTime) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

/// An RTP sequence number; wraps at 16 bits (RFC 3550, 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeqNumber(pub u16);

impl SeqNumber {
    /// The signed distance in packets, over the shorter way round.
    pub const fn since(self, other: SeqNumber) -> i16 {
        self.0.wrapping_sub(other.0) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_saturate_instead_of_wrapping() {
        assert_eq!(Nanos(5) - Nanos(7), Nanos::ZERO);
        assert_eq!(Nanos::MAX + Nanos(1), Nanos::MAX);
        assert_eq!(Nanos(5).signed_since(Nanos(7)), -2);
        assert_eq!(Nanos::ZERO.signed_since(Nanos::MAX), i64::MIN);
        assert_eq!(Nanos(1).offset(-5), Nanos::ZERO);
    }

    #[test]
    fn rtp_numbers_take_the_shorter_way_round() {
        assert_eq!(SeqNumber(1).since(SeqNumber(65_535)), 2);
        assert_eq!(SeqNumber(65_535).since(SeqNumber(1)), -2);
        assert_eq!(RtpTime(10).since(RtpTime(u32::MAX - 9)), 20);
    }
}
