//! What an earlier run left in the spool: for each call in progress its pages, how far its audio
//! is encoded, and what encoding goes on with.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::spool_file::{FILE_HEADER_BYTES, PAGES_HEADER_BYTES, PagesHeader, SpoolFile, spool_path};
use crate::spooled_call::{Extent, SpooledCall};

/// Why a part of the spool was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolDropReason {
    /// The file does not begin as a spool file of this version does.
    FileHeader,
    /// What stands there is no record: from here on nothing of the file is read.
    Header,
    /// A record whose checksum is wrong, or that the file's end cuts: likewise.
    Checksum,
    /// A sound record of a call that misses an earlier one: of that call, only what comes before
    /// is kept.
    Gap,
    /// The disk refused to read it: from here on nothing of the file is read.
    Unreadable(io::ErrorKind),
}

/// A part of the spool that was not recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolDropped {
    /// Which file.
    pub path: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// What is wrong.
    pub reason: SpoolDropReason,
}

/// What was found.
#[derive(Debug, Default)]
pub struct SpoolRecovery {
    /// The calls in progress. Each is to be adopted by a spool, or to be let go by
    /// [`SpoolRecovery::discard`].
    pub calls: BTreeMap<u128, SpooledCall>,
    /// What was not recovered.
    pub dropped: Vec<SpoolDropped>,
    /// Calls that were forgotten: their records may be met again in later files.
    forgotten: BTreeSet<u128>,
}

impl SpoolRecovery {
    /// Lets a call go that nobody adopts; its pages are removed with their files.
    pub fn discard(&mut self, call: u128) {
        if let Some(spooled) = self.calls.remove(&call) {
            for extent in &spooled.extents {
                extent.file.mark_dead(extent.offset, &extent.header);
            }
            spooled.release();
        }
    }

    /// Takes one sound record in.
    fn take(&mut self, file: &Arc<SpoolFile>, offset: u64, header: PagesHeader, state: Vec<u8>) {
        if header.dead {
            self.forgotten.insert(header.call);
            if let Some(spooled) = self.calls.remove(&header.call) {
                spooled.release();
            }
        }
        if self.forgotten.contains(&header.call) {
            return;
        }
        // Pages that lie where others did were written again because a sync had failed, or take the
        // place of what a crash has made void.
        let extent = Extent { file: Arc::clone(file), offset, header, void: false };
        if !self.calls.entry(header.call).or_default().recover(extent, state) {
            let (path, bytes) = (file.path().to_path_buf(), header.stride());
            self.dropped.push(SpoolDropped { path, offset, bytes, reason: SpoolDropReason::Gap });
        }
    }
}

/// Reads every file in order of its number; returns the next file's number too. Files without a
/// living call are removed.
pub(crate) fn recover_spool(directory: &Path) -> io::Result<(SpoolRecovery, u32)> {
    let mut recovery = SpoolRecovery::default();
    let mut files = Vec::new();
    let numbers = list(directory)?;
    for &number in &numbers {
        let dropped_before = recovery.dropped.len();
        let path = spool_path(directory, number);
        let file = match SpoolFile::open(path.clone()) {
            Ok(file) => Arc::new(file),
            Err(error) => {
                let reason = SpoolDropReason::Unreadable(error.kind());
                recovery.dropped.push(SpoolDropped { path, offset: 0, bytes: 0, reason });
                continue;
            }
        };
        let len = file.file().metadata()?.len();
        let (offset, reason) = read_file(&file, len, &mut recovery);
        if let Some(reason) = reason
            && offset < len
        {
            recovery.dropped.push(SpoolDropped { path, offset, bytes: len - offset, reason });
        }
        // A damaged file is left for a look at it.
        if recovery.dropped.len() == dropped_before {
            files.push(file);
        }
    }
    recovery.calls.retain(|_, spooled| !spooled.extents.is_empty());
    recovery.calls.values_mut().for_each(SpooledCall::cut_back_to_state);
    for file in files {
        file.remove_unused();
    }
    Ok((recovery, numbers.last().map_or(0, |number| number + 1)))
}

/// Reads a file's records; returns where it stopped, and why unless that is its end.
fn read_file(
    file: &Arc<SpoolFile>,
    len: u64,
    recovery: &mut SpoolRecovery,
) -> (u64, Option<SpoolDropReason>) {
    match file.has_header() {
        Ok(true) => {}
        Ok(false) => return (0, Some(SpoolDropReason::FileHeader)),
        Err(error) => return (0, Some(SpoolDropReason::Unreadable(error.kind()))),
    }
    let mut offset = FILE_HEADER_BYTES;
    while offset < len {
        match read_record(file, offset, len) {
            Ok((header, state)) => {
                recovery.take(file, offset, header, state);
                offset += header.stride();
            }
            Err(reason) => return (offset, Some(reason)),
        }
    }
    (offset, None)
}

/// Reads and checks one record; its pages are checked unless the call is forgotten.
fn read_record(file: &SpoolFile, offset: u64, len: u64) -> Result<(PagesHeader, Vec<u8>), SpoolDropReason> {
    let mut bytes = [0; PAGES_HEADER_BYTES];
    read(file, &mut bytes, offset)?;
    let header = PagesHeader::from_bytes(&bytes).ok_or(SpoolDropReason::Header)?;
    if u64::from(header.state) > len {
        return Err(SpoolDropReason::Checksum);
    }
    let mut state = vec![0; header.state as usize];
    read(file, &mut state, offset + PAGES_HEADER_BYTES as u64)?;
    if header.crc != PagesHeader::checksum(&bytes, &state) || offset + header.stride() > len {
        return Err(SpoolDropReason::Checksum);
    }
    if !header.dead {
        let mut pages = vec![0; header.pages as usize];
        read(file, &mut pages, offset + header.pages_at())?;
        if crc32c::crc32c(&pages) != header.pages_crc {
            return Err(SpoolDropReason::Checksum);
        }
    }
    Ok((header, state))
}

/// Reads a part of a record.
fn read(file: &SpoolFile, out: &mut [u8], offset: u64) -> Result<(), SpoolDropReason> {
    file.file().read_exact_at(out, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SpoolDropReason::Checksum,
        kind => SpoolDropReason::Unreadable(kind),
    })
}

/// The numbers of the files in a directory, in order.
fn list(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("pages")) {
            continue;
        }
        if let Some(number) = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok())
            && spool_path(directory, number) == path
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
