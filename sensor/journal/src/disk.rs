//! What the journal asks of the file system. A test puts a disk here that fails when told to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

/// Alignment of memory, offsets and lengths that direct writes ask for, in bytes.
pub(crate) const PAGE: usize = 4096;

/// What a directory's file system survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A killed process, not a power cut: it lies in memory (tmpfs, ramfs).
    Process,
    /// A power cut too, as far as the device keeps its promise.
    PowerLoss,
}

/// What the file system under `path` survives.
///
/// # Errors
/// When the file system cannot be asked.
pub fn durability(path: &Path) -> io::Result<Durability> {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of `linux/magic.h`.
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::statfs(path)?.f_type as u64;
    Ok(if IN_MEMORY.contains(&kind) { Durability::Process } else { Durability::PowerLoss })
}

/// Makes files.
pub(crate) trait Disk: Send {
    /// A new file with room for `bytes`, its name durable.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>>;
}

/// A file that is written from front to back.
pub(crate) trait DiskFile: Send {
    /// Writes all of `bytes`. Address, length and offset are multiples of [`PAGE`] where the file
    /// was created for direct writes.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Gives back what was allocated behind `bytes`.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// The real one: writes past the page cache where the file system can, which makes a commit cost
/// a fifth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSystem;

/// A real file.
struct RealFile {
    /// The file.
    file: File,
    /// Whether O_DIRECT is on.
    direct: bool,
}

impl Disk for FileSystem {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let open = |flags: OFlags| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o640).custom_flags(flags.bits() as i32).open(path)
        };
        let (file, direct) = match open(OFlags::DIRECT) {
            Ok(file) => (file, true),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                // The file may exist by now: open(2) checks the flag after it has created it.
                let _ = std::fs::remove_file(path);
                (open(OFlags::empty())?, false)
            }
            Err(error) => return Err(error),
        };
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP) => {}
            Err(error) => {
                drop(file);
                let _ = std::fs::remove_file(path);
                return Err(error.into());
            }
        }
        sync_parent(path)?;
        Ok(Box::new(RealFile { file, direct }))
    }
}

impl DiskFile for RealFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.file.write_all_at(bytes, offset) {
            Err(error) if self.direct && error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                let flags = rustix::fs::fcntl_getfl(&self.file)?;
                rustix::fs::fcntl_setfl(&self.file, flags.difference(OFlags::DIRECT))?;
                self.direct = false;
                self.file.write_all_at(bytes, offset)
            }
            result => result,
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
}

/// Makes the name of a created, renamed or removed file durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// A buffer that begins at a page, for direct writes; made once, never grown.
pub(crate) struct PageBuffer {
    /// The memory, a page longer than the capacity.
    memory: Vec<u8>,
    /// Where the first page begins.
    start: usize,
    /// Bytes in use from there on.
    len: usize,
    /// Bytes that fit.
    capacity: usize,
}

impl PageBuffer {
    /// An empty buffer for `capacity` bytes.
    pub fn new(capacity: usize) -> PageBuffer {
        let memory = vec![0; capacity + PAGE];
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        PageBuffer { memory, start, len: 0, capacity }
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// What is in it, from `at` on, to change.
    pub fn bytes_mut(&mut self, at: usize) -> &mut [u8] {
        &mut self.memory[self.start + at..self.start + self.len]
    }

    /// `count` more bytes in use, for the caller to write.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn extend(&mut self, count: usize) -> &mut [u8] {
        assert!(count <= self.room(), "a page buffer never grows");
        self.len += count;
        self.bytes_mut(self.len - count)
    }

    /// Pads with zeros to a whole page; returns how many.
    pub fn pad(&mut self) -> usize {
        let padding = self.len.next_multiple_of(PAGE) - self.len;
        self.extend(padding).fill(0);
        padding
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_buffer_begins_at_a_page_and_pads_to_one() {
        let mut buffer = PageBuffer::new(2 * PAGE);
        buffer.extend(5).copy_from_slice(b"abcde");
        assert_eq!(buffer.bytes().as_ptr().align_offset(PAGE), 0);
        assert_eq!(buffer.pad(), PAGE - 5);
        assert_eq!(buffer.len(), PAGE);
        assert!(buffer.bytes()[5..].iter().all(|&byte| byte == 0));
        assert_eq!(buffer.room(), PAGE);
    }

    #[test]
    fn memory_file_systems_are_told_from_disks() {
        if Path::new("/dev/shm").exists() {
            assert_eq!(durability(Path::new("/dev/shm")).unwrap(), Durability::Process);
        }
        assert_eq!(durability(Path::new("/proc")).unwrap(), Durability::PowerLoss);
        assert!(durability(Path::new("/no/such/place")).is_err());
    }

    #[test]
    fn a_created_file_has_its_room_and_takes_direct_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = FileSystem.create(&path, 4 * PAGE as u64).unwrap();
        let mut buffer = PageBuffer::new(PAGE);
        buffer.extend(3).copy_from_slice(b"abc");
        buffer.pad();
        file.write_at(buffer.bytes(), PAGE as u64).unwrap();
        file.sync().unwrap();
        file.truncate(2 * PAGE as u64).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 2 * PAGE);
        assert_eq!(&bytes[PAGE..PAGE + 3], b"abc");
        assert!(FileSystem.create(&path, 0).is_err(), "a segment is never overwritten");
    }
}
