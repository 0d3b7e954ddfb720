//! Header values: name-addr with parameters, lists of several values a line, CSeq, Via
//! (RFC 3261, 20 and 25).

use crate::text::{decode_some, number, trim};

/// A display name, a URI and header parameters (`"Alice" <sip:a@b>;tag=x`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameAddr<'a> {
    /// The display name, quotes removed, escapes still in it.
    display: &'a [u8],
    /// The URI as it came.
    pub(crate) uri: &'a [u8],
    /// From the first `;` after the URI on.
    pub(crate) parameters: &'a [u8],
}

impl<'a> NameAddr<'a> {
    /// Reads the first value of a header. Unbalanced quotes and brackets are made the best of.
    pub(crate) fn parse(value: &'a [u8]) -> NameAddr<'a> {
        let value = trim(value);
        let (display, rest) = match value {
            [b'"', inside @ ..] => match closing_quote(inside) {
                Some(end) => (&inside[..end], &inside[end + 1..]),
                None => (&value[..0], inside),
            },
            _ => (&value[..0], value),
        };
        let Some(open) = rest.iter().position(|&byte| byte == b'<') else {
            // addr-spec: parameters after it are the header's, not the URI's (RFC 3261, 20.10).
            let end = rest.iter().position(|&byte| byte == b';').unwrap_or(rest.len());
            return NameAddr { display, uri: trim(&rest[..end]), parameters: &rest[end..] };
        };
        let display = if display.is_empty() { trim(&rest[..open]) } else { display };
        let inside = &rest[open + 1..];
        let close = inside.iter().position(|&byte| byte == b'>').unwrap_or(inside.len());
        let after = &inside[(close + 1).min(inside.len())..];
        NameAddr { display, uri: trim(&inside[..close]), parameters: after }
    }

    /// A header parameter's value.
    pub(crate) fn parameter(&self, name: &[u8]) -> Option<&'a [u8]> {
        parameter(self.parameters, name)
    }

    /// The display name, unescaped.
    pub(crate) fn name(&self) -> Option<String> {
        if !self.display.contains(&b'\\') {
            return decode_some(self.display);
        }
        let mut plain = Vec::with_capacity(self.display.len());
        let mut bytes = self.display.iter();
        while let Some(&byte) = bytes.next() {
            let byte = if byte == b'\\' { bytes.next().copied() } else { Some(byte) };
            plain.extend(byte);
        }
        decode_some(&plain)
    }
}

/// Index of the quote that ends a quoted string whose first quote is already passed.
fn closing_quote(inside: &[u8]) -> Option<usize> {
    let mut escaped = false;
    inside.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// The value of `;name=value` in a list of parameters that begins at its first `;`. A quoted
/// value comes without its quotes; a parameter without a value is empty.
pub(crate) fn parameter<'a>(parameters: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    split(parameters, b';').skip(1).find_map(|part| {
        let equals = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
        if !trim(&part[..equals]).eq_ignore_ascii_case(name) {
            return None;
        }
        let value = trim(part.get(equals + 1..).unwrap_or_default());
        Some(match value {
            [b'"', inside @ ..] => &inside[..closing_quote(inside).unwrap_or(inside.len())],
            plain => plain,
        })
    })
}

/// Splits at a separator outside quotes and angle brackets.
pub(crate) fn split(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = separator_index(bytes, separator);
        rest = end.map(|at| &bytes[at + 1..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
}

fn separator_index(bytes: &[u8], separator: u8) -> Option<usize> {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    bytes.iter().position(|&byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            _ => return byte == separator && !quoted && !bracketed,
        }
        false
    })
}

/// The values of one header line that may hold several.
pub(crate) fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(line, b',').map(trim).filter(|value| !value.is_empty())
}

/// CSeq's number and method.
pub(crate) fn cseq(value: &[u8]) -> Option<(u32, &[u8])> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit())?;
    Some((number(&value[..end])?, trim(&value[end..])))
}

/// The branch of the topmost Via: the transaction's name on this hop (RFC 3261, 8.1.1.7).
pub(crate) fn branch(via: &[u8]) -> Option<&[u8]> {
    let top = values(via).next()?;
    let parameters = top.iter().position(|&byte| byte == b';')?;
    parameter(&top[parameters..], b"branch").filter(|branch| !branch.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_names_with_escapes() {
        let from = NameAddr::parse(br#""J \"Rosen, <b>\\" <sip:jd@x;user=phone>;tag=9 ; q"#);
        assert_eq!(from.name().unwrap(), r#"J "Rosen, <b>\"#);
        assert_eq!(from.uri, b"sip:jd@x;user=phone");
        assert_eq!(from.parameter(b"TAG"), Some(&b"9"[..]));
        assert_eq!(from.parameter(b"q"), Some(&b""[..]));
        assert_eq!(from.parameter(b"user"), None);
    }

    #[test]
    fn without_brackets_the_parameters_are_the_headers() {
        let from = NameAddr::parse(b"sip:caller@example.net;user=phone;tag=134");
        assert_eq!((from.uri, from.name()), (&b"sip:caller@example.net"[..], None));
        assert_eq!(from.parameter(b"tag"), Some(&b"134"[..]));
    }

    #[test]
    fn an_unbalanced_quote_loses_the_name_only() {
        let to = NameAddr::parse(b"\"Mr. J. User <sip:j.user@example.com>;tag=a");
        assert_eq!(to.uri, b"sip:j.user@example.com");
        assert_eq!(to.name().unwrap(), "Mr. J. User");
        assert_eq!(to.parameter(b"tag"), Some(&b"a"[..]));
    }

    #[test]
    fn unquoted_names_ipv6_and_odd_brackets() {
        let party = NameAddr::parse(b"Anna Lisa <sip:a@[fe80::1]:5060>;tag=1");
        assert_eq!((party.name().unwrap().as_str(), party.uri), ("Anna Lisa", &b"sip:a@[fe80::1]:5060"[..]));
        assert_eq!(NameAddr::parse(b"<sip:a@b").uri, b"sip:a@b");
        assert_eq!(NameAddr::parse(b"").uri, b"");
        assert_eq!(NameAddr::parse(b"\"").uri, b"");
    }

    #[test]
    fn several_values_a_line() {
        let line = br#"<sip:a@b;x=1,2>;reason="u,v", "x,y" <sip:c@d> , ,tel:+1"#;
        let all: Vec<_> = values(line).map(|value| NameAddr::parse(value).uri).collect();
        assert_eq!(all, [&b"sip:a@b;x=1,2"[..], b"sip:c@d", b"tel:+1"]);
    }

    #[test]
    fn torture_forms_of_cseq_and_via() {
        assert_eq!(cseq(b"0009\r\n  INVITE"), Some((9, &b"INVITE"[..])));
        assert_eq!(cseq(b"36893488147419103232 REGISTER"), None);
        assert_eq!(cseq(b"INVITE"), None);
        let via =
            b"SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP / 2.0";
        assert_eq!(branch(via), Some(&b"z9hG4bK9ikj8"[..]));
        assert_eq!(branch(b"SIP/2.0/UDP 192.0.2.15;;,;,,"), None);
    }
}
