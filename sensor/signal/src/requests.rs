//! What requests do to their call.

use nightjar_schema::{CallEventKind, EndCause};
use nightjar_wire::Nanos;

use crate::arrival::{Arrival, Side};
use crate::call::{Call, Effects, Ending};
use crate::dialog::{Bye, Dialog};
use crate::invite::Invite;
use crate::message::{Message, Method, Start};
use crate::output::Output;
use crate::parties::reason;

/// A repeated Call-ID after this long is a new call, not a late copy of the INVITE (64 × T1).
const LATE_COPY: Nanos = Nanos::from_secs(32);

impl Call {
    /// Whether an INVITE outside of every dialog, under this call's Call-ID and From tag, is this
    /// call's: a copy, another hop's, a retry; otherwise it begins a new call.
    pub(crate) fn takes_invite(&self, arrival: &Arrival<'_>) -> bool {
        let Some(known) = self.invite.cseq() else { return false };
        let cseq = arrival.message.cseq;
        if cseq == known {
            let late = self.answered_by.is_some() && arrival.now - self.clocks.talk > LATE_COPY;
            return self.invite.has(arrival.branch) || (self.ending.is_none() && !late);
        }
        let in_setup = cseq < known || self.answered_by.is_none();
        self.ending.is_none() && (in_setup || self.is_untagged_reinvite(arrival))
    }

    /// A re-INVITE to a called side that gave no tag (RFC 2543): it looks like one outside of every
    /// dialog.
    fn is_untagged_reinvite(&self, arrival: &Arrival<'_>) -> bool {
        let untagged = |dialog: u16| self.dialogs[usize::from(dialog)].callee_tag.is_none();
        arrival.is_fresh_invite()
            && self.answered_by.is_some_and(untagged)
            && self.invite.cseq().is_some_and(|known| known < arrival.message.cseq)
    }

    /// Reads one of the call's messages.
    pub(crate) fn handle(&mut self, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let begins_here = !self.beginning_unseen;
        if arrival.session.is_some() || begins_here || arrival.is_request(Method::Bye) {
            self.announce(fx);
        }
        let side = self.requester(arrival);
        match arrival.message.start {
            Start::Response(status, phrase) => self.handle_response(side, status, phrase, arrival, fx),
            Start::Request(_) if arrival.is_fresh_invite() && !self.is_untagged_reinvite(arrival) => {
                self.handle_invite(arrival, fx);
            }
            Start::Request(_) if self.ending.is_some() => fx.statistics.retransmissions += 1,
            Start::Request(_) => match arrival.message.method {
                Method::Invite | Method::Update | Method::Prack => self.handle_offer(side, arrival, fx),
                Method::Ack => self.handle_ack(side, arrival, fx),
                Method::Bye => self.handle_bye(side, arrival, fx),
                Method::Cancel => self.handle_cancel(arrival),
                _ => {}
            },
        }
        self.tell_change(arrival.at, fx);
    }

    /// The INVITE that makes the call: its first sight, a copy, another hop, or a retry.
    fn handle_invite(&mut self, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let cseq = arrival.message.cseq;
        let seen = self.dialogs[0].latest[Side::Caller.index()].is_some();
        match self.invite.cseq() {
            Some(known) if cseq < known => return fx.statistics.retransmissions += 1,
            Some(known) if cseq == known && self.invite.has(arrival.branch) => {
                fx.statistics.retransmissions += u64::from(seen);
            }
            Some(known) if cseq == known => {
                // Another target is asked: what was settled or cancelled so far was not the call.
                self.invite.add(arrival.branch, arrival.src);
                (self.clocks.settled, self.clocks.cancelled, self.cancelled_at) = (None, None, None);
            }
            _ => self.retry(arrival, fx),
        }
        if self.ending.is_some() || self.dialogs[0].is_stale(Side::Caller, cseq) {
            return;
        }
        self.dialogs[0].latest[Side::Caller.index()] = Some(cseq);
        self.clocks.setup = arrival.now;
        self.sign(arrival.at);
        let Some(session) = &arrival.session else { return };
        for dialog in 0..self.dialogs.len() {
            if self.dialogs[dialog].live() {
                self.dialogs[dialog].hold.on_request(Side::Caller, cseq, session);
                self.dialogs[dialog].sessions.propose(Side::Caller, arrival.hop(), cseq, &session.media);
                self.rebind(dialog, arrival.at, fx);
            }
        }
    }

    /// The caller tries again: challenged, redirected, or asked for other terms.
    fn retry(&mut self, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        self.invite = Invite::new(arrival.message.cseq, arrival.branch, arrival.src);
        (self.clocks.retry, self.clocks.settled, self.clocks.cancelled) = (None, None, None);
        self.cancelled_at = None;
        self.refused_at = None;
        for dialog in &mut self.dialogs[1..] {
            dialog.ended_at.get_or_insert(arrival.at);
        }
        self.dialogs[0].start_over();
        self.dialogs[0].ended_at = None;
        self.rebind_all(arrival.at, fx);
    }

    /// A re-INVITE, an UPDATE or a PRACK: what it says of media is a proposal until it is answered.
    fn handle_offer(&mut self, side: Side, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let message = arrival.message;
        let dialog = self.dialog_for(callee_tag(side, arrival), arrival);
        self.sign(arrival.at);
        // Its beginning not seen, a dialog that is renegotiated is taken for an answered one.
        if message.method == Method::Invite || self.invite.cseq().is_none() {
            self.confirm(dialog, None, arrival, fx);
        }
        if message.method != Method::Prack {
            if self.dialogs[dialog].is_stale(side, message.cseq) {
                return fx.statistics.retransmissions += 1;
            }
            self.dialogs[dialog].latest[side.index()] = Some(message.cseq);
        }
        let Some(session) = &arrival.session else { return };
        let known = &mut self.dialogs[dialog];
        if message.method != Method::Prack || !known.hold.on_acknowledgement(side, session) {
            known.hold.on_request(side, message.cseq, session);
        }
        known.sessions.propose(side, arrival.hop(), message.cseq, &session.media);
        self.rebind(dialog, arrival.at, fx);
    }

    /// An ACK: it may hold the answer to a late offer; and it proves an answer that was not seen.
    fn handle_ack(&mut self, side: Side, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let cseq = arrival.message.cseq;
        if self.answered_by.is_none() {
            // An ACK to a refusal shares its INVITE's branch, one to a 2xx does not (RFC 3261,
            // 17.1.1.3 and 13.2.2.4).
            let to_an_answer = self.invite.cseq().is_none_or(|known| known == cseq)
                && !self.invite.has(arrival.branch)
                && !self.invite.refused()
                && !arrival.to_tag.is_empty();
            if !to_an_answer {
                return;
            }
        }
        let dialog = self.dialog_for(callee_tag(side, arrival), arrival);
        self.sign(arrival.at);
        self.confirm(dialog, None, arrival, fx);
        if let Some(session) = &arrival.session {
            self.dialogs[dialog].hold.on_acknowledgement(side, session);
            self.dialogs[dialog].sessions.accept(side, arrival.hop(), &session.media);
            self.rebind(dialog, arrival.at, fx);
            self.tell_hold(dialog, arrival, fx);
        }
    }

    /// A BYE ends its dialog when it is answered, or when no answer comes.
    fn handle_bye(&mut self, side: Side, arrival: &Arrival<'_>, fx: &mut Effects<'_>) {
        let dialog = self.dialog_for(callee_tag(side, arrival), arrival);
        // Only a caller may send one before the answer (RFC 3261, 15).
        if side == Side::Callee || self.beginning_unseen {
            self.confirm(dialog, None, arrival, fx);
        }
        let known = &mut self.dialogs[dialog];
        if !known.live() || known.bye.is_some() {
            return fx.statistics.retransmissions += 1;
        }
        known.bye = Some(Bye { at: arrival.at, since: arrival.now, side, reason: reason(arrival.message) });
        self.sign(arrival.at);
    }

    /// A CANCEL of the caller's own; a proxy's concerns one of its targets only.
    fn handle_cancel(&mut self, arrival: &Arrival<'_>) {
        let current = self.invite.cseq() == Some(arrival.message.cseq);
        if !current || self.answered_by.is_some() || !self.invite.is_callers(arrival.branch) {
            return;
        }
        self.sign(arrival.at);
        if self.cancelled_at.is_none() {
            self.cancelled_at = Some(arrival.at);
            self.clocks.cancelled = Some(arrival.now);
            self.cancel_reason = reason(arrival.message);
        }
    }

    /// The dialog is answered: by a 2xx with its status, or by what only an answered one sends.
    pub(crate) fn confirm(
        &mut self,
        dialog: usize,
        status: Option<u16>,
        arrival: &Arrival<'_>,
        fx: &mut Effects<'_>,
    ) {
        // What only follows an answer tells when the answer was, unless that was before the capture.
        let seen = Some(arrival.at).filter(|_| status.is_some() || !self.beginning_unseen);
        let known = &mut self.dialogs[dialog];
        if !known.confirmed {
            known.confirmed = true;
            known.answered_at = seen;
        }
        known.status = status.or(known.status);
        if let Some(answered_by) = self.answered_by {
            // An ACK that overtook the 2xx told the answer, not its code.
            if usize::from(answered_by) == dialog {
                self.status = status.or(self.status);
            }
            return;
        }
        self.answered_by = Some(dialog as u16);
        self.answered_at = seen;
        self.status = status.or(self.status);
        self.cancelled_at = None;
        self.clocks.talk = arrival.now;
        if let Some(timer) = &mut self.dialogs[dialog].timer {
            timer.refreshed = arrival.now;
        }
        self.joined(dialog, arrival.at);
        if self.ending.is_some() {
            return;
        }
        if let Some(at) = seen {
            self.happened(at, CallEventKind::Answer, self.leg(dialog, Side::Callee));
            fx.outputs.extend(self.answer().filter(|_| self.announced));
        }
        self.rebind_all(arrival.at, fx);
    }

    /// The dialog's BYE stands. Another answered dialog goes on, otherwise the call is over.
    pub(crate) fn finish_dialog(&mut self, dialog: usize, now: Nanos, fx: &mut Effects<'_>) {
        let Some(Bye { at, side, reason, .. }) = self.dialogs[dialog].bye.take() else { return };
        self.dialogs[dialog].ended_at = Some(at.max(self.dialogs[dialog].started_at));
        let goes_on = self.dialogs.iter().position(|other| other.live() && other.confirmed);
        let still_asked = self.answered_by.is_none() && self.dialogs.iter().any(Dialog::live);
        match goes_on {
            Some(next) if self.answered_by == Some(dialog as u16) => {
                self.answered_by = Some(next as u16);
                fx.outputs.push_back(Output::Answered { call: self.key, dialog: next as u16, at });
                self.changed = true;
            }
            Some(_) => {}
            None if still_asked => {}
            None => {
                let leg = Some(self.leg(dialog, side));
                self.end(Ending { at, cause: EndCause::Bye, leg, reason }, at, now, fx);
                return;
            }
        }
        self.rebind(dialog, at, fx);
    }
}

/// The called side's tag in a message of this requester.
pub(crate) fn callee_tag<'m>(requester: Side, arrival: &Arrival<'m>) -> &'m [u8] {
    match requester {
        Side::Caller => arrival.to_tag,
        Side::Callee => arrival.from_tag,
    }
}

/// The phrase of a refusal, its Reason header first.
pub(crate) fn refusal_reason(message: &Message<'_>, phrase: &[u8]) -> Option<String> {
    reason(message).or_else(|| crate::text::decode_some(phrase))
}
