//! Mirrors that double, cut, strip or wrap frames, or send none; clocks that jump.

use nightjar_capture::fakes::MemoryFrame;
use nightjar_load::{Envelope, GreOptions, LinkOptions};
use nightjar_wire::Nanos;

use super::scene::{Scene, datagram, faults, frames, frames_on, scenario};
use crate::doctor::finding::{CutBy, Finding};

/// The interface's own address.
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 9];
/// The generator's: a mirror's tunnel ends at the sensor's host.
const TUNNEL_END: [u8; 6] = [2, 0, 0, 0, 1, 2];

fn ethernet(to: [u8; 6], ethertype: [u8; 2], body: &[u8]) -> MemoryFrame {
    let bytes = [&to[..], &[2, 0, 0, 0, 0, 1], &ethertype, body].concat();
    MemoryFrame::ethernet(Nanos::from_secs(1), bytes)
}

#[test]
fn copies_are_told_whatever_the_mirror_changed_in_them() {
    for (name, other_vlan) in
        [("mirror-copies", false), ("mirror-copies-routed", true), ("mirror-copies-impaired", true)]
    {
        let found = Scene::of(&scenario(name)).judged();
        let copies = found.iter().find_map(|finding| match finding {
            Finding::EveryPacketTwice { packets, copies, in_other_vlan, .. } => {
                Some((*packets, *copies, *in_other_vlan))
            }
            _ => None,
        });
        let (packets, copies, in_other) = copies.unwrap_or_else(|| panic!("{name}: {found:?}"));
        // Exactly every second one, but where senders repeat packets themselves.
        assert!(copies * 2 >= packets && copies * 100 <= packets * 53, "{name}: {copies} of {packets}");
        assert_eq!(in_other * 2 > copies, other_vlan, "{name}");
    }
}

#[test]
fn two_interfaces_with_the_same_traffic_are_told() {
    let twice = frames(&scenario("answered")).into_iter().flat_map(|frame| {
        let other = MemoryFrame { interface: 1, at: frame.at + Nanos::from_micros(30), ..frame.clone() };
        [frame, other]
    });
    let found = Scene::of_frames(&twice.collect::<Vec<_>>()).judged();
    let all = |finding: &Finding| matches!(finding, Finding::EveryPacketTwice { copies, by_other_interface, .. } if copies == by_other_interface);
    assert!(found.iter().any(all), "{found:?}");
}

#[test]
fn a_tag_that_was_taken_out_leaves_a_frame_too_short() {
    let mut arp = vec![0; 42];
    arp[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    let mut all = frames(&scenario("answered"));
    let healthy = ethernet([0xff; 6], [8, 6], &[&arp[..], &[0; 4]].concat());
    all.insert(0, MemoryFrame { at: all[0].at, ..healthy });
    assert_eq!(faults(&Scene::of_frames(&all).judged()), Vec::<String>::new());
    all.insert(0, MemoryFrame { at: all[0].at, ..ethernet([0xff; 6], [8, 6], &arp) });
    let found = Scene::of_frames(&all).judged();
    assert_eq!(faults(&found), ["vlan_tags_stripped"]);
    assert!(found.contains(&Finding::VlanTagsStripped { frames: 1 }));
}

#[test]
fn tags_in_one_direction_alone_are_noted() {
    let mut all = frames_on(&scenario("answered"), LinkOptions { vlans: vec![7], ..LinkOptions::default() });
    assert_eq!(faults(&Scene::of_frames(&all).judged()), Vec::<String>::new());
    for frame in all.iter_mut().filter(|frame| frame.bytes[30] == 198 && frame.bytes[31] == 18) {
        frame.bytes.drain(12..16);
        frame.original_len -= 4;
    }
    assert_eq!(faults(&Scene::of_frames(&all).judged()), ["vlan_tags_one_way"]);
}

#[test]
fn frames_cut_by_the_capture_or_by_the_mirror_are_told_apart() {
    let cut = |keeps_length: bool| {
        let mut all = frames(&scenario("answered"));
        for frame in &mut all {
            frame.bytes.truncate(96);
            frame.original_len = if keeps_length { frame.original_len } else { frame.bytes.len() as u32 };
        }
        Scene::of_frames(&all).judged()
    };
    let by = |found: Vec<Finding>| {
        found.iter().find_map(|finding| match finding {
            Finding::TruncatedFrames { by, cut, frames } => Some((*by, cut == frames)),
            _ => None,
        })
    };
    assert_eq!(by(cut(true)), Some((CutBy::Capture, true)));
    assert_eq!(by(cut(false)), Some((CutBy::Mirror, true)));
}

/// A call whose stamps are moved from its middle on.
fn shifted(name: &str, by_ms: i64) -> Vec<Finding> {
    let mut all = frames(&scenario(name));
    let half = all.len() / 2;
    for frame in &mut all[half..] {
        frame.at = frame.at.offset(by_ms * 1_000_000);
    }
    Scene::of_frames(&all).judged()
}

#[test]
fn a_clock_that_jumps_is_told_either_way_and_a_pause_is_none() {
    let back = Finding::ClockJumps { backwards: 1, forwards: 0, worst_ms: 1_999 };
    let jumps =
        |found: Vec<Finding>| found.into_iter().find(|finding| matches!(finding, Finding::ClockJumps { .. }));
    match jumps(shifted("answered", -2_000)) {
        Some(Finding::ClockJumps { backwards: 1, forwards: 0, worst_ms: 1_970..=2_000 }) => {}
        other => panic!("{other:?} is not like {back:?}"),
    }
    match jumps(shifted("answered", 3_000)) {
        Some(Finding::ClockJumps { backwards: 0, forwards: 1, worst_ms: 3_000..=3_020 }) => {}
        other => panic!("{other:?}"),
    }
    // Both sides pause for seconds, and their clocks go on.
    for name in ["hold-inactive", "dtx", "answered"] {
        assert_eq!(jumps(shifted(name, 0)), None, "{name}");
    }
}

#[test]
fn a_switch_that_keeps_frames_back_is_told_by_what_it_lets_through() {
    let to_all = ethernet([0xff; 6], [8, 6], &[0; 46]);
    let to_us = ethernet(OWN, [8, 6], &[0; 46]);
    let silent: Vec<_> = [vec![to_all; 12], vec![to_us; 3]].concat();
    let found = Scene::with_macs(&silent, vec![Some(OWN)]).judged();
    assert_eq!(faults(&found), ["own_frames_only"]);
    assert!(found.contains(&Finding::OwnFramesOnly { own: 3, to_groups: 12 }));
    let others: Vec<_> = (0..20)
        .map(|n| datagram(1_000 + n, ([10, 0, 0, 1], 999), ([10, 0, 0, 2], 53), b"no telephony"))
        .collect();
    let found = Scene::with_macs(&[silent, others].concat(), vec![Some(OWN)]).judged();
    assert_eq!(faults(&found), ["no_telephony"]);
}

/// Every kind of tunnel that GRE is a part of.
fn gre_envelopes() -> [Envelope; 5] {
    [
        Envelope::GreEthernet(GreOptions::default()),
        Envelope::GreIp(GreOptions { key: Some(1), ..GreOptions::default() }),
        Envelope::Erspan1,
        Envelope::Erspan2 { session: 1, vlan: 0 },
        Envelope::Erspan3 { session: 1, vlan: 0, platform: true },
    ]
}

const VXLAN: Envelope = Envelope::Vxlan { port: 4789, vni: 9 };

fn wrapped(frames: &[MemoryFrame], envelope: Envelope) -> Vec<MemoryFrame> {
    let wrap = |frame: &MemoryFrame| MemoryFrame::ethernet(frame.at, envelope.wrap(&frame.bytes));
    frames.iter().map(wrap).collect()
}

/// These frames in every kind of tunnel.
pub(super) fn in_each_tunnel(frames: &[MemoryFrame]) -> Vec<MemoryFrame> {
    gre_envelopes().into_iter().chain([VXLAN]).flat_map(|envelope| wrapped(frames, envelope)).collect()
}

#[test]
fn tunnels_are_seen_through_and_told() {
    let all = frames(&scenario("answered"));
    let count = all.len() as u64;
    let gre = Finding::GreTunnel { sessions: 1, frames: count };
    for envelope in gre_envelopes() {
        let found = Scene::with_macs(&wrapped(&all, envelope), vec![Some(TUNNEL_END)]).judged();
        assert_eq!(faults(&found), ["gre_tunnel"], "{envelope:?}");
        assert!(
            found.contains(&gre) && found.contains(&Finding::BothDirections { flows: 2 }),
            "{envelope:?}: {found:?}"
        );
    }
    let found = Scene::of_frames(&wrapped(&all, VXLAN)).judged();
    assert_eq!(faults(&found), ["vxlan_tunnel"]);
    assert!(found.contains(&Finding::VxlanTunnel { sessions: 1, frames: count }), "{found:?}");
}
