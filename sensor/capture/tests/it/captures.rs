//! Captures that others made: each is read to its end with as many frames as tshark counts, or
//! refused with a clear error.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nightjar_capture::{CaptureFile, PacketSource, SourceError};

use nightjar_wire::{Tunnel, decode_frame};

use crate::{read_all, skipped};

/// Rows whose `frames=` counts a datagram's layers (two RTCP packets in one, a tunnel's inner and
/// outer header), and what `capinfos -c` counts.
const LAYERS_COUNTED: [(&str, &str); 3] =
    [("rtcp_multiple_pkts_in_the_same_datagram.pcap", "5"), ("ipip.pcap", "4"), ("__gre.pcapng", "1")];

/// Captures that end in the middle of a record, as tshark says too.
const CUT_OFF: [&str; 1] = ["fuzz-2021-10-13.pcap"];

/// The folder of captures, or `None` after saying that it is missing.
fn folder(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    let folder = env::var_os("NIGHTJAR_CAPTURES").map_or(beside, PathBuf::from);
    if folder.join("MANIFEST.tsv").is_file() {
        return Some(folder);
    }
    skipped(test, "needs the captures beside the repository (NIGHTJAR_CAPTURES)");
    None
}

/// What tshark sees in each frame of a file: the last of its IP senders, and the numbers of its tunnels.
fn by_tshark(path: &Path) -> Vec<(String, Vec<u32>)> {
    let mut command = std::process::Command::new("tshark");
    command.args(["-n", "-T", "fields", "-e", "ip.src", "-e", "ipv6.src", "-r"]).arg(path);
    let fields = ["vxlan.vni", "gre.key", "erspan.spanid"];
    fields.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.output().expect("tshark (package tshark) runs");
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    };
    let seen = |line: &str| {
        let mut fields = line.split('\t');
        let (four, six) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let last = |text: &str| text.rsplit(',').next().unwrap_or_default().to_owned();
        let ids = fields.flat_map(|field| field.split(',')).filter(|text| !text.is_empty()).map(number);
        (if four.is_empty() { last(six) } else { last(four) }, ids.collect())
    };
    String::from_utf8_lossy(&output.stdout).lines().map(seen).collect()
}

#[test]
fn tunnels_in_captures_of_others_hold_what_tshark_sees_in_them() {
    let Some(folder) = folder("tunnels_in_captures_of_others_hold_what_tshark_sees_in_them") else { return };
    let mut through = 0;
    for name in [
        "encap_no_voip/arkime__tests__pcap__gre-erspan.pcap",
        "encap_no_voip/arkime__tests__pcap__vxlan.pcap",
        "encap_no_voip/packetlife-backup__pcaps__GRE.cap",
    ] {
        let path = folder.join(name);
        let theirs = by_tshark(&path);
        let (seen, _) = read_all(&mut CaptureFile::open(&path).unwrap());
        assert_eq!(seen.len(), theirs.len(), "{name}");
        for (frame, (src, ids)) in seen.iter().zip(&theirs) {
            // Not IP within: tshark's last sender is the tunnel's.
            let Ok(decoded) = decode_frame(frame.link, &frame.bytes) else { continue };
            let tunnels: Vec<u32> = decoded.tunnels.iter().flatten().map(|tunnel| tunnel.id).collect();
            let numbered = tunnels.iter().copied().filter(|id| *id != Tunnel::UNNUMBERED);
            assert_eq!(numbered.collect::<Vec<_>>(), *ids, "{name}");
            assert_eq!(decoded.network.src.to_string(), *src, "{name}");
            through += u32::from(!tunnels.is_empty());
        }
    }
    // All but what tshark shows to be ARP and CDP.
    assert_eq!(through, 4 + 8 + 10);
}

#[test]
fn each_capture_of_others_has_as_many_frames_as_tshark_counts() {
    let Some(folder) = folder("each_capture_of_others_has_as_many_frames_as_tshark_counts") else { return };
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut captures = 0;
    for row in manifest.lines().skip(1) {
        let name = row.split('\t').next().unwrap();
        let oracle = row.rsplit('\t').next().unwrap();
        let frames = oracle.split(' ').find_map(|part| part.strip_prefix("frames="));
        match (frames, CaptureFile::open(folder.join(name))) {
            (Some(frames), Ok(mut file)) => {
                let (seen, error) = read_all(&mut file);
                if CUT_OFF.iter().any(|file| name.ends_with(file)) {
                    assert!(matches!(error, Some(SourceError::CutOff { .. })), "{name}: {error:?}");
                } else {
                    assert!(error.is_none(), "{name}: {error:?}");
                }
                let corrected = LAYERS_COUNTED.iter().find(|(file, _)| name.ends_with(file));
                let frames = corrected.map_or(frames, |(_, frames)| frames);
                assert_eq!(seen.len().to_string(), frames, "{name}");
                assert_eq!(file.statistics().unknown_link, 0, "{name}");
                captures += 1;
            }
            (None, Err(SourceError::NotACapture { what, .. })) => assert!(!what.is_empty(), "{name}"),
            (frames, opened) => panic!("{name}: tshark counts {frames:?}, opened: {:?}", opened.err()),
        }
    }
    assert!(captures > 40, "only {captures} captures in the manifest");
}
