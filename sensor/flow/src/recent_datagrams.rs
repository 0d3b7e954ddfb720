//! The last RTCP datagrams, so that a mirror's second copy of one is told from the sender's next.

use nightjar_wire::{FlowKey, Nanos};

use crate::figures::is_same_datagram;

/// How many are remembered: a copy follows within milliseconds, RTCP is one packet in hundreds.
const REMEMBERED: usize = 64;
/// Bytes compared: a sender report's header, NTP time and counts (RFC 3550, 6.4.1).
const COMPARED: usize = 28;

#[derive(Clone, Copy, Debug)]
struct Sighting {
    at: Nanos,
    flow: FlowKey,
    ip_id: Option<u16>,
    len: usize,
    /// The first bytes; zeros behind a shorter datagram.
    bytes: [u8; COMPARED],
}

/// A ring of sightings.
#[derive(Debug)]
pub(crate) struct RecentDatagrams {
    ring: [Option<Sighting>; REMEMBERED],
    next: usize,
}

impl Default for RecentDatagrams {
    fn default() -> RecentDatagrams {
        RecentDatagrams { ring: [None; REMEMBERED], next: 0 }
    }
}

impl RecentDatagrams {
    /// Whether this very datagram has come before; it is remembered if not.
    pub(crate) fn has_come(&mut self, at: Nanos, flow: FlowKey, datagram: &[u8], ip_id: Option<u16>) -> bool {
        let mut bytes = [0; COMPARED];
        let compared = datagram.len().min(COMPARED);
        bytes[..compared].copy_from_slice(&datagram[..compared]);
        let new = Sighting { at, flow, ip_id, len: datagram.len(), bytes };
        let known = self.ring.iter().flatten().any(|old| {
            let same = old.flow == new.flow && old.len == new.len && old.bytes == new.bytes;
            same && is_same_datagram((old.at, old.ip_id), (new.at, new.ip_id))
        });
        if !known {
            self.ring[self.next] = Some(new);
            self.next = (self.next + 1) % REMEMBERED;
        }
        known
    }
}
