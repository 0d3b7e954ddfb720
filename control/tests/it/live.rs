//! Calls as they change.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Value, json};

use crate::harness::{Control, sha256};
use crate::rows::{call, event, id};

/// A page that watches.
struct Watch {
    lines: Box<dyn Iterator<Item = String>>,
}

impl Watch {
    fn open(control: &Control, cookie: &str) -> Watch {
        let request = control.agent.get(control.url("/api/live")).header("cookie", cookie);
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let reader: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
        Watch { lines: Box::new(BufReader::new(reader).lines().map_while(Result::ok)) }
    }

    /// The next event's name and data; `None` at the end.
    fn next(&mut self) -> Option<(String, Value)> {
        let name = self.lines.by_ref().find_map(|line| Some(line.strip_prefix("event: ")?.to_owned()))?;
        let data = self.lines.by_ref().find_map(|line| Some(line.strip_prefix("data: ")?.to_owned()))?;
        Some((name, serde_json::from_str(&data).unwrap()))
    }

    fn call(&mut self) -> Value {
        let (name, data) = self.next().expect("the stream goes on");
        assert_eq!(name, "call");
        data
    }
}

#[test]
fn a_page_sees_calls_come_and_go() {
    let control = Control::start();
    let cookie = control.sign_in();
    control.must_deliver(&[
        event("started", &call(2, "active", 1, &json!({}))),
        event("started", &call(1, "active", 1, &json!({}))),
        event("ended", &call(3, "completed", 1, &json!({}))),
    ]);
    let mut watch = Watch::open(&control, &cookie);
    let active = [watch.call(), watch.call()];
    assert_eq!(
        active.map(|call| call["id"].clone()),
        [json!(id(1)), json!(id(2))],
        "first those that are on"
    );
    control.must_deliver(&[event("started", &call(4, "active", 1, &json!({})))]);
    let started = watch.call();
    assert_eq!((&started["id"], &started["state"]), (&json!(id(4)), &json!("active")));
    control.must_deliver(&[event("started", &call(4, "active", 1, &json!({})))]);
    control.must_deliver(&[event("ended", &call(4, "completed", 2, &json!({})))]);
    let ended = watch.call();
    assert_eq!(
        (&ended["id"], &ended["state"], &ended["duration_ms"]),
        (&json!(id(4)), &json!("completed"), &json!(10_000))
    );
    // A recording makes its call playable.
    let recording = nightjar_schema::recording_id(id(4), "audio", 0);
    let bearer = format!("Bearer {}", crate::harness::TOKENS[0]);
    let (hash, of) = (sha256(b"x"), id(4).to_string());
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "audio/ogg"),
        ("x-nightjar-call", of.as_str()),
        ("x-nightjar-sha256", hash.as_str()),
    ];
    assert_eq!(
        control.send("PUT", &format!("/api/ingest/v1/recordings/{recording}"), &headers, b"x").status,
        201
    );
    let recorded = watch.call();
    assert_eq!((&recorded["id"], &recorded["recording_id"]), (&json!(id(4)), &json!(recording)));
    assert_eq!(recorded, control.get(&cookie, "/api/calls?state=completed").json()["calls"][0]);
}

#[test]
fn nobody_watches_without_a_session() {
    let control = Control::start();
    assert_eq!(control.get("", "/api/live").status, 401);
}

#[test]
fn a_page_that_lags_is_told_to_load_anew() {
    let control = Control::start();
    let cookie = control.sign_in();
    let mut watch = Watch::open(&control, &cookie);
    // More in one go than are kept for a page, and than the sockets between hold.
    let long = "x".repeat(8_000);
    for batch in 0..4 {
        let from = json!({"uri": long, "number": null, "name": null});
        let lines: Vec<_> = (0..1_000)
            .map(|n| event("started", &call(batch * 1_000 + n, "active", 1, &json!({"from": from}))))
            .collect();
        control.must_deliver(&lines);
    }
    let mut seen = 0;
    while let Some((name, _)) = watch.next() {
        if name == "resync" {
            return;
        }
        seen += 1;
    }
    panic!("{seen} calls and no resync");
}

#[test]
fn a_watching_page_does_not_hold_up_the_end() {
    let control = Control::start();
    let cookie = control.sign_in();
    control.must_deliver(&[event("started", &call(1, "active", 1, &json!({})))]);
    let mut watch = Watch::open(&control, &cookie);
    watch.call();
    let (code, log) = control.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
    assert!(watch.next().is_none());
}
