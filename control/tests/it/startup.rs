//! How control starts, and how it says that it cannot.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::harness::{Control, run, write_config};

/// What `serve` says when it refuses.
fn refused(config: &Path) -> String {
    let output = run(&["serve", "--config", config.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn edit(config: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(config).unwrap();
    assert!(text.contains(from));
    fs::write(config, text.replace(from, to)).unwrap();
}

#[test]
fn every_fault_is_named_at_once_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("control.toml");
    let text = "listen = \"0.0.0.0:8080\"\n\
                data_dir = 5\n\
                colour = \"red\"\n\
                [database]\n\
                url = \"postgres://db\"\n\
                [limits]\n\
                connections = 0\n\
                [[sensors]]\n\
                name = \"s1\"\n\
                token_file = \"none\"\n\
                [[sensors]]\n\
                name = \"s1\"\n\
                token_sha256 = \"xyz\"\n";
    fs::write(&config, text).unwrap();
    let said = refused(&config);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].ends_with("control.toml: 7 faults in the configuration"), "{said}");
    for (fault, part) in [
        ("line 1: ", "there is no TLS"),
        ("line 2: ", "`data_dir` must be a string"),
        ("line 3: ", "`colour` is not a known key"),
        ("line 5: ", "`database.url` must be"),
        ("line 7: ", "`limits.connections` must be"),
        ("line 10: ", "cannot be read"),
        ("line 13: ", "64 hexadecimal digits"),
    ] {
        let found = lines[1..].iter().any(|line| line.trim().starts_with(fault) && line.contains(part));
        assert!(found, "{fault}{part} is not in:\n{said}");
    }
    assert!(refused(&folder.path().join("none.toml")).contains("cannot be read"));
}

#[test]
fn beyond_loopback_it_wants_tls_or_leave() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "", "");
    edit(&config, "127.0.0.1:0", "0.0.0.0:0");
    assert!(refused(&config).contains("allow_plaintext = true"));
    edit(&config, "data_dir", "allow_plaintext = true\ndata_dir");
    let control = Control::serve(folder, ureq::agent(), "http");
    assert!(control.address.starts_with("0.0.0.0:"));
    assert_eq!(control.get("", "/api/health").status, 200);
}

#[test]
fn a_port_in_use_is_one_clear_message() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "", "");
    edit(&config, "127.0.0.1:0", &address);
    let said = refused(&config);
    assert!(said.contains(&address) && said.contains("another program has this port"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_folder_that_cannot_be_used_is_one_clear_message() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "", "");
    fs::write(folder.path().join("data"), "a file where the folder should be").unwrap();
    let said = refused(&config);
    assert!(said.contains("data_dir") && said.lines().count() == 1, "{said}");
    // A database that is none.
    fs::remove_file(folder.path().join("data")).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(
        folder.path().join("data/nightjar.sqlite"),
        "not a database, but long enough to be read as one",
    )
    .unwrap();
    let said = refused(&config);
    assert!(said.contains("nightjar.sqlite") && said.contains("not a database"), "{said}");
}

#[test]
fn two_controls_do_not_share_a_folder() {
    let control = Control::start();
    let said = refused(Path::new(&control.config()));
    assert!(said.contains("another nightjar-control is using it"), "{said}");
    assert_eq!(control.get("", "/api/health").status, 200);
}

#[test]
fn a_token_and_its_section_fit_each_other() {
    let output = run(&["token", "--sensor", "north \"1\""], "");
    let text = String::from_utf8(output.stdout).unwrap();
    let (token, section) = text.split_once("\n\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), "", section);
    let control = Control::serve(folder, ureq::agent(), "http");
    let bearer = format!("Bearer {token}");
    let answer = control.send("POST", "/api/ingest/v1/events", &[("authorization", &bearer)], b"\n");
    assert_eq!(answer.status, 200);
}

#[test]
fn sigterm_ends_it_in_order() {
    let control = Control::start();
    let wal = control.data("nightjar.sqlite-wal");
    let folder = control.folder.path().to_owned();
    assert!(wal.exists());
    let (code, log) = control.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping"));
    assert!(!folder.exists() || !wal.exists(), "the database was closed");
}

#[test]
fn a_token_stands_alone_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "", "");
    let made = run(&["token", "--sensor", "s1"], "");
    assert!(made.status.success());
    // All that it printed, not its first line alone.
    fs::write(folder.path().join("s1"), &made.stdout).unwrap();
    assert!(refused(&config).contains("must hold the token alone"));
}
