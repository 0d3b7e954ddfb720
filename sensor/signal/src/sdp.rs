//! Session descriptions (RFC 8866): where each side receives, in which formats, in which direction.
//! Line by line and tolerant: what cannot be read is skipped, what is bounded is cut.

use std::net::IpAddr;

use nightjar_wire::{Basis, Format, MediaKind, PayloadType};
use serde::{Deserialize, Serialize};

use crate::formats::registered;
use crate::text::{decode, number, trim};

/// Most media lines of one description that are kept.
pub const MAX_MEDIA_LINES: usize = 16;
/// Most formats of one media line that are kept.
pub const MAX_FORMATS: usize = 32;
/// Most lines that are read.
const MAX_LINES: usize = 1_000;

/// Which way media flows, seen from who wrote the description (RFC 8866, 6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaDirection {
    /// Both ways.
    #[default]
    SendRecv,
    /// The writer sends only.
    SendOnly,
    /// The writer receives only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl MediaDirection {
    fn from_attribute(name: &[u8]) -> Option<MediaDirection> {
        match name {
            b"sendrecv" => Some(MediaDirection::SendRecv),
            b"sendonly" => Some(MediaDirection::SendOnly),
            b"recvonly" => Some(MediaDirection::RecvOnly),
            b"inactive" => Some(MediaDirection::Inactive),
            _ => None,
        }
    }
}

/// Where RTCP goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RtcpPlace {
    /// To the port after RTP's.
    #[default]
    NextPort,
    /// To RTP's own port (RFC 5761).
    Mux,
    /// Where `a=rtcp` says (RFC 3605); the address is the line's own where none is given.
    At(Option<IpAddr>, u16),
}

/// One `m=` line with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaLine {
    /// Its place in the description, from 0.
    pub index: u8,
    /// What it carries.
    pub kind: MediaKind,
    /// Where its writer receives; `None` for a host name or a form that is unknown.
    pub addr: Option<IpAddr>,
    /// The port; 0 rejects the line or gives it up (RFC 3264, 5.1 and 6).
    pub port: u16,
    /// It is carried by UDP (not MSRP, T.38 or BFCP over TCP).
    pub udp: bool,
    /// Where RTCP goes.
    pub rtcp: RtcpPlace,
    /// Which way media flows.
    pub direction: MediaDirection,
    /// The formats that its writer is ready to receive, in order of preference.
    pub formats: Vec<Format>,
    /// `a=label` (RFC 4574).
    pub label: Option<String>,
}

/// A session description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDescription {
    /// Its media lines, in order.
    pub media: Vec<MediaLine>,
}

/// Attributes that stand for the whole session until a media line has its own.
#[derive(Default)]
struct SessionLevel {
    addr: Option<IpAddr>,
    direction: MediaDirection,
    mux: bool,
}

impl SessionDescription {
    /// Reads a description; one that holds no media line is empty, never an error.
    pub fn parse(text: &[u8]) -> SessionDescription {
        let mut session = SessionLevel::default();
        let mut media: Vec<MediaLine> = Vec::new();
        for line in text.split(|&byte| byte == b'\n').take(MAX_LINES).map(trim) {
            let [kind, b'=', value @ ..] = line else { continue };
            match kind {
                b'm' => {
                    if media.len() == MAX_MEDIA_LINES {
                        break;
                    }
                    media.push(media_line(media.len() as u8, trim(value), &session));
                }
                b'c' => match (connection(value), media.last_mut()) {
                    (Some(addr), Some(line)) => line.addr = Some(addr),
                    (Some(addr), None) => session.addr = Some(addr),
                    // A host name: the session's address does not stand in for it.
                    (None, Some(line)) => line.addr = None,
                    (None, None) => {}
                },
                b'a' => match media.last_mut() {
                    Some(line) => media_attribute(line, trim(value)),
                    None => session_attribute(&mut session, trim(value)),
                },
                _ => {}
            }
        }
        for line in &mut media {
            line.formats.retain(|format| !format.codec.is_empty());
        }
        SessionDescription { media }
    }
}

/// The address of a `c=` value (`IN IP4 224.2.1.1/127`).
fn connection(value: &[u8]) -> Option<IpAddr> {
    address(value.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()).nth(2)?)
}

/// An address, its TTL, count or zone cut off.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = text.split(|&byte| matches!(byte, b'/' | b'%')).next()?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `audio 49170/2 RTP/AVP 0 8 96`. What cannot be read holds its place as a rejected line.
fn media_line(index: u8, value: &[u8], session: &SessionLevel) -> MediaLine {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let kind = match words.next().unwrap_or_default() {
        b"audio" => MediaKind::Audio,
        b"video" => MediaKind::Video,
        b"image" => MediaKind::Image,
        _ => MediaKind::Other,
    };
    let port = words.next().and_then(|word| word.split(|&byte| byte == b'/').next()).and_then(number);
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    let proto = words.next().unwrap_or_default().to_ascii_uppercase();
    let tcp = proto.starts_with(b"TCP") || proto.windows(5).any(|part| part == b"/TCP/");
    let rtp = proto.windows(3).any(|part| part == b"RTP");
    let types = words.filter(|_| rtp).filter_map(number).filter_map(|pt| u8::try_from(pt).ok());
    let mut formats: Vec<Format> = Vec::new();
    for payload_type in types.filter(|pt| *pt < 128) {
        if formats.len() < MAX_FORMATS && formats.iter().all(|known| known.payload_type != payload_type) {
            formats.push(Format::of_static(payload_type).unwrap_or_else(|| unmapped(payload_type)));
        }
    }
    MediaLine {
        index,
        kind,
        addr: session.addr,
        port,
        udp: !tcp,
        rtcp: if session.mux { RtcpPlace::Mux } else { RtcpPlace::NextPort },
        direction: session.direction,
        formats,
        label: None,
    }
}

/// A dynamic type before its `a=rtpmap` is read; without one it is dropped at the end.
fn unmapped(payload_type: PayloadType) -> Format {
    Format {
        payload_type,
        codec: String::new(),
        clock_rate: 0,
        channels: 1,
        ptime_ms: None,
        fmtp: None,
        basis: Basis::Sdp,
    }
}

fn attribute(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b':') {
        Some(colon) => (trim(&text[..colon]), trim(&text[colon + 1..])),
        None => (text, &[]),
    }
}

fn session_attribute(session: &mut SessionLevel, text: &[u8]) {
    let (name, _) = attribute(text);
    if let Some(direction) = MediaDirection::from_attribute(name) {
        session.direction = direction;
    }
    session.mux |= name == b"rtcp-mux";
}

fn media_attribute(line: &mut MediaLine, text: &[u8]) {
    let (name, value) = attribute(text);
    match name {
        b"rtpmap" => rtpmap(line, value),
        b"fmtp" => {
            if let Some((format, parameters)) = of_format(line, value) {
                format.fmtp = Some(decode(parameters)).filter(|fmtp| !fmtp.is_empty());
            }
        }
        b"ptime" => {
            // Some write fractions; whole milliseconds are all that is asked of it.
            let whole = value.split(|&byte| byte == b'.').next().unwrap_or_default();
            let ptime = number(whole).and_then(|ms| u16::try_from(ms).ok()).filter(|ms| *ms > 0);
            for format in &mut line.formats {
                format.ptime_ms = ptime;
            }
        }
        b"rtcp" => {
            let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            if let Some(port) = words.next().and_then(number).and_then(|port| u16::try_from(port).ok()) {
                line.rtcp = match line.rtcp {
                    RtcpPlace::Mux => RtcpPlace::Mux,
                    _ => RtcpPlace::At(words.nth(2).and_then(address), port),
                };
            }
        }
        b"rtcp-mux" => line.rtcp = RtcpPlace::Mux,
        b"label" => line.label = Some(decode(value)).filter(|label| !label.is_empty()),
        _ => {
            if let Some(direction) = MediaDirection::from_attribute(name) {
                line.direction = direction;
            }
        }
    }
}

/// The format that an attribute's first word names, and the rest of the attribute.
fn of_format<'a, 'l>(line: &'l mut MediaLine, value: &'a [u8]) -> Option<(&'l mut Format, &'a [u8])> {
    let end = value.iter().position(u8::is_ascii_whitespace)?;
    let payload_type = number(&value[..end]).and_then(|pt| u8::try_from(pt).ok())?;
    let format = line.formats.iter_mut().find(|format| format.payload_type == payload_type)?;
    Some((format, trim(&value[end..])))
}

/// `97 iLBC/8000/1`. A map for a type that the line does not list is ignored.
fn rtpmap(line: &mut MediaLine, value: &[u8]) {
    let Some((format, map)) = of_format(line, value) else { return };
    let mut parts = map.split(|&byte| byte == b'/').map(trim);
    let name = parts.next().map(decode).unwrap_or_default();
    let rate = parts.next().and_then(number).filter(|rate| *rate > 0);
    if let (false, Some(clock_rate)) = (name.is_empty(), rate) {
        format.codec = registered(&name).to_owned();
        format.clock_rate = clock_rate;
        format.channels =
            parts.next().and_then(number).and_then(|n| u8::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(1);
        format.basis = Basis::Sdp;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn audio(text: &str) -> MediaLine {
        SessionDescription::parse(text.as_bytes()).media.remove(0)
    }

    #[test]
    fn formats_with_maps_parameters_and_packet_time() {
        let line = audio(
            "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 6000/2 RTP/AVP 8 96 101 97 8\r\na=rtpmap:96 opus/48000/2\r\n\
             a=rtpmap:101 TELEPHONE-EVENT/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtpmap:99 iLBC/8000\r\n",
        );
        assert_eq!((line.addr, line.port), (Some("10.0.0.1".parse().unwrap()), 6000));
        let short: Vec<_> = line
            .formats
            .iter()
            .map(|f| (f.payload_type, f.codec.as_str(), f.clock_rate, f.channels))
            .collect();
        assert_eq!(short, [(8, "PCMA", 8000, 1), (96, "opus", 48000, 2), (101, "telephone-event", 8000, 1)]);
        assert_eq!(line.formats[0].basis, Basis::Static);
        assert_eq!(line.formats[2].fmtp.as_deref(), Some("0-15"));
        assert!(line.formats.iter().all(|format| format.ptime_ms == Some(20)));
    }

    #[test]
    fn media_level_wins_over_session_level() {
        let text = "c=IN IP4 10.0.0.1\na=sendonly\nm=audio 1 RTP/AVP 0\nc=IN IP6 fe80:0:0:0:21a:a0ff:fe07:32e0\n\
                    a=inactive\na=rtcp:7 IN IP4 10.0.0.9\na=label:one\nm=video 2 RTP/AVP 31\na=rtcp-mux\n";
        let both = SessionDescription::parse(text.as_bytes()).media;
        assert_eq!(both[0].addr, Some("fe80::21a:a0ff:fe07:32e0".parse().unwrap()));
        assert_eq!(
            (both[0].direction, both[1].direction),
            (MediaDirection::Inactive, MediaDirection::SendOnly)
        );
        assert_eq!(both[0].rtcp, RtcpPlace::At(Some("10.0.0.9".parse().unwrap()), 7));
        assert_eq!((both[1].rtcp, both[1].addr), (RtcpPlace::Mux, Some("10.0.0.1".parse().unwrap())));
        assert_eq!((both[0].label.as_deref(), both[1].kind), (Some("one"), MediaKind::Video));
    }

    #[test]
    fn rejected_lines_keep_their_place_and_tcp_is_known() {
        let text = "m=audio 0 RTP/AVP 0\nm=message 9 TCP/MSRP *\nm=image 5000 udptl t38\nm=audio x RTP/AVP 0\n\
                    m=audio 7 RTP/SAVPF 0\nc=IN IP4 host.example.com\n";
        let lines = SessionDescription::parse(text.as_bytes()).media;
        let short: Vec<_> = lines.iter().map(|l| (l.index, l.kind, l.port, l.udp)).collect();
        assert_eq!(
            short,
            [
                (0, MediaKind::Audio, 0, true),
                (1, MediaKind::Other, 9, false),
                (2, MediaKind::Image, 5000, true),
                (3, MediaKind::Audio, 0, true),
                (4, MediaKind::Audio, 7, true)
            ]
        );
        assert_eq!(lines[4].addr, None);
    }

    #[test]
    fn hold_by_a_zero_address_is_an_address() {
        let line = audio("c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8\n");
        assert!(line.addr.unwrap().is_unspecified());
        assert_eq!(audio("c=IN IP4 224.2.1.1/127\nm=audio 1 RTP/AVP 0").addr, "224.2.1.1".parse().ok());
    }

    #[test]
    fn endless_lines_are_bounded() {
        let many = SessionDescription::parse("m=audio 1 RTP/AVP 0\n".repeat(5_000).as_bytes());
        assert_eq!(many.media.len(), MAX_MEDIA_LINES);
        let types: String = (0..128).map(|pt| format!(" {pt}")).collect();
        let maps: String = (0..128).map(|pt| format!("a=rtpmap:{pt} x/8000\n")).collect();
        assert_eq!(audio(&format!("m=audio 1 RTP/AVP{types}\n{maps}")).formats.len(), MAX_FORMATS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            SessionDescription::parse(&bytes);
        }

        #[test]
        fn no_lines_make_it_panic(lines in proptest::collection::vec("[mca]=[ -~]{0,30}", 0..20)) {
            SessionDescription::parse(lines.join("\n").as_bytes());
        }
    }
}
