//! Who calls whom, as an INVITE tells it: parties, what was dialled, diversions, and the names
//! that other systems know the call by.

use std::collections::BTreeMap;

use nightjar_schema::{Correlation, Dialled, Diversion, Party};
use serde::{Deserialize, Serialize};

use crate::header::{NameAddr, split, values};
use crate::message::{Message, Start};
use crate::text::{decode, decode_some, trim};
use crate::uri::{part, telephone_number};

/// Most diversions, correlations, and values of one configured header that are kept.
const MAX_VALUES: usize = 16;

/// What the call's own INVITE says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parties {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) dialled: Dialled,
    pub(crate) diversions: Vec<Diversion>,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) correlation: Vec<Correlation>,
}

impl Parties {
    /// From the first message of a call. Only an INVITE outside of a dialog tells what was
    /// dialled and which way the call came.
    pub(crate) fn of(message: &Message<'_>, dialled: bool, headers: &[String]) -> Parties {
        let mut parties = Parties { from: party(message.from), to: party(message.to), ..Parties::default() };
        if let (Start::Request(uri), true) = (message.start, dialled) {
            parties.dialled = Dialled { uri: decode_some(uri), number: telephone_number(uri) };
            parties.diversions = diversions(message);
            if parties.diversions.is_empty() {
                parties.diversions = history(message);
            }
            parties.headers = configured(message, headers);
        }
        parties.correlate(message);
        parties
    }

    /// Takes note of Session-ID (RFC 7989) and Cisco-Guid.
    pub(crate) fn correlate(&mut self, message: &Message<'_>) {
        for value in message.all(&[b"session-id"]) {
            let id = trim(value.split(|&byte| byte == b';').next().unwrap_or_default());
            // The nil id stands for one that is not known yet (RFC 7989, 5).
            if id.iter().any(|&byte| byte != b'0') {
                self.add_correlation("session_id", id);
            }
        }
        for value in message.all(&[b"cisco-guid"]) {
            self.add_correlation("cisco_guid", value);
        }
    }

    fn add_correlation(&mut self, kind: &str, value: &[u8]) {
        let Some(value) = decode_some(value) else { return };
        let known = self.correlation.iter().any(|known| known.kind == kind && known.value == value);
        if !known && self.correlation.len() < MAX_VALUES {
            self.correlation.push(Correlation { kind: kind.to_owned(), value });
        }
    }
}

/// A From or To header's party.
fn party(value: &[u8]) -> Party {
    let address = NameAddr::parse(value);
    Party { uri: decode_some(address.uri), number: telephone_number(address.uri), name: address.name() }
}

/// The first P-Asserted-Identity (RFC 3325).
pub(crate) fn asserted_uri(message: &Message<'_>) -> Option<String> {
    let line = message.all(&[b"p-asserted-identity"]).next()?;
    decode_some(NameAddr::parse(values(line).next()?).uri)
}

/// The first Reason (RFC 3326): its text, else its protocol and cause.
pub(crate) fn reason(message: &Message<'_>) -> Option<String> {
    let line = message.all(&[b"reason"]).next()?;
    let value = values(line).next()?;
    let parameters = value.iter().position(|&byte| byte == b';').map_or(&value[..0], |at| &value[at..]);
    crate::header::parameter(parameters, b"text").and_then(decode_some).or_else(|| decode_some(value))
}

/// Diversion headers (RFC 5806): the last redirection stands first; told in the order of events.
fn diversions(message: &Message<'_>) -> Vec<Diversion> {
    let lines: Vec<&[u8]> = message.all(&[b"diversion"]).take(MAX_VALUES).collect();
    let mut all: Vec<Diversion> = lines
        .into_iter()
        .flat_map(values)
        .take(MAX_VALUES)
        .map(|value| {
            let address = NameAddr::parse(value);
            Diversion {
                uri: decode_some(address.uri),
                number: telephone_number(address.uri),
                reason: address.parameter(b"reason").and_then(decode_some),
            }
        })
        .collect();
    all.reverse();
    all
}

/// History-Info (RFC 7044): an entry that was left for the next one is a diversion, its cause
/// given by its own embedded Reason or by the next entry's `cause` (RFC 4458).
fn history(message: &Message<'_>) -> Vec<Diversion> {
    let lines: Vec<&[u8]> = message.all(&[b"history-info"]).take(MAX_VALUES).collect();
    let uris: Vec<&[u8]> =
        lines.into_iter().flat_map(values).take(MAX_VALUES).map(|value| NameAddr::parse(value).uri).collect();
    let causes = uris.iter().enumerate().map(|(at, uri)| {
        let own = part(uri, b"?&", b"reason").and_then(escaped_cause);
        own.or_else(|| uris.get(at + 1).and_then(|next| part(next, b";?", b"cause")).and_then(decode_some))
    });
    uris.iter()
        .zip(causes)
        .filter_map(|(uri, cause)| {
            let plain = &uri[..uri.iter().position(|&byte| byte == b'?').unwrap_or(uri.len())];
            Some(Diversion {
                uri: decode_some(plain),
                number: telephone_number(plain),
                reason: Some(cause_name(cause?)),
            })
        })
        .collect()
}

/// The code in an escaped Reason (`SIP%3Bcause%3D302`).
fn escaped_cause(reason: &[u8]) -> Option<String> {
    let text = decode(reason).to_ascii_lowercase();
    let after = text.split_once("cause%3d").or_else(|| text.split_once("cause="))?.1;
    let digits: String = after.chars().take_while(char::is_ascii_digit).take(3).collect();
    Some(digits).filter(|digits| !digits.is_empty())
}

/// RFC 4458's causes by the names that Diversion uses; an unknown code stays a code.
fn cause_name(code: String) -> String {
    match code.as_str() {
        "302" => "unconditional",
        "408" => "no-answer",
        "480" | "487" => "deflection",
        "486" => "user-busy",
        "503" => "unavailable",
        "404" => "unknown",
        _ => return code,
    }
    .to_owned()
}

/// The headers that the configuration asks for, under the name that it uses.
fn configured(message: &Message<'_>, names: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut headers = BTreeMap::new();
    for name in names {
        let found: Vec<String> = message.all(&[name.as_bytes()]).take(MAX_VALUES).map(decode).collect();
        if !found.is_empty() {
            headers.insert(name.clone(), found);
        }
    }
    headers
}

/// Session-Expires in seconds (RFC 4028); less than 90 is not allowed, and not believed.
pub(crate) fn session_expires(message: &Message<'_>) -> Option<u32> {
    let value = split(message.session_expires?, b';').next()?;
    crate::text::number(value).map(|seconds| seconds.max(90))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parties(headers: &str) -> Parties {
        let text = format!(
            "INVITE tel:+49-30-123 SIP/2.0\r\nFrom: M\u{fc}ller <sip:7@a>;tag=1\r\nTo: sip:8@b\r\n\
             Call-ID: x\r\nCSeq: 1 INVITE\r\n{headers}\r\n"
        );
        Parties::of(&Message::parse(text.as_bytes()).unwrap(), true, &["X-Account".to_owned()])
    }

    #[test]
    fn parties_and_what_was_dialled() {
        let parties = parties("x-account: 1\r\nX-ACCOUNT:2\r\n");
        assert_eq!(parties.from.name.as_deref(), Some("Müller"));
        assert_eq!((parties.from.number.as_deref(), parties.to.number.as_deref()), (Some("7"), Some("8")));
        assert_eq!(parties.dialled.number.as_deref(), Some("+4930123"));
        assert_eq!(parties.headers["X-Account"], ["1", "2"]);
    }

    #[test]
    fn diversions_in_the_order_of_events() {
        let parties = parties(
            "Diversion: <sip:3@x>;reason=no-answer, \"B\" <tel:2>;reason=user-busy\r\n\
             Diversion: <sip:boss@x>;reason=\"unconditional\"\r\n",
        );
        let short: Vec<_> =
            parties.diversions.iter().map(|d| (d.number.as_deref(), d.reason.as_deref().unwrap())).collect();
        assert_eq!(short, [(None, "unconditional"), (Some("2"), "user-busy"), (Some("3"), "no-answer")]);
    }

    #[test]
    fn history_info_names_who_was_left() {
        let parties = parties(
            "History-Info: <sip:10@x?Reason=SIP%3Bcause%3D486>;index=1, <sip:11@x>;index=1.1\r\n\
             History-Info: <sip:12@x;cause=408>;index=1.2\r\n",
        );
        let short: Vec<_> = parties
            .diversions
            .iter()
            .map(|d| (d.number.as_deref().unwrap(), d.reason.as_deref().unwrap()))
            .collect();
        assert_eq!(short, [("10", "user-busy"), ("11", "no-answer")]);
    }

    #[test]
    fn correlations_once_each_and_without_the_nil_id() {
        let id = "ab30317f1a784dc48ff824d0d3715d86";
        let nil = "0".repeat(32);
        let parties = parties(&format!(
            "Session-ID: {id};remote={nil}\r\nSession-ID: {nil}\r\nsession-id: {id}\r\nCisco-Guid: 1-2-3-4\r\n"
        ));
        let short: Vec<_> = parties.correlation.iter().map(|c| (c.kind.as_str(), c.value.as_str())).collect();
        assert_eq!(short, [("session_id", id), ("cisco_guid", "1-2-3-4")]);
    }

    #[test]
    fn reasons_and_session_timers() {
        let text = "BYE sip:a SIP/2.0\r\nFrom: a\r\nTo: b\r\nCall-ID: x\r\nCSeq: 1 BYE\r\nx: 1800;refresher=uac\r\n\
                    Reason: Q.850;cause=16;text=\"Normal, clearing\"\r\n\r\n";
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(reason(&message).as_deref(), Some("Normal, clearing"));
        assert_eq!(session_expires(&message), Some(1800));
    }
}
