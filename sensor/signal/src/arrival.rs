//! A message as it arrived: when, between whom, of which dialog, with which session description.

use std::net::IpAddr;

use nightjar_wire::{Endpoint, Nanos};
use serde::{Deserialize, Serialize};

use crate::header;
use crate::message::{Message, Method, SipError, Start, tag};
use crate::sdp::SessionDescription;
use crate::text::fnv1a;

/// A party of a dialog, by who sent the INVITE that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Caller, Side::Callee];

    pub(crate) fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// The two hosts that a message passed between, whichever sent it. A proxy's two sides are two
/// hops of one dialog, and may carry different descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hop(IpAddr, IpAddr);

impl Hop {
    pub(crate) fn between(a: IpAddr, b: IpAddr) -> Hop {
        Hop(a.min(b), a.max(b))
    }
}

/// A message with its circumstances.
pub(crate) struct Arrival<'m> {
    /// The packet's stamp: what records say.
    pub(crate) at: Nanos,
    /// The directory's clock, which never goes back: what timers run on.
    pub(crate) now: Nanos,
    pub(crate) src: Endpoint,
    pub(crate) dst: Endpoint,
    pub(crate) message: &'m Message<'m>,
    pub(crate) from_tag: &'m [u8],
    pub(crate) to_tag: &'m [u8],
    /// The transaction's name on this hop: the same in a request and its responses.
    pub(crate) branch: u64,
    /// What the body says of media.
    pub(crate) session: Option<SessionDescription>,
}

impl<'m> Arrival<'m> {
    pub(crate) fn new(
        at: Nanos,
        now: Nanos,
        src: Endpoint,
        dst: Endpoint,
        message: &'m Message<'m>,
    ) -> Result<Arrival<'m>, SipError> {
        let branch = match header::branch(message.via) {
            Some(branch) => fnv1a(&[branch]),
            // Devices of RFC 2543 name no branch: the hop stands for it.
            None => {
                let (low, high) = (src.addr.min(dst.addr), src.addr.max(dst.addr));
                fnv1a(&[low.to_string().as_bytes(), high.to_string().as_bytes()])
            }
        };
        Ok(Arrival {
            at,
            now,
            src,
            dst,
            message,
            from_tag: tag(message.from)?,
            to_tag: tag(message.to)?,
            branch,
            session: message.session_description().map(SessionDescription::parse),
        })
    }

    pub(crate) fn hop(&self) -> Hop {
        Hop::between(self.src.addr, self.dst.addr)
    }

    /// An INVITE outside of every dialog.
    pub(crate) fn is_fresh_invite(&self) -> bool {
        self.is_request(Method::Invite) && self.to_tag.is_empty()
    }

    pub(crate) fn is_request(&self, method: Method) -> bool {
        matches!(self.message.start, Start::Request(_)) && self.message.method == method
    }

    /// It proves a dialog whose beginning was not seen: a call can be made of it.
    pub(crate) fn proves_dialog(&self) -> bool {
        if self.to_tag.is_empty() {
            return false;
        }
        let described = self.session.is_some();
        match (self.message.start, self.message.method) {
            (Start::Request(_), Method::Invite | Method::Update | Method::Bye) => true,
            (Start::Request(_), Method::Ack | Method::Prack) => described,
            (Start::Response(status, _), Method::Invite) => (101..300).contains(&status),
            (Start::Response(200..300, _), Method::Update | Method::Prack) => described,
            _ => false,
        }
    }
}
