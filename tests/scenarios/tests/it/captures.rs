//! Captures that others made, through a whole replay: what tshark reads from them the sensor reads
//! too, and nothing in any folder makes it exit other than cleanly.

use std::io::Write;

use nightjar_agent::args::Mode;
use nightjar_scenarios::{
    CapturesFolder, Faults, OracleCall, OracleRow, OracleStream, Replayed, Setting, replay_file,
};
use nightjar_schema::{Call, EndCause, Protocol};

/// The folder, or `None` after saying that it is missing.
fn folder(test: &str) -> Option<CapturesFolder> {
    let folder = CapturesFolder::find();
    if folder.is_none() {
        let line = format!("SKIPPED: {test}: needs the captures beside the repository (NIGHTJAR_CAPTURES)\n");
        // Past the test harness, which would swallow a print.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    folder
}

/// A capture that ends in the middle of a record, as tshark says too.
const CUT_OFF: &str = "malformed/nDPI__tests__cfgs__default__pcap__fuzz-2021-10-13.pcap";

/// What is compared of a file's streams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Streams {
    All,
    /// Those of PCMU; the others' codecs are a later version's.
    OfPcmu,
}

/// Compares each file whose name holds `part`.
fn agrees(test: &str, part: &str, files: usize, which: Streams) {
    let Some(folder) = folder(test) else { return };
    let mut faults = Faults::default();
    let rows: Vec<&OracleRow> = folder.rows(part).collect();
    assert_eq!(rows.len(), files, "files called {part}");
    for oracle in rows {
        faults.scope(&oracle.file);
        let replayed = replay_file(&folder.path().join(&oracle.file), Setting::default()).unwrap();
        add_up(&mut faults, &replayed);
        if oracle.heuristic {
            for call in &replayed.calls {
                faults.same("protocol", &call.protocol, &Protocol::None);
            }
        } else {
            check_calls(&mut faults, &replayed.calls, &oracle.calls);
        }
        check_streams(&mut faults, &replayed.calls, oracle, which);
        let digits: String = replayed
            .calls
            .iter()
            .flat_map(|call| &call.events)
            .filter(|event| event.kind == nightjar_schema::CallEventKind::Dtmf)
            .filter_map(|event| event.detail.as_deref())
            .collect();
        faults.same("digits", &digits, &oracle.digits.clone().unwrap_or_default());
    }
    faults.finish();
}

/// Each counter once, everywhere.
fn add_up(faults: &mut Faults, replayed: &Replayed) {
    let summary = &replayed.summary;
    faults.same("residual", &summary.packets.residual(), &0);
    faults.same("held", &summary.packets.held, &0);
    let audio = summary.audio_packets.as_ref().map(nightjar_pipeline::AudioLedger::total);
    faults.same("audio packets in all", &audio, &Some(summary.packets.recorded));
}

fn check_calls(faults: &mut Faults, calls: &[Call], expected: &[OracleCall]) {
    let found: Vec<OracleCall> = calls
        .iter()
        .map(|call| OracleCall {
            from: call.from.uri.clone().unwrap_or_default(),
            to: call.to.uri.clone().unwrap_or_default(),
            answered: call.answered_at.is_some(),
            bye: call.end.as_ref().is_some_and(|end| end.cause == EndCause::Bye),
            codes: call.status.into_iter().collect(),
        })
        .collect();
    let expected: Vec<OracleCall> = expected
        .iter()
        .map(|call| OracleCall { codes: call.last_code().into_iter().collect(), ..call.clone() })
        .collect();
    faults.same("calls", &found, &expected);
}

fn check_streams(faults: &mut Faults, calls: &[Call], oracle: &OracleRow, which: Streams) {
    let mut found: Vec<OracleStream> = calls
        .iter()
        .flat_map(|call| &call.streams)
        .map(|stream| OracleStream {
            src: stream.src.clone(),
            dst: stream.dst.clone(),
            ssrc: stream.ssrc.clone(),
            codecs: stream.formats.iter().map(|format| tsharks_name(format.codec.as_deref())).collect(),
            packets: stream.packets,
            lost: stream.lost as i64,
        })
        .collect();
    if which == Streams::All {
        faults.same("number of streams", &found.len(), &oracle.stream_count);
        faults.same("packets of all streams", &found.iter().map(|s| s.packets).sum(), &oracle.packets);
    }
    let mut expected = oracle.streams.clone();
    let pcmu = |stream: &OracleStream| which == Streams::All || stream.codecs == ["g711U"];
    found.retain(pcmu);
    expected.retain(pcmu);
    let order = |stream: &OracleStream| (stream.ssrc.clone(), stream.src.clone(), stream.dst.clone());
    // The manifest names six streams of a file at most.
    found.retain(|stream| expected.iter().any(|other| order(other) == order(stream)));
    found.sort_by_key(order);
    expected.sort_by_key(order);
    for (found, expected) in found.iter_mut().zip(&expected) {
        // tshark subtracts duplicates.
        if expected.lost < 0 {
            found.lost = expected.lost;
        }
    }
    faults.same("streams", &found, &expected);
}

fn tsharks_name(codec: Option<&str>) -> String {
    match codec {
        Some("PCMA") => "g711A",
        Some("PCMU") => "g711U",
        Some("telephone-event") => "rtpevent",
        Some(other) => other,
        None => "unknown",
    }
    .to_owned()
}

#[test]
fn sip_rtp_g711() {
    agrees("sip_rtp_g711", "sip-rtp-g711", 1, Streams::All);
}

#[test]
fn sip_dtmf2() {
    agrees("sip_dtmf2", "SIP_DTMF2", 1, Streams::All);
}

#[test]
fn rtp_protocol() {
    agrees("rtp_protocol", "rtp-protocol", 1, Streams::All);
}

#[test]
fn sip_proxy() {
    agrees("sip_proxy", "sip-proxy", 1, Streams::All);
}

#[test]
fn sip_488_codec_reject() {
    agrees("sip_488_codec_reject", "sip-488-codec-reject", 1, Streams::All);
}

#[test]
fn sip_auth_failure() {
    agrees("sip_auth_failure", "sip-auth-failure", 1, Streams::All);
}

#[test]
fn aaa() {
    agrees("aaa", "tests__aaa.pcap", 1, Streams::All);
}

#[test]
fn sip_ipv6_udp() {
    agrees("sip_ipv6_udp", "sip_ipv6_udp", 1, Streams::All);
}

#[test]
fn speech_8k_ulaw() {
    agrees("speech_8k_ulaw", "speech_8k_ulaw", 1, Streams::All);
}

#[test]
fn sipp_uac_ssrc_change() {
    agrees("sipp_uac_ssrc_change", "sipp_uac_ssrc_change", 1, Streams::All);
}

#[test]
fn rtp_ssrc_0x6a518186() {
    agrees("rtp_ssrc_0x6a518186", "rtp_ssrc_0x6a518186", 1, Streams::All);
}

#[test]
fn g711a() {
    agrees("g711a", "sip-tester__g711a", 1, Streams::All);
}

#[test]
fn dtmf_2833() {
    agrees("dtmf_2833", "dtmf_2833_", 6, Streams::All);
}

#[test]
fn codec_negotiation() {
    agrees("codec_negotiation", "codec-negotiation", 1, Streams::OfPcmu);
}

#[test]
fn register_invite_reinvite_bye() {
    agrees("register_invite_reinvite_bye", "register-invite-reinvite-bye", 1, Streams::OfPcmu);
}

#[test]
fn no_file_of_any_folder_makes_the_sensor_exit_other_than_cleanly() {
    let test = "no_file_of_any_folder_makes_the_sensor_exit_other_than_cleanly";
    let Some(folder) = folder(test) else { return };
    let mut faults = Faults::default();
    let (mut captures, mut refused) = (0, 0);
    for file in folder.files() {
        faults.scope(&file.display().to_string());
        match replay_file(&file, Setting::default()) {
            Ok(replayed) => {
                add_up(&mut faults, &replayed);
                let errors = &replayed.summary.errors;
                captures += usize::from(errors.is_empty());
                refused += usize::from(!errors.is_empty());
                let capture = file.extension().is_some_and(|ending| ending.to_string_lossy().contains("cap"));
                let is_cut_off = file.ends_with(CUT_OFF);
                faults.same("a capture is read", &errors.is_empty(), &(capture && !is_cut_off));
                for error in errors {
                    faults.check(!error.is_empty() && error.lines().count() == 1, format!("says {error:?}"));
                }
            }
            Err(error) => faults.note(error.to_string()),
        }
        let headers = replay_file(&file, Setting { mode: Mode::Analyse, ..Setting::default() });
        match headers {
            Ok(replayed) => faults.same("analyse: residual", &replayed.summary.packets.residual(), &0),
            Err(error) => faults.note(format!("analyse: {error}")),
        }
    }
    assert!(captures > 40 && refused > 100, "{captures} captures, {refused} other files");
    faults.finish();
}
