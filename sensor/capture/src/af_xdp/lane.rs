//! One socket's frames as the merge sees them: the stamp of the next one, and taking it.

use nightjar_wire::Nanos;
use nightjar_wire::xdp::Metadata;
use rustix::net::xdp::{XdpDesc, XdpDescOptions};

use super::queue::{Queue, Socket};
use super::tap::{SocketKind, Tap};

/// A socket's place, and what waits first in its ring.
#[derive(Debug)]
pub(super) struct Lane {
    tap: usize,
    queue: usize,
    kind: SocketKind,
    /// The next frame's stamp (monotonic); `None` when none was seen.
    head: Option<Nanos>,
}

impl Lane {
    /// A lane per socket.
    pub(super) fn of_taps(taps: &[Tap]) -> Vec<Lane> {
        let mut lanes = Vec::new();
        for (tap, of) in taps.iter().enumerate() {
            for queue in 0..of.queues.len() {
                for kind in [SocketKind::Signalling, SocketKind::Media] {
                    lanes.push(Lane { tap, queue, kind, head: None });
                }
            }
        }
        lanes
    }

    /// Index of its interface's tap.
    pub(super) fn tap(&self) -> usize {
        self.tap
    }

    /// The next frame's stamp.
    pub(super) fn stamp(&self) -> Option<Nanos> {
        self.head
    }

    /// Signalling whose ring is more than half full.
    pub(super) fn is_crowded(&self, taps: &[Tap]) -> bool {
        if self.kind != SocketKind::Signalling || self.head.is_none() {
            return false;
        }
        let ring = &taps[self.tap].queues[self.queue].signalling.ring;
        ring.waiting() > ring.size() / 2
    }

    /// Asks the kernel for new frames; true when the next one has no stamp and got `now`.
    pub(super) fn refresh(&mut self, taps: &mut [Tap], now: Nanos) -> bool {
        let queue = &mut taps[self.tap].queues[self.queue];
        socket(queue, self.kind).ring.refresh();
        self.head.is_none() && self.look(taps, now)
    }

    /// Looks at the next frame; true when it has no stamp and got `now`.
    pub(super) fn look(&mut self, taps: &mut [Tap], now: Nanos) -> bool {
        let queue = &mut taps[self.tap].queues[self.queue];
        let Some(descriptor) = socket(queue, self.kind).ring.peek() else {
            self.head = None;
            return false;
        };
        // SAFETY: the descriptor waits in the ring, so its chunk is ours.
        let before: Option<[u8; Metadata::LEN]> = unsafe { queue.umem.take_before(descriptor.addr) };
        let metadata = before.as_ref().and_then(|bytes| Metadata::read(bytes));
        self.head = Some(metadata.map_or(now, |metadata| Nanos(metadata.monotonic_ns)));
        metadata.is_none()
    }

    /// Gives the next frame's bytes to `give` and its chunks back to the queue.
    pub(super) fn take(&mut self, taps: &mut [Tap], jumbo: &mut Vec<u8>, give: impl FnOnce(&[u8])) {
        let queue = &mut taps[self.tap].queues[self.queue];
        self.head = None;
        let Some(descriptor) = socket(queue, self.kind).ring.peek() else { return };
        socket(queue, self.kind).ring.advance();
        if continues(&descriptor) {
            self.gather(queue, descriptor, jumbo);
            give(jumbo);
        } else {
            // SAFETY: taken from the ring and not given back before the end of this function.
            give(unsafe { queue.umem.frame(descriptor.addr, descriptor.len) }.unwrap_or_default());
            queue.give_back(&descriptor);
        }
        socket(queue, self.kind).received += 1;
    }

    /// Puts a frame that lies in several chunks together. The kernel shows its descriptors together.
    fn gather(&self, queue: &mut Queue, first: XdpDesc, jumbo: &mut Vec<u8>) {
        jumbo.clear();
        let mut part = first;
        loop {
            // SAFETY: taken from the ring and given back below, after the copy.
            let bytes = unsafe { queue.umem.frame(part.addr, part.len) }.unwrap_or_default();
            // Within what was reserved: nothing is allocated here.
            let room = jumbo.capacity() - jumbo.len();
            jumbo.extend_from_slice(&bytes[..bytes.len().min(room)]);
            queue.give_back(&part);
            if !continues(&part) {
                return;
            }
            let ring = &mut socket(queue, self.kind).ring;
            let Some(next) = ring.peek() else { return };
            ring.advance();
            part = next;
        }
    }
}

fn continues(descriptor: &XdpDesc) -> bool {
    descriptor.options.contains(XdpDescOptions::XDP_PKT_CONTD)
}

fn socket(queue: &mut Queue, kind: SocketKind) -> &mut Socket {
    match kind {
        SocketKind::Signalling => &mut queue.signalling,
        SocketKind::Media => &mut queue.media,
    }
}
