//! A call's state survives the sensor.

use nightjar_schema::{CallState, EndCause};
use nightjar_signal::{Output, RestoreError};
use nightjar_wire::{CallKey, Nanos};

use crate::scene::{By, Dialog, Scene, audio, end};

#[test]
fn a_restored_call_goes_on_under_its_handle_and_id() {
    let mut before = Scene::new();
    let dialog = Dialog::new("c1");
    before.see(&Dialog::new("c0").invite(1));
    let call = before.establish(&dialog);
    before.talk_s(call, 10);
    let (bytes, row) = (before.directory.snapshot(call).unwrap(), before.directory.row(call).unwrap());

    let mut after = Scene::new();
    assert_eq!(after.directory.restore(&bytes), Ok(call));
    after.collect();
    assert_eq!(after.said.len(), 2);
    assert_eq!(after.bindings(), before.bindings());
    assert_eq!(after.directory.row(call), Some(row.clone()));
    after.now = before.now + Nanos::from_secs(600);
    after.wait_s(50);
    assert!(after.closed().is_empty(), "the time without a sensor is not held against the call");
    after.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")));
    assert_eq!(after.said.len(), 2, "a repeated answer is a repetition still");
    let next = after.see(&Dialog::new("c2").invite(1)).opened()[0];
    assert!(next > call, "handles are not used again");
    after.hang_up(&dialog, By::Callee, 4);
    after.wait_s(3);
    assert_eq!((after.closed()[0].id, after.closed()[0].state), (row.id, CallState::Completed));
    assert_eq!(after.closed()[0].started_at, row.started_at);
}

#[test]
fn a_restored_call_of_which_nothing_comes_is_timed_out() {
    let mut before = Scene::new();
    let call = before.establish(&Dialog::new("c1"));
    before.talk_s(call, 10);
    let bytes = before.directory.snapshot(call).unwrap();
    let mut after = Scene::new();
    after.directory.restore(&bytes).unwrap();
    after.now = before.now + Nanos::from_secs(600);
    after.wait_s(0).wait_s(63);
    assert_eq!(end(after.closed()[0]), (EndCause::MediaTimeout, None));
}

#[test]
fn a_call_without_signalling_is_restored_and_still_found() {
    let mut before = Scene::new();
    let call = before.unsignalled("10.0.0.1:4000", "10.0.0.2:5000", 1);
    let bytes = before.directory.snapshot(call).unwrap();
    let mut after = Scene::new();
    after.now = before.now;
    assert_eq!(after.directory.restore(&bytes), Ok(call));
    assert_eq!(after.unsignalled("10.0.0.2:5000", "10.0.0.1:4000", 2), call);
    after.see(&Dialog::new("c1").request(By::Caller, "INVITE", 2).sdp(audio("10.0.0.1:4000", "")));
    assert_eq!(after.count(|o| matches!(o, Output::Adopted { .. })), 1);
    assert!(after.opened().is_empty());
}

#[test]
fn the_silence_before_a_crash_counts_and_the_outage_does_not() {
    let mut before = Scene::new();
    let call = before.unsignalled("10.0.0.1:4000", "10.0.0.2:5000", 1);
    before.talk_s(call, 60);
    let (bytes, heard) = (before.directory.snapshot(call).unwrap(), before.now);
    let restored = |silent_s: u64| {
        let mut after = Scene::new();
        after.now = heard + Nanos::from_secs(600);
        after.directory.restore(&bytes).unwrap();
        after.wait_s(0);
        after.directory.handle_earlier_media(heard, Nanos::from_secs(silent_s), call);
        after
    };
    // The next call on the same ports is another call, if its media had stopped.
    let invite = Dialog::new("c1").invite(1).sdp(audio("10.0.0.1:4000", ""));
    for (silent_s, opened) in [(0, 0), (1, 0), (3, 1)] {
        let mut after = restored(silent_s);
        after.see(&invite);
        after.wait_s(3);
        assert_eq!(after.opened().len(), opened, "{silent_s}");
    }
    // A minute's silence ends it.
    let mut after = restored(40);
    assert!(after.wait_s(19).closed().is_empty());
    assert_eq!(end(after.wait_s(4).closed()[0]).0, EndCause::MediaTimeout);
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let mut scene = Scene::with(|config| config.max_calls = 1);
    let call = scene.establish(&Dialog::new("c1"));
    let bytes = scene.directory.snapshot(call).unwrap();
    assert_eq!(scene.directory.restore(&bytes), Err(RestoreError::Exists));
    assert_eq!(scene.directory.restore(&[]), Err(RestoreError::Corrupt));
    assert_eq!(scene.directory.restore(&[99, 1, 2]), Err(RestoreError::Version));
    assert_eq!(scene.directory.snapshot(CallKey(77)), None);
    for cut in 1..bytes.len() {
        let mut other = Scene::new();
        assert_eq!(other.directory.restore(&bytes[..cut]), Err(RestoreError::Corrupt), "{cut}");
        assert_eq!(other.directory.open_calls().count(), 0);
    }
    let mut full = Scene::with(|config| config.max_calls = 1);
    full.now = full.now + Nanos::from_secs(1);
    full.see(&Dialog::new("c8").invite(1)).see(&Dialog::new("c9").invite(1));
    assert_eq!(full.directory.restore(&bytes), Err(RestoreError::Full));
}

#[test]
fn a_snapshot_whose_bytes_are_changed_never_panics() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    let call = scene.establish(&dialog);
    let bytes = scene.directory.snapshot(call).unwrap();
    for at in 1..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            let mut other = Scene::new();
            if other.directory.restore(&bytes).is_ok() {
                other.see(&dialog.request(By::Caller, "INVITE", 2).sdp(audio("10.0.0.1:4002", "")));
                other.hang_up(&dialog, By::Callee, 4);
                other.end_capture();
            }
        }
    }
}

#[test]
fn a_new_fork_is_told_so_that_a_snapshot_knows_its_leg() {
    let mut scene = Scene::new();
    let dialog = Dialog::new("c1");
    scene.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
    scene.see(&dialog.with_to_tag("desk").answer(1, 183).sdp(audio("10.0.0.2:5000", "")));
    let told = scene.count(|o| matches!(o, Output::Changed { .. }));
    scene.see(&dialog.with_to_tag("mobile").answer(1, 183).sdp(audio("10.0.0.3:6000", "")));
    assert_eq!(scene.count(|o| matches!(o, Output::Changed { .. })), told + 1);
}
