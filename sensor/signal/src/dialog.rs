//! One dialog of a call (RFC 3261, 12): its tags, its two legs, its media, its end.

use nightjar_wire::{Endpoint, Nanos};
use serde::{Deserialize, Serialize};

use crate::arrival::{Arrival, Side};
use crate::hold::Hold;
use crate::sessions::Sessions;

/// A BYE that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bye {
    /// Its stamp: the dialog's end, unless the BYE is challenged.
    pub(crate) at: Nanos,
    /// When it came, on the directory's clock.
    pub(crate) since: Nanos,
    /// Who sent it.
    pub(crate) side: Side,
    /// Its Reason header.
    pub(crate) reason: Option<String>,
}

/// A session timer (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionTimer {
    /// The last refresh, on the directory's clock.
    pub(crate) refreshed: Nanos,
    /// The interval that was agreed on.
    pub(crate) interval: Nanos,
}

/// A dialog, early or confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dialog {
    /// The called side's tag; `None` until an answer brings one.
    pub(crate) callee_tag: Option<Box<[u8]>>,
    /// The caller's leg and the callee's.
    pub(crate) legs: [u16; 2],
    /// First request's sender.
    pub(crate) src: Endpoint,
    /// First request's receiver.
    pub(crate) dst: Endpoint,
    /// First message.
    pub(crate) started_at: Nanos,
    /// First 2xx to its INVITE; `None` too when that was before the capture.
    pub(crate) answered_at: Option<Nanos>,
    /// BYE, or the call's end.
    pub(crate) ended_at: Option<Nanos>,
    /// The last final answer to its INVITE.
    pub(crate) status: Option<u16>,
    /// It was answered, seen or inferred.
    pub(crate) confirmed: bool,
    /// A 180 was seen.
    pub(crate) rang: bool,
    /// A BYE that waits for its answer.
    pub(crate) bye: Option<Bye>,
    /// What both sides said of their media.
    pub(crate) sessions: Sessions,
    /// Who holds whom.
    pub(crate) hold: Hold,
    /// Who held whom when it was last told, the caller's first.
    pub(crate) told_hold: [bool; 2],
    /// The session timer, when one was agreed on.
    pub(crate) timer: Option<SessionTimer>,
    /// The highest CSeq of an INVITE or UPDATE of each side: an older one is a late repetition.
    pub(crate) latest: [Option<u32>; 2],
}

impl Dialog {
    /// The dialog that a call's first message belongs to.
    pub(crate) fn new(arrival: &Arrival<'_>, legs: [u16; 2], callee_tag: &[u8]) -> Dialog {
        let src = arrival.requester();
        let dst = if src == arrival.src { arrival.dst } else { arrival.src };
        Dialog {
            callee_tag: Some(callee_tag).filter(|tag| !tag.is_empty()).map(Box::from),
            legs,
            src,
            dst,
            started_at: arrival.at,
            answered_at: None,
            ended_at: None,
            status: None,
            confirmed: false,
            rang: false,
            bye: None,
            sessions: Sessions::default(),
            hold: Hold::default(),
            told_hold: [false; 2],
            timer: None,
            latest: [None; 2],
        }
    }

    /// Another answer to the same INVITE: its own dialog, with the same offer.
    pub(crate) fn fork(&self, legs: [u16; 2], callee_tag: &[u8], at: Nanos) -> Dialog {
        Dialog {
            callee_tag: Some(Box::from(callee_tag)),
            legs,
            src: self.src,
            dst: self.dst,
            started_at: at,
            answered_at: None,
            ended_at: None,
            status: None,
            confirmed: false,
            rang: false,
            bye: None,
            sessions: self.sessions.forked(),
            hold: self.hold.clone(),
            told_hold: [false; 2],
            timer: None,
            latest: [None; 2],
        }
    }

    /// The INVITE is sent again: who answers it is open.
    pub(crate) fn start_over(&mut self) {
        self.callee_tag = None;
        self.rang = false;
        self.sessions.forget_callee();
        self.hold = Hold::default();
    }

    /// A later INVITE or UPDATE of this side was seen: this one's late repetition changes nothing.
    pub(crate) fn is_stale(&self, side: Side, cseq: u32) -> bool {
        self.latest[side.index()].is_some_and(|latest| latest > cseq)
    }

    /// Its called side's tag is this one.
    pub(crate) fn is_tagged(&self, tag: &[u8]) -> bool {
        !tag.is_empty() && self.callee_tag.as_deref() == Some(tag)
    }

    /// It is still going on.
    pub(crate) fn live(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Somebody is on hold.
    pub(crate) fn held(&self) -> bool {
        self.hold.holding().contains(&true)
    }
}
