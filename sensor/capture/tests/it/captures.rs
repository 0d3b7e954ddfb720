//! Captures that others made: each is read to its end with as many frames as tshark counts, or
//! refused with a clear error.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nightjar_capture::{CaptureFile, PacketSource, SourceError};

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
