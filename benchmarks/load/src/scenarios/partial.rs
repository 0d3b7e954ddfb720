//! Calls of which the tap does not see everything.

use std::net::SocketAddr;

use nightjar_wire::Nanos;

use super::Entry;
use crate::party::Side;
use crate::plan::{CallPlan, Ending, MidCall, MidCallChange, SignallingPath, Visible};

pub(super) const SCENARIOS: &[Entry] = &[
    Entry::one("bye-unseen", "the media stop, no BYE is seen", |call| call.ending = Ending::ByeUnseen),
    Entry::many(
        "bye-unseen-while-others-talk",
        "the same, while another call goes on for a minute",
        |mut scenario| {
            let mut lost = scenario.plain();
            lost.ending = Ending::ByeUnseen;
            scenario.call(Nanos::ZERO, lost);
            let mut other = scenario.plain();
            other.talk = Nanos::from_secs(60);
            scenario.call(Nanos::from_secs(1), other);
            scenario
        },
    ),
    Entry::one(
        "begun-before-capture",
        "the capture begins 6 s into the call; a refresh names the media",
        |call| {
            call.visible = Visible::From(Nanos::from_secs(6));
            refresh(call, 6);
        },
    ),
    Entry::one(
        "begun-before-capture-bye-only",
        "the capture begins 6 s into the call; only its BYE is seen",
        |call| {
            call.visible = Visible::From(Nanos::from_secs(6));
        },
    ),
    Entry::one(
        "media-before-signalling",
        "signalling is seen 5 s after the media; a refresh names them",
        |call| {
            call.visible = Visible::SignallingFrom(Nanos::from_millis(6500));
            refresh(call, 6);
        },
    ),
    Entry::one("media-only", "media without any signalling", |call| call.visible = Visible::MediaOnly),
    Entry::many(
        "media-only-beside-a-call",
        "media without signalling beside a signalled call",
        |mut scenario| {
            let mut silent = scenario.plain();
            silent.visible = Visible::MediaOnly;
            scenario.call(Nanos::ZERO, silent);
            let signalled = scenario.plain();
            scenario.call(Nanos::from_secs(1), signalled);
            scenario
        },
    ),
    Entry::many(
        "media-only-in-mid-capture",
        "media without signalling that begins while the capture runs",
        |mut scenario| {
            let signalled = scenario.plain();
            scenario.call(Nanos::ZERO, signalled);
            let mut silent = scenario.plain();
            silent.visible = Visible::MediaOnly;
            scenario.call(Nanos::from_secs(5), silent);
            scenario
        },
    ),
    Entry::many(
        "media-before-signalling-in-mid-capture",
        "media that begins while the capture runs; a refresh names it 5 s later",
        |mut scenario| {
            let signalled = scenario.plain();
            scenario.call(Nanos::ZERO, signalled);
            let mut late = scenario.plain();
            late.visible = Visible::SignallingFrom(Nanos::from_millis(6500));
            refresh(&mut late, 6);
            scenario.call(Nanos::from_secs(5), late);
            scenario
        },
    ),
    Entry::one("media-explained-by-update", "media first; an UPDATE without a description follows", |call| {
        call.visible = Visible::SignallingFrom(Nanos::from_millis(6500));
        call.mid_call.push(MidCall {
            at: Nanos::from_secs(6),
            by: Side::Caller,
            change: MidCallChange::RefreshByUpdate,
        });
    }),
    Entry::one("media-explained-by-bye", "media first; the BYE is the first message that is seen", |call| {
        call.visible = Visible::SignallingFrom(Nanos::from_millis(6500));
    }),
    Entry::one(
        "media-explained-by-answer",
        "media first; a refresh names a private address, its 200 the callee's",
        |call| {
            let media = call.addresses[0].media;
            let private = SocketAddr::new([192, 168, 1, 20].into(), media.port() - 2000);
            call.addresses[0].advertised_media = Some(private);
            call.visible = Visible::SignallingFrom(Nanos::from_millis(6500));
            refresh(call, 6);
        },
    ),
    Entry::one(
        "media-explained-late",
        "media first; an UPDATE through a proxy tells nothing of it, a re-INVITE 4 s later does",
        |call| {
            call.path = SignallingPath::BothSidesOfProxy;
            call.visible = Visible::SignallingFrom(Nanos::from_millis(6500));
            refresh(call, 10);
            let (at, by) = (Nanos::from_secs(6), Side::Caller);
            call.mid_call.push(MidCall { at, by, change: MidCallChange::RefreshByUpdate });
        },
    ),
    Entry::one("one-sided", "the caller sends nothing", |call| call.legs[0].mute = true),
    Entry::one("no-media", "answered, and nobody sends", |call| {
        call.legs[0].mute = true;
        call.legs[1].mute = true;
    }),
];

fn refresh(call: &mut CallPlan, at_secs: u64) {
    call.talk = Nanos::from_secs(15);
    let at = Nanos::from_secs(at_secs);
    call.mid_call.push(MidCall { at, by: Side::Caller, change: MidCallChange::Refresh });
}
