//! The program's view of a frame against the sensor's decoder, and its decisions in a table.

use alloc::vec::Vec;
use core::net::IpAddr;

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::{
    InterfaceRealms, LinkType, Realm, RealmRule, SeenIn, Transport, Tunnel, TunnelKind, decode_frame,
};

fn address_of(addr: IpAddr) -> Address {
    match addr {
        IpAddr::V4(v4) => mapped_address(v4.octets()),
        IpAddr::V6(v6) => address(&v6.octets()),
    }
}

/// What the programs see, one after the other.
fn through(bytes: &[u8], settings: &Settings) -> Result<Glance, Unreadable> {
    let mut seen = glance(bytes, &settings.vxlan)?;
    while settings.see_through != 0
        && let Some(descent) = seen.descent()
    {
        let next = descend(bytes, &descent, &settings.vxlan)?;
        if next.src == [0; 4] && next.payload == Payload::Gre {
            assert_eq!((next.vlan, next.tunnels), (seen.vlan, seen.tunnels), "it is as it was");
            break;
        }
        seen = next;
    }
    Ok(seen)
}

/// Holds the program's view against the decoder's, where the decoder sees a datagram.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let seen = through(bytes, &Settings::new());
    let Ok(frame) = decode_frame(LinkType::Ethernet, bytes) else { return Ok(()) };
    let Ok(seen) = seen else {
        // The program gives up after fewer extension headers than the decoder.
        prop_assert!(frame.network.src.is_ipv6(), "only the decoder reads it");
        return Ok(());
    };
    prop_assert_eq!(seen.src, address_of(frame.network.src));
    prop_assert_eq!(seen.dst, address_of(frame.network.dst));
    prop_assert_eq!(seen.vlan, frame.vlan.unwrap_or(0));
    prop_assert_eq!(seen.inner_vlan, frame.inner_vlan.unwrap_or(0));
    prop_assert_eq!(seen.tunnels, frame.tunnels.map(|seen| seen.map_or(RealmKey::NONE, RealmKey::of_tunnel)));
    let (realms, tables) = realms();
    prop_assert_eq!(realm(&seen, &tables.settings(), &tables), realms.of(&frame).0);
    match frame.transport {
        Transport::Udp { src_port, dst_port, payload, truncated } => {
            if seen.payload == Payload::Other {
                return Ok(()); // Behind more extension headers than the program follows.
            }
            prop_assert_eq!((seen.src_port, seen.dst_port), (src_port, dst_port));
            let rtp = payload.first().is_some_and(|first| first >> 6 == 2) && payload.len() >= 8;
            if !truncated && payload.len() >= 4 && seen.payload != Payload::Vxlan {
                prop_assert_eq!(seen.payload == Payload::Rtp, rtp);
            }
        }
        Transport::Tcp { src_port, dst_port } => {
            if seen.payload == Payload::Tcp {
                prop_assert_eq!((seen.src_port, seen.dst_port), (src_port, dst_port));
            }
        }
        Transport::Fragment(part) => {
            prop_assert!(matches!(seen.payload, Payload::Fragment | Payload::Other));
            prop_assert!(!matches!(part.protocol, 17 | 47) || seen.payload == Payload::Fragment);
        }
        Transport::Gre(_) => prop_assert!(matches!(seen.payload, Payload::Gre | Payload::Other)),
        Transport::Other(_) => prop_assert_eq!(seen.payload, Payload::Other),
    }
    Ok(())
}

fn built(tags: usize, six: bool, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2([1; 6], [2; 6]);
    let mut plain = Vec::new();
    if six {
        ethernet.ipv6([3; 16], [4; 16], 64).udp(ports.0, ports.1).write(&mut plain, payload).unwrap();
    } else {
        ethernet
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(ports.0, ports.1)
            .write(&mut plain, payload)
            .unwrap();
    }
    for tag in 0..tags {
        plain.splice(12..12, [0x81, 0, 0x20, tag as u8 + 1]);
    }
    plain
}

/// Realms for what `built` and `wrapped` make, and the maps that the sensor makes of them.
fn realms() -> (InterfaceRealms, Maps) {
    let tunnel = |kind, id| SeenIn::Tunnel(Tunnel { kind, id });
    let seen_in = [
        SeenIn::Interface,
        SeenIn::Vlan(1),
        SeenIn::Vlan(7),
        SeenIn::VlanPair(2, 1),
        SeenIn::VlanPair(3, 2),
        tunnel(TunnelKind::Vxlan, 5),
        tunnel(TunnelKind::Gre, 5),
        tunnel(TunnelKind::Erspan, 5),
    ];
    let rule = |(realm, seen_in)| RealmRule { interface: None, seen_in, realm: Realm(realm) };
    let realms = InterfaceRealms::new(&(1..).zip(seen_in).map(rule).collect::<Vec<_>>(), None);
    let maps = Maps(realms.clone());
    (realms, maps)
}

struct Maps(InterfaceRealms);

impl Maps {
    fn settings(&self) -> Settings {
        Settings { realm: self.0.of_interface().0, realm_by_vlan: 1, realm_by_key: 1, ..Settings::new() }
    }
}

impl RealmTables for Maps {
    fn of_vlan(&self, vlan: u16) -> Option<u16> {
        self.0.vlans().find(|(known, _)| *known == vlan).map(|(_, realm)| realm.0)
    }

    fn of_key(&self, key: &RealmKey) -> Option<u16> {
        let tunnels = self.0.tunnels().map(|(tunnel, realm)| (RealmKey::of_tunnel(tunnel), realm));
        let pairs = self.0.vlan_pairs().map(|((a, b), realm)| (RealmKey::of_vlans(a, b), realm));
        tunnels.chain(pairs).find(|(known, _)| known == key).map(|(_, realm)| realm.0)
    }
}

/// A frame in a tunnel: VXLAN, or GRE with these flags and what each of its protocols has for a header.
fn wrapped(kind: usize, flags: u8, id: u8, frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ip = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
    if kind == 0 {
        let payload = [&[8 | flags, 0, 0, 0, 0, 0, id, 0][..], frame].concat();
        ip.udp(50_000, 4789).write(&mut bytes, &payload).unwrap();
        return bytes;
    }
    let protocols = [[0x65, 0x58], [8, 0], [0x88, 0xbe], [0x22, 0xeb], [0x88, 0x0b]];
    let protocol = protocols[kind % protocols.len()];
    let mut gre = [&[flags & 0xb0, 0][..], &protocol].concat();
    for (bit, word) in [(0x80, [9; 4]), (0x20, [0, 0, 0, id]), (0x10, [8; 4])] {
        if flags & bit != 0 {
            gre.extend_from_slice(&word);
        }
    }
    match protocol {
        [0x88, 0xbe] if flags & 0x10 != 0 => gre.extend_from_slice(&[0x10, 7, 0x10, id, 0, 0, 0, 0]),
        [0x22, 0xeb] => gre.extend_from_slice(&[0x20, 7, 0x10, id, 0, 0, 0, 0, 0, 0, flags & 8, 0]),
        _ => {}
    }
    let from = if protocol == [8, 0] { 14.min(frame.len()) } else { 0 };
    gre.extend_from_slice(&frame[from..]);
    ip.write(&mut bytes, etherparse::IpNumber::GRE, &gre).unwrap();
    bytes
}

proptest! {
    #[test]
    fn the_program_sees_in_tunnels_what_the_decoder_sees(
        tags in 0_usize..4,
        six in any::<bool>(),
        tunnels in proptest::collection::vec((0_usize..6, any::<u8>(), 4_u8..7), 1..4),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        change in proptest::option::of((0_usize..200, any::<u8>())),
        cut in 0_usize..40,
    ) {
        let mut bytes = built(tags, six, (7, 9), &payload);
        for (kind, flags, id) in tunnels {
            bytes = wrapped(kind, flags, id, &bytes);
        }
        agree(&bytes)?;
        if let Some((at, value)) = change && let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        agree(&bytes)?;
    }

    #[test]
    fn the_program_sees_what_the_decoder_sees(
        tags in 0_usize..5,
        six in any::<bool>(),
        ports in any::<(u16, u16)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
        change in proptest::option::of((0_usize..120, any::<u8>())),
        cut in 0_usize..40,
    ) {
        let mut bytes = built(tags, six, ports, &payload);
        if let Some((at, value)) = change && let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        agree(&bytes)?;
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        agree(&bytes)?;
    }
}

/// Tables for a test: one endpoint's verdict, SIP's port.
struct One(Option<(EndpointKey, EndpointVerdict)>);

impl Tables for One {
    fn verdict(&self, key: &EndpointKey) -> Option<EndpointVerdict> {
        self.0.filter(|(known, _)| known == key).map(|(_, verdict)| verdict)
    }

    fn is_signalling_port(&self, port: u16) -> bool {
        port == 5060
    }
}

fn fate(bytes: &[u8], settings: &Settings, tables: &One) -> Fate {
    decide(&through(bytes, settings).unwrap_or_else(|why| panic!("{why:?}")), 0, settings, tables)
}

const RTP: [u8; 20] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const HERE: Address = mapped_address([10, 0, 0, 1]);

#[test]
fn signalling_is_told_by_port_and_by_its_letters_and_media_is_never_signalling() {
    let (settings, none) = (Settings::new(), One(None));
    assert_eq!(fate(&built(0, false, (5060, 9), b"\r\n\r\n"), &settings, &none), Fate::Signalling);
    assert_eq!(fate(&built(0, true, (9, 5060), b"SIP/2.0 200"), &settings, &none), Fate::Signalling);
    assert_eq!(fate(&built(2, false, (7, 9), b"INVITE sip:"), &settings, &none), Fate::Signalling);
    assert_eq!(fate(&built(0, false, (5060, 9), &RTP), &settings, &none), Fate::Media(Basis::Shape));
    assert_eq!(fate(&built(0, false, (7, 53), &[1, 2, 3, 4]), &settings, &none), Fate::Unwanted);
}

#[test]
fn a_tunnel_that_is_not_seen_through_goes_up_as_it_is() {
    let none = One(None);
    let blind = Settings { recognise: 0, see_through: 0, ..Settings::new() };
    let text = built(0, false, (7, 9), b"INVITE sip:");
    for kind in 0..6 {
        let once = wrapped(kind, 0, 5, &text);
        assert_eq!(fate(&once, &blind, &none), Fate::Media(Basis::Tunnel), "{kind}");
        if kind != 4 {
            assert_ne!(fate(&once, &Settings::new(), &none), Fate::Media(Basis::Tunnel), "{kind}");
        }
    }
    let twice = wrapped(0, 0, 5, &wrapped(2, 0x10, 5, &text));
    assert_eq!(fate(&twice, &Settings::new(), &none), Fate::Signalling);
    let thrice = wrapped(1, 0, 5, &twice);
    assert_eq!(fate(&thrice, &Settings::new(), &none), Fate::Media(Basis::Tunnel));
    let unknown = wrapped(4, 0, 5, &text);
    assert_eq!(through(&unknown, &Settings::new()).map(|seen| seen.payload), Ok(Payload::Gre));
}

#[test]
fn a_verdict_that_drops_wins_on_either_side() {
    let settings = Settings { recognise: 0, ..Settings::new() };
    let key = EndpointKey { addr: HERE, port: 7, realm: 0 };
    let bytes = built(0, false, (7, 9), &RTP);
    let other = built(0, false, (8, 9), &RTP);
    for (verdict, expected) in [
        (EndpointVerdict::Never, Fate::Never),
        (EndpointVerdict::Cut, Fate::Cut),
        (EndpointVerdict::Media, Fate::Media(Basis::Endpoint)),
    ] {
        let tables = One(Some((key, verdict)));
        assert_eq!(fate(&bytes, &settings, &tables), expected);
        assert_eq!(fate(&other, &settings, &tables), Fate::Unwanted);
    }
    let tables = One(Some((EndpointKey { realm: 1, ..key }, EndpointVerdict::Never)));
    assert_eq!(fate(&bytes, &settings, &tables), Fate::Unwanted, "another realm's");
}

#[test]
fn ranges_and_hosts_count_as_many_as_the_settings_say() {
    let mut settings = Settings { recognise: recognise::RANGES, ..Settings::new() };
    settings.ranges[0] = Range {
        addr: mapped_address([10, 0, 0, 0]),
        mask: [u32::MAX, u32::MAX, u32::MAX, u32::from_ne_bytes([255, 255, 255, 0])],
        first_port: 100,
        last_port: 200,
    };
    settings.hosts[0] = HERE;
    let none = One(None);
    let (inside, outside) = (built(0, false, (150, 9), &[1; 20]), built(0, false, (99, 201), &[1; 20]));
    assert_eq!(fate(&inside, &settings, &none), Fate::Unwanted);
    settings.range_count = 1;
    assert_eq!(fate(&inside, &settings, &none), Fate::Media(Basis::Range));
    assert_eq!(fate(&outside, &settings, &none), Fate::Unwanted);
    settings.host_count = 1;
    assert_eq!(fate(&outside, &settings, &none), Fate::Signalling);
}

#[test]
fn metadata_is_read_back_and_only_with_its_mark() {
    let written = Metadata { monotonic_ns: 7, realm: 3, fate: 2, magic: Metadata::MAGIC };
    let mut bytes = [0_u8; 20];
    bytes[4..12].copy_from_slice(&written.monotonic_ns.to_ne_bytes());
    bytes[12..14].copy_from_slice(&written.realm.to_ne_bytes());
    bytes[14..16].copy_from_slice(&written.fate.to_ne_bytes());
    bytes[16..].copy_from_slice(&written.magic.to_ne_bytes());
    assert_eq!(Metadata::read(&bytes), Some(written));
    bytes[19] ^= 1;
    assert_eq!(Metadata::read(&bytes), None);
    assert_eq!(Metadata::read(&bytes[..10]), None);
}
