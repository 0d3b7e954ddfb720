//! What is in a tunnel is seen as if there were none, whatever its header holds; what cannot be looked
//! into stays as it is.

use alloc::vec::Vec;

use etherparse::{IpNumber, PacketBuilder};
use proptest::prelude::*;

use super::*;
use crate::tunnel::{Tunnel, VXLAN_PORT};

const NONE: u32 = Tunnel::UNNUMBERED;

fn ethernet() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([1; 6], [2; 6])
}

fn datagram(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(4000, 4002).write(&mut bytes, payload).unwrap();
    bytes
}

fn in_gre(header: &[u8], carried: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let payload = [header, carried].concat();
    ethernet().ipv6([3; 16], [4; 16], 64).write(&mut bytes, IpNumber::GRE, &payload).unwrap();
    bytes
}

fn in_vxlan(port: u16, header: [u8; 8], carried: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let payload = [&header[..], carried].concat();
    ethernet().ipv4([192, 0, 2, 1], [192, 0, 2, 2], 9).udp(50_000, port).write(&mut bytes, &payload).unwrap();
    bytes
}

fn decoded(bytes: &[u8]) -> Frame<'_> {
    decode_frame(LinkType::Ethernet, bytes).unwrap()
}

/// The datagram that `datagram` makes, and the tunnel.
fn seen(bytes: &[u8]) -> Option<Tunnel> {
    let frame = decoded(bytes);
    let Transport::Udp { src_port: 4000, dst_port: 4002, payload: b"hello", truncated: false } =
        frame.transport
    else {
        panic!("{frame:?}")
    };
    assert_eq!(frame.network.src, core::net::IpAddr::from([10, 0, 0, 1]));
    frame.tunnels[0]
}

fn tunnel(kind: TunnelKind, id: u32) -> Option<Tunnel> {
    Some(Tunnel { kind, id })
}

#[test]
fn gre_is_seen_through_with_each_of_its_fields() {
    let inner = datagram(b"hello");
    assert_eq!(seen(&inner), None);
    assert_eq!(seen(&in_gre(&[0, 0, 8, 0], &inner[14..])), tunnel(TunnelKind::Gre, NONE));
    assert_eq!(seen(&in_gre(&[0, 0, 0x65, 0x58], &inner)), tunnel(TunnelKind::Gre, NONE));
    let (sum, key, sequence) = ([9, 9, 0, 0], [1, 2, 3, 4], [0, 0, 0, 5]);
    let keyed = [&[0x20, 0, 0x65, 0x58][..], &key].concat();
    assert_eq!(seen(&in_gre(&keyed, &inner)), tunnel(TunnelKind::Gre, 0x0102_0304));
    let full = [&[0xb0, 0, 0x65, 0x58][..], &sum, &key, &sequence].concat();
    assert_eq!(seen(&in_gre(&full, &inner)), tunnel(TunnelKind::Gre, 0x0102_0304));
    let summed = [&[0x90, 0, 8, 0][..], &sum, &sequence].concat();
    assert_eq!(seen(&in_gre(&summed, &inner[14..])), tunnel(TunnelKind::Gre, NONE));
}

#[test]
fn erspan_says_its_session_and_its_vlan() {
    let inner = datagram(b"hello");
    assert_eq!(seen(&in_gre(&[0, 0, 0x88, 0xbe], &inner)), tunnel(TunnelKind::Erspan, NONE));
    let two = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &[0x10, 7, 0x12, 0xff, 0, 0, 0, 0]].concat();
    let bytes = in_gre(&two, &inner);
    assert_eq!(seen(&bytes), tunnel(TunnelKind::Erspan, 0x2ff));
    assert_eq!(decoded(&bytes).vlan, Some(7));
    let mut three = [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0x20, 0, 0x13, 0xff], &[0; 8]].concat();
    assert_eq!(seen(&in_gre(&three, &inner)), tunnel(TunnelKind::Erspan, 0x3ff));
    assert_eq!(decoded(&in_gre(&three, &inner)).vlan, None);
    // Frame type 2: IP.
    three[18] = 2 << 2;
    assert_eq!(seen(&in_gre(&three, &inner[14..])), tunnel(TunnelKind::Erspan, 0x3ff));
    // With the platform's own 8 bytes.
    (three[18], three[19]) = (0, 1);
    three.extend_from_slice(&[9; 8]);
    assert_eq!(seen(&in_gre(&three, &inner)), tunnel(TunnelKind::Erspan, 0x3ff));
    // The frame's own tags say more than ERSPAN does.
    let mut tagged = inner;
    tagged.splice(12..12, [0x81, 0, 0, 100]);
    assert_eq!(decoded(&in_gre(&two, &tagged)).vlan, Some(100));
}

#[test]
fn vxlan_is_told_by_port_and_flag() {
    let inner = datagram(b"hello");
    let header = [8, 0, 0, 0, 1, 2, 3, 0];
    assert_eq!(seen(&in_vxlan(VXLAN_PORT, header, &inner)), tunnel(TunnelKind::Vxlan, 0x01_0203));
    let other = in_vxlan(8472, header, &inner);
    assert_eq!(decoded(&other).tunnels, [None; 2]);
    let ports = VxlanPorts::new(&[1, 8472]).unwrap();
    let through = decode_frame_through(LinkType::Ethernet, &other, &ports).unwrap();
    assert_eq!(through.tunnels, [tunnel(TunnelKind::Vxlan, 0x01_0203), None]);
    // RTP to that port, and what is too short for a header.
    let rtp = in_vxlan(VXLAN_PORT, [0x80, 0, 0, 1, 0, 0, 0, 0], &[0; 8]);
    assert!(matches!(decoded(&rtp).transport, Transport::Udp { dst_port: VXLAN_PORT, .. }));
    assert_eq!(VxlanPorts::new(&[0]), None);
    assert_eq!(VxlanPorts::new(&[1, 2, 3, 4, 5]), None);
    assert!(!VxlanPorts::USUAL.has(0) && !VxlanPorts::NONE.has(0));
}

#[test]
fn two_tunnels_are_seen_through_and_a_third_stays() {
    let once = in_gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 5], &datagram(b"hello"));
    let twice = in_vxlan(VXLAN_PORT, [8, 0, 0, 0, 0, 0, 6, 0], &once);
    assert_eq!(seen(&twice), tunnel(TunnelKind::Vxlan, 6));
    assert_eq!(decoded(&twice).tunnels[1], tunnel(TunnelKind::Gre, 5));
    let thrice = in_gre(&[0, 0, 0x88, 0xbe], &twice);
    let frame = decoded(&thrice);
    assert_eq!(frame.tunnels, [tunnel(TunnelKind::Erspan, NONE), tunnel(TunnelKind::Vxlan, 6)]);
    assert!(matches!(frame.transport, Transport::Gre(_)));
}

#[test]
fn what_is_unknown_or_cut_is_named() {
    let inner = datagram(b"hello");
    for header in [
        [0x30, 0x01, 0x88, 0x0b], // PPTP
        [0x40, 0, 8, 0],          // source routes
        [0, 0, 0x88, 0x0b],       // PPP
    ] {
        assert!(matches!(decoded(&in_gre(&header, &inner)).transport, Transport::Gre(_)), "{header:?}");
    }
    let error = |bytes: &[u8]| decode_frame(LinkType::Ethernet, bytes).unwrap_err();
    assert_eq!(error(&in_gre(&[0xb0, 0, 8, 0], &[0; 4])), FrameError::Truncated);
    assert_eq!(error(&in_gre(&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &[0; 11])), FrameError::Truncated);
    assert_eq!(error(&in_gre(&[0, 0, 0x65, 0x58], &[0; 14])), FrameError::NotIp);
    let whole = in_vxlan(VXLAN_PORT, [8, 0, 0, 0, 0, 0, 6, 0], &inner);
    assert_eq!(error(&whole[..90]), FrameError::Truncated);
}

#[test]
fn a_datagram_in_pieces_is_looked_into_once_it_is_whole() {
    let carried = [&[0x20, 0, 0x65, 0x58, 0, 0, 0, 5][..], &datagram(b"hello")].concat();
    let mut first = in_gre(&[], &carried);
    first.splice(54..54, [47, 0, 0, 1, 0, 0, 0, 9]);
    (first[20], first[19]) = (44, first[19] + 8);
    let frame = decoded(&first);
    let Transport::Fragment(part) = frame.transport else { panic!("{frame:?}") };
    assert_eq!(part.protocol, 47);
    let whole = frame.made_whole(part.protocol, &carried, &VxlanPorts::NONE).unwrap();
    assert!(matches!(whole.transport, Transport::Udp { payload: b"hello", .. }));
    assert_eq!(whole.tunnels[0], tunnel(TunnelKind::Gre, 5));
}

/// Any GRE header whose content is an Ethernet frame.
fn header() -> impl Strategy<Value = Vec<u8>> {
    (any::<[bool; 3]>(), any::<bool>()).prop_map(|([sum, key, sequence], erspan)| {
        let flags = u8::from(sum) << 7 | u8::from(key) << 5 | u8::from(sequence) << 4;
        let protocol = if erspan { [0x88, 0xbe] } else { [0x65, 0x58] };
        let mut header = [&[flags, 0][..], &protocol].concat();
        header.resize(4 + 4 * flags.count_ones() as usize, 7);
        let own = if erspan && sequence { 8 } else { 0 };
        header.resize(header.len() + own, 0x10);
        header
    })
}

proptest! {
    #[test]
    fn a_frame_in_a_tunnel_is_the_frame(
        header in header(),
        bytes in proptest::collection::vec(any::<u8>(), 0..20),
        tags in 0_u8..3,
        cut in 0_usize..60,
    ) {
        let mut inner = datagram(&bytes);
        for tag in 0..tags {
            inner.splice(12..12, [0x81, 0, 0, tag + 1]);
        }
        inner.truncate(inner.len() - cut.min(inner.len()));
        let outer = in_gre(&header, &inner);
        let (bare, inside) = (decode_frame(LinkType::Ethernet, &inner), decode_frame(LinkType::Ethernet, &outer));
        match (bare, inside) {
            (Ok(bare), Ok(inside)) => {
                prop_assert!(inside.tunnels[0].is_some());
                prop_assert_eq!(bare.network, inside.network);
                if tags > 0 {
                    prop_assert_eq!((bare.vlan, bare.inner_vlan), (inside.vlan, inside.inner_vlan));
                }
                prop_assert_eq!(alloc::format!("{:?}", bare.transport), alloc::format!("{:?}", inside.transport));
            }
            (bare, inside) => prop_assert_eq!(bare.map(drop), inside.map(drop)),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(protocol in any::<[u8; 4]>(), bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode_frame(LinkType::Ethernet, &in_gre(&protocol, &bytes));
        let _ = decode_frame(LinkType::Ethernet, &in_vxlan(VXLAN_PORT, [8; 8], &bytes));
    }
}
