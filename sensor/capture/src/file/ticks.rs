//! A pcapng interface's clock: its ticks (`if_tsresol`) and offset (`if_tsoffset`) to nanoseconds.

use nightjar_wire::Nanos;

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// How an interface counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ticks {
    /// A power of ten that divides a nanosecond's count: multiply.
    Decimal {
        /// Nanoseconds per tick.
        tick_ns: u64,
        /// Added to each stamp.
        offset_ns: i64,
    },
    /// Any other resolution: divide.
    Fraction {
        /// Ticks per second.
        per_sec: u128,
        /// Added to each stamp.
        offset_ns: i64,
    },
}

impl Ticks {
    /// From an interface's options: `if_tsresol` as it stands there (a power of ten, or of two with
    /// the upper bit set) and `if_tsoffset` in seconds. Resolutions finer than a 128-bit count of
    /// ticks a second stop every stamp at the offset.
    pub(super) fn new(resolution: u8, offset_secs: i64) -> Ticks {
        let offset_ns = offset_secs.saturating_mul(1_000_000_000);
        let exponent = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Ticks::Fraction { per_sec: 1u128.checked_shl(exponent).unwrap_or(u128::MAX), offset_ns };
        }
        match exponent {
            0..=9 => Ticks::Decimal { tick_ns: 10u64.pow(9 - exponent), offset_ns },
            _ => Ticks::Fraction { per_sec: 10u128.checked_pow(exponent).unwrap_or(u128::MAX), offset_ns },
        }
    }

    /// The moment of a stamp, saturating.
    #[inline]
    pub(super) fn moment(self, ticks: u64) -> Nanos {
        match self {
            Ticks::Decimal { tick_ns, offset_ns } => Nanos(ticks.saturating_mul(tick_ns)).offset(offset_ns),
            Ticks::Fraction { per_sec, offset_ns } => {
                // At most 2^64 × 10^9: no overflow in 128 bits.
                let nanos = u128::from(ticks) * NANOS_PER_SEC / per_sec;
                Nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).offset(offset_ns)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drafts_own_example_is_read_as_it_says() {
        // draft-ietf-opsawg-pcapng, 4.6: 0x0004c39764ca47aa µs is 2012-06-29 07:28:25.298858 UTC.
        let at = Ticks::new(6, 0).moment(0x0004_c397_64ca_47aa);
        assert_eq!(at, Nanos(1_340_954_905_298_858_000));
    }

    #[test]
    fn decimal_and_binary_resolutions_agree_on_whole_seconds() {
        for resolution in 0..=18 {
            assert_eq!(
                Ticks::new(resolution, 0).moment(10u64.pow(u32::from(resolution)) * 7),
                Nanos::from_secs(7)
            );
        }
        for exponent in 0..=60 {
            assert_eq!(Ticks::new(0x80 | exponent, 0).moment(7 << exponent), Nanos::from_secs(7));
        }
    }

    #[test]
    fn an_offset_moves_both_ways_and_saturates() {
        assert_eq!(Ticks::new(3, 100).moment(5), Nanos(100_005_000_000));
        assert_eq!(Ticks::new(3, -1).moment(2_500), Nanos(1_500_000_000));
        assert_eq!(Ticks::new(3, i64::MIN).moment(2_500), Nanos::ZERO);
        assert_eq!(Ticks::new(0, i64::MAX).moment(u64::MAX), Nanos::MAX);
        assert_eq!(Ticks::new(0x7f, 3).moment(u64::MAX), Nanos::from_secs(3));
        assert_eq!(Ticks::new(0xff, 3).moment(u64::MAX), Nanos::from_secs(3));
    }
}
