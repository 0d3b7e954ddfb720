//! Recordings, `calls.jsonl`, the outbox and its delivery, on real files and real sockets.

mod calls_file;
mod control;
mod outbox;
mod recordings;
mod tls;
mod upload;

use nightjar_schema::{Call, Event, EventKind, Timestamp, recording_id};
use serde_json::json;
use uuid::Uuid;

/// The `number`-th call: ids in order of time.
fn call_id(number: u64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000 + number, &[7; 10]).into_uuid()
}

/// A call as `calls.jsonl` has it.
fn call(number: u64, revision: u32) -> Call {
    let row = json!({
        "schema": 1, "revision": revision, "id": call_id(number), "protocol": "sip", "call_ids": ["a@b"],
        "source": {"kind": "mirror", "sensor": "s1", "realm": 0}, "direction": "inbound", "state": "completed",
        "started_at": "2026-01-31T23:59:59.5Z", "begun_before_capture": false, "decision": {"action": "record"},
    });
    serde_json::from_value(row).unwrap()
}

/// An event of the `number`-th call; each kind of a call has an id of its own.
fn event(number: u64, kind: EventKind) -> Event {
    let id = Uuid::from_u128(u128::from(number) << 8 | kind as u128);
    Event { id, at: Timestamp(number as i64), kind, call: call(number, 1) }
}

/// A `recorded` event with one recording, whose file holds `content`.
fn recorded(out_dir: &std::path::Path, number: u64, content: &[u8]) -> Event {
    use nightjar_store::{Container, Durability, RecordingName, RecordingStore};
    use std::io::Write;
    let mut event = event(number, EventKind::Recorded);
    let store = RecordingStore::new(out_dir, Durability::Process).unwrap();
    let name = RecordingName {
        call: event.call.id,
        segment: 0,
        started_at: event.call.started_at,
        container: Container::Opus,
    };
    let mut file = store.begin(name).unwrap();
    file.write_all(content).unwrap();
    let stored = file.finish(1, None).unwrap();
    let recording = json!({
        "id": recording_id(event.call.id, "audio", 0), "kind": "audio", "segment": 0, "state": "final",
        "started_at": event.call.started_at, "container": "ogg", "path": stored.path, "bytes": stored.bytes,
        "sha256": stored.sha256,
    });
    event.call.recordings = vec![serde_json::from_value(recording).unwrap()];
    event
}
