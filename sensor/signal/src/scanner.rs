//! Cuts a message into start line, headers and body, without copying and without judging: bare
//! LF, folded lines, spaces before the colon, lines that are no header, a missing end.

use memchr::memchr;

use crate::text::{is_space, trim};

/// Most header lines that are looked at; a message with more ends there, without a body.
pub(crate) const MAX_HEADERS: usize = 256;

/// One header, folds still in the value.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a> {
    /// The name as it came, full or compact.
    pub(crate) name: &'a [u8],
    /// The value without white space at its ends.
    pub(crate) value: &'a [u8],
}

/// Iterates over the headers from the line after the start line on.
#[derive(Clone)]
pub(crate) struct Headers<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    at: usize,
    /// Lines seen.
    lines: usize,
    /// Where the body begins, once the empty line was met.
    body: Option<usize>,
}

/// Splits off the start line; line ends before it are skipped (RFC 3261, 7.5). `None` when the
/// datagram holds no whole line.
pub(crate) fn start_line(datagram: &[u8]) -> Option<(&[u8], Headers<'_>)> {
    let start = datagram.iter().position(|&byte| !matches!(byte, b'\r' | b'\n'))?;
    let message = &datagram[start..];
    let end = memchr(b'\n', message)?;
    Some((trim(&message[..end]), Headers { bytes: message, at: end + 1, lines: 0, body: None }))
}

/// The headers of a multipart body's part, which begins with the rest of its delimiter's line.
pub(crate) fn headers_of_part(part: &[u8]) -> Option<Headers<'_>> {
    let end = memchr(b'\n', part)?;
    Some(Headers { bytes: part, at: end + 1, lines: 0, body: None })
}

impl<'a> Headers<'a> {
    /// The bytes after the empty line, once the iterator has ended; `None` when the message was
    /// cut short before it.
    pub(crate) fn body(&self) -> Option<&'a [u8]> {
        self.body.map(|at| &self.bytes[at..])
    }

    /// The end of the header that begins at `self.at`, its continuation lines included: the index
    /// of the last line feed. `None` when the message ends first: a header that may be half a
    /// header is worse than none.
    fn end_of_header(&self) -> Option<usize> {
        let mut end = self.at + memchr(b'\n', &self.bytes[self.at..])?;
        while matches!(self.bytes.get(end + 1), Some(b' ' | b'\t')) {
            end = end + 1 + memchr(b'\n', &self.bytes[end + 1..])?;
        }
        Some(end)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        while self.body.is_none() && self.lines < MAX_HEADERS {
            match &self.bytes[self.at..] {
                [b'\n', ..] => self.body = Some(self.at + 1),
                [b'\r', b'\n', ..] => self.body = Some(self.at + 2),
                _ => {
                    let end = self.end_of_header()?;
                    let line = &self.bytes[self.at..end];
                    self.at = end + 1;
                    self.lines += 1;
                    let Some(colon) = memchr(b':', line) else { continue };
                    let mut name = &line[..colon];
                    while let [rest @ .., last] = name {
                        if !is_space(*last) {
                            break;
                        }
                        name = rest;
                    }
                    return Some(Header { name, value: trim(&line[colon + 1..]) });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, Option<Vec<u8>>);

    fn read(datagram: &[u8]) -> Read {
        let (line, mut headers) = start_line(datagram).unwrap();
        let all = headers.by_ref().map(|h| (h.name.to_vec(), h.value.to_vec())).collect();
        (line.to_vec(), all, headers.body().map(<[u8]>::to_vec))
    }

    fn pair(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
        (name.into(), value.into())
    }

    #[test]
    fn bare_line_feeds_leading_line_ends_and_folds() {
        let read = read(b"\r\n\nBYE sip:a SIP/2.0\nTo :\r\n x\n\ty \nno header\nv:z\n\nbody\n");
        assert_eq!(read.0, b"BYE sip:a SIP/2.0");
        assert_eq!(read.1, [pair("To", "x\n\ty"), pair("v", "z")]);
        assert_eq!(read.2.unwrap(), b"body\n");
    }

    #[test]
    fn a_header_that_is_cut_off_is_not_read() {
        let read = read(b"BYE sip:a SIP/2.0\r\nTo: x\r\nCall-ID: abc");
        assert_eq!(read.1, [pair("To", "x")]);
        assert_eq!(read.2, None);
    }

    #[test]
    fn endless_headers_end() {
        let mut bytes = b"BYE sip:a SIP/2.0\r\n".to_vec();
        for _ in 0..1000 {
            bytes.extend_from_slice(b"a: b\r\n");
        }
        bytes.extend_from_slice(b"\r\nbody");
        let read = read(&bytes);
        assert_eq!(read.1.len(), MAX_HEADERS);
        assert_eq!(read.2, None);
    }

    #[test]
    fn no_line_no_message() {
        assert!(start_line(b"").is_none());
        assert!(start_line(b"\r\n\r\n").is_none());
        assert!(start_line(b"BYE sip:a SIP/2.0").is_none());
    }
}
