//! What every packet source offers: frames in batches, a clock, and counts of what it did.

use std::time::Duration;

use nightjar_wire::{Endpoint, LinkType, Nanos};

use crate::{SourceError, XdpCounts};

/// One captured frame, borrowed from the source for the length of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// When it was captured. Stamps of a file are given as they stand there: they may jump or run
    /// backwards.
    pub at: Nanos,
    /// The link layer that the bytes begin with.
    pub link: LinkType,
    /// Where it was captured: an index into [`PacketSource::interfaces`].
    pub interface: u16,
    /// The frame as it was on the wire, VLAN tags included, as far as it was captured.
    pub bytes: &'a [u8],
    /// Its length on the wire in bytes; more than `bytes` holds when the capture cut it.
    pub original_len: u32,
}

impl RawFrame<'_> {
    /// No frame: what a run is filled up with.
    pub(crate) const NONE: RawFrame<'static> =
        RawFrame { at: Nanos::ZERO, link: LinkType::Ethernet, interface: 0, bytes: &[], original_len: 0 };
}

/// What one call of [`PacketSource::receive`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// That many frames went to the sink. It may be 0 (only blocks without frames were read).
    Frames(usize),
    /// Nothing could be given within the source's patience (at most 20 ms); its clock, which is no
    /// later than what it gives from then on.
    Idle(Nanos),
    /// The source has ended; further calls say so again.
    End,
}

/// How a source takes it to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// There is nothing more to receive.
    AtOnce,
    /// What had arrived is still to be received, up to [`Received::End`].
    Draining,
}

/// A time in which a live source lost frames, because one of its rings was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLoss {
    /// The last moment at which none of them was lost yet, on the capture clock.
    pub from: Nanos,
    /// When all of them were lost.
    pub to: Nanos,
    /// How many.
    pub frames: u64,
}

/// What a source has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStatistics {
    /// Frames given to the sink.
    pub received: u64,
    /// Bytes of those frames, as far as they were captured.
    pub bytes: u64,
    /// Those of `received` that hold fewer bytes than were on the wire.
    pub truncated: u64,
    /// Frames of a file that were not given to the sink, because the link layer of their interface
    /// is not decoded. They are in no other count.
    pub unknown_link: u64,
    /// Those of `received` that a live source gave behind one with a later stamp: they became
    /// visible too late to be put in order.
    pub out_of_order: u64,
    /// Frames that the kernel dropped because the ring was full. They are in no other count.
    pub ring_full: u64,
    /// Frames that wait in a live source's ring at this moment: the kernel's count of what it has
    /// stored, less `received`.
    pub in_ring: u64,
    /// Interfaces of a live source that are down at this moment; they are captured again when
    /// they come up.
    pub interfaces_down: u32,
}

impl SourceStatistics {
    /// Counts one frame that goes to the sink.
    #[inline]
    pub(crate) fn count(&mut self, captured: usize, original_len: u32) {
        self.received += 1;
        self.bytes += captured as u64;
        self.truncated += u64::from(captured < original_len as usize);
    }

    /// Counts frames that go to the sink.
    #[inline]
    pub(crate) fn count_all(&mut self, frames: &[RawFrame<'_>]) {
        for frame in frames {
            self.count(frame.bytes.len(), frame.original_len);
        }
    }

    /// Adds another source's counts, for sources that were read one after the other.
    pub(crate) fn add(&mut self, other: &SourceStatistics) {
        self.received += other.received;
        self.bytes += other.bytes;
        self.truncated += other.truncated;
        self.unknown_link += other.unknown_link;
        self.out_of_order += other.out_of_order;
        self.ring_full += other.ring_full;
        self.in_ring += other.in_ring;
        self.interfaces_down += other.interfaces_down;
    }
}

/// What a live source's rings lose, and how full they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingLoad {
    /// Frames lost since the source was opened because a ring, or the memory behind it, was full.
    pub lost: u64,
    /// The fullest ring, in thousandths.
    pub fullest: u16,
}

/// A span as the capture clock counts.
pub(crate) fn whole_nanos(span: Duration) -> Nanos {
    Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

/// A source of frames: files, a live interface, memory. The pipeline is the same behind each.
pub trait PacketSource {
    /// Gives one batch of frames to `sink`: a file's as they stand there, a live source's in order of
    /// their stamps, over all of its interfaces. Blocks for 20 ms at most when the source is live.
    ///
    /// # Errors
    /// [`SourceError`] when the source is at fault, after all frames before the fault have been
    /// given. The next call goes on behind the fault where there is something (another file), else
    /// it says [`Received::End`].
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError>;

    /// As [`PacketSource::receive`], several frames at a time where the source has them at hand: who
    /// looks at all of them first waits for memory once.
    ///
    /// # Errors
    /// As [`PacketSource::receive`].
    fn receive_runs(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Result<Received, SourceError> {
        self.receive(&mut |frame| sink(std::slice::from_ref(&frame)))
    }

    /// Lets nothing more in. A live source then still gives what had arrived by now.
    ///
    /// # Errors
    /// [`SourceError`] when the source cannot be stopped.
    fn stop(&mut self) -> Result<Stopped, SourceError> {
        Ok(Stopped::AtOnce)
    }

    /// The names that [`RawFrame::interface`] counts. The list may grow with each batch; an index
    /// never changes its name.
    fn interfaces(&self) -> &[String];

    /// Counts since the source was opened.
    fn statistics(&mut self) -> SourceStatistics;

    /// How far behind this source's clock (its newest stamp, or [`Received::Idle`]'s) a frame may
    /// still be stamped that has not been given yet, should it come too late to be put in order. Zero
    /// for files and memory.
    fn lateness_limit(&self) -> Nanos {
        Nanos::ZERO
    }

    /// Media of a call goes to this endpoint or comes from it: a source that chooses what it gives shall
    /// give all of it.
    fn learn(&mut self, _endpoint: Endpoint) {}

    /// Only calls that are refused or cut name this endpoint: a source that chooses what it gives shall
    /// drop what goes there or comes from there, signalling left out.
    fn shed(&mut self, _endpoint: Endpoint) {}

    /// No call names this endpoint any more.
    fn forget(&mut self, _endpoint: Endpoint) {}

    /// How its rings are doing. Some system calls, made some hundred times a second.
    fn ring_load(&mut self) -> RingLoad {
        RingLoad::default()
    }

    /// The latest time in which a ring lost frames, told once. To be asked after each batch; a source looks
    /// as often as it needs to tell such a time to 20 ms.
    fn take_ring_loss(&mut self) -> Option<RingLoss> {
        None
    }

    /// What the XDP program and the kernel have counted per interface, where there is one: levels 2 and
    /// 3 of the ledger.
    fn xdp_counts(&self) -> Vec<XdpCounts> {
        Vec::new()
    }

    /// How much of a file has been read and how long it is, in bytes as they are stored; `None`
    /// where there is no end to measure by (a pipe, an interface).
    fn progress(&self) -> Option<(u64, u64)> {
        None
    }
}

#[cfg(test)]
mod tests {
    fn moves_to_a_capture_core<S: super::PacketSource + Send>() {}

    #[test]
    fn every_source_can_move_to_its_capture_core() {
        moves_to_a_capture_core::<crate::AfPacketSource>();
        moves_to_a_capture_core::<crate::Paced<crate::CaptureFiles>>();
        moves_to_a_capture_core::<crate::fakes::MemorySource>();
    }
}
