//! Signing in and out.

use serde_json::json;

use crate::harness::{Answer, Control, PASSWORD, run};

fn attempt(control: &Control, username: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"username": username, "password": password}).to_string();
    control.send("POST", "/api/session", headers, body.as_bytes())
}

#[test]
fn a_session_opens_holds_and_ends() {
    let control = Control::start();
    assert_eq!(control.get("", "/api/session").status, 401);
    let opened = attempt(&control, "ADMIN", PASSWORD, &[]);
    assert_eq!((opened.status, opened.json()), (200, json!({"username": "admin", "role": "admin"})));
    let set = opened.header("set-cookie");
    assert!(set.starts_with("nightjar_session="), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "without TLS there is no Secure: {set}");
    let cookie = set.split(';').next().unwrap();
    let who = control.get(cookie, "/api/session");
    assert_eq!((who.status, who.json()["role"].as_str()), (200, Some("admin")));
    assert_eq!(control.get(&format!("{cookie}0"), "/api/session").status, 401);

    let ended = control.send("DELETE", "/api/session", &[("cookie", cookie)], b"");
    assert_eq!(ended.status, 204);
    assert!(ended.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(control.get(cookie, "/api/session").status, 401, "the server forgot it too");
    assert_eq!(control.get(cookie, "/api/calls").status, 401);
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let control = Control::start();
    let [unknown, wrong] = ["nobody", "admin"].map(|name| attempt(&control, name, "wrong password", &[]));
    assert_eq!((unknown.status, wrong.status), (401, 401));
    assert_eq!(unknown.body, wrong.body);
    assert_eq!(attempt(&control, "admin", &"x".repeat(2_000), &[]).status, 400);
    assert_eq!(control.send("POST", "/api/session", &[], b"{\"username\":1}").status, 400);
}

#[test]
fn attempts_run_out() {
    let control = Control::start_with("", "[limits]\nsign_ins_per_minute = 3\n");
    for _ in 0..3 {
        assert_eq!(attempt(&control, "admin", "wrong password", &[]).status, 401);
    }
    let over = attempt(&control, "admin", PASSWORD, &[]);
    assert_eq!(
        (over.status, over.code().as_str()),
        (429, "too_many_attempts"),
        "not even with the right one"
    );
    let wait: u64 = over.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[test]
fn another_sites_page_changes_nothing() {
    let control = Control::start();
    let cookie = control.sign_in();
    for headers in [[("sec-fetch-site", "cross-site")], [("origin", "https://evil.example")]] {
        let all = [headers[0], ("cookie", cookie.as_str())];
        let refused = control.send("DELETE", "/api/session", &all, b"");
        assert_eq!((refused.status, refused.code().as_str()), (403, "cross_site"));
        assert_eq!(attempt(&control, "admin", PASSWORD, &headers).status, 403);
    }
    assert_eq!(control.get(&cookie, "/api/session").status, 200, "still signed in");
    let own = control.url("");
    let all = [("origin", own.as_str()), ("cookie", cookie.as_str())];
    assert_eq!(control.send("DELETE", "/api/session", &all, b"").status, 204);
}

#[test]
fn a_new_password_ends_sessions_while_control_runs() {
    let control = Control::start();
    let cookie = control.sign_in();
    let config = control.config();
    let reset = run(&["admin", "reset-password", "--config", &config, "--username", "admin"], "");
    let password = String::from_utf8(reset.stdout).unwrap();
    assert!(reset.status.success() && password.trim().len() == 20, "{password}");
    assert_eq!(control.get(&cookie, "/api/session").status, 401);
    assert_eq!(attempt(&control, "admin", PASSWORD, &[]).status, 401);
    assert_eq!(attempt(&control, "admin", password.trim(), &[]).status, 200);
}

#[test]
fn accounts_that_cannot_be_are_refused() {
    let control = Control::start();
    let config = control.config();
    let twice = run(&["admin", "create", "--config", &config, "--username", "Admin"], "");
    assert_eq!(twice.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&twice.stderr).contains("reset-password"));
    let short =
        run(&["admin", "create", "--config", &config, "--username", "b", "--password-stdin"], "short\n");
    assert!(String::from_utf8_lossy(&short.stderr).contains("8 to 1024"), "{short:?}");
    let missing = run(&["admin", "reset-password", "--config", &config, "--username", "nobody"], "");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("admin create"), "{missing:?}");
    let odd = run(&["admin", "create", "--config", &config, "--username", "a b"], "");
    assert_eq!(odd.status.code(), Some(1));
}
