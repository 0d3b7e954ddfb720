//! One queue of an interface: a UMEM with a signalling and a media socket on it.
//!
//! Both sockets take their chunks from the one fill ring. The UMEM holds a chunk for every place of both
//! receive rings and some to spare, so that a full media ring leaves signalling its chunks: what the
//! media ring does not take goes back at once.

use std::sync::Arc;

use nightjar_wire::Nanos;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io;
use rustix::net::sockopt;
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, SocketAddrXdpWithSharedUmem, XDP_PGOFF_RX_RING,
    XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpMmapOffsets, XdpOptionsFlags, XdpUmemReg,
    XdpUmemRegFlags,
};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use super::lane::{Lane, LaneParts};
use super::memory::{Mapping, Umem};
use super::ring::{FillRing, ReceiveRing};

/// Sizes of one queue. The media ring bridges the time in which the core is not there: 8,192 places are 4 ms of
/// 2 million packets a second, of which frames are held back for one, and a sleep may take another. That is
/// enough for a core of its own; where the core is shared, with media workers or with other guests of a host,
/// 16,384 or 32,768 cost more memory ([`QueueSizes::locked_bytes`]) and hardly any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSizes {
    /// Places of the media ring: a power of two.
    pub media: u32,
    /// Places of the signalling ring: a power of two.
    pub signalling: u32,
    /// Chunks beyond the rings': what a driver holds in its own ring (zero-copy) and what is being
    /// read.
    pub spare: u32,
    /// Bytes of a chunk: 2,048 or 4,096. Longer frames take several.
    pub chunk_bytes: u32,
}

impl Default for QueueSizes {
    fn default() -> QueueSizes {
        QueueSizes { media: 8192, signalling: 2048, spare: 2048, chunk_bytes: 2048 }
    }
}

impl QueueSizes {
    /// Bytes that a queue's UMEM locks.
    pub fn locked_bytes(&self) -> u64 {
        u64::from(self.chunks()) * u64::from(self.chunk_bytes)
    }

    /// Chunks of the UMEM.
    pub(super) fn chunks(&self) -> u32 {
        self.media + self.signalling + self.spare
    }
}

/// How frames come into the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// The NIC writes them there.
    ZeroCopy,
    /// The kernel copies them there.
    Copy,
}

/// Which of a queue's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// SIP and whatever else sets calls up.
    Signalling,
    /// RTP, RTCP and what else comes to media endpoints.
    Media,
}

/// What a queue's two sockets share.
#[derive(Debug)]
pub(super) struct Queue {
    fill: FillRing,
    /// Asked for by the kernel, unused: nothing is sent.
    _completion: Mapping,
    /// How frames come in, as the kernel confirmed it.
    pub(super) copy: CopyMode,
    /// The media socket, through which a sleeping driver is woken.
    wake: OwnedFd,
}

/// Where a queue is and how it is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The interface's index.
    pub(super) index: u32,
    /// The queue's number.
    pub(super) queue: u32,
    /// The interface's place in the source's list.
    pub(super) interface: u16,
    /// How long frames are held back for others.
    pub(super) hold: Nanos,
}

impl Queue {
    /// Opens a queue; zero-copy where the driver can and `zero_copy` asks for it. Its lanes come
    /// beside it, signalling first.
    pub(super) fn open(place: Place, sizes: &QueueSizes, zero_copy: bool) -> io::Result<(Queue, [Lane; 2])> {
        if zero_copy && let Ok(opened) = Queue::open_as(place, sizes, CopyMode::ZeroCopy) {
            return Ok(opened);
        }
        Queue::open_as(place, sizes, CopyMode::Copy)
    }

    fn open_as(place: Place, sizes: &QueueSizes, copy: CopyMode) -> io::Result<(Queue, [Lane; 2])> {
        let umem = Arc::new(Umem::new(sizes.chunks(), sizes.chunk_bytes)?);
        let fd = open_socket()?;
        register(&fd, &umem, sizes)?;
        let offsets = sockopt::xdp_mmap_offsets(&fd)?;
        let (mut fill, completion) = umem_rings(&fd, &offsets, sizes)?;
        for chunk in umem.chunks() {
            assert!(fill.push(chunk), "the fill ring has a place for every chunk");
        }
        fill.publish();
        let ring = receive_ring(&fd, sizes.media)?;
        bind_first(&fd, place, copy)?;
        let zero = sockopt::xdp_options(&fd)?.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY);
        let copy = if zero { CopyMode::ZeroCopy } else { CopyMode::Copy };
        let (other, other_ring) = share(&fd, place, sizes.signalling)?;
        let wake = rustix::io::fcntl_dupfd_cloexec(&fd, 0)?;
        let (interface, hold) = (place.interface, place.hold);
        let lane =
            |kind, ring, fd| Lane::new(LaneParts { ring, fd, kind, interface, umem: umem.clone(), hold });
        let lanes = [lane(SocketKind::Signalling, other_ring, other), lane(SocketKind::Media, ring, fd)];
        Ok((Queue { fill, _completion: completion, copy, wake }, lanes))
    }

    /// Gives what the queue's lanes have read back to the kernel.
    pub(super) fn give_back(&mut self, lanes: &mut [Lane]) {
        for lane in lanes {
            // The fill ring has a place for every chunk.
            lane.release(|chunk| {
                let placed = self.fill.push(chunk);
                debug_assert!(placed);
            });
        }
        self.fill.publish();
        if self.fill.needs_wakeup() {
            // An empty read that does not wait is the call for it; its answer says nothing.
            let _ = recv(&self.wake, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
        }
    }
}

fn bind_first(fd: &OwnedFd, place: Place, copy: CopyMode) -> io::Result<()> {
    let mode = match copy {
        CopyMode::ZeroCopy => SocketAddrXdpFlags::XDP_ZEROCOPY,
        CopyMode::Copy => SocketAddrXdpFlags::XDP_COPY,
    };
    let flags = mode | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
    let address = |flags| SocketAddrXdp::new(flags, place.index, place.queue);
    // A driver without frames in several buffers refuses the flag, not the socket.
    bind(fd, &address(flags | SocketAddrXdpFlags::XDP_USE_SG)).or_else(|_| bind(fd, &address(flags)))
}

fn open_socket() -> io::Result<OwnedFd> {
    socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None)
}

fn register(fd: &OwnedFd, umem: &Umem, sizes: &QueueSizes) -> io::Result<()> {
    let registration = XdpUmemReg {
        addr: umem.address(),
        len: umem.len(),
        chunk_size: sizes.chunk_bytes,
        headroom: 0,
        flags: XdpUmemRegFlags::empty(),
        tx_metadata_len: 0,
    };
    sockopt::set_xdp_umem_reg(fd, registration)
}

fn umem_rings(fd: &OwnedFd, offsets: &XdpMmapOffsets, sizes: &QueueSizes) -> io::Result<(FillRing, Mapping)> {
    const COMPLETIONS: u32 = 64;
    let size = sizes.chunks().next_power_of_two();
    sockopt::set_xdp_umem_fill_ring_size(fd, size)?;
    sockopt::set_xdp_umem_completion_ring_size(fd, COMPLETIONS)?;
    let len = FillRing::mapped_len(&offsets.fr, size);
    let mapping = Mapping::of_socket(fd.as_fd(), XDP_UMEM_PGOFF_FILL_RING, len)?;
    // SAFETY: the kernel's own mapping and offsets of a ring of this size, mapped once.
    let fill = unsafe { FillRing::new(mapping, &offsets.fr, size) };
    let len = FillRing::mapped_len(&offsets.cr, COMPLETIONS);
    Ok((fill, Mapping::of_socket(fd.as_fd(), XDP_UMEM_PGOFF_COMPLETION_RING, len)?))
}

fn receive_ring(fd: &OwnedFd, size: u32) -> io::Result<ReceiveRing> {
    sockopt::set_xdp_rx_ring_size(fd, size)?;
    let offsets = sockopt::xdp_mmap_offsets(fd)?;
    let len = ReceiveRing::mapped_len(&offsets.rx, size);
    let mapping = Mapping::of_socket(fd.as_fd(), XDP_PGOFF_RX_RING, len)?;
    // SAFETY: the kernel's own mapping and offsets of a ring of this size, mapped once.
    Ok(unsafe { ReceiveRing::new(mapping, &offsets.rx, size) })
}

/// A second socket on the same queue and UMEM.
fn share(first: &OwnedFd, place: Place, size: u32) -> io::Result<(OwnedFd, ReceiveRing)> {
    let fd = open_socket()?;
    let ring = receive_ring(&fd, size)?;
    let addr = SocketAddrXdp::new(SocketAddrXdpFlags::XDP_SHARED_UMEM, place.index, place.queue);
    bind(&fd, &SocketAddrXdpWithSharedUmem { addr, shared_umem_fd: first.as_fd() })?;
    Ok((fd, ring))
}
