//! How calls begin, are answered, and are not.

use nightjar_wire::Nanos;

use super::Entry;
use crate::audio::Audio;
use crate::party::{Party, Side, UriForm};
use crate::plan::{Attempt, Ending, Opening, Outcome};

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
];

fn colleague() -> Party {
    Party { number: "+155501900001".to_owned(), name: Some("Vera Colleague".to_owned()), form: UriForm::Sip }
}
