//! Datagrams that come twice: equal apart from MAC addresses, VLAN tag, TTL and tunnel, shortly after
//! each other.

use std::hash::{DefaultHasher, Hash, Hasher};

use nightjar_wire::{Frame, Nanos};

/// Datagrams that are remembered, each until another takes its slot.
const SLOTS: usize = 1 << 14;
/// A mirror's second copy comes within this; SIP repeats itself after 500 ms (RFC 3261, 17.1.1.1).
const WINDOW: Nanos = Nanos::from_millis(100);
/// Bytes of a payload that are compared.
const COMPARED: usize = 512;

/// Where a datagram was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When.
    pub at: Nanos,
    /// On which interface.
    pub interface: u16,
    /// In which VLAN.
    pub vlan: Option<u16>,
}

/// Counts of datagrams of telephony and their copies.
#[derive(Debug)]
pub struct Copies {
    /// Each datagram's hash and when it was seen first.
    slots: Vec<(u64, Sighting)>,
    /// Datagrams, copies included.
    pub datagrams: u64,
    /// Second copies.
    pub copies: u64,
    /// Those of them that came by another interface than the first.
    pub by_other_interface: u64,
    /// Those that came by the same interface in another VLAN.
    pub in_other_vlan: u64,
}

impl Copies {
    /// Nothing seen yet.
    pub fn new() -> Copies {
        let nothing = Sighting { at: Nanos::ZERO, interface: 0, vlan: None };
        Copies {
            slots: vec![(0, nothing); SLOTS],
            datagrams: 0,
            copies: 0,
            by_other_interface: 0,
            in_other_vlan: 0,
        }
    }

    /// Counts a datagram.
    pub fn see(&mut self, frame: &Frame<'_>, ports: (u16, u16), payload: &[u8], sighting: Sighting) {
        // Keyed with constants: the same frames give the same counts.
        let mut hasher = DefaultHasher::new();
        (frame.network.src, frame.network.dst, frame.network.id, ports).hash(&mut hasher);
        payload[..payload.len().min(COMPARED)].hash(&mut hasher);
        payload.len().hash(&mut hasher);
        let hash = hasher.finish();
        self.datagrams += 1;
        let slot = &mut self.slots[hash as usize % SLOTS];
        let (known, first) = *slot;
        let apart = sighting.at.signed_since(first.at).unsigned_abs();
        if known != hash || apart > WINDOW.0 {
            *slot = (hash, sighting);
            return;
        }
        self.copies += 1;
        if first.interface != sighting.interface {
            self.by_other_interface += 1;
        } else if first.vlan != sighting.vlan {
            self.in_other_vlan += 1;
        }
    }
}
