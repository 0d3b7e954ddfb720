//! The pages, and what every answer carries.

use std::fs;
use std::path::Path;

use crate::harness::{BINARY, Control, run};

#[test]
fn the_index_stands_for_the_addresses_of_the_pages() {
    let control = Control::start();
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/dist");
    let index = fs::read(dist.join("index.html")).unwrap();
    for path in ["/", "/calls", "/calls/0190", "/index.html"] {
        let page = control.get("", path);
        assert_eq!((page.status, page.body == index), (200, true), "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert_eq!(page.header("cache-control"), "no-cache");
    }
    let etag = control.get("", "/").header("etag").to_owned();
    assert_eq!(control.send("GET", "/", &[("if-none-match", &etag)], b"").status, 304);
    for path in ["/nothing", "/../control.toml", "/assets/none.js", "/callsign"] {
        assert_eq!(control.get("", path).status, 404, "{path}");
    }
    let lost =
        control.send("GET", "/nothing", &[("accept", "text/html,*/*;q=0.8"), ("if-none-match", &etag)], b"");
    assert_eq!((lost.status, lost.body == index), (404, true), "a person gets the page that says so");
    assert!(lost.header("content-type").starts_with("text/html"));
    for asset in fs::read_dir(dist.join("assets")).into_iter().flatten().map(|entry| entry.unwrap()) {
        let name = asset.file_name().into_string().unwrap();
        let file = control.get("", &format!("/assets/{name}"));
        assert_eq!((file.status, file.body == fs::read(asset.path()).unwrap()), (200, true), "{name}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
    }
}

#[test]
fn every_answer_keeps_browsers_in_bounds() {
    let control = Control::start();
    for path in ["/", "/nothing", "/api/health", "/api/calls", "/api/nothing"] {
        let answer = control.get("", path);
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        if path.starts_with("/api") {
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
}

#[test]
fn refusals_are_json_everywhere() {
    let control = Control::start();
    let cases = [
        ("GET", "/api/nothing", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/api/calls", 405),
        ("GET", "/api/calls", 401),
    ];
    for (method, path, status) in cases {
        let body: &[u8] = if method == "PUT" { b"x" } else { b"" };
        let answer = control.send(method, path, &[], body);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(!answer.message().is_empty(), "{method} {path}");
    }
}

#[test]
fn health_needs_no_session() {
    let control = Control::start();
    let health = control.get("", "/api/health");
    assert_eq!(health.status, 200);
    assert_eq!(health.json(), serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
}

#[test]
fn the_committed_description_is_the_current_one() {
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json")).unwrap();
    let current = String::from_utf8(run(&["openapi"], "").stdout).unwrap();
    assert!(committed == current, "run: {BINARY} openapi > control/openapi.json");
}
