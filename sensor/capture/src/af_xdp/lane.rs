//! One AF_XDP socket as a feed of the merge: its frames in order, with the program's stamps.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use nightjar_wire::xdp::Metadata;
use nightjar_wire::{LinkType, Nanos};
use rustix::fd::OwnedFd;
use rustix::io;
use rustix::net::sockopt;
use rustix::net::xdp::{XdpDesc, XdpDescOptions, XdpStatistics};

use super::SocketKind;
use super::memory::Umem;
use super::ring::ReceiveRing;
use crate::clock::CaptureClock;
use crate::merge::Feed;
use crate::source::RawFrame;

/// A frame in several chunks is cut at this length; no IP datagram is longer.
const LONGEST: usize = 1 << 16;

/// A socket and what was read from it.
#[derive(Debug)]
pub(super) struct Lane {
    // The ring's mapping goes before the socket.
    ring: ReceiveRing,
    fd: OwnedFd,
    pub(super) kind: SocketKind,
    /// The interface's place in the source's list.
    interface: u16,
    umem: Arc<Umem>,
    /// How long a frame may be in the kernel's hands before it shows here.
    hold: Nanos,
    /// The next frame's stamp, once it was looked at.
    head: Option<Nanos>,
    /// Chunks that were read, until the queue gives them back.
    read: Vec<u64>,
    /// A frame in several chunks is put together here.
    jumbo: Vec<u8>,
    /// Frames given.
    pub(super) received: u64,
    /// Those of `received` without the program's stamp: they have the time of their reading.
    pub(super) unstamped: u64,
}

/// What a lane is made of.
pub(super) struct LaneParts {
    pub(super) ring: ReceiveRing,
    pub(super) fd: OwnedFd,
    pub(super) kind: SocketKind,
    pub(super) interface: u16,
    pub(super) umem: Arc<Umem>,
    pub(super) hold: Nanos,
}

impl Lane {
    /// A lane from which nothing was read.
    pub(super) fn new(parts: LaneParts) -> Lane {
        let LaneParts { ring, fd, kind, interface, umem, hold } = parts;
        let read = Vec::with_capacity(ring.size() as usize);
        let jumbo = Vec::with_capacity(LONGEST);
        Lane { ring, fd, kind, interface, umem, hold, head: None, read, jumbo, received: 0, unstamped: 0 }
    }

    /// The kernel's counts since the socket was opened.
    pub(super) fn statistics(&self) -> io::Result<XdpStatistics> {
        sockopt::xdp_statistics(&self.fd)
    }

    /// Takes the error that waits on the socket, if one does.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Errno>> {
        Ok(sockopt::socket_error(&self.fd)?.err())
    }

    /// The descriptor, for system calls on it.
    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }

    /// Frames' descriptors that wait in the ring at this moment.
    pub(super) fn waiting(&self) -> u32 {
        self.ring.in_ring()
    }

    /// How full the ring is, in thousandths.
    pub(super) fn fill(&self) -> u16 {
        let size = self.ring.size();
        (u64::from(self.waiting().min(size)) * 1_000 / u64::from(size)) as u16
    }

    /// Gives the ring's places back to the kernel; what was read goes to `chunk`.
    pub(super) fn release(&mut self, chunk: impl FnMut(u64)) {
        if !self.read.is_empty() {
            self.ring.release();
            self.read.drain(..).for_each(chunk);
        }
    }

    /// Takes the next frame.
    fn take(&mut self, at: Nanos, sink: &mut impl FnMut(RawFrame<'_>)) {
        let Some(descriptor) = self.ring.peek() else { return };
        self.head = None;
        self.ring.advance();
        self.read.push(self.umem.chunk_of(descriptor.addr));
        self.received += 1;
        let (link, interface) = (LinkType::Ethernet, self.interface);
        if continues(&descriptor) {
            self.gather(&descriptor);
            let (bytes, original_len) = (self.jumbo.as_slice(), self.jumbo.len() as u32);
            return sink(RawFrame { at, link, interface, bytes, original_len });
        }
        // SAFETY: taken from the ring; its chunk goes back with `release`, which is not called before
        // the sink has returned.
        let bytes = unsafe { self.umem.frame(descriptor.addr, descriptor.len) }.unwrap_or_default();
        sink(RawFrame { at, link, interface, bytes, original_len: descriptor.len });
    }

    /// Puts a frame that lies in several chunks together; the kernel shows its descriptors together.
    fn gather(&mut self, first: &XdpDesc) {
        self.jumbo.clear();
        let mut part = *first;
        loop {
            // SAFETY: as in `take`.
            let bytes = unsafe { self.umem.frame(part.addr, part.len) }.unwrap_or_default();
            let room = self.jumbo.capacity() - self.jumbo.len();
            self.jumbo.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if !continues(&part) {
                return;
            }
            let Some(next) = self.ring.peek() else { return };
            self.ring.advance();
            self.read.push(self.umem.chunk_of(next.addr));
            part = next;
        }
    }
}

impl Feed for Lane {
    #[inline]
    fn head(&mut self, clock: &CaptureClock) -> Option<Nanos> {
        if self.head.is_some() {
            return self.head;
        }
        // Places are given back after the round: then at the latest the rest of the ring shows.
        if self.ring.waiting() == 0
            && (self.read.len() as u32 >= self.ring.size() || self.ring.refresh() == 0)
        {
            return None;
        }
        let descriptor = self.ring.peek()?;
        // SAFETY: the descriptor waits in the ring, so its chunk is ours.
        let before: Option<[u8; Metadata::LEN]> = unsafe { self.umem.take_before(descriptor.addr) };
        let metadata = before.as_ref().and_then(|bytes| Metadata::read(bytes));
        self.unstamped += u64::from(metadata.is_none());
        let stamp = |metadata: Metadata| clock.of_monotonic(Nanos(metadata.monotonic_ns));
        self.head = Some(metadata.map_or_else(|| clock.now(), stamp));
        self.head
    }

    fn settled(&self, now: Nanos) -> Nanos {
        now - self.hold
    }

    fn is_pressed(&self) -> bool {
        self.ring.waiting() > self.ring.size() / 2
    }

    #[inline]
    fn give(
        &mut self,
        clock: &CaptureClock,
        until: Nanos,
        most: usize,
        sink: &mut impl FnMut(RawFrame<'_>),
    ) -> usize {
        let mut given = 0;
        while given < most {
            let Some(at) = self.head(clock).filter(|at| given == 0 || *at <= until) else { break };
            self.take(at, sink);
            given += 1;
        }
        given
    }
}

fn continues(descriptor: &XdpDesc) -> bool {
    descriptor.options.contains(XdpDescOptions::XDP_PKT_CONTD)
}
