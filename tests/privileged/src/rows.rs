//! The rows of `calls.jsonl` against the generator's account.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nightjar_load::{CallExpected, Expected, FrameClass};
use nightjar_schema::{Call, GapCause, Stream};
use nightjar_wire::Nanos;
use serde_json::Value;

use crate::stalls::Stalls;

/// Reads `calls.jsonl`; a file that is not there has no rows, a last line without end is not read.
///
/// # Panics
/// When a line is no call.
pub fn read_rows(path: &Path) -> Vec<Call> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The rows by Call-ID.
///
/// # Panics
/// When a Call-ID or an id has two rows.
pub fn by_call_id(rows: &[Call]) -> BTreeMap<&str, &Call> {
    let mut found = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for row in rows {
        assert!(ids.insert(row.id, ()).is_none(), "two rows of {}", row.id);
        for call_id in &row.call_ids {
            assert!(found.insert(call_id.as_str(), row).is_none(), "two rows of Call-ID {call_id}");
        }
    }
    found
}

/// Every call has its row, and every row its call: states, status, numbers and streams agree.
///
/// # Panics
/// With the first call that differs.
pub fn assert_rows(rows: &[Call], expected: &Expected) {
    assert_eq!(expected.calls_not_listed, 0, "every call is to be compared");
    let found = by_call_id(rows);
    for call in &expected.calls {
        let call_id = call.call_id.as_deref().expect("signalling is visible");
        let row = found.get(call_id).unwrap_or_else(|| panic!("no row of {call:#?}"));
        assert_row(row, call);
    }
    assert_eq!(rows.len(), expected.calls.len(), "rows without a call");
}

/// One call's row is as its generator says.
///
/// # Panics
/// When it differs.
pub fn assert_row(row: &Call, call: &CallExpected) {
    let id = row.id;
    assert_eq!(row.protocol, call.protocol, "{id}");
    assert_eq!((row.state, row.status), (call.state, call.status), "{id}: {:?}", row.end);
    assert_eq!(row.answered_at.is_some(), call.answered_at.is_some(), "{id}");
    assert_eq!(row.begun_before_capture, call.begun_before_capture, "{id}");
    assert_eq!((&row.from.number, &row.to.number), (&call.from_number, &call.to_number), "{id}");
    let figures = |stream: &Stream| {
        let Stream { src, dst, ssrc, packets, lost, duplicates, reordered, .. } = stream;
        (src.clone(), dst.clone(), ssrc.to_lowercase(), *packets, *lost, *duplicates, *reordered)
    };
    let mut seen: Vec<_> = row.streams.iter().map(figures).collect();
    let sent = call.streams.iter().filter(|stream| stream.packets > 0);
    let mut sent: Vec<_> = sent
        .map(|s| {
            let ssrc = s.ssrc.to_lowercase();
            (s.src.clone(), s.dst.clone(), ssrc, s.packets, s.lost, s.duplicates, s.reordered)
        })
        .collect();
    seen.sort();
    sent.sort();
    assert_eq!(seen, sent, "{id}");
}

/// What is missing of a recording was late on the wire, if anything is.
///
/// # Panics
/// With the first gap that the generator's stalls do not explain.
pub fn assert_gaps_of_stalls(row: &Call, stalls: &Stalls) {
    for gap in row.gaps.iter().filter(|gap| gap.cause == GapCause::Wire) {
        let start = row.recordings[usize::from(gap.recording.unwrap_or(0))].started_at;
        let from = Nanos(u64::try_from(start.0).unwrap_or(0) * 1_000) + Nanos::from_millis(gap.at_ms);
        let to = from + Nanos::from_millis(gap.duration_ms);
        // The recording's time line may lie beside the generator's by the first packets' delay.
        let slack = Nanos::from_millis(200);
        let stalled = stalls.within(from - slack, to + slack);
        assert!(stalled > Nanos::ZERO, "{}: {gap:?} but {stalls:?}", row.id);
    }
}

/// Every frame that was sent was received, by class, and each was accounted for.
///
/// # Panics
/// When a count differs.
pub fn assert_ledger(summary: &Value, expected: &Expected) {
    let ledger = &expected.ledger;
    let packets = &summary["packets"];
    assert_eq!(packets["received"], ledger.frames, "{summary:#}");
    assert_eq!(packets["signalling"], ledger.of(FrameClass::Signalling), "{summary:#}");
    assert_eq!(packets["recorded"], ledger.media(), "{summary:#}");
    assert_eq!(residual(packets), 0, "{summary:#}");
    assert_eq!(summary["source"]["ring_full"], 0, "{summary:#}");
    assert_eq!(summary["journal"]["lost_packets"], 0, "{summary:#}");
}

/// Holds levels 2 to 4 of an AF_XDP run's ledger together: `frames` were sent to the interfaces, and
/// what the program redirected was received.
///
/// # Panics
/// When a count differs.
pub fn assert_xdp_ledger(summary: &Value, frames: u64) {
    let taps = summary["xdp"].as_array().expect("AF_XDP captured");
    let sum = |of: &dyn Fn(&Value) -> u64| -> u64 { taps.iter().map(of).sum() };
    let program = |name: &'static str| sum(&|tap| tap["program"][name].as_u64().unwrap());
    let sockets = |name: &'static str| {
        sum(&|tap| {
            tap["sockets"].as_array().unwrap().iter().map(|socket| socket[name].as_u64().unwrap()).sum()
        })
    };
    for tap in taps {
        for nothing in ["program_residual", "redirect_residual", "redirect_failed"] {
            assert_eq!(tap[nothing].as_i64(), Some(0), "{nothing}: {tap:#}");
        }
    }
    assert_eq!(program("seen"), frames, "{summary:#}");
    assert_eq!(sockets("ring_full") + sockets("dropped") + sockets("waiting"), 0, "{summary:#}");
    assert_eq!(program("signalling") + program("media"), sockets("received"), "{summary:#}");
    assert_eq!(summary["packets"]["received"], sockets("received"), "{summary:#}");
}

/// Received frames that no other count explains.
pub fn residual(packets: &Value) -> i64 {
    let number = |name: &str| packets[name].as_i64().unwrap_or(0);
    let reasons = |name: &str| -> i64 {
        packets[name].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_i64()).sum()
    };
    number("received")
        - number("signalling")
        - number("recorded")
        - number("held")
        - reasons("ignored")
        - reasons("dropped")
}

/// What a row says apart from times, and from what hangs on them: ids, jitter, lengths.
pub fn without_times(row: &Call) -> String {
    let streams: Vec<_> = row
        .streams
        .iter()
        .map(|stream| {
            let Stream { leg, dialog, ssrc, src, dst, codec, packets, lost, duplicates, .. } = stream;
            let Stream { reordered, use_, reason, continues, copy_of, .. } = stream;
            format!(
                "{leg:?} {dialog:?} {ssrc} {src} {dst} {codec:?} {packets} {lost} {duplicates} {reordered} \
                 {use_:?} {reason:?} {continues:?} {copy_of:?}"
            )
        })
        .collect();
    let events: Vec<_> = row.events.iter().map(|event| (event.kind, event.leg, event.stream)).collect();
    let legs: Vec<_> = row.legs.iter().map(|leg| (&leg.number, leg.role)).collect();
    let recordings: Vec<_> = row.recordings.iter().map(|r| (r.channels, &r.channel_legs)).collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {streams:#?} {events:?} {legs:?} {recordings:?} {:?}",
        row.protocol, row.call_ids, row.from, row.to, row.state, row.status, row.end, row.marks
    )
}
