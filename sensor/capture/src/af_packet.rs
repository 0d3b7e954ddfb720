//! Live capture by AF_PACKET: a TPACKET_V3 ring per interface and capture core.
//!
//! Frames are as the kernel's stack sees them: a VLAN tag that the NIC or the kernel took out is put
//! back. What the NIC or GRO merged into one larger frame stays merged; for UDP that happens only
//! where `rx-udp-gro-forwarding` or `rx-gro-list` is on, which a mirror port must not have.

use std::io;
use std::time::Duration;

use nightjar_wire::Nanos;

use crate::SourceError;
use crate::clock::CaptureClock;
use crate::interface::explain;
use crate::live::{self, Live};
use crate::loss_watch::LossWatch;
use crate::merge::{Merge, Round};
use crate::source::{
    PacketSource, RawFrame, Received, RingLoad, RingLoss, SourceStatistics, Stopped, whole_nanos,
};
use setup::Spread;
use tap::Tap;

mod block;
mod ring;
mod setup;
mod tap;

/// How long one call waits for frames.
const PATIENCE_MS: libc::c_int = 20;
/// How long it waits while frames are held back.
const SHORT_PATIENCE_MS: libc::c_int = 10;
/// Frames of one batch at most.
const BATCH: usize = 1_024;
/// What a block may be late by beyond its retirement: the kernel's timer and the wake-up.
const LATE: Duration = Duration::from_millis(20);

/// How to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfPacketConfig {
    /// The interfaces, in the order in which [`RawFrame::interface`] counts them.
    pub interfaces: Vec<String>,
    /// Bytes of a block: a power of two of at least 4,096. Longer frames are cut.
    pub block_bytes: u32,
    /// Blocks per ring. Each capture core has a ring per interface.
    pub blocks: u32,
    /// How long a block that is not full waits for more frames; whole milliseconds.
    pub retire: Duration,
    /// Take frames that are addressed to others: all of a mirror port's are.
    pub promiscuous: bool,
}

impl AfPacketConfig {
    /// 128 blocks of 256 KiB (32 MiB a ring), 10 ms, promiscuous.
    pub fn new(interfaces: &[impl AsRef<str>]) -> AfPacketConfig {
        AfPacketConfig {
            interfaces: interfaces.iter().map(|name| name.as_ref().to_owned()).collect(),
            block_bytes: 256 << 10,
            blocks: 128,
            retire: Duration::from_millis(10),
            promiscuous: true,
        }
    }

    /// With rings of about `mib` MiB each.
    #[must_use]
    pub fn with_ring_mib(mut self, mib: u32) -> AfPacketConfig {
        self.blocks = mib.saturating_mul((1 << 20) / self.block_bytes).max(2);
        self
    }

    /// How long the kernel may keep a frame to itself: a block that is not full is handed over at the
    /// second tick of its timer at the latest.
    fn hides(&self) -> Nanos {
        whole_nanos(2 * self.retire + LATE)
    }
}

/// Where a source that was opened by queue saw a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePlace {
    /// An index into the interfaces that were asked for.
    pub interface: u16,
    /// The receive queue; `None` when the driver noted none.
    pub queue: Option<u16>,
}

/// The live source of one capture core: its interfaces as one, in order of their stamps. Its clock
/// runs behind the host's by what the kernel may still keep to itself.
#[derive(Debug)]
pub struct AfPacketSource {
    /// One per interface that still exists.
    taps: Vec<Tap>,
    merge: Merge,
    /// What is asked of `poll`, kept so that waiting allocates nothing.
    asked: Vec<libc::pollfd>,
    interfaces: Vec<String>,
    clock: CaptureClock,
    statistics: SourceStatistics,
    losses: LossWatch,
    /// Frames that the kernel has stored in the rings.
    stored: u64,
    /// When the taps were told to let nothing more in.
    stopped_at: Option<Nanos>,
}

impl AfPacketSource {
    /// Captures on one core.
    ///
    /// # Errors
    /// [`SourceError`] when an interface does not exist or has a link layer that is not decoded, when
    /// `CAP_NET_RAW` is missing, or when the kernel refuses the ring. An interface that is down is none:
    /// it is captured when it comes up.
    pub fn open(config: &AfPacketConfig, clock: CaptureClock) -> Result<AfPacketSource, SourceError> {
        let mut sources = AfPacketSource::open_group(config, 1, clock)?;
        Ok(sources.remove(0))
    }

    /// Captures on `cores` cores: a source for each. Every frame goes to one of them, by the
    /// kernel's symmetric hash of addresses and ports, so that both directions of a flow (and all
    /// fragments between two hosts) meet.
    ///
    /// # Errors
    /// As [`AfPacketSource::open`].
    ///
    /// # Panics
    /// When `cores` is 0.
    pub fn open_group(
        config: &AfPacketConfig,
        cores: usize,
        clock: CaptureClock,
    ) -> Result<Vec<AfPacketSource>, SourceError> {
        assert!(cores > 0, "a capture needs a core");
        let mut sources: Vec<AfPacketSource> =
            (0..cores).map(|_| AfPacketSource::without_taps(config.interfaces.clone(), clock)).collect();
        for (number, interface) in (0..).zip(&config.interfaces) {
            let taps = setup::open_taps(config, interface, number, cores, Spread::ByFlow)?;
            for (source, tap) in sources.iter_mut().zip(taps) {
                source.taps.push(tap);
            }
        }
        sources.iter().flat_map(|source| &source.taps).try_for_each(setup::listen)?;
        Ok(sources)
    }

    /// Captures on one core, with a ring per receive queue, so that it is seen how a NIC spreads flows.
    /// `queues` says how many each interface has. [`RawFrame::interface`] then counts the places that come
    /// with the source. A driver that notes no queue has its frames at a place without one; virtual
    /// interfaces may note the queue that their peer sent by.
    ///
    /// # Errors
    /// As [`AfPacketSource::open`]; also when an interface is down.
    pub fn open_by_queue(
        config: &AfPacketConfig,
        queues: &[u16],
        clock: CaptureClock,
    ) -> Result<(AfPacketSource, Vec<QueuePlace>), SourceError> {
        let mut places = Vec::new();
        for (interface, &queues) in (0..).zip(queues) {
            let seen = if queues > 1 { 0..queues } else { 0..0 };
            let numbers = std::iter::once(None).chain(seen.map(Some));
            places.extend(numbers.map(|queue| QueuePlace { interface, queue }));
        }
        let name = |place: &QueuePlace| config.interfaces[usize::from(place.interface)].clone();
        let mut source = AfPacketSource::without_taps(places.iter().map(name).collect(), clock);
        for (number, interface) in (0u16..).zip(&config.interfaces) {
            let rings = places.iter().filter(|place| place.interface == number).count();
            for mut tap in setup::open_taps(config, interface, number, rings, Spread::ByQueue)? {
                tap.number = source.taps.len() as u16;
                source.taps.push(tap);
            }
        }
        source.taps.iter().try_for_each(setup::listen)?;
        Ok((source, places))
    }

    fn without_taps(interfaces: Vec<String>, clock: CaptureClock) -> AfPacketSource {
        AfPacketSource {
            taps: Vec::new(),
            merge: Merge::new(interfaces.len()),
            asked: Vec::with_capacity(interfaces.len()),
            interfaces,
            clock,
            statistics: SourceStatistics::default(),
            losses: LossWatch::new(clock.now()),
            stored: 0,
            stopped_at: None,
        }
    }

    /// The clock of this source's stamps.
    pub fn clock(&self) -> &CaptureClock {
        &self.clock
    }

    /// Adds what the kernel has counted since it was last asked.
    fn count_kernels(&mut self) {
        for tap in &self.taps {
            let (stored, dropped) = tap.kernel_counts();
            self.stored += stored;
            self.statistics.ring_full += dropped;
        }
    }
}

impl Live for AfPacketSource {
    fn drop_gone(&mut self) -> Result<bool, SourceError> {
        for tap in &mut self.taps {
            tap.look_whether_gone()?;
        }
        let Some(gone) = self.taps.iter_mut().position(Tap::is_over) else { return Ok(self.taps.is_empty()) };
        self.count_kernels();
        let tap = self.taps.remove(gone);
        Err(SourceError::InterfaceGone { interface: tap.socket.interface().to_owned() })
    }

    fn give(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Round {
        self.clock.measure();
        let now = self.clock.now();
        let statistics = &mut self.statistics;
        self.merge.give(&mut self.taps, &self.clock, now, BATCH, &mut |frames| {
            statistics.count_all(frames);
            sink(frames);
        })
    }

    /// Waits until a block is ready in a ring that has none, for [`PATIENCE_MS`] at most, or
    /// [`SHORT_PATIENCE_MS`] when others hold frames back for it.
    fn wait(&mut self, round: Round) -> Result<(), SourceError> {
        self.asked.clear();
        self.asked.extend(self.taps.iter_mut().map(Tap::question));
        let count = self.asked.len() as libc::nfds_t;
        let patience = if round.holds { SHORT_PATIENCE_MS } else { PATIENCE_MS };
        // SAFETY: the array is live and its length is passed.
        let ready = unsafe { libc::poll(self.asked.as_mut_ptr(), count, patience) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(explain(error, "wait for frames", &self.interfaces.join(", "))),
            };
        }
        for (tap, answer) in self.taps.iter_mut().zip(&self.asked) {
            if answer.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
                tap.look_at_error()?;
            }
        }
        Ok(())
    }

    fn has_ended(&self, round: Round) -> bool {
        round.is_last(self.stopped_at)
    }
}

impl PacketSource for AfPacketSource {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        live::receive(self, &mut live::each(sink))
    }

    fn receive_runs(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Result<Received, SourceError> {
        live::receive(self, sink)
    }

    fn stop(&mut self) -> Result<Stopped, SourceError> {
        self.taps.iter().try_for_each(|tap| setup::refuse_all(&tap.socket))?;
        self.stopped_at.get_or_insert(self.clock.now());
        Ok(Stopped::Draining)
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn statistics(&mut self) -> SourceStatistics {
        self.count_kernels();
        let in_ring = self.stored.saturating_sub(self.statistics.received);
        let interfaces_down = self.taps.iter().filter(|tap| !tap.socket.is_up()).count() as u32;
        let out_of_order = self.merge.out_of_order();
        SourceStatistics { in_ring, out_of_order, interfaces_down, ..self.statistics }
    }

    fn ring_load(&mut self) -> RingLoad {
        self.count_kernels();
        let fullest = self.taps.iter().map(|tap| tap.ring.fill()).max().unwrap_or(0);
        RingLoad { lost: self.statistics.ring_full, fullest }
    }

    fn take_ring_loss(&mut self) -> Option<RingLoss> {
        let now = self.clock.now();
        if self.stopped_at.is_none() && !self.losses.is_due(now) {
            return None;
        }
        self.count_kernels();
        self.losses.look(now, self.statistics.ring_full)
    }

    fn lateness_limit(&self) -> Nanos {
        whole_nanos(LATE)
    }
}
