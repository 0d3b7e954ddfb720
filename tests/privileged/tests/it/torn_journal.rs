//! The journal's end is cut off or damaged between a kill and the next start: recovery goes up to
//! the last good block, says what it dropped, and the calls go on.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use nightjar_load::Scenario;
use nightjar_privileged::crash::{any_pause, assert_packets, is_row_of, kill_and_restart};
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::{assert_file, listen};
use nightjar_privileged::rows::by_call_id;
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::{Played, Traffic};
use nightjar_privileged::{moments, segments};
use nightjar_schema::{Call, CallState};
use nightjar_wire::Nanos;
use uuid::Uuid;

#[test]
fn recovery_goes_up_to_the_last_good_block() {
    if !is_root("recovery_goes_up_to_the_last_good_block") {
        return;
    }
    let mut random = moments::random("torn");
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).with("[calls]\nmedia_timeout_s = 3\n");
    let mut sensor = place.start(&namespace);
    let mut scenario = Scenario::new("torn", random.next_u64());
    for index in 0..10 {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(100);
        // Two are over before the first kill; the others live through both.
        call.talk = if index < 2 { Nanos::from_millis(1200) } else { Nanos::from_secs(10) };
        scenario.call(Nanos::from_millis(50 * index), call);
    }
    let traffic = Traffic::start(&namespace, "far", scenario, None);
    place.wait_for_rows(2);
    let stored: BTreeMap<Uuid, Call> = place.rows().into_iter().map(|row| (row.id, row)).collect();
    for damage in [segments::cut, segments::corrupt] {
        thread::sleep(Duration::from_millis(1500));
        let mut offset = 0;
        let pause = any_pause(&mut random);
        let (next, _) = kill_and_restart(sensor, &mut place, &namespace, pause, |place| {
            let segment = segments::newest(&place.data());
            let block = segments::any_late_block(&segment, &mut random);
            damage(&segment, block, &mut random);
            offset = block.offset;
        });
        sensor = next;
        sensor.wait_for("recovered");
        let said = format!("is unusable from byte {offset} on");
        assert!(sensor.stderr().contains(&said), "no {said:?}: {}", sensor.stderr());
    }
    let Played { expected, stalls } = traffic.finish();
    place.wait_for_rows(expected.calls.len());
    assert!(stop(sensor).status.success());

    let rows = place.rows();
    by_call_id(&rows);
    assert_eq!(rows.len(), expected.calls.len());
    for row in &rows {
        let call = expected.calls.iter().find(|call| is_row_of(row, call)).expect("a row of a call");
        assert_eq!(row.state, CallState::Completed, "{row:?}");
        assert!(!row.begun_before_capture, "{row:?}");
        row.recordings.iter().for_each(|recording| assert_file(&place.data(), recording));
        listen(&place.data(), row);
        match stored.get(&row.id) {
            Some(stored) => assert_eq!(stored, row),
            None => assert_packets(row, call, &stalls),
        }
    }
    assert!(stored.keys().all(|id| rows.iter().any(|row| row.id == *id)));
}
