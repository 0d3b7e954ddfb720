//! Calls and events as a sensor would write them.

use nightjar_schema::{CallSeed, Timestamp, call_id};
use serde_json::{Value, json};
use uuid::Uuid;

/// The first call's start: 2026-11-20T08:00:00Z.
pub const START: i64 = 1_795_161_600;

/// A stamp, so many seconds after [`START`].
pub fn at(seconds: i64) -> String {
    Timestamp((START + seconds) * 1_000_000).to_string()
}

/// The id of call number `n`, which starts `n` seconds after [`START`].
pub fn id(n: i64) -> Uuid {
    let nanos = u64::try_from(START + n).unwrap() * 1_000_000_000;
    call_id(&CallSeed {
        sensor: "s1",
        realm: 0,
        source: "mirror",
        first_dialog: b"",
        first_packet_nanos: nanos,
    })
}

/// Call number `n`, answered after 2 s and over after 12 s unless it is active. `changes` go over its fields.
pub fn call(n: i64, state: &str, revision: u32, changes: &Value) -> Value {
    let over = state != "active";
    let mut row = json!({
        "schema": 1, "revision": revision, "id": id(n), "protocol": "sip", "call_ids": [format!("call-{n}@pbx.example")],
        "source": {"kind": "mirror", "sensor": "s1", "interfaces": ["eth0"], "realm": 0},
        "direction": "inbound",
        "from": {"uri": format!("sip:+49301{n:04}@carrier.example"), "number": format!("+49301{n:04}"), "name": "Ada Löwe"},
        "to": {"uri": "sip:201@pbx.example", "number": "201", "name": null},
        "state": state, "status": 200, "started_at": at(n), "answered_at": at(n + 2),
        "ended_at": if over { json!(at(n + 12)) } else { Value::Null },
        "end": if over { json!({"cause": "bye", "leg": 0}) } else { Value::Null },
        "begun_before_capture": false, "decision": {"action": "record"}, "marks": ["one_sided"],
        "x_of_a_newer_sensor": {"kept": [1, 2.50, "\u{e9}"]}
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        row[name] = value.clone();
    }
    row
}

/// An event about a row. Its id follows from what it says, as a repeat's does.
pub fn event(kind: &str, row: &Value) -> Value {
    let name = format!("{kind} {} {}", row["id"], row["revision"]);
    let id = nightjar_schema::recording_id(id(0), &name, 0);
    json!({"id": id, "at": row["started_at"], "kind": kind, "call": row})
}

/// A whole call: started, ended and recorded.
pub fn finished(n: i64, changes: &Value) -> Vec<Value> {
    vec![
        event("started", &call(n, "active", 1, &json!({}))),
        event("recorded", &call(n, "completed", 2, changes)),
    ]
}
