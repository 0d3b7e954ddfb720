//! Live capture sees what the generator sent, and the same as a replay of the same frames.

use std::process::Command;
use std::time::Duration;

use nightjar_load::{BulkPlan, BulkSound, PcapOptions, Scenario, scenarios};
use nightjar_privileged::namespace::{Namespace, run};
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::assert_tones;
use nightjar_privileged::rows::{
    assert_gaps_of_stalls, assert_ledger, assert_rows, assert_xdp_ledger, by_call_id, read_rows,
    without_times,
};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::{Played, Traffic};
use nightjar_privileged::{moments, program};
use nightjar_schema::{Call, GapCause};
use nightjar_wire::Nanos;

#[test]
fn an_office_is_recorded_live_frame_by_frame() {
    if is_root("an_office_is_recorded_live_frame_by_frame") {
        assert_office_is_recorded("af_packet");
    }
}

#[test]
fn an_office_is_recorded_past_the_kernels_stack() {
    if is_root("an_office_is_recorded_past_the_kernels_stack") {
        assert_office_is_recorded("af_xdp");
    }
}

fn assert_office_is_recorded(method: &str) {
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).by(method);
    let sensor = place.start(&namespace);
    let plan = BulkPlan { sound: BulkSound::Tones, ..BulkPlan::busy_office(8) };
    let office = Scenario::bulk("office", moments::random("office").next_u64(), plan);
    let traffic = Traffic::start(&namespace, "far", office, Some(Nanos::from_secs(15)));
    let Played { expected, stalls } = traffic.finish();
    place.wait_for_rows(expected.calls.len());
    let ended = stop(sensor);
    assert!(ended.status.success(), "{ended:?}");

    let (rows, summary) = (place.rows(), place.summary());
    assert_rows(&rows, &expected);
    assert_ledger(&summary, &expected);
    if method == "af_xdp" {
        assert_xdp_ledger(&summary, expected.ledger.frames);
    }
    assert_eq!(summary["calls"], expected.calls.len(), "{summary:#}");
    let found = by_call_id(&rows);
    let mut heard = 0;
    for call in expected.calls.iter().filter(|call| call.talk_ms.is_some_and(|ms| ms > 1000)) {
        let row = found[call.call_id.as_deref().unwrap()];
        assert!(row.gaps.iter().all(|gap| gap.cause == GapCause::Wire), "{:?}", row.gaps);
        assert_gaps_of_stalls(row, &stalls);
        // Music on hold is heard beside the tones.
        if call.holds.is_empty() {
            assert_tones(&place.data(), row, call);
            heard += 1;
        }
    }
    assert!(heard >= 3, "{heard} calls with two tones are too few to prove anything");
}

#[test]
fn live_capture_and_replay_agree() {
    if !is_root("live_capture_and_replay_agree") {
        return;
    }
    let names = ["challenged-407", "forked", "hold-sendonly", "duplicates"];
    for method in ["af_packet", "af_xdp"] {
        std::thread::scope(|scope| {
            for name in names {
                scope.spawn(move || assert_live_is_replay(name, method));
            }
        });
    }
}

fn assert_live_is_replay(name: &str, method: &str) {
    let scenario = scenarios::by_name(name, 7);
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).by(method);

    let capture = place.folder().join("offline.pcap");
    let offline = place.folder().join("offline");
    scenario.write_pcap(&capture, &PcapOptions::default()).unwrap();
    let mut replay = Command::new(program::path("nightjar-sensor"));
    run(replay.args(["replay", "--json", "--out"]).arg(&offline).arg(&capture));

    let sensor = place.start(&namespace);
    let expected = Traffic::start(&namespace, "far", scenario, None).finish().expected;
    place.wait_for_rows(expected.calls.len());
    std::thread::sleep(Duration::from_millis(100));
    assert!(stop(sensor).status.success());
    assert_ledger(&place.summary(), &expected);

    let timeless = |rows: &[Call]| rows.iter().map(without_times).collect::<Vec<_>>();
    let replayed = timeless(&read_rows(&offline.join("calls.jsonl")));
    assert_eq!(timeless(&place.rows()), replayed, "{name} by {method}");
    assert_eq!(replayed.len(), expected.calls.len(), "{name}");
}

/// What `auto` comes to, and what the sensor says of it.
fn chosen(set_up: impl FnOnce(&Namespace), bounded: &[&str]) -> (bool, String) {
    let namespace = Namespace::with_veth();
    set_up(&namespace);
    let mut place = Place::new(&["near"]).by("auto");
    let mut command = if bounded.is_empty() {
        place.command(&namespace)
    } else {
        let mut command = namespace.command("setpriv");
        command.args(bounded).arg(program::path("nightjar-sensor"));
        command.args(["run", "--config"]).arg(place.write_config());
        command
    };
    let mut sensor = place.launch(&mut command);
    sensor.wait_for("capturing from");
    assert!(stop(sensor).status.success());
    (place.summary()["xdp"].is_array(), place.log())
}

#[test]
fn a_mirror_port_is_captured_past_the_stack_and_others_are_not_with_one_line_that_says_why() {
    if !is_root("a_mirror_port_is_captured_past_the_stack_and_others_are_not_with_one_line_that_says_why") {
        return;
    }
    let (xdp, log) = chosen(|_| {}, &[]);
    assert!(xdp && log.contains("near: AF_XDP, native mode"), "{log}");
    let address = |namespace: &Namespace| {
        run(namespace.command("ip").args(["address", "add", "192.0.2.9/24", "dev", "near"]));
    };
    let (xdp, log) = chosen(address, &[]);
    assert!(!xdp && log.contains("it has an IP address"), "{log}");
    let (xdp, log) = chosen(|_| {}, &["--bounding-set", "-bpf,-sys_admin,-perfmon"]);
    assert!(!xdp && log.contains("missing: CAP_BPF, CAP_PERFMON"), "{log}");
    assert_eq!(log.matches("capturing by AF_PACKET and not by AF_XDP").count(), 1, "{log}");
}
