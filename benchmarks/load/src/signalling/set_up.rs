//! From the first INVITE to the answer: attempts, ringing, early media, forks, 200 and ACK.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use nightjar_schema::CallState;
use nightjar_wire::Nanos;

use crate::audio::Audio;
use crate::expected::{DialogExpected, Speaker, timestamp};
use crate::party::Side;
use crate::plan::{AckPlan, Attempt, Opening, RtpChange};
use crate::script::Script;
use crate::sdp::MediaDirection;
use crate::sip_text::Message;

/// From INVITE to the first 18x, and between the 18x of forks.
const PROGRESS_AFTER: Nanos = Nanos::from_millis(300);
const FORK_SPACING: Nanos = Nanos::from_millis(200);
/// When a 200 without an ACK is repeated (RFC 3261, 13.3.1.4: T1 of 500 ms, doubling up to T2 of 4 s).
const ANSWER_REPEATS_MS: [u64; 10] = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

impl Script {
    /// A first INVITE that is challenged or redirected; returns when the next one leaves.
    pub(super) fn attempt(&mut self, at: Nanos, attempt: &Attempt) -> Nanos {
        let invite = self.invite(at);
        let answered = at + self.hop();
        let tag = self.dialog.tag(Side::Callee).to_owned();
        let response = match attempt {
            Attempt::Challenged(status) => {
                let header = if *status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
                let nonce = format!("{:016x}", self.random.next_u64());
                let challenge = format!("Digest realm=\"example.test\", nonce=\"{nonce}\", algorithm=MD5");
                invite.response(*status, Some(&tag)).with(header, challenge)
            }
            Attempt::Redirected(party) => {
                self.dialog.retarget(party);
                self.expected.reached_number = Some(party.number.clone());
                invite.response(302, Some(&tag)).with("Contact", format!("<{}>", party.uri()))
            }
        };
        self.say(answered, Side::Callee, &response);
        let acknowledged = answered + self.hop();
        let ack = self.dialog.ack_failure(&invite);
        self.say(acknowledged, Side::Caller, &ack);
        self.dialog.renew_tag();
        acknowledged + Nanos::from_millis(5)
    }

    /// Sends an INVITE, with credentials when an earlier one was challenged.
    pub(super) fn invite(&mut self, at: Nanos) -> Message {
        let mut invite = self.dialog.request("INVITE", Side::Caller);
        invite = invite.with("Contact", self.dialog.contact(Side::Caller));
        let attempts_before = self.invites.len();
        let challenged = self.plan.prelude[..attempts_before.min(self.plan.prelude.len())].last();
        if let Some(Attempt::Challenged(status)) = challenged {
            let header = if *status == 401 { "Authorization" } else { "Proxy-Authorization" };
            let (nonce, response) = (self.random.next_u64(), self.random.next_u64());
            let user = self.plan.parties[0].number.clone();
            let uri = self.plan.parties[1].uri();
            invite = invite.with(
                header,
                format!(
                    "Digest username=\"{user}\", realm=\"example.test\", nonce=\"{nonce:016x}\", \
                     uri=\"{uri}\", response=\"{response:016x}{nonce:016x}\", algorithm=MD5"
                ),
            );
        }
        if let Some(seconds) = self.plan.session_expires {
            invite =
                invite.with("Supported", "timer").with("Session-Expires", format!("{seconds};refresher=uac"));
        }
        if self.plan.reliable {
            invite = invite.with("Supported", "100rel");
        }
        if !matches!(self.plan.opening, Opening::LateOffer | Opening::OfferInProgress(_)) {
            let sdp = self.sdp(Side::Caller, MediaDirection::SendRecv, false).render();
            invite = invite.with_sdp(Some(sdp));
        }
        if self.is_hunted() {
            self.say_to_proxy(at, &invite);
        } else {
            self.say(at, Side::Caller, &invite);
        }
        self.invites.push((at, invite.clone()));
        invite
    }

    /// INVITE, 100 and what rings; returns the INVITE and when its final answer is due.
    pub(super) fn ring(&mut self, at: Nanos) -> (Message, Nanos) {
        let invite = self.invite(at);
        let trying = at + self.hop();
        if !self.is_hunted() {
            self.say(trying, Side::Callee, &invite.response(100, None));
        }
        let final_at = at + self.plan.ring;
        let progress = at + PROGRESS_AFTER.min(Nanos(self.plan.ring.0 / 2));
        match self.plan.opening.clone() {
            Opening::Offer | Opening::LateOffer => self.ringing(progress, &invite),
            Opening::EarlyMedia(audio) => {
                self.session_progress(progress, &invite);
                self.early_media(progress, final_at, audio);
            }
            Opening::OfferInProgress(audio) => {
                self.offer_in_progress(progress, &invite);
                self.early_media(progress + Nanos::from_millis(40), final_at, audio);
            }
            Opening::Forked(branches) => self.fork(progress, final_at, &invite, &branches),
            Opening::Hunted(targets) => self.hunt(trying, final_at, &invite, &targets),
        }
        self.early_update(progress + Nanos::from_millis(100), final_at);
        (invite, final_at)
    }

    /// Each branch has its own tag, host and early media; the last one is the callee.
    fn fork(&mut self, progress: Nanos, final_at: Nanos, invite: &Message, branches: &[Audio]) {
        let callee = (self.media[1], self.advertised[1]);
        for (number, audio) in branches.iter().enumerate() {
            let at = progress + Nanos(FORK_SPACING.0 * number as u64);
            let winner = number + 1 == branches.len();
            if winner {
                (self.media[1], self.advertised[1]) = callee;
            } else {
                let branch = branch_media(callee.0, number);
                (self.media[1], self.advertised[1]) = (branch, branch);
            }
            let tag = self.dialog.renew_tag().to_owned();
            self.expected.dialogs.push(DialogExpected { to_tag: tag, status: None, ended_at: None });
            self.session_progress(at, invite);
            let mut leg = self.main_leg(Side::Callee, at + Nanos::from_millis(5), final_at);
            if winner {
                leg.changes.push((final_at, RtpChange::Audio(leg.audio)));
            } else {
                leg.speaker = Speaker::LosingFork;
            }
            leg.audio = audio.clone();
            self.legs.push(leg);
        }
    }

    /// 200, ACK and everything that follows.
    pub(super) fn answer(&mut self, at: Nanos, invite: &Message) {
        let crossing = self.plan.cancel_crosses_answer.then(|| self.dialog.cancel(invite));
        if let Some(cancel) = &crossing {
            self.say(at - Nanos::from_millis(3), Side::Caller, cancel);
        }
        let ok = self.ok(invite);
        self.say(at, Side::Callee, &ok);
        if let Some(cancel) = &crossing {
            let tag = self.dialog.tag(Side::Callee).to_owned();
            self.say(at + Nanos::from_millis(5), Side::Callee, &cancel.response(200, Some(&tag)));
        }
        self.dialog.establish();
        self.answered_at = Some(at);
        self.expected.answered_at = Some(timestamp(at));
        self.expected.state = CallState::Incomplete;
        self.expected.status = Some(200);
        if let Some(dialog) = self.expected.dialogs.last_mut() {
            dialog.status = Some(200);
        }
        let acknowledged = at + self.hop();
        let mut ack = self.dialog.ack_success(invite, Side::Caller);
        if self.plan.opening == Opening::LateOffer {
            ack = ack.with_sdp(Some(self.sdp(Side::Caller, MediaDirection::SendRecv, false).render()));
        }
        match self.plan.ack {
            AckPlan::Prompt => {
                self.say(acknowledged, Side::Caller, &ack);
            }
            AckPlan::AfterBye => {
                self.say(at + self.plan.talk + Nanos::from_millis(4), Side::Caller, &ack);
            }
            AckPlan::Never => {
                for repeat in ANSWER_REPEATS_MS {
                    self.say(at + Nanos::from_millis(repeat), Side::Callee, &ok);
                }
            }
        }
        if let Some(after) = self.plan.second_answer {
            self.second_answer(at + after, invite);
        }
        self.talk(at, acknowledged);
    }

    /// The 200 of the INVITE.
    fn ok(&mut self, invite: &Message) -> Message {
        let tag = self.dialog.tag(Side::Callee).to_owned();
        let mut ok = invite.response(200, Some(&tag)).with("Contact", self.dialog.contact(Side::Callee));
        if let Some(seconds) = self.plan.session_expires {
            ok = ok.with("Require", "timer").with("Session-Expires", format!("{seconds};refresher=uac"));
        }
        if matches!(self.plan.opening, Opening::OfferInProgress(_)) {
            return ok;
        }
        ok.with_sdp(Some(self.sdp(Side::Callee, MediaDirection::SendRecv, false).render()))
    }

    /// The first fork answers too; the caller acknowledges that and hangs up on it (RFC 3261, 13.2.2.4).
    fn second_answer(&mut self, at: Nanos, invite: &Message) {
        let winner = self.dialog.tag(Side::Callee).to_owned();
        let callee = (self.media[1], self.advertised[1]);
        let branch = branch_media(callee.0, 0);
        (self.media[1], self.advertised[1]) = (branch, branch);
        let first = self.expected.dialogs[0].to_tag.clone();
        self.dialog.take_tag(&first);
        let ok = self.ok(invite);
        self.say(at, Side::Callee, &ok);
        let acknowledged = at + self.hop();
        let ack = self.dialog.ack_success(invite, Side::Caller);
        self.say(acknowledged, Side::Caller, &ack);
        let hung_up = acknowledged + Nanos::from_millis(1);
        let bye = self.dialog.request("BYE", Side::Caller);
        self.say(hung_up, Side::Caller, &bye);
        let confirmed = hung_up + self.hop();
        self.say(confirmed, Side::Callee, &bye.response(200, None));
        let dialog = &mut self.expected.dialogs[0];
        (dialog.status, dialog.ended_at) = (Some(200), Some(timestamp(hung_up)));
        self.dialog.take_tag(&winner);
        (self.media[1], self.advertised[1]) = callee;
    }
}

/// The media socket of a fork's losing branch.
pub(super) fn branch_media(callee: SocketAddr, number: usize) -> SocketAddr {
    let addr = match callee.ip() {
        IpAddr::V4(addr) => {
            let [_, _, high, low] = addr.octets();
            IpAddr::V4(Ipv4Addr::new(198, 51 + number as u8, high, low))
        }
        IpAddr::V6(addr) => {
            let mut segments = addr.segments();
            segments[3] = 1 + number as u16;
            IpAddr::V6(segments.into())
        }
    };
    SocketAddr::new(addr, callee.port())
}
