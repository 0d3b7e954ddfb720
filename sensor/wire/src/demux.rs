//! Tells apart what shares a UDP port, by its first bytes (RFC 7983, RFC 5761, RFC 3261).

/// What a datagram is, judged by its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaClass {
    /// RTP by its version and payload type; the header is not checked further.
    Rtp,
    /// RTCP: packet types 192..=223 where RTP has marker and payload type (RFC 5761, 4).
    Rtcp,
    /// STUN (RFC 8489).
    Stun,
    /// ZRTP (RFC 6189).
    Zrtp,
    /// DTLS (RFC 6347).
    Dtls,
    /// TURN channel data (RFC 8656).
    TurnChannel,
    /// An empty datagram, CRLFs or a few zero bytes that hold a NAT open (RFC 6263, RFC 5626).
    KeepAlive,
    /// Nothing of these (T.38's UDPTL for one).
    Other,
}

/// Classifies a datagram that is not SIP.
#[inline]
pub fn classify(datagram: &[u8]) -> MediaClass {
    let Some(&first) = datagram.first() else { return MediaClass::KeepAlive };
    match first {
        128..=191 if datagram.len() >= 8 && (192..=223).contains(&datagram[1]) => MediaClass::Rtcp,
        128..=191 if datagram.len() >= 12 => MediaClass::Rtp,
        _ => classify_other(first, datagram),
    }
}

/// The rest, which is rare.
fn classify_other(first: u8, datagram: &[u8]) -> MediaClass {
    match first {
        _ if is_keep_alive(datagram) => MediaClass::KeepAlive,
        0..=3 if is_stun(datagram) => MediaClass::Stun,
        16..=19 if datagram.len() >= 16 && &datagram[4..8] == b"ZRTP" => MediaClass::Zrtp,
        20..=63 if datagram.len() >= 13 && matches!(datagram[1], 0xfe | 0x01) => MediaClass::Dtls,
        64..=79 if is_turn_channel(datagram) => MediaClass::TurnChannel,
        _ => MediaClass::Other,
    }
}

fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.len() <= 4 && datagram.iter().all(|&b| matches!(b, 0 | b'\r' | b'\n'))
}

/// A STUN header: the length counts the rest in words, and the magic cookie is there, or it is
/// absent as in RFC 3489 and the length fits exactly.
fn is_stun(datagram: &[u8]) -> bool {
    if datagram.len() < 20 {
        return false;
    }
    let length = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
    length.is_multiple_of(4) && (datagram[4..8] == [0x21, 0x12, 0xa4, 0x42] || length + 20 == datagram.len())
}

/// Channel data (RFC 8656, 12.4): the length counts what follows; over UDP nothing pads it, but
/// some pad it to words all the same.
fn is_turn_channel(datagram: &[u8]) -> bool {
    let [_, _, high, low, data @ ..] = datagram else { return false };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    (length..length + 4).contains(&data.len())
}

/// Longest start line that is searched for `SIP/2.0`.
const MAX_START_LINE: usize = 2048;

/// True for a datagram that begins like a SIP message (RFC 3261, 7.1 and 7.2), leading line ends
/// skipped, whatever port it uses.
pub fn looks_like_sip(datagram: &[u8]) -> bool {
    let Some(start) = datagram.iter().position(|&b| !matches!(b, b'\r' | b'\n')) else { return false };
    let message = &datagram[start..];
    if !message[0].is_ascii_alphabetic() {
        return false;
    }
    if message.len() >= 8 && message[..8].eq_ignore_ascii_case(b"SIP/2.0 ") {
        return true;
    }
    let line = &message[..message.len().min(MAX_START_LINE)];
    let line = line.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
    let Some(version) = line.len().checked_sub(8) else { return false };
    let method = line.iter().position(|&b| b == b' ').unwrap_or(0);
    line[version..].eq_ignore_ascii_case(b" SIP/2.0")
        && method > 0
        && method < version
        && line[..method].iter().all(|&b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sip_is_known_by_content() {
        assert!(looks_like_sip(b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\n"));
        assert!(looks_like_sip(b"\r\n\r\nBYE tel:+1 SIP/2.0\n"));
        assert!(looks_like_sip(b"SIP/2.0 200 OK\r\n"));
        assert!(!looks_like_sip(b"GET / HTTP/1.1\r\n"));
        assert!(!looks_like_sip(b"SIP/2.0"));
        assert!(!looks_like_sip(b"\r\n\r\n"));
        assert!(!looks_like_sip(b" SIP/2.0"));
    }

    #[test]
    fn rfc_7983_ranges() {
        let mut bytes = [0u8; 20];
        bytes[0] = 0x80;
        assert_eq!(classify(&bytes), MediaClass::Rtp);
        bytes[1] = 200;
        assert_eq!(classify(&bytes), MediaClass::Rtcp);
        assert_eq!(
            classify(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            MediaClass::Stun
        );
        assert_eq!(classify(&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), MediaClass::Dtls);
        assert_eq!(classify(&[0x40, 0, 0, 4, 1, 2, 3, 4]), MediaClass::TurnChannel);
        assert_eq!(classify(b"\r\n\r\n"), MediaClass::KeepAlive);
        assert_eq!(classify(&[]), MediaClass::KeepAlive);
        assert_eq!(classify(&[0x80, 0]), MediaClass::Other);
        assert_eq!(classify(&[0, 0, 0, 1, 2]), MediaClass::Other);
    }
}
