//! One queue of an interface: a UMEM with a signalling and a media socket on it.
//!
//! Both sockets take their chunks from the one fill ring. The UMEM holds a chunk for every place of both
//! receive rings and some to spare, so that a full media ring leaves signalling its chunks: what the
//! media ring does not take goes back at once.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io;
use rustix::net::sockopt;
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, SocketAddrXdpWithSharedUmem, XDP_PGOFF_RX_RING,
    XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpDesc, XdpMmapOffsets, XdpOptionsFlags,
    XdpStatistics, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use super::memory::{Mapping, Umem};
use super::ring::{FillRing, ReceiveRing};

/// Sizes of one queue.
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

/// A socket and its receive ring.
#[derive(Debug)]
pub(super) struct Socket {
    // The ring's mapping goes before the socket.
    pub(super) ring: ReceiveRing,
    fd: OwnedFd,
    /// Frames taken from the ring.
    pub(super) received: u64,
}

impl Socket {
    /// The kernel's counts since the socket was opened.
    pub(super) fn statistics(&self) -> io::Result<XdpStatistics> {
        sockopt::xdp_statistics(&self.fd)
    }

    /// Takes the error that waits on the socket, if one does.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Errno>> {
        Ok(sockopt::socket_error(&self.fd)?.err())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A queue's sockets.
#[derive(Debug)]
pub(super) struct Queue {
    /// Its number on the interface.
    pub(super) number: u32,
    pub(super) signalling: Socket,
    pub(super) media: Socket,
    fill: FillRing,
    /// Asked for by the kernel, unused: nothing is sent.
    _completion: Mapping,
    pub(super) umem: Umem,
    /// How frames come in, as the kernel confirmed it.
    pub(super) copy: CopyMode,
    /// Chunks that the fill ring would not take: it has a place for each, so none.
    pub(super) lost_chunks: u64,
}

impl Queue {
    /// Opens queue `number` of interface `index`; zero-copy where the driver can and `zero_copy`
    /// asks for it.
    pub(super) fn open(index: u32, number: u32, sizes: &QueueSizes, zero_copy: bool) -> io::Result<Queue> {
        if zero_copy && let Ok(queue) = Queue::open_as(index, number, sizes, CopyMode::ZeroCopy) {
            return Ok(queue);
        }
        Queue::open_as(index, number, sizes, CopyMode::Copy)
    }

    fn open_as(index: u32, number: u32, sizes: &QueueSizes, copy: CopyMode) -> io::Result<Queue> {
        let umem = Umem::new(sizes.chunks(), sizes.chunk_bytes)?;
        let fd = open_socket()?;
        register(&fd, &umem, sizes)?;
        let offsets = sockopt::xdp_mmap_offsets(&fd)?;
        let (mut fill, completion) = umem_rings(&fd, &offsets, sizes)?;
        for chunk in umem.chunks() {
            assert!(fill.push(chunk), "the fill ring has a place for every chunk");
        }
        fill.publish();
        let mode = match copy {
            CopyMode::ZeroCopy => SocketAddrXdpFlags::XDP_ZEROCOPY,
            CopyMode::Copy => SocketAddrXdpFlags::XDP_COPY,
        };
        let ring = receive_ring(&fd, sizes.media)?;
        let flags = mode | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
        let jumbo = SocketAddrXdp::new(flags | SocketAddrXdpFlags::XDP_USE_SG, index, number);
        // A driver without frames in several buffers refuses the flag, not the socket.
        bind(&fd, &jumbo).or_else(|_| bind(&fd, &SocketAddrXdp::new(flags, index, number)))?;
        let media = Socket { ring, fd, received: 0 };
        let signalling = share(&media, index, number, sizes.signalling)?;
        let zero = sockopt::xdp_options(&media.fd)?.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY);
        let copy = if zero { CopyMode::ZeroCopy } else { CopyMode::Copy };
        Ok(Queue { number, signalling, media, fill, _completion: completion, umem, copy, lost_chunks: 0 })
    }

    /// Gives a descriptor's chunk back to the kernel, seen by it with [`Queue::publish`].
    pub(super) fn give_back(&mut self, descriptor: &XdpDesc) {
        let chunk = self.umem.chunk_of(descriptor.addr);
        if !self.fill.push(chunk) {
            self.lost_chunks += 1;
        }
    }

    /// Shows the kernel the chunks that were given back, and wakes a driver that waits for them.
    pub(super) fn publish(&mut self) {
        self.fill.publish();
        if self.fill.needs_wakeup() {
            // An empty read that does not wait is the call for it; its answer says nothing.
            let _ = recv(&self.media.fd, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
        }
    }
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
fn share(first: &Socket, index: u32, number: u32, size: u32) -> io::Result<Socket> {
    let fd = open_socket()?;
    let ring = receive_ring(&fd, size)?;
    let addr = SocketAddrXdp::new(SocketAddrXdpFlags::XDP_SHARED_UMEM, index, number);
    bind(&fd, &SocketAddrXdpWithSharedUmem { addr, shared_umem_fd: first.as_fd() })?;
    Ok(Socket { ring, fd, received: 0 })
}
