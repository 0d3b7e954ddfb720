//! `sip:`, `sips:` and `tel:` URIs, as far as a call's parties need them (RFC 3261, 19.1; RFC 3966).

use crate::text::trim;

/// The telephone number in a URI: the user part of `sip:`, the number of `tel:`, visual
/// separators removed. `None` when what is left is not digits, `+`, `*` and `#`.
pub(crate) fn telephone_number(uri: &[u8]) -> Option<String> {
    let number = visible_digits(user(uri)?)?;
    number.bytes().any(|byte| byte.is_ascii_digit()).then_some(number)
}

/// The user part without password and parameters, escapes still in it.
fn user(uri: &[u8]) -> Option<&[u8]> {
    let uri = trim(uri);
    let colon = uri.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
    let user = if scheme.eq_ignore_ascii_case(b"tel") {
        rest
    } else if scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips") {
        // The user part may hold anything but `@`; the host's part none at all.
        &rest[..rest.iter().rposition(|&byte| byte == b'@')?]
    } else {
        return None;
    };
    // A telephone subscriber's parameters stand within the user part (`;phone-context=`), a
    // password after a colon.
    user.split(|&byte| matches!(byte, b';' | b':' | b'?')).next()
}

/// Longest telephone number that is taken for one: E.164 has 15 digits, dialled codes some more.
const MAX_DIGITS: usize = 64;

fn visible_digits(user: &[u8]) -> Option<String> {
    let mut digits = String::new();
    let mut bytes = user.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
                high << 4 | low
            }
            plain => plain,
        };
        match byte {
            b'0'..=b'9' | b'+' | b'*' | b'#' if digits.len() < MAX_DIGITS => digits.push(char::from(byte)),
            // Visual separators (RFC 3966, 5.1.1), and spaces that some devices send.
            b'-' | b'.' | b'(' | b')' | b' ' => {}
            _ => return None,
        }
    }
    Some(digits)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The value of a URI parameter (`;name=value`), or of an embedded header (`?name=value`).
pub(crate) fn part<'a>(uri: &'a [u8], separators: &[u8], name: &[u8]) -> Option<&'a [u8]> {
    uri.split(|byte| separators.contains(byte)).skip(1).find_map(|part| {
        let equals = part.iter().position(|&byte| byte == b'=')?;
        trim(&part[..equals]).eq_ignore_ascii_case(name).then(|| trim(&part[equals + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(uri: &str) -> Option<String> {
        telephone_number(uri.as_bytes())
    }

    #[test]
    fn telephone_numbers_of_every_form() {
        assert_eq!(number("sip:101@10.33.6.100;user=phone").as_deref(), Some("101"));
        assert_eq!(number("sip:+49-30-1234@host").as_deref(), Some("+49301234"));
        assert_eq!(number("SIPS:%2B4930@host:5061").as_deref(), Some("+4930"));
        assert_eq!(number("tel:+1-201-555-0123").as_deref(), Some("+12015550123"));
        assert_eq!(number("tel:7042;phone-context=example.com").as_deref(), Some("7042"));
        assert_eq!(number("sip:+1(408)555.1212;phone-context=x:pw@host").as_deref(), Some("+14085551212"));
        assert_eq!(number("sip:*21%23@host").as_deref(), Some("*21#"));
    }

    #[test]
    fn names_and_hosts_are_no_numbers() {
        assert_eq!(number("sip:alice@10.0.0.1"), None);
        assert_eq!(number("sip:10.0.2.15:5060"), None);
        assert_eq!(number("sip:1bd@host"), None);
        assert_eq!(number("urn:service:sos"), None);
        assert_eq!(number("sip:%4@host"), None);
        assert_eq!(number("sip:+@host"), None);
        assert_eq!(number(""), None);
        assert_eq!(number("112"), None);
    }

    #[test]
    fn parameters_and_embedded_headers() {
        let uri = b"sip:a@b;cause=302;x?Reason=SIP%3Bcause%3D486&y=1";
        assert_eq!(part(uri, b";?", b"CAUSE"), Some(&b"302"[..]));
        assert_eq!(part(uri, b"?&", b"reason"), Some(&b"SIP%3Bcause%3D486"[..]));
        assert_eq!(part(uri, b";?", b"none"), None);
    }
}
