//! What was seen and what became of it, as plain counters.

use serde::{Deserialize, Serialize};

use crate::message::{Message, Method, SipError, Start};

/// Counters since the directory was made. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Requests, by method.
    pub requests: Requests,
    /// Responses, by class from 1xx to 6xx.
    pub responses: [u64; 6],
    /// Datagrams that are no message, by reason.
    pub malformed: Malformed,
    /// Repetitions and copies that changed nothing.
    pub retransmissions: u64,
    /// Messages of calls that are closed, or of dialogs that no call can be made of.
    pub stray: u64,
    /// Calls that were opened.
    pub opened: u64,
    /// Of those, without signalling.
    pub opened_unsignalled: u64,
    /// Calls without signalling that got theirs.
    pub adopted: u64,
    /// Opened calls that turned out to be the signalling of one of those.
    pub merged: u64,
    /// Calls that were closed, whatever the reason.
    pub closed: u64,
    /// Calls that were closed because the table was full.
    pub evicted: u64,
    /// Jumps of the capture clock that suspended time-outs, and clocks that were set back.
    pub clock_jumps: u64,
}

/// Requests by method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// INVITE
    pub invite: u64,
    /// ACK
    pub ack: u64,
    /// BYE
    pub bye: u64,
    /// CANCEL
    pub cancel: u64,
    /// PRACK
    pub prack: u64,
    /// UPDATE
    pub update: u64,
    /// REGISTER
    pub register: u64,
    /// OPTIONS
    pub options: u64,
    /// Any other.
    pub other: u64,
}

/// Datagrams that are no message, by [`SipError`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Malformed {
    /// [`SipError::NotSip`]
    pub not_sip: u64,
    /// [`SipError::TooLarge`]
    pub too_large: u64,
    /// [`SipError::HeaderMissing`]
    pub header_missing: u64,
    /// [`SipError::BadCSeq`]
    pub bad_cseq: u64,
    /// [`SipError::FieldTooLong`]
    pub field_too_long: u64,
}

impl Statistics {
    pub(crate) fn count(&mut self, message: &Message<'_>) {
        let counter = match (message.start, message.method) {
            (Start::Response(status, _), _) => &mut self.responses[usize::from(status / 100 - 1).min(5)],
            (_, Method::Invite) => &mut self.requests.invite,
            (_, Method::Ack) => &mut self.requests.ack,
            (_, Method::Bye) => &mut self.requests.bye,
            (_, Method::Cancel) => &mut self.requests.cancel,
            (_, Method::Prack) => &mut self.requests.prack,
            (_, Method::Update) => &mut self.requests.update,
            (_, Method::Register) => &mut self.requests.register,
            (_, Method::Options) => &mut self.requests.options,
            (_, Method::Other) => &mut self.requests.other,
        };
        *counter += 1;
    }

    pub(crate) fn count_error(&mut self, error: SipError) {
        *match error {
            SipError::NotSip => &mut self.malformed.not_sip,
            SipError::TooLarge => &mut self.malformed.too_large,
            SipError::HeaderMissing => &mut self.malformed.header_missing,
            SipError::BadCSeq => &mut self.malformed.bad_cseq,
            SipError::FieldTooLong => &mut self.malformed.field_too_long,
        } += 1;
    }
}
