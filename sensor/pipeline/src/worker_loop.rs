//! The media worker's loop: records from its lane until the capture core closes it.

use std::time::{Duration, Instant};

use nightjar_journal::{BlockReader, Next};
use uuid::Uuid;

use crate::media_worker::{Finished, MediaWorker};
use crate::recording::RecordingTarget;

/// First and longest sleep of a worker whose lane is empty.
const NAPS: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(5));
/// How often what is spooled is committed and dead blocks are let go.
const COMMIT_INTERVAL: Duration = Duration::from_millis(250);
/// Records after which a worker that never catches up looks whether that is due.
const RECORDS_A_LOOK: u32 = 256;

/// Where rows are written down.
pub trait Rows {
    /// A call is done.
    fn finish(&mut self, done: Finished);
    /// Whether everything that was said of a call is written down for good.
    fn is_durable(&mut self, call: Uuid) -> bool;
    /// Makes what was said durable now, as far as the disk lets it.
    fn commit(&mut self);
}

/// Runs until the lane is closed and read to its end. `rows` gets each call when it is done.
pub fn worker_loop<T: RecordingTarget>(
    reader: &mut BlockReader,
    worker: &mut MediaWorker<T>,
    rows: &mut impl Rows,
) {
    let mut nap = NAPS.0;
    let mut committed_at = Instant::now();
    let mut records = 0;
    loop {
        match reader.next() {
            Next::Record(block, record) => {
                nap = NAPS.0;
                worker.handle_record(Some(block.sequence), &record);
                records += 1;
                if !worker.has_finished() && records < RECORDS_A_LOOK {
                    continue;
                }
                records = 0;
                worker.take_finished().into_iter().for_each(|done| rows.finish(done));
            }
            Next::Lost(packets) => worker.handle_lost(packets),
            Next::Idle(_) => {
                std::thread::sleep(nap);
                nap = (nap * 2).min(NAPS.1);
            }
            Next::Closed => break,
        }
        if committed_at.elapsed() >= COMMIT_INTERVAL {
            committed_at = Instant::now();
            settle(worker, rows);
            worker.commit(reader.durable());
            // What lies before is saved, or written down.
            reader.keep_from(worker.oldest_block().unwrap_or_else(|| reader.position().sequence));
        }
    }
    worker.take_finished().into_iter().for_each(|done| rows.finish(done));
    rows.commit();
    settle(worker, rows);
    // Rows of recordings that were stored only now.
    rows.commit();
    settle(worker, rows);
    worker.commit(reader.durable());
}

fn settle<T: RecordingTarget>(worker: &mut MediaWorker<T>, rows: &mut impl Rows) {
    worker.settle(|call| rows.is_durable(call));
    worker.take_finished().into_iter().for_each(|done| rows.finish(done));
}
