//! Recordings from sensors: checked, stored once, repeatable.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use uuid::Uuid;

use crate::harness::{Answer, Control, TOKENS, sha256, until};
use crate::rows::{call, event, id};

const AUDIO: &[u8] = b"OggS, or so it says";

/// Uploads as sensor `s1` or `s2`, to the first call; `changes` replace headers by name, an empty one leaves it out.
pub fn upload(
    control: &Control,
    sensor: usize,
    recording: Uuid,
    body: &[u8],
    changes: &[(&str, &str)],
) -> Answer {
    let (bearer, hash) = (format!("Bearer {}", TOKENS[sensor - 1]), sha256(body));
    let call = id(1).to_string();
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("content-type", "audio/ogg"),
        ("x-nightjar-call", call.as_str()),
        ("x-nightjar-sha256", hash.as_str()),
    ];
    headers.retain(|(name, _)| changes.iter().all(|(other, _)| name != other));
    headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    control.send("PUT", &format!("/api/ingest/v1/recordings/{recording}"), &headers, body)
}

/// The id of the first call's recording number `n`.
pub fn recording(n: u32) -> Uuid {
    nightjar_schema::recording_id(id(1), "audio", n)
}

#[test]
fn a_recording_is_stored_once_and_changes_the_list() {
    let control = Control::start();
    let cookie = control.sign_in();
    control.must_deliver(&[event("ended", &call(1, "completed", 1, &json!({})))]);
    assert_eq!(upload(&control, 1, recording(0), AUDIO, &[]).status, 201);
    assert_eq!(upload(&control, 1, recording(0), AUDIO, &[]).status, 200, "the same again");
    let other = upload(&control, 1, recording(0), b"other", &[]);
    assert_eq!((other.status, other.code().as_str()), (409, "other_content"));
    let listed = &control.get(&cookie, "/api/calls").json()["calls"][0];
    assert_eq!((&listed["has_audio"], &listed["recording_id"]), (&json!(true), &json!(recording(0))));
    let path = control.data(&format!("recordings/2026-11-20/{}.ogg", recording(0)));
    assert_eq!(fs::read(&path).unwrap(), AUDIO);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    for (path, expected) in
        [("", 0o700), ("nightjar.sqlite", 0o600), ("nightjar.sqlite-wal", 0o600), ("lock", 0o600)]
    {
        assert_eq!(mode(&control.data(path)), expected, "{path}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let control = Control::start_with("", "[limits]\nrecording_bytes = 2000\n");
    let cookie = control.sign_in();
    control.must_deliver(&[event("ended", &call(1, "completed", 1, &json!({})))]);
    let wrong = sha256(b"other");
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
    let cases: [Case<'_>; 7] = [
        (&[("x-nightjar-sha256", &wrong)], 422, "wrong_hash"),
        (&[("x-nightjar-sha256", "")], 400, "bad_parameter"),
        (&[("x-nightjar-sha256", "12")], 400, "bad_parameter"),
        (&[("x-nightjar-call", "")], 400, "bad_parameter"),
        (&[("content-type", "text/html")], 415, "unknown_type"),
        (&[("content-type", "")], 415, "unknown_type"),
        (&[("authorization", "Bearer wrong")], 401, "unknown_sensor"),
    ];
    for (changes, status, code) in cases {
        let answer = upload(&control, 1, recording(0), AUDIO, changes);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{changes:?}");
    }
    assert_eq!(upload(&control, 2, recording(0), AUDIO, &[]).status, 403, "another sensor's call");
    let large = upload(&control, 1, recording(0), &[7; 2_001], &[]);
    assert_eq!((large.status, large.code().as_str()), (413, "too_large"));
    assert_eq!(control.get(&cookie, "/api/calls").json()["calls"][0]["has_audio"], false);
    assert_eq!(fs::read_dir(control.data("incoming")).unwrap().count(), 0);
    assert_eq!(upload(&control, 1, recording(0), AUDIO, &[]).status, 201, "and then the right one");
    assert_eq!(upload(&control, 2, recording(0), AUDIO, &[]).status, 403);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let control = Control::start();
    let mut stream = std::net::TcpStream::connect(&control.address).unwrap();
    write!(
        stream,
        "PUT /api/ingest/v1/recordings/{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: audio/ogg\r\n\
         x-nightjar-call: {}\r\nx-nightjar-sha256: {}\r\ncontent-length: 100\r\n\r\nhalf of it",
        recording(0),
        TOKENS[0],
        id(1),
        sha256(AUDIO)
    )
    .unwrap();
    let count = || fs::read_dir(control.data("incoming")).unwrap().count();
    until("it begins to come in", || (count() == 1).then_some(()));
    drop(stream);
    until("it is given up", || (count() == 0).then_some(()));
    assert_eq!(upload(&control, 1, recording(0), AUDIO, &[]).status, 201);
}

#[test]
fn two_uploads_at_once_make_one_recording() {
    let control = Control::start();
    let bodies: Vec<_> = (0..6).map(|n| vec![n % 2; 300_000]).collect();
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let send = |body| upload(&control, 1, recording(0), body, &[]).status;
        let threads: Vec<_> = bodies.iter().map(|body| scope.spawn(move || send(body))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 3, "{statuses:?}");
    let winner = statuses.iter().position(|status| *status == 201).unwrap();
    let path = control.data(&format!("recordings/2026-11-20/{}.ogg", recording(0)));
    assert_eq!(fs::read(path).unwrap(), bodies[winner]);
}

#[test]
fn a_refusal_is_read_also_by_who_is_still_sending() {
    let control = Control::start_with("", "[limits]\nrecording_bytes = 6000000\n");
    let [one, other, large] = [vec![1; 5_000_000], vec![2; 5_000_000], vec![3; 9_000_000]];
    assert_eq!(upload(&control, 1, recording(0), &one, &[]).status, 201);
    assert_eq!(upload(&control, 1, recording(0), &other, &[]).status, 409);
    assert_eq!(upload(&control, 2, recording(0), &one, &[]).status, 403);
    assert_eq!(upload(&control, 1, recording(1), &large, &[]).status, 413);
    assert_eq!(upload(&control, 1, recording(1), &one, &[("content-type", "text/plain")]).status, 415);
    assert_eq!(upload(&control, 1, recording(1), &one, &[("authorization", "Bearer wrong")]).status, 401);
    assert_eq!(control.send("POST", "/api/nothing", &[], &one).status, 404);
}
