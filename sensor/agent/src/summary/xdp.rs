//! Levels 2 and 3 of the ledger for an interface that AF_XDP captured.

use std::collections::BTreeMap;

use nightjar_capture::{SocketCounts, SocketKind, XdpCounts};
use nightjar_wire::xdp::Counter;
use serde::Serialize;

/// What the XDP program and the kernel counted on one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct XdpSummary {
    /// The interface.
    pub interface: String,
    /// The program's counters, by name.
    pub program: BTreeMap<&'static str, u64>,
    /// Frames seen less those whose fate is known: 0.
    pub program_residual: i64,
    /// Its sockets.
    pub sockets: Vec<SocketSummary>,
    /// Redirected frames that reached no socket.
    pub redirect_failed: u64,
    /// Redirected frames less those whose fate is known: 0.
    pub redirect_residual: i64,
    /// Endpoints that found the program's map full: their media is told by its shape.
    pub endpoints_full: u64,
}

/// One socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SocketSummary {
    /// The queue.
    pub queue: u32,
    /// `signalling` or `media`.
    pub kind: &'static str,
    /// Frames taken from its ring.
    pub received: u64,
    /// Frames that were left in its ring.
    pub waiting: u64,
    /// Frames lost because its ring was full.
    pub ring_full: u64,
    /// Frames lost for want of memory, or too long for it.
    pub dropped: u64,
}

impl XdpSummary {
    /// From the source's counts.
    pub fn new(counts: &XdpCounts) -> XdpSummary {
        XdpSummary {
            interface: counts.interface.clone(),
            program: Counter::ALL.iter().map(|counter| (counter.name(), counts.of(*counter))).collect(),
            program_residual: counts.program_residual(),
            sockets: counts.sockets.iter().map(SocketSummary::new).collect(),
            redirect_failed: counts.redirect_failed(),
            redirect_residual: counts.redirect_residual(),
            endpoints_full: counts.endpoints_full,
        }
    }
}

/// What a queue's socket is called.
pub(crate) fn socket_name(kind: SocketKind) -> &'static str {
    match kind {
        SocketKind::Signalling => "signalling",
        SocketKind::Media => "media",
    }
}

impl SocketSummary {
    fn new(counts: &SocketCounts) -> SocketSummary {
        let kind = socket_name(counts.kind);
        let SocketCounts { queue, received, waiting, ring_full, dropped, .. } = *counts;
        SocketSummary { queue, kind, received, waiting, ring_full, dropped }
    }
}
