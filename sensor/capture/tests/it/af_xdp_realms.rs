//! What the XDP program sees in tunnels, and which realm it takes a frame for.

use std::time::Duration;

use etherparse::{IpNumber, PacketBuilder};
use nightjar_capture::{AfXdpConfig, FrameSender, ProgramMode, TunnelMode};
use nightjar_wire::xdp::{Counter, EndpointKey, EndpointVerdict, mapped_address};
use nightjar_wire::{Realm, RealmRule, SeenIn, Tunnel, TunnelKind, VxlanPorts};

use crate::af_xdp::{drain, dropping, exact, open, rtp, sip};
use crate::namespace::within;

fn gre(flags: u8, protocol: [u8; 2], more: &[u8], frame: &[u8]) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]).ipv4(
        [198, 51, 100, 1],
        [198, 51, 100, 2],
        64,
    );
    let mut bytes = Vec::new();
    ip.write(&mut bytes, IpNumber::GRE, &[&[flags, 0][..], &protocol, more, frame].concat()).unwrap();
    bytes
}

fn vxlan(port: u16, vni: u8, frame: &[u8]) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]).ipv6([7; 16], [8; 16], 64);
    let mut bytes = Vec::new();
    ip.udp(50_000, port).write(&mut bytes, &[&[8, 0, 0, 0, 0, 0, vni, 0], frame].concat()).unwrap();
    bytes
}

fn tagged(tags: &[u8], mut frame: Vec<u8>) -> Vec<u8> {
    for tag in tags.iter().rev() {
        frame.splice(12..12, [0x81, 0, 0, *tag]);
    }
    frame
}

/// A frame in each kind of place, and the realm that `rules` say of it.
fn places(frame: &[u8]) -> Vec<(Vec<u8>, u16)> {
    let session = |kind: u8, session: u8, more: usize| {
        [&[0, 0, 0, 9, kind, 7, 0, session][..], &vec![0; more]].concat()
    };
    vec![
        (frame.to_vec(), 1),
        (tagged(&[5], frame.to_vec()), 2),
        (tagged(&[9], frame.to_vec()), 1),
        (tagged(&[5, 6], frame.to_vec()), 3),
        (tagged(&[5, 7], frame.to_vec()), 2),
        (vxlan(4789, 5, frame), 4),
        (vxlan(8472, 5, frame), 4),
        (vxlan(4789, 6, frame), 1),
        (tagged(&[5], vxlan(4789, 6, &tagged(&[5, 6], frame.to_vec()))), 3),
        (gre(0, [8, 0], &[], &frame[14..]), 1),
        (gre(0xb0, [0x65, 0x58], &[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9], frame), 5),
        (gre(0, [0x88, 0xbe], &[], frame), 1),
        (gre(0x10, [0x88, 0xbe], &session(0x10, 5, 4), frame), 6),
        (gre(0x10, [0x22, 0xeb], &session(0x20, 5, 8), frame), 6),
        // The inner tunnel tells more than the outer one.
        (gre(0x10, [0x88, 0xbe], &session(0x10, 5, 4), &vxlan(4789, 5, frame)), 4),
        (gre(0x10, [0x88, 0xbe], &session(0x10, 5, 4), &vxlan(4789, 6, frame)), 6),
    ]
}

fn rules() -> Vec<RealmRule> {
    let tunnel = |kind| SeenIn::Tunnel(Tunnel { kind, id: 5 });
    let rule = |interface: &str, seen_in, realm| {
        let interface = (!interface.is_empty()).then(|| interface.to_owned());
        RealmRule { interface, seen_in, realm: Realm(realm) }
    };
    vec![
        rule("near", SeenIn::Interface, 1),
        rule("far", SeenIn::Interface, 9),
        rule("", SeenIn::Vlan(5), 2),
        rule("", SeenIn::VlanPair(5, 6), 3),
        rule("", tunnel(TunnelKind::Vxlan), 4),
        rule("", tunnel(TunnelKind::Gre), 5),
        rule("", tunnel(TunnelKind::Erspan), 6),
    ]
}

fn config(mode: ProgramMode) -> AfXdpConfig {
    let mut config = AfXdpConfig { mode: Some(mode), ..dropping() };
    config.program.realms = rules();
    config.program.settings.vxlan = VxlanPorts::new(&[4789, 8472]).unwrap();
    config
}

#[test]
fn a_verdict_is_about_an_endpoint_of_its_realm_alone() {
    within("a_verdict_is_about_an_endpoint_of_its_realm_alone", || {
        for mode in [ProgramMode::Native, ProgramMode::Generic] {
            let mut source = open(&config(mode));
            assert_eq!(source.modes()[0].tunnels, TunnelMode::SeenThrough);
            let sender = FrameSender::open("far").unwrap();
            let frames = places(&rtp(1, (4000, 5000)));
            let (mut dropped, mut tunnelled) = (0, 0);
            for never in 1..=6 {
                let addr = mapped_address([192, 0, 2, 2]);
                let key = EndpointKey { addr, port: 5000, realm: never };
                let program = source.programs().next().unwrap();
                program.learn(key, EndpointVerdict::Never).unwrap();
                frames.iter().for_each(|(frame, _)| sender.send(frame).unwrap());
                let wanted: Vec<&Vec<u8>> =
                    frames.iter().filter(|(_, realm)| *realm != never).map(|(frame, _)| frame).collect();
                dropped += frames.len() - wanted.len();
                tunnelled += frames.iter().skip(5).filter(|(_, realm)| *realm != never).count();
                let received = drain(&mut source);
                let received: Vec<&Vec<u8>> = received.iter().map(|frame| &frame.bytes).collect();
                assert_eq!(received, wanted, "realm {never}, {mode:?}");
                source.programs().next().unwrap().forget(key).unwrap();
            }
            let counts = exact(&source);
            assert_eq!(counts.of(Counter::DroppedNever), dropped as u64);
            assert_eq!(counts.of(Counter::Tunnelled), tunnelled as u64);
            assert_eq!(counts.of(Counter::ByTunnel), 0);
        }
    });
}

#[test]
fn what_is_in_a_tunnel_is_chosen_as_if_there_were_none_and_what_cannot_be_seen_goes_up() {
    within("what_is_in_a_tunnel_is_chosen_as_if_there_were_none_and_what_cannot_be_seen_goes_up", || {
        let mut config = config(ProgramMode::Native);
        for see_through in [1, 0] {
            config.program.settings.see_through = see_through;
            let mut source = open(&config);
            let sender = FrameSender::open("far").unwrap();
            let deep = |frame: &[u8]| vxlan(4789, 1, &vxlan(4789, 2, frame));
            let unknown = gre(0x30, [0x88, 0x0b], &[0; 8], &rtp(1, (4000, 5000)));
            let frames = [
                (deep(&sip(1)), true, false),
                (deep(&crate::af_xdp::dns(1)), false, false),
                (vxlan(4789, 1, &deep(&sip(1))), true, true),
                (unknown, true, true),
                (vxlan(4790, 1, &sip(1)), false, false),
                // A tunnel without anything in it.
                (gre(0, [0x65, 0x58], &[], &[]), false, false),
            ];
            frames.iter().for_each(|(frame, ..)| sender.send(frame).unwrap());
            let wanted = |(number, (_, wanted, _)): &(usize, &(Vec<u8>, bool, bool))| {
                *wanted || see_through == 0 && *number != 4
            };
            let wanted: Vec<&Vec<u8>> =
                frames.iter().enumerate().filter(wanted).map(|(_, (frame, ..))| frame).collect();
            std::thread::sleep(Duration::from_millis(50));
            let received = drain(&mut source);
            let received: Vec<&Vec<u8>> = received.iter().map(|frame| &frame.bytes).collect();
            assert_eq!(received, wanted, "{see_through}");
            let counts = exact(&source);
            let blind = frames.iter().filter(|(.., blind)| *blind).count() as u64;
            let expected = if see_through == 1 { (blind, 2, 1) } else { (5, 0, 0) };
            let found = (Counter::ByTunnel, Counter::Tunnelled, Counter::Damaged);
            assert_eq!((counts.of(found.0), counts.of(found.1), counts.of(found.2)), expected);
        }
    });
}
