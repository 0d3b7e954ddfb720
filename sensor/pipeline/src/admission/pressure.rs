//! A sample of the load, and which of its gauges have been near their end for a while.

use nightjar_wire::Nanos;

use super::Spent;

/// How much of something is used, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fill(pub u16);

impl Fill {
    /// `used` of `size`; nothing of nothing is nothing.
    pub fn of(used: u64, size: u64) -> Fill {
        Fill((used.min(size) * 1_000).checked_div(size).unwrap_or(0) as u16)
    }
}

/// The load at one moment. Counters count from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Frames that the source's rings had no room for.
    pub lost_frames: u64,
    /// Packets of admitted calls that found no free block.
    pub unkept_packets: u64,
    /// The fullest of the source's rings.
    pub ring: Fill,
    /// The journal's blocks in memory.
    pub blocks: Fill,
    /// Of these blocks, those that wait for the disk.
    pub disk: Fill,
}

/// From here on newcomers are refused.
const NEARLY_FULL: Fill = Fill(750);
/// They are admitted again when it is no fuller than this.
const HALF: Fill = Fill(500);
/// So long it must have been nearly full: a burst fills a ring for some milliseconds and costs nothing.
const SUSTAINED: Nanos = Nanos::from_millis(50);

/// One fill over time.
#[derive(Debug, Default)]
struct Gauge {
    /// Nearly full since then.
    since: Option<Nanos>,
    spent: bool,
}

impl Gauge {
    fn handle_sample(&mut self, at: Nanos, fill: Fill) {
        if fill < NEARLY_FULL {
            self.since = None;
        } else if at - *self.since.get_or_insert(at) >= SUSTAINED {
            self.spent = true;
        }
        if fill <= HALF {
            self.spent = false;
        }
    }
}

/// All fills.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    ring: Gauge,
    blocks: Gauge,
    disk: Gauge,
}

impl Gauges {
    pub(super) fn handle_sample(&mut self, at: Nanos, pressure: &Pressure) {
        self.ring.handle_sample(at, pressure.ring);
        self.blocks.handle_sample(at, pressure.blocks);
        self.disk.handle_sample(at, pressure.disk);
    }

    /// What is spent. A slow disk is the reason for blocks that are used up, so it is named first.
    pub(super) fn spent(&self) -> Option<Spent> {
        let gauges = [(&self.disk, Spent::Disk), (&self.blocks, Spent::Blocks), (&self.ring, Spent::Ring)];
        gauges.into_iter().find(|(gauge, _)| gauge.spent).map(|(_, spent)| spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_is_in_thousandths() {
        assert_eq!([Fill::of(0, 0), Fill::of(3, 4), Fill::of(9, 4)], [Fill(0), Fill(750), Fill(1_000)]);
        assert_eq!(Fill::of(u64::MAX / 1_000, u64::MAX / 1_000), Fill(1_000));
    }

    #[test]
    fn a_burst_is_let_pass_and_what_was_spent_has_to_fall_to_half() {
        let mut gauges = Gauges::default();
        let mut spent_at = |ms: u64, ring: u16| {
            let pressure = Pressure { ring: Fill(ring), ..Pressure::default() };
            gauges.handle_sample(Nanos::from_millis(ms), &pressure);
            gauges.spent().is_some()
        };
        let fills = [(0, 900), (40, 1_000), (45, 700), (50, 1_000), (90, 900), (99, 760)];
        assert!(fills.into_iter().all(|(ms, fill)| !spent_at(ms, fill)));
        assert!(spent_at(100, 760) && spent_at(110, 510));
        assert!(!spent_at(120, 500) && !spent_at(130, 1_000));
    }
}
