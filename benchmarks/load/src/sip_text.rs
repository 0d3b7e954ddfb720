//! SIP messages as text, in the spellings that RFC 3261 allows and devices use: compact names,
//! folded lines, bare LF, several values a line, Latin-1.

use serde::{Deserialize, Serialize};

/// How a device spells its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipStyle {
    /// Compact header names (RFC 3261, 7.3.3).
    pub compact: bool,
    /// `From` and `To` folded over two lines (7.3.1).
    pub folded: bool,
    /// Lines end with LF alone.
    pub bare_lf: bool,
    /// All `Via`s in one header, by commas (7.3.1).
    pub joined: bool,
    /// Text is written as ISO 8859-1, as older gateways do, not as UTF-8.
    pub latin1: bool,
}

/// A `From`, `To` or `Contact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameAddr {
    pub name: Option<String>,
    pub uri: String,
    pub tag: Option<String>,
}

impl NameAddr {
    fn text(&self, folded: bool) -> String {
        let name = self.name.as_ref().map_or(String::new(), |name| format!("\"{name}\" "));
        let tag = self.tag.as_ref().map_or(String::new(), |tag| format!(";tag={tag}"));
        let fold = if folded { "\r\n\t" } else { "" };
        format!("{name}{fold}<{}>{tag}", self.uri)
    }
}

/// A message before it is spelt.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Request or status line.
    pub start: String,
    /// The method, of a response its request's.
    pub method: &'static str,
    /// `Via`s, the topmost first.
    pub vias: Vec<String>,
    pub from: NameAddr,
    pub to: NameAddr,
    pub call_id: String,
    pub cseq: u32,
    /// Further headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// An SDP body.
    pub sdp: Option<String>,
}

impl Message {
    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        !self.start.starts_with("SIP/2.0 ")
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Message {
        self.headers.push((name, value.into()));
        self
    }

    /// With an SDP body, if there is one.
    pub fn with_sdp(mut self, sdp: Option<String>) -> Message {
        self.sdp = sdp;
        self
    }

    /// A response to this request (RFC 3261, 8.2.6); `to_tag` is added unless the request has one.
    pub fn response(&self, status: u16, to_tag: Option<&str>) -> Message {
        let mut to = self.to.clone();
        if to.tag.is_none() {
            to.tag = to_tag.map(str::to_owned);
        }
        Message {
            start: format!("SIP/2.0 {status} {}", reason_phrase(status)),
            method: self.method,
            vias: self.vias.clone(),
            from: self.from.clone(),
            to,
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            headers: Vec::new(),
            sdp: None,
        }
    }

    /// The datagram.
    pub fn render(&self, style: SipStyle) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.start);
        let mut put = |name: &str, value: &str| {
            let name = if style.compact { compact_name(name) } else { name };
            head.push_str(&format!("{name}: {value}\r\n"));
        };
        if style.joined {
            put("Via", &self.vias.join(", "));
        } else {
            self.vias.iter().for_each(|via| put("Via", via));
        }
        put("From", &self.from.text(style.folded));
        put("To", &self.to.text(style.folded));
        put("Call-ID", &self.call_id);
        put("CSeq", &format!("{} {}", self.cseq, self.method));
        self.headers.iter().for_each(|(name, value)| put(name, value));
        if self.sdp.is_some() {
            put("Content-Type", "application/sdp");
        }
        let body = spell(self.sdp.as_deref().unwrap_or_default(), style);
        put("Content-Length", &body.len().to_string());
        head.push_str("\r\n");
        let mut bytes = spell(&head, style);
        bytes.extend_from_slice(&body);
        bytes
    }
}

fn spell(text: &str, style: SipStyle) -> Vec<u8> {
    let text = if style.bare_lf { text.replace("\r\n", "\n") } else { text.to_owned() };
    if style.latin1 {
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
    } else {
        text.into_bytes()
    }
}

fn compact_name(name: &str) -> &str {
    match name {
        "Via" => "v",
        "From" => "f",
        "To" => "t",
        "Call-ID" => "i",
        "Contact" => "m",
        "Content-Type" => "c",
        "Content-Length" => "l",
        "Supported" => "k",
        "Session-Expires" => "x",
        other => other,
    }
}

/// The reason phrase of a status (RFC 3261, 21).
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        302 => "Moved Temporarily",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let party = |name: &str, tag: Option<&str>| NameAddr {
            name: Some(name.to_owned()),
            uri: "sip:+15550100@example.test".to_owned(),
            tag: tag.map(str::to_owned),
        };
        Message {
            start: "INVITE sip:+15550101@example.test SIP/2.0".to_owned(),
            method: "INVITE",
            vias: vec![
                "SIP/2.0/UDP a;branch=z9hG4bK1".to_owned(),
                "SIP/2.0/UDP b;branch=z9hG4bK2".to_owned(),
            ],
            from: party("Jörg", Some("a")),
            to: party("B", None),
            call_id: "1@example.test".to_owned(),
            cseq: 1,
            headers: Vec::new(),
            sdp: Some("v=0\r\n".to_owned()),
        }
    }

    #[test]
    fn styles_change_the_spelling_and_not_the_length_field() {
        let plain = String::from_utf8(message().render(SipStyle::default())).unwrap();
        assert!(
            plain.contains("\r\nCall-ID: 1@example.test\r\n")
                && plain.ends_with("Content-Length: 5\r\n\r\nv=0\r\n")
        );
        let style = SipStyle { compact: true, folded: true, bare_lf: true, joined: true, latin1: true };
        let bytes = message().render(style);
        assert!(!bytes.contains(&b'\r') && bytes.windows(4).any(|w| w == b"J\xf6rg"));
        let ascii: String = bytes.iter().filter(|b| b.is_ascii()).map(|&b| char::from(b)).collect();
        assert!(ascii.contains("\nf: \"Jrg\" \n\t<sip:") && ascii.ends_with("\nl: 4\n\nv=0\n"), "{ascii}");
        assert_eq!(ascii.matches("\nv: ").count(), 1);
    }

    #[test]
    fn a_response_keeps_what_identifies_the_request() {
        let ok = message().response(200, Some("b"));
        assert_eq!((ok.to.tag.as_deref(), ok.vias.len(), ok.cseq), (Some("b"), 2, 1));
        assert!(!ok.is_request() && message().is_request());
    }
}
