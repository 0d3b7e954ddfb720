//! The way of a snapshot from the capture core to whoever asks: one place, in which a newer snapshot
//! takes an older one's room. No lock, and nobody waits.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use nightjar_capture::{PacketSource, SourceStatistics, XdpCounts};
use nightjar_pipeline::{AdmissionCounts, CaptureCore, CoreOutput, Ledger};

use super::measured::{Distribution, Measured};
use crate::cpu;

/// Snapshots are made this far apart.
const INTERVAL: Duration = Duration::from_millis(250);

/// What the capture core knows at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Level 4 of the ledger.
    pub(super) ledger: Ledger,
    /// Calls that were admitted, refused and cut.
    pub(super) admission: AdmissionCounts,
    /// The source's own counts.
    pub(super) source: SourceStatistics,
    /// Levels 2 and 3.
    pub(super) xdp: Vec<XdpCounts>,
    /// Calls in the directory.
    pub(super) calls_open: u64,
    /// Calls that it has closed.
    pub(super) calls_closed: u64,
    /// CPU time of its thread, seconds.
    pub(super) cpu_seconds: f64,
    /// See [`Measured::latency_us`].
    pub(super) latency_us: Distribution,
    /// See [`Measured::batch_frames`].
    pub(super) batch_frames: Distribution,
}

/// The capture core's end.
pub(crate) struct Publisher {
    sender: Sender<Box<Snapshot>>,
    /// The other end of the same place, to make room.
    receiver: Receiver<Box<Snapshot>>,
    next: Instant,
}

/// The reader's end.
pub(crate) struct Handover {
    receiver: Receiver<Box<Snapshot>>,
    latest: Option<Box<Snapshot>>,
}

/// Both ends.
pub(crate) fn handover() -> (Publisher, Handover) {
    let (sender, receiver) = bounded(1);
    let publisher = Publisher { sender, receiver: receiver.clone(), next: Instant::now() };
    (publisher, Handover { receiver, latest: None })
}

impl Publisher {
    /// Publishes when it is time to; between two batches.
    pub(crate) fn publish_when_due<S: PacketSource, O: CoreOutput>(
        &mut self,
        source: &mut Measured<S>,
        core: &CaptureCore<O>,
    ) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + INTERVAL;
            self.publish(source, core);
        }
    }

    /// Publishes now.
    pub(crate) fn publish<S: PacketSource, O: CoreOutput>(
        &self,
        source: &mut Measured<S>,
        core: &CaptureCore<O>,
    ) {
        self.put(Box::new(Snapshot {
            ledger: core.ledger().clone(),
            admission: core.admission_counts(),
            source: source.statistics(),
            xdp: source.xdp_counts(),
            calls_open: core.directory().open_call_count() as u64,
            calls_closed: core.closed_calls(),
            cpu_seconds: cpu::thread_seconds(),
            latency_us: source.latency_us().clone(),
            batch_frames: source.batch_frames().clone(),
        }));
    }

    fn put(&self, snapshot: Box<Snapshot>) {
        if let Err(TrySendError::Full(snapshot)) = self.sender.try_send(snapshot) {
            // Nobody has fetched the last one. This is the only sender, so the place is free then.
            let _ = self.receiver.try_recv();
            let _ = self.sender.try_send(snapshot);
        }
    }
}

impl Handover {
    /// The newest snapshot; none before the first.
    pub(super) fn latest(&mut self) -> Option<&Snapshot> {
        if let Ok(newer) = self.receiver.try_recv() {
            self.latest = Some(newer);
        }
        self.latest.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightjar_capture::fakes::MemorySource;

    fn snapshot(calls_open: u64) -> Box<Snapshot> {
        let source = Measured::untimed(MemorySource::plays([]));
        Box::new(Snapshot {
            ledger: Ledger::default(),
            admission: AdmissionCounts::default(),
            source: SourceStatistics::default(),
            xdp: Vec::new(),
            calls_open,
            calls_closed: 0,
            cpu_seconds: 0.0,
            latency_us: source.latency_us().clone(),
            batch_frames: source.batch_frames().clone(),
        })
    }

    #[test]
    fn the_reader_sees_the_newest_snapshot_and_keeps_it() {
        let (publisher, mut reader) = handover();
        assert!(reader.latest().is_none());
        for calls_open in 1..=3 {
            publisher.put(snapshot(calls_open));
        }
        for _ in 0..2 {
            assert_eq!(reader.latest().map(|snapshot| snapshot.calls_open), Some(3));
        }
        publisher.put(snapshot(4));
        assert_eq!(reader.latest().map(|snapshot| snapshot.calls_open), Some(4));
    }
}
