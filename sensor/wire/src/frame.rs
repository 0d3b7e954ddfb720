//! Link headers down to the transport: Ethernet with VLANs, Linux cooked, raw IP, loopback; IPv4
//! and IPv6 with extension headers and fragments; UDP. One pass, no copy. What is in a tunnel is
//! decoded by [`crate::decode_frame`], which looks into what [`decode_envelope`] finds.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::tunnel::{MAX_TUNNELS, PROTOCOL_GRE, Tunnel};

/// The link layer of a source, by its LINKTYPE number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// Ethernet II with any number of VLAN tags (1).
    Ethernet,
    /// Linux cooked capture v1 (113).
    LinuxSll,
    /// Linux cooked capture v2 (276).
    LinuxSll2,
    /// IPv4 or IPv6 without a link header (12, 14, 101, 228, 229).
    RawIp,
    /// BSD loopback, the family in either byte order (0, 108).
    Null,
}

impl LinkType {
    /// The link layer of a LINKTYPE number, `None` for one that is not decoded here.
    pub const fn from_number(number: u32) -> Option<LinkType> {
        match number {
            1 => Some(LinkType::Ethernet),
            113 => Some(LinkType::LinuxSll),
            276 => Some(LinkType::LinuxSll2),
            12 | 14 | 101 | 228 | 229 => Some(LinkType::RawIp),
            0 | 108 => Some(LinkType::Null),
            _ => None,
        }
    }
}

/// Why a frame has no transport to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A header runs past the captured bytes.
    Truncated,
    /// Not IPv4 or IPv6 (ARP, LLDP, MPLS, …).
    NotIp,
    /// An IP or UDP header contradicts itself.
    Malformed,
}

/// A decoded frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Outermost VLAN id, if tagged. In a tunnel: the tagged frame's within, or what ERSPAN says of it.
    pub vlan: Option<u16>,
    /// The VLAN id behind the outermost one (802.1ad), if there are two.
    pub inner_vlan: Option<u16>,
    /// The tunnels that it came through, outermost first.
    pub tunnels: [Option<Tunnel>; MAX_TUNNELS],
    /// The IP layer.
    pub network: Network,
    /// What it carries.
    pub transport: Transport<'a>,
}

/// The IP header's part that identifies a datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Sender.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// IPv4's identification; `None` for IPv6, which has none outside fragments.
    pub id: Option<u16>,
    /// Time to live or hop limit.
    pub ttl: u8,
}

impl core::fmt::Debug for Network {
    /// Redacted: no address reaches a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Network(id {:?}, ttl {})", self.id, self.ttl)
    }
}

/// What an IP datagram carries.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// A whole UDP datagram.
    Udp {
        /// Sender's port.
        src_port: u16,
        /// Receiver's port.
        dst_port: u16,
        /// The bytes after the UDP header, as far as they were captured.
        payload: &'a [u8],
        /// The capture holds fewer bytes than the UDP header promises.
        truncated: bool,
    },
    /// A TCP segment.
    Tcp {
        /// Sender's port.
        src_port: u16,
        /// Receiver's port.
        dst_port: u16,
    },
    /// One fragment of a datagram.
    Fragment(Fragment<'a>),
    /// GRE that was not looked into, from its header on, as far as it was captured.
    Gre(&'a [u8]),
    /// Another protocol, by its IP number.
    Other(u8),
}

/// A piece of an IP datagram (RFC 791, 3.2; RFC 8200, 4.5).
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// The datagram's identification.
    pub id: u32,
    /// The protocol of the whole datagram.
    pub protocol: u8,
    /// Where the piece begins, in bytes.
    pub offset: u16,
    /// Another piece follows.
    pub more: bool,
    /// The piece.
    pub payload: &'a [u8],
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const MAX_VLAN_TAGS: usize = 4;
const MAX_IPV6_EXTENSIONS: usize = 8;
const NO_TUNNEL: [Option<Tunnel>; MAX_TUNNELS] = [None; MAX_TUNNELS];
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// Decodes one captured frame, and looks into no tunnel.
///
/// # Errors
/// [`FrameError`] names what stops the decoder; the frame is then counted under that reason.
#[inline]
pub fn decode_envelope(link: LinkType, bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    match link {
        LinkType::Ethernet => {
            let ethertype = be16(bytes, 12)?;
            tagged(bytes, ethertype, 14)
        }
        LinkType::LinuxSll => tagged(bytes, be16(bytes, 14)?, 16),
        LinkType::LinuxSll2 => tagged(bytes, be16(bytes, 0)?, 20),
        LinkType::RawIp => decode_ip(bytes, None),
        LinkType::Null => {
            let family: [u8; 4] = take(bytes, 0)?;
            match u32::from_be_bytes(family).min(u32::from_le_bytes(family)) {
                2 | 24 | 28 | 30 => decode_ip(&bytes[4..], None),
                _ => Err(FrameError::NotIp),
            }
        }
    }
}

/// Walks VLAN tags (802.1Q, 802.1ad, the older 0x9100) down to IP.
fn tagged(bytes: &[u8], mut ethertype: u16, mut offset: usize) -> Result<Frame<'_>, FrameError> {
    let (mut vlan, mut inner_vlan) = (None, None);
    for _ in 0..MAX_VLAN_TAGS {
        if !matches!(ethertype, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        let tag = be16(bytes, offset)? & 0x0fff;
        inner_vlan = inner_vlan.or(vlan.and(Some(tag)));
        vlan = vlan.or(Some(tag));
        ethertype = be16(bytes, offset + 2)?;
        offset += 4;
    }
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => {
            let mut decoded = decode_ip(&bytes[offset.min(bytes.len())..], vlan);
            if let (Some(_), Ok(frame)) = (inner_vlan, &mut decoded) {
                frame.inner_vlan = inner_vlan;
            }
            decoded
        }
        _ => Err(FrameError::NotIp),
    }
}

/// Decodes from the IP header on.
///
/// # Errors
/// As [`decode_envelope`].
pub fn decode_ip(bytes: &[u8], vlan: Option<u16>) -> Result<Frame<'_>, FrameError> {
    match bytes.first().ok_or(FrameError::Truncated)? >> 4 {
        4 => ipv4(bytes, vlan),
        6 => ipv6(bytes, vlan),
        _ => Err(FrameError::NotIp),
    }
}

fn ipv4(bytes: &[u8], vlan: Option<u16>) -> Result<Frame<'_>, FrameError> {
    let header: [u8; 20] = take(bytes, 0)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // A total length of 0 is TCP segmentation offload's: the datagram runs to the frame's end.
    let total_len = if total_len == 0 { bytes.len() } else { total_len };
    if header_len < 20 || total_len < header_len {
        return Err(FrameError::Malformed);
    }
    let payload = bytes.get(header_len..).ok_or(FrameError::Truncated)?;
    let promised = total_len - header_len;
    let payload = &payload[..payload.len().min(promised)];
    let flags = u16::from_be_bytes([header[6], header[7]]);
    let id = u16::from_be_bytes([header[4], header[5]]);
    let network = Network {
        src: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
        dst: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
        id: Some(id),
        ttl: header[8],
    };
    let (offset, more) = ((flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let transport = if offset != 0 || more {
        if payload.len() < promised {
            return Err(FrameError::Truncated);
        }
        Transport::Fragment(Fragment { id: u32::from(id), protocol: header[9], offset, more, payload })
    } else {
        decode_transport(header[9], payload)?
    };
    Ok(Frame { vlan, inner_vlan: None, tunnels: NO_TUNNEL, network, transport })
}

fn ipv6(bytes: &[u8], vlan: Option<u16>) -> Result<Frame<'_>, FrameError> {
    let header: [u8; 40] = take(bytes, 0)?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let rest = &bytes[40..];
    let promised = if payload_len == 0 { rest.len() } else { payload_len };
    let mut rest = &rest[..rest.len().min(promised)];
    let complete = rest.len() == promised;
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let network = Network { src: address(8), dst: address(24), id: None, ttl: header[7] };
    let mut next = header[6];
    for _ in 0..MAX_IPV6_EXTENSIONS {
        let len = match next {
            // Hop-by-hop, routing, destination options, mobility: length in 8-byte units.
            0 | 43 | 60 | 135 => 8 * (usize::from(*rest.get(1).ok_or(FrameError::Truncated)?) + 1),
            // Authentication header: length in 4-byte units.
            51 => 4 * (usize::from(*rest.get(1).ok_or(FrameError::Truncated)?) + 2),
            44 => {
                let part: [u8; 8] = take(rest, 0)?;
                let field = u16::from_be_bytes([part[2], part[3]]);
                let id = u32::from_be_bytes([part[4], part[5], part[6], part[7]]);
                let (offset, more) = (field & 0xfff8, field & 1 != 0);
                if offset == 0 && !more {
                    8
                } else if complete {
                    let fragment = Fragment { id, protocol: part[0], offset, more, payload: &rest[8..] };
                    let transport = Transport::Fragment(fragment);
                    return Ok(Frame { vlan, inner_vlan: None, tunnels: NO_TUNNEL, network, transport });
                } else {
                    return Err(FrameError::Truncated);
                }
            }
            _ => break,
        };
        next = *rest.first().ok_or(FrameError::Truncated)?;
        rest = rest.get(len..).ok_or(FrameError::Truncated)?;
    }
    let transport = decode_transport(next, rest)?;
    Ok(Frame { vlan, inner_vlan: None, tunnels: NO_TUNNEL, network, transport })
}

/// Decodes what a whole IP datagram carries, `bytes` being its payload.
///
/// # Errors
/// As [`decode_envelope`].
pub fn decode_transport(protocol: u8, bytes: &[u8]) -> Result<Transport<'_>, FrameError> {
    match protocol {
        PROTOCOL_UDP => {
            let header: [u8; 8] = take(bytes, 0)?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            let payload = &bytes[8..];
            // Length 0 is a jumbogram's (RFC 2675, 4): it runs to the datagram's end.
            let promised = match length {
                0 => payload.len(),
                1..8 => return Err(FrameError::Malformed),
                _ => length - 8,
            };
            Ok(Transport::Udp {
                src_port: u16::from_be_bytes([header[0], header[1]]),
                dst_port: u16::from_be_bytes([header[2], header[3]]),
                payload: &payload[..payload.len().min(promised)],
                truncated: payload.len() < promised,
            })
        }
        PROTOCOL_TCP => Ok(Transport::Tcp { src_port: be16(bytes, 0)?, dst_port: be16(bytes, 2)? }),
        PROTOCOL_GRE => Ok(Transport::Gre(bytes)),
        other => Ok(Transport::Other(other)),
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], FrameError> {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).ok_or(FrameError::Truncated)
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, FrameError> {
    take(bytes, at).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_frame;
    use alloc::vec::Vec;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn udp(frame: &Frame<'_>) -> (u16, u16, Vec<u8>, bool) {
        match frame.transport {
            Transport::Udp { src_port, dst_port, payload, truncated } => {
                (src_port, dst_port, payload.to_vec(), truncated)
            }
            other => panic!("not UDP: {other:?}"),
        }
    }

    fn ethernet_ipv4(payload: &[u8]) -> Vec<u8> {
        let builder =
            PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(5060, 5062);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    #[test]
    fn ethernet_ipv4_udp_as_etherparse_builds_it() {
        let bytes = ethernet_ipv4(b"hello");
        let frame = decode_frame(LinkType::Ethernet, &bytes).unwrap();
        assert_eq!(frame.network.src, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(udp(&frame), (5060, 5062, b"hello".to_vec(), false));
    }

    #[test]
    fn double_tags_name_both_vlans() {
        let id = |n: u16| etherparse::VlanId::try_new(n).unwrap();
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
            .double_vlan(id(100), id(200))
            .ipv6([1; 16], [2; 16], 64)
            .udp(1, 2);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, &[7; 40]).unwrap();
        let frame = decode_frame(LinkType::Ethernet, &bytes).unwrap();
        assert_eq!((frame.vlan, frame.inner_vlan), (Some(100), Some(200)));
        assert_eq!(udp(&frame).2, [7; 40]);
    }

    #[test]
    fn a_snapped_datagram_says_so_and_ethernet_padding_is_cut() {
        let bytes = ethernet_ipv4(&[9; 100]);
        let frame = decode_frame(LinkType::Ethernet, &bytes[..bytes.len() - 60]).unwrap();
        assert_eq!(udp(&frame).2.len(), 40);
        assert!(udp(&frame).3);
        let mut padded = ethernet_ipv4(b"x");
        padded.extend_from_slice(&[0; 17]);
        assert_eq!(udp(&decode_frame(LinkType::Ethernet, &padded).unwrap()).2, b"x");
    }

    #[test]
    fn fragments_carry_their_place() {
        let mut bytes = ethernet_ipv4(&[1; 32]);
        bytes[14 + 6] = 0x20; // more fragments
        bytes[14 + 7] = 0x02; // offset 16
        match decode_frame(LinkType::Ethernet, &bytes).unwrap().transport {
            Transport::Fragment(part) => assert_eq!((part.offset, part.more, part.protocol), (16, true, 17)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_link_type_reaches_the_same_datagram() {
        let ethernet = ethernet_ipv4(b"abc");
        let ip = &ethernet[14..];
        let with = |header: &[u8]| [header, ip].concat();
        let mut sll = [0; 16];
        sll[14] = 8;
        let mut sll2 = [0; 20];
        sll2[0] = 8;
        for (link, bytes) in [
            (LinkType::RawIp, ip.to_vec()),
            (LinkType::Null, with(&[2, 0, 0, 0])),
            (LinkType::Null, with(&[0, 0, 0, 2])),
            (LinkType::LinuxSll, with(&sll)),
            (LinkType::LinuxSll2, with(&sll2)),
        ] {
            assert_eq!(udp(&decode_frame(link, &bytes).unwrap()).2, b"abc", "{link:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), link in 0usize..5) {
            let links = [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::RawIp, LinkType::Null];
            let _ = decode_frame(links[link], &bytes);
        }
    }
}
