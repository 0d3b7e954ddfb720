//! Events from sensors: authenticated, at least once, in any order.

use serde_json::json;

use crate::harness::Control;
use crate::rows::{call, event, id};

#[test]
fn only_a_known_sensor_delivers_and_only_its_own_calls() {
    let control = Control::start();
    let line = event("started", &call(1, "active", 1, &json!({}))).to_string();
    for authorization in ["", "Bearer wrong", "Basic the-token-of-the-sensor-s1-0123456789", "Bearer"] {
        let headers = [("authorization", authorization)];
        let answer = control.send("POST", "/api/ingest/v1/events", &headers, line.as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (401, "unknown_sensor"), "{authorization}");
    }
    let cookie = control.sign_in();
    let answer = control.send("POST", "/api/ingest/v1/events", &[("cookie", &cookie)], line.as_bytes());
    assert_eq!(answer.status, 401, "a person is no sensor");
    let foreign = control.deliver(2, &[event("started", &call(1, "active", 1, &json!({})))]);
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "not_yours"));
    // The name is right, but the call is known as another's.
    control.must_deliver(&[event("started", &call(1, "active", 1, &json!({})))]);
    let taken_over = call(1, "failed", 9, &json!({"source": {"kind": "mirror", "sensor": "s2", "realm": 0}}));
    assert_eq!(control.deliver(2, &[event("recorded", &taken_over)]).status, 403);
    assert_eq!(control.get(&cookie, &format!("/api/calls/{}", id(1))).json()["state"], "active");
}

#[test]
fn repeats_and_late_events_change_nothing() {
    let control = Control::start();
    let cookie = control.sign_in();
    let started = event("started", &call(1, "active", 1, &json!({})));
    let updated = event("updated", &call(1, "active", 2, &json!({"marks": ["held"]})));
    let ended = event("ended", &call(1, "completed", 3, &json!({})));
    let recorded = event("recorded", &call(1, "completed", 3, &json!({"marks": ["stored"]})));
    let state = || {
        let row = control.get(&cookie, &format!("/api/calls/{}", id(1))).json();
        (row["state"].as_str().unwrap().to_owned(), row["marks"][0].as_str().unwrap().to_owned())
    };
    control.must_deliver(&[started.clone(), started.clone(), updated.clone()]);
    assert_eq!(state(), ("active".to_owned(), "held".to_owned()));
    control.must_deliver(std::slice::from_ref(&recorded));
    for late in [&started, &updated, &ended, &recorded] {
        control.must_deliver(std::slice::from_ref(late));
        assert_eq!(state(), ("completed".to_owned(), "stored".to_owned()));
    }
    // A sensor that lost count after a crash must not bring the call back to life.
    control.must_deliver(&[event("updated", &call(1, "active", 99, &json!({})))]);
    assert_eq!(state().0, "completed");
    control.must_deliver(&[event("recorded", &call(1, "completed", 4, &json!({"marks": ["again"]})))]);
    assert_eq!(state().1, "again", "a higher revision of a final row stands");
    assert_eq!(control.get(&cookie, "/api/summary").json()["total"], 1);
}

#[test]
fn a_bad_line_is_named_and_the_batch_left_out() {
    let control = Control::start();
    let cookie = control.sign_in();
    let good = event("started", &call(1, "active", 1, &json!({})));
    let broken = event("started", &call(2, "active", 1, &json!({"revision": "one"})));
    let answer = control.deliver(1, &[good.clone(), broken]);
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_event"));
    assert!(answer.message().starts_with("line 2: "), "{}", answer.message());
    assert_eq!(control.get(&cookie, "/api/summary").json()["total"], 0);
    assert_eq!(control.deliver(1, &[]).json()["accepted"], 0, "an empty batch is a sign of life");
    assert!(control.get(&cookie, "/api/summary").json()["sensors"][0]["last_seen_at"].is_string());
}

#[test]
fn a_batch_has_a_largest_size() {
    let control = Control::start_with("", "[limits]\nevents_bytes = 2048\n");
    let line = event("started", &call(1, "active", 1, &json!({})));
    assert_eq!(control.deliver(1, std::slice::from_ref(&line)).status, 200);
    let answer = control.deliver(1, &vec![line; 5]);
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
}

#[test]
fn what_was_taken_survives_a_kill() {
    let control = Control::start();
    control.must_deliver(&[event("started", &call(1, "active", 1, &json!({})))]);
    let agent = control.agent.clone();
    let pid = control.pid().to_string();
    assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    let folder = control.into_folder();
    let control = Control::serve(folder, agent, "http");
    let cookie = control.sign_in();
    assert_eq!(control.get(&cookie, &format!("/api/calls/{}", id(1))).status, 200);
}

#[test]
fn the_log_names_no_number_party_or_token() {
    let control = Control::start();
    let cookie = control.sign_in();
    control.must_deliver(&[event("ended", &call(1, "completed", 1, &json!({})))]);
    for path in [
        "/api/calls?number=%2B493010001&party=Ada",
        "/api/calls?from=49301x",
        "/calls/+493010001",
        "/493010001",
    ] {
        control.get(&cookie, path);
    }
    control.deliver(1, &[json!({"id": "+493010001"})]);
    let mut line = event("ended", &call(2, "completed", 1, &json!({"status": "+493010001"})));
    control.deliver(1, std::slice::from_ref(&line));
    line["kind"] = json!("Ada");
    control.deliver(2, &[line]);
    let (code, log) = control.terminate();
    assert_eq!(code, Some(0));
    assert!(log.contains("answered"), "requests are logged: {log}");
    for secret in ["49301", "Ada", "pbx.example", "call-1", "the-token", &cookie["nightjar_session=".len()..]]
    {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
