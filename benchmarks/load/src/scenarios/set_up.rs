//! How calls begin, are answered, and are not.

use nightjar_wire::Nanos;

use super::Entry;
use crate::audio::Audio;
use crate::g711::Codec;
use crate::party::{Party, Side, UriForm};
use crate::plan::{
    AckPlan, Attempt, CallPlan, EarlyUpdate, Ending, Hunted, Opening, Outcome, SignallingPath,
};

pub(super) const SCENARIOS: &[Entry] = &[
    Entry::one("answered", "an answered call, ended by the caller", |_| {}),
    Entry::one("bye-by-callee", "an answered call, ended by the callee", |call| {
        call.ending = Ending::Bye(Side::Callee);
    }),
    Entry::one("cancelled", "the caller gives up while it rings", |call| call.outcome = Outcome::Cancelled),
    Entry::one("rejected-486", "the callee is busy", |call| call.outcome = Outcome::Refused(486)),
    Entry::one("rejected-488", "the callee accepts no codec", |call| call.outcome = Outcome::Refused(488)),
    Entry::one("rejected-603", "the callee declines", |call| call.outcome = Outcome::Refused(603)),
    Entry::one("rejected-404", "nobody has the number", |call| call.outcome = Outcome::Refused(404)),
    Entry::one("failed-503", "the server is out of service", |call| call.outcome = Outcome::Refused(503)),
    Entry::one("failed-408", "the proxy gives up waiting", |call| call.outcome = Outcome::Refused(408)),
    Entry::one("unheard", "the INVITE is repeated and never answered", |call| {
        call.outcome = Outcome::Unheard;
    }),
    Entry::one("redirected", "302 to another party, who answers", |call| {
        call.prelude = vec![Attempt::Redirected(colleague())];
    }),
    Entry::one("challenged-401", "401, then answered with credentials", |call| {
        call.prelude = vec![Attempt::Challenged(401)];
    }),
    Entry::one("challenged-407", "407, then answered with credentials", |call| {
        call.prelude = vec![Attempt::Challenged(407)];
    }),
    Entry::one("challenged-twice", "407 and 401, then answered", |call| {
        call.prelude = vec![Attempt::Challenged(407), Attempt::Challenged(401)];
    }),
    Entry::one("challenge-failed", "401, then 403 for wrong credentials", |call| {
        call.prelude = vec![Attempt::Challenged(401)];
        call.outcome = Outcome::Refused(403);
    }),
    Entry::one("late-offer", "the offer is in the 200, the answer in the ACK", |call| {
        call.opening = Opening::LateOffer;
    }),
    Entry::one("early-media", "an announcement (tone 1700) before the answer", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::EarlyMedia(Audio::Tone(1700));
    }),
    Entry::one("early-media-cancelled", "an announcement, then the caller gives up", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::EarlyMedia(Audio::Tone(1700));
        call.outcome = Outcome::Cancelled;
    }),
    Entry::one("early-media-rejected", "an announcement, then 404", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::EarlyMedia(Audio::Tone(1700));
        call.outcome = Outcome::Refused(404);
    }),
    Entry::one("forked", "three forks with early media, the last one answers", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::Forked(vec![Audio::Tone(1700), Audio::Tone(1900), Audio::Tone(2100)]);
    }),
    Entry::one("forked-cancelled", "two forks with early media, nobody answers", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::Forked(vec![Audio::Tone(1700), Audio::Tone(1900)]);
        call.outcome = Outcome::Cancelled;
    }),
    Entry::one("forked-both-answer", "two forks answer; the caller hangs up on the second", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::Forked(vec![Audio::Tone(1700), Audio::Tone(1900)]);
        call.second_answer = Some(Nanos::from_millis(400));
    }),
    Entry::one("hunted", "a proxy tries a busy target, one that does not answer, then the callee", |call| {
        hunt(call, &[(486, Some(1700)), (487, None)]);
    }),
    Entry::one("hunted-in-vain", "a proxy tries two targets and the callee; all refuse", |call| {
        hunt(call, &[(480, None), (486, None)]);
        call.outcome = Outcome::Refused(480);
    }),
    Entry::one("hunted-cancelled", "the caller gives up at the second target", |call| {
        hunt(call, &[(480, None)]);
        call.outcome = Outcome::Cancelled;
    }),
    Entry::one("prack", "ringing is sent reliably and acknowledged (RFC 3262)", |call| call.reliable = true),
    Entry::one("prack-early-media", "a reliable 183 with early media, over a proxy", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::EarlyMedia(Audio::Tone(1700));
        (call.reliable, call.path) = (true, SignallingPath::BothSidesOfProxy);
    }),
    Entry::one("prack-answers", "the offer is in a reliable 183, the answer in its PRACK", |call| {
        call.ring = Nanos::from_secs(4);
        call.opening = Opening::OfferInProgress(Audio::Tone(1700));
        call.reliable = true;
    }),
    Entry::one("prack-cancelled", "ringing reliably, the caller gives up", |call| {
        (call.reliable, call.outcome) = (true, Outcome::Cancelled);
    }),
    Entry::one("early-update-moves-caller", "an UPDATE before the answer moves the caller's media", |call| {
        early_update(call, EarlyUpdate { by: Side::Caller, port_step: 4, codec: None });
    }),
    Entry::one("early-update-by-callee", "an UPDATE of the callee before the answer: port and law", |call| {
        early_update(call, EarlyUpdate { by: Side::Callee, port_step: 8, codec: Some(Codec::Pcmu) });
    }),
    Entry::one("cancel-crosses-answer", "a CANCEL crosses the 200: it is a call all the same", |call| {
        call.talk = Nanos::from_secs(2);
        call.cancel_crosses_answer = true;
    }),
    Entry::one("bye-before-ack", "the callee hangs up before the ACK comes", |call| {
        call.talk = Nanos::from_secs(2);
        (call.ack, call.ending) = (AckPlan::AfterBye, Ending::Bye(Side::Callee));
    }),
    Entry::one("ack-unseen", "the 200 is repeated for 32 s; then the callee hangs up", |call| {
        call.talk = Nanos::from_secs(32);
        (call.ack, call.ending) = (AckPlan::Never, Ending::Bye(Side::Callee));
    }),
    Entry::one("tagless-callee", "the callee gives no tags (RFC 2543), and hangs up", |call| {
        call.tagless_callee = true;
        call.ending = Ending::Bye(Side::Callee);
    }),
];

fn hunt(call: &mut CallPlan, targets: &[(u16, Option<u32>)]) {
    call.ring = Nanos::from_secs(2 + 2 * targets.len() as u64);
    let hunted = |&(status, early): &(u16, Option<u32>)| Hunted { status, early: early.map(Audio::Tone) };
    call.opening = Opening::Hunted(targets.iter().map(hunted).collect());
    call.path = SignallingPath::BothSidesOfProxy;
}

fn early_update(call: &mut CallPlan, update: EarlyUpdate) {
    call.ring = Nanos::from_secs(4);
    call.opening = Opening::EarlyMedia(Audio::Tone(1700));
    (call.reliable, call.early_update) = (true, Some(update));
}

fn colleague() -> Party {
    Party { number: "+155501900001".to_owned(), name: Some("Vera Colleague".to_owned()), form: UriForm::Sip }
}
