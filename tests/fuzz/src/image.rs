//! Files of journal and spool as bytes: built from records, and with the checksums of mutated ones put right, so
//! that what lies behind a checksum is reached. The layout is written down here a second time: when it changes,
//! the seeds are no longer read, and their test says so.

use std::path::PathBuf;
use std::sync::LazyLock;

use nightjar_journal::RecordKind;
use nightjar_wire::Nanos;

/// Bytes of a segment's first page.
pub(crate) const PAGE: usize = 4096;

/// Of that page so many are given in an input; the others are 0.
pub(crate) const PAGE_PART: usize = 64;

/// Where a target writes its files: a folder of this process, on a tmpfs when the caller says where.
pub(crate) static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let parent = std::env::var_os("NIGHTJAR_FUZZ_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    parent.join(format!("nightjar-fuzz-{}", std::process::id()))
});

/// An empty folder of that name.
pub(crate) fn empty_folder(name: &str) -> PathBuf {
    let path = FOLDER.join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a folder for the target's files");
    path
}

/// One record of a journal.
#[derive(Clone, Debug)]
pub(crate) struct RecordBytes {
    pub(crate) kind: RecordKind,
    pub(crate) stream: u32,
    pub(crate) arrival: Nanos,
    pub(crate) bytes: Vec<u8>,
}

/// A segment's first page.
pub(crate) fn segment_page(number: u32, run: u32) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    page[..8].copy_from_slice(b"NJSEGMNT");
    page[12] = 1;
    page[16..20].copy_from_slice(&number.to_le_bytes());
    page[20..24].copy_from_slice(&run.to_le_bytes());
    page[44] = 4;
    page[48..52].copy_from_slice(b"fuzz");
    seal_page(&mut page);
    page
}

fn seal_page(page: &mut [u8]) {
    let crc = crc32c::crc32c(&page[12..PAGE]);
    page[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// One block of a lane.
pub(crate) fn block(worker: u16, sequence: u64, records: &[RecordBytes]) -> Vec<u8> {
    let mut payload = Vec::new();
    for record in records {
        let first = record.bytes.len() as u64 | (record.kind as u64) << 16 | u64::from(record.stream) << 32;
        payload.extend_from_slice(&first.to_le_bytes());
        payload.extend_from_slice(&record.arrival.0.to_le_bytes());
        payload.extend_from_slice(&record.bytes);
        payload.resize(payload.len().next_multiple_of(8), 0);
    }
    let arrivals = || records.iter().map(|record| record.arrival.0);
    let packets = records.iter().filter(|record| record.kind.is_packet()).count() as u64;
    let words = [
        u64::from(u32::from_le_bytes(*b"NJBL")),
        payload.len() as u64 | (payload.len() as u64 + 64) << 32,
        u64::from(worker) << 16 | packets << 32,
        sequence,
        arrivals().min().unwrap_or(0),
        arrivals().max().unwrap_or(0),
        0,
        0,
    ];
    let mut block: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    block.extend_from_slice(&payload);
    seal_block(&mut block);
    block
}

/// Blocks of as many records as fit, numbered from 0.
pub(crate) fn blocks(worker: u16, records: &[RecordBytes]) -> Vec<u8> {
    let mut image = Vec::new();
    let (mut sequence, mut from, mut len) = (0, 0, 0);
    for (index, record) in records.iter().enumerate() {
        let own = 16 + record.bytes.len().next_multiple_of(8);
        if len + own > 60_000 {
            image.extend(block(worker, sequence, &records[from..index]));
            (sequence, from, len) = (sequence + 1, index, 0);
        }
        len += own;
    }
    image.extend(block(worker, sequence, &records[from..]));
    image
}

/// Puts a block's checksum right; returns its stride, `None` for bytes that are no block.
fn seal_block(block: &mut [u8]) -> Option<usize> {
    let header = block.get(..64)?;
    if header[..4] != *b"NJBL" {
        return None;
    }
    let word =
        |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize;
    let (payload, stride) = (word(8), word(12));
    let crc = crc32c::crc32c(block.get(64..64 + payload)?);
    let crc = crc32c::crc32c_append(crc, &block[8..64]);
    block[4..8].copy_from_slice(&crc.to_le_bytes());
    Some(stride)
}

/// Puts every checksum of a segment right, and its number.
pub(crate) fn repair_segment(image: &mut [u8], number: u32) {
    if image.len() < PAGE {
        return;
    }
    image[16..20].copy_from_slice(&number.to_le_bytes());
    seal_page(image);
    let mut at = PAGE;
    while let Some(stride) = image.get_mut(at..).and_then(seal_block).filter(|stride| *stride >= 64) {
        at = at.saturating_add(stride);
    }
}

/// One record of the spool, behind the first `at` bytes of the call's pages.
pub(crate) fn spool_record(call: u128, at: u64, state: &[u8], pages: &[u8]) -> Vec<u8> {
    let mut record = vec![0; 64];
    record[..4].copy_from_slice(b"NJPG");
    record[12..16].copy_from_slice(&(pages.len() as u32).to_le_bytes());
    record[16..20].copy_from_slice(&(state.len() as u32).to_le_bytes());
    record[24..40].copy_from_slice(&call.to_le_bytes());
    record[48..56].copy_from_slice(&at.to_le_bytes());
    record.extend_from_slice(state);
    record.resize(record.len().next_multiple_of(8), 0);
    record.extend_from_slice(pages);
    record.resize(record.len().next_multiple_of(8), 0);
    seal_spool_record(&mut record);
    record
}

/// What a spool file begins with.
pub(crate) const SPOOL_HEADER: [u8; 16] = *b"NJSPOOL\0\x02\0\0\0\0\0\0\0";

fn seal_spool_record(record: &mut [u8]) -> Option<usize> {
    let header = record.get(..64)?;
    if header[..4] != *b"NJPG" {
        return None;
    }
    let pages = u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize;
    let state = u32::from_le_bytes([header[16], header[17], header[18], header[19]]) as usize;
    let pages_at = 64 + state.next_multiple_of(8);
    let pages_crc = crc32c::crc32c(record.get(pages_at..pages_at + pages)?);
    record[8..12].copy_from_slice(&pages_crc.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&record[8..56]), &record[64..64 + state]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    Some(pages_at + pages.next_multiple_of(8))
}

/// Puts every checksum of a spool file right.
pub(crate) fn repair_spool(image: &mut [u8]) {
    let mut at = SPOOL_HEADER.len();
    while let Some(stride) = image.get_mut(at..).and_then(seal_spool_record) {
        at += stride;
    }
}
