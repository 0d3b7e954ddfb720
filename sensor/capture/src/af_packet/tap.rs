//! One interface's ring and socket: a feed of the merge.

use std::time::{Duration, Instant};

use nightjar_wire::{LinkType, Nanos};

use super::ring::Ring;
use crate::SourceError;
use crate::clock::CaptureClock;
use crate::interface::explain;
use crate::merge::Feed;
use crate::socket::{Bound, PacketSocket};
use crate::source::RawFrame;

/// One interface's ring and socket; the ring goes first.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) ring: Ring,
    pub(super) socket: PacketSocket,
    pub(super) link: LinkType,
    /// The interface's place in the source's list of interfaces.
    pub(super) number: u16,
    /// How long the kernel may keep a frame to itself.
    pub(super) hides: Nanos,
    /// When the interface was found to be gone; its last block may still be retired.
    pub(super) gone_since: Option<Instant>,
    /// The interface went down: look whether it still exists.
    pub(super) suspect: bool,
}

impl Tap {
    /// What to ask of `poll`: nothing while frames wait.
    pub(super) fn question(&mut self) -> libc::pollfd {
        // A negative descriptor is passed over.
        let fd = if self.ring.head().is_some() { -1 } else { self.socket.raw() };
        libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
    }

    /// Takes the socket's error. Down is a state, not a fault: frames come again when it is up.
    pub(super) fn look_at_error(&mut self) -> Result<(), SourceError> {
        match self.socket.take_error()? {
            Some(error) if error.raw_os_error() != Some(libc::ENETDOWN) => {
                Err(explain(error, "receive frames", self.socket.interface()))
            }
            _ => {
                self.suspect = true;
                Ok(())
            }
        }
    }

    /// Asks for the interface, when it went down.
    pub(super) fn look_whether_gone(&mut self) -> Result<(), SourceError> {
        if self.suspect && self.gone_since.is_none() && self.socket.bound()? == Bound::Gone {
            self.gone_since = Some(Instant::now());
        }
        Ok(())
    }

    /// The interface is gone and its last frames have been given.
    pub(super) fn is_over(&mut self) -> bool {
        let hides = Duration::from_nanos(self.hides.0);
        self.gone_since.is_some_and(|since| since.elapsed() > hides) && self.ring.head().is_none()
    }

    /// Frames that the kernel stored and dropped since it was last asked; asking sets its counts back.
    pub(super) fn kernel_counts(&self) -> (u64, u64) {
        let mut counts = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        if self.socket.get(level, option, &mut counts, "read the statistics").is_err() {
            return (0, 0);
        }
        // The kernel's count of packets includes those that it dropped.
        (u64::from(counts.tp_packets.saturating_sub(counts.tp_drops)), u64::from(counts.tp_drops))
    }
}

impl Feed for Tap {
    #[inline]
    fn head(&mut self, clock: &CaptureClock) -> Option<Nanos> {
        self.ring.head().map(|stamp| clock.of_stamp(stamp))
    }

    fn settled(&self, now: Nanos) -> Nanos {
        now - self.hides
    }

    fn is_pressed(&self) -> bool {
        self.ring.is_half_full()
    }

    #[inline]
    fn give(
        &mut self,
        clock: &CaptureClock,
        until: Nanos,
        most: usize,
        sink: &mut impl FnMut(&[RawFrame<'_>]),
    ) -> usize {
        self.suspect = false;
        let (link, interface) = (self.link, self.number);
        let mut given = 0;
        while self.ring.take(|frame| {
            let at = clock.of_stamp(frame.realtime);
            sink(&[RawFrame { at, link, interface, bytes: frame.bytes, original_len: frame.original_len }]);
        }) {
            given += 1;
            if given >= most || self.head(clock).is_none_or(|at| at > until) {
                break;
            }
        }
        given
    }
}
