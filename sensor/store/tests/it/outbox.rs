//! The outbox over crashes, and when control stays away.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use nightjar_schema::{Event, EventKind};
use nightjar_store::{
    ControlConfig, EventOutcome, OUTBOX_SMALLEST_LIMIT, OutboxConfig, OutboxWriter, StoreError, Uploader,
    open_outbox,
};
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use crate::control::{Control, TOKEN};
use crate::event;

fn config(directory: &Path) -> OutboxConfig {
    OutboxConfig { directory: directory.to_owned(), limit_bytes: OUTBOX_SMALLEST_LIMIT }
}

/// Everything that a control which works gets from an outbox.
fn deliver(directory: &Path) -> Vec<Event> {
    let control = Control::start();
    let (_writer, reader) = open_outbox(&config(directory)).unwrap();
    let to = ControlConfig { base_url: control.url.clone(), token: TOKEN.to_owned(), ca_file: None };
    let status = Uploader::start(&to, reader, directory).unwrap().drain(Duration::from_secs(60));
    assert_eq!(status.pending, 0, "{status:?}");
    control.look(|seen| std::mem::take(&mut seen.events))
}

/// An event with a row of about 20 KB.
fn large(number: u64, kind: EventKind) -> Event {
    let mut event = event(number, kind);
    event.call.call_ids = vec!["x".repeat(20_000)];
    event
}

fn ids(events: &[Event]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

fn append(writer: &mut OutboxWriter, event: &Event) -> EventOutcome {
    let outcome = writer.append(event).unwrap();
    writer.commit().unwrap();
    outcome
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let small = OutboxConfig { limit_bytes: OUTBOX_SMALLEST_LIMIT - 1, ..config(directory.path()) };
    assert!(matches!(open_outbox(&small), Err(StoreError::Config(_))));
}

#[test]
fn what_is_not_committed_is_not_delivered_and_what_is_delivered_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, _reader) = open_outbox(&config(directory.path())).unwrap();
    let events: Vec<Event> = (0..300).map(|number| large(number, EventKind::Started)).collect();
    for event in &events {
        writer.append(event).unwrap();
    }
    // The first full file is committed with its last line.
    let committed = writer.figures().pending;
    assert!(committed > 100 && committed < 300, "{committed}");
    writer.commit().unwrap();
    assert_eq!(writer.figures().pending, 300);
    drop(writer);
    assert_eq!(ids(&deliver(directory.path())), ids(&events));
    // Only the last file, which takes the next events, and the cursor are left.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    assert!(deliver(directory.path()).is_empty());
}

#[test]
fn a_lost_cursor_repeats_events_and_loses_none() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, _reader) = open_outbox(&config(directory.path())).unwrap();
    let events: Vec<Event> = (0..5).map(|number| event(number, EventKind::Started)).collect();
    for event in &events {
        append(&mut writer, event);
    }
    drop(writer);
    assert_eq!(deliver(directory.path()).len(), 5);
    fs::write(directory.path().join("cursor"), "").unwrap();
    assert_eq!(ids(&deliver(directory.path())), ids(&events));
}

/// 1,500 events of 20 KB against a limit of 16 MiB, with control away.
#[test]
fn at_the_limit_recorded_events_stay_and_others_make_room() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open_outbox(&config(directory.path())).unwrap();
    let nobody =
        ControlConfig { base_url: "http://127.0.0.1:9".to_owned(), token: TOKEN.to_owned(), ca_file: None };
    let uploader = Uploader::start(&nobody, reader, directory.path()).unwrap();
    let kinds = [EventKind::Started, EventKind::Updated, EventKind::Ended, EventKind::Recorded];
    let mut recorded = Vec::new();
    for number in 0..1_500 {
        let event = large(number, kinds[(number % 4) as usize]);
        let outcome = append(&mut writer, &event);
        if event.kind == EventKind::Recorded {
            assert_eq!(outcome, EventOutcome::Taken);
            recorded.push(event.id);
        }
    }
    // The thread ends before another one has the outbox.
    drop(uploader.drain(Duration::from_secs(2)));
    let full = writer.figures();
    assert!(full.refused > 0, "{full:?}");
    drop(writer);

    // The uploader made room while it waited, and the next start goes on with that before it
    // delivers anything.
    let delivered = deliver(directory.path());
    assert!(delivered.len() as u64 <= full.pending, "{} of {}", delivered.len(), full.pending);
    assert!(full.compacted > 0 || (delivered.len() as u64) < full.pending, "{full:?}");
    let bytes: usize = delivered.iter().map(|event| serde_json::to_vec(event).unwrap().len() + 1).sum();
    assert!(bytes as u64 <= full.used, "{bytes}");
    let kept: Vec<Uuid> =
        delivered.iter().filter(|event| event.kind == EventKind::Recorded).map(|event| event.id).collect();
    assert_eq!(kept, recorded);
    // What is left is in order.
    let at: Vec<_> = delivered.iter().map(|event| event.at).collect();
    assert!(at.is_sorted());
}

#[test]
fn a_line_that_is_no_event_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, _reader) = open_outbox(&config(directory.path())).unwrap();
    append(&mut writer, &event(1, EventKind::Started));
    OpenOptions::new()
        .append(true)
        .open(directory.path().join("00000000.ndjson"))
        .unwrap()
        .write_all(b"{\"a\":\n")
        .unwrap();
    drop(writer);
    let (mut writer, _reader) = open_outbox(&config(directory.path())).unwrap();
    append(&mut writer, &event(2, EventKind::Started));
    drop(writer);
    let delivered = deliver(directory.path());
    assert_eq!(ids(&delivered), [event(1, EventKind::Started).id, event(2, EventKind::Started).id]);
    let rejected = fs::read_to_string(directory.path().join("rejected.ndjson")).unwrap();
    assert_eq!(rejected, "{\"reason\":\"not an event\",\"text\":\"{\\\"a\\\":\\n\"}\n");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever a crash leaves of the last line, every whole line before it is delivered, in order.
    #[test]
    fn a_torn_tail_is_cut_off(count in 1_u64..8, at in any::<Index>(), zeros in 0_usize..100) {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, _reader) = open_outbox(&config(directory.path())).unwrap();
        let events: Vec<Event> = (0..count).map(|number| event(number, EventKind::Started)).collect();
        for event in &events {
            append(&mut writer, event);
        }
        drop(writer);
        let path = directory.path().join("00000000.ndjson");
        let bytes = fs::read(&path).unwrap();
        let cut = at.index(bytes.len() + 1);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(cut as u64).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&vec![0; zeros]).unwrap();

        let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count();
        let (mut writer, _reader) = open_outbox(&config(directory.path())).unwrap();
        prop_assert_eq!(writer.figures().pending, whole as u64);
        let next = event(100, EventKind::Ended);
        append(&mut writer, &next);
        drop(writer);
        let mut expected = ids(&events[..whole]);
        expected.push(next.id);
        prop_assert_eq!(ids(&deliver(directory.path())), expected);
    }
}
