//! Where the outbox's lines lie: `outbox/NNNNNNNN.ndjson`, one event a line, and the cursor.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::durable::{Durability, replace};
use crate::error::StoreError;

/// A file of this size takes no more lines.
pub(crate) const FILE_BYTES: u32 = 4 << 20;

/// A place in the outbox, before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file's number.
    pub file: u32,
    /// Bytes from its beginning.
    pub offset: u32,
}

impl Place {
    /// As one word that compares the same way.
    pub fn pack(self) -> u64 {
        u64::from(self.file) << 32 | u64::from(self.offset)
    }

    /// The inverse of [`Place::pack`].
    pub fn unpack(word: u64) -> Place {
        Place { file: (word >> 32) as u32, offset: word as u32 }
    }
}

/// A file's path.
pub(crate) fn file_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.ndjson"))
}

/// The numbers of the files, in order.
pub(crate) fn list_files(directory: &Path) -> Result<Vec<u32>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory).map_err(StoreError::file("read", directory))? {
        let path = entry.map_err(StoreError::file("read", directory))?.path();
        if path.extension() != Some(OsStr::new("ndjson")) {
            continue;
        }
        if let Some(number) = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok())
            && file_path(directory, number) == path
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// How far the outbox is delivered. `None` when that was never said, or when what was said is
/// torn: delivery then begins with the oldest file, which repeats some events and loses none.
pub(crate) fn read_cursor(directory: &Path) -> Option<Place> {
    let text = fs::read_to_string(directory.join("cursor")).ok()?;
    let (file, offset) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Place { file: file.parse().ok()?, offset: offset.parse().ok()? })
}

/// Says how far the outbox is delivered. Not synced: an older cursor only repeats events.
pub(crate) fn write_cursor(directory: &Path, place: Place) -> Result<(), StoreError> {
    let text = format!("{} {}\n", place.file, place.offset);
    replace(&directory.join("cursor"), text.as_bytes(), Durability::Process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_a_torn_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_cursor(directory.path()), None);
        let place = Place { file: 7, offset: 1_234_567 };
        write_cursor(directory.path(), place).unwrap();
        assert_eq!(read_cursor(directory.path()), Some(place));
        for torn in ["", "7", "7 12345", "7 x\n", "\0\0\0"] {
            fs::write(directory.path().join("cursor"), torn).unwrap();
            assert_eq!(read_cursor(directory.path()), None, "{torn:?}");
        }
    }
}
