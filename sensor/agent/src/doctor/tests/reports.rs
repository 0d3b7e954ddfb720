//! The report as it is printed, from capture files.

use std::fs;
use std::path::PathBuf;

use nightjar_load::{Expected, PcapOptions};
use serde_json::Value;

use super::scene::scenario;
use crate::args::Doctor;
use crate::doctor::examine;

fn doctor(files: Vec<PathBuf>) -> Doctor {
    Doctor { files, interfaces: Vec::new(), seconds: 10, config: None, json: false }
}

/// A scenario as a file in `folder`, and the truth about it.
fn written(folder: &tempfile::TempDir, name: &str) -> (PathBuf, Expected) {
    let path = folder.path().join(format!("{name}.pcap"));
    let expected = scenario(name).write_pcap(&path, &PcapOptions::default()).unwrap();
    (path, expected)
}

#[test]
fn a_file_is_judged_for_people_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let (healthy, expected) = written(&folder, "answered");
    let report = examine(&doctor(vec![healthy])).unwrap();
    assert!(report.is_healthy() && report.to_text().ends_with("Nothing has to be changed.\n"));
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!((&json["frames"], &json["healthy"]), (&expected.ledger.frames.into(), &true.into()));

    let report = examine(&doctor(vec![written(&folder, "one-sided").0])).unwrap();
    assert!(!report.is_healthy());
    let text = report.to_text();
    assert!(
        text.contains("FAULT    1 of 1 media flows go one way only") && text.contains("where:  the switch"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let finding = &json["findings"][0];
    assert_eq!((&finding["finding"], &finding["one_way"]), (&"one_direction_media".into(), &1.into()));
    assert!(finding["change"].as_str().is_some_and(|text| text.contains("Mirror both directions")), "{json}");
}

#[test]
fn no_address_and_no_number_is_in_a_report_without_need() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "answered",
        "one-sided",
        "no-media",
        "media-only",
        "mirror-copies-routed",
        "noise",
        "sip-on-other-ports",
    ] {
        let (path, expected) = written(&folder, name);
        let report = examine(&doctor(vec![path])).unwrap();
        let printed = report.to_text() + &report.to_json();
        assert!(!printed.contains("198.1"), "{printed}");
        let numbers = expected.calls.iter().flat_map(|call| [&call.from_number, &call.to_number]).flatten();
        for number in numbers {
            assert!(!printed.contains(number.trim_start_matches('+')), "{name}: {printed}");
        }
    }
}

#[test]
fn a_file_that_breaks_off_is_judged_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = written(&folder, "answered");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2 + 7]).unwrap();
    assert!(examine(&doctor(vec![path.clone()])).unwrap().is_healthy());
    fs::write(&path, b"no capture at all").unwrap();
    assert!(examine(&doctor(vec![path])).is_err());
    assert!(examine(&doctor(Vec::new())).unwrap_err().contains("--interface"));
}
