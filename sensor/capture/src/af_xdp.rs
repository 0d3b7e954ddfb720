//! Live capture past the kernel's stack: an XDP program on each interface, AF_XDP sockets on each of
//! its queues.
//!
//! Frames of all queues come out in the order of their stamps. The program writes the stamps; a frame
//! becomes visible here a little later, with its NAPI poll's others, so frames are held back for
//! [`AfXdpConfig::hold`] and merged. One that appears later still is given at once, counted as late.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nightjar_wire::{LinkType, Nanos};
use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

use crate::SourceError;
use crate::clock::CaptureClock;
use crate::interface::explain;
use crate::source::{PacketSource, RawFrame, Received, SourceStatistics};
use lane::Lane;
pub use program::{Learned, ProgramConfig, ProgramError, ProgramMode, XdpProgram};
pub use queue::{CopyMode, QueueSizes};
use tap::Tap;
pub use tap::{SocketCounts, SocketKind, TapModes, XdpCounts};

mod lane;
mod memory;
mod program;
mod queue;
mod ring;
mod tap;

/// Frames that one call gives at most.
const BATCH: usize = 512;
/// How long one call waits for frames.
const PATIENCE_MS: libc::c_int = 20;
/// What a frame may be late by beyond the hold-back: a NAPI poll that lost its CPU.
const LATE: Duration = Duration::from_millis(20);

/// How to capture.
#[derive(Clone)]
pub struct AfXdpConfig {
    /// The interfaces, in the order in which [`RawFrame::interface`] counts them.
    pub interfaces: Vec<String>,
    /// Which queues of each; all when empty.
    pub queues: Vec<u32>,
    /// Rings and memory of each queue.
    pub sizes: QueueSizes,
    /// What the program is told.
    pub program: ProgramConfig,
    /// Where the program is to run; the best that works when `None`.
    pub mode: Option<ProgramMode>,
    /// Let the NIC write into our memory where its driver can.
    pub zero_copy: bool,
    /// How long frames wait for those of other queues with earlier stamps.
    pub hold: Duration,
}

impl AfXdpConfig {
    /// All queues, the best mode that works, 1 ms of hold-back.
    pub fn new(interfaces: &[impl AsRef<str>]) -> AfXdpConfig {
        AfXdpConfig {
            interfaces: interfaces.iter().map(|name| name.as_ref().to_owned()).collect(),
            queues: Vec::new(),
            sizes: QueueSizes::default(),
            program: ProgramConfig::default(),
            mode: None,
            zero_copy: true,
            hold: Duration::from_millis(1),
        }
    }
}

/// The live source of one capture core.
#[derive(Debug)]
pub struct AfXdpSource {
    /// One per interface that still exists.
    taps: Vec<Tap>,
    /// One per socket, sorted as the taps' sockets are.
    lanes: Vec<Lane>,
    interfaces: Vec<String>,
    clock: CaptureClock,
    hold: Nanos,
    /// What is asked of `poll`, kept so that waiting allocates nothing.
    asked: Vec<libc::pollfd>,
    /// A frame in several buffers is put together here.
    jumbo: Vec<u8>,
    statistics: SourceStatistics,
    counts: AfXdpCounts,
    /// Stamp of the newest frame that was given.
    newest: Nanos,
}

/// What the source counted of its own doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AfXdpCounts {
    /// Frames that were given after one with a later stamp.
    pub late: u64,
    /// Frames without the program's stamp; they have the time of their reading.
    pub unstamped: u64,
}

impl AfXdpSource {
    /// Captures on one core: opens the sockets, loads the program and attaches it.
    ///
    /// # Errors
    /// [`SourceError`] when an interface does not exist, when a capability is missing, or when the
    /// kernel refuses sockets or program.
    pub fn open(config: &AfXdpConfig, clock: CaptureClock) -> Result<AfXdpSource, SourceError> {
        let mut taps = Vec::with_capacity(config.interfaces.len());
        for (number, interface) in (0..).zip(&config.interfaces) {
            taps.push(Tap::open(config, interface, number)?);
        }
        for tap in &mut taps {
            tap.attach(config.mode)?;
        }
        let lanes = Lane::of_taps(&taps);
        Ok(AfXdpSource {
            taps,
            interfaces: config.interfaces.clone(),
            clock,
            hold: Nanos(u64::try_from(config.hold.as_nanos()).unwrap_or(u64::MAX)),
            asked: Vec::with_capacity(lanes.len()),
            lanes,
            jumbo: Vec::with_capacity(1 << 16),
            statistics: SourceStatistics::default(),
            counts: AfXdpCounts::default(),
            newest: Nanos::ZERO,
        })
    }

    /// The clock of this source's stamps.
    pub fn clock(&self) -> &CaptureClock {
        &self.clock
    }

    /// How each interface is captured, in their order.
    pub fn modes(&self) -> Vec<TapModes> {
        self.taps.iter().map(Tap::modes).collect()
    }

    /// What the source counted of its own doing.
    pub fn counts(&self) -> AfXdpCounts {
        self.counts
    }

    /// What the program and the kernel counted, for each interface that still exists.
    ///
    /// # Errors
    /// When the kernel refuses to say.
    pub fn xdp_counts(&self) -> Result<Vec<XdpCounts>, ProgramError> {
        self.taps.iter().map(Tap::counts).collect()
    }

    /// The programs, one per interface that still exists, to tell them of endpoints.
    pub fn programs(&mut self) -> impl Iterator<Item = &mut XdpProgram> {
        self.taps.iter_mut().map(|tap| &mut tap.program)
    }

    /// Takes the programs off their interfaces: nothing more comes, what waits is still read.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn detach(&mut self) -> Result<(), ProgramError> {
        self.hold = Nanos::ZERO;
        self.taps.iter_mut().try_for_each(|tap| tap.program.detach())
    }

    /// Gives frames stamped up to `horizon` (monotonic), the earliest first.
    fn give(&mut self, now: Nanos, sink: &mut impl FnMut(RawFrame<'_>)) -> usize {
        let horizon = now - self.hold;
        for lane in &mut self.lanes {
            self.counts.unstamped += u64::from(lane.refresh(&mut self.taps, now));
        }
        let mut given = 0;
        while given < BATCH {
            let Some(next) = self.next_lane(horizon) else { break };
            self.give_head(next, now, sink);
            given += 1;
        }
        if given > 0 {
            self.taps.iter_mut().for_each(Tap::give_back);
        }
        given
    }

    /// The lane whose frame is next. Signalling that fills its ring comes first of all; it must never
    /// be shed.
    fn next_lane(&self, horizon: Nanos) -> Option<usize> {
        let crowded = |lane: &&(usize, &Lane)| lane.1.is_crowded(&self.taps);
        let ripe = |(number, lane): (usize, &Lane)| {
            lane.stamp().filter(|stamp| *stamp <= horizon).map(|stamp| (stamp, number))
        };
        if let Some((number, _)) = self.lanes.iter().enumerate().find(|lane| crowded(&lane)) {
            return Some(number);
        }
        self.lanes.iter().enumerate().filter_map(ripe).min().map(|(_, number)| number)
    }

    fn give_head(&mut self, number: usize, now: Nanos, sink: &mut impl FnMut(RawFrame<'_>)) {
        let lane = &mut self.lanes[number];
        let interface = self.taps[lane.tap()].number();
        let Some(stamp) = lane.stamp() else { return };
        let at = self.clock.of_monotonic(stamp);
        self.counts.late += u64::from(at < self.newest);
        self.newest = self.newest.max(at);
        let statistics = &mut self.statistics;
        lane.take(&mut self.taps, &mut self.jumbo, |bytes| {
            let original_len = bytes.len() as u32;
            statistics.count(bytes.len(), original_len);
            sink(RawFrame { at, link: LinkType::Ethernet, interface, bytes, original_len });
        });
        self.counts.unstamped += u64::from(lane.look(&mut self.taps, now));
    }

    /// Waits until a frame is there and old enough, at most [`PATIENCE_MS`].
    fn wait(&mut self) -> Result<(), SourceError> {
        if self.lanes.iter().all(|lane| lane.stamp().is_none()) {
            self.wait_for_frames()?;
        }
        if self.hold > Nanos::ZERO {
            let hold = Timespec { tv_sec: 0, tv_nsec: self.hold.0.min(999_999_999) as i64 };
            // Woken early by a signal is as good.
            let _: NanosleepRelativeResult = nanosleep(&hold);
        }
        Ok(())
    }

    fn wait_for_frames(&mut self) -> Result<(), SourceError> {
        let sockets = self.taps.iter().flat_map(Tap::sockets);
        let ask = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        self.asked.clear();
        self.asked.extend(sockets.map(|socket| ask(socket.as_fd().as_raw_fd())));
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
        // A socket whose interface was removed is not reported by `poll`: it is silent.
        if ready == 0 {
            self.taps.iter_mut().for_each(Tap::look_whether_gone);
        }
        Ok(())
    }

    /// Puts away a tap whose interface is gone and whose last frames have been given.
    fn drop_gone(&mut self) -> Result<(), SourceError> {
        let Some(gone) = self.taps.iter().position(Tap::is_gone) else { return Ok(()) };
        let tap = self.taps.remove(gone);
        self.statistics.ring_full += tap.ring_full();
        self.lanes = Lane::of_taps(&self.taps);
        Err(SourceError::InterfaceGone { interface: tap.interface().to_owned() })
    }
}

impl PacketSource for AfXdpSource {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        if self.taps.is_empty() {
            return Ok(Received::End);
        }
        let mut frames = self.give(CaptureClock::monotonic(), sink);
        if frames == 0 {
            self.wait()?;
            frames = self.give(CaptureClock::monotonic(), sink);
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
        let ring_full: u64 = self.taps.iter().map(Tap::ring_full).sum();
        let in_ring = self.taps.iter_mut().map(Tap::waiting).sum();
        let down = self.taps.iter().filter(|tap| !tap.is_up()).count();
        SourceStatistics {
            ring_full: self.statistics.ring_full + ring_full,
            in_ring,
            interfaces_down: down as u32,
            ..self.statistics
        }
    }

    fn lateness_limit(&self) -> Nanos {
        self.hold + Nanos::from_millis(LATE.as_millis() as u64)
    }
}
