//! One interface: its program, its queues and what they counted.

use std::os::fd::{AsFd, AsRawFd};

use nightjar_wire::xdp::{Counter, MAX_QUEUES};
use rustix::io::Errno;

use super::AfXdpConfig;
use super::program::{ProgramError, ProgramMode, XdpProgram};
use super::queue::{CopyMode, Queue, Socket};
use crate::SourceError;
use crate::interface::{explain, interface_index, is_up, receive_queues};

/// Which of a queue's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// SIP and whatever else sets calls up.
    Signalling,
    /// RTP, RTCP and what else comes to media endpoints.
    Media,
}

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

    /// Redirected less what the sockets know of: frames that the kernel failed to redirect, and, while
    /// frames come, those on their way.
    pub fn redirect_failed(&self) -> i64 {
        let known =
            |socket: &SocketCounts| socket.received + socket.waiting + socket.ring_full + socket.dropped;
        let known: u64 = self.sockets.iter().map(known).sum();
        (self.of(Counter::Signalling) + self.of(Counter::Media)) as i64 - known as i64
    }
}

/// How an interface is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapModes {
    /// The interface.
    pub interface: String,
    /// Where the program runs.
    pub program: ProgramMode,
    /// How frames come into memory.
    pub copy: CopyMode,
    /// How many queues are read.
    pub queues: usize,
}

/// An interface under capture.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) program: XdpProgram,
    pub(super) queues: Vec<Queue>,
    interface: String,
    index: u32,
    /// The interface's place in the source's list.
    number: u16,
    mode: ProgramMode,
    gone: bool,
}

impl Tap {
    /// Opens the sockets and loads the program.
    pub(super) fn open(config: &AfXdpConfig, interface: &str, number: u16) -> Result<Tap, SourceError> {
        let index = interface_index(interface)?;
        let all = receive_queues(interface).min(MAX_QUEUES);
        let numbers = if config.queues.is_empty() { (0..all).collect() } else { config.queues.clone() };
        let failed = |error: rustix::io::Errno| explain(error.into(), "open an AF_XDP socket", interface);
        let queues =
            numbers.into_iter().map(|queue| Queue::open(index, queue, &config.sizes, config.zero_copy));
        let queues = queues.collect::<Result<Vec<Queue>, _>>().map_err(failed)?;
        let mut program = XdpProgram::load(&config.program)
            .map_err(|error| error.explain("load the XDP program", interface))?;
        for queue in &queues {
            let (signalling, media) = (queue.signalling.as_fd(), queue.media.as_fd());
            program
                .set_sockets(queue.number, signalling.as_raw_fd(), media.as_raw_fd())
                .map_err(|error| error.explain("give the XDP program its sockets", interface))?;
        }
        Ok(Tap {
            program,
            queues,
            interface: interface.to_owned(),
            index,
            number,
            mode: ProgramMode::Native,
            gone: false,
        })
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

    /// All sockets, signalling first in each queue.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.queues.iter().flat_map(|queue| [&queue.signalling, &queue.media])
    }

    /// Gives places and chunks of what was read back to the kernel.
    pub(super) fn give_back(&mut self) {
        for queue in &mut self.queues {
            queue.signalling.ring.release();
            queue.media.ring.release();
            queue.publish();
        }
    }

    /// Frames that wait in its rings.
    pub(super) fn waiting(&mut self) -> u64 {
        let rings = self.queues.iter_mut().flat_map(|queue| [&mut queue.signalling, &mut queue.media]);
        rings.map(|socket| u64::from(socket.ring.refresh())).sum()
    }

    /// Frames that were lost because a ring or the memory was full.
    pub(super) fn ring_full(&self) -> u64 {
        let lost = |socket: &Socket| {
            socket.statistics().map_or(0, |counts| counts.rx_ring_full.unwrap_or(0) + counts.rx_dropped)
        };
        self.sockets().map(lost).sum()
    }

    /// Looks whether the interface was removed or moved away: its sockets were unbound then, for good.
    pub(super) fn look_whether_gone(&mut self) {
        let unbound = self.sockets().any(|socket| matches!(socket.take_error(), Ok(Some(Errno::NETDOWN))));
        self.gone |= unbound;
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    pub(super) fn is_up(&self) -> bool {
        self.queues.first().is_some_and(|queue| is_up(queue.media.as_fd().as_raw_fd(), &self.interface))
    }

    pub(super) fn interface(&self) -> &str {
        &self.interface
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn modes(&self) -> TapModes {
        let copy = self.queues.first().map_or(CopyMode::Copy, |queue| queue.copy);
        TapModes { interface: self.interface.clone(), program: self.mode, copy, queues: self.queues.len() }
    }

    /// What the program and the kernel counted.
    pub(super) fn counts(&self) -> Result<XdpCounts, ProgramError> {
        let mut sockets = Vec::with_capacity(2 * self.queues.len());
        for queue in &self.queues {
            sockets.push(counts_of(queue.number, SocketKind::Signalling, &queue.signalling)?);
            sockets.push(counts_of(queue.number, SocketKind::Media, &queue.media)?);
        }
        let program = self.program.counters()?;
        let interface = self.interface.clone();
        Ok(XdpCounts { interface, program, sockets, endpoints_full: self.program.full() })
    }
}

fn counts_of(queue: u32, kind: SocketKind, socket: &Socket) -> Result<SocketCounts, ProgramError> {
    let kernel = socket.statistics().map_err(std::io::Error::from)?;
    Ok(SocketCounts {
        queue,
        kind,
        received: socket.received,
        waiting: u64::from(socket.ring.in_ring()),
        ring_full: kernel.rx_ring_full.unwrap_or(0),
        dropped: kernel.rx_dropped,
        fill_empty: kernel.rx_fill_ring_empty_descs.unwrap_or(0),
    })
}
