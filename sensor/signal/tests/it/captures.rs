//! Captures that nobody here made, against what tshark reads from them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use nightjar_schema::{Call as Row, EndCause};
use nightjar_signal::{Directory, Output, SignalConfig};
use nightjar_wire::{Endpoint, LinkType, Nanos, Realm, Transport, decode_frame, looks_like_sip};
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

/// The folder with the captures, if it is there.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("NIGHTJAR_CAPTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/captures")),
        PathBuf::from,
    );
    let there = folder.join("MANIFEST.tsv").is_file();
    if !there {
        // Past the test harness, which would swallow a print.
        let _ = writeln!(std::io::stderr(), "SKIPPED: signalling of captures: no folder of captures");
    }
    there.then_some(folder)
}

/// The frames of a capture file, as far as it can be read.
fn frames(bytes: &[u8]) -> Vec<(Nanos, LinkType, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut interfaces: Vec<(u32, u64)> = Vec::new();
    let mut legacy = (0, 1_000);
    let Ok(mut reader) = create_reader(1 << 20, bytes) else { return frames };
    let mut stuck = false;
    loop {
        let (used, block) = match reader.next() {
            Ok(next) => next,
            Err(PcapError::Incomplete(_)) if !stuck => {
                // The whole file is in memory: asked twice without a block between, it is cut short.
                stuck = true;
                if reader.refill().is_err() {
                    return frames;
                }
                continue;
            }
            Err(_) => return frames,
        };
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                legacy = (header.network.0 as u32, if header.is_nanosecond_precision() { 1 } else { 1_000 });
            }
            PcapBlockOwned::Legacy(frame) => {
                let at = u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * legacy.1;
                if let Some(link) = LinkType::from_number(legacy.0) {
                    frames.push((Nanos(at), link, frame.data.to_vec()));
                }
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                interfaces
                    .push((interface.linktype.0 as u32, interface.ts_resolution().unwrap_or(1_000_000)));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let Some(&(link, resolution)) = interfaces.get(packet.if_id as usize) else { continue };
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let at = u128::from(ticks) * 1_000_000_000 / u128::from(resolution);
                if let Some(link) = LinkType::from_number(link) {
                    frames.push((Nanos(at as u64), link, packet.packet_data().to_vec()));
                }
            }
            PcapBlockOwned::NG(_) => {}
        }
        reader.consume(used);
        stuck = false;
    }
}

/// What the directory makes of the SIP over UDP in a capture.
fn rows(bytes: &[u8]) -> Vec<Row> {
    let mut directory = Directory::new(SignalConfig { sensor: "test".into(), ..SignalConfig::default() });
    let mut rows = Vec::new();
    let mut last = Nanos::ZERO;
    for (at, link, frame) in frames(bytes) {
        last = last.max(at);
        directory.handle_time(at);
        let Ok(frame) = decode_frame(link, &frame) else { continue };
        let Transport::Udp { src_port, dst_port, payload, .. } = frame.transport else { continue };
        if looks_like_sip(payload) {
            let src = Endpoint::new(Realm(0), frame.network.src, src_port);
            let dst = Endpoint::new(Realm(0), frame.network.dst, dst_port);
            let _ = directory.handle_sip(at, src, dst, payload);
        }
        drain(&mut directory, &mut rows);
    }
    directory.handle_capture_end(last, EndCause::CaptureEnd);
    drain(&mut directory, &mut rows);
    rows
}

fn drain(directory: &mut Directory, rows: &mut Vec<Row>) {
    while let Some(output) = directory.poll_output() {
        if let Output::Closed { row, .. } = output {
            rows.push(*row);
        }
    }
}

/// A call as the oracle tells it: from, to, answered, ended by BYE, final codes.
#[derive(Debug)]
struct Expected {
    from: String,
    to: String,
    answered: bool,
    bye: bool,
    codes: Vec<u16>,
}

/// `call[sip:a@x>sip:b@y ans=1 inv=2 bye=1 final=200/401]`
fn expected(oracle: &str) -> Vec<Expected> {
    let call = |text: &str| {
        let (parties, rest) = text.split_once(" ans=")?;
        let (from, to) = parties.split_once('>')?;
        let rest = &rest[..rest.find(']')?];
        let field = |name: &str| rest.split(' ').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
        let codes = field("final=").split('/').filter_map(|code| code.parse().ok()).collect();
        Some(Expected {
            from: from.into(),
            to: to.into(),
            answered: rest.starts_with('1'),
            bye: field("bye=") != "0",
            codes,
        })
    };
    oracle.split("call[").skip(1).filter_map(call).collect()
}

/// File name (without its path) to oracle.
fn oracles(folder: &std::path::Path) -> BTreeMap<String, String> {
    let manifest = std::fs::read(folder.join("MANIFEST.tsv")).unwrap();
    let manifest = String::from_utf8_lossy(&manifest);
    let row = |line: &str| Some((line.split('\t').next()?.to_owned(), line.rsplit('\t').next()?.to_owned()));
    manifest.lines().filter_map(row).collect()
}

fn agrees(name: &str) {
    let Some(folder) = folder() else { return };
    let (file, oracle) = oracles(&folder)
        .into_iter()
        .find(|(file, _)| file.contains(name))
        .unwrap_or_else(|| panic!("no capture is named like {name}"));
    let rows = rows(&std::fs::read(folder.join(&file)).unwrap());
    let expected = expected(&oracle);
    assert_eq!(rows.len(), expected.len(), "{file}: number of calls");
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row.from.uri.as_deref(), Some(expected.from.as_str()), "{file}: from");
        assert_eq!(row.to.uri.as_deref(), Some(expected.to.as_str()), "{file}: to");
        assert_eq!(row.answered_at.is_some(), expected.answered, "{file}: answered");
        let by_bye = row.end.as_ref().unwrap().cause == EndCause::Bye;
        assert_eq!(by_bye, expected.bye, "{file}: ended by BYE");
        // The oracle lists all codes without their order: a challenge is never the last of several.
        let last: Vec<u16> = expected
            .codes
            .iter()
            .copied()
            .filter(|c| expected.codes.len() == 1 || !matches!(c, 401 | 407))
            .collect();
        assert_eq!(row.status.into_iter().collect::<Vec<_>>(), last, "{file}: last final code");
    }
}

#[test]
fn sip_rtp_g711() {
    agrees("sip-rtp-g711");
}

#[test]
fn sip_dtmf2() {
    agrees("SIP_DTMF2");
}

#[test]
fn rtp_protocol() {
    agrees("rtp-protocol");
}

#[test]
fn sip_proxy() {
    agrees("sip-proxy");
}

#[test]
fn sip_488_codec_reject() {
    agrees("sip-488-codec-reject");
}

#[test]
fn sip_auth_failure() {
    agrees("sip-auth-failure");
}

#[test]
fn aaa() {
    agrees("tests__aaa");
}

#[test]
fn sip_ipv6_udp() {
    agrees("sip_ipv6_udp");
}

#[test]
fn codec_negotiation() {
    agrees("codec-negotiation");
}

#[test]
fn register_invite_reinvite_bye() {
    agrees("register-invite-reinvite-bye");
}

#[test]
fn further_captures_of_sip_over_udp() {
    for name in [
        "sip-rtp-g729a",
        "sip-rtp-l16",
        "h263-over-rtp",
        "sip_compact_form",
        "sip-sdp__sdp",
        "sip-options-method",
    ] {
        agrees(name);
    }
}

#[test]
fn no_capture_of_any_folder_makes_the_directory_panic() {
    let Some(folder) = folder() else { return };
    let mut read = 0;
    for file in oracles(&folder).keys().filter(|file| file.contains("cap")) {
        let bytes = std::fs::read(folder.join(file)).unwrap_or_default();
        read += usize::from(!frames(&bytes).is_empty());
        rows(&bytes);
    }
    assert!(read > 20, "{read} captures were read");
}
