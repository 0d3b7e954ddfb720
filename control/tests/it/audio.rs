//! A recording's audio, whole and in part.

use crate::harness::{Answer, Control, TOKENS, sha256};
use crate::rows::id;

/// A control with one recording; its bytes are what they are.
fn stored() -> (Control, String, String, Vec<u8>) {
    let control = Control::start();
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let recording = nightjar_schema::recording_id(id(1), "audio", 0);
    let (bearer, hash, call) = (format!("Bearer {}", TOKENS[0]), sha256(&bytes), id(1).to_string());
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "audio/ogg"),
        ("x-nightjar-call", call.as_str()),
        ("x-nightjar-sha256", hash.as_str()),
    ];
    let answer = control.send("PUT", &format!("/api/ingest/v1/recordings/{recording}"), &headers, &bytes);
    assert_eq!(answer.status, 201);
    let cookie = control.sign_in();
    (control, cookie, format!("/api/recordings/{recording}/audio"), bytes)
}

#[test]
fn it_is_served_whole_and_in_part() {
    let (control, cookie, path, bytes) = stored();
    let ask = |method: &str, headers: &[(&str, &str)]| -> Answer {
        let mut all = vec![("cookie", cookie.as_str()), ("accept-encoding", "gzip")];
        all.extend(headers);
        control.send(method, &path, &all, b"")
    };
    let whole = ask("GET", &[]);
    assert_eq!((whole.status, whole.body == bytes), (200, true));
    assert_eq!(whole.header("content-type"), "audio/ogg");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert_eq!(whole.header("content-length"), "200000");
    assert_eq!(whole.header("content-encoding"), "", "audio is not compressed again");
    assert_eq!(whole.header("content-disposition"), "");
    let etag = whole.header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", sha256(&bytes)));

    let head = ask("HEAD", &[]);
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "200000"));
    assert_eq!(ask("HEAD", &[("range", "bytes=0-9")]).status, 200, "only GET knows ranges");
    assert_eq!(whole.header("cache-control"), "private, no-cache", "who signs out hears no more");
    let parts = [
        ("bytes=0-0", 0..1),
        ("bytes=65530-131080", 65_530..131_081),
        ("bytes=199999-", 199_999..200_000),
        ("bytes=-1000", 199_000..200_000),
    ];
    for (range, expected) in parts {
        let part = ask("GET", &[("range", range), ("if-range", &etag)]);
        assert_eq!((part.status, part.body == bytes[expected.clone()]), (206, true), "{range}");
        let content_range = format!("bytes {}-{}/200000", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), content_range);
        assert_eq!(part.header("content-length"), expected.len().to_string());
    }
    let beyond = ask("GET", &[("range", "bytes=200000-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */200000"));
    let changed = ask("GET", &[("range", "bytes=5-9"), ("if-range", "\"another\"")]);
    assert_eq!((changed.status, changed.body.len()), (200, bytes.len()));
    assert_eq!(ask("GET", &[("range", "bytes=1-2,5-6")]).status, 200);
    let known = ask("GET", &[("if-none-match", &etag)]);
    assert_eq!((known.status, known.body.len()), (304, 0));
}

#[test]
fn it_can_be_saved_and_is_not_for_everybody() {
    let (control, cookie, path, bytes) = stored();
    let saved = control.get(&cookie, &format!("{path}?download=1"));
    let disposition = saved.header("content-disposition");
    assert!(
        disposition.starts_with("attachment; filename=\"") && disposition.ends_with(".ogg\""),
        "{disposition}"
    );
    assert_eq!(saved.body, bytes);
    assert_eq!(control.get("", &path).status, 401);
    assert_eq!(control.get(&cookie, &format!("/api/recordings/{}/audio", id(5))).status, 404);
    assert_eq!(control.get(&cookie, "/api/recordings/..%2F..%2Fs1/audio").status, 400);
}

#[test]
fn a_file_that_was_removed_is_named_as_such() {
    let (control, cookie, path, _) = stored();
    let days = std::fs::read_dir(control.data("recordings")).unwrap();
    days.for_each(|day| std::fs::remove_dir_all(day.unwrap().path()).unwrap());
    let answer = control.get(&cookie, &path);
    assert_eq!((answer.status, answer.code().as_str()), (404, "no_file"));
    assert_eq!(answer.header("content-type"), "application/json");
}
