//! SIGTERM: calls in progress are closed, marked and stored; frames that had arrived are read.

use std::thread;
use std::time::Duration;

use nightjar_capture::FrameSender;
use nightjar_load::{BulkPlan, Scenario};
use nightjar_privileged::moments;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::assert_tones;
use nightjar_privileged::rows::{assert_ledger, assert_rows, by_call_id, residual};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::{Played, Traffic};
use nightjar_schema::{CallState, EndCause};
use nightjar_wire::Nanos;
use rustix::process::Signal;

#[test]
fn sigterm_closes_calls_in_progress_and_stores_them() {
    if !is_root("sigterm_closes_calls_in_progress_and_stores_them") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]);
    let sensor = place.start(&namespace);
    let mut scenario = Scenario::new("in-progress", 3);
    for index in 0..6 {
        let mut call = scenario.plain();
        call.talk = Nanos::from_secs(20);
        // The last one still rings when the sensor stops.
        call.ring = if index == 5 { Nanos::from_secs(20) } else { Nanos::from_millis(300) };
        scenario.call(Nanos::from_millis(200 * index), call);
    }
    let traffic = Traffic::start(&namespace, "far", scenario, None);
    thread::sleep(Duration::from_secs(5));
    let ended = stop(sensor);
    let Played { expected, stalls } = traffic.hang_up();

    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains("6 calls in progress"), "{}", ended.stderr);
    let (rows, summary) = (place.rows(), place.summary());
    assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
    assert_eq!((rows.len(), &summary["calls"]), (6, &6.into()));
    let found = by_call_id(&rows);
    for call in &expected.calls {
        let row = found[call.call_id.as_deref().unwrap()];
        let end = row.end.as_ref().unwrap();
        assert_eq!(end.cause, EndCause::Shutdown, "{row:?}");
        if call.index == 5 {
            assert_eq!((row.state, row.recordings.len()), (CallState::Failed, 0), "{row:?}");
            continue;
        }
        assert_eq!(row.state, CallState::Incomplete, "{row:?}");
        assert_tones(&place.data(), row, call);
        let length = row.recordings[0].duration_ms.unwrap();
        let span = (row.ended_at.unwrap().0 - row.streams[0].started_at.0) as u64 / 1000;
        assert!(length.abs_diff(span) <= 40 + stalls.total().as_millis(), "{length} ms of {span}");
    }
}

#[test]
fn what_the_ring_holds_at_sigterm_is_read() {
    if !is_root("what_the_ring_holds_at_sigterm_is_read") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]);
    let sensor = place.start(&namespace);
    let office = Scenario::bulk("office", moments::random("sigterm").next_u64(), BulkPlan::busy_office(8));
    let traffic = Traffic::start(&namespace, "far", office, None);
    thread::sleep(Duration::from_secs(4));
    // The last of the calls' farewells is a moment old when the sensor is told to stop.
    let expected = traffic.hang_up().expected;
    assert!(stop(sensor).status.success());
    assert_rows(&place.rows(), &expected);
    assert_ledger(&place.summary(), &expected);
}

#[test]
fn what_the_ring_could_not_take_before_sigterm_is_counted() {
    if !is_root("what_the_ring_could_not_take_before_sigterm_is_counted") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]);
    let sensor = place.start(&namespace);
    let mut scenario = Scenario::new("burst", 5);
    let call = scenario.plain();
    scenario.call(Nanos::ZERO, call);
    let frames: Vec<Vec<u8>> = scenario.frames().map(|frame| frame.bytes).collect();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    sensor.signal(Signal::STOP);
    // More than a ring of 16 MiB holds.
    let mut sent = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            namespace.enter();
            let sender = FrameSender::open("far").unwrap();
            while sent < 120_000 {
                sent += sender.send_batch(&frames).unwrap();
            }
        });
    });
    sensor.signal(Signal::TERM);
    sensor.signal(Signal::CONT);
    let ended = sensor.wait(Duration::from_secs(30));
    assert!(ended.status.success(), "{ended:?}");
    let summary = place.summary();
    let of_source = |name: &str| summary["source"][name].as_u64().unwrap();
    assert!(of_source("received") > 10_000 && of_source("ring_full") > 10_000, "{summary:#}");
    assert_eq!(of_source("received") + of_source("ring_full"), sent as u64, "{summary:#}");
    assert_eq!(summary["packets"]["received"], summary["source"]["received"], "{summary:#}");
    assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
}
