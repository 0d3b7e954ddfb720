//! Calls beyond the budget: refused, listed, and dropped before they reach user space.

use std::time::Duration;

use nightjar_load::Scenario;
use nightjar_privileged::moments::wait_until;
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::rows::{assert_row, assert_xdp_ledger, by_call_id, residual};
use nightjar_privileged::scrape::{SETTINGS, Scrape};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::Traffic;
use nightjar_schema::{Call, CallState, DecisionAction};
use nightjar_wire::Nanos;

/// Five calls at once, of 100 packets a second each.
fn five_calls() -> Scenario {
    let mut scenario = Scenario::new("five", 7);
    for index in 0..5 {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(500);
        call.talk = Nanos::from_secs(4);
        scenario.call(Nanos::from_millis(200 * index), call);
    }
    scenario
}

#[test]
fn calls_beyond_the_budget_are_refused() {
    if !is_root("calls_beyond_the_budget_are_refused") {
        return;
    }
    std::thread::scope(|scope| {
        for method in ["af_xdp", "af_packet"] {
            scope.spawn(move || assert_refused(method));
        }
    });
}

fn assert_refused(method: &str) {
    let namespace = Namespace::with_veth();
    let settings = format!("{SETTINGS}[admission]\npackets_per_second = 300\n");
    let mut place = Place::new(&["near"]).by(method).with(&settings);
    let sensor = place.start(&namespace);
    let expected = Traffic::start(&namespace, "far", five_calls(), None).finish().expected;
    place.wait_for_rows(expected.calls.len());
    let refused = "nightjar_calls_refused_total{spent=packets_per_second}";
    let scraped = wait_until(Duration::from_secs(10), || Scrape::of(&namespace).value(refused) == 2.0);
    assert!(scraped, "{}", Scrape::of(&namespace).text);
    assert!(stop(sensor).status.success());

    let rows: Vec<Call> = place.latest_rows();
    let found = by_call_id(&rows);
    let mut media = 0;
    for (number, call) in expected.calls.iter().enumerate() {
        let row = found[call.call_id.as_deref().unwrap()];
        if number < 3 {
            assert_row(row, call);
            assert_eq!((row.decision.action, row.recordings.len()), (DecisionAction::Record, 1), "{row:?}");
            continue;
        }
        media += call.streams.iter().map(|stream| stream.packets).sum::<u64>();
        assert_eq!((row.state, row.decision.action), (CallState::Completed, DecisionAction::Shed), "{row:?}");
        assert_eq!(row.decision.reason.as_deref(), Some("refused: packets_per_second"));
        assert!(row.recordings.is_empty() && row.gaps.is_empty(), "{row:?}");
    }
    let summary = place.summary();
    let admission = &summary["admission"];
    assert_eq!((&admission["admitted"], &admission["refused"]["packets_per_second"]), (&3.into(), &2.into()));
    assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
    if method == "af_xdp" {
        // Media begins half a second after the answer is due: the program knows by then.
        assert_eq!(summary["xdp"][0]["program"]["dropped_cut"], media, "{summary:#}");
        assert_eq!(summary["packets"]["dropped"], serde_json::json!({}), "{summary:#}");
        assert_xdp_ledger(&summary, expected.ledger.frames);
    } else {
        assert_eq!(summary["packets"]["dropped"], serde_json::json!({ "refused": media }), "{summary:#}");
    }
}
