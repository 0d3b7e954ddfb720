//! The sensor's account against the generator's: the ledger, the calls, their streams.

use std::collections::BTreeMap;

use nightjar_load::{CallExpected, Codec, Expected, FrameClass, Side, Speaker, StreamExpected, StreamKind};
use nightjar_pipeline::{AudioLedger, Ledger};
use nightjar_scenarios::{Faults, ReplayedScenario};
use nightjar_schema::{
    Call, CallEvent, CallEventKind, CallState, EndCause, Protocol, Stream, StreamUse, Timestamp,
};

/// Checks all of a scenario.
pub fn check(faults: &mut Faults, scenario: &ReplayedScenario) {
    let (expected, replayed) = (&scenario.expected, &scenario.replayed);
    let summary = &replayed.summary;
    check_ledger(faults, expected, &summary.packets);
    let audio = summary.audio_packets.as_ref().map(AudioLedger::total);
    faults.same("audio packets in all", &audio, &Some(summary.packets.recorded));
    faults.same("errors", &summary.errors, &Vec::new());
    faults.same("calls", &replayed.calls.len(), &expected.calls.len());
    for call in &expected.calls {
        match replayed.calls.iter().find(|row| is_of(row, call)) {
            Some(row) => check_call(faults, row, call),
            None => faults.note(format!("call {} has no row", call.index)),
        }
    }
}

/// Each counter of the sensor's ledger from the generator's classes.
fn check_ledger(faults: &mut Faults, expected: &Expected, ledger: &Ledger) {
    let of = |class| expected.ledger.of(class);
    faults.same("received", &ledger.received, &expected.ledger.frames);
    faults.same("signalling", &ledger.signalling, &of(FrameClass::Signalling));
    faults.same("recorded", &ledger.recorded, &expected.ledger.media());
    let reasons = [
        ("ignored not_ip", of(FrameClass::NotIp)),
        ("ignored tcp", of(FrameClass::Tcp)),
        ("ignored other_protocol", of(FrameClass::OtherTransport)),
        ("ignored udp_other", of(FrameClass::UdpOther)),
        ("ignored stun", of(FrameClass::Stun)),
        ("ignored dtls", of(FrameClass::Dtls)),
        ("ignored keep_alive", of(FrameClass::KeepAlive)),
        ("ignored unexplained_rtp", of(FrameClass::UnexplainedRtp)),
        ("ignored mirror_copy", expected.ledger.copies()),
        ("dropped malformed_rtp", of(FrameClass::MalformedRtp)),
        ("dropped malformed", of(FrameClass::MalformedIp)),
        ("dropped truncated", of(FrameClass::Truncated)),
    ];
    let expected: BTreeMap<String, u64> =
        reasons.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n)).collect();
    let found = ledger.reasons().map(|(fate, reason, n)| (format!("{fate} {reason}"), n)).collect();
    faults.same("reasons", &found, &expected);
    faults.same("residual", &ledger.residual(), &0);
    faults.same("held", &ledger.held, &0);
}

/// Whether the row is about this call: by Call-ID, without signalling by SSRC.
pub fn is_of(row: &Call, call: &CallExpected) -> bool {
    match &call.call_id {
        Some(call_id) => row.call_ids.contains(call_id),
        None => row.streams.iter().any(|stream| {
            call.streams.iter().any(|expected| stream.ssrc.eq_ignore_ascii_case(&expected.ssrc))
        }),
    }
}

fn check_call(faults: &mut Faults, row: &Call, call: &CallExpected) {
    let what = |field: &str| format!("call {}: {field}", call.index);
    faults.same(what("protocol"), &row.protocol, &call.protocol);
    faults.same(what("state"), &row.state, &call.state);
    faults.same(what("status"), &row.status, &call.status);
    faults.same(what("from"), &row.from.number, &call.from_number);
    faults.same(what("from name"), &row.from.name, &call.from_name);
    faults.same(what("to"), &row.to.number, &call.to_number);
    faults.same(what("to name"), &row.to.name, &call.to_name);
    faults.same(what("dialled"), &row.dialled.number, &call.dialled_number);
    check_times(faults, row, call);
    let begun = what("begun before the capture");
    faults.same(begun, &row.begun_before_capture, &call.begun_before_capture);
    check_dialogs(faults, row, call);
    let found: BTreeMap<String, &Stream> = row.streams.iter().map(|stream| (key(stream), stream)).collect();
    let expected: BTreeMap<String, &StreamExpected> =
        call.streams.iter().map(|stream| (expected_key(stream), stream)).collect();
    let keys = (found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    faults.same(what("streams"), &keys.0, &keys.1);
    for (key, expected) in &expected {
        if let Some(stream) = found.get(key) {
            check_stream(faults, row, stream, expected);
        }
    }
}

/// Forks and hunted targets, each with what became of it; the one that answered talks to the end.
fn check_dialogs(faults: &mut Faults, row: &Call, call: &CallExpected) {
    if call.dialogs.is_empty() || call.answered_at.is_none() {
        return;
    }
    let what = |field: &str| format!("call {}: {field}", call.index);
    let tag = |tag: &str| Some(tag.to_owned());
    let expected: Vec<_> = call.dialogs.iter().map(|dialog| (tag(&dialog.to_tag), dialog.status)).collect();
    let found: Vec<_> = row.dialogs.iter().map(|dialog| (dialog.to_tag.clone(), dialog.status)).collect();
    faults.same(what("dialogs"), &found, &expected);
    for (found, expected) in row.dialogs.iter().zip(&call.dialogs) {
        if expected.ended_at.is_some() {
            faults.same(what("a dialog's end"), &found.ended_at, &expected.ended_at);
        }
    }
    let last = row.dialogs.last().map(|dialog| (dialog.answered_at, dialog.ended_at));
    faults.same(what("the answered dialog"), &last, &Some((call.answered_at, call.ended_at)));
    let answer = row.events.iter().find(|event| event.kind == CallEventKind::Answer);
    let leg = row.dialogs.last().and_then(|dialog| dialog.legs.get(1).copied());
    faults.same(what("who answered"), &answer.and_then(|event| event.leg), &leg);
}

/// A datagram has come when its last fragment has: so much later than its first.
const FRAGMENTS_WITHIN_MICROS: i64 = 10;

fn check_times(faults: &mut Faults, row: &Call, call: &CallExpected) {
    let what = |field: &str| format!("call {}: {field}", call.index);
    let mut at = |field: &str, found: Option<Timestamp>, expected: Option<Timestamp>| {
        let near = match (found, expected) {
            (Some(found), Some(expected)) => (0..=FRAGMENTS_WITHIN_MICROS).contains(&(found.0 - expected.0)),
            _ => found == expected,
        };
        faults.check(near, format!("{}: found {found:?}, expected {expected:?}", what(field)));
    };
    at("started", Some(row.started_at), Some(call.started_at));
    at("answered", row.answered_at, call.answered_at);
    if call.ended_at.is_some() {
        at("ended", row.ended_at, call.ended_at);
    }
    let end = row.end.as_ref().map(|end| (end.cause, end.leg));
    let ended_by = call.ended_by.map(|side| u16::from(side == Side::Callee));
    let expected = match (call.state, call.status) {
        (CallState::Completed, _) => (EndCause::Bye, ended_by),
        (CallState::Cancelled, _) => (EndCause::Cancel, Some(0)),
        // The callee itself says that it is busy (486) or declines (603); others may speak for it.
        (CallState::Rejected, Some(486 | 603)) => (EndCause::Rejected, Some(1)),
        (CallState::Rejected | CallState::Failed, Some(_)) => (EndCause::Rejected, None),
        // No capture here goes on long enough for a time-out.
        _ => (EndCause::CaptureEnd, None),
    };
    faults.same(what("end"), &end, &Some(expected));
}

pub fn key(stream: &Stream) -> String {
    format!("{} {} {}", stream.src, stream.dst, stream.ssrc.to_lowercase())
}

pub fn expected_key(stream: &StreamExpected) -> String {
    format!("{} {} {}", stream.src, stream.dst, stream.ssrc)
}

fn check_stream(faults: &mut Faults, row: &Call, stream: &Stream, expected: &StreamExpected) {
    let what = |field: &str| format!("{:?} {}: {field}", expected.speaker, expected_key(expected));
    faults.same(what("packets"), &stream.packets, &expected.packets);
    faults.same(what("lost"), &stream.lost, &expected.lost);
    faults.same(what("duplicates"), &stream.duplicates, &expected.duplicates);
    faults.same(what("reordered"), &stream.reordered, &expected.reordered);
    faults.same(what("first packet"), &Some(stream.started_at), &expected.first_at);
    faults.same(what("last packet"), &Some(stream.ended_at), &expected.last_at);
    let kind = if expected.kind == StreamKind::Audio { "audio" } else { "video" };
    faults.same(what("kind"), &stream.kind.as_str(), &kind);
    faults.same(what("codecs"), &codecs(stream), &expected_codecs(expected));
    faults.same(what("digits"), &digits(row, stream), &expected.digits);
    check_leg(faults, &what("leg"), row, stream, expected);
    let answered = row.answered_at.is_some();
    let use_ = match (expected.kind, expected.speaker) {
        (StreamKind::Video, _) => (StreamUse::Counted, Some("not_audio")),
        (_, Speaker::LosingFork) if answered => (StreamUse::Counted, Some("not_answered")),
        _ => (StreamUse::Mixed, None),
    };
    faults.same(what("use"), &(stream.use_, stream.reason.as_deref()), &use_);
    faults.same(what("copy of"), &stream.copy_of, &None);
}

/// Formats of speech in the order of their first use.
fn codecs(stream: &Stream) -> Vec<&str> {
    let names = stream.formats.iter().filter_map(|format| format.codec.as_deref());
    names.filter(|name| stream.kind == "audio" && !matches!(*name, "telephone-event" | "CN")).collect()
}

fn expected_codecs(expected: &StreamExpected) -> Vec<&str> {
    let mut names = Vec::new();
    for codec in &expected.codecs {
        let name = if *codec == Codec::Pcma { "PCMA" } else { "PCMU" };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The digits that were dialled on a stream, in order.
fn digits(row: &Call, stream: &Stream) -> String {
    let of_stream =
        |event: &&CallEvent| event.stream.and_then(|n| row.streams.get(usize::from(n))) == Some(stream);
    let dialled = row.events.iter().filter(|event| event.kind == CallEventKind::Dtmf).filter(of_stream);
    dialled.filter_map(|event| event.detail.as_deref()).collect()
}

/// The leg that speaks. Each fork is a leg of its own, in the order of their answers; without
/// signalling the first leg is who sent first.
fn check_leg(faults: &mut Faults, what: &str, row: &Call, stream: &Stream, expected: &StreamExpected) {
    let forks: Vec<Option<u16>> = row.dialogs.iter().map(|dialog| dialog.legs.get(1).copied()).collect();
    let last_fork = forks.last().copied().flatten();
    match (row.protocol, expected.speaker) {
        (Protocol::None, _) => {
            let first = &row.streams[0];
            faults.same(what, &stream.leg, &Some(u16::from(stream.src != first.src)));
        }
        (_, Speaker::Caller) => faults.same(what, &stream.leg, &Some(0)),
        (_, Speaker::Callee) => faults.same(what, &stream.leg, &last_fork),
        (_, Speaker::LosingFork) => {
            let own = stream.dialog.and_then(|n| forks.get(usize::from(n)).copied().flatten());
            faults.check(own.is_some() && own != last_fork, format!("{what}: the answering fork's"));
            faults.same(what, &stream.leg, &own);
        }
        (_, Speaker::Third) => faults.same(what, &stream.leg, &None),
    }
}
