//! What the network does to one direction of a call's media: loss, repetition, reordering, jitter.

use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// Impairments of one direction. All zero: a perfect network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impairment {
    /// Packets lost before the tap, in percent. A stream's first packet is never lost.
    pub loss_percent: f64,
    /// Mean length of a burst of losses in packets; below 1 counts as 1.
    pub loss_burst: f64,
    /// Packets that the sender repeats, in percent.
    pub duplicate_percent: f64,
    /// Packets that arrive after their successor, in percent.
    pub reorder_percent: f64,
    /// Largest delay beyond the fastest packet's in ms; in-order packets stay in order.
    pub jitter_ms: u32,
    /// Fixed delay of every packet in ms.
    pub delay_ms: u32,
}

/// What becomes of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    /// Sent so much after its time.
    Sent(Nanos),
    /// Sent, and once more so much later.
    Repeated(Nanos, Nanos),
    /// Held back until its successor has passed.
    Overtaken(Nanos),
}

/// The impairments' state along one stream.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    impairment: Impairment,
    random: Random,
    in_burst: bool,
}

impl Network {
    pub fn new(impairment: Impairment, random: Random) -> Network {
        Network { impairment, random, in_burst: false }
    }

    /// Decides about the next packet; `spacing` is the time to its successor.
    pub fn decide(&mut self, spacing: Nanos) -> Fate {
        let plan = self.impairment;
        if plan == Impairment::default() {
            return Fate::Sent(Nanos::ZERO);
        }
        if self.loses() {
            return Fate::Lost;
        }
        let jitter = self.random.below(u64::from(plan.jitter_ms) * 1_000_000 + 1);
        let delay = Nanos::from_millis(u64::from(plan.delay_ms)) + Nanos(jitter);
        let drawn = self.random.unit() * 100.0;
        if drawn < plan.duplicate_percent {
            Fate::Repeated(delay, Nanos::from_micros(self.random.between(50, 3000)))
        } else if drawn < plan.duplicate_percent + plan.reorder_percent {
            Fate::Overtaken(delay + Nanos(spacing.0 + spacing.0 / 4))
        } else {
            Fate::Sent(delay)
        }
    }

    /// Gilbert's two-state loss: mean burst length and overall rate are as planned.
    fn loses(&mut self) -> bool {
        let rate = self.impairment.loss_percent / 100.0;
        if rate <= 0.0 {
            return false;
        }
        let leave = 1.0 / self.impairment.loss_burst.max(1.0);
        let enter = leave * rate / (1.0 - rate).max(1e-9);
        let drawn = self.random.unit();
        self.in_burst = if self.in_burst { drawn >= leave } else { drawn < enter };
        self.in_burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(impairment: Impairment) -> Vec<Fate> {
        let mut network = Network::new(impairment, Random::new(11));
        (0..20_000).map(|_| network.decide(Nanos::from_millis(20))).collect()
    }

    #[test]
    fn rates_are_as_planned() {
        let all = fates(Impairment {
            loss_percent: 5.0,
            loss_burst: 3.0,
            duplicate_percent: 2.0,
            reorder_percent: 1.0,
            ..Impairment::default()
        });
        let percent = |test: fn(&Fate) -> bool| all.iter().filter(|f| test(f)).count() as f64 / 200.0;
        assert!((percent(|f| *f == Fate::Lost) - 5.0).abs() < 1.0);
        assert!((percent(|f| matches!(f, Fate::Repeated(..))) - 2.0).abs() < 0.4);
        assert!((percent(|f| matches!(f, Fate::Overtaken(_))) - 1.0).abs() < 0.3);
    }

    #[test]
    fn bursts_have_their_length() {
        let all = fates(Impairment { loss_percent: 4.0, loss_burst: 4.0, ..Impairment::default() });
        let lost = all.iter().filter(|f| **f == Fate::Lost).count();
        let bursts = all.windows(2).filter(|w| w[0] != Fate::Lost && w[1] == Fate::Lost).count();
        let mean = lost as f64 / bursts as f64;
        assert!((3.0..5.0).contains(&mean), "{mean}");
    }

    #[test]
    fn a_perfect_network_delays_nothing() {
        assert!(fates(Impairment::default()).iter().all(|f| *f == Fate::Sent(Nanos::ZERO)));
    }
}
