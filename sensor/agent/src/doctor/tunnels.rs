//! Mirrors that come through a tunnel: which ones, and between how many pairs of ends.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nightjar_wire::{Frame, FrameError, LinkType, TunnelKind, VxlanPorts, decode_envelope};

/// Sessions that are told apart at most.
const MAX_SESSIONS: usize = 1_024;

/// What was seen of one kind of tunnel. No `Debug`: it holds addresses.
#[derive(Default)]
pub struct Seen {
    /// Frames.
    pub frames: u64,
    /// Pairs of tunnel ends.
    pub sessions: BTreeSet<(IpAddr, IpAddr)>,
}

impl Seen {
    fn count(&mut self, outer: &Frame<'_>) {
        self.frames += 1;
        if self.sessions.len() < MAX_SESSIONS {
            self.sessions.insert((outer.network.src, outer.network.dst));
        }
    }
}

/// The tunnels seen.
pub struct Tunnels {
    /// GRE, ERSPAN included.
    pub gre: Seen,
    /// VXLAN.
    pub vxlan: Seen,
    ports: VxlanPorts,
}

impl Tunnels {
    /// None seen yet; VXLAN is looked for on these ports.
    pub fn new(ports: VxlanPorts) -> Tunnels {
        Tunnels { gre: Seen::default(), vxlan: Seen::default(), ports }
    }

    /// Decodes a frame; one within a tunnel instead of its envelope.
    pub fn decode<'a>(&mut self, link: LinkType, bytes: &'a [u8]) -> Result<Frame<'a>, FrameError> {
        let outer = decode_envelope(link, bytes)?;
        match outer.outermost_tunnel(&self.ports) {
            None => return Ok(outer),
            Some(TunnelKind::Vxlan) => self.vxlan.count(&outer),
            Some(TunnelKind::Gre | TunnelKind::Erspan) => self.gre.count(&outer),
        }
        outer.see_through(&self.ports)
    }
}
