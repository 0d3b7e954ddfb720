//! The sensor says which capability it lacks, and gives up what it has once it captures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nightjar_load::{PcapOptions, Scenario};
use nightjar_privileged::control::TakingControl;
use nightjar_privileged::moments::wait_until;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::process::Process;
use nightjar_privileged::program;
use nightjar_privileged::scrape::{SETTINGS, Scrape};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::Traffic;
use nightjar_wire::Nanos;

const ALL: [&str; 5] = ["net_raw", "net_admin", "bpf", "perfmon", "ipc_lock"];

/// Runs the sensor with a bounding set and hardly any memory that it may lock without asking.
fn bounded(place: &Place, namespace: &Namespace, bounds: &str) -> Command {
    let mut command = namespace.command("prlimit");
    command.args(["--memlock=65536:65536", "setpriv", "--bounding-set", bounds]);
    command.arg(program::path("nightjar-sensor")).args(["run", "--config"]).arg(place.write_config());
    command
}

fn without(capabilities: &[&str]) -> String {
    let each: Vec<String> = capabilities.iter().map(|name| format!("-{name}")).collect();
    each.join(",")
}

/// Which capabilities a refused sensor says that it lacks.
fn missing(method: &str, bounds: &str) -> Vec<String> {
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).by(method);
    let mut command = bounded(&place, &namespace, bounds);
    let ended = place.launch(&mut command).wait(Duration::from_secs(20));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("may not capture from near"), "{ended:?}");
    assert!(!place.data().exists(), "nothing is made before: {ended:?}");
    let lines = ended.stderr.lines().filter_map(|line| line.strip_prefix("  CAP_")?.split_once(": "));
    lines.map(|(name, _)| name.to_lowercase()).collect()
}

#[test]
fn each_missing_capability_is_named_and_all_at_once() {
    if !is_root("each_missing_capability_is_named_and_all_at_once") {
        return;
    }
    for name in ALL {
        assert_eq!(missing("af_xdp", &without(&[name])), [name]);
    }
    assert_eq!(missing("af_xdp", &without(&ALL)), ALL);
    assert_eq!(missing("af_packet", &without(&ALL)), ["net_raw"]);
    assert_eq!(missing("auto", &without(&ALL)), ALL);
}

#[test]
fn the_capabilities_that_are_named_are_enough() {
    if !is_root("the_capabilities_that_are_named_are_enough") {
        return;
    }
    let namespace = Namespace::with_veth();
    for (method, bounds, said) in [
        ("af_xdp", "-all,+net_raw,+net_admin,+bpf,+perfmon,+ipc_lock", "AF_XDP, native mode"),
        ("af_packet", "-all,+net_raw", "capturing from near"),
        ("auto", "-all,+net_raw,+net_admin", "AF_XDP: missing: CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK"),
    ] {
        let mut place = Place::new(&["near"]).by(method);
        let mut sensor = place.launch(&mut bounded(&place, &namespace, bounds));
        sensor.wait_for("capturing from");
        assert!(sensor.stderr().contains(said), "{method}: {}", sensor.stderr());
        assert!(stop(sensor).status.success(), "{method}");
    }
}

/// The values of a line in the status of each of a process's threads.
fn of_threads(process: &Process, line: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it runs");
    let value = |task: &Path| {
        let status = fs::read_to_string(task.join("status")).ok()?;
        let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))?;
        Some(value.trim().to_owned())
    };
    tasks.filter_map(|task| value(&task.ok()?.path())).collect()
}

/// No thread can do what it need not; `seccomp` as the kernel counts its modes.
fn assert_given_up(process: &Process, seccomp: &str) {
    for (line, expected) in [
        ("CapEff", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapInh", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", seccomp),
    ] {
        let values = of_threads(process, line);
        assert!(values.len() >= 5, "capture, journal, workers, upload, metrics: {values:?}");
        assert!(values.iter().all(|value| value == expected), "{line}: {values:?}");
    }
}

/// Two calls of three seconds.
fn two_calls() -> Scenario {
    let mut scenario = Scenario::new("two", 5);
    for index in 0..2 {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(100);
        call.talk = Nanos::from_secs(3);
        scenario.call(Nanos::from_millis(500 * index), call);
    }
    scenario
}

#[test]
fn a_whole_run_works_with_everything_given_up() {
    if !is_root("a_whole_run_works_with_everything_given_up") {
        return;
    }
    std::thread::scope(|scope| {
        for method in ["af_xdp", "af_packet", "files"] {
            scope.spawn(move || assert_whole_run(method));
        }
    });
}

fn assert_whole_run(method: &str) {
    let namespace = Namespace::with_veth();
    let place = Place::new(&["near"]);
    let control = TakingControl::start(&namespace, place.folder());
    let settings = format!("{SETTINGS}{}", control.settings());
    let live = method != "files";
    let mut place = if live { place.by(method).with(&settings) } else { place };
    let mut command = place.command(&namespace);
    if !live {
        let capture = place.folder().join("two.pcap");
        two_calls().write_pcap(&capture, &PcapOptions::default()).unwrap();
        let data = place.data();
        let text =
            format!("name = \"files\"\ndata_dir = {data:?}\n[capture]\nfiles = [{capture:?}]\n{settings}");
        fs::write(place.write_config(), text).unwrap();
    }
    let mut sensor = place.launch(&mut command);
    sensor.wait_for("privileges are given up");
    if live {
        sensor.wait_for("capturing from");
        Traffic::start(&namespace, "far", two_calls(), None).finish();
    }
    let received = || Scrape::of(&namespace).value("nightjar_packets_received_total{}");
    assert!(wait_until(Duration::from_secs(10), || received() > 0.0));
    assert_given_up(&sensor, "2");
    if live {
        place.wait_for_rows(2);
    }
    let ended = if live { stop(sensor) } else { sensor.wait(Duration::from_secs(30)) };
    assert!(ended.status.success(), "{method}: {ended:?}");
    let summary = place.summary();
    assert_eq!(summary["calls"], 2, "{summary:#}");
    assert_eq!(summary["recordings"], 2, "{summary:#}");
    assert_eq!(summary["delivery"]["recordings"], 2, "{summary:#}");
    assert_eq!(summary["delivery"]["pending"], 0, "{summary:#}");
    for interface in summary["xdp"].as_array().into_iter().flatten() {
        // The map of endpoints is still written.
        assert!(interface["program"]["by_endpoint"].as_u64() > Some(0), "{summary:#}");
        assert_eq!(interface["endpoints_full"], 0, "{summary:#}");
    }
    assert_eq!(control.recordings(), 2);
}

#[test]
fn the_filter_can_be_left_out_and_that_is_said() {
    if !is_root("the_filter_can_be_left_out_and_that_is_said") {
        return;
    }
    let namespace = Namespace::with_veth();
    let settings = format!("{SETTINGS}[process]\nseccomp = false\n[recording]\nworkers = 2\n");
    let mut place = Place::new(&["near"]).with(&settings);
    let sensor = place.start(&namespace);
    assert!(sensor.stderr().contains("not filtered: process.seccomp is false"), "{}", sensor.stderr());
    Scrape::of(&namespace);
    assert_given_up(&sensor, "0");
    assert!(stop(sensor).status.success());
}
