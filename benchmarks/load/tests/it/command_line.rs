//! The program itself.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nightjar-load")).args(arguments).output().unwrap()
}

#[test]
fn generate_writes_a_capture_and_its_truth() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcapng.gz");
    let out = path.to_str().unwrap();
    let output = run(&["generate", "--out", out, "--calls", "3", "--seconds", "2", "--pcapng", "--nanos"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let truth = std::fs::read_to_string(format!("{out}.expected.json")).unwrap();
    let expected: nightjar_load::Expected = serde_json::from_str(&truth).unwrap();
    assert_eq!(expected.calls.len(), 3);
    assert!(path.metadata().unwrap().len() > 1000);
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    for arguments in [
        &["generate", "--out", "/nonexistent/a.pcap"][..],
        &["generate", "--out", "a.pcap", "--scenario", "no-such-thing"],
        &["play", "--interface", "no-such-interface"],
    ] {
        let output = run(arguments);
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.starts_with("nightjar-load: "), "{message}");
    }
}

#[test]
fn the_list_names_every_scenario() {
    let text = String::from_utf8(run(&["list"]).stdout).unwrap();
    assert_eq!(text.lines().count(), nightjar_load::scenarios::all().count());
}
