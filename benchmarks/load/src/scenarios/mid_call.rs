//! What changes during a call.

use nightjar_wire::Nanos;

use super::Entry;
use crate::audio::Audio;
use crate::g711::Codec;
use crate::party::Side;
use crate::plan::{CallPlan, HoldForm, MidCall, MidCallChange, Music, RtpChange};

pub(super) const SCENARIOS: &[Entry] = &[
    Entry::one("reinvite-moves-caller", "the caller's media move to another port", |call| {
        change(call, 5, Side::Caller, re_invite(4, None, None));
    }),
    Entry::one("reinvite-moves-callee", "the callee's media move to another port", |call| {
        change(call, 5, Side::Callee, re_invite(4, None, None));
    }),
    Entry::one("reinvite-switches-law", "A-law, and µ-law after a re-INVITE", |call| {
        change(call, 5, Side::Caller, re_invite(0, Some(Codec::Pcmu), None));
    }),
    Entry::one("reinvite-changes-ptime", "20 ms packets, and 40 ms after a re-INVITE", |call| {
        change(call, 5, Side::Caller, re_invite(0, None, Some(40)));
    }),
    Entry::one("reinvite-changes-all", "port, law and packet time in one re-INVITE", |call| {
        change(call, 4, Side::Callee, re_invite(8, Some(Codec::Pcmu), Some(30)));
    }),
    Entry::one("hold-sendonly", "held for 4 s in silence", |call| {
        hold(call, HoldForm::SendOnly, Music::None);
    }),
    Entry::one("hold-inactive", "held for 4 s by a=inactive", |call| {
        hold(call, HoldForm::Inactive, Music::None);
    }),
    Entry::one("hold-zero-address", "held for 4 s by c=0.0.0.0", |call| {
        hold(call, HoldForm::ZeroAddress, Music::None);
    }),
    Entry::one("hold-music-of-holder", "the holder plays music (tone 2300) itself", |call| {
        hold(call, HoldForm::SendOnly, Music::FromHolder(Audio::Tone(2300)));
    }),
    Entry::one("hold-music-of-third", "music (tone 2300) from a host that no SDP names", |call| {
        hold(call, HoldForm::SendOnly, Music::FromServer(Audio::Tone(2300)));
    }),
    Entry::one("hold-twice", "each side holds once", |call| {
        call.talk = Nanos::from_secs(20);
        for (at, by) in [(4, Side::Caller), (12, Side::Callee)] {
            let (how, span) = (HoldForm::SendOnly, Nanos::from_secs(4));
            let music = Music::FromServer(Audio::Tone(2300));
            change(call, at, by, MidCallChange::Hold { how, span, music });
        }
    }),
    Entry::one("hold-60-minutes", "held for an hour without any packet, then resumed", |call| {
        call.talk = Nanos::from_secs(3610);
        let (how, span) = (HoldForm::Inactive, Nanos::from_secs(3600));
        change(call, 5, Side::Callee, MidCallChange::Hold { how, span, music: Music::None });
    }),
    Entry::one("hold-until-bye", "held, and hung up without a resume", |call| {
        let (how, span) = (HoldForm::SendOnly, Nanos::from_secs(60));
        change(call, 5, Side::Callee, MidCallChange::Hold { how, span, music: Music::None });
    }),
    Entry::one("hold-late-offer", "held by a re-INVITE whose offer is in the 200", |call| {
        hold(call, HoldForm::LateOffer, Music::FromServer(Audio::Tone(2300)));
    }),
    Entry::one("hold-counted-on", "held for 4 s; the held side's sequence runs on unseen", |call| {
        hold(call, HoldForm::SendOnly, Music::None);
        let back = Nanos::from_millis(7050);
        call.legs[0].changes.push((back, RtpChange::SkipNumbers(200)));
    }),
    Entry::one("moved-and-returned", "the caller's media move to another port and back", |call| {
        change(call, 3, Side::Caller, re_invite(4, None, None));
        change(call, 6, Side::Caller, re_invite(4u16.wrapping_neg(), None, None));
    }),
    Entry::one(
        "moved-and-returned-twice",
        "the same twice, the callee's media once; the callee's stream has losses",
        |call| {
            call.talk = Nanos::from_secs(20);
            for (at, by) in [(2, Side::Caller), (6, Side::Callee), (11, Side::Caller)] {
                change(call, at, by, re_invite(4, None, None));
                change(call, at + 3, by, re_invite(4u16.wrapping_neg(), None, None));
            }
            call.legs[1].impairment.loss_percent = 2.0;
        },
    ),
    Entry::one("reinvite-refused", "a re-INVITE to other ports and into a hold gets a 488", |call| {
        change(call, 4, Side::Callee, MidCallChange::Refused(488));
    }),
    Entry::one("reinvite-challenged", "a re-INVITE that moves the media gets a 407 first", |call| {
        change(call, 4, Side::Caller, MidCallChange::Challenged { port_step: 4 });
    }),
    Entry::one("reinvite-glare", "re-INVITEs of both sides cross and get a 491", |call| {
        change(call, 4, Side::Callee, MidCallChange::Glare);
    }),
    Entry::one("reinvite-comes-late", "a copy of an old re-INVITE comes after a newer one", |call| {
        change(call, 3, Side::Caller, re_invite(4, None, None));
        change(call, 5, Side::Caller, re_invite(4, None, None));
        change(call, 7, Side::Caller, MidCallChange::StaleCopy);
    }),
    Entry::one("update-moves-caller", "the caller's media move to another port by UPDATE", |call| {
        change(call, 5, Side::Caller, update(4, None, None));
    }),
    Entry::one("update-changes-all", "port, law and packet time in one UPDATE of the callee", |call| {
        change(call, 4, Side::Callee, update(8, Some(Codec::Pcmu), Some(30)));
    }),
    Entry::one(
        "tagless-reinvite",
        "the media of a caller move; the callee gives no tags (RFC 2543)",
        |call| {
            call.tagless_callee = true;
            change(call, 5, Side::Caller, re_invite(4, None, None));
        },
    ),
    Entry::one("session-timer-by-update", "refreshed every 90 s by UPDATEs without a description", |call| {
        call.talk = Nanos::from_secs(200);
        call.session_expires = Some(180);
        for at in [90, 180] {
            change(call, at, Side::Callee, MidCallChange::RefreshByUpdate);
        }
    }),
    Entry::one("session-timer", "refreshed every 90 s (RFC 4028)", |call| {
        call.talk = Nanos::from_secs(200);
        call.session_expires = Some(180);
        for at in [90, 180] {
            change(call, at, Side::Caller, MidCallChange::Refresh);
        }
    }),
];

fn change(call: &mut CallPlan, at_secs: u64, by: Side, change: MidCallChange) {
    call.mid_call.push(MidCall { at: Nanos::from_secs(at_secs), by, change });
}

fn re_invite(port_step: u16, codec: Option<Codec>, ptime_ms: Option<u16>) -> MidCallChange {
    MidCallChange::ReInvite { port_step, codec, ptime_ms }
}

fn update(port_step: u16, codec: Option<Codec>, ptime_ms: Option<u16>) -> MidCallChange {
    MidCallChange::Update { port_step, codec, ptime_ms }
}

fn hold(call: &mut CallPlan, how: HoldForm, music: Music) {
    let span = Nanos::from_secs(4);
    change(call, 3, Side::Callee, MidCallChange::Hold { how, span, music });
}
