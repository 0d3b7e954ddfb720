//! What happens between answer and end: re-INVITEs and UPDATEs that move, switch, hold, only refresh,
//! or come to nothing.

use nightjar_wire::Nanos;

use crate::expected::{HoldExpected, timestamp};
use crate::party::Side;
use crate::plan::{HoldForm, MidCall, MidCallChange, Music, RtpChange};
use crate::script::Script;
use crate::sdp::{MediaDirection, Sdp};
use crate::sip_text::Message;

/// From a re-INVITE until the media follow it.
const MEDIA_FOLLOW_AFTER: Nanos = Nanos::from_millis(60);

/// What a renegotiation changes: the sender's port, the law, the packet time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Renegotiation {
    pub port_step: u16,
    pub codec: Option<crate::Codec>,
    pub ptime_ms: Option<u16>,
}

impl Script {
    pub(super) fn mid_call(&mut self, at: Nanos, end: Nanos, mid_call: &MidCall) {
        let by = mid_call.by;
        match &mid_call.change {
            MidCallChange::Refresh => self.refresh(at, by),
            MidCallChange::RefreshByUpdate => self.update(at, by, None),
            MidCallChange::ReInvite { port_step, codec, ptime_ms } => {
                let change = Renegotiation { port_step: *port_step, codec: *codec, ptime_ms: *ptime_ms };
                let (offer, answer) = self.renegotiate(at, by, change);
                self.re_invite(at, by, &offer, &answer);
            }
            MidCallChange::Update { port_step, codec, ptime_ms } => {
                let change = Renegotiation { port_step: *port_step, codec: *codec, ptime_ms: *ptime_ms };
                let exchange = self.renegotiate(at, by, change);
                self.update(at, by, Some(exchange));
            }
            MidCallChange::Hold { how, span, music } => self.hold(at, end, by, *how, *span, music),
            MidCallChange::Refused(status) => self.refused(at, by, *status),
            MidCallChange::Challenged { port_step } => self.challenged(at, by, *port_step),
            MidCallChange::Glare => self.glare(at, by),
            MidCallChange::StaleCopy => self.stale_copy(at, by),
        }
    }

    fn refresh(&mut self, at: Nanos, by: Side) {
        let offer = self.sdp(by, MediaDirection::SendRecv, false);
        let answer = self.sdp(by.other(), MediaDirection::SendRecv, false);
        self.re_invite(at, by, &offer, &answer);
    }

    /// Has both sides' media follow a change, and returns its offer and answer.
    pub(super) fn renegotiate(&mut self, at: Nanos, by: Side, change: Renegotiation) -> (Sdp, Sdp) {
        let follow = at + MEDIA_FOLLOW_AFTER;
        if change.port_step > 0 {
            for socket in [&mut self.media[by.index()], &mut self.advertised[by.index()]] {
                socket.set_port(socket.port().wrapping_add(change.port_step));
            }
            for side in [by, by.other()] {
                let change = RtpChange::Move(self.media_source(side), self.media[side.other().index()]);
                self.changes[side.index()].push((follow, change));
            }
        }
        if let Some(codec) = change.codec {
            self.codec = codec;
            self.changes.iter_mut().for_each(|side| side.push((follow, RtpChange::Codec(codec))));
        }
        if let Some(ptime_ms) = change.ptime_ms {
            self.ptime_ms = ptime_ms;
            self.changes.iter_mut().for_each(|side| side.push((follow, RtpChange::Ptime(ptime_ms))));
        }
        let offer = self.sdp(by, MediaDirection::SendRecv, true);
        let answer = self.sdp(by.other(), MediaDirection::SendRecv, true);
        (offer, answer)
    }

    fn hold(&mut self, at: Nanos, end: Nanos, by: Side, how: HoldForm, span: Nanos, music: &Music) {
        let (ours, theirs) = match how {
            HoldForm::Inactive => (MediaDirection::Inactive, MediaDirection::Inactive),
            _ => (MediaDirection::SendOnly, MediaDirection::RecvOnly),
        };
        let mut from_at = at;
        if how == HoldForm::LateOffer {
            from_at = self.late_offer(at, by, ours);
        } else {
            let mut offer = self.sdp(by, ours, true);
            offer.zero_address = how == HoldForm::ZeroAddress;
            let answer = self.sdp(by.other(), theirs, true);
            self.re_invite(at, by, &offer, &answer);
        }
        let resume = at + span;
        let resumed = (resume < end).then_some(resume);
        let to_at = resumed.map(timestamp);
        self.expected.holds.push(HoldExpected { by, from_at: timestamp(from_at), to_at });
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
        let invite = self.re_invitation(by, Some(offer));
        self.say(at, by, &invite);
        let answered = at + self.hop();
        self.accept(answered, by.other(), &invite, Some(answer));
        let acknowledged = answered + self.hop();
        let ack = self.dialog.ack_success(&invite, by);
        self.say(acknowledged, by, &ack);
    }

    /// An INVITE in the dialog, to be sent.
    fn re_invitation(&mut self, by: Side, offer: Option<&Sdp>) -> Message {
        let contact = self.dialog.contact(by);
        let invite = self.dialog.request("INVITE", by).with("Contact", contact);
        let invite = self.with_timer(invite, by).with_sdp(offer.map(Sdp::render));
        self.re_invites.push(invite.clone());
        invite
    }

    fn with_timer(&self, request: Message, by: Side) -> Message {
        let Some(seconds) = self.plan.session_expires else { return request };
        let refresher = if by == Side::Caller { "uac" } else { "uas" };
        let expires = format!("{seconds};refresher={refresher}");
        request.with("Supported", "timer").with("Session-Expires", expires)
    }

    /// A 200 to a re-INVITE or an UPDATE.
    fn accept(&mut self, at: Nanos, by: Side, request: &Message, answer: Option<&Sdp>) {
        let contact = self.dialog.contact(by);
        let mut ok = request.response(200, None).with("Contact", contact);
        if let Some((_, expires)) = request.headers.iter().find(|(name, _)| *name == "Session-Expires") {
            ok = ok.with("Session-Expires", expires.clone());
        }
        self.say(at, by, &ok.with_sdp(answer.map(Sdp::render)));
    }

    /// UPDATE and 200, with offer and answer or without.
    pub(super) fn update(&mut self, at: Nanos, by: Side, exchange: Option<(Sdp, Sdp)>) {
        let contact = self.dialog.contact(by);
        let update = self.dialog.request_within("UPDATE", by).with("Contact", contact);
        let (offer, answer) = exchange.unzip();
        let update = self.with_timer(update, by).with_sdp(offer.as_ref().map(Sdp::render));
        self.say(at, by, &update);
        let answered = at + self.hop();
        self.accept(answered, by.other(), &update, answer.as_ref());
    }

    /// INVITE without an offer, 200 with it, ACK with the answer; returns when the ACK leaves.
    fn late_offer(&mut self, at: Nanos, by: Side, direction: MediaDirection) -> Nanos {
        let invite = self.re_invitation(by, None);
        self.say(at, by, &invite);
        let answered = at + self.hop();
        let offer = self.sdp(by.other(), MediaDirection::SendRecv, true);
        self.accept(answered, by.other(), &invite, Some(&offer));
        let acknowledged = answered + self.hop();
        let answer = self.sdp(by, direction, true).render();
        let ack = self.dialog.ack_success(&invite, by).with_sdp(Some(answer));
        self.say(acknowledged, by, &ack);
        acknowledged
    }

    /// A re-INVITE that would move the media and hold, and gets a refusal.
    fn refused(&mut self, at: Nanos, by: Side, status: u16) {
        let mut offer = self.sdp(by, MediaDirection::SendOnly, true);
        offer.audio.set_port(offer.audio.port().wrapping_add(12));
        let invite = self.re_invitation(by, Some(&offer));
        self.say(at, by, &invite);
        let answered = at + self.hop();
        self.refuse_in_dialog(answered, by, &invite, status);
    }

    /// A refusal of `by`'s re-INVITE, and its ACK.
    fn refuse_in_dialog(&mut self, at: Nanos, by: Side, invite: &Message, status: u16) -> Nanos {
        self.say(at, by.other(), &invite.response(status, None));
        let acknowledged = at + self.hop();
        let ack = self.dialog.ack_failure(invite);
        self.say(acknowledged, by, &ack);
        acknowledged
    }

    fn challenged(&mut self, at: Nanos, by: Side, port_step: u16) {
        let change = Renegotiation { port_step, ..Renegotiation::default() };
        let again = at + Nanos::from_millis(45);
        let (offer, answer) = self.renegotiate(again, by, change);
        let invite = self.re_invitation(by, Some(&offer));
        self.say(at, by, &invite);
        let answered = at + self.hop();
        self.refuse_in_dialog(answered, by, &invite, 407);
        self.re_invite(again, by, &offer, &answer);
    }

    /// Both offers cross; each side refuses the other's, and `by` tries again.
    fn glare(&mut self, at: Nanos, by: Side) {
        for side in [by, by.other()] {
            let offer = self.sdp(side, MediaDirection::SendOnly, true);
            let invite = self.re_invitation(side, Some(&offer));
            self.say(at, side, &invite);
            let answered = at + self.hop();
            self.refuse_in_dialog(answered, side, &invite, 491);
        }
        self.refresh(at + Nanos::from_millis(2500), by);
    }

    /// A re-INVITE of before the last one comes again.
    fn stale_copy(&mut self, at: Nanos, by: Side) {
        let known = self.re_invites.len();
        let Some(invite) = known.checked_sub(2).map(|index| self.re_invites[index].clone()) else { return };
        self.say(at, by, &invite);
        let answered = at + self.hop();
        self.refuse_in_dialog(answered, by, &invite, 500);
    }
}
