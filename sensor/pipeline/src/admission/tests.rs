//! What must hold whatever comes, and the ways of single calls.

use std::collections::BTreeMap;

use nightjar_wire::Realm;
use proptest::prelude::*;

use super::*;

fn line(port: u16, packets_per_second: u32) -> MediaLine {
    let endpoint = Endpoint::new(Realm(0), [10, 0, 0, 1].into(), port);
    MediaLine { endpoint, packets_per_second }
}

fn limited(packets_per_second: u64) -> Admission {
    Admission::new(AdmissionConfig {
        packets_per_second: Some(packets_per_second),
        ..AdmissionConfig::default()
    })
}

fn lost(lost_frames: u64) -> Pressure {
    Pressure { lost_frames, ..Pressure::default() }
}

/// Samples each 10 ms for so long, each with so many frames lost since the one before.
fn sample(admission: &mut Admission, from_ms: u64, ms: u64, frames: u64, counter: &mut u64) -> Vec<CallKey> {
    let mut cut = Vec::new();
    for at in (from_ms..from_ms + ms).step_by(10) {
        *counter += frames;
        admission.handle_pressure(Nanos::from_millis(at), &lost(*counter), &mut cut);
    }
    cut.into_iter().map(|(call, _)| call).collect()
}

#[test]
fn what_is_promised_to_calls_of_less_worth_keeps_nobody_out() {
    let mut admission = limited(300);
    let ask = |admission: &mut Admission, call: u32, priority| {
        admission.handle_line(CallKey(call), priority, line(call as u16, 50))
    };
    assert_eq!(ask(&mut admission, 1, Priority::Usual), None);
    assert_eq!(ask(&mut admission, 2, Priority::Usual), None);
    assert_eq!(ask(&mut admission, 3, Priority::Unsignalled), None);
    let refused = Some(Shed::Refused(Spent::Promised));
    assert_eq!(ask(&mut admission, 4, Priority::Unsignalled), refused);
    assert_eq!(ask(&mut admission, 5, Priority::Usual), None);
    assert_eq!(ask(&mut admission, 6, Priority::Usual), refused);
    assert_eq!(ask(&mut admission, 7, Priority::Emergency), None);
    let counts = admission.counts();
    assert_eq!((counts.admitted, counts.refused, counts.promised), (5, [2, 0, 0, 0], 500));
}

#[test]
fn a_call_promises_both_directions_from_its_first_line_on_and_nothing_after_its_end() {
    let mut admission = limited(200);
    admission.handle_line(CallKey(1), Priority::Usual, line(1, 50));
    assert_eq!(admission.counts().promised, 100);
    admission.handle_line(CallKey(1), Priority::Usual, line(2, 50));
    admission.handle_line(CallKey(1), Priority::Usual, line(2, 50));
    assert_eq!(admission.counts().promised, 100);
    // A third stream is more than was asked for: the call has been admitted all the same.
    assert_eq!(admission.handle_line(CallKey(1), Priority::Usual, line(3, 200)), None);
    assert_eq!(admission.counts().promised, 400);
    admission.handle_line_end(CallKey(1), line(3, 0).endpoint);
    assert_eq!(admission.counts().promised, 100);
    admission.handle_end(CallKey(1));
    admission.handle_line(CallKey(1), Priority::Usual, line(1, 50));
    assert_eq!(admission.counts().promised, 0);
    admission.forget(CallKey(1));
    assert!(!admission.knows(CallKey(1)));
}

#[test]
fn the_least_and_newest_are_cut_as_many_as_are_lost() {
    let mut admission = Admission::new(AdmissionConfig::default());
    for call in 0..10 {
        let priority = if call == 2 { Priority::Unsignalled } else { Priority::Usual };
        assert_eq!(admission.handle_line(CallKey(call), priority, line(call as u16, 50)), None);
    }
    let mut counter = 0;
    assert_eq!(sample(&mut admission, 0, 1_000, 0, &mut counter), []);
    // 250 a second are lost: three calls of 100.
    let cut = sample(&mut admission, 1_000, 90, 2, &mut counter);
    assert_eq!(cut, []);
    let cut = sample(&mut admission, 1_090, 10, 7, &mut counter);
    assert_eq!(cut, [CallKey(2), CallKey(9), CallKey(8)]);
    // Newcomers are refused until a second has passed without loss, then let in little by little.
    let ask = |admission: &mut Admission, call: u32| {
        admission.handle_line(CallKey(call), Priority::Usual, line(call as u16, 50))
    };
    assert_eq!(ask(&mut admission, 20), Some(Shed::Refused(Spent::Promised)));
    sample(&mut admission, 1_100, 2_000, 0, &mut counter);
    assert_eq!(
        (ask(&mut admission, 21), ask(&mut admission, 22)),
        (None, Some(Shed::Refused(Spent::Promised)))
    );
    sample(&mut admission, 3_100, 20_000, 0, &mut counter);
    assert_eq!((23..40).map(|call| ask(&mut admission, call)).find(Option::is_some), None);
    assert_eq!(admission.counts().cut, [0, 3, 0, 0]);
}

#[test]
fn packets_without_a_block_are_the_disks_loss() {
    let mut admission = Admission::new(AdmissionConfig::default());
    admission.handle_line(CallKey(1), Priority::Usual, line(1, 50));
    let mut cut = Vec::new();
    for ms in (0..200).step_by(10) {
        let pressure = Pressure { unkept_packets: ms, ..Pressure::default() };
        admission.handle_pressure(Nanos::from_millis(ms), &pressure, &mut cut);
    }
    let [(CallKey(1), shed)] = cut[..] else { panic!("{cut:?}") };
    assert_eq!((shed, shed.gap_cause(), shed.mark()), (Shed::Cut(Spent::Blocks), GapCause::Disk, "cut"));
    let decision = shed.decision();
    assert_eq!((decision.action, decision.reason.as_deref()), (DecisionAction::Shed, Some("cut: blocks")));
}

#[test]
fn a_full_ring_keeps_out_all_but_emergencies() {
    let mut admission = Admission::new(AdmissionConfig {
        emergency_numbers: vec!["112".into()],
        ..AdmissionConfig::default()
    });
    for ms in [0, 25, 50] {
        let pressure = Pressure { ring: Fill(1_000), ..Pressure::default() };
        admission.handle_pressure(Nanos::from_millis(ms), &pressure, &mut Vec::new());
    }
    let usual = admission.priority_of(["0211123", "112233"].into_iter());
    let emergency = admission.priority_of(["0211123", "112"].into_iter());
    assert_eq!(admission.handle_line(CallKey(1), usual, line(1, 50)), Some(Shed::Refused(Spent::Ring)));
    assert_eq!(admission.handle_line(CallKey(2), emergency, line(2, 50)), None);
    admission.handle_pressure(Nanos::from_millis(60), &Pressure::default(), &mut Vec::new());
    assert_eq!(admission.handle_line(CallKey(3), usual, line(3, 50)), None);
    // The answer stands.
    assert_eq!(admission.handle_line(CallKey(1), usual, line(1, 50)), None);
    assert_eq!(admission.counts().promised, 200);
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Line(u32, Priority, u16, u32),
    LineEnd(u32, u16),
    End(u32),
    Forget(u32),
    /// After so many ms: frames lost since, the ring's fill.
    Sample(u64, u64, u16),
}

fn priorities() -> impl Strategy<Value = Priority> {
    (0..Priority::ALL.len()).prop_map(|number| Priority::ALL[number])
}

fn steps(losses: bool) -> impl Strategy<Value = Vec<Step>> {
    let call = 0u32..30;
    let fills = if losses { 0u16..=1_000 } else { 0u16..=749 };
    let frames = if losses { 0u64..40 } else { 0u64..1 };
    let step = prop_oneof![
        4 => (call.clone(), priorities(), 0u16..4, 1u32..200)
            .prop_map(|(call, priority, port, rate)| Step::Line(call, priority, port, rate)),
        1 => (call.clone(), 0u16..4).prop_map(|(call, port)| Step::LineEnd(call, port)),
        1 => call.clone().prop_map(Step::End),
        1 => call.prop_map(Step::Forget),
        6 => (10u64..60, frames, fills).prop_map(|(ms, lost, ring)| Step::Sample(ms, lost, ring)),
    ];
    prop::collection::vec(step, 1..400)
}

/// An admitted call as a reader of the rules would keep it.
struct Kept {
    priority: Priority,
    number: usize,
    lines: BTreeMap<u16, u32>,
}

impl Kept {
    fn promised(&self) -> u64 {
        let rates = || self.lines.values().map(|rate| u64::from(*rate));
        rates().sum::<u64>().max(2 * rates().max().unwrap_or(0))
    }
}

/// The same, the slow way; checks each answer.
#[derive(Default)]
struct Model {
    kept: BTreeMap<u32, Kept>,
    asked: BTreeMap<u32, bool>,
    admitted: usize,
    refused: u64,
}

impl Model {
    fn promised_from(&self, priority: Priority) -> u64 {
        self.kept.values().filter(|kept| kept.priority >= priority).map(Kept::promised).sum()
    }

    fn handle_answer(&mut self, call: u32, priority: Priority, port: u16, rate: u32, answer: Option<Shed>) {
        if self.asked.insert(call, true).is_some() {
            assert_eq!(answer, None, "a call is refused once");
        } else if let Some(shed) = answer {
            assert!(matches!(shed, Shed::Refused(_)));
            self.refused += 1;
        } else {
            let kept = Kept { priority, number: self.admitted, lines: BTreeMap::from([(port, rate)]) };
            self.kept.insert(call, kept);
            self.admitted += 1;
        }
        if let Some(kept) = self.kept.get_mut(&call) {
            kept.lines.insert(port, rate);
        }
    }

    /// Who is to be cut next.
    fn least(&self) -> Option<u32> {
        let by_worth = |(_, kept): &(&u32, &Kept)| (kept.priority, usize::MAX - kept.number);
        self.kept.iter().min_by_key(by_worth).map(|(call, _)| *call)
    }
}

proptest! {
    #[test]
    fn nothing_is_shed_while_nothing_is_lost_and_nothing_is_spent(steps in steps(false)) {
        let mut admission = Admission::new(AdmissionConfig::default());
        let (mut now, mut cut) = (Nanos::ZERO, Vec::new());
        for step in steps {
            match step {
                Step::Line(call, priority, port, rate) => {
                    prop_assert_eq!(admission.handle_line(CallKey(call), priority, line(port, rate)), None);
                }
                Step::LineEnd(call, port) => admission.handle_line_end(CallKey(call), line(port, 0).endpoint),
                Step::End(call) => admission.handle_end(CallKey(call)),
                Step::Forget(call) => admission.forget(CallKey(call)),
                Step::Sample(ms, _, ring) => {
                    now = now + Nanos::from_millis(ms);
                    let pressure = Pressure { ring: Fill(ring), ..Pressure::default() };
                    admission.handle_pressure(now, &pressure, &mut cut);
                }
            }
        }
        prop_assert!(cut.is_empty());
    }

    #[test]
    fn refusals_keep_the_budget_and_cuts_their_order_rate_and_size(
        steps in steps(true),
        budget in prop::option::of(200u64..4_000),
    ) {
        let mut admission =
            Admission::new(AdmissionConfig { packets_per_second: budget, ..AdmissionConfig::default() });
        let mut model = Model::default();
        let (mut now, mut counter) = (Nanos::ZERO, 0);
        // The samples since the last batch: when it was, and the frames lost since.
        let (mut cut_at, mut lost_since) = (None, 0);
        for step in steps {
            match step {
                Step::Line(call, priority, port, rate) => {
                    let fits = budget.is_none_or(|budget| {
                        model.promised_from(priority) + 2 * u64::from(rate) <= budget
                    });
                    let fresh = !model.asked.contains_key(&call);
                    let answer = admission.handle_line(CallKey(call), priority, line(port, rate));
                    prop_assert!(fits || !fresh || answer.is_some(), "the budget is kept");
                    model.handle_answer(call, priority, port, rate, answer);
                }
                Step::LineEnd(call, port) => {
                    admission.handle_line_end(CallKey(call), line(port, 0).endpoint);
                    model.kept.get_mut(&call).map(|kept| kept.lines.remove(&port));
                }
                Step::End(call) => {
                    admission.handle_end(CallKey(call));
                    model.kept.remove(&call);
                }
                Step::Forget(call) => {
                    admission.forget(CallKey(call));
                    model.kept.remove(&call);
                    model.asked.remove(&call);
                }
                Step::Sample(ms, lost, ring) => {
                    now = now + Nanos::from_millis(ms);
                    counter += lost;
                    lost_since += lost;
                    let pressure = Pressure { lost_frames: counter, ring: Fill(ring), ..Pressure::default() };
                    let mut cut = Vec::new();
                    admission.handle_pressure(now, &pressure, &mut cut);
                    if cut.is_empty() {
                        continue;
                    }
                    prop_assert!(lost > 0 && cut_at.is_none_or(|at| now - at >= LOSING));
                    // No frame counts for two batches, and none of them was lost in less than 100 ms.
                    let mut freed = 0;
                    for (call, shed) in cut {
                        prop_assert_eq!((model.least(), shed), (Some(call.0), Shed::Cut(Spent::Ring)));
                        prop_assert!(freed < lost_since * 10, "one fewer would have been enough");
                        freed += model.kept.remove(&call.0).map_or(0, |kept| kept.promised());
                    }
                    (cut_at, lost_since) = (Some(now), 0);
                }
            }
            prop_assert_eq!(admission.counts().promised, model.promised_from(Priority::Unsignalled));
        }
        let counts = admission.counts();
        prop_assert_eq!(counts.refused.iter().sum::<u64>(), model.refused);
        prop_assert_eq!(counts.admitted, model.admitted as u64);
    }

    #[test]
    fn after_any_load_a_quiet_time_admits_again(steps in steps(true)) {
        let mut admission = limited(1_000_000);
        let (mut now, mut counter) = (Nanos::ZERO, 0);
        for step in steps {
            match step {
                Step::Line(call, priority, port, rate) => {
                    admission.handle_line(CallKey(call), priority, line(port, rate));
                }
                Step::Sample(ms, lost, ring) => {
                    now = now + Nanos::from_millis(ms);
                    counter += lost;
                    let pressure = Pressure { lost_frames: counter, ring: Fill(ring), ..Pressure::default() };
                    admission.handle_pressure(now, &pressure, &mut Vec::new());
                }
                Step::LineEnd(..) | Step::End(_) | Step::Forget(_) => {}
            }
        }
        for _ in 0..300 {
            now = now + Nanos::from_millis(100);
            admission.handle_pressure(now, &lost(counter), &mut Vec::new());
        }
        prop_assert_eq!(admission.handle_line(CallKey(1_000), Priority::Usual, line(1, 50)), None);
    }
}
