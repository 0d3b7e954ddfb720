//! What happens between answer and end: re-INVITEs that move, switch, hold or only refresh.

use nightjar_wire::Nanos;

use crate::expected::{HoldExpected, timestamp};
use crate::party::Side;
use crate::plan::{HoldForm, MidCall, MidCallChange, Music, RtpChange};
use crate::script::Script;
use crate::sdp::{MediaDirection, Sdp};

/// From a re-INVITE until the media follow it.
const MEDIA_FOLLOW_AFTER: Nanos = Nanos::from_millis(60);

impl Script {
    pub(super) fn mid_call(&mut self, at: Nanos, end: Nanos, mid_call: &MidCall) {
        let by = mid_call.by;
        match &mid_call.change {
            MidCallChange::Refresh => {
                let offer = self.sdp(by, MediaDirection::SendRecv, false);
                let answer = self.sdp(by.other(), MediaDirection::SendRecv, false);
                self.re_invite(at, by, &offer, &answer);
            }
            MidCallChange::ReInvite { port_step, codec, ptime_ms } => {
                self.renegotiate(at, by, *port_step, (*codec, *ptime_ms));
            }
            MidCallChange::Hold { how, span, music } => self.hold(at, end, by, *how, *span, music),
        }
    }

    fn renegotiate(
        &mut self,
        at: Nanos,
        by: Side,
        port_step: u16,
        format: (Option<crate::Codec>, Option<u16>),
    ) {
        let follow = at + MEDIA_FOLLOW_AFTER;
        if port_step > 0 {
            for socket in [&mut self.media[by.index()], &mut self.advertised[by.index()]] {
                socket.set_port(socket.port() + port_step);
            }
            for side in [by, by.other()] {
                let change = RtpChange::Move(self.media_source(side), self.media[side.other().index()]);
                self.changes[side.index()].push((follow, change));
            }
        }
        if let Some(codec) = format.0 {
            self.codec = codec;
            self.changes.iter_mut().for_each(|side| side.push((follow, RtpChange::Codec(codec))));
        }
        if let Some(ptime_ms) = format.1 {
            self.ptime_ms = ptime_ms;
            self.changes.iter_mut().for_each(|side| side.push((follow, RtpChange::Ptime(ptime_ms))));
        }
        let offer = self.sdp(by, MediaDirection::SendRecv, true);
        let answer = self.sdp(by.other(), MediaDirection::SendRecv, true);
        self.re_invite(at, by, &offer, &answer);
    }

    fn hold(&mut self, at: Nanos, end: Nanos, by: Side, how: HoldForm, span: Nanos, music: &Music) {
        let (ours, theirs) = match how {
            HoldForm::SendOnly | HoldForm::ZeroAddress => {
                (MediaDirection::SendOnly, MediaDirection::RecvOnly)
            }
            HoldForm::Inactive => (MediaDirection::Inactive, MediaDirection::Inactive),
        };
        let mut offer = self.sdp(by, ours, true);
        offer.zero_address = how == HoldForm::ZeroAddress;
        let answer = self.sdp(by.other(), theirs, true);
        self.re_invite(at, by, &offer, &answer);
        let resume = at + span;
        let resumed = (resume < end).then_some(resume);
        self.expected.holds.push(HoldExpected { by, from_at: timestamp(at), to_at: resumed.map(timestamp) });
        self.hold_media(at + MEDIA_FOLLOW_AFTER, resume.min(end) + MEDIA_FOLLOW_AFTER, by, music);
        if resumed.is_some() {
            let offer = self.sdp(by, MediaDirection::SendRecv, true);
            let answer = self.sdp(by.other(), MediaDirection::SendRecv, true);
            self.re_invite(resume, by, &offer, &answer);
        }
    }

    /// The held side is silent; the holder too, or it plays music, or a third host does.
    fn hold_media(&mut self, from: Nanos, until: Nanos, by: Side, music: &Music) {
        let span = until - from;
        self.changes[by.other().index()].push((from, RtpChange::Silence(span)));
        let ours = &mut self.changes[by.index()];
        match music {
            Music::FromHolder(audio) => {
                ours.push((from, RtpChange::Audio(audio.clone())));
                let usual = self.plan.legs[by.index()].audio.clone();
                ours.push((until, RtpChange::Audio(usual)));
            }
            Music::None => ours.push((from, RtpChange::Silence(span))),
            Music::FromServer(audio) => {
                ours.push((from, RtpChange::Silence(span)));
                self.music_leg(by.other(), from, until, audio.clone());
            }
        }
    }

    /// INVITE in the dialog, 200, ACK.
    fn re_invite(&mut self, at: Nanos, by: Side, offer: &Sdp, answer: &Sdp) {
        let contact = self.dialog.contact(by);
        let mut invite = self.dialog.request("INVITE", by).with("Contact", contact);
        if let Some(seconds) = self.plan.session_expires {
            let refresher = if by == Side::Caller { "uac" } else { "uas" };
            let expires = format!("{seconds};refresher={refresher}");
            invite = invite.with("Supported", "timer").with("Session-Expires", expires);
        }
        let invite = invite.with_sdp(Some(offer.render()));
        self.say(at, by, &invite);
        let answered = at + self.hop();
        let contact = self.dialog.contact(by.other());
        let ok = invite.response(200, None).with("Contact", contact).with_sdp(Some(answer.render()));
        self.say(answered, by.other(), &ok);
        let acknowledged = answered + self.hop();
        let ack = self.dialog.ack_success(&invite, by);
        self.say(acknowledged, by, &ack);
    }
}
