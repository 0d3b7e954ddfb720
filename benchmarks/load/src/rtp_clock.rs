//! A sender's RTP clock on the capture clock, fast or slow by its drift.

use nightjar_wire::Nanos;

/// The sender's RTP clock: ticks since its first sample, in capture time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RtpClock {
    pub epoch: Nanos,
    pub rate: u64,
    pub drift_ppm: i32,
    /// The next packet's first tick.
    pub tick: u64,
}

impl RtpClock {
    /// Ticks in a second of the capture clock, times a million.
    fn ticks_per_second_million(&self) -> u128 {
        u128::from(self.rate) * (1_000_000 + i128::from(self.drift_ppm)) as u128
    }

    /// When a tick is.
    pub fn time_of(&self, tick: u64) -> Nanos {
        if self.drift_ppm == 0 {
            return self.epoch + Nanos(tick * 1_000_000_000 / self.rate);
        }
        let nanos = u128::from(tick) * 1_000_000_000_000_000 / self.ticks_per_second_million();
        self.epoch + Nanos(nanos as u64)
    }

    /// The tick that is going on at a moment.
    pub fn tick_at(&self, at: Nanos) -> u64 {
        let nanos = u128::from((at - self.epoch).0);
        (nanos * self.ticks_per_second_million() / 1_000_000_000_000_000) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_ticks_more_often() {
        let clock = |drift_ppm| RtpClock { epoch: Nanos::from_secs(100), rate: 8000, drift_ppm, tick: 0 };
        let hour = Nanos::from_secs(3700);
        assert_eq!(clock(0).tick_at(hour), 28_800_000);
        assert_eq!(clock(100).tick_at(hour), 28_802_880);
        assert_eq!(clock(-100).tick_at(hour), 28_797_120);
        assert_eq!(clock(100).time_of(28_802_880), hour);
        assert_eq!(clock(0).time_of(28_800_000), hour);
    }
}
