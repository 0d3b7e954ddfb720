//! Sequential hunting: a proxy asks one target after the other (RFC 3261, 16.7) until one answers. The
//! tap sees both of its sides: one INVITE of the caller, several of the proxy.

use std::net::SocketAddr;

use nightjar_wire::Nanos;

use crate::expected::{DialogExpected, Speaker, timestamp};
use crate::party::Side;
use crate::plan::{Hunted, Opening};
use crate::script::{Script, proxied};
use crate::sdp::MediaDirection;
use crate::sip_text::Message;

use super::set_up::branch_media;

/// A target that is asked, on the proxy's far side.
struct Target {
    socket: SocketAddr,
    /// The proxy's INVITE to it.
    invite: Message,
}

impl Script {
    pub(super) fn is_hunted(&self) -> bool {
        matches!(self.plan.opening, Opening::Hunted(_))
    }

    /// The caller's side of the proxy alone.
    pub(super) fn say_to_proxy(&mut self, at: Nanos, message: &Message) {
        let (caller, proxy) = (self.plan.addresses[0].sip, self.proxy());
        self.put(at, caller, proxy, message);
    }

    fn say_to_caller(&mut self, at: Nanos, message: &Message) {
        let (caller, proxy) = (self.plan.addresses[0].sip, self.proxy());
        self.put(at, proxy, caller, message);
    }

    /// All targets in turn, the callee last; it answers at `final_at`.
    pub(super) fn hunt(&mut self, trying: Nanos, final_at: Nanos, invite: &Message, targets: &[Hunted]) {
        self.say_to_caller(trying, &invite.response(100, None));
        let turn = Nanos((final_at - trying).0 / (targets.len() as u64 + 1));
        let mut at = trying + Nanos::from_millis(1);
        for (number, hunted) in targets.iter().enumerate() {
            self.ask(at, at + turn, invite, number, hunted);
            at = at + turn;
        }
        let callee = self.target(at, invite, None);
        self.dialog.renew_tag();
        self.note_dialog(None, None);
        let ringing = at + self.hop();
        let tag = self.dialog.tag(Side::Callee).to_owned();
        let rings =
            callee.invite.response(180, Some(&tag)).with("Contact", self.dialog.contact(Side::Callee));
        self.far_answer(ringing, &callee, &rings);
        self.say_to_caller(ringing + Nanos::from_millis(1), &without_proxy(&rings));
    }

    /// One target: it rings or plays, and refuses or is cancelled when its turn is over.
    fn ask(&mut self, at: Nanos, until: Nanos, invite: &Message, number: usize, hunted: &Hunted) {
        let target = self.target(at, invite, Some(number));
        let tag = self.dialog.renew_tag().to_owned();
        let progress = at + self.hop();
        let contact = self.dialog.contact(Side::Callee);
        let status = if hunted.early.is_some() { 183 } else { 180 };
        let mut answer = target.invite.response(status, Some(&tag)).with("Contact", contact);
        let refused = until - Nanos::from_millis(30);
        if let Some(audio) = &hunted.early {
            let callee = (self.media[1], self.advertised[1]);
            let branch = branch_media(callee.0, number);
            (self.media[1], self.advertised[1]) = (branch, branch);
            answer = answer.with_sdp(Some(self.sdp(Side::Callee, MediaDirection::SendRecv, false).render()));
            let mut leg = self.main_leg(Side::Callee, progress + Nanos::from_millis(5), refused);
            (leg.speaker, leg.audio) = (Speaker::LosingFork, audio.clone());
            self.legs.push(leg);
            (self.media[1], self.advertised[1]) = callee;
        }
        self.far_answer(progress, &target, &answer);
        self.say_to_caller(progress + Nanos::from_millis(1), &without_proxy(&answer));
        self.let_go(refused, &target, &tag, hunted.status);
        self.note_dialog(Some(hunted.status), Some(refused));
    }

    /// The refusal of a target, after a CANCEL of the proxy's where it gave up.
    fn let_go(&mut self, refused: Nanos, target: &Target, tag: &str, status: u16) {
        let proxy = self.proxy();
        if status == 487 {
            let cancel = self.dialog.cancel(&target.invite);
            self.put(refused - Nanos::from_millis(10), proxy, target.socket, &cancel);
            self.far_answer(refused - Nanos::from_millis(5), target, &cancel.response(200, Some(tag)));
        }
        self.far_answer(refused, target, &target.invite.response(status, Some(tag)));
        let ack = self.dialog.ack_failure(&target.invite);
        self.put(refused + Nanos::from_millis(1), proxy, target.socket, &ack);
    }

    /// The proxy's INVITE to a losing target, or to the callee.
    fn target(&mut self, at: Nanos, invite: &Message, number: Option<usize>) -> Target {
        let proxy = self.proxy();
        let callee = self.plan.addresses[1].sip;
        let [_, mut forwarded] = proxied(invite, proxy);
        let mut socket = callee;
        if let Some(number) = number {
            // A transaction of its own.
            forwarded.vias[0] = format!("{}t{number}", forwarded.vias[0]);
            socket = branch_media(callee, number);
        }
        self.put(at, proxy, socket, &forwarded);
        Target { socket, invite: forwarded }
    }

    fn far_answer(&mut self, at: Nanos, target: &Target, response: &Message) {
        let proxy = self.proxy();
        self.put(at, target.socket, proxy, response);
    }

    fn note_dialog(&mut self, status: Option<u16>, ended_at: Option<Nanos>) {
        let to_tag = self.dialog.tag(Side::Callee).to_owned();
        self.expected.dialogs.push(DialogExpected { to_tag, status, ended_at: ended_at.map(timestamp) });
    }
}

/// A response as the proxy hands it on: its own Via is gone.
fn without_proxy(response: &Message) -> Message {
    let mut response = response.clone();
    response.vias.remove(0);
    response
}
