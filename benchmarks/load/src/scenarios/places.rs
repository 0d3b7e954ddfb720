//! Addresses and ways: NAT, reused ports, proxies, mirrors, IPv6, fragments.

use std::net::SocketAddr;

use nightjar_wire::Nanos;

use super::Entry;
use crate::party::{Side, SideAddresses};
use crate::plan::{Extra, ExtraKind, Mirror, RtcpPlan, SignallingPath};
use crate::random::Random;
use crate::scenario::Scenario;

pub(super) const SCENARIOS: &[Entry] = &[
    Entry::many(
        "ports-reused",
        "three calls on the same ports, each 700 ms after the last one's BYE",
        |scenario| on_the_same_ports(scenario, Nanos::ZERO),
    ),
    Entry::many(
        "ports-reused-late-packets",
        "the same; packets of a call come for 1.2 s after its BYE",
        |scenario| on_the_same_ports(scenario, Nanos::from_millis(1200)),
    ),
    Entry::one("nat-caller", "the caller's SDP names a private address, its media are symmetric", |call| {
        call.addresses[0].advertised_media = Some(private(call.addresses[0].media));
    }),
    Entry::one("nat-callee", "the callee's SDP names a private address", |call| {
        call.addresses[1].advertised_media = Some(private(call.addresses[1].media));
    }),
    Entry::one("asymmetric-ports", "both sides send from other ports than they receive on", |call| {
        call.rtcp = RtcpPlan::Apart;
        for side in &mut call.addresses {
            side.media_source = Some(SocketAddr::new(side.media.ip(), side.media.port() + 200));
        }
    }),
    Entry::one(
        "sip-on-other-ports",
        "signalling between ports 15070 and 6050, with keep-alives there",
        |call| {
            call.addresses[0].sip.set_port(15_070);
            call.addresses[1].sip.set_port(6050);
            for number in 0..3 {
                let (at, by) = (Nanos::from_secs(2 + 3 * number), Side::Caller);
                call.extras.push(Extra { at, by, kind: ExtraKind::SipKeepAlive });
            }
        },
    ),
    Entry::one("vlan-per-direction", "what the caller sends is on VLAN 101, the rest on 102", |call| {
        call.rtcp = RtcpPlan::Apart;
        call.direction_vlans = Some([101, 102]);
    }),
    Entry::one("proxy-both-sides", "the tap sees both sides of a proxy: one dialog twice", |call| {
        call.path = SignallingPath::BothSidesOfProxy;
    }),
    Entry::one("retransmissions", "every SIP message comes again after 500 ms", |call| {
        call.repeat = Some(Nanos::from_millis(500));
    }),
    Entry::one("mirror-copies", "the mirror copies every frame 40 µs later", |call| {
        call.rtcp = RtcpPlan::Apart;
        call.mirror = Some(mirror(None, false));
    }),
    Entry::one("mirror-copies-routed", "the copies have passed a router: other MACs, TTL and VLAN", |call| {
        call.rtcp = RtcpPlan::Apart;
        call.mirror = Some(mirror(Some(200), true));
    }),
    Entry::one(
        "mirror-copies-impaired",
        "copies of a stream with loss, repetitions and reordering",
        |call| {
            call.mirror = Some(mirror(Some(200), true));
            for leg in &mut call.legs {
                leg.impairment.loss_percent = 2.0;
                leg.impairment.duplicate_percent = 2.0;
                leg.impairment.reorder_percent = 2.0;
            }
        },
    ),
    Entry::one("ipv6", "a call over IPv6", |call| {
        call.addresses = v6_addresses();
        call.rtcp = RtcpPlan::Apart;
    }),
    Entry::one("ipv6-proxy", "IPv6 through a proxy of which both sides are seen", |call| {
        call.addresses = v6_addresses();
        call.path = SignallingPath::BothSidesOfProxy;
    }),
    Entry::one("fragments", "INVITE and 200 come in IP fragments", |call| call.sdp_ballast = 3000),
    Entry::one("fragments-ipv6", "the same over IPv6", |call| {
        call.addresses = v6_addresses();
        call.sdp_ballast = 3000;
    }),
    Entry::one("fragments-copied", "fragments, and the mirror copies each", |call| {
        call.sdp_ballast = 3000;
        call.mirror = Some(mirror(Some(200), true));
    }),
];

/// Three calls of the same two sockets; INVITE to INVITE leaves 700 ms between BYE and INVITE.
fn on_the_same_ports(mut scenario: Scenario, late: Nanos) -> Scenario {
    let first = scenario.plain();
    let ring = Nanos::from_millis(150);
    let whole = ring + first.talk;
    for number in 0..3 {
        let mut call = scenario.plain();
        call.addresses = first.addresses;
        call.ring = ring;
        call.legs.iter_mut().for_each(|leg| leg.late = late);
        scenario.call(Nanos(number * (whole.0 + 700_000_000)), call);
    }
    scenario
}

fn private(media: SocketAddr) -> SocketAddr {
    SocketAddr::new([192, 168, 1, 20].into(), media.port() - 2000)
}

fn v6_addresses() -> [SideAddresses; 2] {
    let mut random = Random::new(6);
    [Side::Caller, Side::Callee].map(|side| SideAddresses::of_call_v6(0, side, &mut random))
}

fn mirror(vlan: Option<u16>, routed: bool) -> Mirror {
    Mirror { delay: Nanos::from_micros(40), vlan, routed }
}
