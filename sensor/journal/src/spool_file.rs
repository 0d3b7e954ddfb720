//! A file of the spool: a short header, then records of encoded pages, each of one call.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nightjar_wire::Nanos;
use rustix::fs::FallocateFlags;

use crate::disk::{PAGE, sync_parent};

/// Bytes of a spool file's header.
pub(crate) const FILE_HEADER_BYTES: u64 = 16;

/// Bytes of a record's header.
pub(crate) const PAGES_HEADER_BYTES: usize = 64;

/// Where in a record's header the word lies that says that its call is forgotten. It is changed in
/// place, so no checksum covers it.
pub(crate) const DEAD_AT: usize = 56;

/// What a spool file begins with; the format's number follows.
const FILE_MAGIC: [u8; 8] = *b"NJSPOOL\0";

/// The format that this version writes, and the only one that it reads.
const FORMAT: u32 = 2;

/// "NJPG" as it lies on disk.
const MAGIC: u32 = u32::from_le_bytes(*b"NJPG");

/// What stands before a call's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PagesHeader {
    /// CRC-32C over the header from the next field on, without `dead`, and the resume state.
    pub crc: u32,
    /// CRC-32C over the pages.
    pub pages_crc: u32,
    /// Bytes of the pages.
    pub pages: u32,
    /// Bytes of the resume state. A record holds pages or a state.
    pub state: u32,
    /// Whose pages these are.
    pub call: u128,
    /// Of a state: audio before this is in the pages before `at`.
    pub encoded_through: Nanos,
    /// Bytes of the call's pages before these; those that lie there from before a crash are void. Of a
    /// state: bytes of pages that it goes on behind.
    pub at: u64,
    /// The call is forgotten.
    pub dead: bool,
}

impl PagesHeader {
    /// As it lies on disk, with its checksum.
    pub fn bytes(&self, state: &[u8]) -> [u8; PAGES_HEADER_BYTES] {
        let mut bytes = [0; PAGES_HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.pages_crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.pages.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.state.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.call.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.encoded_through.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.at.to_le_bytes());
        bytes[DEAD_AT] = u8::from(self.dead);
        let crc = PagesHeader::checksum(&bytes, state);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The inverse of [`PagesHeader::bytes`]; `None` when the magic is wrong. The checksum is not
    /// looked at.
    pub fn from_bytes(bytes: &[u8; PAGES_HEADER_BYTES]) -> Option<PagesHeader> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        (word(0) == MAGIC).then(|| PagesHeader {
            crc: word(4),
            pages_crc: word(8),
            pages: word(12),
            state: word(16),
            call: u128::from(long(24)) | u128::from(long(32)) << 64,
            encoded_through: Nanos(long(40)),
            at: long(48),
            dead: long(DEAD_AT) != 0,
        })
    }

    /// What `crc` should be.
    pub fn checksum(bytes: &[u8; PAGES_HEADER_BYTES], state: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[8..DEAD_AT]), state)
    }

    /// Bytes from the record's beginning to its pages.
    pub fn pages_at(&self) -> u64 {
        PAGES_HEADER_BYTES as u64 + u64::from(self.state).next_multiple_of(8)
    }

    /// Bytes from the record's beginning to the next one's.
    pub fn stride(&self) -> u64 {
        self.pages_at() + u64::from(self.pages).next_multiple_of(8)
    }
}

/// A file, shared by the calls that have pages in it.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    /// Its path.
    path: PathBuf,
    /// The file.
    file: File,
    /// Calls with pages in it that are not forgotten, and one more while it is appended to.
    users: AtomicU32,
}

impl SpoolFile {
    /// A new file with its header; it has one user, who appends to it.
    pub fn create(directory: &Path, number: u32) -> io::Result<SpoolFile> {
        let path = spool_path(directory, number);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o640).open(&path)?;
        let mut header = [0; FILE_HEADER_BYTES as usize];
        header[..8].copy_from_slice(&FILE_MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        let written = file.write_all_at(&header, 0).and_then(|()| sync_parent(&path));
        if written.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        written.map(|()| SpoolFile { path, file, users: AtomicU32::new(1) })
    }

    /// A file of an earlier run; it has no user yet.
    pub fn open(path: PathBuf) -> io::Result<SpoolFile> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(SpoolFile { path, file, users: AtomicU32::new(0) })
    }

    /// Whether it begins as a spool file of this version does.
    pub fn has_header(&self) -> io::Result<bool> {
        let mut header = [0; FILE_HEADER_BYTES as usize];
        match self.file.read_exact_at(&mut header, 0) {
            Ok(()) => Ok(header[..8] == FILE_MAGIC && header[8..12] == FORMAT.to_le_bytes()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The file, to read, write and sync.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One more user.
    pub fn enter(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// One user less; the last one removes the file.
    pub fn leave(&self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.remove();
        }
    }

    /// Removes a file that nobody has used yet, or never will.
    pub fn remove_unused(&self) {
        if self.users.load(Ordering::Acquire) == 0 {
            self.remove();
        }
    }

    /// Its name goes now, its space with the last handle. What cannot be removed is found, and
    /// found to be dead, at the next start.
    fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Marks the record at `offset` as a forgotten call's, and gives the whole pages of the file
    /// that its bytes cover back to the file system, where that can be done. A mark that a crash
    /// loses brings the call back to be finished a second time, under the same id.
    pub fn mark_dead(&self, offset: u64, header: &PagesHeader) {
        if self.file.write_all_at(&[1], offset + DEAD_AT as u64).is_err() {
            return;
        }
        let page = PAGE as u64;
        let from = (offset + header.pages_at()).next_multiple_of(page);
        let to = (offset + header.stride()) / page * page;
        if from < to {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = rustix::fs::fallocate(&self.file, flags, from, to - from);
        }
    }
}

/// A spool file's path.
pub(crate) fn spool_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.pages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        let header = PagesHeader {
            crc: 0,
            pages_crc: 1,
            pages: 70_000,
            state: 13,
            call: u128::MAX - 5,
            encoded_through: Nanos(u64::MAX - 9),
            at: 1 << 40,
            dead: false,
        };
        let bytes = header.bytes(b"thirteen byte");
        let read = PagesHeader::from_bytes(&bytes).unwrap();
        assert_eq!(PagesHeader { crc: 0, ..read }, header);
        assert_eq!(read.crc, PagesHeader::checksum(&bytes, b"thirteen byte"));
        assert_ne!(read.crc, PagesHeader::checksum(&bytes, b"another state"));
        assert_eq!((header.pages_at(), header.stride()), (80, 70_080));
    }

    #[test]
    fn the_last_user_removes_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = SpoolFile::create(directory.path(), 3).unwrap();
        assert!(file.has_header().unwrap());
        file.enter();
        file.leave();
        assert!(file.path().exists());
        file.leave();
        assert!(!file.path().exists());
    }
}
