//! A recording is there whole, under its name, or not at all.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nightjar_schema::Timestamp;
use nightjar_store::{Container, Durability, RecordingName, RecordingStore, StoreError, StoredRecording};

use crate::call_id;

fn name() -> RecordingName {
    let started_at = Timestamp(1_769_903_999_999_999);
    RecordingName { call: call_id(1), segment: 0, started_at, container: Container::Opus }
}

fn store(out_dir: &Path) -> RecordingStore {
    RecordingStore::new(out_dir, Durability::PowerLoss).unwrap()
}

fn write(
    store: &RecordingStore,
    content: &[u8],
    revision: u32,
    held: Option<u32>,
) -> Result<StoredRecording, StoreError> {
    let mut file = store.begin(name()).unwrap();
    file.write_all(content).unwrap();
    file.finish(revision, held)
}

#[test]
fn a_finished_recording_has_its_path_its_size_and_its_hash() {
    let out = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at * 31) as u8).collect();
    let stored = write(&store(out.path()), &content, 1, None).unwrap();
    // The last microsecond of January, UTC.
    assert_eq!(stored.path, format!("recordings/2026/01/31/{}.opus", call_id(1)));
    let path = out.path().join(&stored.path);
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(stored.bytes, 300_000);
    let oracle = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
    assert_eq!(stored.sha256.as_bytes(), &oracle[..64]);
    let later = RecordingName { segment: 2, container: Container::Wav, ..name() };
    assert_eq!(later.path(), format!("recordings/2026/01/31/{}-2.wav", call_id(1)));
}

#[test]
fn a_recording_that_grew_in_parts_is_whole_and_has_its_header() {
    let out = tempfile::tempdir().unwrap();
    let store = store(out.path());
    store.grow(&name(), 4, b"first ").unwrap();
    store.grow(&name(), 10, b"sec").unwrap();
    // A disk that was full took a part of it.
    store.grow(&name(), 10, b"second ").unwrap();
    let mut file = store.resume(name(), 17).unwrap();
    file.write_all(b"no room for it").unwrap();
    drop(file);
    let mut file = store.resume(name(), 17).unwrap();
    file.overwrite(0, b"HEAD").unwrap();
    file.write_all(b"tail").unwrap();
    let stored = file.finish(1, None).unwrap();
    let content = fs::read(out.path().join(&stored.path)).unwrap();
    assert_eq!(content, b"HEADfirst second tail");
    assert_eq!(stored.bytes, content.len() as u64);
    let sum = Command::new("sha256sum").arg(out.path().join(&stored.path)).output().unwrap();
    assert!(String::from_utf8_lossy(&sum.stdout).starts_with(&stored.sha256));

    store.grow(&name(), 4, b"unwanted").unwrap();
    store.discard(&name());
    assert!(store.resume(name(), 12).is_err());
}

#[test]
fn what_has_grown_survives_a_restart_up_to_where_it_is_known() {
    let out = tempfile::tempdir().unwrap();
    let before = store(out.path());
    let other = RecordingName { call: call_id(2), ..name() };
    before.grow(&name(), 4, b"kept, and made again").unwrap();
    before.grow(&other, 4, b"of nobody").unwrap();
    before.sync_grown(&name()).unwrap();
    assert!(before.sync_grown(&RecordingName { call: call_id(3), ..name() }).is_err());

    let goes_on = |call| call == name().call;
    let store = RecordingStore::reopen(out.path(), Durability::PowerLoss, goes_on).unwrap();
    assert!(!store.has_grown(&other));
    assert!(store.cut_back(&name(), 25).is_err(), "there are 24 bytes");
    store.cut_back(&name(), 8).unwrap();
    store.grow(&name(), 8, b" anew").unwrap();
    let finish = |bytes| {
        let mut file = store.resume(name(), bytes).unwrap();
        file.overwrite(0, b"HEAD").unwrap();
        file.finish(1, None).unwrap()
    };
    let stored = finish(13);
    assert_eq!(fs::read(out.path().join(&stored.path)).unwrap(), b"HEADkept anew");

    // A crash between the file and its row: it goes on from where it is known once more.
    let store = RecordingStore::reopen(out.path(), Durability::PowerLoss, goes_on).unwrap();
    store.cut_back(&name(), 8).unwrap();
    assert!(!out.path().join(&stored.path).exists());
    store.grow(&name(), 8, b" anew").unwrap();
    assert_eq!(finish(13), stored);
}

#[test]
fn a_header_that_is_written_last_counts_in_the_hash() {
    let out = tempfile::tempdir().unwrap();
    let mut file = store(out.path()).begin(name()).unwrap();
    file.write_all(b"RIFF????WAVE").unwrap();
    file.overwrite(4, b"size").unwrap();
    assert!(file.overwrite(9, b"size").is_err(), "beyond what was written");
    file.write_all(b"data").unwrap();
    let stored = file.finish(1, None).unwrap();
    let path = out.path().join(&stored.path);
    assert_eq!(fs::read(&path).unwrap(), b"RIFFsizeWAVEdata");
    let oracle = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
    assert_eq!(stored.sha256.as_bytes(), &oracle[..64]);
}

#[test]
fn what_was_not_finished_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let store = store(out.path());
    let mut dropped = store.begin(name()).unwrap();
    dropped.write_all(b"half").unwrap();
    drop(dropped);
    let mut killed = store.begin(name()).unwrap();
    killed.write_all(b"half").unwrap();
    std::mem::forget(killed);
    let incoming = out.path().join("recordings/.incoming");
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 1);
    assert!(store.begin(name()).is_err(), "one writer per recording");

    let store = RecordingStore::new(out.path(), Durability::PowerLoss).unwrap();
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
    assert!(!out.path().join(name().path()).exists());
    write(&store, b"whole", 1, None).unwrap();
}

#[test]
fn only_a_newer_revision_replaces_another_recording() {
    let out = tempfile::tempdir().unwrap();
    let store = store(out.path());
    let first = write(&store, b"first", 1, None).unwrap();
    // A crash came before its row was written: the recovered call's file replaces it.
    let second = write(&store, b"second", 1, None).unwrap();
    assert_ne!(first.sha256, second.sha256);
    let path = out.path().join(&second.path);
    assert_eq!(fs::read(&path).unwrap(), b"second");
    // The row is there: the same again is fine, another is not.
    assert_eq!(write(&store, b"second", 1, Some(1)).unwrap(), second);
    let error = write(&store, b"third", 1, Some(1)).unwrap_err();
    assert!(matches!(error, StoreError::Superseded { held: 1, offered: 1, .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"second");
    write(&store, b"third", 2, Some(1)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"third");
    assert_eq!(fs::read_dir(out.path().join("recordings/.incoming")).unwrap().count(), 0);
}

#[test]
fn an_unusable_output_folder_is_named() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = RecordingStore::new(&file, Durability::Process).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()) && error.contains("not a folder"), "{error}");

    // Root may write anywhere: there the check is that nothing is in the way.
    let locked = out.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    match RecordingStore::new(&locked, Durability::Process) {
        Ok(store) => assert!(write(&store, b"root", 1, None).is_ok()),
        Err(error) => assert!(error.to_string().contains("read and write there"), "{error}"),
    }
}
