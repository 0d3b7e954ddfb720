//! Capture files of every kind are read by tshark with the same frames and stamps.

use std::path::Path;
use std::process::Command;

use nightjar_load::{CaptureFormat, LinkOptions, PcapOptions, Scenario, expected_path, scenarios};

/// Stamp, UDP length and both ports of each frame, as tshark reads the file.
fn read(path: &Path) -> String {
    let output = Command::new("tshark")
        .args(["-n", "-t", "e", "-T", "fields", "-e", "frame.time_epoch", "-e", "udp.length"])
        .args(["-e", "udp.srcport", "-e", "udp.dstport", "-r"])
        .arg(path)
        .output()
        .expect("tshark (package tshark) runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn scenario() -> Scenario {
    scenarios::by_name("rtcp-apart", 2)
}

#[test]
fn every_format_and_compression_holds_the_same_frames() {
    let folder = tempfile::tempdir().unwrap();
    let mut micros = None;
    let mut nanos = None;
    for format in CaptureFormat::ALL {
        let first = if format.keeps_nanoseconds() { &mut nanos } else { &mut micros };
        for name in ["a.pcap", "a.pcap.gz", "a.pcap.zst"] {
            let path = folder.path().join(name);
            let options = PcapOptions { format, ..PcapOptions::default() };
            let expected = scenario().write_pcap(&path, &options).unwrap();
            let text = read(&path);
            assert_eq!(text.lines().count() as u64, expected.ledger.frames, "{format:?} {name}");
            assert!(first.get_or_insert_with(|| text.clone()) == &text, "{format:?} {name} differs");
        }
    }
    assert!(micros != nanos, "nanoseconds are lost");
}

#[test]
fn every_link_layer_holds_the_same_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = None;
    for link in LinkOptions::every() {
        let path = folder.path().join("a.pcap");
        let what = format!("{link:?}");
        let options = PcapOptions { link, ..PcapOptions::default() };
        scenario().write_pcap(&path, &options).unwrap();
        let text = read(&path);
        assert!(first.get_or_insert_with(|| text.clone()) == &text, "{what} differs");
    }
}

#[test]
fn the_truth_lies_beside_the_capture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap.zst");
    let expected = scenario().write_pcap(&path, &PcapOptions::default()).unwrap();
    let json = std::fs::read_to_string(expected_path(&path)).unwrap();
    let read: nightjar_load::Expected = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(expected).unwrap());
}
