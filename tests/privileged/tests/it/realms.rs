//! Calls with the same addresses and ports at the same time, in two realms, by VLANs and through tunnels:
//! live, by AF_PACKET and past the kernel's stack.

use nightjar_load::{Envelope, FrameClass, LinkOptions, Scenario};
use nightjar_privileged::moments;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::assert_tones;
use nightjar_privileged::rows::{assert_rows, assert_xdp_ledger};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::{Played, Traffic};
use nightjar_schema::Call;
use nightjar_wire::Nanos;

const REALMS: &str = "
[[realm]]
number = 1
name = \"north\"
vlans = [10]
erspan_sessions = [5]

[[realm]]
number = 2
vlans = [\"100.7\"]
vnis = [6]
";

/// A call between endpoints that every such call has.
fn overlapping() -> Scenario {
    let mut scenario = Scenario::new("overlapping", moments::random("overlapping").next_u64());
    let mut call = scenario.plain();
    for (addresses, port) in call.addresses.iter_mut().zip([20_000, 30_000]) {
        addresses.media.set_port(port);
    }
    call.talk = Nanos::from_secs(6);
    scenario.call(Nanos::ZERO, call);
    scenario
}

fn vlans(vlans: &[u16]) -> LinkOptions {
    LinkOptions { vlans: vlans.to_vec(), ..LinkOptions::default() }
}

fn within(envelope: Envelope) -> LinkOptions {
    LinkOptions { envelopes: vec![envelope], ..LinkOptions::default() }
}

/// Two calls at a time, each on a link of its own: realm 1's and realm 2's.
fn assert_apart(method: &str, links: [LinkOptions; 2]) {
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).by(method).with(REALMS);
    let sensor = place.start(&namespace);
    let in_tunnels = links.iter().all(|link| !link.envelopes.is_empty());
    let played: Vec<Played> = links
        .map(|link| Traffic::start_on(&namespace, "far", overlapping(), None, link))
        .into_iter()
        .map(Traffic::finish)
        .collect();
    place.wait_for_rows(2);
    assert!(stop(sensor).status.success());
    assert!(place.log().contains("1 (north): 2, 2: 2"), "{}", place.log());

    let (rows, summary) = (place.rows(), place.summary());
    assert_eq!(rows.len(), 2, "{method}");
    for (realm, played) in (1..).zip(&played) {
        let its: Vec<Call> = rows.iter().filter(|row| row.source.realm == realm).cloned().collect();
        assert_rows(&its, &played.expected);
        assert_tones(&place.data(), &its[0], &played.expected.calls[0]);
    }
    let sum = |of: &dyn Fn(&Played) -> u64| -> u64 { played.iter().map(of).sum() };
    let frames = sum(&|played| played.expected.ledger.frames);
    let packets = &summary["packets"];
    assert_eq!(packets["received"], frames, "{summary:#}");
    assert_eq!(packets["recorded"], sum(&|played| played.expected.ledger.media()), "{summary:#}");
    let signalling = sum(&|played| played.expected.ledger.of(FrameClass::Signalling));
    assert_eq!(packets["signalling"], signalling, "{summary:#}");
    if method == "af_xdp" {
        assert_xdp_ledger(&summary, frames);
        let through = if in_tunnels { frames } else { 0 };
        assert_eq!(summary["xdp"][0]["program"]["tunnelled"], through, "{summary:#}");
    }
}

#[test]
fn calls_with_the_same_addresses_on_vlans_of_two_realms_never_mix() {
    if !is_root("calls_with_the_same_addresses_on_vlans_of_two_realms_never_mix") {
        return;
    }
    for method in ["af_packet", "af_xdp"] {
        assert_apart(method, [vlans(&[10]), vlans(&[100, 7])]);
    }
}

#[test]
fn calls_with_the_same_addresses_in_tunnels_of_two_realms_never_mix() {
    if !is_root("calls_with_the_same_addresses_in_tunnels_of_two_realms_never_mix") {
        return;
    }
    let erspan = within(Envelope::Erspan2 { session: 5, vlan: 1 });
    let vxlan = within(Envelope::Vxlan { port: 4789, vni: 6 });
    for method in ["af_packet", "af_xdp"] {
        assert_apart(method, [erspan.clone(), vxlan.clone()]);
    }
}
