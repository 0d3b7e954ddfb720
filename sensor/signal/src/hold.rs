//! Who holds whom, from offers and answers (RFC 3264, 8.4; RFC 6337, 5.3).

use nightjar_wire::MediaKind;
use serde::{Deserialize, Serialize};

use crate::arrival::Side;
use crate::sdp::{MediaDirection, MediaLine, SessionDescription};

/// What one description says about hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Intent {
    direction: MediaDirection,
    /// `c=0.0.0.0` (RFC 2543, B.5).
    nowhere: bool,
}

impl Intent {
    fn of(session: &SessionDescription) -> Intent {
        let audible = |line: &&MediaLine| line.kind == MediaKind::Audio && line.port != 0;
        let line = session.media.iter().find(audible).or(session.media.first());
        line.map_or(Intent::default(), |line| Intent {
            direction: line.direction,
            nowhere: line.addr.is_some_and(|addr| addr.is_unspecified()),
        })
    }

    /// Neither side is to send.
    fn silent(self) -> bool {
        self.direction == MediaDirection::Inactive || self.nowhere
    }

    /// As an offer, it puts the other side on hold.
    fn holds(self) -> bool {
        self.silent() || self.direction == MediaDirection::SendOnly
    }

    /// As an answer, it does; `None` when it says nothing: to an offer of silence every answer is
    /// silent.
    fn holds_in_answer_to(self, offer: Intent) -> Option<bool> {
        if self.silent() && offer.silent() {
            return None;
        }
        Some(self.holds())
    }
}

/// An offer and whether it was answered. It is kept after that: the answer may be seen again on
/// another hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Offer {
    side: Side,
    /// The CSeq of the exchange that it is part of, and who sent that request.
    cseq: u32,
    requester: Side,
    intent: Intent,
    answered: bool,
}

/// The state of hold in one dialog.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hold {
    offer: Option<Offer>,
    /// Which side holds the other, by [`Side::index`].
    holding: [bool; 2],
}

impl Hold {
    /// Which side holds the other, the caller's first.
    pub(crate) fn holding(&self) -> [bool; 2] {
        self.holding
    }

    /// A description in an INVITE or UPDATE: always an offer.
    pub(crate) fn on_request(&mut self, side: Side, cseq: u32, session: &SessionDescription) {
        let repeated = self.offer.is_some_and(|o| o.requester == side && o.cseq == cseq && o.answered);
        if !repeated {
            let intent = Intent::of(session);
            self.offer = Some(Offer { side, cseq, requester: side, intent, answered: false });
        }
    }

    /// A description in an ACK or PRACK: the answer to what a response to this side offered.
    /// `false` when none did.
    pub(crate) fn on_acknowledgement(&mut self, side: Side, session: &SessionDescription) -> bool {
        let late = self.offer.filter(|offer| offer.side != side && offer.requester == side);
        if late.is_some_and(|offer| !offer.answered) {
            self.answer(side, Intent::of(session));
        }
        late.is_some()
    }

    /// A description in a response: the answer, or a late offer where the request made none.
    pub(crate) fn on_response(&mut self, requester: Side, cseq: u32, session: &SessionDescription) {
        let (side, intent) = (requester.other(), Intent::of(session));
        match self.offer {
            Some(offer) if offer.requester == requester && offer.cseq == cseq => {
                if offer.side == requester {
                    self.answer(side, intent);
                }
            }
            _ => self.offer = Some(Offer { side, cseq, requester, intent, answered: false }),
        }
    }

    /// A request was accepted: its offer holds even where the answer could not be read.
    pub(crate) fn on_accepted(&mut self, requester: Side, cseq: u32) {
        if let Some(offer) = &mut self.offer
            && offer.requester == requester
            && offer.cseq == cseq
            && offer.side == requester
            && !offer.answered
        {
            offer.answered = true;
            self.holding[requester.index()] = offer.intent.holds();
        }
    }

    /// A request was refused: its offer never was.
    pub(crate) fn on_refused(&mut self, requester: Side, cseq: u32) {
        self.offer = self.offer.filter(|o| o.requester != requester || o.cseq != cseq || o.answered);
    }

    fn answer(&mut self, side: Side, intent: Intent) {
        if let Some(offer) = &mut self.offer {
            offer.answered = true;
            self.holding[offer.side.index()] = offer.intent.holds();
            if let Some(holds) = intent.holds_in_answer_to(offer.intent) {
                self.holding[side.index()] = holds;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> SessionDescription {
        let (addr, direction) = text.split_once(' ').unwrap();
        let text = format!("c=IN IP4 {addr}\nm=audio 4000 RTP/AVP 0\na={direction}\n");
        SessionDescription::parse(text.as_bytes())
    }

    fn exchange(hold: &mut Hold, requester: Side, cseq: u32, offer: &str, answer: &str) -> [bool; 2] {
        hold.on_request(requester, cseq, &says(offer));
        hold.on_response(requester, cseq, &says(answer));
        hold.on_accepted(requester, cseq);
        hold.holding()
    }

    #[test]
    fn each_side_holds_and_resumes_for_itself() {
        let mut hold = Hold::default();
        let (caller, callee) = (Side::Caller, Side::Callee);
        assert_eq!(exchange(&mut hold, caller, 1, "1.1.1.1 sendrecv", "2.2.2.2 sendrecv"), [false, false]);
        assert_eq!(exchange(&mut hold, callee, 1, "2.2.2.2 sendonly", "1.1.1.1 recvonly"), [false, true]);
        assert_eq!(exchange(&mut hold, caller, 2, "1.1.1.1 inactive", "2.2.2.2 inactive"), [true, true]);
        assert_eq!(exchange(&mut hold, caller, 3, "1.1.1.1 sendrecv", "2.2.2.2 sendonly"), [false, true]);
        assert_eq!(exchange(&mut hold, callee, 2, "2.2.2.2 sendrecv", "1.1.1.1 sendrecv"), [false, false]);
        assert_eq!(exchange(&mut hold, caller, 4, "0.0.0.0 sendrecv", "2.2.2.2 recvonly"), [true, false]);
    }

    #[test]
    fn an_answer_may_hold_and_a_mirrored_one_says_nothing() {
        let mut hold = Hold::default();
        assert_eq!(
            exchange(&mut hold, Side::Caller, 1, "1.1.1.1 sendrecv", "2.2.2.2 inactive"),
            [false, true]
        );
        assert_eq!(
            exchange(&mut hold, Side::Caller, 2, "1.1.1.1 recvonly", "2.2.2.2 sendonly"),
            [false, true]
        );
    }

    #[test]
    fn a_late_offer_is_answered_in_the_ack() {
        let mut hold = Hold::default();
        hold.on_response(Side::Caller, 1, &says("2.2.2.2 sendrecv"));
        hold.on_response(Side::Caller, 1, &says("2.2.2.2 sendrecv"));
        assert!(hold.on_acknowledgement(Side::Caller, &says("1.1.1.1 sendonly")));
        assert_eq!(hold.holding(), [true, false]);
        assert!(hold.on_acknowledgement(Side::Caller, &says("1.1.1.1 sendonly")));
        assert_eq!(hold.holding(), [true, false]);
    }

    #[test]
    fn a_refused_hold_never_was_and_a_repeated_one_is_one() {
        let mut hold = Hold::default();
        hold.on_request(Side::Caller, 1, &says("1.1.1.1 sendonly"));
        hold.on_refused(Side::Caller, 1);
        hold.on_accepted(Side::Caller, 1);
        assert_eq!(hold.holding(), [false, false]);
        hold.on_request(Side::Caller, 2, &says("1.1.1.1 sendonly"));
        hold.on_accepted(Side::Caller, 2);
        hold.on_request(Side::Caller, 2, &says("1.1.1.1 sendonly"));
        assert_eq!(hold.holding(), [true, false]);
    }
}
