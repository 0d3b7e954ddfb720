//! Live capture by AF_PACKET: a TPACKET_V3 ring per interface and capture core.
//!
//! Frames are as the kernel's stack sees them: a VLAN tag that the NIC or the kernel took out is put
//! back. What the NIC or GRO merged into one larger frame stays merged; for UDP that happens only
//! where `rx-udp-gro-forwarding` or `rx-gro-list` is on, which a mirror port must not have.

use std::io;
use std::time::{Duration, Instant};

use nightjar_wire::{LinkType, Nanos};

use crate::SourceError;
use crate::clock::CaptureClock;
use crate::interface::explain;
use crate::socket::{Bound, PacketSocket};
use crate::source::{PacketSource, RawFrame, Received, SourceStatistics};
use ring::Ring;

mod block;
mod ring;
mod setup;

/// How long one call waits for frames.
const PATIENCE_MS: libc::c_int = 20;
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
}

/// The live source of one capture core.
#[derive(Debug)]
pub struct AfPacketSource {
    /// One per interface that still exists.
    taps: Vec<Tap>,
    /// What is asked of `poll`, kept so that waiting allocates nothing.
    asked: Vec<libc::pollfd>,
    interfaces: Vec<String>,
    clock: CaptureClock,
    statistics: SourceStatistics,
    lateness_limit: Duration,
}

/// One interface's ring and socket; the ring goes first.
#[derive(Debug)]
struct Tap {
    ring: Ring,
    socket: PacketSocket,
    link: LinkType,
    /// The interface's place in [`AfPacketSource::interfaces`].
    number: u16,
    /// When the interface was found to be gone; its last block may still be retired.
    gone_since: Option<Instant>,
    /// The interface went down: look whether it still exists.
    suspect: bool,
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
        let lateness_limit = 2 * config.retire + LATE;
        let mut sources: Vec<AfPacketSource> = (0..cores)
            .map(|_| AfPacketSource {
                taps: Vec::new(),
                asked: Vec::with_capacity(config.interfaces.len()),
                interfaces: config.interfaces.clone(),
                clock,
                statistics: SourceStatistics::default(),
                lateness_limit,
            })
            .collect();
        for (number, interface) in (0..).zip(&config.interfaces) {
            let taps = setup::open_taps(config, interface, number, cores)?;
            for (source, tap) in sources.iter_mut().zip(taps) {
                source.taps.push(tap);
            }
        }
        sources.iter().flat_map(|source| &source.taps).try_for_each(setup::listen)?;
        Ok(sources)
    }

    /// The clock of this source's stamps.
    pub fn clock(&self) -> &CaptureClock {
        &self.clock
    }

    /// Gives the frames of one block, the one that begins first; returns how many. Rings in turn by
    /// their frames' times, so that none runs ahead of another that lags.
    fn take_block(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> usize {
        let stamped = self.taps.iter_mut().enumerate();
        let ready = stamped.filter_map(|(tap, of)| of.ring.first_stamp().map(|stamp| (stamp, tap)));
        let Some((_, tap)) = ready.min() else { return 0 };
        self.clock.measure();
        let Tap { ring, link, number: interface, suspect, .. } = &mut self.taps[tap];
        *suspect = false;
        let before = self.statistics.received;
        ring.take_block(|block| {
            block::each_frame(block, |frame| {
                let at = self.clock.of_stamp(frame.realtime);
                self.statistics.count(frame.bytes.len(), frame.original_len);
                let (bytes, original_len) = (frame.bytes, frame.original_len);
                sink(RawFrame { at, link: *link, interface: *interface, bytes, original_len });
            });
        });
        (self.statistics.received - before) as usize
    }

    /// Waits until a block is ready, at most [`PATIENCE_MS`].
    fn wait(&mut self) -> Result<(), SourceError> {
        let ask = |tap: &Tap| libc::pollfd { fd: tap.socket.raw(), events: libc::POLLIN, revents: 0 };
        self.asked.clear();
        self.asked.extend(self.taps.iter().map(ask));
        let count = self.asked.len() as libc::nfds_t;
        // SAFETY: the array is live and its length is passed.
        let ready = unsafe { libc::poll(self.asked.as_mut_ptr(), count, PATIENCE_MS) };
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

    /// Puts away a tap whose interface is gone and whose last frames have been given.
    fn drop_gone(&mut self) -> Result<(), SourceError> {
        for tap in &mut self.taps {
            tap.look_whether_gone()?;
        }
        let limit = self.lateness_limit;
        let over = |tap: &Tap| tap.gone_since.is_some_and(|since| since.elapsed() > limit);
        let Some(gone) = self.taps.iter().position(over) else { return Ok(()) };
        let mut tap = self.taps.remove(gone);
        self.statistics.ring_full += tap.dropped();
        Err(SourceError::InterfaceGone { interface: tap.socket.interface().to_owned() })
    }
}

impl Tap {
    /// Takes the socket's error. Down is a state, not a fault: frames come again when it is up.
    fn look_at_error(&mut self) -> Result<(), SourceError> {
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

    fn look_whether_gone(&mut self) -> Result<(), SourceError> {
        if self.suspect && self.gone_since.is_none() && self.socket.bound()? == Bound::Gone {
            self.gone_since = Some(Instant::now());
        }
        Ok(())
    }

    /// Frames that the kernel dropped since it was last asked; asking sets its count back.
    fn dropped(&mut self) -> u64 {
        let mut statistics = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        match self.socket.get(level, option, &mut statistics, "read the statistics") {
            Ok(()) => u64::from(statistics.tp_drops),
            Err(_) => 0,
        }
    }
}

impl PacketSource for AfPacketSource {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        if self.taps.is_empty() {
            return Ok(Received::End);
        }
        let mut frames = self.take_block(sink);
        if frames == 0 {
            self.wait()?;
            frames = self.take_block(sink);
        }
        if frames == 0 {
            self.drop_gone()?;
            return Ok(Received::Idle(self.clock.now()));
        }
        Ok(Received::Frames(frames))
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn statistics(&mut self) -> SourceStatistics {
        for tap in &mut self.taps {
            self.statistics.ring_full += tap.dropped();
        }
        let down = self.taps.iter().filter(|tap| !tap.socket.is_up()).count();
        SourceStatistics { interfaces_down: down as u32, ..self.statistics }
    }

    fn lateness_limit(&self) -> Nanos {
        Nanos(u64::try_from(self.lateness_limit.as_nanos()).unwrap_or(u64::MAX))
    }
}
