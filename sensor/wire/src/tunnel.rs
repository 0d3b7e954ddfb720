//! Tunnels that mirrors come through: VXLAN (RFC 7348), GRE (RFC 2784, RFC 2890) with IP or Ethernet in
//! it, and ERSPAN types I to III, which GRE carries (draft-foschiano-erspan-03).
//!
//! Their headers are read through [`Packet`], so that the XDP program and the sensor's decoder share
//! this reading of them.

use crate::xdp::{Packet, Unreadable};

/// IANA's UDP port of VXLAN (RFC 7348, 8).
pub const VXLAN_PORT: u16 = 4789;

/// Tunnels within each other that are seen through.
pub const MAX_TUNNELS: usize = 2;

/// GRE's IP protocol number.
pub const PROTOCOL_GRE: u8 = 47;

/// What kind of tunnel.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TunnelKind {
    /// VXLAN, told apart by the network identifier (VNI), 24 bits.
    Vxlan = 1,
    /// GRE, told apart by its key.
    Gre = 2,
    /// ERSPAN, told apart by the session, 10 bits.
    Erspan = 3,
}

/// A tunnel that a frame came through.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// Its kind.
    pub kind: TunnelKind,
    /// What tells it from others of its kind; [`Tunnel::UNNUMBERED`] where nothing does.
    pub id: u32,
}

impl Tunnel {
    /// The id of GRE without a key and of ERSPAN type I. A key of all ones counts as none.
    pub const UNNUMBERED: u32 = u32::MAX;
}

/// UDP ports on which VXLAN is seen through, four at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct VxlanPorts([u16; VxlanPorts::MOST]);

impl VxlanPorts {
    /// How many there may be.
    pub const MOST: usize = 4;
    /// None: VXLAN is UDP like any other.
    pub const NONE: VxlanPorts = VxlanPorts([0; VxlanPorts::MOST]);
    /// IANA's alone.
    pub const USUAL: VxlanPorts = VxlanPorts([VXLAN_PORT, 0, 0, 0]);

    /// These ports; `None` when there are too many or one is 0.
    pub fn new(ports: &[u16]) -> Option<VxlanPorts> {
        let mut own = [0; VxlanPorts::MOST];
        own.get_mut(..ports.len())?.copy_from_slice(ports);
        (!ports.contains(&0)).then_some(VxlanPorts(own))
    }

    /// Whether a port is one of them.
    #[inline(always)]
    pub const fn has(&self, port: u16) -> bool {
        let [a, b, c, d] = self.0;
        (port == a) | (port == b) | (port == c) | (port == d) && port != 0
    }
}

/// What a tunnel carries.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// An Ethernet frame.
    Ethernet,
    /// An IP datagram.
    Ip,
}

/// What lies behind a tunnel's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inside {
    /// Where it begins.
    pub(crate) at: usize,
    /// What it begins with.
    pub(crate) carries: Carries,
    /// The VLAN that ERSPAN says the frame was in, 0 where it says none.
    pub(crate) vlan: u16,
    /// The tunnel.
    pub(crate) tunnel: Tunnel,
}

/// What lies behind a VXLAN header at `at`; `None` when there is no such header.
#[inline(always)]
pub(crate) fn behind_vxlan<P: Packet + ?Sized>(frame: &P, at: usize) -> Option<Inside> {
    let header = frame.array::<8>(at)?;
    // The flag that says that there is a network identifier (RFC 7348, 5).
    if header[0] & 0x08 == 0 {
        return None;
    }
    let tunnel = Tunnel { kind: TunnelKind::Vxlan, id: be32(0, header[4], header[5], header[6]) };
    Some(Inside { at: at + 8, carries: Carries::Ethernet, vlan: 0, tunnel })
}

/// What lies behind a GRE header at `at`; `None` when it is nothing that can be looked into.
///
/// # Errors
/// [`Unreadable::Damaged`] when a header runs past the frame.
#[inline(always)]
pub(crate) fn behind_gre<P: Packet + ?Sized>(frame: &P, at: usize) -> Result<Option<Inside>, Unreadable> {
    let header = frame.array::<4>(at).ok_or(Unreadable::Damaged)?;
    let flags = header[0];
    // Another version (PPTP's), or the source routes of RFC 1701.
    if header[1] & 0x07 != 0 || flags & 0x40 != 0 {
        return Ok(None);
    }
    // Checksum, key and sequence number take 4 bytes each, in this order (RFC 2890, 2).
    let key_at = at + if flags & 0x80 == 0 { 4 } else { 8 };
    let (id, sequence_at) = if flags & 0x20 == 0 {
        (Tunnel::UNNUMBERED, key_at)
    } else {
        let key = frame.array::<4>(key_at).ok_or(Unreadable::Damaged)?;
        (be32(key[0], key[1], key[2], key[3]), key_at + 4)
    };
    let sequenced = flags & 0x10 != 0;
    let at = if sequenced { sequence_at + 4 } else { sequence_at };
    let gre = Tunnel { kind: TunnelKind::Gre, id };
    let inside = |carries: Carries| Ok(Some(Inside { at, carries, vlan: 0, tunnel: gre }));
    match u16::from_be_bytes([header[2], header[3]]) {
        0x0800 | 0x86dd => inside(Carries::Ip),
        0x6558 => inside(Carries::Ethernet),
        // Type I has no header of its own, and is told from type II by GRE's sequence number.
        0x88be if !sequenced => {
            let tunnel = Tunnel { kind: TunnelKind::Erspan, id: Tunnel::UNNUMBERED };
            Ok(Some(Inside { at, carries: Carries::Ethernet, vlan: 0, tunnel }))
        }
        0x88be => behind_erspan(frame, at, 8).map(Some),
        0x22eb => behind_erspan_3(frame, at),
        _ => Ok(None),
    }
}

/// Behind the header of ERSPAN type II or III, whose first words mean the same.
#[inline(always)]
fn behind_erspan<P: Packet + ?Sized>(frame: &P, at: usize, length: usize) -> Result<Inside, Unreadable> {
    let header = frame.array::<4>(at).ok_or(Unreadable::Damaged)?;
    let session = be32(0, 0, header[2] & 0x03, header[3]);
    let vlan = u16::from_be_bytes([header[0] & 0x0f, header[1]]);
    let tunnel = Tunnel { kind: TunnelKind::Erspan, id: session };
    Ok(Inside { at: at + length, carries: Carries::Ethernet, vlan, tunnel })
}

#[inline(always)]
fn behind_erspan_3<P: Packet + ?Sized>(frame: &P, at: usize) -> Result<Option<Inside>, Unreadable> {
    let header = frame.array::<12>(at).ok_or(Unreadable::Damaged)?;
    // The last bit says that 8 bytes of the platform's own follow.
    let length = if header[11] & 1 == 0 { 12 } else { 20 };
    let inside = behind_erspan(frame, at, length)?;
    // The frame type: Ethernet or IP.
    Ok(match (header[10] >> 2) & 0x1f {
        0 => Some(inside),
        2 => Some(Inside { carries: Carries::Ip, ..inside }),
        _ => None,
    })
}

#[inline(always)]
const fn be32(a: u8, b: u8, c: u8, d: u8) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}
