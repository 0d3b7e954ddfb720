//! What the start finds of an earlier run: its journal is read again before capturing begins.

use std::collections::BTreeMap;
use std::path::Path;

use nightjar_flow::{FlowTable, Limits};
use nightjar_journal::SpooledCall;
use nightjar_pipeline::{OpenCalls, Recovered, Rows, recover};
use uuid::Uuid;

use super::desk::SharedDesk;
use crate::workers::Setup;

/// Everything that goes on from an earlier run.
pub(super) struct Restart {
    /// Streams of the calls in progress, with their figures.
    pub(super) flows: FlowTable,
    /// The calls, as the workers mix them.
    pub(super) open: OpenCalls,
    /// The calls, as signalling knows them.
    pub(super) found: Recovered,
    /// Packets of the calls in progress.
    pub(super) packets: u64,
}

/// Goes on with what is in the spool, and reads the journal in `directory` again: ended calls are
/// finished, calls in progress kept.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn restart(
    directory: &Path,
    spooled: BTreeMap<Uuid, SpooledCall>,
    setup: &Setup<'_>,
    limits: Limits,
    desk: &SharedDesk,
) -> Result<Restart, String> {
    let mut journal = nightjar_journal::recover(directory).map_err(|error| error.to_string())?;
    let mut flows = FlowTable::new(limits);
    let mut worker = setup.worker();
    worker.resume(spooled, |call| desk.lock().is_done(call));
    let found = recover(&mut journal, &mut flows, &mut worker, |call| desk.lock().is_done(call));
    for dropped in journal.dropped() {
        tracing::warn!(
            "journal: segment {} is unusable from byte {} on ({} bytes): {:?}",
            dropped.from.segment,
            dropped.from.offset,
            dropped.bytes,
            dropped.reason
        );
    }
    if found.packets > 0 {
        tracing::info!(
            "recovered {} packets of an earlier run: {} calls finished, {} go on",
            found.packets,
            worker.finished_calls(),
            found.snapshots.len()
        );
    }
    let mut rows = desk.clone();
    for done in worker.take_finished() {
        rows.finish(done);
    }
    rows.commit();
    worker.settle(|call| rows.is_durable(call));
    let packets = found.packets.saturating_sub(worker.ledger().total());
    Ok(Restart { flows, open: worker.take_calls(), found, packets })
}
