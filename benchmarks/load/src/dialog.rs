//! The messages of one call's dialog: who they are from, their numbers and tags.

use std::net::SocketAddr;

use crate::party::{Party, Side, SideAddresses};
use crate::random::Random;
use crate::sip_text::{Message, NameAddr};

/// A call's dialog while its messages are written.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    parties: [Party; 2],
    /// What each side believes its signalling socket to be.
    sockets: [SocketAddr; 2],
    call_id: String,
    tags: [String; 2],
    cseq: [u32; 2],
    /// The To tag is known: requests are within the dialog.
    established: bool,
    /// Whom the first requests are addressed to: after a redirection somebody else than `To`.
    target: String,
    /// The user parts of both sides' contacts.
    contact_users: [String; 2],
    random: Random,
}

impl Dialog {
    pub fn new(
        parties: [Party; 2],
        addresses: &[SideAddresses; 2],
        call_id: Option<String>,
        mut random: Random,
    ) -> Dialog {
        let sockets = [0, 1].map(|n| {
            let believed = addresses[n].advertised_media.map_or(addresses[n].sip.ip(), |media| media.ip());
            SocketAddr::new(believed, addresses[n].sip.port())
        });
        let host = sockets[0].ip();
        let call_id = call_id.unwrap_or_else(|| format!("{:016x}@{host}", random.next_u64()));
        let tags = [0, 1].map(|_| format!("{:08x}", random.next_u32()));
        let target = parties[1].uri();
        let cseq = [random.between(1, 9000) as u32, random.between(1, 9000) as u32];
        let contact_users = [0, 1].map(|n| contact_user(&parties[n]));
        Dialog { parties, sockets, call_id, tags, cseq, established: false, target, contact_users, random }
    }

    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    pub fn tag(&self, side: Side) -> &str {
        &self.tags[side.index()]
    }

    /// The called side answers with another tag from now on: another fork, another attempt.
    pub fn renew_tag(&mut self) -> &str {
        self.tags[1] = format!("{:08x}", self.random.next_u32());
        &self.tags[1]
    }

    /// The called side answers with this tag again.
    pub fn take_tag(&mut self, tag: &str) {
        tag.clone_into(&mut self.tags[1]);
    }

    /// The dialog is confirmed.
    pub fn establish(&mut self) {
        self.established = true;
    }

    /// The next INVITE is addressed to another party (after a 3xx).
    pub fn retarget(&mut self, party: &Party) {
        self.target = party.uri();
        self.contact_users[1] = contact_user(party);
    }

    /// A new request of `by`, in the dialog once that is established.
    pub fn request(&mut self, method: &'static str, by: Side) -> Message {
        let mut request = self.request_within(method, by);
        if !self.established {
            request.start = format!("{method} {} SIP/2.0", self.target);
            request.to.tag = None;
        }
        request
    }

    /// A new request of `by` within the dialog, be it early or confirmed.
    pub fn request_within(&mut self, method: &'static str, by: Side) -> Message {
        self.cseq[by.index()] += 1;
        let uri = self.contact_uri(by.other());
        let to = self.name_addr(by.other());
        Message {
            start: format!("{method} {uri} SIP/2.0"),
            method,
            vias: vec![self.via(by)],
            from: self.name_addr(by),
            to,
            call_id: self.call_id.clone(),
            cseq: self.cseq[by.index()],
            headers: vec![("Max-Forwards", "70".to_owned())],
            sdp: None,
        }
    }

    /// The ACK of a 2xx: a transaction of its own (RFC 3261, 13.2.2.4).
    pub fn ack_success(&mut self, invite: &Message, by: Side) -> Message {
        let uri = self.contact_uri(by.other());
        let mut to = invite.to.clone();
        to.tag.get_or_insert_with(|| self.tags[by.other().index()].clone());
        Message {
            start: format!("ACK {uri} SIP/2.0"),
            method: "ACK",
            vias: vec![self.via(by)],
            to,
            headers: vec![("Max-Forwards", "70".to_owned())],
            sdp: None,
            ..invite.clone()
        }
    }

    /// The ACK of another final answer, in the INVITE's own transaction (17.1.1.3). Within the dialog the
    /// tags are the INVITE's.
    pub fn ack_failure(&self, invite: &Message) -> Message {
        let mut ack = self.within_transaction(invite, "ACK");
        ack.to.tag.get_or_insert_with(|| self.tags[1].clone());
        ack
    }

    /// The CANCEL of an INVITE (9.1).
    pub fn cancel(&self, invite: &Message) -> Message {
        self.within_transaction(invite, "CANCEL")
    }

    fn within_transaction(&self, invite: &Message, method: &'static str) -> Message {
        let rest = invite.start.split_once(' ').map_or("", |(_, rest)| rest);
        Message {
            start: format!("{method} {rest}"),
            method,
            headers: vec![("Max-Forwards", "70".to_owned())],
            sdp: None,
            ..invite.clone()
        }
    }

    /// A side's `Contact`.
    pub fn contact(&self, side: Side) -> String {
        format!("<{}>", self.contact_uri(side))
    }

    fn contact_uri(&self, side: Side) -> String {
        format!("sip:{}@{}", self.contact_users[side.index()], self.sockets[side.index()])
    }

    fn name_addr(&self, side: Side) -> NameAddr {
        let party = &self.parties[side.index()];
        NameAddr { name: party.name.clone(), uri: party.uri(), tag: Some(self.tags[side.index()].clone()) }
    }

    fn via(&mut self, by: Side) -> String {
        let branch = self.random.next_u64();
        format!("SIP/2.0/UDP {};branch=z9hG4bK{branch:016x};rport", self.sockets[by.index()])
    }
}

fn contact_user(party: &Party) -> String {
    party.number.trim_start_matches('+').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CallPlan;

    fn dialog() -> Dialog {
        let plan = CallPlan::plain(0, &mut Random::new(1));
        Dialog::new(plan.parties, &plan.addresses, None, Random::new(2))
    }

    #[test]
    fn requests_of_the_callee_swap_from_and_to() {
        let mut dialog = dialog();
        let invite = dialog.request("INVITE", Side::Caller);
        dialog.establish();
        let bye = dialog.request("BYE", Side::Callee);
        assert_eq!((bye.from.uri, bye.to.uri), (invite.to.uri, invite.from.uri));
        assert_eq!(bye.to.tag, invite.from.tag);
        assert!(invite.to.tag.is_none() && bye.from.tag.is_some());
    }

    #[test]
    fn cancel_and_failure_ack_share_the_invites_branch() {
        let mut dialog = dialog();
        let invite = dialog.request("INVITE", Side::Caller);
        for other in [dialog.cancel(&invite), dialog.ack_failure(&invite)] {
            assert_eq!((other.vias, other.cseq), (invite.vias.clone(), invite.cseq));
        }
        assert_ne!(dialog.ack_success(&invite, Side::Caller).vias, invite.vias);
    }
}
