//! A disk without room: a small file system of its own, in a mount namespace of its own.

use std::process::Command;

use crate::harness::{BINARY, Control, create_admin, write_config};
use crate::uploads::{recording, upload};

/// Makes the data's folder a file system of 4 MiB that only this process sees, then becomes the binary.
const MOUNT: &str = "mount -t tmpfs -o size=4m,mode=0700 tmpfs \"$1\" && shift && exec \"$@\"";

#[test]
fn a_full_disk_is_said_and_what_was_stored_stays() {
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED a_full_disk_is_said_and_what_was_stored_stays: no right to make a mount namespace");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The database lies elsewhere: the disk of the recordings is what is full.
    let config = write_config(folder.path(), "", "[database]\nurl = \"sqlite:control.sqlite\"\n");
    create_admin(&config);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", MOUNT, "sh"]).arg(folder.path().join("data")).arg(BINARY);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
    let control = Control::serve_by(command, folder, agent.into(), "http");
    assert_eq!(upload(&control, 1, recording(0), &vec![1; 1_000_000], &[]).status, 201);
    let full = upload(&control, 1, recording(1), &vec![2; 5_000_000], &[]);
    assert_eq!((full.status, full.code().as_str()), (507, "disk_full"));
    assert!(full.message().contains("make room"), "{}", full.message());
    assert_eq!(
        upload(&control, 1, recording(1), &vec![2; 1_000_000], &[]).status,
        201,
        "there is room for less"
    );
    let cookie = control.sign_in();
    let audio = control.get(&cookie, &format!("/api/recordings/{}/audio", recording(0)));
    assert!(audio.body == vec![1; 1_000_000]);
}
