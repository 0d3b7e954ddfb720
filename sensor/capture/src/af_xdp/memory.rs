//! Memory that is shared with the kernel: a mapping, and the UMEM's frames in one.

use std::ptr::NonNull;

use rustix::fd::BorrowedFd;
use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

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

    /// Maps `len` bytes of fresh, zeroed memory.
    pub(super) fn anonymous(len: usize) -> io::Result<Mapping> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::POPULATE);
        // SAFETY: as above.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, access, flags)? };
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
}

impl Umem {
    /// `frames` frames of `frame_bytes` each.
    pub(super) fn new(frames: u32, frame_bytes: u32) -> io::Result<Umem> {
        Ok(Umem { mapping: Mapping::anonymous(frames as usize * frame_bytes as usize)?, frame_bytes })
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

    /// Takes the `N` bytes in front of `address` and puts zeros in their place, so that they are not
    /// read again with the chunk's next frame; `None` when they would lie in another chunk.
    ///
    /// # Safety
    /// As for [`Umem::frame`].
    pub(super) unsafe fn take_before<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let from = address.checked_sub(N as u64)?;
        if address > self.len() || self.chunk_of(from) != self.chunk_of(address) {
            return None;
        }
        // SAFETY: within the mapping and the chunk by the checks above; nobody else reads or writes
        // the chunk while it is the sensor's.
        unsafe {
            let place: *mut [u8; N] = self.mapping.base().as_ptr().add(from as usize).cast();
            Some(place.replace([0; N]))
        }
    }
}
