//! A source whose batches are measured: how many frames, and how old the oldest was when the core had
//! handled them all. Once per batch, into memory of the core's own.

use hdrhistogram::Histogram;
use nightjar_capture::{
    CaptureClock, PacketSource, RawFrame, Received, RingLoad, RingLoss, SourceError, SourceStatistics,
    Stopped, XdpCounts,
};
use nightjar_wire::{Endpoint, Nanos};

/// The longest latency that is told from longer ones: a minute, in µs.
const LONGEST_US: u64 = 60_000_000;
/// The largest batch that is told from larger ones.
const LARGEST: u64 = 1 << 20;
/// Values are kept to two digits.
const DIGITS: u8 = 2;

/// Recorded values, with their exact sum.
#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    values: Histogram<u64>,
    sum: u64,
}

impl Distribution {
    /// Without values; those beyond `most` count as `most`.
    fn new(most: u64) -> Distribution {
        let values = Histogram::new_with_max(most, DIGITS).expect("a maximum above 1 and digits below 6");
        Distribution { values, sum: 0 }
    }

    /// Adds one value. Allocates nothing.
    fn record(&mut self, value: u64) {
        self.values.saturating_record(value);
        self.sum += value;
    }

    /// How many values.
    pub(super) fn count(&self) -> u64 {
        self.values.len()
    }

    /// Their sum.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// How many values are at most each of `bounds`, which grow.
    pub(super) fn upto(&self, bounds: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for step in self.values.iter_recorded() {
            // The least value of a step: a bound is in the step that it begins.
            let value = self.values.lowest_equivalent(step.value_iterated_to());
            let first = bounds.partition_point(|bound| *bound < value);
            counts.iter_mut().skip(first).for_each(|count| *count += step.count_since_last_iteration());
        }
        counts
    }
}

/// A source with the figures of its batches.
pub(crate) struct Measured<S> {
    source: S,
    /// The clock of its stamps; none for files, whose stamps are of another day.
    clock: Option<CaptureClock>,
    latency_us: Distribution,
    batch_frames: Distribution,
}

impl<S: PacketSource> Measured<S> {
    /// Of a live source, whose stamps are of `clock`.
    pub(crate) fn live(source: S, clock: CaptureClock) -> Measured<S> {
        Measured { clock: Some(clock), ..Measured::untimed(source) }
    }

    /// Of files.
    pub(crate) fn untimed(source: S) -> Measured<S> {
        let (latency_us, batch_frames) = (Distribution::new(LONGEST_US), Distribution::new(LARGEST));
        Measured { source, clock: None, latency_us, batch_frames }
    }

    /// µs from the stamp of a batch's oldest frame until the batch was handled.
    pub(crate) fn latency_us(&self) -> &Distribution {
        &self.latency_us
    }

    /// Frames per batch.
    pub(crate) fn batch_frames(&self) -> &Distribution {
        &self.batch_frames
    }
}

impl<S: PacketSource> PacketSource for Measured<S> {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        self.receive_runs(&mut |frames| frames.iter().for_each(|frame| sink(*frame)))
    }

    fn receive_runs(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Result<Received, SourceError> {
        let (mut oldest, mut count) = (Nanos::MAX, 0);
        let received = self.source.receive_runs(&mut |frames| {
            oldest = frames.iter().map(|frame| frame.at).fold(oldest, Nanos::min);
            count += frames.len() as u64;
            sink(frames);
        });
        if count > 0 {
            self.batch_frames.record(count);
            if let Some(clock) = &self.clock {
                self.latency_us.record((clock.now() - oldest).0 / 1_000);
            }
        }
        received
    }

    fn stop(&mut self) -> Result<Stopped, SourceError> {
        self.source.stop()
    }

    fn interfaces(&self) -> &[String] {
        self.source.interfaces()
    }

    fn statistics(&mut self) -> SourceStatistics {
        self.source.statistics()
    }

    fn lateness_limit(&self) -> Nanos {
        self.source.lateness_limit()
    }

    fn learn(&mut self, endpoint: Endpoint) {
        self.source.learn(endpoint);
    }

    fn shed(&mut self, endpoint: Endpoint) {
        self.source.shed(endpoint);
    }

    fn forget(&mut self, endpoint: Endpoint) {
        self.source.forget(endpoint);
    }

    fn ring_load(&mut self) -> RingLoad {
        self.source.ring_load()
    }

    fn take_ring_loss(&mut self) -> Option<RingLoss> {
        self.source.take_ring_loss()
    }

    fn xdp_counts(&self) -> Vec<XdpCounts> {
        self.source.xdp_counts()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.source.progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_each_bound() {
        let mut values = Distribution::new(LARGEST);
        for value in [1, 1, 2, 500, 501, 70_000, LARGEST * 2] {
            values.record(value);
        }
        assert_eq!(values.upto(&[1, 2, 500, 1_000, LARGEST]), [2, 3, 5, 5, 7]);
        assert_eq!((values.count(), values.sum()), (7, 71_005 + 2 * LARGEST));
    }
}
