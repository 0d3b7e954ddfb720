//! The journal and the spool on real files.

mod allocations;
mod corruption;
mod crash;
mod live;
mod overhead;
mod spool;

use std::path::Path;

use nightjar_journal::{BlockReader, Next, recover};

/// What a reader yields until it has nothing now: `(stream, arrival, bytes)`.
fn drain(reader: &mut BlockReader) -> Vec<(u32, u64, Vec<u8>)> {
    let mut records = Vec::new();
    while let Next::Record(_, record) = reader.next() {
        records.push((record.header.stream, record.header.arrival.0, record.bytes.to_vec()));
    }
    records
}

/// The arrivals of every recovered record.
fn recovered_arrivals(directory: &Path) -> Vec<u64> {
    let mut recovery = recover(directory).unwrap();
    let mut arrivals = Vec::new();
    while let Some(block) = recovery.next_block() {
        arrivals.extend(block.records().map(|record| record.header.arrival.0));
    }
    arrivals
}
