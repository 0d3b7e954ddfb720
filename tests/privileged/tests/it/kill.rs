//! SIGKILL at random moments under load: the next start goes on with the calls in progress.

use std::thread;
use std::time::Duration;

use nightjar_load::{CallExpected, Expected, Random, Scenario};
use nightjar_privileged::crash::{
    Outage, Seen, UNCOMMITTED, any_pause, assert_gaps, assert_packets, is_row_of, kill_and_restart, nanos,
    seen, wait_for_calls,
};
use nightjar_privileged::moments;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::{assert_file, assert_tones};
use nightjar_privileged::rows::{assert_gaps_of_stalls, by_call_id, residual};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::stalls::Stalls;
use nightjar_privileged::traffic::{Played, Traffic};
use nightjar_schema::{Call, CallState, EndCause, GapCause, Protocol};
use nightjar_wire::Nanos;
use serde_json::Value;

const CALLS: u64 = 20;

#[test]
fn a_killed_sensor_goes_on_with_its_calls() {
    if !is_root("a_killed_sensor_goes_on_with_its_calls") {
        return;
    }
    let mut random = moments::random("kill");
    let namespace = Namespace::with_veth();
    // WAV: Opus takes a second or two to learn some pairs of pure tones.
    let settings = "[calls]\nmedia_timeout_s = 3\n[recording]\nformat = \"wav\"\nsave_every_s = 1\n";
    let mut place = Place::new(&["near"]).with(settings);
    let mut sensor = place.start(&namespace);
    let traffic = Traffic::start(&namespace, "far", overlapping_calls(&mut random), None);
    let mut outages = Vec::new();
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(random.between(2500, 4500)));
        let pause = any_pause(&mut random);
        let (next, outage) = kill_and_restart(sensor, &mut place, &namespace, pause, |_| {});
        sensor = next;
        outages.push(outage);
    }
    let Played { expected, stalls } = traffic.finish();
    let begun = |call: &&CallExpected| seen(call, &outages, &stalls, UNCOMMITTED) != Seen::NotBeginning;
    let begun: Vec<&CallExpected> = expected.calls.iter().filter(begun).collect();
    wait_for_calls(&place, &begun);
    let ended = stop(sensor);
    assert!(ended.status.success(), "{ended:?}");

    let rows = place.rows();
    let spanning = assert_calls(&place, &rows, &expected, &outages, &stalls);
    assert!(spanning >= 5, "{spanning} calls across a kill are too few to prove anything");
    assert_strays(&rows, &expected, &outages, &stalls);
    assert_counts(&place.summary());
}

/// Calls of 3 to 9 s that begin every 600 ms.
fn overlapping_calls(random: &mut Random) -> Scenario {
    let mut scenario = Scenario::new("overlapping", random.next_u64());
    for index in 0..CALLS {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(200);
        call.talk = Nanos::from_millis(random.between(3000, 9000));
        scenario.call(Nanos::from_millis(600 * index), call);
    }
    scenario
}

/// Every call whose beginning was seen has one row under its first id; one that was seen whole
/// lacks nothing but the outages. Returns how many of those have lived through one.
fn assert_calls(
    place: &Place,
    rows: &[Call],
    expected: &Expected,
    outages: &[Outage],
    stalls: &Stalls,
) -> usize {
    let found = by_call_id(rows);
    let mut spanning = 0;
    for call in &expected.calls {
        let seen = seen(call, outages, stalls, UNCOMMITTED);
        if seen == Seen::NotBeginning {
            continue;
        }
        let row =
            found.get(call.call_id.as_deref().unwrap()).unwrap_or_else(|| panic!("no row of {call:#?}"));
        assert!(!row.begun_before_capture, "{row:?}");
        // The id's time is the first packet's: the INVITE's, which only the first run has seen.
        let (seconds, nanos_of) = row.id.get_timestamp().unwrap().to_unix();
        let id_ms = seconds * 1000 + u64::from(nanos_of) / 1_000_000;
        assert_eq!(id_ms, nanos(row.started_at).as_millis(), "{row:?}");
        row.recordings.iter().for_each(|recording| assert_file(&place.data(), recording));
        if seen == Seen::Beginning {
            let cause = row.end.as_ref().map(|end| end.cause);
            let unseen = [EndCause::MediaTimeout, EndCause::Shutdown, EndCause::Bye];
            assert!(cause.is_some_and(|cause| unseen.contains(&cause)), "{row:?}");
            continue;
        }
        assert_eq!(row.state, CallState::Completed, "{row:?}");
        let from = stalls.sent_at(nanos(call.answered_at.unwrap()));
        let to = nanos(call.ended_at.unwrap());
        let within: Vec<&Outage> = outages.iter().filter(|o| o.is_within(from, to, UNCOMMITTED)).collect();
        assert_gaps(row, &within, stalls, UNCOMMITTED);
        assert_packets(row, call, stalls);
        assert_tones(&place.data(), row, call);
        spanning += usize::from(!within.is_empty());
    }
    spanning
}

/// Rows that no Call-ID explains are the media of calls whose beginning fell into an outage.
fn assert_strays(rows: &[Call], expected: &Expected, outages: &[Outage], stalls: &Stalls) {
    for row in rows {
        if expected.calls.iter().any(|call| is_row_of(row, call)) {
            continue;
        }
        assert_eq!(row.protocol, Protocol::None, "{row:?}");
        let owner = expected.calls.iter().find(|call| {
            row.streams.iter().any(|stream| call.streams.iter().any(|sent| sent.src == stream.src))
        });
        let owner = owner.unwrap_or_else(|| panic!("nobody sent {row:?}"));
        assert_eq!(seen(owner, outages, stalls, UNCOMMITTED), Seen::NotBeginning, "{row:?}");
    }
}

/// The last run's counts add up, packets of earlier runs included.
fn assert_counts(summary: &Value) {
    assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
    assert_eq!(summary["source"]["ring_full"], 0, "{summary:#}");
    let audio = &summary["audio_packets"];
    let number = |value: &Value| value.as_u64().unwrap();
    let discarded: u64 = audio["discarded"].as_object().unwrap().values().map(number).sum();
    let used = ["encoded", "duplicate", "late", "lost"].iter().map(|name| number(&audio[name])).sum::<u64>();
    let given = number(&summary["packets"]["recorded"]) + number(&summary["recovered_packets"]);
    assert_eq!(given, used + discarded, "{summary:#}");
}

#[test]
fn a_sensor_that_is_killed_while_it_recovers_loses_no_call() {
    if !is_root("a_sensor_that_is_killed_while_it_recovers_loses_no_call") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).with("[recording]\nformat = \"wav\"\nsave_every_s = 1\n");
    let mut sensor = place.start(&namespace);
    let mut scenario = Scenario::new("recovering", 5);
    for index in 0..4 {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(100);
        call.talk = Nanos::from_secs(7);
        scenario.call(Nanos::from_millis(150 * index), call);
    }
    let traffic = Traffic::start(&namespace, "far", scenario, None);
    thread::sleep(Duration::from_millis(2500));
    for _ in 0..4 {
        // It has its sockets then, and reads the journal.
        (sensor, _) = kill_and_restart(sensor, &mut place, &namespace, Duration::ZERO, |_| {});
    }
    let Played { expected, stalls } = traffic.finish();
    place.wait_for_rows(expected.calls.len());
    assert!(stop(sensor).status.success());
    let rows = place.rows();
    let found = by_call_id(&rows);
    assert_eq!(rows.len(), expected.calls.len());
    for call in &expected.calls {
        let row = found[call.call_id.as_deref().unwrap()];
        assert_eq!((row.state, row.begun_before_capture), (CallState::Completed, false), "{row:?}");
        assert!(row.gaps.iter().any(|gap| gap.cause == GapCause::SensorDown), "{row:?}");
        assert_gaps_of_stalls(row, &stalls);
        assert_packets(row, call, &stalls);
        assert_tones(&place.data(), row, call);
    }
    assert_counts(&place.summary());
}
