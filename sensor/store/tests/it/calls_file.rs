//! `calls.jsonl`: whole lines, each call once.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use nightjar_schema::Call;
use nightjar_store::{CallsFile, Durability, RowOutcome};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{call, call_id};

fn open(out: &Path) -> CallsFile {
    CallsFile::open(out, Durability::PowerLoss).unwrap()
}

fn rows(out: &Path) -> Vec<Call> {
    let text = fs::read_to_string(out.join("calls.jsonl")).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_call_is_written_once_over_restarts_unless_its_revision_is_newer() {
    let out = tempfile::tempdir().unwrap();
    let mut calls = open(out.path());
    assert_eq!(calls.append(&call(1, 1)).unwrap(), RowOutcome::Written);
    assert_eq!(calls.append(&call(2, 3)).unwrap(), RowOutcome::Written);
    assert_eq!(calls.append(&call(1, 1)).unwrap(), RowOutcome::AlreadyHeld);
    calls.commit().unwrap();
    drop(calls);

    let mut calls = open(out.path());
    assert_eq!(
        (calls.held(call_id(1)), calls.held(call_id(2)), calls.held(call_id(3))),
        (Some(1), Some(3), None)
    );
    assert_eq!(calls.append(&call(2, 2)).unwrap(), RowOutcome::AlreadyHeld);
    assert_eq!(calls.append(&call(2, 4)).unwrap(), RowOutcome::Written);
    assert_eq!(rows(out.path()), [call(1, 1), call(2, 3), call(2, 4)]);
    assert_eq!(calls.cut(), 0);
}

#[test]
fn a_whole_last_line_that_only_lacks_its_end_is_kept() {
    let out = tempfile::tempdir().unwrap();
    let line = serde_json::to_string(&call(1, 1)).unwrap();
    fs::write(out.path().join("calls.jsonl"), &line).unwrap();
    let mut calls = open(out.path());
    assert_eq!(calls.held(call_id(1)), Some(1));
    calls.append(&call(2, 1)).unwrap();
    assert_eq!(rows(out.path()), [call(1, 1), call(2, 1)]);
}

#[test]
fn lines_of_others_are_passed_over_and_kept() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("calls.jsonl");
    fs::write(&path, format!("not ours\n{}\n", serde_json::to_string(&call(1, 1)).unwrap())).unwrap();
    let mut calls = open(out.path());
    assert_eq!(calls.held(call_id(1)), Some(1));
    calls.append(&call(2, 1)).unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with("not ours\n"));
}

/// The device takes no byte: the file is as it was, and the error says what to do.
#[test]
fn a_full_disk_is_said_and_changes_nothing() {
    let out = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", out.path().join("calls.jsonl")).unwrap();
    let Ok(mut calls) = CallsFile::open(out.path(), Durability::Process) else { panic!("opens") };
    let error = calls.append(&call(1, 1)).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(error.to_string().contains("calls.jsonl") && error.to_string().contains("free space"), "{error}");
    assert_eq!(calls.held(call_id(1)), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a crash leaves of the last line, restart holds every whole line before it.
    #[test]
    fn a_torn_tail_is_cut_off(count in 1_u64..8, at in any::<Index>(), zeros in 0_usize..100) {
        let out = tempfile::tempdir().unwrap();
        let mut calls = CallsFile::open(out.path(), Durability::Process).unwrap();
        for number in 0..count {
            calls.append(&call(number, 1)).unwrap();
        }
        drop(calls);
        let path = out.path().join("calls.jsonl");
        let bytes = fs::read(&path).unwrap();
        let cut = at.index(bytes.len() + 1);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(cut as u64).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&vec![0; zeros]).unwrap();

        let mut calls = CallsFile::open(out.path(), Durability::Process).unwrap();
        let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count() as u64;
        // A line that lacks nothing but its end is whole too.
        let kept = whole + u64::from(zeros == 0 && bytes.get(cut) == Some(&b'\n'));
        for number in 0..count {
            prop_assert_eq!(calls.held(call_id(number)).is_some(), number < kept);
        }
        for number in 0..count {
            calls.append(&call(number, 1)).unwrap();
        }
        prop_assert_eq!(rows(out.path()), (0..count).map(|number| call(number, 1)).collect::<Vec<_>>());
    }
}

#[test]
fn a_row_whose_recording_is_stored_after_all_wins_over_the_one_before() {
    let out = tempfile::tempdir().unwrap();
    let with_recording = |state: &str| {
        let mut row = call(1, 2);
        let recording = serde_json::json!({
            "id": call_id(9), "kind": "audio", "segment": 0, "state": state, "started_at": row.started_at,
        });
        row.recordings = vec![serde_json::from_value(recording).unwrap()];
        row
    };
    let mut calls = open(out.path());
    calls.append(&with_recording("pending")).unwrap();
    assert!(calls.held(call_id(1)).is_some() && !calls.is_done(call_id(1)));
    drop(calls);

    // The next start has made the recording from the journal, and knows of no row.
    let mut calls = open(out.path());
    assert!(!calls.is_done(call_id(1)));
    for (mut row, revision) in [(with_recording("pending"), 2), (call(1, 2), 2), (with_recording("final"), 3)]
    {
        calls.raise_revision(&mut row);
        assert_eq!(row.revision, revision);
    }
    let mut row = with_recording("final");
    calls.raise_revision(&mut row);
    assert_eq!(calls.append(&row).unwrap(), RowOutcome::Written);
    assert!(calls.is_done(call_id(1)) && open(out.path()).is_done(call_id(1)));
    assert_eq!(rows(out.path()).iter().map(|row| row.revision).collect::<Vec<_>>(), [2, 3]);
}
