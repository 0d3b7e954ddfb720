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

/// Frames that are given at a time.
const RUN: usize = 32;

/// How many frames ahead memory is asked for one.
const AHEAD: u32 = 8;

/// A socket and what was read from it.
#[derive(Debug)]
pub(super) struct Lane {
    // The ring's mapping goes before the socket.
    reader: Reader,
    fd: OwnedFd,
    pub(super) kind: SocketKind,
    /// The interface's place in the source's list.
    interface: u16,
    umem: Arc<Umem>,
    /// How long a frame may be in the kernel's hands before it shows here.
    hold: Nanos,
    /// A frame in several chunks is put together here.
    jumbo: Vec<u8>,
}

/// How far the ring has been read.
#[derive(Debug)]
struct Reader {
    ring: ReceiveRing,
    /// The next frame's stamp, once it was looked at.
    head: Option<Nanos>,
    /// Chunks that were read, until the queue gives them back.
    read: Vec<u64>,
    /// Frames given.
    received: u64,
    /// Those of `received` without the program's stamp: they have the time of their reading.
    unstamped: u64,
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
        let reader = Reader { ring, head: None, read, received: 0, unstamped: 0 };
        Lane { reader, fd, kind, interface, umem, hold, jumbo }
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
        self.reader.ring.in_ring()
    }

    /// Frames given.
    pub(super) fn received(&self) -> u64 {
        self.reader.received
    }

    /// Those of [`Lane::received`] without the program's stamp: they have the time of their reading.
    pub(super) fn unstamped(&self) -> u64 {
        self.reader.unstamped
    }

    /// How full the ring is, in thousandths.
    pub(super) fn fill(&self) -> u16 {
        let size = self.reader.ring.size();
        (u64::from(self.waiting().min(size)) * 1_000 / u64::from(size)) as u16
    }

    /// Gives the ring's places back to the kernel; what was read goes to `chunk`.
    pub(super) fn release(&mut self, chunk: impl FnMut(u64)) {
        let Reader { ring, read, .. } = &mut self.reader;
        if !read.is_empty() {
            ring.release();
            read.drain(..).for_each(chunk);
        }
    }

    /// Gives the next frame, which lies in several chunks.
    fn give_jumbo(&mut self, at: Nanos, first: &XdpDesc, sink: &mut impl FnMut(&[RawFrame<'_>])) {
        self.gather(first);
        let (bytes, original_len) = (self.jumbo.as_slice(), self.jumbo.len() as u32);
        sink(&[RawFrame { at, link: LinkType::Ethernet, interface: self.interface, bytes, original_len }]);
    }

    /// Puts a frame that lies in several chunks together; the kernel shows its descriptors together.
    fn gather(&mut self, first: &XdpDesc) {
        self.jumbo.clear();
        let mut part = *first;
        loop {
            // SAFETY: taken from the ring; its chunk goes back with `release`, which is not called before
            // the sink has returned.
            let bytes = unsafe { self.umem.frame(part.addr, part.len) }.unwrap_or_default();
            let room = self.jumbo.capacity() - self.jumbo.len();
            self.jumbo.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if !continues(&part) {
                return;
            }
            let Some(next) = self.reader.ring.peek() else { return };
            self.reader.ring.advance();
            self.reader.read.push(self.umem.chunk_of(next.addr));
            part = next;
        }
    }

    /// Gives frames as one run; ends behind a frame in several chunks. The first goes if it is stamped
    /// until `first_until`, those behind it until `until`.
    fn give_run(
        &mut self,
        clock: &CaptureClock,
        (first_until, until): (Nanos, Nanos),
        most: usize,
        sink: &mut impl FnMut(&[RawFrame<'_>]),
    ) -> usize {
        let (mut run, mut len) = ([RawFrame::NONE; RUN], 0);
        let mut jumbo = None;
        while len < most.min(RUN) {
            let limit = if len == 0 { first_until } else { until };
            let Some(at) = self.reader.head(&self.umem, clock).filter(|at| *at <= limit) else { break };
            let Some(descriptor) = self.reader.take(&self.umem) else { break };
            if continues(&descriptor) {
                jumbo = Some((at, descriptor));
                break;
            }
            // SAFETY: as in `gather`.
            let bytes = unsafe { self.umem.frame(descriptor.addr, descriptor.len) }.unwrap_or_default();
            let (interface, original_len) = (self.interface, descriptor.len);
            run[len] = RawFrame { at, link: LinkType::Ethernet, interface, bytes, original_len };
            len += 1;
        }
        if len > 0 {
            sink(&run[..len]);
        }
        if let Some((at, first)) = jumbo {
            self.give_jumbo(at, &first, sink);
            len += 1;
        }
        len
    }
}

impl Reader {
    /// The stamp of the frame that is next.
    #[inline]
    fn head(&mut self, umem: &Umem, clock: &CaptureClock) -> Option<Nanos> {
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
        if let Some(later) = self.ring.peek_behind(AHEAD) {
            umem.fetch(later.addr);
        }
        // SAFETY: the descriptor waits in the ring, so its chunk is ours.
        let metadata = unsafe { umem.metadata(descriptor.addr) };
        self.unstamped += u64::from(metadata.is_none());
        let stamp = |metadata: Metadata| clock.of_monotonic(Nanos(metadata.monotonic_ns));
        self.head = Some(metadata.map_or_else(|| clock.now(), stamp));
        self.head
    }

    /// Takes the next frame's first descriptor.
    #[inline]
    fn take(&mut self, umem: &Umem) -> Option<XdpDesc> {
        let descriptor = self.ring.peek()?;
        self.head = None;
        self.ring.advance();
        self.read.push(umem.chunk_of(descriptor.addr));
        self.received += 1;
        Some(descriptor)
    }
}

impl Feed for Lane {
    #[inline]
    fn head(&mut self, clock: &CaptureClock) -> Option<Nanos> {
        self.reader.head(&self.umem, clock)
    }

    fn settled(&self, now: Nanos) -> Nanos {
        now - self.hold
    }

    fn is_pressed(&self) -> bool {
        self.reader.ring.waiting() > self.reader.ring.size() / 2
    }

    fn give(
        &mut self,
        clock: &CaptureClock,
        until: Nanos,
        most: usize,
        sink: &mut impl FnMut(&[RawFrame<'_>]),
    ) -> usize {
        let mut given = 0;
        while given < most {
            // The next frame goes in any case.
            let first_until = if given == 0 { Nanos::MAX } else { until };
            match self.give_run(clock, (first_until, until), most - given, sink) {
                0 => break,
                run => given += run,
            }
        }
        given
    }
}

fn continues(descriptor: &XdpDesc) -> bool {
    descriptor.options.contains(XdpDescOptions::XDP_PKT_CONTD)
}
