//! What Wireshark's tools read and write: our readings of stamps and lengths against tshark's, and
//! our readings of files that editcap and mergecap wrote.

use std::fs;
use std::path::Path;
use std::process::Command;

use nightjar_capture::CaptureFile;
use nightjar_capture::fakes::MemoryFrame;
use nightjar_wire::Nanos;

use crate::writer::{Order, Pcap, PcapNg, frame};
use crate::{read_all, skipped};

/// Whether Wireshark's tools are here; says that a test is skipped when they are not.
fn tools(test: &str) -> bool {
    let here = Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success());
    if !here {
        skipped(test, "needs tshark");
    }
    here
}

fn run(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read(path: &Path) -> Vec<MemoryFrame> {
    let (frames, error) = read_all(&mut CaptureFile::open(path).unwrap());
    assert!(error.is_none(), "{}: {error:?}", path.display());
    frames
}

/// Stamp, captured and original length of each frame, as tshark reads them. A frame without a stamp
/// has none.
fn as_tshark_reads(path: &Path) -> Vec<(Option<Nanos>, usize, u32)> {
    let fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "frame.cap_len", "-e", "frame.len"];
    let rows = run("tshark", &[&["-r", path.to_str().unwrap()], &fields[..]].concat());
    let parse = |row: &str| {
        let mut fields = row.split('\t');
        let at = fields.next().unwrap();
        let at = at.split_once('.').map(|(secs, nanos)| {
            Nanos(secs.parse::<u64>().unwrap() * 1_000_000_000 + nanos.parse::<u64>().unwrap())
        });
        (at, fields.next().unwrap().parse().unwrap(), fields.next().unwrap().parse().unwrap())
    };
    rows.lines().map(parse).collect()
}

/// Images with every clock that we know, in both byte orders.
fn images() -> Vec<Vec<u8>> {
    let mut images = Vec::new();
    for order in [Order::Little, Order::Big] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d] {
            let mut pcap = Pcap::new(order, magic, 1);
            pcap.frames(20).record(1_700_000_000, 999_999, &frame(3), 9_000);
            images.push(pcap.image);
        }
        let mut file = PcapNg::new(order);
        let (later, earlier) = (file.offset_value(1_000_000), file.offset_value(-500));
        file.interface(1, 0, &[]);
        // Not 12: tshark 4.0 overflows while it converts picoseconds.
        for resolution in [0, 3, 6, 8, 9, 0x80, 0x80 | 10, 0x80 | 20, 0x80 | 30] {
            file.interface(1, 0, &[(9, &[resolution])]);
        }
        file.interface(113, 0, &[(9, &[9]), (14, &later)]).interface(1, 0, &[(14, &earlier)]);
        let ticks_per_sec = [
            1_000_000,
            1,
            1_000,
            1_000_000,
            100_000_000,
            1_000_000_000,
            1,
            1 << 10,
            1 << 20,
            1 << 30,
            1_000_000_000,
            1_000_000,
        ];
        for (interface, per_sec) in (0..).zip(ticks_per_sec) {
            let ticks = 1_000_123 * per_sec + per_sec / 3;
            file.enhanced(interface, ticks, &frame(interface), 300 + interface);
            file.obsolete(interface as u16, ticks + 1, &frame(interface + 50));
        }
        images.push(file.image);
    }
    images
}

#[test]
fn stamps_and_lengths_are_as_tshark_reads_them() {
    if !tools("stamps_and_lengths_are_as_tshark_reads_them") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (number, image) in images().into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.capture"));
        fs::write(&path, image).unwrap();
        let theirs = as_tshark_reads(&path);
        let ours: Vec<_> =
            read(&path).iter().map(|frame| (Some(frame.at), frame.bytes.len(), frame.original_len)).collect();
        assert_eq!(ours, theirs, "image {number}");
        assert!(ours.len() > 20);
    }
}

#[test]
fn simple_packets_have_the_lengths_that_tshark_reads() {
    if !tools("simple_packets_have_the_lengths_that_tshark_reads") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("simple");
    let mut file = PcapNg::new(Order::Big);
    file.interface(1, 80, &[]).simple(&[1; 61], 61).simple(&[2; 80], 1_500).simple(&[3; 64], 64);
    fs::write(&path, file.image).unwrap();
    let theirs: Vec<_> = as_tshark_reads(&path).iter().map(|&(_, captured, len)| (captured, len)).collect();
    let ours: Vec<_> = read(&path).iter().map(|frame| (frame.bytes.len(), frame.original_len)).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn every_format_that_editcap_writes_reads_as_the_original() {
    if !tools("every_format_that_editcap_writes_reads_as_the_original") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let mut pcap = Pcap::usual();
    pcap.frames(200);
    fs::write(&original, pcap.image).unwrap();
    let expected = read(&original);
    for format in ["pcap", "nsecpcap", "pcapng", "modpcap"] {
        let path = folder.path().join(format);
        run("editcap", &["-F", format, original.to_str().unwrap(), path.to_str().unwrap()]);
        assert!(read(&path) == expected, "{format}");
    }
    let merged = folder.path().join("merged");
    let original = original.to_str().unwrap();
    run("mergecap", &["-a", "-I", "none", "-w", merged.to_str().unwrap(), original, original]);
    let frames = read(&merged);
    let (first, second) = frames.split_at(200);
    assert!(first == expected && second.iter().all(|frame| frame.interface == 1));
    assert!(second.iter().zip(&expected).all(|(ours, theirs)| ours.bytes == theirs.bytes));
}
