//! Every scenario of the generator, by topic: what the sensor says about it is what was sent.

use std::collections::BTreeSet;

use nightjar_load::scenarios;
use nightjar_scenarios::{Faults, replayed};

use crate::{account, heard};

const BEGINNINGS: &[&str] = &[
    "answered",
    "bye-by-callee",
    "redirected",
    "challenged-401",
    "challenged-407",
    "challenged-twice",
    "late-offer",
    "early-media",
    "forked",
    "forked-both-answer",
    "hunted",
    "cancel-crosses-answer",
    "bye-before-ack",
    "ack-unseen",
    "tagless-callee",
];

const BEFORE_THE_ANSWER: &[&str] = &[
    "prack",
    "prack-early-media",
    "prack-answers",
    "prack-cancelled",
    "early-update-moves-caller",
    "early-update-by-callee",
];

const UNANSWERED: &[&str] = &[
    "cancelled",
    "rejected-486",
    "rejected-488",
    "rejected-603",
    "rejected-404",
    "failed-503",
    "failed-408",
    "unheard",
    "challenge-failed",
    "early-media-cancelled",
    "early-media-rejected",
    "forked-cancelled",
    "hunted-in-vain",
    "hunted-cancelled",
];

const CHANGES: &[&str] = &[
    "reinvite-moves-caller",
    "reinvite-moves-callee",
    "reinvite-switches-law",
    "reinvite-changes-ptime",
    "reinvite-changes-all",
    "reinvite-refused",
    "reinvite-challenged",
    "reinvite-glare",
    "reinvite-comes-late",
    "moved-and-returned",
    "moved-and-returned-twice",
    "update-moves-caller",
    "update-changes-all",
    "tagless-reinvite",
    "session-timer",
    "session-timer-by-update",
];

const HOLDS: &[&str] = &[
    "hold-sendonly",
    "hold-inactive",
    "hold-zero-address",
    "hold-music-of-holder",
    "hold-music-of-third",
    "hold-twice",
    "hold-60-minutes",
    "hold-until-bye",
    "hold-late-offer",
    "hold-counted-on",
];

const PARTIAL: &[&str] = &[
    "bye-unseen",
    "bye-unseen-while-others-talk",
    "begun-before-capture",
    "begun-before-capture-bye-only",
    "media-before-signalling",
    "media-before-signalling-in-mid-capture",
    "media-explained-by-update",
    "media-explained-by-bye",
    "media-explained-by-answer",
    "media-explained-late",
    "media-only",
    "media-only-beside-a-call",
    "media-only-in-mid-capture",
    "one-sided",
    "no-media",
];

const PLACES: &[&str] = &[
    "ports-reused",
    "ports-reused-late-packets",
    "nat-caller",
    "nat-callee",
    "asymmetric-ports",
    "sip-on-other-ports",
    "vlan-per-direction",
    "ipv6",
    "fragments",
    "fragments-ipv6",
];

const SEEN_TWICE: &[&str] = &[
    "proxy-both-sides",
    "ipv6-proxy",
    "retransmissions",
    "mirror-copies",
    "mirror-copies-routed",
    "mirror-copies-impaired",
    "fragments-copied",
];

const SPELLINGS: &[&str] = &[
    "compact-headers",
    "folded-headers",
    "bare-lf",
    "joined-vias",
    "tel-uris",
    "latin1-name",
    "utf8-name",
    "no-names",
    "spelt-every-way",
];

const STREAMS: &[&str] = &[
    "pcmu",
    "ptime-10",
    "ptime-30",
    "ptime-60",
    "ptime-changes",
    "law-switch",
    "ssrc-change",
    "ssrc-change-lossy",
    "sequence-wrap",
    "timestamp-wrap",
    "dtx",
    "comfort-noise",
    "timestamp-reset",
    "timestamp-frozen",
    "speech",
];

const BESIDE_SPEECH: &[&str] =
    &["digits", "rtcp-apart", "rtcp-mux", "shared-port", "malformed-rtp", "video", "noise"];

const NETWORKS: &[&str] =
    &["loss", "loss-in-bursts", "duplicates", "reordered", "jitter", "jitter-heavy", "impaired", "clicks"];

const LONG: &[&str] = &["clicks-drift-30-minutes", "speech-drift-30-minutes", "office"];

fn check(names: &[&str]) {
    let mut faults = Faults::default();
    for name in names {
        faults.scope(name);
        account::check(&mut faults, replayed(name));
        heard::check(&mut faults, name, replayed(name), &heard::EXACT);
    }
    faults.finish();
}

#[test]
fn every_scenario_has_its_topic() {
    let topics = [
        BEGINNINGS,
        BEFORE_THE_ANSWER,
        UNANSWERED,
        CHANGES,
        HOLDS,
        PARTIAL,
        PLACES,
        SEEN_TWICE,
        SPELLINGS,
        STREAMS,
        BESIDE_SPEECH,
        NETWORKS,
        LONG,
    ];
    let listed: Vec<&str> = topics.into_iter().flatten().copied().collect();
    let names: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(names, scenarios::all().map(|entry| entry.name).collect());
    assert_eq!(listed.len(), names.len(), "a scenario has two topics");
}

#[test]
fn calls_that_are_answered_in_every_way() {
    check(BEGINNINGS);
}

#[test]
fn what_is_negotiated_before_the_answer() {
    check(BEFORE_THE_ANSWER);
}

#[test]
fn calls_that_nobody_answers() {
    check(UNANSWERED);
}

#[test]
fn what_re_invites_change() {
    check(CHANGES);
}

#[test]
fn holds_are_one_call_with_its_music() {
    check(HOLDS);
}

#[test]
fn calls_of_which_a_part_is_seen() {
    check(PARTIAL);
}

#[test]
fn addresses_that_lie_move_or_are_used_again() {
    check(PLACES);
}

#[test]
fn what_is_seen_twice_is_counted_once() {
    check(SEEN_TWICE);
}

#[test]
fn sip_in_every_spelling() {
    check(SPELLINGS);
}

#[test]
fn what_streams_do_by_themselves() {
    check(STREAMS);
}

#[test]
fn what_is_on_the_wire_beside_speech() {
    check(BESIDE_SPEECH);
}

#[test]
fn what_networks_do_to_streams() {
    check(NETWORKS);
}

#[test]
fn long_calls_and_many_at_once() {
    check(LONG);
}
