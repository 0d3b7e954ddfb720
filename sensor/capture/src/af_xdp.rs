//! Live capture past the kernel's stack: an XDP program on each interface, AF_XDP sockets on each of
//! its queues.
//!
//! Frames of all queues come out in the order of their stamps. The program writes the stamps; a frame
//! becomes visible here a little later, with its NAPI poll's others, so frames are held back for
//! [`AfXdpConfig::hold`] and merged. One that appears later still is given at once, counted as late.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use nightjar_wire::xdp::{EndpointKey, EndpointVerdict, MAX_QUEUES, address, mapped_address};
use nightjar_wire::{Endpoint, Nanos};
use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

use crate::SourceError;
use crate::clock::CaptureClock;
use crate::interface::{explain, receive_queues};
use crate::live::{self, Live};
use crate::loss_watch::LossWatch;
use crate::merge::{Merge, Round};
use crate::source::{
    PacketSource, RawFrame, Received, RingLoad, RingLoss, SourceStatistics, Stopped, whole_nanos,
};
use lane::Lane;
pub use program::{Learned, ProgramConfig, ProgramError, ProgramMode, TunnelMode, XdpProgram};
pub use queue::{CopyMode, QueueSizes, SocketKind};
use tap::Tap;
pub use tap::{SocketCounts, TapModes, XdpCounts};

mod lane;
mod memory;
mod program;
mod queue;
mod redirect_errors;
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
    /// Ask the interface for all frames, not only its own: a card keeps the others back before the program
    /// sees them.
    pub promiscuous: bool,
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
    /// All queues, promiscuous, the best mode that works, 1 ms of hold-back.
    pub fn new(interfaces: &[impl AsRef<str>]) -> AfXdpConfig {
        AfXdpConfig {
            interfaces: interfaces.iter().map(|name| name.as_ref().to_owned()).collect(),
            queues: Vec::new(),
            sizes: QueueSizes::default(),
            promiscuous: true,
            program: ProgramConfig::default(),
            mode: None,
            zero_copy: true,
            hold: Duration::from_millis(1),
        }
    }
}

impl AfXdpConfig {
    /// The memory that the queues of these interfaces will lock, in bytes: `CAP_IPC_LOCK`, or a limit
    /// on locked memory that is larger, is needed.
    pub fn locked_bytes(&self) -> u64 {
        let queues = |name: &String| match self.queues.len() {
            0 => u64::from(receive_queues(name).min(MAX_QUEUES)),
            some => some as u64,
        };
        self.interfaces.iter().map(queues).sum::<u64>() * self.sizes.locked_bytes()
    }
}

/// The live source of one capture core.
#[derive(Debug)]
pub struct AfXdpSource {
    // The sockets go before the memory that their queues hold.
    /// Two a queue, in the order of the taps and their queues.
    lanes: Vec<Lane>,
    /// One per interface that still exists.
    taps: Vec<Tap>,
    merge: Merge,
    /// What is asked of `poll`, kept so that waiting allocates nothing.
    asked: Vec<libc::pollfd>,
    interfaces: Vec<String>,
    clock: CaptureClock,
    hold: Nanos,
    statistics: SourceStatistics,
    losses: LossWatch,
    /// When the programs were taken off.
    stopped_at: Option<Nanos>,
}

impl AfXdpSource {
    /// Captures on one core: opens the sockets, loads the program and attaches it.
    ///
    /// # Errors
    /// [`SourceError`] when an interface does not exist, when a capability is missing, or when the
    /// kernel refuses sockets or program.
    pub fn open(config: &AfXdpConfig, clock: CaptureClock) -> Result<AfXdpSource, SourceError> {
        let hold = whole_nanos(config.hold);
        let (mut taps, mut lanes) = (Vec::with_capacity(config.interfaces.len()), Vec::new());
        for (number, interface) in (0..).zip(&config.interfaces) {
            let (tap, its) = Tap::open(config, interface, number, hold)?;
            taps.push(tap);
            lanes.extend(its);
        }
        taps.iter_mut().try_for_each(|tap| tap.attach(config.mode))?;
        Ok(AfXdpSource {
            merge: Merge::new(lanes.len()),
            asked: Vec::with_capacity(lanes.len()),
            lanes,
            taps,
            interfaces: config.interfaces.clone(),
            clock,
            hold,
            statistics: SourceStatistics::default(),
            losses: LossWatch::new(clock.now()),
            stopped_at: None,
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

    /// Frames that came without the program's stamp; they have the time of their reading.
    pub fn unstamped(&self) -> u64 {
        self.lanes.iter().map(Lane::unstamped).sum()
    }

    /// The programs, one per interface that still exists, to tell them of endpoints.
    pub fn programs(&mut self) -> impl Iterator<Item = &mut XdpProgram> {
        self.taps.iter_mut().map(|tap| &mut tap.program)
    }

    /// False when none came.
    fn wait_for_frames(&mut self) -> Result<bool, SourceError> {
        let ask = |lane: &Lane| libc::pollfd { fd: lane.raw(), events: libc::POLLIN, revents: 0 };
        self.asked.clear();
        self.asked.extend(self.lanes.iter().map(ask));
        let count = self.asked.len() as libc::nfds_t;
        // SAFETY: the array is live and its length is passed.
        let ready = unsafe { libc::poll(self.asked.as_mut_ptr(), count, PATIENCE_MS) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(false),
                _ => Err(explain(error, "wait for frames", &self.interfaces.join(", "))),
            };
        }
        // A socket whose interface was removed is not reported by `poll`: it is silent.
        if ready == 0 {
            each_tap(&mut self.taps, &mut self.lanes, |tap, lanes| tap.look_whether_gone(lanes));
        }
        Ok(ready > 0)
    }
}

/// An endpoint as the program's map knows it.
pub fn endpoint_key(endpoint: Endpoint) -> EndpointKey {
    let addr = match endpoint.addr {
        IpAddr::V4(addr) => mapped_address(addr.octets()),
        IpAddr::V6(addr) => address(&addr.octets()),
    };
    EndpointKey { addr, port: endpoint.port, realm: endpoint.realm.0 }
}

/// Does something to each tap with its lanes.
fn each_tap(taps: &mut [Tap], lanes: &mut [Lane], mut does: impl FnMut(&mut Tap, &mut [Lane])) {
    let mut lanes = lanes;
    for tap in taps {
        let (its, others) = lanes.split_at_mut(tap.lanes());
        does(tap, its);
        lanes = others;
    }
}

/// Frames that were lost because a ring or the memory was full.
fn lost(lanes: &[Lane]) -> u64 {
    let lost = |lane: &Lane| {
        lane.statistics().map_or(0, |counts| counts.rx_ring_full.unwrap_or(0) + counts.rx_dropped)
    };
    lanes.iter().map(lost).sum()
}

impl Live for AfXdpSource {
    fn drop_gone(&mut self) -> Result<bool, SourceError> {
        let Some(gone) = self.taps.iter().position(Tap::is_gone) else { return Ok(self.taps.is_empty()) };
        let first: usize = self.taps[..gone].iter().map(Tap::lanes).sum();
        let lanes = first..first + self.taps[gone].lanes();
        if self.lanes[lanes.clone()].iter().any(|lane| lane.waiting() > 0) {
            return Ok(false);
        }
        self.statistics.ring_full += lost(&self.lanes[lanes.clone()]);
        self.lanes.drain(lanes);
        let tap = self.taps.remove(gone);
        Err(SourceError::InterfaceGone { interface: tap.interface().to_owned() })
    }

    fn give(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Round {
        let now = self.clock.now();
        let statistics = &mut self.statistics;
        let round = self.merge.give(&mut self.lanes, &self.clock, now, BATCH, &mut |frames| {
            statistics.count_all(frames);
            sink(frames);
        });
        if round.given > 0 {
            each_tap(&mut self.taps, &mut self.lanes, Tap::give_back);
        }
        round
    }

    fn wait(&mut self, round: Round) -> Result<(), SourceError> {
        if !round.holds && !self.wait_for_frames()? {
            return Ok(());
        }
        let hold = Timespec { tv_sec: 0, tv_nsec: self.hold.0.min(999_999_999) as i64 };
        // Woken early by a signal is as good.
        let _: NanosleepRelativeResult = nanosleep(&hold);
        Ok(())
    }

    fn has_ended(&self, round: Round) -> bool {
        round.is_last(self.stopped_at)
    }
}

impl PacketSource for AfXdpSource {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        live::receive(self, &mut live::each(sink))
    }

    fn receive_runs(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Result<Received, SourceError> {
        live::receive(self, sink)
    }

    /// Takes the programs off their interfaces: frames go to the kernel's stack from here on.
    fn stop(&mut self) -> Result<Stopped, SourceError> {
        for tap in &mut self.taps {
            let interface = tap.interface().to_owned();
            tap.program.detach().map_err(|error| error.explain("detach the XDP program", &interface))?;
        }
        self.stopped_at.get_or_insert(self.clock.now());
        Ok(Stopped::Draining)
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn statistics(&mut self) -> SourceStatistics {
        let mut interfaces_down = 0;
        each_tap(&mut self.taps, &mut self.lanes, |tap, lanes| {
            interfaces_down += u32::from(!tap.is_up(lanes))
        });
        SourceStatistics {
            ring_full: self.statistics.ring_full + lost(&self.lanes),
            in_ring: self.lanes.iter().map(|lane| u64::from(lane.waiting())).sum(),
            out_of_order: self.merge.out_of_order(),
            interfaces_down,
            ..self.statistics
        }
    }

    fn lateness_limit(&self) -> Nanos {
        whole_nanos(LATE)
    }

    fn take_ring_loss(&mut self) -> Option<RingLoss> {
        let now = self.clock.now();
        if self.stopped_at.is_none() && !self.losses.is_due(now) {
            return None;
        }
        self.losses.look(now, self.statistics.ring_full + lost(&self.lanes))
    }

    fn learn(&mut self, endpoint: Endpoint) {
        for tap in &mut self.taps {
            tap.program.learn_or_count(endpoint_key(endpoint), EndpointVerdict::Media);
        }
    }

    fn shed(&mut self, endpoint: Endpoint) {
        for tap in &mut self.taps {
            tap.program.learn_or_count(endpoint_key(endpoint), EndpointVerdict::Cut);
        }
    }

    fn forget(&mut self, endpoint: Endpoint) {
        for tap in &mut self.taps {
            tap.program.forget_or_count(endpoint_key(endpoint));
        }
    }

    fn ring_load(&mut self) -> RingLoad {
        let lost = self.statistics.ring_full + lost(&self.lanes);
        RingLoad { lost, fullest: self.lanes.iter().map(Lane::fill).max().unwrap_or(0) }
    }

    /// One for each interface that still exists and whose counters can be read.
    fn xdp_counts(&self) -> Vec<XdpCounts> {
        let mut lanes = self.lanes.as_slice();
        let mut counts = Vec::with_capacity(self.taps.len());
        for tap in &self.taps {
            let (its, others) = lanes.split_at(tap.lanes());
            counts.extend(tap.counts(its).ok());
            lanes = others;
        }
        counts
    }
}
