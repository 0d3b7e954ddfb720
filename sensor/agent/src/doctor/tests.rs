//! Each finding by a capture that shows it, and healthy captures that show none.

mod media_faults;
mod mirror_faults;
mod reports;
mod scene;

use std::net::IpAddr;

use nightjar_capture::RawFrame;
use nightjar_wire::{LinkType, Nanos};
use proptest::prelude::*;

use super::finding::{Addresses, Finding, Link};
use super::host::{Core, HostChanges, Interface};
use super::judgement::{Expectation, judge};
use super::wording::words;
use crate::config::IpNetwork;
use scene::{Scene, faults, scenario};

#[test]
fn healthy_captures_have_no_finding_but_good_ones() {
    let names = [
        "answered",
        "asymmetric-ports",
        "bye-unseen",
        "cancelled",
        "challenged-407",
        "comfort-noise",
        "digits",
        "dtx",
        "duplicates",
        "early-media-rejected",
        "forked",
        "fragments",
        "hold-inactive",
        "hold-late-offer",
        "hold-music-of-third",
        "impaired",
        "ipv6",
        "jitter-heavy",
        "nat-callee",
        "nat-caller",
        "retransmissions",
        "rtcp-mux",
        "ssrc-change",
        "timestamp-reset",
        "video",
        "vlan-per-direction",
    ];
    for name in names {
        let found = Scene::of(&scenario(name)).judged();
        assert_eq!(faults(&found), Vec::<&str>::new(), "{name}");
    }
    let found = Scene::of(&scenario("answered")).judged();
    let seen = |test: fn(&Finding) -> bool| found.iter().any(test);
    assert!(
        seen(|found| matches!(found, Finding::CallsSeen { calls: 1, answered: 1, messages: 7 })),
        "{found:?}"
    );
    assert!(seen(|found| matches!(found, Finding::BothDirections { flows: 2 })), "{found:?}");
    assert!(seen(|found| matches!(found, Finding::DecodableCodecs { codecs } if codecs.len() == 1)));
}

#[test]
fn an_office_is_healthy() {
    let found = Scene::of(&scenario("office")).judged();
    assert_eq!(faults(&found), Vec::<&str>::new());
}

#[test]
fn the_gravest_comes_first() {
    let mut scene = Scene::of(&scenario("one-sided"));
    scene.expected.phones = vec![IpNetwork::parse("198.18.0.0/16").unwrap()];
    let found = scene.judged();
    let order: Vec<_> = found.iter().map(Finding::severity).collect();
    assert!(order.is_sorted() && order.len() >= 3, "{found:?}");
    assert_eq!(faults(&found), ["one_direction_media", "unconfigured_phones"]);
}

#[test]
fn phones_outside_the_configured_networks_are_named_and_no_others() {
    let mut scene = Scene::of(&scenario("answered"));
    scene.expected.phones =
        ["198.18.0.0/16", "198.19.0.1"].map(|text| IpNetwork::parse(text).unwrap()).to_vec();
    assert_eq!(faults(&scene.judged()), Vec::<&str>::new());
    scene.expected.phones.truncate(1);
    let stranger: IpAddr = "198.19.0.1".parse().unwrap();
    let expected = Finding::UnconfiguredPhones { phones: 1, first: Addresses(vec![stranger]) };
    assert!(scene.judged().contains(&expected), "{:?}", scene.judged());
}

#[test]
fn sip_on_ports_that_are_not_configured_is_told() {
    let mut scene = Scene::of(&scenario("sip-on-other-ports"));
    let found = scene.judged();
    assert_eq!(faults(&found), ["unconfigured_ports"]);
    assert!(found.contains(&Finding::UnconfiguredPorts { ports: vec![6050], messages: 7 }), "{found:?}");
    scene.expected.signalling_ports = vec![6050];
    assert_eq!(faults(&scene.judged()), Vec::<&str>::new());
}

#[test]
fn what_the_host_lost_is_told_with_its_place() {
    let scene = Scene::of(&scenario("answered"));
    let core = |dropped, softirq| Core { dropped, softirq, total: 1_000 };
    let host = HostChanges {
        interfaces: vec![Interface { name: "eth9".into(), missed: 7, broken: 2, ..Interface::default() }],
        cores: vec![core(0, 899), core(5, 1_000), core(0, 900)],
        clock_step: -2_000_000_000,
        ring_full: 11,
    };
    let found = judge(&scene.seen, &host, &scene.expected);
    let expected = [
        Finding::QueueFull { interface: "eth9".into(), missed: 7 },
        Finding::CoreFull { core: 1, dropped: 5 },
        Finding::BrokenFrames { interface: "eth9".into(), broken: 2 },
        Finding::CoreBusy { core: 2, percent: 90 },
        Finding::RingFull { frames: 11 },
        Finding::HostClockSet { by_ms: -2_000 },
    ];
    assert_eq!(found[..6], expected, "{found:?}");
}

#[test]
fn an_interface_without_frames_is_told_beside_one_with_some() {
    let mut scene = Scene::of(&scenario("answered"));
    scene.expected.sources.push("eth1".into());
    let mut host = HostChanges { interfaces: vec![Interface::default(); 2], ..HostChanges::default() };
    host.interfaces[1].link = Link::None;
    let found = judge(&scene.seen, &host, &scene.expected);
    assert_eq!(found[0], Finding::NoPackets { interface: "eth1".into(), link: Link::None });
    assert!(words(&found[0]).change.contains("cable"), "{:?}", words(&found[0]));
}

#[test]
fn an_interface_that_a_file_names_and_does_not_use_is_no_finding() {
    let mut frames = scene::frames(&scenario("answered"));
    frames.iter_mut().for_each(|frame| frame.interface = 1);
    assert_eq!(faults(&Scene::of_frames(&frames).judged()), Vec::<&str>::new());
}

#[test]
fn what_must_be_changed_says_what_and_where() {
    let empty = judge(
        &Scene::empty().seen,
        &HostChanges::default(),
        &Expectation { sources: vec!["eth0".into()], ..Expectation::default() },
    );
    assert_eq!(faults(&empty), ["no_packets"]);
    let scenes = ["one-sided", "no-media", "media-only", "mirror-copies", "noise", "sip-on-other-ports"];
    let found = scenes.iter().flat_map(|name| Scene::of(&scenario(name)).judged());
    for finding in found.chain(empty) {
        let words = words(&finding);
        assert!(!words.what.is_empty(), "{finding:?}");
        let act = finding.severity() < super::Severity::Note;
        assert_eq!((act, act), (!words.change.is_empty(), !words.place.is_empty()), "{finding:?}");
    }
}

/// Frames that reach far into the collector, to be damaged: a call as it is and in each tunnel.
fn frames_to_damage() -> Vec<Vec<u8>> {
    let call = scene::frames(&scenario("answered"));
    let plain = call.iter().step_by(40).map(|frame| frame.bytes.clone());
    let tunnels = mirror_faults::in_each_tunnel(&call[..3]);
    plain.chain(tunnels.into_iter().map(|frame| frame.bytes)).collect()
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(
        which in 0usize..1_000,
        len in 0usize..2_000,
        changes in proptest::collection::vec((0usize..120, any::<u8>()), 0..8),
        at in any::<u64>(),
        link in 0usize..4,
    ) {
        let frames = frames_to_damage();
        let mut bytes = frames[which % frames.len()].clone();
        bytes.truncate(len);
        for (place, byte) in changes {
            if let Some(slot) = bytes.get_mut(place) {
                *slot = byte;
            }
        }
        let link = [LinkType::Ethernet, LinkType::RawIp, LinkType::LinuxSll, LinkType::Null][link];
        let mut scene = Scene::of(&scenario("cancelled"));
        let frame = RawFrame { at: Nanos(at), link, interface: 3, bytes: &bytes, original_len: 60 };
        scene.seen.see(&frame, Some(1));
        scene.seen.see(&frame, None);
        prop_assert!(!scene.judged().is_empty());
    }
}
