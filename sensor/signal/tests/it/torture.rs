//! RFC 4475: messages that are hard to read, and messages that are wrong.

use nightjar_schema::Call as Row;
use nightjar_signal::SipError;

use crate::captures::folder;
use crate::scene::{Dialog, Scene, audio};

/// What the directory makes of one of the RFC's messages.
fn seen(name: &str) -> Option<(Scene, Result<(), SipError>)> {
    let path = folder()?.join(format!("malformed/php-sip__tests__fixtures__rfc4475__{name}.dat"));
    let mut scene = Scene::new();
    let result = scene.see_bytes("192.0.2.1:5060", "192.0.2.2:5060", &std::fs::read(path).unwrap());
    Some((scene, result))
}

fn row(name: &str) -> Option<Row> {
    let (mut scene, result) = seen(name)?;
    assert_eq!(result, Ok(()), "{name}");
    Some(scene.only_row())
}

#[test]
fn a_short_tortuous_invite_is_read() {
    let Some(row) = row("wsinv") else { return };
    assert_eq!(row.from.uri.as_deref(), Some("sip:jdrosen@example.com"));
    assert_eq!(row.from.name.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(row.to.uri.as_deref(), Some("sip:vivekg@chair-dnrc.example.com"));
    assert_eq!(row.dialogs[0].from_tag.as_deref(), Some("98asjd8"));
    // Its To has a tag: the RFC's INVITE is one within a dialog.
    assert!(row.begun_before_capture);
}

#[test]
fn invites_with_faults_that_leave_their_meaning_plain_are_calls() {
    for (name, from) in [
        ("badinv01", "sip:caller@example.net"),
        ("baddate", "sip:caller@example.net"),
        ("escruri", "sip:caller@example.net"),
        ("invut", "sip:caller@example.net"),
        ("ltgtruri", "sip:caller@example.net"),
        ("multi01", "sip:caller@example.com"),
        ("quotbal", "sip:caller@example.net"),
        ("sdp01", "sip:caller@example.net"),
    ] {
        let Some(row) = row(name) else { return };
        assert_eq!(row.from.uri.as_deref(), Some(from), "{name}");
        assert!(!row.begun_before_capture, "{name}");
    }
    let Some(row) = row("ltgtruri") else { return };
    assert_eq!(row.dialled.uri.as_deref(), Some("sip:user@example.com"));
    let Some(row) = self::row("quotbal") else { return };
    assert_eq!(row.to.uri.as_deref(), Some("sip:j.user@example.com"));
}

#[test]
fn spaces_within_the_request_uri_are_read_over() {
    let Some(row) = row("lwsruri") else { return };
    assert_eq!(row.from.uri.as_deref(), Some("sip:caller@example.net"));
}

#[test]
fn a_broadcast_answer_is_an_answer() {
    let Some(row) = row("bcast") else { return };
    assert_eq!((row.status, row.from.uri.as_deref()), (Some(200), Some("sip:user@example.com")));
}

#[test]
fn what_has_no_meaning_is_refused() {
    for (name, error) in
        [("bigcode", SipError::NotSip), ("scalar02", SipError::BadCSeq), ("test", SipError::NotSip)]
    {
        let Some((scene, result)) = seen(name) else { return };
        assert_eq!(result, Err(error), "{name}");
        assert!(scene.said.is_empty());
    }
}

#[test]
fn other_methods_however_strange_open_no_call() {
    for name in [
        "badaspec",
        "cparam01",
        "dblreq",
        "esc02",
        "intmeth",
        "mcl01",
        "mismatch02",
        "noreason",
        "regbadct",
        "trws",
        "unksm2",
    ] {
        let Some((scene, result)) = seen(name) else { return };
        assert_eq!(result, Ok(()), "{name}");
        assert!(scene.said.is_empty(), "{name}");
    }
}

#[test]
fn each_torture_message_cut_at_each_byte_never_panics() {
    let Some(folder) = folder() else { return };
    let mut cut = 0;
    for entry in std::fs::read_dir(folder.join("malformed")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if !path.extension().is_some_and(|extension| extension == "dat" || extension == "yaml") {
            continue;
        }
        for end in 0..bytes.len().min(4_000) {
            let mut scene = Scene::new();
            let _ = scene.see_bytes("192.0.2.1:5060", "192.0.2.2:5060", &bytes[..end]);
            cut += 1;
        }
    }
    assert!(cut > 10_000);
}

#[test]
fn a_valid_call_cut_at_each_byte_never_panics_and_never_binds_a_wrong_port() {
    let dialog = Dialog::new("c1");
    let text = dialog.invite(1).sdp(audio("10.0.0.1:40000", "")).text();
    for end in 0..text.len() {
        let mut scene = Scene::new();
        let _ = scene.see_bytes("10.0.0.1:5060", "10.0.0.2:5060", &text.as_bytes()[..end]);
        assert!(scene.bindings().iter().all(|binding| binding.endpoint.port == 40000), "cut at {end}");
        scene.end_capture();
        assert!(scene.closed().iter().all(|row| row.call_ids == ["c1"]), "cut at {end}");
    }
}
