//! Provisional answers that matter: ringing and early media, sent reliably or not, with what may be
//! negotiated before the answer (RFC 3262, RFC 3311).

use nightjar_wire::Nanos;

use crate::audio::Audio;
use crate::party::Side;
use crate::plan::RtpChange;
use crate::script::Script;
use crate::sdp::MediaDirection;
use crate::sip_text::Message;

use super::mid_call::Renegotiation;

impl Script {
    /// A 180 without a description.
    pub(super) fn ringing(&mut self, at: Nanos, invite: &Message) {
        self.provisional(at, invite, 180, None, None);
    }

    /// A 183 with the callee's description.
    pub(super) fn session_progress(&mut self, at: Nanos, invite: &Message) {
        let sdp = self.sdp(Side::Callee, MediaDirection::SendRecv, false).render();
        self.provisional(at, invite, 183, Some(sdp), None);
    }

    /// A reliable 183 with an offer, answered in its PRACK (RFC 3262, 5).
    pub(super) fn offer_in_progress(&mut self, at: Nanos, invite: &Message) {
        let [offer, answer] =
            [Side::Callee, Side::Caller].map(|side| self.sdp(side, MediaDirection::SendRecv, false).render());
        self.provisional(at, invite, 183, Some(offer), Some(answer));
    }

    /// The callee's early media, which go on as its stream after the answer.
    pub(super) fn early_media(&mut self, progress: Nanos, final_at: Nanos, audio: Audio) {
        let start = progress + Nanos::from_millis(5);
        let mut leg = self.main_leg(Side::Callee, start, final_at);
        leg.changes.push((final_at, RtpChange::Audio(leg.audio)));
        leg.audio = audio;
        self.legs.push(leg);
    }

    /// A provisional answer and, where it is sent reliably, its PRACK and the PRACK's 200.
    fn provisional(
        &mut self,
        at: Nanos,
        invite: &Message,
        status: u16,
        sdp: Option<String>,
        answer: Option<String>,
    ) {
        let tag = self.dialog.tag(Side::Callee).to_owned();
        let mut progress = invite.response(status, Some(&tag)).with_sdp(sdp);
        if self.plan.reliable || status == 183 {
            progress = progress.with("Contact", self.dialog.contact(Side::Callee));
        }
        if !self.plan.reliable {
            self.say(at, Side::Callee, &progress);
            return;
        }
        let number = self.random.between(1, 1 << 20);
        progress = progress.with("Require", "100rel").with("RSeq", number.to_string());
        self.say(at, Side::Callee, &progress);
        let acknowledged = at + self.hop();
        let rack = format!("{number} {} INVITE", invite.cseq);
        let prack = self.dialog.request_within("PRACK", Side::Caller).with("RAck", rack).with_sdp(answer);
        self.say(acknowledged, Side::Caller, &prack);
        let confirmed = acknowledged + self.hop();
        self.say(confirmed, Side::Callee, &prack.response(200, None));
    }

    /// What the plan renegotiates before the answer.
    pub(super) fn early_update(&mut self, progress: Nanos, final_at: Nanos) {
        let Some(update) = self.plan.early_update else { return };
        let at = progress + Nanos((final_at - progress).0 / 2);
        let change =
            Renegotiation { port_step: update.port_step, codec: update.codec, ..Renegotiation::default() };
        let exchange = self.renegotiate(at, update.by, change);
        self.update(at, update.by, Some(exchange));
    }
}
