//! The streams' part of a call's row: figures, formats, events and marks.

use nightjar_flow::{FormatUse, Stream};
use nightjar_media::AudioSummary;
use nightjar_schema::{
    Call, CallEvent, CallEventKind, EndCause, Gap, GapCause, StreamFormat, StreamUse, Timestamp,
};
use nightjar_wire::{Basis, MediaKind, Nanos};

use crate::admission::Shed;

/// The longest packet time there is, and some jitter.
const LONGEST_EDGE_MS: u64 = 100;

/// Adds the call's streams to its row, in order of opening.
pub(crate) fn add_streams(row: &mut Call, streams: &[Stream]) {
    let index_of = |id: u32| streams.iter().position(|s| s.id == id).and_then(|n| u16::try_from(n).ok());
    for stream in streams {
        let mut entry = stream_row(stream);
        entry.copy_of = stream.copy_of.and_then(index_of);
        entry.continues = stream.continues.and_then(index_of);
        row.streams.push(entry);
    }
    add_events(row, streams);
    add_marks(row);
    begin_with_media(row);
    end_with_media(row);
}

fn stream_row(stream: &Stream) -> nightjar_schema::Stream {
    let figures = &stream.figures;
    let main = stream.main_use().map(|used| used.payload_type);
    let format = main.and_then(|payload_type| stream.format(payload_type));
    let clock_rate = format.as_ref().map(|format| format.clock_rate);
    nightjar_schema::Stream {
        leg: stream.membership.and_then(|membership| membership.speaker),
        dialog: stream.membership.and_then(|membership| membership.dialog),
        kind: kind_name(stream.kind).into(),
        label: None,
        ssrc: format!("0x{:08X}", stream.key.ssrc),
        src: stream.key.flow.source().socket_addr().to_string(),
        dst: stream.key.flow.destination().socket_addr().to_string(),
        payload_type: main,
        codec: format.as_ref().map(|format| format.codec.clone()),
        clock_rate,
        packets: figures.packets,
        lost: figures.lost(),
        duplicates: figures.duplicates,
        reordered: figures.reordered,
        jitter_ms: figures.jitter_ms(clock_rate.unwrap_or(8_000)),
        duration_ms: (figures.last_at - figures.first_at).as_millis(),
        started_at: timestamp(figures.first_at),
        ended_at: timestamp(figures.last_at),
        lost_ours: 0,
        use_: if stream.copy_of.is_some() { StreamUse::Copy } else { StreamUse::Counted },
        reason: None,
        copy_of: None,
        continues: None,
        formats: stream.uses().iter().map(|used| format_row(stream, used)).collect(),
        speakers: Vec::new(),
    }
}

fn format_row(stream: &Stream, used: &FormatUse) -> StreamFormat {
    let format = stream.format(used.payload_type);
    let basis = match format.as_ref().map(|format| format.basis) {
        Some(Basis::Sdp) => "sdp",
        Some(Basis::Static) => "static",
        Some(Basis::Guessed) | None => "guessed",
    };
    StreamFormat {
        at: timestamp(used.first_at),
        payload_type: used.payload_type,
        codec: format.as_ref().map(|format| format.codec.clone()),
        clock_rate: format.as_ref().map(|format| format.clock_rate),
        channels: format.as_ref().map(|format| format.channels),
        ptime_ms: format.as_ref().and_then(|format| format.ptime_ms),
        fmtp: format.and_then(|format| format.fmtp),
        packets: used.packets,
        basis: basis.into(),
    }
}

/// Where each stream began and ended, and where its format changed.
fn add_events(row: &mut Call, streams: &[Stream]) {
    for (index, stream) in streams.iter().enumerate() {
        let Ok(index) = u16::try_from(index) else { break };
        let leg = stream.membership.and_then(|membership| membership.speaker);
        let event = |at: Nanos, kind: CallEventKind, detail: Option<String>| CallEvent {
            at: timestamp(at),
            kind,
            leg,
            stream: Some(index),
            by: None,
            detail,
        };
        row.events.push(event(stream.figures.first_at, CallEventKind::MediaStart, None));
        for used in stream.uses().iter().skip(1) {
            let codec = stream.format(used.payload_type).map(|format| format.codec);
            let is_speech = !matches!(codec.as_deref(), Some("telephone-event" | "CN"));
            if is_speech {
                let detail = codec.unwrap_or_else(|| format!("payload type {}", used.payload_type));
                row.events.push(event(used.first_at, CallEventKind::Format, Some(detail)));
            }
        }
        row.events.push(event(stream.figures.last_at, CallEventKind::MediaStop, None));
    }
    row.events.sort_by_key(|event| event.at);
}

/// A call that was on before the capture began was first seen by its media, which waited for the
/// message that named them.
fn begin_with_media(row: &mut Call) {
    if row.begun_before_capture
        && let Some(first) = row.streams.iter().map(|stream| stream.started_at).min()
    {
        row.started_at = row.started_at.min(first);
    }
}

/// Nobody hung up: the call went on as long as its media did, of which signalling was told once a
/// second only. Stamps of a clock that jumped tell nothing.
fn end_with_media(row: &mut Call) {
    let timed_out = row
        .end
        .as_ref()
        .is_some_and(|end| matches!(end.cause, EndCause::MediaTimeout | EndCause::SessionTimer));
    let jumped = row.marks.iter().any(|mark| mark == "clock_jump");
    let last = row.streams.iter().map(|stream| stream.ended_at).max();
    let (Some(end), Some(last)) = (row.ended_at, last) else { return };
    if !timed_out || jumped || last <= end {
        return;
    }
    row.ended_at = Some(last);
    let left = row.legs.iter_mut().map(|leg| &mut leg.left_at);
    let ended = row.dialogs.iter_mut().map(|dialog| &mut dialog.ended_at);
    for at in left.chain(ended).filter(|at| **at == Some(end)) {
        *at = Some(last);
    }
}

/// What a listener must know of the call before playing it.
fn add_marks(row: &mut Call) {
    let speaking: Vec<u16> = row.streams.iter().filter_map(|stream| stream.leg).collect();
    let sided = speaking.first().is_some_and(|first| speaking.iter().all(|leg| leg == first));
    if row.answered_at.is_some() && sided {
        add_mark(row, "one_sided");
    }
}

/// Adds what mixing has found out: digits, gaps, what became of each stream. `ids` are the ids of
/// the row's streams, in their order.
pub(crate) fn add_audio(row: &mut Call, summary: &AudioSummary, ids: &[u32]) {
    let index_of = |id: u32| ids.iter().position(|known| *known == id).and_then(|n| u16::try_from(n).ok());
    for stream in &summary.streams {
        let Some(entry) = index_of(stream.stream).and_then(|index| row.streams.get_mut(usize::from(index)))
        else {
            continue;
        };
        if entry.use_ == StreamUse::Copy {
            continue;
        }
        entry.lost_ours = (entry.lost_ours + stream.lost_in_ring).min(entry.lost);
        let counts = &stream.counts;
        if counts.encoded > 0 {
            entry.use_ = StreamUse::Mixed;
        } else if counts.undecodable > 0 {
            entry.reason = Some("undecodable".into());
        } else if counts.discarded > 0 {
            let after_end = row.ended_at.is_some_and(|end| entry.started_at > end);
            let reason = match entry.kind.as_str() {
                "audio" if after_end => "after_end",
                "audio" => "not_answered",
                _ => "not_audio",
            };
            entry.reason = Some(reason.into());
        }
    }
    for digit in &summary.digits {
        let stream = index_of(digit.stream);
        row.events.push(CallEvent {
            at: timestamp(digit.at),
            kind: CallEventKind::Dtmf,
            leg: stream.and_then(|index| row.streams[usize::from(index)].leg),
            stream,
            by: None,
            detail: Some(digit.digit.to_string()),
        });
    }
    row.events.sort_by_key(|event| event.at);
    for gap in &summary.gaps {
        row.gaps.push(Gap {
            recording: Some(0),
            stream: gap.stream.and_then(index_of),
            leg: gap.leg,
            at_ms: gap.at_ms,
            duration_ms: gap.duration_ms,
            cause: gap.cause,
        });
    }
    attribute_edges(&mut row.gaps);
    for mark in &summary.marks {
        add_mark(row, mark.name());
    }
}

/// A packet's part of the time line begins before an outage, or ends behind it: what is missing of
/// a stream right beside the sensor's outage is the sensor's too.
fn attribute_edges(gaps: &mut [Gap]) {
    let outages: Vec<(u64, u64)> = gaps
        .iter()
        .filter(|gap| gap.cause == GapCause::SensorDown)
        .map(|gap| (gap.at_ms, gap.at_ms + gap.duration_ms))
        .collect();
    let mut edges: Vec<&mut Gap> = gaps.iter_mut().filter(|gap| gap.cause == GapCause::Wire).collect();
    for gap in edges.iter_mut().filter(|gap| gap.duration_ms <= LONGEST_EDGE_MS) {
        let (from, to) = (gap.at_ms, gap.at_ms + gap.duration_ms);
        // Both are rounded to whole milliseconds.
        if outages.iter().any(|&(down, up)| to.abs_diff(down) <= 2 || from.abs_diff(up) <= 2) {
            gap.cause = GapCause::SensorDown;
        }
    }
}

/// Says that a call was not kept, or not to its end.
pub(crate) fn add_decision(row: &mut Call, shed: Option<Shed>) {
    let Some(shed) = shed else { return };
    row.decision = shed.decision();
    add_mark(row, shed.mark());
    if let Shed::Refused(_) = shed {
        for stream in &mut row.streams {
            (stream.use_, stream.reason) = (StreamUse::Refused, Some("refused".into()));
        }
    }
}

/// Adds a mark once.
pub(crate) fn add_mark(row: &mut Call, mark: &str) {
    if !row.marks.iter().any(|known| known == mark) {
        row.marks.push(mark.into());
    }
}

pub(crate) fn kind_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Image => "image",
        MediaKind::Other => "message",
    }
}

pub(crate) fn timestamp(at: Nanos) -> Timestamp {
    Timestamp::from_nanos(at.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_beside_an_outage_is_the_sensors() {
        let gap = |stream: Option<u16>, at_ms: u64, duration_ms: u64, cause| Gap {
            recording: Some(0),
            stream,
            leg: None,
            at_ms,
            duration_ms,
            cause,
        };
        let mut gaps = vec![
            gap(Some(0), 500, 40, GapCause::Wire),
            gap(Some(0), 980, 20, GapCause::Wire),
            gap(Some(1), 400, 600, GapCause::Wire),
            gap(None, 1000, 400, GapCause::SensorDown),
            gap(Some(1), 1399, 15, GapCause::Wire),
        ];
        attribute_edges(&mut gaps);
        let causes: Vec<GapCause> = gaps.iter().map(|gap| gap.cause).collect();
        let (wire, ours) = (GapCause::Wire, GapCause::SensorDown);
        assert_eq!(causes, [wire, ours, wire, ours, ours]);
    }
}
