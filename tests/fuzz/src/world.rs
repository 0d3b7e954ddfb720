//! The small world that scripted inputs play in: a few hosts and ports, so that they meet each other.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use nightjar_wire::{Endpoint, FlowKey, Nanos, Realm};

/// When it begins: 2026-01-05 09:00:00 UTC.
pub(crate) const START: Nanos = Nanos::from_secs(1_767_603_600);

const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLISECOND;
const HOUR: i64 = 3_600 * SECOND;

/// Times between steps: around what timers wait for, and two that go back.
pub(crate) const STEPS_NANOS: [i64; 16] = [
    0,
    20 * MILLISECOND,
    100 * MILLISECOND,
    SECOND,
    2 * SECOND + 1,
    5 * SECOND,
    33 * SECOND,
    61 * SECOND,
    121 * SECOND,
    241 * SECOND,
    HOUR,
    13 * HOUR,
    25 * HOUR,
    -SECOND,
    -HOUR,
    1_000,
];

/// One of four hosts.
pub(crate) fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + (number & 3))
}

fn endpoint(number: u8, port: u16) -> Endpoint {
    Endpoint::new(Realm(0), IpAddr::V4(host(number)), port)
}

/// Where a message goes from and to: bit 0 is the direction, bit 1 the pair of hosts.
pub(crate) fn signalling_pair(code: u8) -> (Endpoint, Endpoint) {
    let other = if code & 2 == 0 { 1 } else { 2 };
    let (a, b) = (endpoint(0, 5060), endpoint(other, 5060));
    if code & 1 == 0 { (a, b) } else { (b, a) }
}

/// A port that media of a host may use: one of four even ones, and one that signalling never names.
pub(crate) fn media_port(number: u8) -> u16 {
    [4000, 4002, 4004, 40_000][usize::from(number & 3)]
}

/// One of some flows of media: bits 0 and 1 are the sender, 2 and 3 the receiver, 4 and 5 both ports, 6 an odd
/// port at the receiver.
pub(crate) fn media_flow(number: u8) -> FlowKey {
    let port = media_port(number >> 4);
    let odd = u16::from(number >> 6 & 1);
    FlowKey::new(endpoint(number, port), endpoint(number >> 2, port + odd))
}

const REQUESTS: [&str; 8] = ["INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "OPTIONS", "REFER"];
const RESPONSES: [u16; 16] = [100, 180, 183, 200, 200, 200, 202, 302, 401, 407, 481, 486, 487, 488, 503, 603];

/// A SIP message of three numbers: what it is, whose dialog it belongs to, and what session it describes.
///
/// `kind`: bit 7 a response (bits 0 to 3 its code, 4 to 6 the method that it answers), else bits 0 to 2 the
/// method. `dialog`: bits 0 and 1 the call, 2 and 3 the callee's tag (0: none), 4 to 6 CSeq, 7 who begins it.
/// `session`: 0 for none, else bits 0 and 1 the port, 2 and 3 the host, 4 and 5 the direction, 6 and 7 the formats.
pub(crate) fn message(kind: u8, dialog: u8, session: u8) -> Vec<u8> {
    let mut text = String::new();
    let call = dialog & 3;
    let method = REQUESTS[usize::from(if kind & 0x80 == 0 { kind & 7 } else { kind >> 4 & 7 })];
    let start = if kind & 0x80 == 0 {
        format!("{method} sip:{call}01@10.0.0.2 SIP/2.0")
    } else {
        format!("SIP/2.0 {} Reason", RESPONSES[usize::from(kind & 15)])
    };
    let tag = match dialog >> 2 & 3 {
        0 => String::new(),
        fork => format!(";tag=to{fork}"),
    };
    let (from, to) = ("<sip:100@10.0.0.1>;tag=from".to_owned(), format!("<sip:{call}01@10.0.0.2>{tag}"));
    let (from, to) = if dialog & 0x80 == 0 { (from, to) } else { (to, from) };
    let cseq = dialog >> 4 & 7;
    let _ = write!(
        text,
        "{start}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{call}{cseq}\r\nFrom: {from}\r\nTo: {to}\r\n\
         Call-ID: {call}@fuzz\r\nCSeq: {cseq} {method}\r\n"
    );
    match kind >> 3 & 3 {
        1 if kind & 0x80 == 0 => text.push_str("Session-Expires: 90;refresher=uac\r\n"),
        2 if kind & 0x80 == 0 => text.push_str("P-Asserted-Identity: <tel:+4930123>\r\n"),
        _ => {}
    }
    let sdp = if session == 0 { String::new() } else { describe(session) };
    if !sdp.is_empty() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n{sdp}", sdp.len());
    text.into_bytes()
}

/// The session of [`message`].
fn describe(session: u8) -> String {
    let host = host(session >> 2);
    let port = media_port(session);
    let direction = ["sendrecv", "sendonly", "recvonly", "inactive"][usize::from(session >> 4 & 3)];
    let formats = [
        "8 0\r\n",
        "0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        "8\r\na=rtcp-mux\r\n",
        "0 13\r\na=ptime:30\r\nm=video 4100 RTP/AVP 34\r\n",
    ][usize::from(session >> 6)];
    format!(
        "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\na={direction}\r\n\
         m=audio {port} RTP/AVP {formats}"
    )
}

/// A UDP datagram in IPv4, without a link header. `id` is IP's identification.
pub(crate) fn ip_udp(flow: FlowKey, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut udp = Vec::with_capacity(8 + payload.len());
    udp.extend_from_slice(&flow.src_port.to_be_bytes());
    udp.extend_from_slice(&flow.dst_port.to_be_bytes());
    udp.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(payload);
    ip(flow, id, 0, &udp)
}

/// An IPv4 packet of UDP; `fragment` is its flags and offset.
pub(crate) fn ip(flow: FlowKey, id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[0] = 0x45;
    bytes[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    bytes[4..6].copy_from_slice(&id.to_be_bytes());
    bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
    (bytes[8], bytes[9]) = (64, 17);
    for (at, addr) in [(12, flow.src), (16, flow.dst)] {
        if let IpAddr::V4(addr) = addr {
            bytes[at..at + 4].copy_from_slice(&addr.octets());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// An RTP packet with a payload of one repeated byte.
pub(crate) fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&timestamp.to_be_bytes());
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
