//! The doctor on live interfaces: what it finds, what it does not, and when it cannot listen.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nightjar_capture::FrameSender;
use nightjar_load::scenarios;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::process::{Ended, Process};
use nightjar_privileged::program;
use nightjar_privileged::traffic::Traffic;
use serde_json::Value;

/// The scenario `answered` lasts 11.5 s.
const SECONDS_OF_A_CALL: u64 = 14;

fn doctor(namespace: &Namespace, seconds: u64, interfaces: &[&str]) -> Command {
    let mut command = namespace.command(program::path("nightjar-sensor"));
    command.args(["doctor", "--json", "--seconds", &seconds.to_string()]);
    for interface in interfaces {
        command.args(["--interface", interface]);
    }
    command
}

fn start(command: &mut Command, folder: &Path) -> Process {
    let mut process = Process::start(command, folder, "doctor");
    process.wait_for("listening on");
    process
}

/// Its exit code and its report.
fn finish(process: Process, seconds: u64) -> (Option<i32>, Value) {
    let Ended { status, stdout, stderr } = process.wait(Duration::from_secs(seconds + 20));
    let report = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    (status.code(), report)
}

/// The names of findings that call for a change, without those about the whole machine, on which others
/// work too.
fn faults(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("a list of findings");
    let calls = |finding: &&Value| finding["severity"] == "fault" || finding["severity"] == "warning";
    let names = findings.iter().filter(calls).filter_map(|finding| finding["finding"].as_str());
    names.filter(|name| !["core_full", "core_busy", "host_clock_set"].contains(name)).collect()
}

#[test]
fn a_silent_interface_is_told_and_one_without_a_link_too() {
    if !is_root("a_silent_interface_is_told_and_one_without_a_link_too") {
        return;
    }
    let namespace = Namespace::with_veth();
    let folder = tempfile::tempdir().unwrap();
    let (code, report) = finish(start(&mut doctor(&namespace, 1, &["near"]), folder.path()), 1);
    assert_eq!((code, faults(&report)), (Some(1), vec!["no_packets"]), "{report:#}");
    assert_eq!(report["findings"][0]["link"], "up", "{report:#}");
    namespace.ip(&["link", "set", "far", "down"]);
    let (code, report) = finish(start(&mut doctor(&namespace, 1, &["near"]), folder.path()), 1);
    assert_eq!((code, faults(&report)), (Some(1), vec!["no_packets"]), "{report:#}");
    assert_eq!(report["findings"][0]["link"], "none", "{report:#}");
    namespace.ip(&["link", "set", "near", "down"]);
    let (code, report) = finish(start(&mut doctor(&namespace, 1, &["near"]), folder.path()), 1);
    assert_eq!((code, faults(&report)), (Some(1), vec!["no_packets"]), "{report:#}");
    assert_eq!(report["findings"][0]["link"], "down", "{report:#}");
}

#[test]
fn a_call_on_the_wire_is_healthy() {
    if !is_root("a_call_on_the_wire_is_healthy") {
        return;
    }
    let namespace = Namespace::with_veth();
    let folder = tempfile::tempdir().unwrap();
    let listening = start(&mut doctor(&namespace, SECONDS_OF_A_CALL, &["near"]), folder.path());
    let sent = Traffic::start(&namespace, "far", scenarios::by_name("answered", 7), None).finish();
    let (code, report) = finish(listening, SECONDS_OF_A_CALL);
    assert_eq!(faults(&report), Vec::<&str>::new(), "{report:#}");
    assert_eq!(code, Some(i32::from(report["healthy"] == false)), "{report:#}");
    assert_eq!(report["frames"], sent.expected.ledger.frames, "{report:#}");
}

#[test]
fn every_frame_is_seen_once_by_an_interface_of_several_queues() {
    if !is_root("every_frame_is_seen_once_by_an_interface_of_several_queues") {
        return;
    }
    let namespace = Namespace::new();
    let queues = ["numrxqueues", "4", "numtxqueues", "4"];
    let peer = ["type", "veth", "peer", "name", "far"];
    namespace.ip(&[&["link", "add", "near"], &queues[..], &peer[..], &queues[..]].concat());
    namespace.ip(&["link", "set", "near", "up"]);
    namespace.ip(&["link", "set", "far", "up"]);
    let folder = tempfile::tempdir().unwrap();
    let listening = start(&mut doctor(&namespace, SECONDS_OF_A_CALL, &["near"]), folder.path());
    let sent = Traffic::start(&namespace, "far", scenarios::by_name("answered", 7), None).finish();
    let (_, report) = finish(listening, SECONDS_OF_A_CALL);
    assert_eq!(report["frames"], sent.expected.ledger.frames, "{report:#}");
    // Which queue its sender took is a veth's matter.
    let faults = faults(&report);
    assert!(faults.iter().all(|name| *name == "directions_on_different_queues"), "{report:#}");
}

#[test]
fn two_interfaces_that_carry_the_same_are_told() {
    if !is_root("two_interfaces_that_carry_the_same_are_told") {
        return;
    }
    let namespace = Namespace::new();
    // What a bridge that knows no address floods is on both of its ports' far ends.
    for pair in [["in", "in-br"], ["one", "one-br"], ["two", "two-br"]] {
        namespace.ip(&["link", "add", pair[0], "type", "veth", "peer", "name", pair[1]]);
    }
    namespace.ip(&["link", "add", "bridge0", "type", "bridge", "ageing_time", "0"]);
    for port in ["in-br", "one-br", "two-br"] {
        namespace.ip(&["link", "set", port, "master", "bridge0"]);
    }
    for link in ["bridge0", "in", "in-br", "one", "one-br", "two", "two-br"] {
        namespace.ip(&["link", "set", link, "up"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let command = &mut doctor(&namespace, SECONDS_OF_A_CALL, &["one", "two"]);
    let listening = start(command, folder.path());
    let sent = Traffic::start(&namespace, "in", scenarios::by_name("answered", 7), None).finish();
    let (code, report) = finish(listening, SECONDS_OF_A_CALL);
    assert_eq!((code, faults(&report)), (Some(1), vec!["every_packet_twice"]), "{report:#}");
    let finding = &report["findings"][0];
    assert_eq!(finding["copies"], sent.expected.ledger.frames, "{report:#}");
    assert_eq!(finding["by_other_interface"], finding["copies"], "{report:#}");
}

#[test]
fn a_switch_that_lets_only_broadcasts_through_is_told() {
    if !is_root("a_switch_that_lets_only_broadcasts_through_is_told") {
        return;
    }
    let namespace = Namespace::with_veth();
    let folder = tempfile::tempdir().unwrap();
    let listening = start(&mut doctor(&namespace, 2, &["near"]), folder.path());
    let mut frame = [0u8; 60];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[8, 6]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            namespace.enter();
            let sender = FrameSender::open("far").expect("the interface can be sent on");
            (0..15).for_each(|_| sender.send(&frame).expect("the interface takes a frame"));
        });
    });
    let (code, report) = finish(listening, 2);
    assert_eq!((code, faults(&report)), (Some(1), vec!["own_frames_only"]), "{report:#}");
    assert_eq!(report["findings"][0]["to_groups"], 15, "{report:#}");
}

#[test]
fn what_cannot_be_listened_to_has_an_exit_code_of_its_own() {
    if !is_root("what_cannot_be_listened_to_has_an_exit_code_of_its_own") {
        return;
    }
    let namespace = Namespace::with_veth();
    let folder = tempfile::tempdir().unwrap();
    let refused = |mut command: Command, says: &str| {
        let ended = Process::start(&mut command, folder.path(), "doctor").wait(Duration::from_secs(20));
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(says), "{ended:?}");
    };
    refused(doctor(&namespace, 1, &["nowhere0"]), "no network interface");
    refused(doctor(&namespace, 1, &[]), "--interface");
    refused(doctor(&namespace, 1, &["near", "near"]), "twice");
    let mut command = namespace.command("setpriv");
    command.args(["--bounding-set", "-net_raw,-net_admin"]).arg(program::path("nightjar-sensor"));
    command.args(["doctor", "--interface", "near"]);
    refused(command, "CAP_NET_RAW");
}
