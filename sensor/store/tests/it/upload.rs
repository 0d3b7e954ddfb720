//! Delivery to a control that answers, does not answer, or answers badly.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use nightjar_schema::{Event, EventKind};
use nightjar_store::{
    ControlConfig, EventOutcome, OutboxConfig, OutboxWriter, UploadState, UploadStatus, Uploader, open_outbox,
};
use uuid::Uuid;

use crate::control::{Control, Fault, TOKEN};
use crate::{call_id, event, recorded};

const LONG: Duration = Duration::from_secs(30);

fn config(url: &str) -> ControlConfig {
    ControlConfig { base_url: url.to_owned(), token: TOKEN.to_owned(), ca_file: None }
}

fn start(out: &Path, url: &str) -> (OutboxWriter, Uploader) {
    let outbox = OutboxConfig { directory: out.join("outbox"), limit_bytes: 1 << 30 };
    let (writer, reader) = open_outbox(&outbox).unwrap();
    (writer, Uploader::start(&config(url), reader, out).unwrap())
}

fn put(writer: &mut OutboxWriter, events: &[Event]) {
    for event in events {
        assert_eq!(writer.append(event).unwrap(), EventOutcome::Taken);
    }
    writer.commit().unwrap();
}

fn ids(events: &[Event]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

fn rejected(out: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(out.join("outbox/rejected.ndjson")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Four events of a call, the last with a recording.
fn life(out: &Path, number: u64) -> Vec<Event> {
    let mut events: Vec<Event> =
        [EventKind::Started, EventKind::Updated, EventKind::Ended].map(|kind| event(number, kind)).into();
    events.push(recorded(out, number, format!("audio of {number}").as_bytes()));
    events
}

fn assert_delivered(status: &UploadStatus, events: usize) {
    assert_eq!(status.state, UploadState::Delivering);
    assert_eq!((status.pending, status.delivered, status.rejected), (0, events as u64, 0));
}

#[test]
fn events_arrive_in_order_with_their_recordings_before_them() {
    let out = tempfile::tempdir().unwrap();
    let control = Control::start();
    let (mut writer, uploader) = start(out.path(), &control.url);
    let mut all = Vec::new();
    for number in 0..60 {
        let events = life(out.path(), number);
        put(&mut writer, &events);
        all.extend(events);
    }
    let status = uploader.drain(LONG);
    assert_delivered(&status, all.len());
    assert_eq!((status.recordings, status.missing), (60, 0));
    control.look(|seen| {
        assert_eq!(ids(&seen.events), ids(&all));
        assert_eq!(seen.events, all);
        assert_eq!(seen.recordings.len(), 60);
        assert_eq!(seen.recordings[&all[7].call.recordings[0].id], b"audio of 1");
    });
}

#[test]
fn faults_that_pass_repeat_events_and_lose_none() {
    let out = tempfile::tempdir().unwrap();
    let control = Control::with_faults([
        Fault::Status(500),
        Fault::Slow(Duration::from_millis(300)),
        Fault::TakenBut500,
        Fault::Status(503),
        Fault::Nonsense,
    ]);
    let (mut writer, uploader) = start(out.path(), &control.url);
    let all: Vec<Event> = (0..4).flat_map(|number| life(out.path(), number)).collect();
    put(&mut writer, &all);
    control.wait("all events", |seen| seen.distinct().len() == all.len());
    let status = uploader.drain(LONG);
    assert_delivered(&status, all.len());
    control.look(|seen| {
        assert!(seen.faults.is_empty());
        assert_eq!(seen.distinct(), ids(&all));
        assert_eq!(seen.recordings.len(), 4);
    });
}

#[test]
fn a_control_that_drops_connections_and_comes_up_late_gets_everything() {
    let out = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (mut writer, uploader) = start(out.path(), &url);
    let all = life(out.path(), 1);
    put(&mut writer, &all);
    // Two connections are taken and closed without a word.
    for _ in 0..2 {
        drop(listener.accept().unwrap());
    }
    let control = Control::on(listener, []);
    control.wait("all events", |seen| seen.distinct().len() == all.len());
    assert_delivered(&uploader.drain(LONG), all.len());
    control.look(|seen| assert_eq!(seen.distinct(), ids(&all)));
}

#[test]
fn a_wrong_token_waits_with_a_clear_reason_and_nothing_is_lost() {
    let out = tempfile::tempdir().unwrap();
    let control = Control::start();
    let outbox = OutboxConfig { directory: out.path().join("outbox"), limit_bytes: 1 << 30 };
    let (mut writer, reader) = open_outbox(&outbox).unwrap();
    let wrong = ControlConfig { token: "wrong".to_owned(), ..config(&control.url) };
    let uploader = Uploader::start(&wrong, reader, out.path()).unwrap();
    let all = life(out.path(), 1);
    put(&mut writer, &all);
    control.wait("two attempts", |seen| seen.requests >= 2);
    let status = uploader.drain(Duration::ZERO);
    let UploadState::Barred(reason) = &status.state else { panic!("{status:?}") };
    assert!(reason.contains("401: unknown sensor") && reason.contains("token"), "{reason}");
    assert_eq!((status.pending, status.delivered), (4, 0));
    drop(writer);

    // The setting is put right and the sensor started again.
    let (_writer, uploader) = start(out.path(), &control.url);
    assert_delivered(&uploader.drain(LONG), 4);
    control.look(|seen| assert_eq!(ids(&seen.events), ids(&all)));
}

#[test]
fn an_event_that_control_never_takes_is_set_aside_alone() {
    let out = tempfile::tempdir().unwrap();
    let control = Control::start();
    control.look(|seen| seen.bad_call = Some(call_id(77)));
    let outbox = OutboxConfig { directory: out.path().join("outbox"), limit_bytes: 1 << 30 };
    let (mut writer, reader) = open_outbox(&outbox).unwrap();
    let all: Vec<Event> = (0..150).map(|number| event(number, EventKind::Started)).collect();
    put(&mut writer, &all);
    let uploader = Uploader::start(&config(&control.url), reader, out.path()).unwrap();
    control.wait("all but one", |seen| seen.events.len() == all.len() - 1);
    let status = uploader.drain(LONG);
    assert_eq!((status.pending, status.delivered, status.rejected), (0, 149, 1));
    let set_aside = rejected(out.path());
    assert_eq!(set_aside.len(), 1);
    assert_eq!(set_aside[0]["event"]["call"]["id"], call_id(77).to_string());
    assert_eq!(set_aside[0]["reason"], "control answers 400: I do not like it");
    let but_one: Vec<Uuid> =
        all.iter().filter(|event| event.call.id != call_id(77)).map(|event| event.id).collect();
    control.look(|seen| assert_eq!(ids(&seen.events), but_one));
}

#[test]
fn another_file_under_a_recordings_id_is_reported_and_the_rest_goes_on() {
    let out = tempfile::tempdir().unwrap();
    let control = Control::start();
    let all: Vec<Event> = (0..3).flat_map(|number| life(out.path(), number)).collect();
    let conflict = all[7].call.recordings[0].id;
    control.look(|seen| seen.recordings.insert(conflict, b"something else".to_vec()));
    let (mut writer, uploader) = start(out.path(), &control.url);
    put(&mut writer, &all);
    let status = uploader.drain(LONG);
    assert_eq!((status.pending, status.delivered, status.rejected), (0, 11, 1));
    let set_aside = rejected(out.path());
    assert_eq!(set_aside[0]["reason"], "control answers 409: another file has this id");
    control.look(|seen| {
        assert!(!ids(&seen.events).contains(&all[7].id));
        assert_eq!(seen.recordings[&conflict], b"something else");
    });
}

#[test]
fn a_recording_that_was_removed_is_counted_and_its_event_still_goes() {
    let out = tempfile::tempdir().unwrap();
    let control = Control::start();
    let mut gone = recorded(out.path(), 1, b"audio");
    gone.call.recordings[0].path = Some("recordings/gone.opus".to_owned());
    let (mut writer, uploader) = start(out.path(), &control.url);
    put(&mut writer, std::slice::from_ref(&gone));
    let status = uploader.drain(LONG);
    assert_delivered(&status, 1);
    assert_eq!((status.recordings, status.missing), (0, 1));
}

#[test]
fn a_path_out_of_the_output_folder_is_never_read() {
    let out = tempfile::tempdir().unwrap();
    let control = Control::start();
    let mut event = recorded(out.path(), 1, b"audio");
    event.call.recordings[0].path = Some("../../etc/passwd".to_owned());
    let (mut writer, uploader) = start(out.path(), &control.url);
    put(&mut writer, &[event]);
    let status = uploader.drain(LONG);
    assert_eq!((status.pending, status.rejected, status.recordings), (0, 1, 0));
}

#[test]
fn a_drain_without_control_ends_in_time_and_keeps_what_is_pending() {
    let out = tempfile::tempdir().unwrap();
    // A port that nobody listens on.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (mut writer, uploader) = start(out.path(), &url);
    put(&mut writer, &life(out.path(), 1));
    let status = uploader.drain(Duration::from_millis(200));
    assert!(matches!(status.state, UploadState::Waiting(_)), "{status:?}");
    assert_eq!(status.pending, 4);
}

#[test]
fn an_idle_sensor_tells_control_that_it_lives() {
    let out = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut writer, uploader) = start(out.path(), &format!("http://{}", listener.local_addr().unwrap()));
    // Nothing is delivered, and yet somebody calls; that nobody answers is seen.
    drop(listener.accept().unwrap());
    let control = Control::on(listener, []);
    control.wait("a sign of life", |seen| seen.requests >= 1);
    put(&mut writer, &life(out.path(), 1));
    control.wait("all events", |seen| seen.distinct().len() == 4);
    let before = control.look(|seen| seen.requests);
    control.wait("another sign of life", |seen| seen.requests > before);
    assert_delivered(&uploader.drain(LONG), 4);
    control.look(|seen| assert_eq!(seen.distinct().len(), 4));
}
