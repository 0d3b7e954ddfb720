//! What networks and clocks do to streams, and what else is on the mirror port.

use nightjar_wire::Nanos;

use super::Entry;
use crate::audio::Audio;
use crate::bulk::BulkPlan;
use crate::impairment::Impairment;
use crate::noise::NoisePlan;
use crate::plan::CallPlan;
use crate::scenario::Scenario;

const PERFECT: Impairment = Impairment {
    loss_percent: 0.0,
    loss_burst: 1.0,
    duplicate_percent: 0.0,
    reorder_percent: 0.0,
    jitter_ms: 0,
    delay_ms: 0,
};

pub(super) const SCENARIOS: &[Entry] = &[
    Entry::one("loss", "3 % of packets are lost one by one", |call| {
        impair(call, Impairment { loss_percent: 3.0, ..PERFECT });
    }),
    Entry::one("loss-in-bursts", "5 % are lost in bursts of four", |call| {
        impair(call, Impairment { loss_percent: 5.0, loss_burst: 4.0, ..PERFECT });
    }),
    Entry::one("duplicates", "3 % are sent twice", |call| {
        impair(call, Impairment { duplicate_percent: 3.0, ..PERFECT });
    }),
    Entry::one("reordered", "3 % arrive after their successor", |call| {
        impair(call, Impairment { reorder_percent: 3.0, ..PERFECT });
    }),
    Entry::one("jitter", "up to 15 ms of jitter", |call| {
        impair(call, Impairment { jitter_ms: 15, ..PERFECT });
    }),
    Entry::one("jitter-heavy", "up to 60 ms of jitter", |call| {
        impair(call, Impairment { jitter_ms: 60, ..PERFECT });
    }),
    Entry::one("impaired", "loss, repetition, reordering and jitter together, for a minute", |call| {
        call.talk = Nanos::from_secs(60);
        impair(
            call,
            Impairment {
                loss_percent: 2.0,
                loss_burst: 2.0,
                duplicate_percent: 1.0,
                reorder_percent: 1.0,
                jitter_ms: 12,
                delay_ms: 30,
            },
        );
    }),
    Entry::one("clicks", "clicks on both legs at whole seconds", |call| {
        call.legs.iter_mut().for_each(|leg| leg.audio = Audio::Clicks);
    }),
    Entry::one("clicks-drift-30-minutes", "clicks for 31 minutes, the legs' clocks 100 ppm apart", |call| {
        call.talk = Nanos::from_secs(31 * 60);
        call.legs.iter_mut().for_each(|leg| leg.audio = Audio::Clicks);
        (call.legs[0].drift_ppm, call.legs[1].drift_ppm) = (50, -50);
    }),
    Entry::one(
        "speech-drift-30-minutes",
        "speech in turns for 31 minutes, 100 ppm apart, 10 ms of jitter",
        |call| {
            call.talk = Nanos::from_secs(31 * 60);
            (call.legs[0].audio, call.legs[1].audio) = (Audio::Turns(2), Audio::Turns(5));
            (call.legs[0].drift_ppm, call.legs[1].drift_ppm) = (50, -50);
            impair(call, Impairment { jitter_ms: 10, ..PERFECT });
        },
    ),
    Entry::many(
        "noise",
        "a call amid ARP, TCP, ICMP, DNS, stray RTP, malformed and cut frames",
        |mut scenario| {
            let call = scenario.plain();
            scenario.call(Nanos::from_secs(1), call);
            let until = Nanos::from_secs(15);
            scenario.with_noise(NoisePlan { from: Nanos::ZERO, until, every: Nanos::from_millis(20) })
        },
    ),
    Entry::many("office", "sixty varied calls of 8 to 40 s in two minutes", |scenario| {
        let seed = scenario.seed();
        let plan = BulkPlan { calls: Some(60), ..BulkPlan::office(Nanos::from_secs(2)) };
        Scenario::bulk("office", seed, plan)
    }),
];

fn impair(call: &mut CallPlan, impairment: Impairment) {
    call.legs.iter_mut().for_each(|leg| leg.impairment = impairment);
}
