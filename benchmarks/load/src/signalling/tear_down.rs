//! How calls end: BYE, CANCEL, refusals, silence, and the hang-up of everything at once.

use nightjar_schema::CallState;
use nightjar_wire::Nanos;

use crate::expected::timestamp;
use crate::party::Side;
use crate::script::Script;
use crate::sip_text::Message;

/// When an unanswered INVITE is repeated (RFC 3261, 17.1.1.2: T1 of 500 ms, doubling).
const INVITE_REPEATS_MS: [u64; 6] = [500, 1500, 3500, 7500, 15_500, 31_500];

impl Script {
    pub(super) fn bye(&mut self, at: Nanos, by: Side) {
        let bye = self.dialog.request("BYE", by);
        self.say(at, by, &bye);
        let answered = at + self.hop();
        self.say(answered, by.other(), &bye.response(200, None));
        self.ended(at, CallState::Completed, Some(200));
        self.expected.ended_by = Some(by);
        self.expected.talk_ms = self.answered_at.map(|answered| (at - answered).as_millis());
    }

    pub(super) fn cancel(&mut self, at: Nanos, invite: &Message) {
        let cancel = self.dialog.cancel(invite);
        self.say(at, Side::Caller, &cancel);
        let confirmed = at + self.hop();
        let tag = self.dialog.tag(Side::Callee).to_owned();
        self.say(confirmed, Side::Callee, &cancel.response(200, Some(&tag)));
        self.final_answer(confirmed + Nanos::from_millis(2), invite, 487, CallState::Cancelled);
    }

    pub(super) fn refuse(&mut self, at: Nanos, invite: &Message, status: u16) {
        let state = match status {
            487 => CallState::Cancelled,
            408 | 500..=599 => CallState::Failed,
            _ => CallState::Rejected,
        };
        self.final_answer(at, invite, status, state);
    }

    fn final_answer(&mut self, at: Nanos, invite: &Message, status: u16, state: CallState) {
        let tag = self.dialog.tag(Side::Callee).to_owned();
        // The call is over when the caller hears of it.
        let heard = self.say(at, Side::Callee, &invite.response(status, Some(&tag)));
        let acknowledged = at + self.hop();
        let ack = self.dialog.ack_failure(invite);
        self.say(acknowledged, Side::Caller, &ack);
        self.ended(heard, state, Some(status));
    }

    /// The INVITE and its repetitions; nobody answers.
    pub(super) fn unheard(&mut self, at: Nanos) {
        let invite = self.invite(at);
        for repeat in INVITE_REPEATS_MS {
            self.say(at + Nanos::from_millis(repeat), Side::Caller, &invite);
        }
    }

    fn ended(&mut self, at: Nanos, state: CallState, status: Option<u16>) {
        self.ended_at = Some(at);
        self.expected.ended_at = Some(timestamp(at));
        self.expected.state = state;
        self.expected.status = status;
    }

    /// Ends the call at `at` whatever it was doing; what was to come later is not sent. The legs
    /// are stopped by their owner.
    pub fn hang_up(&mut self, at: Nanos) {
        if self.ended_at.is_some_and(|ended| ended <= at) {
            return;
        }
        self.sends.retain(|send| send.at <= at);
        self.plan.repeat = None;
        let answered = self.answered_at.is_some_and(|answered| answered <= at);
        let invite = self.invites.iter().rev().find(|(sent, _)| *sent <= at).cloned();
        if answered {
            self.bye(at, Side::Caller);
            self.expected.holds.retain(|hold| hold.from_at <= timestamp(at));
        } else if let Some((_, invite)) = invite {
            self.answered_at = None;
            self.expected.answered_at = None;
            (self.expected.talk_ms, self.expected.ended_by) = (None, None);
            self.expected.holds.clear();
            self.cancel(at, &invite);
        }
        self.sends.make_contiguous().sort_by_key(|send| send.at);
    }
}
