//! Finds the session description in a message's body, a multipart body's part included (RFC 5621).

use memchr::{memmem, memrchr};

use crate::header::parameter;
use crate::scanner::{Headers, headers_of_part};
use crate::text::trim;

/// Most parts of a multipart body that are looked at.
const MAX_PARTS: usize = 32;

/// The session description within a body of this type, whole lines only when the body is
/// `complete`, else without its last, half line.
pub(crate) fn session_description<'a>(
    content_type: Option<&[u8]>,
    body: &'a [u8],
    complete: bool,
) -> Option<&'a [u8]> {
    let kind = content_type.unwrap_or_default();
    let (name, parameters) = kind.split_at(kind.iter().position(|&byte| byte == b';').unwrap_or(kind.len()));
    let name = trim(name);
    if name.len() >= 10 && name[..10].eq_ignore_ascii_case(b"multipart/") {
        return from_multipart(parameter(parameters, b"boundary")?, body, complete);
    }
    if name.eq_ignore_ascii_case(b"application/sdp") || (name.is_empty() && trim(body).starts_with(b"v=")) {
        return Some(whole_lines(body, complete));
    }
    None
}

/// A description that the capture cut short ends in half a line, which would read as another
/// address or port.
fn whole_lines(description: &[u8], complete: bool) -> &[u8] {
    if complete {
        return description;
    }
    &description[..memrchr(b'\n', description).map_or(0, |end| end + 1)]
}

fn from_multipart<'a>(boundary: &[u8], body: &'a [u8], complete: bool) -> Option<&'a [u8]> {
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let delimiter = [b"--", boundary].concat();
    let finder = memmem::Finder::new(&delimiter);
    let mut rest = &body[finder.find(body)? + delimiter.len()..];
    for _ in 0..MAX_PARTS {
        if rest.starts_with(b"--") {
            return None;
        }
        let end = finder.find(rest);
        let part = &rest[..end.unwrap_or(rest.len())];
        if let Some(description) = from_part(part) {
            return Some(whole_lines(description, complete || end.is_some()));
        }
        rest = &rest[end? + delimiter.len()..];
    }
    None
}

/// A part's content when it is a session description.
fn from_part(part: &[u8]) -> Option<&[u8]> {
    let mut headers: Headers<'_> = headers_of_part(part)?;
    let mut kind = None;
    for header in headers.by_ref() {
        let named =
            header.name.eq_ignore_ascii_case(b"content-type") || header.name.eq_ignore_ascii_case(b"c");
        kind = kind.or(named.then_some(header.value));
    }
    let kind = kind.unwrap_or_default();
    let name = kind.split(|&byte| byte == b';').next().map(trim).unwrap_or_default();
    if name.eq_ignore_ascii_case(b"application/sdp") { headers.body() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTIPART: &[u8] = b"preamble\r\n--b1\r\nContent-Type: application/ISUP;version=x\r\n\r\n\x01\x00--\r\n\
        --b1\r\nContent-Type: application/sdp\r\nContent-Disposition: session\r\n\r\nv=0\r\ns=-\r\n\r\n--b1--\r\n";

    #[test]
    fn the_part_with_a_description_is_found() {
        let found = session_description(Some(b"multipart/mixed ; boundary=\"b1\""), MULTIPART, true);
        assert_eq!(found, Some(&b"v=0\r\ns=-\r\n\r\n"[..]));
    }

    #[test]
    fn a_cut_description_loses_its_half_line() {
        let kind = Some(&b"application/sdp"[..]);
        assert_eq!(session_description(kind, b"v=0\r\nc=IN IP4 10.0.", false), Some(&b"v=0\r\n"[..]));
        assert_eq!(session_description(kind, b"v=0\r\na=sendrecv", true), Some(&b"v=0\r\na=sendrecv"[..]));
        let kind = Some(&b"multipart/mixed;boundary=b1"[..]);
        let cut = |missing: usize| session_description(kind, &MULTIPART[..MULTIPART.len() - missing], false);
        assert_eq!(cut(12), Some(&b"v=0\r\n"[..]));
        assert_eq!(cut(5), Some(&b"v=0\r\ns=-\r\n\r\n"[..]));
    }

    #[test]
    fn other_bodies_hold_none() {
        assert_eq!(session_description(Some(b"application/dtmf-relay"), b"Signal=1\r\n", true), None);
        assert_eq!(session_description(None, b"v=0\r\n", true), Some(&b"v=0\r\n"[..]));
        assert_eq!(session_description(Some(b"multipart/mixed"), MULTIPART, true), None);
        assert_eq!(session_description(Some(b"multipart/mixed;boundary=zz"), MULTIPART, true), None);
    }

    #[test]
    fn cut_anywhere_nothing_panics() {
        for end in 0..MULTIPART.len() {
            let _ = session_description(Some(b"multipart/mixed;boundary=b1"), &MULTIPART[..end], false);
        }
    }
}
