//! The XDP program's decoder: one look at a frame's headers, one bounds check a header.
//!
//! It reads a frame through [`Packet`], whose reads the kernel's verifier can follow: an array at
//! a bounded offset. Everything is inlined, loops have fixed bounds, nothing is sliced.

use super::{Address, Settings, address, mapped_address};
use crate::tunnel::{
    Carries, MAX_TUNNELS, PROTOCOL_GRE as GRE, Tunnel, VxlanPorts, behind_gre, behind_vxlan,
};

/// A frame that can be read in pieces of a fixed length.
pub trait Packet {
    /// The `N` bytes at `at`; `None` when they lie outside the frame.
    fn array<const N: usize>(&self, at: usize) -> Option<&[u8; N]>;

    /// The same offset. The program hides in it what the verifier knows of the offset, which then looks
    /// but once at what follows, from wherever it is come to.
    fn any_offset(&self, at: usize) -> usize {
        at
    }
}

impl Packet for [u8] {
    fn array<const N: usize>(&self, at: usize) -> Option<&[u8; N]> {
        self.get(at..)?.first_chunk()
    }
}

/// Why a frame shows no datagram.
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
    /// The tunnels that the frame came through, outermost first.
    pub tunnels: [Option<Tunnel>; MAX_TUNNELS],
    /// Where a tunnel's own header begins that was not seen through.
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
        let (tunnels, payload) = ([None; MAX_TUNNELS], Payload::Other);
        Glance { src, dst, src_port: 0, dst_port: 0, vlan, inner_vlan, tunnels, tunnel_at: 0, payload }
    }
}

const MAX_VLAN_TAGS: usize = 4;
const MAX_IPV6_EXTENSIONS: usize = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The shortest UDP datagram that can hold RTP's or RTCP's fixed header, or VXLAN's.
const RTP_DATAGRAM: u16 = 8 + 8;

/// Looks at an Ethernet frame, through the tunnels that the settings say.
///
/// # Errors
/// [`Unreadable`] when there is no IP datagram to see.
#[inline(always)]
pub fn glance<P: Packet + ?Sized>(frame: &P, settings: &Settings) -> Result<Glance, Unreadable> {
    let mut seen = network(frame, ethernet(frame, 0)?, &settings.vxlan)?;
    if matches!(seen.payload, Payload::Gre | Payload::Vxlan)
        && settings.see_through != 0
        && let Err(why) = see_through(frame, &mut seen, &settings.vxlan)
    {
        return Err(why);
    }
    Ok(seen)
}

/// Looks into a tunnel, and into one within it. What cannot be looked into stays as it is.
#[inline(never)]
fn see_through<P: Packet + ?Sized>(
    frame: &P,
    seen: &mut Glance,
    vxlan: &VxlanPorts,
) -> Result<(), Unreadable> {
    for depth in 0..MAX_TUNNELS {
        let at = frame.any_offset(seen.tunnel_at);
        let inside = match seen.payload {
            Payload::Gre => behind_gre(frame, at)?,
            Payload::Vxlan => Some(behind_vxlan(frame, at).ok_or(Unreadable::Damaged)?),
            _ => break,
        };
        let Some(inside) = inside else { break };
        let mut tunnels = seen.tunnels;
        tunnels[depth] = Some(inside.tunnel);
        let at = frame.any_offset(inside.at);
        let link = match inside.carries {
            Carries::Ethernet => ethernet(frame, at)?,
            Carries::Ip => ip(frame, at)?,
        };
        *seen = network(frame, Link { at: frame.any_offset(link.at), ..link }, vxlan)?;
        seen.tunnels = tunnels;
        if seen.vlan == 0 {
            seen.vlan = inside.vlan;
        }
    }
    Ok(())
}

/// What the link header says.
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
