//! What every store has to pass, whatever database is behind it. It runs against an empty store.

use nightjar_schema::Timestamp;
use uuid::Uuid;

use super::{CallFilter, CallReport, Cursor, PeaksState, SessionLimits, Store, StoreError, StoredRecording};
use crate::precedence::{Precedence, Stage};
use crate::summary::{CallSummary, Outline, PartySummary};
use crate::token::TokenHash;

/// Runs all of it.
pub(crate) async fn run(store: &dyn Store) {
    accounts(store).await;
    sessions(store).await;
    the_same_row_remains_in_any_order(store).await;
    a_batch_is_taken_whole_or_not_at_all(store).await;
    pages_are_stable_while_calls_come_in(store).await;
    three_calls(store).await;
    each_field_is_filtered(store).await;
    text_is_found_wherever_it_is(store).await;
    what_a_call_is_found_by_changes_with_its_row(store).await;
    recordings(store).await;
    counts(store).await;
}

/// A moment of the suite, in seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn report(id: u128, started: i64, state: &str, revision: u32, stage: Stage) -> CallReport {
    let summary = CallSummary {
        id: Uuid::from_u128(id),
        protocol: "sip".to_owned(),
        direction: "inbound".to_owned(),
        state: state.to_owned(),
        status: None,
        started_at: at(started),
        answered_at: None,
        ended_at: None,
        duration_ms: None,
        from: PartySummary::default(),
        to: PartySummary::default(),
        marks: Vec::new(),
        has_audio: false,
        recording_id: None,
        gaps: 0,
        sensor: "s1".to_owned(),
    };
    let outline = Outline {
        summary,
        audio: Vec::new(),
        numbers: Vec::new(),
        parties: String::new(),
        identifiers: String::new(),
    };
    let event = Uuid::from_u128(u128::from(revision) << 8 | stage as u128);
    let precedence = Precedence::new(revision, stage, at(started), event);
    let document = format!("{{\"row\":\"{id} {state} {revision} {}\"}}", stage.number());
    CallReport { precedence, outline, document }
}

async fn accounts(store: &dyn Store) {
    assert!(store.add_account("Ada", "admin", "hash 1", at(1)).await.unwrap());
    assert!(
        !store.add_account("ada", "admin", "hash 2", at(2)).await.unwrap(),
        "case does not make a name another"
    );
    let ada = store.account("ADA").await.unwrap().expect("she is there");
    assert_eq!((ada.username.as_str(), ada.role.as_str(), ada.password.as_str()), ("Ada", "admin", "hash 1"));
    assert!(store.account("bob").await.unwrap().is_none());
    assert!(!store.set_password("bob", "x").await.unwrap());
}

async fn sessions(store: &dyn Store) {
    let ada = store.account("ada").await.unwrap().unwrap().id;
    let limits = |opened, used| SessionLimits { opened_after: at(opened), used_after: at(used) };
    let [one, two] = [TokenHash::of("1"), TokenHash::of("2")];
    store.open_session(one, ada, at(100), limits(0, 0)).await.unwrap();
    let found = store.session(one, limits(0, 0)).await.unwrap().expect("it holds");
    assert_eq!((found.account, found.username.as_str(), found.used_at), (ada, "Ada", at(100)));
    assert!(store.session(two, limits(0, 0)).await.unwrap().is_none());
    assert!(store.session(one, limits(101, 0)).await.unwrap().is_none(), "opened too long ago");
    assert!(store.session(one, limits(0, 101)).await.unwrap().is_none(), "unused for too long");
    store.touch_session(one, at(150)).await.unwrap();
    assert!(store.session(one, limits(0, 101)).await.unwrap().is_some());
    // Opening one forgets those that are over.
    store.open_session(two, ada, at(200), limits(120, 120)).await.unwrap();
    assert!(store.session(one, limits(0, 0)).await.unwrap().is_none());
    store.close_session(two).await.unwrap();
    assert!(store.session(two, limits(0, 0)).await.unwrap().is_none());
    store.open_session(one, ada, at(300), limits(0, 0)).await.unwrap();
    assert!(store.set_password("ADA", "hash 3").await.unwrap());
    assert!(store.session(one, limits(0, 0)).await.unwrap().is_none(), "a new password ends sessions");
    assert_eq!(store.account("Ada").await.unwrap().unwrap().password, "hash 3");
}

async fn the_same_row_remains_in_any_order(store: &dyn Store) {
    let reports = |id| {
        [
            report(id, 10, "active", 1, Stage::Started),
            report(id, 10, "active", 7, Stage::Updated),
            report(id, 10, "completed", 3, Stage::Ended),
            report(id, 10, "completed", 3, Stage::Recorded),
        ]
    };
    for (index, order) in permutations(4).into_iter().enumerate() {
        let id = 1_000 + index as u128;
        let reports = reports(id);
        for position in order {
            // Each comes twice: at least once is all that a sensor promises.
            for _ in 0..2 {
                store.report_calls("s1", &reports[position..=position], at(1)).await.unwrap();
            }
        }
        let row = store.call(Uuid::from_u128(id)).await.unwrap();
        assert_eq!(row.as_deref(), Some(reports[3].document.as_str()), "order {index}");
    }
    let last = &reports(1_000)[3];
    let changed = store.report_calls("s1", std::slice::from_ref(last), at(2)).await.unwrap();
    assert!(changed.is_empty(), "a repeat changes nothing");
    let renewed = report(1_000, 10, "completed", 4, Stage::Recorded);
    let changed = store.report_calls("s1", std::slice::from_ref(&renewed), at(2)).await.unwrap();
    assert_eq!(changed.len(), 1, "a higher revision does");
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![Vec::new()] };
    let shorter = permutations(last);
    let insert = |order: &Vec<usize>, place| {
        let mut order = order.clone();
        order.insert(place, last);
        order
    };
    shorter.iter().flat_map(|order| (0..n).map(move |place| insert(order, place))).collect()
}

async fn a_batch_is_taken_whole_or_not_at_all(store: &dyn Store) {
    let mut foreign = report(1_000, 10, "completed", 9, Stage::Recorded);
    foreign.outline.summary.sensor = "s2".to_owned();
    let own = report(1_500, 10, "active", 1, Stage::Started);
    let refused = store.report_calls("s2", &[own, foreign], at(3)).await;
    assert!(matches!(refused, Err(StoreError::Foreign(id)) if id == Uuid::from_u128(1_000)));
    assert!(store.call(Uuid::from_u128(1_500)).await.unwrap().is_none());
    assert!(store.sensors_seen().await.unwrap().iter().all(|(name, _)| name != "s2"));
    // Of a call that changed twice in one batch, only the last state is announced, in the order of change.
    let batch = [
        report(1_501, 11, "active", 1, Stage::Started),
        report(1_502, 11, "active", 1, Stage::Started),
        report(1_501, 11, "failed", 2, Stage::Ended),
    ];
    let changed = store.report_calls("s1", &batch, at(4)).await.unwrap();
    let seen: Vec<_> = changed.iter().map(|call| (call.id.as_u128(), call.state.as_str())).collect();
    assert_eq!(seen, [(1_502, "active"), (1_501, "failed")]);
}

async fn pages_are_stable_while_calls_come_in(store: &dyn Store) {
    // Several start at the same moment: the id decides between them.
    let first: Vec<_> =
        (0..25).map(|n| report(2_000 + n, 5_000 + (n as i64) / 4, "failed", 1, Stage::Ended)).collect();
    store.report_calls("s1", &first, at(5)).await.unwrap();
    let filter = CallFilter { from: Some(at(5_000)), to: Some(at(6_000)), ..CallFilter::default() };
    let (mut seen, mut after, mut newer) = (Vec::new(), None, 100);
    loop {
        let page = store.calls(&filter, after, 7).await.unwrap();
        seen.extend(page.calls.iter().map(|call| call.id.as_u128()));
        let newcomer = report(2_000 + newer, 5_500, "failed", 1, Stage::Ended);
        store.report_calls("s1", &[newcomer], at(6)).await.unwrap();
        newer += 1;
        after = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    let expected: Vec<_> = (0..25).rev().map(|n| 2_000 + n).collect();
    assert_eq!(seen, expected, "each once, newest first, no newcomer");
    let exact =
        store.calls(&filter, Some(Cursor { started_at: at(5_001), id: Uuid::from_u128(2_004) }), 4).await;
    let exact = exact.unwrap();
    assert_eq!((exact.calls.len(), exact.next), (4, None), "a full last page has no next one");
}

/// Three calls of a day of their own, for the filters to find.
async fn three_calls(store: &dyn Store) {
    let mut ada = report(3_001, 9_001, "completed", 1, Stage::Recorded);
    ada.outline.numbers = vec!["+493012345".to_owned(), "alice".to_owned()];
    ada.outline.parties = "ada löwe\nsip:+493012345@berlin.example".to_owned();
    ada.outline.identifiers = "4f-ab%c@10.0.0.1".to_owned();
    ada.outline.summary.duration_ms = Some(60_000);
    let mut bob = report(3_002, 9_002, "active", 1, Stage::Started);
    bob.outline.numbers = vec!["12345".to_owned()];
    bob.outline.parties = "bob \"the\" 王小明\nsip:bob@paris.example".to_owned();
    bob.outline.identifiers = "zz@10.0.0.2".to_owned();
    let mut eve = report(3_003, 9_003, "rejected", 1, Stage::Ended);
    eve.outline.numbers = vec!["99345".to_owned()];
    eve.outline.summary.duration_ms = Some(0);
    store.report_calls("s1", &[ada, bob, eve], at(7)).await.unwrap();
}

/// Which of the three a filter finds.
async fn found(store: &dyn Store, filter: CallFilter) -> Vec<u128> {
    let filter = CallFilter { from: filter.from.or(Some(at(9_000))), ..filter };
    let page = store.calls(&filter, None, 50).await.unwrap();
    // Page by page it is the same, although a store may search differently for a page that fills quickly.
    let (mut singly, mut after) = (Vec::new(), None);
    loop {
        let page = store.calls(&filter, after, 1).await.unwrap();
        singly.extend(page.calls);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(page.calls, singly);
    page.calls.iter().map(|call| call.id.as_u128() - 3_000).rev().collect()
}

fn by_number(text: &str) -> CallFilter {
    CallFilter { number: Some(text.to_owned()), ..CallFilter::default() }
}

fn by_terms(text: &str) -> CallFilter {
    CallFilter { terms: text.split(' ').map(str::to_owned).collect(), ..CallFilter::default() }
}

async fn each_field_is_filtered(store: &dyn Store) {
    assert_eq!(found(store, CallFilter::default()).await, [1, 2, 3]);
    let between = CallFilter { from: Some(at(9_002)), to: Some(at(9_003)), ..CallFilter::default() };
    assert_eq!(found(store, between).await, [2]);
    for (text, who) in [
        ("+49 30 12345", vec![1]),
        ("12345", vec![1, 2]),
        ("345", vec![1, 2, 3]),
        ("45", vec![]),
        ("ALICE", vec![1]),
        ("lice", vec![]),
        ("1234", vec![]),
        ("%45", vec![]),
    ] {
        assert_eq!(found(store, by_number(text)).await, who, "number {text}");
    }
    let lasting =
        |min, max| CallFilter { min_duration_ms: min, max_duration_ms: max, ..CallFilter::default() };
    assert_eq!(found(store, lasting(Some(60_000), None)).await, [1]);
    assert_eq!(found(store, lasting(None, Some(59_999))).await, [3]);
    assert_eq!(found(store, lasting(Some(0), Some(60_000))).await, [1, 3]);
    let states = |names: &[&str]| CallFilter {
        states: names.iter().map(ToString::to_string).collect(),
        ..CallFilter::default()
    };
    assert_eq!(found(store, states(&["active", "rejected"])).await, [2, 3]);
    assert_eq!(found(store, states(&["cancelled"])).await, [0_u128; 0]);
}

async fn text_is_found_wherever_it_is(store: &dyn Store) {
    let party = |text: &str| CallFilter { party: Some(text.to_owned()), ..CallFilter::default() };
    for (text, who) in [
        ("LÖWE", vec![1]),
        ("example", vec![1, 2]),
        ("\"THE\"", vec![2]),
        ("王小", vec![2]),
        ("ö", vec![1]),
        ("%", vec![]),
        ("10.0.0.1", vec![]),
    ] {
        assert_eq!(found(store, party(text)).await, who, "party {text}");
    }
    for (text, who) in [
        ("10.0.0", vec![1, 2]),
        ("ab%c", vec![1]),
        ("zz", vec![2]),
        ("bob 12345", vec![2]),
        ("bob ada", vec![]),
        ("30/12345", vec![1]),
        ("99345", vec![3]),
        ("a_a", vec![]),
        ("AND", vec![]),
        ("NEAR(", vec![]),
    ] {
        assert_eq!(found(store, by_terms(text)).await, who, "terms {text}");
    }
}

async fn what_a_call_is_found_by_changes_with_its_row(store: &dyn Store) {
    let mut renamed = report(3_003, 9_003, "rejected", 2, Stage::Ended);
    renamed.outline.numbers = vec!["77777".to_owned()];
    store.report_calls("s1", &[renamed], at(8)).await.unwrap();
    assert_eq!(found(store, by_number("99345")).await, [0_u128; 0]);
    assert_eq!(found(store, by_number("77777")).await, [3]);
    assert_eq!(found(store, by_terms("99345")).await, [0_u128; 0]);
}

async fn recordings(store: &dyn Store) {
    let recording = |id: u128, call: u128, stored: i64| StoredRecording {
        id: Uuid::from_u128(id),
        call: Uuid::from_u128(call),
        sensor: "s1".to_owned(),
        content_type: "audio/ogg".to_owned(),
        bytes: 5,
        sha256: [7; 32],
        path: "2026-01-01/x.ogg".to_owned(),
        stored_at: at(stored),
        peaks: PeaksState::Pending,
    };
    // It may come before its call.
    assert_eq!(store.add_recording(&recording(1, 4_001, 20)).await.unwrap(), (true, None));
    let mut call = report(4_001, 100, "completed", 1, Stage::Recorded);
    call.outline.audio = vec![Uuid::from_u128(2), Uuid::from_u128(1)];
    let changed = store.report_calls("s1", &[call], at(21)).await.unwrap();
    assert_eq!((changed[0].has_audio, changed[0].recording_id), (true, Some(Uuid::from_u128(1))));
    let (added, call) = store.add_recording(&recording(2, 4_001, 22)).await.unwrap();
    assert!(added);
    assert_eq!(
        call.unwrap().recording_id,
        Some(Uuid::from_u128(2)),
        "the row's order counts, not the uploads'"
    );
    assert!(!store.add_recording(&recording(2, 4_001, 23)).await.unwrap().0, "the id is taken");
    let foreign = StoredRecording { sensor: "s2".to_owned(), ..recording(3, 4_001, 24) };
    assert!(matches!(store.add_recording(&foreign).await, Err(StoreError::Foreign(_))));

    assert_eq!(store.recording(Uuid::from_u128(2)).await.unwrap(), Some(recording(2, 4_001, 22)));
    assert!(store.recording(Uuid::from_u128(3)).await.unwrap().is_none());
    let pending = async || -> Vec<u128> {
        store.pending_peaks(10).await.unwrap().iter().map(|recording| recording.id.as_u128()).collect()
    };
    assert_eq!(pending().await, [1, 2]);
    store.set_peaks(Uuid::from_u128(1), PeaksState::Ready).await.unwrap();
    store.set_peaks(Uuid::from_u128(2), PeaksState::Failed).await.unwrap();
    assert_eq!(pending().await, [0_u128; 0]);
    assert_eq!(store.recording(Uuid::from_u128(2)).await.unwrap().unwrap().peaks, PeaksState::Failed);
}

async fn counts(store: &dyn Store) {
    let before = store.counts(at(20_000)).await.unwrap();
    let calls = [
        report(5_001, 19_999, "active", 1, Stage::Started),
        report(5_002, 20_000, "active", 1, Stage::Started),
        report(5_003, 20_001, "failed", 1, Stage::Ended),
    ];
    store.report_calls("s1", &calls, at(30)).await.unwrap();
    let after = store.counts(at(20_000)).await.unwrap();
    assert_eq!((after.live - before.live, after.since - before.since, after.total - before.total), (2, 2, 3));
    let active = store.active_calls(2).await.unwrap();
    assert_eq!(active.iter().map(|call| call.id.as_u128()).collect::<Vec<_>>(), [5_001, 5_002]);
    assert_eq!(store.sensors_seen().await.unwrap(), [("s1".to_owned(), at(30))]);
}
