//! The XDP program's decoder: one look at a frame's headers, one bounds check a header.
//!
//! It reads a frame through [`Packet`], whose reads the kernel's verifier can follow: an array at
//! a bounded offset. Everything is inlined, loops have fixed bounds, nothing is sliced.

use super::realm::RealmKey;
use super::{Address, address, mapped_address};
use crate::tunnel::{Carries, MAX_TUNNELS, PROTOCOL_GRE as GRE, VxlanPorts, behind_gre, behind_vxlan};

/// A frame that can be read in pieces of a fixed length.
pub trait Packet {
    /// The `N` bytes at `at`; `None` when they lie outside the frame.
    fn array<const N: usize>(&self, at: usize) -> Option<&[u8; N]>;
}

impl Packet for [u8] {
    fn array<const N: usize>(&self, at: usize) -> Option<&[u8; N]> {
        self.get(at..)?.first_chunk()
    }
}

/// Why a frame shows no datagram. Its width keeps the compiler from joining it with bytes of a register
/// that the program must not compute with.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// A header runs past the frame, contradicts itself, or there are too many of them.
    Damaged,
}

/// What the headers say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Sender.
    pub src: Address,
    /// Receiver.
    pub dst: Address,
    /// Sender's port, 0 where there is none.
    pub src_port: u16,
    /// Receiver's port, 0 where there is none.
    pub dst_port: u16,
    /// Outermost VLAN id, 0 where there is none (and for priority tags). In a tunnel: the tagged
    /// frame's within, or what ERSPAN says of it.
    pub vlan: u16,
    /// The VLAN id behind it, 0 where there is none.
    pub inner_vlan: u16,
    /// The tunnels that the frame came through, outermost first; kind 0 where there is none. No `Option`:
    /// the verifier forbids to copy what an empty one leaves unwritten.
    pub tunnels: [RealmKey; MAX_TUNNELS],
    /// Where a tunnel's own header begins that was not looked into yet; 0 where it was.
    tunnel_at: usize,
    /// What it carries.
    pub payload: Payload,
}

/// What a datagram carries, told by its first bytes.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// UDP that begins like RTP or RTCP (RFC 3550; the ranges of RFC 7983).
    Rtp,
    /// UDP that begins with letters, as a SIP message does.
    Text,
    /// Other UDP.
    Udp,
    /// TCP.
    Tcp,
    /// A fragment of a UDP datagram or of GRE, the first one too.
    Fragment,
    /// VXLAN that was not seen through.
    Vxlan,
    /// GRE that was not seen through.
    Gre,
    /// Another protocol.
    Other,
}

impl Glance {
    /// A datagram of which no more is known yet.
    #[inline(always)]
    fn between(src: Address, dst: Address, [vlan, inner_vlan]: [u16; 2]) -> Glance {
        let (tunnels, payload) = ([RealmKey::NONE; MAX_TUNNELS], Payload::Other);
        Glance { src, dst, src_port: 0, dst_port: 0, vlan, inner_vlan, tunnels, tunnel_at: 0, payload }
    }
}

const MAX_VLAN_TAGS: usize = 4;
const MAX_IPV6_EXTENSIONS: usize = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The shortest UDP datagram that can hold RTP's or RTCP's fixed header, or VXLAN's.
const RTP_DATAGRAM: u16 = 8 + 8;

/// Looks at an Ethernet frame, and into no tunnel.
///
/// # Errors
/// [`Unreadable`] when there is no IP datagram to see.
#[inline(always)]
pub fn glance<P: Packet + ?Sized>(frame: &P, vxlan: &VxlanPorts) -> Result<Glance, Unreadable> {
    network(frame, ethernet(frame, 0)?, vxlan)
}

/// Where a look into a tunnel begins, as one program leaves it to the next: the kernel's verifier then
/// looks at each of them by itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descent {
    /// Where the tunnel's own header begins.
    pub at: u32,
    /// 1 for VXLAN, 0 for GRE.
    pub is_vxlan: u32,
    /// The envelope's VLANs.
    pub vlans: [u16; 2],
    /// The tunnel around it; kind 0 where there is none.
    pub around: RealmKey,
}

/// Looks into a tunnel: at what it carries, or at the tunnel itself where that is not known.
///
/// # Errors
/// [`Unreadable`] when there is no IP datagram to see.
#[inline(always)]
pub fn descend<P: Packet + ?Sized>(
    frame: &P,
    descent: &Descent,
    vxlan: &VxlanPorts,
) -> Result<Glance, Unreadable> {
    let at = descent.at as usize;
    let inside = if descent.is_vxlan != 0 {
        Some(behind_vxlan(frame, at).ok_or(Unreadable::Damaged)?)
    } else {
        behind_gre(frame, at)?
    };
    let Some(inside) = inside else { return Ok(descent.unknown()) };
    let link = match inside.carries {
        Carries::Ethernet => ethernet(frame, inside.at)?,
        Carries::Ip => ip(frame, inside.at)?,
    };
    let mut seen = network(frame, link, vxlan)?;
    if seen.vlan == 0 {
        seen.vlan = inside.vlan;
    }
    let tunnel = RealmKey::of_tunnel(inside.tunnel);
    seen.tunnels = if descent.around.kind == 0 { [tunnel, RealmKey::NONE] } else { [descent.around, tunnel] };
    Ok(seen)
}

impl Glance {
    /// How to look into the tunnel that this is; `None` when it is none, or lies too deep, or cannot be
    /// looked into.
    #[inline(always)]
    pub fn descent(&self) -> Option<Descent> {
        let is_vxlan = match self.payload {
            Payload::Gre => 0,
            Payload::Vxlan => 1,
            _ => return None,
        };
        let [around, inner] = self.tunnels;
        if inner.kind != 0 || self.tunnel_at == 0 {
            return None;
        }
        let vlans = [self.vlan, self.inner_vlan];
        Some(Descent { at: self.tunnel_at as u32, is_vxlan, vlans, around })
    }
}

impl Descent {
    /// GRE with something in it that is not known.
    #[inline(always)]
    fn unknown(&self) -> Glance {
        let mut seen = Glance::between([0; 4], [0; 4], self.vlans);
        (seen.tunnels, seen.payload) = ([self.around, RealmKey::NONE], Payload::Gre);
        seen
    }
}

/// What the link header says.
#[derive(Clone, Copy)]
struct Link {
    ethertype: u16,
    /// Where what it carries begins.
    at: usize,
    vlans: [u16; 2],
}

#[inline(always)]
fn ethernet<P: Packet + ?Sized>(frame: &P, at: usize) -> Result<Link, Unreadable> {
    let ethernet = frame.array::<14>(at).ok_or(Unreadable::Damaged)?;
    let mut link = Link { ethertype: be16(ethernet[12], ethernet[13]), at: at + 14, vlans: [0; 2] };
    for tag_number in 0..MAX_VLAN_TAGS {
        if !matches!(link.ethertype, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        let tag = frame.array::<4>(link.at).ok_or(Unreadable::Damaged)?;
        if tag_number < 2 {
            link.vlans[tag_number] = be16(tag[0], tag[1]) & 0x0fff;
        }
        link.ethertype = be16(tag[2], tag[3]);
        link.at += 4;
    }
    Ok(link)
}

/// IP without a link header.
#[inline(always)]
fn ip<P: Packet + ?Sized>(frame: &P, at: usize) -> Result<Link, Unreadable> {
    let version = frame.array::<1>(at).ok_or(Unreadable::Damaged)?[0] >> 4;
    let ethertype = match version {
        4 => 0x0800,
        6 => 0x86dd,
        _ => return Err(Unreadable::NotIp),
    };
    Ok(Link { ethertype, at, vlans: [0; 2] })
}

#[inline(always)]
fn network<P: Packet + ?Sized>(frame: &P, link: Link, vxlan: &VxlanPorts) -> Result<Glance, Unreadable> {
    match link.ethertype {
        0x0800 => ipv4(frame, link.at, link.vlans, vxlan),
        0x86dd => ipv6(frame, link.at, link.vlans, vxlan),
        _ => Err(Unreadable::NotIp),
    }
}

#[inline(always)]
fn ipv4<P: Packet + ?Sized>(
    frame: &P,
    at: usize,
    vlans: [u16; 2],
    vxlan: &VxlanPorts,
) -> Result<Glance, Unreadable> {
    let header = frame.array::<20>(at).ok_or(Unreadable::Damaged)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return Err(Unreadable::Damaged);
    }
    let src = mapped_address([header[12], header[13], header[14], header[15]]);
    let dst = mapped_address([header[16], header[17], header[18], header[19]]);
    let fragment = be16(header[6], header[7]) & 0x3fff != 0;
    let network = Glance::between(src, dst, vlans);
    transport(frame, network, header[9], at + header_len, fragment, vxlan)
}

#[inline(always)]
fn ipv6<P: Packet + ?Sized>(
    frame: &P,
    at: usize,
    vlans: [u16; 2],
    vxlan: &VxlanPorts,
) -> Result<Glance, Unreadable> {
    let header = frame.array::<40>(at).ok_or(Unreadable::Damaged)?;
    if header[0] >> 4 != 6 {
        return Err(Unreadable::Damaged);
    }
    let src = address(frame.array::<16>(at + 8).ok_or(Unreadable::Damaged)?);
    let dst = address(frame.array::<16>(at + 24).ok_or(Unreadable::Damaged)?);
    let network = Glance::between(src, dst, vlans);
    let mut next = header[6];
    let mut at = at + 40;
    let mut fragment = false;
    for _ in 0..MAX_IPV6_EXTENSIONS {
        let (units, unit) = match next {
            // Hop-by-hop, routing, destination options, mobility: in units of 8 bytes.
            0 | 43 | 60 | 135 => (1, 8),
            // Authentication header: in units of 4 bytes.
            51 => (2, 4),
            44 => (0, 8),
            _ => break,
        };
        let extension = frame.array::<4>(at).ok_or(Unreadable::Damaged)?;
        if next == 44 {
            fragment |= be16(extension[2], extension[3]) & 0xfff9 != 0;
            at += 8;
        } else {
            at += unit * (usize::from(extension[1]) + units);
        }
        next = extension[0];
        // What follows a fragment header belongs to the whole datagram.
        if fragment {
            break;
        }
    }
    transport(frame, network, next, at, fragment, vxlan)
}

#[inline(always)]
fn transport<P: Packet + ?Sized>(
    frame: &P,
    mut seen: Glance,
    protocol: u8,
    at: usize,
    fragment: bool,
    vxlan: &VxlanPorts,
) -> Result<Glance, Unreadable> {
    if fragment {
        seen.payload = if protocol == UDP || protocol == GRE { Payload::Fragment } else { Payload::Other };
        return Ok(seen);
    }
    if protocol == GRE {
        (seen.payload, seen.tunnel_at) = (Payload::Gre, at);
        return Ok(seen);
    }
    if protocol != UDP && protocol != TCP {
        return Ok(seen);
    }
    let ports = frame.array::<8>(at).ok_or(Unreadable::Damaged)?;
    seen.src_port = be16(ports[0], ports[1]);
    seen.dst_port = be16(ports[2], ports[3]);
    seen.payload = if protocol == TCP {
        Payload::Tcp
    } else {
        match frame.array::<4>(at + 8) {
            Some(first) => shape(first, be16(ports[4], ports[5]), vxlan.has(seen.dst_port)),
            None => Payload::Udp,
        }
    };
    seen.tunnel_at = at + 8;
    Ok(seen)
}

/// What a UDP payload's first bytes look like.
#[inline(always)]
fn shape(first: &[u8; 4], length: u16, vxlan: bool) -> Payload {
    // A length of 0 is a jumbogram's.
    let long = length >= RTP_DATAGRAM || length == 0;
    if vxlan && first[0] & 0x08 != 0 && long {
        Payload::Vxlan
    } else if first[0] >> 6 == 2 && length >= RTP_DATAGRAM {
        Payload::Rtp
    } else if first[0].is_ascii_uppercase() && first[1].is_ascii_uppercase() {
        Payload::Text
    } else {
        Payload::Udp
    }
}

#[inline(always)]
const fn be16(high: u8, low: u8) -> u16 {
    ((high as u16) << 8) | low as u16
}
