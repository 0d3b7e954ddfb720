//! SIGTERM with calls in progress: they are closed, marked and stored.

use std::thread;
use std::time::Duration;

use nightjar_load::Scenario;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::assert_tones;
use nightjar_privileged::rows::{by_call_id, residual};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::{Played, Traffic};
use nightjar_schema::{CallState, EndCause};
use nightjar_wire::Nanos;

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
