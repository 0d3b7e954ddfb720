//! The XDP program's decoder: one look at a frame's headers, one bounds check a header.
//!
//! It reads a frame through [`Packet`], whose reads the kernel's verifier can follow: an array at
//! a bounded offset. Everything is inlined, loops have fixed bounds, nothing is sliced.

use super::{Address, address, mapped_address};

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
    /// Outermost VLAN id, 0 where there is none (and for priority tags).
    pub vlan: u16,
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
    /// A fragment of a UDP datagram, the first one too.
    Fragment,
    /// Another protocol.
    Other,
}

const MAX_VLAN_TAGS: usize = 4;
const MAX_IPV6_EXTENSIONS: usize = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The shortest UDP datagram that can hold RTP's or RTCP's fixed header.
const RTP_DATAGRAM: u16 = 8 + 8;

/// Looks at an Ethernet frame.
///
/// # Errors
/// [`Unreadable`] when there is no IP datagram to see.
#[inline(always)]
pub fn glance<P: Packet + ?Sized>(frame: &P) -> Result<Glance, Unreadable> {
    let ethernet = frame.array::<14>(0).ok_or(Unreadable::Damaged)?;
    let mut ethertype = be16(ethernet[12], ethernet[13]);
    let mut at = 14;
    let mut vlan = 0;
    for tag_number in 0..MAX_VLAN_TAGS {
        if !matches!(ethertype, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        let tag = frame.array::<4>(at).ok_or(Unreadable::Damaged)?;
        if tag_number == 0 {
            vlan = be16(tag[0], tag[1]) & 0x0fff;
        }
        ethertype = be16(tag[2], tag[3]);
        at += 4;
    }
    match ethertype {
        0x0800 => ipv4(frame, at, vlan),
        0x86dd => ipv6(frame, at, vlan),
        _ => Err(Unreadable::NotIp),
    }
}

#[inline(always)]
fn ipv4<P: Packet + ?Sized>(frame: &P, at: usize, vlan: u16) -> Result<Glance, Unreadable> {
    let header = frame.array::<20>(at).ok_or(Unreadable::Damaged)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return Err(Unreadable::Damaged);
    }
    let src = mapped_address([header[12], header[13], header[14], header[15]]);
    let dst = mapped_address([header[16], header[17], header[18], header[19]]);
    let fragment = be16(header[6], header[7]) & 0x3fff != 0;
    let network = Glance { src, dst, src_port: 0, dst_port: 0, vlan, payload: Payload::Other };
    transport(frame, network, header[9], at + header_len, fragment)
}

#[inline(always)]
fn ipv6<P: Packet + ?Sized>(frame: &P, at: usize, vlan: u16) -> Result<Glance, Unreadable> {
    let header = frame.array::<40>(at).ok_or(Unreadable::Damaged)?;
    if header[0] >> 4 != 6 {
        return Err(Unreadable::Damaged);
    }
    let src = address(frame.array::<16>(at + 8).ok_or(Unreadable::Damaged)?);
    let dst = address(frame.array::<16>(at + 24).ok_or(Unreadable::Damaged)?);
    let network = Glance { src, dst, src_port: 0, dst_port: 0, vlan, payload: Payload::Other };
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
    transport(frame, network, next, at, fragment)
}

#[inline(always)]
fn transport<P: Packet + ?Sized>(
    frame: &P,
    mut seen: Glance,
    protocol: u8,
    at: usize,
    fragment: bool,
) -> Result<Glance, Unreadable> {
    if fragment {
        seen.payload = if protocol == UDP { Payload::Fragment } else { Payload::Other };
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
            Some(first) => shape(first, be16(ports[4], ports[5])),
            None => Payload::Udp,
        }
    };
    Ok(seen)
}

/// What a UDP payload's first bytes look like.
#[inline(always)]
fn shape(first: &[u8; 4], length: u16) -> Payload {
    if first[0] >> 6 == 2 && length >= RTP_DATAGRAM {
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
