//! One SIP message as a view over its datagram: the start line, the headers that a dialog is
//! known by, and where its session description stands. Nothing is copied.

use std::fmt;

use crate::body;
use crate::header::{NameAddr, cseq};
use crate::scanner::{Header, Headers, start_line};
use crate::text::{number, trim};

/// Largest message that is read, in bytes; a UDP datagram holds no larger one.
pub const MAX_MESSAGE: usize = 65_535;
/// Longest Call-ID, tag or branch that is believed, in bytes.
const MAX_TOKEN: usize = 512;

/// Why a datagram is no SIP message that can be followed. It is counted as signalling all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SipError {
    /// The first line is neither a request's nor a response's.
    NotSip,
    /// Longer than [`MAX_MESSAGE`].
    TooLarge,
    /// Call-ID, CSeq, From or To is missing, for one because the capture cut the message short.
    HeaderMissing,
    /// CSeq holds no number, or one beyond 32 bits.
    BadCSeq,
    /// Call-ID or a tag is longer than anything a real peer sends.
    FieldTooLong,
}

/// A request's method, or the one that a response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Prack,
    Update,
    Register,
    Options,
    Other,
}

impl Method {
    /// Methods are case-sensitive (RFC 3261, 7.1), devices are not.
    fn from_bytes(name: &[u8]) -> Method {
        const NAMES: [(&[u8], Method); 8] = [
            (b"INVITE", Method::Invite),
            (b"ACK", Method::Ack),
            (b"BYE", Method::Bye),
            (b"CANCEL", Method::Cancel),
            (b"PRACK", Method::Prack),
            (b"UPDATE", Method::Update),
            (b"REGISTER", Method::Register),
            (b"OPTIONS", Method::Options),
        ];
        NAMES.iter().find(|(text, _)| text.eq_ignore_ascii_case(name)).map_or(Method::Other, |&(_, m)| m)
    }
}

/// What the start line says.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// A request to this URI.
    Request(&'a [u8]),
    /// A response with this code and phrase.
    Response(u16, &'a [u8]),
}

/// A SIP message, as a view.
#[derive(Clone)]
pub struct Message<'a> {
    pub(crate) start: Start<'a>,
    /// The request's method, or CSeq's in a response.
    pub(crate) method: Method,
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: u32,
    pub(crate) from: &'a [u8],
    pub(crate) to: &'a [u8],
    /// The first Via line, empty without one.
    pub(crate) via: &'a [u8],
    pub(crate) session_expires: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    encoded: bool,
    headers: Headers<'a>,
    /// What stands after the empty line, no more than Content-Length of it.
    body: &'a [u8],
    /// The body is as long as Content-Length says.
    body_complete: bool,
}

impl fmt::Debug for Message<'_> {
    /// Redacted: parties and identifiers reach no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Start::Request(_) => write!(f, "Message({:?} {})", self.method, self.cseq),
            Start::Response(status, _) => write!(f, "Message({status} to {:?} {})", self.method, self.cseq),
        }
    }
}

/// What a first pass over the headers finds; the first of each name counts (RFC 4475, 3.3.9
/// leaves the choice).
#[derive(Default)]
struct Found<'a> {
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    via: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    content_encoding: Option<&'a [u8]>,
    session_expires: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn take(&mut self, header: Header<'a>) {
        let slot = match header.name {
            [only] => match only.to_ascii_lowercase() {
                b'i' => &mut self.call_id,
                b'f' => &mut self.from,
                b't' => &mut self.to,
                b'v' => &mut self.via,
                b'l' => &mut self.content_length,
                b'c' => &mut self.content_type,
                b'e' => &mut self.content_encoding,
                b'x' => &mut self.session_expires,
                _ => return,
            },
            name => match name.len() {
                2 if name.eq_ignore_ascii_case(b"to") => &mut self.to,
                3 if name.eq_ignore_ascii_case(b"via") => &mut self.via,
                4 if name.eq_ignore_ascii_case(b"from") => &mut self.from,
                4 if name.eq_ignore_ascii_case(b"cseq") => &mut self.cseq,
                7 if name.eq_ignore_ascii_case(b"call-id") => &mut self.call_id,
                12 if name.eq_ignore_ascii_case(b"content-type") => &mut self.content_type,
                14 if name.eq_ignore_ascii_case(b"content-length") => &mut self.content_length,
                15 if name.eq_ignore_ascii_case(b"session-expires") => &mut self.session_expires,
                16 if name.eq_ignore_ascii_case(b"content-encoding") => &mut self.content_encoding,
                _ => return,
            },
        };
        slot.get_or_insert(header.value);
    }
}

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`SipError`] says what a dialog cannot be followed without.
    pub fn parse(datagram: &'a [u8]) -> Result<Message<'a>, SipError> {
        if datagram.len() > MAX_MESSAGE {
            return Err(SipError::TooLarge);
        }
        let (line, headers) = start_line(datagram).ok_or(SipError::NotSip)?;
        let (start, method) = read_start(line).ok_or(SipError::NotSip)?;
        let mut found = Found::default();
        let mut unread = headers.clone();
        for header in unread.by_ref() {
            found.take(header);
        }
        let after = unread.body();
        let call_id = found.call_id.filter(|id| !id.is_empty()).ok_or(SipError::HeaderMissing)?;
        let sequence = found.cseq.ok_or(SipError::HeaderMissing)?;
        let (cseq, cseq_method) = cseq(sequence).ok_or(SipError::BadCSeq)?;
        if call_id.len() > MAX_TOKEN {
            return Err(SipError::FieldTooLong);
        }
        let body = after.unwrap_or_default();
        let promised = found.content_length.and_then(number).map_or(body.len(), |len| len as usize);
        Ok(Message {
            start,
            method: method.unwrap_or_else(|| Method::from_bytes(cseq_method)),
            call_id,
            cseq,
            from: found.from.ok_or(SipError::HeaderMissing)?,
            to: found.to.ok_or(SipError::HeaderMissing)?,
            via: found.via.unwrap_or_default(),
            session_expires: found.session_expires,
            content_type: found.content_type,
            encoded: found.content_encoding.is_some_and(|e| !e.eq_ignore_ascii_case(b"identity")),
            headers,
            body: &body[..body.len().min(promised)],
            body_complete: after.is_some() && body.len() >= promised,
        })
    }

    /// The values of every header of one of these names (lower case), in order.
    pub(crate) fn all<'n>(&self, names: &'n [&'n [u8]]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.headers
            .clone()
            .filter(move |header| names.iter().any(|name| header.name.eq_ignore_ascii_case(name)))
            .map(|header| header.value)
    }

    /// The dialog's Call-ID, as it came. It is personal data: it reaches no log.
    pub fn call_id(&self) -> &'a [u8] {
        self.call_id
    }

    /// An INVITE, or a response to one.
    pub fn is_of_invite(&self) -> bool {
        self.method == Method::Invite
    }

    /// An ACK, which nothing answers.
    pub fn is_ack(&self) -> bool {
        self.method == Method::Ack
    }

    /// The session description in the body, whole lines only; `None` without one.
    pub fn session_description(&self) -> Option<&'a [u8]> {
        if self.encoded || self.body.is_empty() {
            return None;
        }
        body::session_description(self.content_type, self.body, self.body_complete)
    }

    /// A response's code; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response(status, _) => Some(status),
            Start::Request(_) => None,
        }
    }
}

/// A From or To header's tag; empty where there is none (RFC 2543).
pub(crate) fn tag(value: &[u8]) -> Result<&[u8], SipError> {
    let tag = NameAddr::parse(value).parameter(b"tag").unwrap_or_default();
    if tag.len() > MAX_TOKEN { Err(SipError::FieldTooLong) } else { Ok(tag) }
}

/// The start line, and the method when it is a request's.
fn read_start(line: &[u8]) -> Option<(Start<'_>, Option<Method>)> {
    if line.len() >= 8 && line[..8].eq_ignore_ascii_case(b"SIP/2.0 ") {
        let rest = trim(&line[8..]);
        let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let status = number(&rest[..end]).filter(|status| (100..700).contains(status))?;
        return Some((Start::Response(u16::try_from(status).ok()?, trim(&rest[end..])), None));
    }
    let method = line.iter().position(|&byte| byte == b' ')?;
    let version = line.iter().rposition(|&byte| byte == b' ')?;
    if method == 0 || version <= method || !line[version + 1..].eq_ignore_ascii_case(b"SIP/2.0") {
        return None;
    }
    let uri = trim(&line[method..version]);
    // A URI in brackets is against the grammar (RFC 4475, 3.1.2.7), its meaning is plain.
    let uri = uri.strip_prefix(b"<").and_then(|uri| uri.strip_suffix(b">")).unwrap_or(uri);
    Some((Start::Request(uri), Some(Method::from_bytes(&line[..method]))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INVITE: &[u8] = b"INVITE sip:b@x SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9\r\nf: <sip:a@x>;tag=1\r\n\
        t: <sip:b@x>\r\ni: id@x\r\nCSeq: 7 INVITE\r\nc: application/sdp\r\nl: 5\r\n\r\nv=0\r\nrest";

    #[test]
    fn compact_forms_and_content_length() {
        let message = Message::parse(INVITE).unwrap();
        assert_eq!((message.method, message.cseq, message.call_id), (Method::Invite, 7, &b"id@x"[..]));
        assert_eq!(tag(message.from), Ok(&b"1"[..]));
        assert_eq!(tag(message.to), Ok(&b""[..]));
        assert_eq!(message.session_description(), Some(&b"v=0\r\n"[..]));
        assert!(matches!(message.start, Start::Request(b"sip:b@x")));
    }

    #[test]
    fn responses_take_their_method_from_cseq() {
        let text = b"sip/2.0 200 \nCSeq: 1 bye\nFrom: a\nTo: b\nCall-ID: x\n\n";
        let message = Message::parse(text).unwrap();
        assert_eq!((message.status(), message.method), (Some(200), Method::Bye));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(Message::parse(b"GET / HTTP/1.1\r\n\r\n").unwrap_err(), SipError::NotSip);
        assert_eq!(Message::parse(b"SIP/2.0 4294967301 x\r\n\r\n").unwrap_err(), SipError::NotSip);
        assert_eq!(Message::parse(b"BYE sip:a SIP/2.0\r\n\r\n").unwrap_err(), SipError::HeaderMissing);
        let text = b"BYE sip:a SIP/2.0\r\nCall-ID: x\r\nCSeq: 36893488147419103232 BYE\r\n\r\n";
        assert_eq!(Message::parse(text).unwrap_err(), SipError::BadCSeq);
        assert_eq!(Message::parse(&[b'\n'; MAX_MESSAGE + 1]).unwrap_err(), SipError::TooLarge);
        let text = format!("BYE sip:a SIP/2.0\r\nCSeq: 1 BYE\r\nCall-ID: {}\r\n\r\n", "x".repeat(600));
        assert_eq!(Message::parse(text.as_bytes()).unwrap_err(), SipError::FieldTooLong);
    }

    #[test]
    fn cut_at_each_byte_it_still_reads_or_says_why() {
        for end in 0..INVITE.len() {
            if let Ok(message) = Message::parse(&INVITE[..end]) {
                assert_eq!((message.call_id, message.cseq), (&b"id@x"[..], 7), "cut at {end}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Message::parse(&bytes);
        }

        #[test]
        fn no_change_to_a_message_makes_it_panic(at in 0usize..INVITE.len(), byte: u8, insert: bool) {
            let mut bytes = INVITE.to_vec();
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
            if let Ok(message) = Message::parse(&bytes) {
                let _ = (tag(message.from), message.session_description());
            }
        }
    }
}
