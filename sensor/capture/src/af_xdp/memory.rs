//! Memory that is shared with the kernel: a mapping, and the UMEM's frames in one.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nightjar_wire::xdp::Metadata;
use rustix::fd::BorrowedFd;
use rustix::io;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use crate::prefetch::prefetch;

/// A mapping that ends with its owner.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: plain memory. This type reads and writes none of it; those who do say at each place why
// nobody else does meanwhile.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a socket's ring.
    pub(super) fn of_socket(socket: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Mapping> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::POPULATE);
        // SAFETY: a new mapping at an address of the kernel's choice; it touches no other memory.
        let base = unsafe { mmap(std::ptr::null_mut(), len, access, flags, socket, offset)? };
        Mapping::from_base(base, len)
    }

    /// Maps `len` bytes of fresh, zeroed memory, in large pages where the host has some: each frame lies
    /// in another small one.
    pub(super) fn anonymous(len: usize) -> io::Result<Mapping> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as above.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, access, MapFlags::PRIVATE)? };
        for advice in [Advice::LinuxHugepage, Advice::LinuxPopulateWrite] {
            // SAFETY: the range was mapped just now. Where the kernel does not take the advice, it gives
            // pages as they are touched.
            let _ = unsafe { madvise(base, len, advice) };
        }
        Mapping::from_base(base, len)
    }

    fn from_base(base: *mut std::ffi::c_void, len: usize) -> io::Result<Mapping> {
        Ok(Mapping { base: NonNull::new(base.cast()).ok_or(io::Errno::NOMEM)?, len })
    }

    /// The first byte.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this range was mapped by a constructor, and whoever borrows from it does so through
        // this value. A failure leaves the mapping, which does no harm.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The frames of one queue.
#[derive(Debug)]
pub(super) struct Umem {
    mapping: Mapping,
    frame_bytes: u32,
    /// The stamp that was read last in front of each chunk's frame: what is still there is none of the next.
    stamps: Box<[AtomicU64]>,
}

impl Umem {
    /// `frames` frames of `frame_bytes` each.
    pub(super) fn new(frames: u32, frame_bytes: u32) -> io::Result<Umem> {
        let mapping = Mapping::anonymous(frames as usize * frame_bytes as usize)?;
        let stamps = (0..frames).map(|_| AtomicU64::new(0)).collect();
        Ok(Umem { mapping, frame_bytes, stamps })
    }

    /// Where it lies, for its registration.
    pub(super) fn address(&self) -> u64 {
        self.mapping.base().as_ptr() as u64
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.mapping.len() as u64
    }

    /// The address of a frame's chunk, from any address within it.
    pub(super) fn chunk_of(&self, address: u64) -> u64 {
        address & !(u64::from(self.frame_bytes) - 1)
    }

    /// The addresses of all chunks.
    pub(super) fn chunks(&self) -> impl Iterator<Item = u64> + use<> {
        (0..self.len()).step_by(self.frame_bytes as usize)
    }

    /// Asks memory for a frame's beginning and for what lies in front of it.
    #[inline]
    pub(super) fn fetch(&self, address: u64) {
        let place = self.mapping.base().as_ptr().wrapping_add(address as usize);
        prefetch(place);
        prefetch(place.wrapping_sub(64));
    }

    /// The `len` bytes at `address`; `None` when the kernel's descriptor leaves the UMEM.
    ///
    /// # Safety
    /// The chunk must be the sensor's: received through a ring and not yet given back.
    pub(super) unsafe fn frame(&self, address: u64, len: u32) -> Option<&[u8]> {
        let end = address.checked_add(u64::from(len))?;
        if end > self.len() {
            return None;
        }
        // SAFETY: within the mapping by the check above; the kernel does not write to it while the
        // chunk is the sensor's.
        Some(unsafe {
            std::slice::from_raw_parts(self.mapping.base().as_ptr().add(address as usize), len as usize)
        })
    }

    /// What the program wrote in front of the frame at `address`; `None` when it wrote nothing. The chunk
    /// is only read: written, it would have to come back to the kernel's core for the next frame.
    ///
    /// # Safety
    /// As for [`Umem::frame`].
    #[inline]
    pub(super) unsafe fn metadata(&self, address: u64) -> Option<Metadata> {
        let from = address.checked_sub(Metadata::LEN as u64)?;
        if address > self.len() || self.chunk_of(from) != self.chunk_of(address) {
            return None;
        }
        // SAFETY: within the mapping and the chunk by the checks above; nobody writes the chunk while it is
        // the sensor's.
        let bytes: [u8; Metadata::LEN] =
            unsafe { self.mapping.base().as_ptr().add(from as usize).cast::<[u8; Metadata::LEN]>().read() };
        let metadata = Metadata::read(&bytes)?;
        let last = &self.stamps[(from >> self.frame_bytes.trailing_zeros()) as usize];
        let is_new = last.load(Ordering::Relaxed) != metadata.monotonic_ns;
        last.store(metadata.monotonic_ns, Ordering::Relaxed);
        is_new.then_some(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_chunks_last_frame_is_none_of_the_next() {
        let umem = Umem::new(4, 2048).unwrap();
        let write = |address: u64, monotonic_ns: u64| {
            let place = umem.mapping.base().as_ptr();
            let metadata = Metadata { monotonic_ns, realm: 1, fate: 2, magic: Metadata::MAGIC };
            // SAFETY: within the mapping; the test alone uses it.
            unsafe {
                place.add(address as usize - Metadata::LEN).cast::<Metadata>().write_unaligned(metadata)
            };
        };
        // SAFETY: the test alone uses the chunks.
        let stamp = |address| unsafe { umem.metadata(address) }.map(|metadata| metadata.monotonic_ns);
        assert_eq!((stamp(256), stamp(2048 + 256)), (None, None));
        write(256, 7);
        write(2048 + 256, 7);
        assert_eq!((stamp(256), stamp(2048 + 256)), (Some(7), Some(7)));
        assert_eq!(stamp(256), None, "the next frame has none of its own");
        write(256, 8);
        assert_eq!((stamp(256), stamp(0), stamp(2048), stamp(1 << 20)), (Some(8), None, None, None));
    }
}
