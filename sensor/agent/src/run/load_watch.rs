//! How loaded the capture core is, sampled between batches for admission.

use nightjar_capture::PacketSource;
use nightjar_journal::{BlockPool, Journal};
use nightjar_pipeline::{CaptureCore, CoreOutput, Dropped, Fill, Pressure};
use nightjar_wire::Nanos;

/// Capture time between two samples.
const INTERVAL: Nanos = Nanos::from_millis(10);

/// Takes the samples.
pub(super) struct LoadWatch {
    pool: BlockPool,
    journal: Journal,
    next: Nanos,
}

impl LoadWatch {
    /// Of these blocks and their way to the disk.
    pub(super) fn new(pool: &BlockPool, journal: &Journal) -> LoadWatch {
        LoadWatch { pool: pool.clone(), journal: journal.clone(), next: Nanos::ZERO }
    }

    /// Gives the core a sample when it is time to; after each batch.
    pub(super) fn sample_when_due<S: PacketSource, O: CoreOutput>(
        &mut self,
        source: &mut S,
        core: &mut CaptureCore<O>,
    ) {
        let now = core.clock();
        // A clock that was set back by hours must not end the sampling.
        if now < self.next && self.next - now <= INTERVAL {
            return;
        }
        self.next = now + INTERVAL;
        let (rings, blocks) = (source.ring_load(), self.pool.limit() as u64);
        core.handle_pressure(&Pressure {
            lost_frames: rings.lost,
            unkept_packets: core.ledger().dropped(Dropped::JournalFull),
            ring: Fill(rings.fullest),
            blocks: Fill::of(blocks - self.pool.free() as u64, blocks),
            disk: Fill::of(self.journal.figures().uncommitted, blocks),
        });
    }
}
