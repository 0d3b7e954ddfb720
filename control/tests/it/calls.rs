//! The list of calls and a call's page.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::Control;
use crate::rows::{at, call, event, finished, id};

fn ids(answer: &Value) -> Vec<String> {
    answer["calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_call_is_listed_and_given_whole() {
    let control = Control::start();
    let cookie = control.sign_in();
    let row = call(1, "completed", 2, &json!({"gaps": [{"at_ms": 5, "duration_ms": 20, "cause": "wire"}]}));
    control.must_deliver(&[event("started", &call(1, "active", 1, &json!({}))), event("ended", &row)]);
    let list = control.get(&cookie, "/api/calls").json();
    let expected = json!({
        "id": id(1), "protocol": "sip", "direction": "inbound", "state": "completed", "status": 200,
        "started_at": at(1), "answered_at": at(3), "ended_at": at(13), "duration_ms": 10_000,
        "from": {"uri": "sip:+493010001@carrier.example", "number": "+493010001", "name": "Ada Löwe"},
        "to": {"uri": "sip:201@pbx.example", "number": "201", "name": null},
        "marks": ["one_sided"], "has_audio": false, "recording_id": null, "gaps": 1, "sensor": "s1"
    });
    assert_eq!(list, json!({"calls": [expected], "next_cursor": null, "live": 0}));

    let whole = control.get(&cookie, &format!("/api/calls/{}", id(1)));
    assert_eq!(whole.header("content-type"), "application/json");
    // Byte for byte, fields that this version does not know included.
    assert_eq!(String::from_utf8(whole.body).unwrap(), row.to_string());
    let missing = control.get(&cookie, &format!("/api/calls/{}", id(2)));
    assert_eq!((missing.status, missing.code().as_str()), (404, "not_found"));
    assert_eq!(control.get(&cookie, "/api/calls/7").status, 400);
    assert_eq!(control.get("", &format!("/api/calls/{}", id(1))).status, 401);
}

#[test]
fn every_filter_finds_its_calls() {
    let control = Control::start();
    let cookie = control.sign_in();
    let mut events = finished(1, &json!({}));
    events.extend(finished(2, &json!({"state": "rejected", "status": 486, "answered_at": null})));
    events.extend(finished(
        3,
        &json!({"ended_at": at(3 + 62), "from": {"uri": "sip:bob@x.example", "name": "Bob"}}),
    ));
    events.push(event(
        "started",
        &call(4, "active", 1, &json!({"legs": [{"number": "777123", "role": "callee"}]})),
    ));
    control.must_deliver(&events);
    let found = |query: &str| -> Vec<i64> {
        let answer = control.get(&cookie, &format!("/api/calls?{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", String::from_utf8_lossy(&answer.body));
        let ids = ids(&answer.json());
        ids.iter().map(|found| (1..=4).find(|n| id(*n).to_string() == *found).unwrap()).collect()
    };
    let from_2 = format!("from={}", at(2));
    let cases: [(&str, &[i64]); 25] = [
        ("", &[4, 3, 2, 1]),
        (&from_2, &[4, 3, 2]),
        (&format!("{from_2}&to={}", at(4)), &[3, 2]),
        ("from=2026-11-20T09:00:03%2B01:00", &[4, 3]),
        ("number=%2B49301%200002", &[2]),
        ("number=0002", &[2]),
        ("number=201", &[4, 3, 2, 1]),
        ("number=123", &[4]),
        ("number=02", &[]),
        ("number=*123%23", &[]),
        ("party=bob", &[3]),
        ("party=carrier.example", &[4, 2, 1]),
        ("party=L%C3%96WE", &[4, 2, 1]),
        ("min_duration_ms=60000", &[3]),
        ("max_duration_ms=10000", &[1]),
        ("min_duration_ms=10000&max_duration_ms=60000", &[3, 1]),
        ("state=active", &[4]),
        ("state=active,rejected", &[4, 2]),
        ("q=call-3", &[3]),
        ("q=ada+0001", &[1]),
        ("q=pbx.example&state=completed", &[3, 1]),
        ("q=bo", &[3]),
        ("q=%25", &[]),
        ("q=nothing-of-it", &[]),
        ("limit=2", &[4, 3]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(query), expected, "{query}");
    }
    assert_eq!(
        control.get(&cookie, "/api/calls?state=completed").json()["live"],
        1,
        "live counts whatever the filter"
    );
}

#[test]
fn a_wrong_parameter_is_named() {
    let control = Control::start();
    let cookie = control.sign_in();
    for (query, name) in [
        ("from=yesterday", "from"),
        ("to=1", "to"),
        ("min_duration_ms=x", "min_duration_ms"),
        ("max_duration_ms=-1", "max_duration_ms"),
        ("state=done", "state"),
        ("limit=500", "limit"),
        ("cursor=zz", "cursor"),
        ("since=1", "since"),
        ("q=a&q=b", "q"),
        ("q=abc%00def", "q"),
        ("party=a%00", "party"),
    ] {
        let answer = control.get(&cookie, &format!("/api/calls?{query}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_parameter"), "{query}");
        assert!(answer.message().starts_with(&format!("{name}: ")), "{query}: {}", answer.message());
    }
}

#[test]
fn pages_neither_repeat_nor_skip_while_calls_come_in() {
    let control = Control::start();
    let cookie = control.sign_in();
    let old: Vec<_> = (0..60).map(|n| event("ended", &call(n, "completed", 1, &json!({})))).collect();
    control.must_deliver(&old);
    let read = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 1_000;
            while !read.load(Ordering::Relaxed) {
                // Newer ones, and changes to old ones.
                let old = n % 60;
                let lines = [
                    event("ended", &call(n, "completed", 1, &json!({}))),
                    event(
                        "ended",
                        &call(old, "completed", u32::try_from(n).unwrap(), &json!({"marks": ["changed"]})),
                    ),
                ];
                control.must_deliver(&lines);
                n += 1;
            }
        });
        let mut seen = Vec::new();
        let mut query = format!("/api/calls?limit=7&to={}", at(500));
        loop {
            let page = control.get(&cookie, &query).json();
            seen.extend(ids(&page));
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("/api/calls?limit=7&to={}&cursor={cursor}", at(500)),
                None => break,
            }
        }
        read.store(true, Ordering::Relaxed);
        let expected: Vec<_> = (0..60).rev().map(|n| id(n).to_string()).collect();
        assert_eq!(seen, expected);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 60);
    });
}

#[test]
fn the_header_counts() {
    let control = Control::start();
    let cookie = control.sign_in();
    let empty = control.get(&cookie, "/api/summary").json();
    assert_eq!(
        empty["sensors"],
        json!([{"name": "s1", "last_seen_at": null}, {"name": "s2", "last_seen_at": null}])
    );
    let now = jiff::Timestamp::now().to_string();
    let today = call(2, "active", 1, &json!({"started_at": now}));
    control.must_deliver(&[
        event("ended", &call(1, "completed", 1, &json!({"started_at": "2020-01-01T00:00:00Z"}))),
        event("started", &today),
    ]);
    let summary = control.get(&cookie, "/api/summary").json();
    assert_eq!((&summary["live"], &summary["today"], &summary["total"]), (&json!(1), &json!(1), &json!(2)));
    assert!(summary["sensors"][0]["last_seen_at"].is_string());
    assert!(summary["sensors"][1]["last_seen_at"].is_null());
}
