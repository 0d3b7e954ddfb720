//! The spool: encoded pages of calls in progress, appended to a few files and not to one per call.
//! When a call ends its pages are put together in order; then they are forgotten.
//!
//! Each media worker has a [`Spool`] of its own, so nothing here is locked. Appends gather in
//! memory until [`Spool::commit`]; only then may the worker declare the raw records behind a state
//! that it has saved dead, so a crash loses no audio, only the work of encoding it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nightjar_wire::Nanos;
use thiserror::Error;

use crate::journal::JournalError;
use crate::spool_file::{DEAD_AT, FILE_HEADER_BYTES, PagesHeader, SpoolFile};
use crate::spool_recovery::{SpoolRecovery, recover_spool};
use crate::spooled_call::{Extent, SpooledCall};

/// Uncommitted bytes that a spool holds: an append that would exceed them commits first.
pub const SPOOL_BUFFER_LIMIT: usize = 8 << 20;

/// The most that one append may hold.
pub const SPOOL_APPEND_LIMIT: usize = 4 << 20;

/// A file of this size takes no more.
const FILE_BYTES: u64 = 64 << 20;

/// Why the spool did not do what it was asked.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// A file or the directory refused something; a full disk says so here. Nothing was lost: the
    /// append was not taken, or what was taken is still to be committed.
    #[error("spool {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The one who receives the assembled bytes refused them.
    #[error("writing a call's assembled pages: {0}")]
    Output(io::Error),
    /// Pages or a state of more than [`SPOOL_APPEND_LIMIT`] bytes.
    #[error("an append of {0} bytes is more than the spool takes at once")]
    TooLong(usize),
    /// A call's pages have changed on the disk since they were written.
    #[error("spool {path}: pages at byte {offset} are damaged")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
}

/// The spool's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolFigures {
    /// Appends taken.
    pub appends: u64,
    /// Bytes written, those of rewrites too.
    pub bytes: u64,
    /// `fdatasync` calls, failed ones included.
    pub fdatasyncs: u64,
    /// Failed ones; each abandons its file.
    pub sync_errors: u64,
}

/// The directory that all spools of a sensor share.
#[derive(Clone, Debug)]
pub struct SpoolDirectory {
    /// Where the files lie.
    path: Arc<Path>,
    /// The next file's number.
    next: Arc<AtomicU32>,
    /// Makes a file durable.
    sync: fn(&File) -> io::Result<()>,
}

impl SpoolDirectory {
    /// Opens a directory, made when it is missing, and reads what an earlier run left in it.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(path: &Path) -> Result<(SpoolDirectory, SpoolRecovery), JournalError> {
        let refused = |source| JournalError::Directory { path: path.to_path_buf(), source };
        std::fs::create_dir_all(path).map_err(refused)?;
        let (recovery, next) = recover_spool(path).map_err(refused)?;
        Ok((
            SpoolDirectory {
                path: Arc::from(path),
                next: Arc::new(AtomicU32::new(next)),
                sync: File::sync_data,
            },
            recovery,
        ))
    }

    /// For a replay, which can be done again: commits write, and wait for no disk.
    #[must_use]
    pub fn without_sync(self) -> SpoolDirectory {
        SpoolDirectory { sync: |_| Ok(()), ..self }
    }

    /// A worker's spool. Its first file is made with its first commit.
    pub fn spool(&self) -> Spool {
        Spool {
            directory: self.clone(),
            calls: BTreeMap::new(),
            current: None,
            buffer: Vec::new(),
            base: FILE_HEADER_BYTES,
            abandoned: false,
            figures: SpoolFigures::default(),
            sync: self.sync,
        }
    }

    /// The next file.
    fn create(&self) -> Result<Arc<SpoolFile>, SpoolError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let file = SpoolFile::create(&self.path, number);
        file.map(Arc::new).map_err(|source| SpoolError::File { path: self.path.to_path_buf(), source })
    }
}

/// One worker's spool.
pub struct Spool {
    /// Where new files come from.
    directory: SpoolDirectory,
    /// The calls that have pages here.
    calls: BTreeMap<u128, SpooledCall>,
    /// The file that takes appends.
    current: Option<Arc<SpoolFile>>,
    /// What is not committed: the end of the current file.
    buffer: Vec<u8>,
    /// Where in the current file the buffer begins.
    base: u64,
    /// The current file has failed and is not written again.
    abandoned: bool,
    /// The counters.
    figures: SpoolFigures,
    /// Makes a file durable; a test's fails.
    pub(crate) sync: fn(&File) -> io::Result<()>,
}

impl Spool {
    /// Goes on with a call that [`SpoolDirectory::open`] has found or another spool has given away.
    pub fn adopt(&mut self, call: u128, spooled: SpooledCall) {
        self.calls.insert(call, spooled);
    }

    /// Commits, and gives all calls away, for other spools of the same directory to adopt.
    ///
    /// # Errors
    /// When the commit fails; the calls are still here then.
    pub fn give_away(&mut self) -> Result<BTreeMap<u128, SpooledCall>, SpoolError> {
        self.commit()?;
        Ok(std::mem::take(&mut self.calls))
    }

    /// Appends encoded pages of a call. After a crash they count only if a state was saved behind
    /// them.
    ///
    /// # Errors
    /// [`SpoolError::TooLong`], or [`SpoolError::File`] when the buffer is full and cannot be
    /// committed. The append was not taken then.
    pub fn append(&mut self, call: u128, pages: &[u8]) -> Result<(), SpoolError> {
        let at = self.calls.get(&call).map_or(0, |spooled| spooled.bytes);
        if pages.is_empty() { Ok(()) } else { self.push(call, at, Nanos::ZERO, &[], pages) }
    }

    /// Saves what a call goes on with behind the first `at` bytes of its pages, in which its audio
    /// before `encoded_through` lies. It counts from the next commit on, and replaces what was saved
    /// before.
    ///
    /// # Errors
    /// As [`Spool::append`].
    ///
    /// # Panics
    /// When the state is empty, or the call has fewer bytes of pages.
    pub fn save(
        &mut self,
        call: u128,
        at: u64,
        encoded_through: Nanos,
        state: &[u8],
    ) -> Result<(), SpoolError> {
        assert!(!state.is_empty(), "an empty state is none");
        assert!(self.calls.get(&call).map_or(0, |spooled| spooled.bytes) >= at, "pages that are not here");
        self.push(call, at, encoded_through, state, &[])
    }

    fn push(
        &mut self,
        call: u128,
        at: u64,
        encoded_through: Nanos,
        state: &[u8],
        pages: &[u8],
    ) -> Result<(), SpoolError> {
        let len = pages.len() + state.len();
        if len > SPOOL_APPEND_LIMIT {
            return Err(SpoolError::TooLong(len));
        }
        if self.buffer.len() + len > SPOOL_BUFFER_LIMIT {
            self.commit()?;
        }
        let file = self.writable()?;
        let header = PagesHeader {
            crc: 0,
            pages_crc: crc32c::crc32c(pages),
            pages: pages.len() as u32,
            state: state.len() as u32,
            call,
            encoded_through,
            at,
            dead: false,
        };
        let offset = self.base + self.buffer.len() as u64;
        for part in [&header.bytes(state)[..], state, pages] {
            self.buffer.extend_from_slice(part);
            self.buffer.resize(self.buffer.len().next_multiple_of(8), 0);
        }
        self.calls.entry(call).or_default().push(Extent { file, offset, header, void: false });
        self.figures.appends += 1;
        Ok(())
    }

    /// Makes every append durable with one `fdatasync`; none when there is nothing to commit. A
    /// failed one is never retried on the same file: what it should have kept is written to a new
    /// one, once now and again at the next commit.
    ///
    /// # Errors
    /// When the second file fails too. The appends stay in memory.
    pub fn commit(&mut self) -> Result<(), SpoolError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.abandoned {
            self.move_to_new_file()?;
        }
        if self.write_and_sync().is_err() {
            self.move_to_new_file()?;
            self.write_and_sync()?;
        }
        self.base += self.buffer.len() as u64;
        self.buffer.clear();
        if self.base >= FILE_BYTES {
            self.leave_current();
        }
        Ok(())
    }

    /// A call's state, `None` when it has no pages here.
    pub fn call(&self, call: u128) -> Option<&SpooledCall> {
        self.calls.get(&call)
    }

    /// Writes a call's pages in order of their appends, committed or not; returns how many bytes.
    ///
    /// # Errors
    /// When pages cannot be read or are damaged, or `out` fails.
    pub fn assemble(&self, call: u128, out: &mut impl Write) -> Result<u64, SpoolError> {
        let Some(spooled) = self.calls.get(&call) else { return Ok(0) };
        let mut chunk = vec![0; 64 << 10];
        for extent in spooled.extents.iter().filter(|extent| !extent.void && extent.header.pages > 0) {
            let start = extent.pages_at();
            let pages = extent.header.pages as usize;
            let in_current = self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &extent.file));
            if in_current && start >= self.base {
                let at = (start - self.base) as usize;
                out.write_all(&self.buffer[at..at + pages]).map_err(SpoolError::Output)?;
            } else {
                extent.copy_pages(&mut chunk, out)?;
            }
        }
        Ok(spooled.bytes)
    }

    /// A call's pages are needed no more: it is stored, or must not be kept. The last call of a
    /// file takes the file with it; until then the call's part of it is given back where the file
    /// system can.
    pub fn forget(&mut self, call: u128) {
        let Some(spooled) = self.calls.remove(&call) else { return };
        for extent in &spooled.extents {
            let in_current = self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &extent.file));
            if in_current && extent.offset >= self.base {
                self.kill_in_buffer(extent);
            } else {
                extent.file.mark_dead(extent.offset, &extent.header);
            }
        }
        spooled.release();
    }

    /// The counters now.
    pub fn figures(&self) -> SpoolFigures {
        self.figures
    }

    /// Marks a record dead that is not written yet.
    fn kill_in_buffer(&mut self, extent: &Extent) {
        let at = (extent.offset - self.base) as usize;
        self.buffer[at + DEAD_AT] = 1;
    }

    /// The file that takes appends.
    fn writable(&mut self) -> Result<Arc<SpoolFile>, SpoolError> {
        if let Some(current) = &self.current {
            return Ok(Arc::clone(current));
        }
        let file = self.directory.create()?;
        self.base = FILE_HEADER_BYTES;
        self.current = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Writes the buffer behind what is committed.
    fn write_and_sync(&mut self) -> Result<(), SpoolError> {
        let file = self.writable()?;
        // Until both have succeeded.
        self.abandoned = true;
        let failed = |source| SpoolError::File { path: file.path().to_path_buf(), source };
        file.file().write_all_at(&self.buffer, self.base).map_err(failed)?;
        self.figures.bytes += self.buffer.len() as u64;
        self.figures.fdatasyncs += 1;
        (self.sync)(file.file()).map_err(failed).inspect_err(|_| self.figures.sync_errors += 1)?;
        self.abandoned = false;
        Ok(())
    }

    /// The current file has failed: what it has not committed belongs to a new one.
    fn move_to_new_file(&mut self) -> Result<(), SpoolError> {
        let new = self.directory.create()?;
        self.abandoned = false;
        let Some(failed) = self.current.replace(Arc::clone(&new)) else { return Ok(()) };
        let base = std::mem::replace(&mut self.base, FILE_HEADER_BYTES);
        for spooled in self.calls.values_mut() {
            let moves = |extent: &Extent| Arc::ptr_eq(&extent.file, &failed) && extent.offset >= base;
            let Some(first) = spooled.extents.iter().position(moves) else { continue };
            for extent in &mut spooled.extents[first..] {
                extent.file = Arc::clone(&new);
                extent.offset = extent.offset - base + FILE_HEADER_BYTES;
            }
            new.enter();
            let stays =
                first.checked_sub(1).is_some_and(|at| Arc::ptr_eq(&spooled.extents[at].file, &failed));
            if !stays {
                failed.leave();
            }
        }
        failed.leave();
        Ok(())
    }

    /// The current file takes no more.
    fn leave_current(&mut self) {
        if let Some(current) = self.current.take() {
            current.leave();
        }
    }
}

impl Drop for Spool {
    /// Commits what can be committed; calls in progress stay for the next run.
    fn drop(&mut self) {
        let _ = self.commit();
        self.leave_current();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails as if the device had refused.
    fn refuse(_: &File) -> io::Result<()> {
        Err(io::ErrorKind::Other.into())
    }

    fn assembled(spool: &Spool, call: u128) -> Vec<u8> {
        let mut bytes = Vec::new();
        spool.assemble(call, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn after_a_failed_sync_the_uncommitted_pages_move_to_a_new_file() {
        let directory = tempfile::tempdir().unwrap();
        let (spools, _) = SpoolDirectory::open(directory.path()).unwrap();
        let mut spool = spools.spool();
        spool.append(1, b"one ").unwrap();
        spool.append(2, b"two ").unwrap();
        spool.commit().unwrap();
        spool.append(1, b"more").unwrap();
        spool.sync = refuse;
        assert!(matches!(spool.commit(), Err(SpoolError::File { .. })));
        assert!(spool.commit().is_err());
        assert_eq!(assembled(&spool, 1), b"one more");

        spool.sync = File::sync_data;
        spool.save(1, 8, Nanos(2), b"state").unwrap();
        spool.save(2, 4, Nanos(2), b"state").unwrap();
        spool.commit().unwrap();
        assert_eq!(assembled(&spool, 1), b"one more");
        assert!(spool.figures().sync_errors >= 2);

        drop(spool);
        // The first file keeps what it had committed, the abandoned ones between are gone.
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        let (_, recovery) = SpoolDirectory::open(directory.path()).unwrap();
        assert_eq!(recovery.calls[&1].bytes, 8);
        assert_eq!(recovery.calls[&2].bytes, 4);
    }

    #[test]
    fn a_call_that_is_given_away_goes_on_in_another_spool() {
        let directory = tempfile::tempdir().unwrap();
        let (spools, _) = SpoolDirectory::open(directory.path()).unwrap();
        let (mut first, mut second) = (spools.spool(), spools.spool());
        first.append(1, b"one ").unwrap();
        for (call, spooled) in first.give_away().unwrap() {
            second.adopt(call, spooled);
        }
        assert!(first.call(1).is_none());
        drop(first);
        second.append(1, b"more").unwrap();
        assert_eq!(assembled(&second, 1), b"one more");
        second.forget(1);
        drop(second);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn appends_beyond_the_limits_are_refused_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (spools, _) = SpoolDirectory::open(directory.path()).unwrap();
        let mut spool = spools.spool();
        let pages = vec![1; SPOOL_APPEND_LIMIT];
        spool.append(1, &pages).unwrap();
        let one_more = vec![1; SPOOL_APPEND_LIMIT + 1];
        assert!(matches!(spool.append(1, &one_more), Err(SpoolError::TooLong(_))));
        assert!(matches!(spool.save(1, 0, Nanos(2), &one_more), Err(SpoolError::TooLong(_))));
        spool.sync = refuse;
        let mut taken = 1;
        while spool.append(1, &pages).is_ok() {
            taken += 1;
        }
        assert!(taken * SPOOL_APPEND_LIMIT <= SPOOL_BUFFER_LIMIT, "{taken}");
        assert_eq!(spool.call(1).unwrap().bytes, (taken * SPOOL_APPEND_LIMIT) as u64);
    }
}
