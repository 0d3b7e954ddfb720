//! What responses do to their call.

use nightjar_schema::{CallEventKind, EndCause};
use nightjar_wire::Nanos;

use crate::arrival::{Arrival, Side};
use crate::call::{Call, Effects, Ending};
use crate::dialog::{Dialog, SessionTimer};
use crate::invite::{Invite, Refusal, invites_retry};
use crate::message::Method;
use crate::output::Output;
use crate::parties::{asserted_uri, session_expires};
use crate::requests::{callee_tag, refusal_reason};

impl Call {
    /// A response to a request of this side.
    pub(crate) fn handle_response(
        &mut self,
        requester: Side,
        status: u16,
        phrase: &[u8],
        arrival: &Arrival<'_>,
        fx: &mut Effects<'_>,
    ) {
        self.infer_retry(requester, arrival);
        let makes_call = arrival.message.method == Method::Invite
            && self.invite.cseq() == Some(arrival.message.cseq)
            && requester == Side::Caller;
        if self.ending.is_some() && !(makes_call && (200..300).contains(&status)) {
            return fx.statistics.retransmissions += 1;
        }
        match (arrival.message.method, status) {
            (Method::Invite, 100) if makes_call => self.clocks.setup = arrival.now,
            (Method::Invite, 101..200) if makes_call => self.handle_progress(status, arrival, fx),
            (Method::Invite, 200..300) if makes_call => self.handle_answer(status, arrival, fx),
            (Method::Invite, 300..) if makes_call => self.handle_refusal(status, phrase, arrival, fx),
            (Method::Invite | Method::Update | Method::Prack, 101..) => {
                self.handle_offer_response(requester, status, arrival, fx);
            }
            (Method::Bye, 200..) => self.handle_bye_response(requester, status, arrival, fx),
            _ => {}
        }
    }

    /// Before the answer only the caller's next INVITE outside of the dialog can be what a response
    /// with a higher CSeq answers: a retry that the capture lost.
    fn infer_retry(&mut self, requester: Side, arrival: &Arrival<'_>) {
        let message = arrival.message;
        let unseen = message.method == Method::Invite
            && requester == Side::Caller
            && self.answered_by.is_none()
            && self.ending.is_none()
            && self.invite.cseq().is_some_and(|known| known < message.cseq);
        if unseen {
            self.invite = Invite::new(message.cseq, arrival.branch, arrival.requester());
            (self.clocks.retry, self.clocks.settled, self.clocks.cancelled) = (None, None, None);
            (self.cancelled_at, self.refused_at) = (None, None);
        }
    }

    /// A provisional answer: ringing, early media.
    fn handle_progress(&mut self, status: u16, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let dialog = self.dialog_for(arrival.to_tag, arrival);
        if self.answered_by.is_some() && !self.dialogs[dialog].confirmed {
            return;
        }
        self.clocks.setup = arrival.now;
        self.learn_callee(dialog, arrival);
        let known = &mut self.dialogs[dialog];
        if status == 180 && !known.rang {
            known.rang = true;
            self.happened(arrival.at, CallEventKind::Ring, self.leg(dialog, Side::Callee));
        }
        self.take_answer(dialog, arrival, fx);
    }

    /// A 2xx to the INVITE that makes the call.
    fn handle_answer(&mut self, status: u16, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let dialog = self.dialog_for(arrival.to_tag, arrival);
        if self.dialogs[dialog].is_stale(Side::Caller, arrival.message.cseq) && self.dialogs[dialog].confirmed
        {
            return fx.statistics.retransmissions += 1;
        }
        self.revive_dialog(dialog);
        self.learn_callee(dialog, arrival);
        self.dialogs[dialog].sessions.commit(Side::Caller, arrival.message.cseq);
        if !self.dialogs[dialog].confirmed {
            self.set_timer(dialog, arrival);
        }
        self.confirm(dialog, Some(status), arrival, fx);
        self.take_answer(dialog, arrival, fx);
        if self.ending.is_none() {
            self.dialogs[dialog].hold.on_accepted(Side::Caller, arrival.message.cseq);
            self.tell_hold(dialog, arrival, fx);
        }
    }

    /// What the called side says of its media, in an answer to the INVITE that makes the call.
    fn take_answer(&mut self, dialog: usize, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        if self.ending.is_some() || !self.dialogs[dialog].live() {
            return;
        }
        self.sign(arrival.at);
        if let Some(session) = &arrival.session {
            let known = &mut self.dialogs[dialog];
            known.hold.on_response(Side::Caller, arrival.message.cseq, session);
            known.sessions.accept(Side::Callee, arrival.hop(), &session.media);
            self.joined(dialog, arrival.at);
        }
        self.rebind(dialog, arrival.at, fx);
    }

    /// Who answers, as the answer tells it.
    fn learn_callee(&mut self, dialog: usize, arrival: &Arrival<'_>) {
        let leg = usize::from(self.leg(dialog, Side::Callee));
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.address.get_or_insert(arrival.src.addr);
            if leg.asserted_uri.is_none() {
                leg.asserted_uri = asserted_uri(arrival.message);
            }
        }
        self.parties.correlate(arrival.message);
    }

    /// A final answer other than 2xx.
    fn handle_refusal(&mut self, status: u16, phrase: &[u8], arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        if self.answered_by.is_some() {
            return; // a fork that lost
        }
        let refusal = self.invite.refuse(arrival.branch, status);
        if refusal == Refusal::Repeated {
            return fx.statistics.retransmissions += 1;
        }
        self.sign(arrival.at);
        self.status = Some(status);
        self.phrase = refusal_reason(arrival.message, phrase);
        self.refused_at = Some(arrival.at);
        self.refuse_dialog(status, refusal, arrival, fx);
        match refusal {
            Refusal::LastOfSeveral => self.clocks.settled = Some(arrival.now),
            Refusal::Decides if status == 487 || self.cancelled_at.is_some() => {
                let reason = self.cancel_reason.clone().or_else(|| self.phrase.clone());
                let ending = Ending { at: arrival.at, cause: EndCause::Cancel, leg: Some(0), reason };
                self.end(ending, arrival.at, arrival.now, fx);
            }
            Refusal::Decides if invites_retry(status) => self.clocks.retry = Some(arrival.now),
            Refusal::Decides => {
                // Only these are a person's decision; others may come from any proxy.
                let leg = Some(1).filter(|_| matches!(status, 486 | 600 | 603));
                let ending =
                    Ending { at: arrival.at, cause: EndCause::Rejected, leg, reason: self.phrase.clone() };
                self.end(ending, arrival.at, arrival.now, fx);
            }
            Refusal::OneOfSeveral | Refusal::Repeated => {}
        }
    }

    /// A refusal ends the early dialog that it comes from while others are asked; the caller's own
    /// answer may come from nobody whom it heard of.
    fn refuse_dialog(&mut self, status: u16, refusal: Refusal, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let own = self.dialogs.iter().position(|dialog| dialog.is_tagged(arrival.to_tag));
        let decides = refusal == Refusal::Decides;
        let alone = self.dialogs.len() == 1;
        let Some(dialog) = own else {
            let open = |dialog: &Dialog| alone || (dialog.live() && dialog.status.is_none());
            let untagged = |dialog: &Dialog| alone && dialog.callee_tag.is_none();
            let asked = |dialog: &&mut Dialog| untagged(dialog) || (decides && open(dialog));
            self.dialogs.iter_mut().filter(asked).for_each(|dialog| dialog.status = Some(status));
            return;
        };
        self.dialogs[dialog].status = Some(status);
        if decides || !self.dialogs[dialog].live() {
            return;
        }
        self.dialogs[dialog].ended_at = Some(arrival.at.max(self.dialogs[dialog].started_at));
        let device = usize::from(self.leg(dialog, Side::Callee));
        if let Some(leg) = self.legs.get_mut(device) {
            leg.left_at = leg.joined_at.map(|joined| joined.max(arrival.at));
        }
        self.rebind(dialog, arrival.at, fx);
    }

    /// A target that answers after it has refused under the same tag: its proxy hunts behind it.
    fn revive_dialog(&mut self, dialog: usize) {
        let refused = self.dialogs[dialog].status.is_some_and(|status| status >= 300);
        if self.ending.is_some() || !refused {
            return;
        }
        self.dialogs[dialog].ended_at = None;
        let device = usize::from(self.leg(dialog, Side::Callee));
        if let Some(leg) = self.legs.get_mut(device) {
            leg.left_at = None;
        }
    }

    /// An answer to a re-INVITE, an UPDATE or a PRACK.
    fn handle_offer_response(
        &mut self,
        requester: Side,
        status: u16,
        arrival: &Arrival<'_>,
        fx: &mut Effects<'_>,
    ) {
        let message = arrival.message;
        let dialog = self.dialog_for(callee_tag(requester, arrival), arrival);
        let known = &mut self.dialogs[dialog];
        if !known.live() || (message.method != Method::Prack && known.is_stale(requester, message.cseq)) {
            return fx.statistics.retransmissions += 1;
        }
        let refused = status >= 300;
        if refused {
            known.sessions.roll_back(requester, message.cseq);
            known.hold.on_refused(requester, message.cseq);
        } else {
            if status >= 200 {
                known.sessions.commit(requester, message.cseq);
            }
            if let Some(session) = &arrival.session {
                known.hold.on_response(requester, message.cseq, session);
                known.sessions.accept(requester.other(), arrival.hop(), &session.media);
            }
            if status >= 200 {
                known.hold.on_accepted(requester, message.cseq);
            }
        }
        self.sign(arrival.at);
        if (200..300).contains(&status) && message.method != Method::Prack {
            if message.method == Method::Invite {
                self.confirm(dialog, None, arrival, fx);
            }
            self.clocks.talk = arrival.now;
            self.set_timer(dialog, arrival);
        }
        self.rebind(dialog, arrival.at, fx);
        self.tell_hold(dialog, arrival, fx);
    }

    /// A BYE that is challenged was none; any other final answer, and none, ends the dialog.
    fn handle_bye_response(
        &mut self,
        requester: Side,
        status: u16,
        arrival: &Arrival<'_>,
        fx: &mut Effects<'_>,
    ) {
        let dialog = self.dialog_for(callee_tag(requester, arrival), arrival);
        if matches!(status, 401 | 407) {
            self.dialogs[dialog].bye = None;
        } else {
            self.finish_dialog(dialog, arrival.now, fx);
        }
    }

    /// The session timer that a 2xx sets, or drops (RFC 4028, 7.2).
    fn set_timer(&mut self, dialog: usize, arrival: &Arrival<'_>) {
        let interval = session_expires(arrival.message).map(|seconds| Nanos::from_secs(seconds.into()));
        self.dialogs[dialog].timer =
            interval.map(|interval| SessionTimer { refreshed: arrival.now, interval });
    }

    /// Tells who holds whom since the last time, once the call is answered.
    pub(crate) fn tell_hold(&mut self, dialog: usize, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        if self.answered_by != Some(dialog as u16) || self.ending.is_some() {
            return;
        }
        let holding = self.dialogs[dialog].hold.holding();
        for side in Side::BOTH {
            let told = &mut self.dialogs[dialog].told_hold[side.index()];
            if *told == holding[side.index()] {
                continue;
            }
            *told = holding[side.index()];
            let kind = if *told { CallEventKind::Hold } else { CallEventKind::Resume };
            self.clocks.talk = arrival.now;
            self.happened(arrival.at, kind, self.leg(dialog, side));
            if kind == CallEventKind::Resume && self.announced {
                fx.outputs.push_back(Output::Resumed { call: self.key, at: arrival.at });
            }
        }
    }
}
