//! Mirrors that come through a tunnel: VXLAN (RFC 7348), GRE (RFC 2784) with ERSPAN types I to III in it.
//! One level is looked into, so that the rest of the analysis sees the telephony inside.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nightjar_wire::{Frame, FrameError, LinkType, Transport, decode_frame, decode_ip};

/// UDP port of VXLAN (RFC 7348, 8).
const VXLAN_PORT: u16 = 4789;
/// The flag that says that there is a network identifier (RFC 7348, 5).
const VXLAN_VALID: u8 = 0x08;
const VXLAN_HEADER: usize = 8;
/// GRE's IP protocol number.
const GRE: u8 = 47;
/// Sessions that are told apart at most.
const MAX_SESSIONS: usize = 1_024;

/// What was seen of one kind of tunnel. No `Debug`: it holds addresses.
#[derive(Default)]
pub struct Tunnel {
    /// Frames.
    pub frames: u64,
    /// Pairs of tunnel ends.
    pub sessions: BTreeSet<(IpAddr, IpAddr)>,
}

impl Tunnel {
    fn count(&mut self, outer: &Frame<'_>) {
        self.frames += 1;
        if self.sessions.len() < MAX_SESSIONS {
            self.sessions.insert((outer.network.src, outer.network.dst));
        }
    }
}

/// The tunnels seen.
#[derive(Default)]
pub struct Tunnels {
    /// GRE, ERSPAN included.
    pub gre: Tunnel,
    /// VXLAN.
    pub vxlan: Tunnel,
}

impl Tunnels {
    /// Decodes a frame; one within a tunnel instead of its envelope.
    pub fn decode<'a>(&mut self, link: LinkType, bytes: &'a [u8]) -> Result<Frame<'a>, FrameError> {
        let outer = decode_frame(link, bytes)?;
        match outer.transport {
            Transport::Udp { dst_port: VXLAN_PORT, payload, .. }
                if payload.len() > VXLAN_HEADER && payload[0] & VXLAN_VALID != 0 =>
            {
                self.vxlan.count(&outer);
                decode_frame(LinkType::Ethernet, &payload[VXLAN_HEADER..])
            }
            Transport::Other(GRE) => {
                self.gre.count(&outer);
                gre_start(link, bytes).and_then(in_gre).unwrap_or(Ok(outer))
            }
            _ => Ok(outer),
        }
    }
}

/// Where GRE begins: behind IPv4 without a link header, or behind Ethernet with its tags.
fn gre_start(link: LinkType, bytes: &[u8]) -> Option<&[u8]> {
    let mut at = match link {
        LinkType::Ethernet => 14,
        LinkType::RawIp => 0,
        _ => return None,
    };
    while at >= 14 && matches!(bytes.get(at - 2..at)?, [0x81 | 0x91, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    let first = *bytes.get(at)?;
    let header = if first >> 4 == 4 { usize::from(first & 0x0f) * 4 } else { 40 };
    bytes.get(at + header..)
}

/// What GRE carries; `None` when it is nothing that can be looked into.
fn in_gre(gre: &[u8]) -> Option<Result<Frame<'_>, FrameError>> {
    let (flags, protocol) = (*gre.first()?, gre.get(2..4)?);
    // Checksum, key and sequence number take 4 bytes each (RFC 2784, 2.1; RFC 2890, 2).
    let options = [0x80u8, 0x20, 0x10].iter().filter(|bit| flags & **bit != 0).count();
    let inside = gre.get(4 + 4 * options..)?;
    match protocol {
        [0x08, 0x00] | [0x86, 0xdd] => Some(decode_ip(inside, None)),
        [0x65, 0x58] => Some(decode_frame(LinkType::Ethernet, inside)),
        // ERSPAN: type I has no header and no sequence number, type II has 8 bytes.
        [0x88, 0xbe] => {
            let header = if flags & 0x10 == 0 { 0 } else { 8 };
            Some(decode_frame(LinkType::Ethernet, inside.get(header..)?))
        }
        // Type III has 12, and 8 more when its last bit says so.
        [0x22, 0xeb] => {
            let header = if inside.get(11)? & 1 == 0 { 12 } else { 20 };
            Some(decode_frame(LinkType::Ethernet, inside.get(header..)?))
        }
        _ => None,
    }
}
