//! tshark finds the streams, losses and messages that the generator says it sent, and nothing
//! malformed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use nightjar_load::{Expected, PcapOptions, scenarios};

/// Left out: the hour-long ones for their size, and those whose captures hold faults on purpose.
const LEFT_OUT: [&str; 6] =
    ["clicks-drift-30-minutes", "speech-drift-30-minutes", "noise", "malformed-rtp", "shared-port", "video"];

/// tshark takes a mirror's copies for repetitions; there `Lost` means nothing.
const COPIED: [&str; 4] =
    ["mirror-copies", "mirror-copies-routed", "mirror-copies-impaired", "fragments-copied"];

#[derive(Debug, PartialEq, Eq)]
struct Counted {
    packets: u64,
    lost: i64,
}

#[test]
fn tshark_counts_the_same_streams_and_messages_in_every_scenario() {
    let folder = tempfile::tempdir().unwrap();
    for entry in scenarios::all().filter(|entry| !LEFT_OUT.contains(&entry.name)) {
        let path = folder.path().join("capture.pcap");
        let expected = entry.scenario(3).write_pcap(&path, &PcapOptions::default()).unwrap();
        let report = Report::of(&path);
        assert_eq!(report.suspicious, Vec::<String>::new(), "{}", entry.name);
        if !COPIED.contains(&entry.name) {
            let messages: u64 = expected.calls.iter().map(|call| call.sip_messages).sum();
            assert_eq!(report.messages, messages, "{}", entry.name);
            assert_eq!(report.streams, streams_of(&expected), "{}", entry.name);
        }
    }
}

fn streams_of(expected: &Expected) -> BTreeMap<String, Counted> {
    let mut streams = BTreeMap::new();
    for stream in expected.calls.iter().flat_map(|call| &call.streams) {
        // Of a stream that was away tshark takes the numbers of then for lost.
        let lost = (stream.lost + stream.elsewhere) as i64 - stream.duplicates as i64;
        let counted = Counted { packets: stream.packets, lost };
        streams.insert(format!("{} {} {}", stream.src, stream.dst, stream.ssrc), counted);
    }
    streams
}

struct Report {
    streams: BTreeMap<String, Counted>,
    messages: u64,
    /// Frames with a bad checksum or that a dissector calls malformed.
    suspicious: Vec<String>,
}

impl Report {
    fn of(path: &Path) -> Report {
        let output = Command::new("tshark")
            .args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"])
            .args(["--enable-heuristic", "rtp_udp", "-z", "rtp,streams", "-z", "sip,stat", "-Y"])
            .arg("_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0")
            .arg("-r")
            .arg(path)
            .output()
            .expect("tshark (package tshark) runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let messages = text.lines().find_map(|line| line.strip_prefix("Number of SIP messages: "));
        Report {
            streams: text.lines().filter_map(stream).collect(),
            messages: messages.map_or(0, |count| count.trim().parse().unwrap()),
            suspicious: text
                .lines()
                .take_while(|line| !line.starts_with("==="))
                .map(str::to_owned)
                .filter(|line| !line.is_empty())
                .collect(),
        }
    }
}

/// A row of `rtp,streams`: times, source, port, destination, port, SSRC, payloads, packets, lost
/// and its percentage, the rest.
fn stream(line: &str) -> Option<(String, Counted)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let percentage = words.iter().position(|word| word.starts_with('(') && word.ends_with("%)"))?;
    let socket = |at: usize| {
        let addr = words[at];
        if addr.contains(':') {
            format!("[{addr}]:{}", words[at + 1])
        } else {
            format!("{addr}:{}", words[at + 1])
        }
    };
    let key = format!("{} {} {}", socket(2), socket(4), words[6].to_lowercase());
    let number = |back: usize| words[percentage - back].parse::<i64>().unwrap();
    Some((key, Counted { packets: number(2) as u64, lost: number(1) }))
}
