//! One interface: its program, its queues and what they counted.

use nightjar_wire::Nanos;
use nightjar_wire::xdp::{Counter, MAX_QUEUES, RedirectError};
use rustix::io::Errno;

use super::AfXdpConfig;
use super::lane::Lane;
use super::program::{ProgramError, ProgramMode, TunnelMode, XdpProgram};
use super::queue::{CopyMode, Place, Queue, SocketKind};
use crate::SourceError;
use crate::interface::{explain, interface_index, is_up, receive_queues};
use crate::socket::PacketSocket;

/// What came of one socket, by the kernel's counts and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketCounts {
    /// The queue.
    pub queue: u32,
    /// Which of its sockets.
    pub kind: SocketKind,
    /// Frames taken from its ring.
    pub received: u64,
    /// Frames that wait in its ring.
    pub waiting: u64,
    /// Frames lost because its ring was full.
    pub ring_full: u64,
    /// Frames lost for other reasons: no free chunk, too long.
    pub dropped: u64,
    /// Times that the fill ring was found empty. Explains `dropped`; no term of its own.
    pub fill_empty: u64,
}

/// Level 2 and 3 of the ledger for one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpCounts {
    /// The interface.
    pub interface: String,
    /// The program's counters, by [`Counter`]'s numbers.
    pub program: [u64; Counter::ALL.len()],
    /// Its sockets.
    pub sockets: Vec<SocketCounts>,
    /// Redirects that the kernel's tracepoint says have failed, by [`RedirectError`]'s numbers. But for
    /// [`RedirectError::Failed`] they repeat what the sockets count.
    pub redirect_errors: [u64; RedirectError::ALL.len()],
    /// Endpoints that found the program's map full.
    pub endpoints_full: u64,
}

impl XdpCounts {
    /// One of the program's counters.
    pub fn of(&self, counter: Counter) -> u64 {
        self.program[counter as usize]
    }

    /// Seen less what is known to have become of it: 0 when the ledger's second level is exact.
    pub fn program_residual(&self) -> i64 {
        let fates = [
            Counter::Signalling,
            Counter::Media,
            Counter::DroppedNever,
            Counter::DroppedCut,
            Counter::DroppedUnwanted,
            Counter::PassedUnwanted,
            Counter::PassedNoSocket,
            Counter::Aborted,
        ];
        let known: u64 = fates.iter().map(|counter| self.of(*counter)).sum();
        self.of(Counter::Seen) as i64 - known as i64
    }

    /// Redirects that failed and that no socket counts: a term of the third level.
    pub fn redirect_failed(&self) -> u64 {
        self.redirect_errors[RedirectError::Failed as usize]
    }

    /// Redirected less what is known to have become of it: the frames on their way, 0 when the ledger's third
    /// level is exact.
    pub fn redirect_residual(&self) -> i64 {
        let known =
            |socket: &SocketCounts| socket.received + socket.waiting + socket.ring_full + socket.dropped;
        let known: u64 = self.sockets.iter().map(known).sum();
        let redirected = self.of(Counter::Signalling) + self.of(Counter::Media);
        redirected as i64 - (known + self.redirect_failed()) as i64
    }
}

/// How an interface is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapModes {
    /// The interface.
    pub interface: String,
    /// Where the program runs.
    pub program: ProgramMode,
    /// What the program does with tunnels.
    pub tunnels: TunnelMode,
    /// How frames come into memory.
    pub copy: CopyMode,
    /// How many queues are read.
    pub queues: usize,
}

/// An interface under capture. Its sockets are among the source's lanes.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) program: XdpProgram,
    /// With the numbers that they have on the interface; each has two lanes.
    queues: Vec<(u32, Queue)>,
    interface: String,
    index: u32,
    mode: ProgramMode,
    gone: bool,
    /// Receives nothing; as long as it is open the interface is promiscuous.
    _promiscuous: Option<PacketSocket>,
}

impl Tap {
    /// Opens the sockets and loads the program; the lanes come beside it, two a queue.
    pub(super) fn open(
        config: &AfXdpConfig,
        interface: &str,
        number: u16,
        hold: Nanos,
    ) -> Result<(Tap, Vec<Lane>), SourceError> {
        let index = interface_index(interface)?;
        let all = receive_queues(interface).min(MAX_QUEUES);
        let numbers = if config.queues.is_empty() { (0..all).collect() } else { config.queues.clone() };
        let mut program = XdpProgram::load(&config.program, interface)
            .map_err(|error| error.explain("load the XDP program", interface))?;
        let (mut queues, mut lanes) = (Vec::with_capacity(numbers.len()), Vec::new());
        for queue in numbers {
            let place = Place { index, queue, interface: number, hold };
            let (opened, pair) = Queue::open(place, &config.sizes, config.zero_copy)
                .map_err(|error| explain(error.into(), "open an AF_XDP socket", interface))?;
            program
                .set_sockets(queue, pair[0].raw(), pair[1].raw())
                .map_err(|error| error.explain("give the XDP program its sockets", interface))?;
            queues.push((queue, opened));
            lanes.extend(pair);
        }
        let promiscuous = config.promiscuous.then(|| PacketSocket::open(interface)).transpose()?;
        promiscuous.iter().try_for_each(PacketSocket::enter_promiscuous_mode)?;
        let tap = Tap {
            program,
            queues,
            interface: interface.to_owned(),
            index,
            mode: ProgramMode::Native,
            gone: false,
            _promiscuous: promiscuous,
        };
        Ok((tap, lanes))
    }

    /// Attaches the program in `mode`, or in the first that works.
    pub(super) fn attach(&mut self, mode: Option<ProgramMode>) -> Result<(), SourceError> {
        let modes: &[ProgramMode] = match mode {
            Some(ProgramMode::Native) => &[ProgramMode::Native],
            Some(ProgramMode::Generic) => &[ProgramMode::Generic],
            None => &[ProgramMode::Native, ProgramMode::Generic],
        };
        let mut outcome = Ok(());
        for mode in modes {
            outcome = self.program.attach(self.index, *mode);
            if outcome.is_ok() {
                self.mode = *mode;
                break;
            }
        }
        outcome.map_err(|error| error.explain("attach the XDP program", &self.interface))
    }

    /// How many of the source's lanes are this interface's.
    pub(super) fn lanes(&self) -> usize {
        2 * self.queues.len()
    }

    /// Gives places and chunks of what its lanes read back to the kernel.
    pub(super) fn give_back(&mut self, lanes: &mut [Lane]) {
        for ((_, queue), pair) in self.queues.iter_mut().zip(lanes.chunks_exact_mut(2)) {
            queue.give_back(pair);
        }
    }

    /// Looks whether the interface was removed or moved away: its sockets were unbound then, for good.
    pub(super) fn look_whether_gone(&mut self, lanes: &[Lane]) {
        self.gone |= lanes.iter().any(|lane| matches!(lane.take_error(), Ok(Some(Errno::NETDOWN))));
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    pub(super) fn is_up(&self, lanes: &[Lane]) -> bool {
        lanes.first().is_some_and(|lane| is_up(lane.raw(), &self.interface))
    }

    pub(super) fn interface(&self) -> &str {
        &self.interface
    }

    pub(super) fn modes(&self) -> TapModes {
        let copy = self.queues.first().map_or(CopyMode::Copy, |(_, queue)| queue.copy);
        let tunnels = self.program.tunnels();
        let (interface, queues) = (self.interface.clone(), self.queues.len());
        TapModes { interface, program: self.mode, tunnels, copy, queues }
    }

    /// What the program and the kernel counted.
    pub(super) fn counts(&self, lanes: &[Lane]) -> Result<XdpCounts, ProgramError> {
        let mut sockets = Vec::with_capacity(lanes.len());
        for ((number, _), pair) in self.queues.iter().zip(lanes.chunks_exact(2)) {
            for lane in pair {
                sockets.push(counts_of(*number, lane)?);
            }
        }
        let program = self.program.counters()?;
        let interface = self.interface.clone();
        let redirect_errors = self.program.redirect_errors()?;
        let endpoints_full = self.program.full();
        Ok(XdpCounts { interface, program, sockets, redirect_errors, endpoints_full })
    }
}

fn counts_of(queue: u32, lane: &Lane) -> Result<SocketCounts, ProgramError> {
    let kernel = lane.statistics().map_err(std::io::Error::from)?;
    Ok(SocketCounts {
        queue,
        kind: lane.kind,
        received: lane.received(),
        waiting: u64::from(lane.waiting()),
        ring_full: kernel.rx_ring_full.unwrap_or(0),
        dropped: kernel.rx_dropped,
        fill_empty: kernel.rx_fill_ring_empty_descs.unwrap_or(0),
    })
}
