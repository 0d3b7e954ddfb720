//! A sensor that stands still until its rings are full: what they lose is its own loss, call by call.

use std::time::Duration;

use nightjar_load::{BulkPlan, BulkSound, RtcpPlan, Scenario, Variety};
use nightjar_privileged::moments;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::rows::residual;
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::Traffic;
use nightjar_schema::GapCause;
use nightjar_wire::Nanos;
use rustix::process::Signal;

/// At once: 6,000 packets a second, and a ring holds 8,192.
const CALLS: u64 = 60;

#[test]
fn what_a_full_ring_loses_is_in_the_gaps_of_its_calls_packet_by_packet() {
    if !is_root("what_a_full_ring_loses_is_in_the_gaps_of_its_calls_packet_by_packet") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).by("af_xdp");
    let sensor = place.start(&namespace);
    let plan = BulkPlan {
        calls: Some(CALLS),
        talk: (Nanos::from_secs(60), Nanos::from_secs(60)),
        burst: 0,
        spacing: Nanos::from_millis(40),
        sound: BulkSound::Tones,
        variety: Variety::Plain,
        rtcp: RtcpPlan::Off,
    };
    let office = Scenario::bulk("ring", moments::random("ring").next_u64(), plan);
    let traffic = Traffic::start(&namespace, "far", office, Some(Nanos::from_secs(12)));
    std::thread::sleep(Duration::from_secs(5));
    sensor.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(3));
    sensor.signal(Signal::CONT);
    let expected = traffic.finish().expected;
    place.wait_for_rows(expected.calls.len());
    assert!(stop(sensor).status.success());

    let (rows, summary) = (place.rows(), place.summary());
    assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
    let lost: u64 = summary["xdp"][0]["sockets"].as_array().unwrap().iter().fold(0, |sum, socket| {
        sum + socket["ring_full"].as_u64().unwrap() + socket["dropped"].as_u64().unwrap()
    });
    assert!(lost > 1_000, "the ring was not full: {summary:#}");
    assert_eq!(summary["source"]["ring_full"], lost, "{summary:#}");
    let streams = || rows.iter().flat_map(|row| &row.streams);
    assert_eq!(
        streams().map(|stream| stream.lost).sum::<u64>(),
        lost,
        "what the calls lack is what was lost"
    );
    assert_eq!(streams().map(|stream| stream.lost_ours).sum::<u64>(), lost, "and all of it is ours");
    let gaps: Vec<_> = rows.iter().flat_map(|row| &row.gaps).collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap.cause == GapCause::Ring), "{gaps:#?}");
}
