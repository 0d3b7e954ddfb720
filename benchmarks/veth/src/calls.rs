//! The calls whose media is sent: their endpoints, and the signalling that names them.

use std::net::{Ipv4Addr, SocketAddrV4};

use nightjar_capture::{LiveStream, RawFrame};
use nightjar_pipeline::{CaptureCore, CoreOutput};
use nightjar_wire::{LinkType, Nanos};

const CALLERS: u32 = 0x0a01_0000;
const CALLEES: u32 = 0x0a02_0000;

/// An address for each call in each office.
fn endpoint(base: u32, call: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits(base + 1 + call), 16_384)
}

/// Both directions of each call, all directions in turn.
pub fn streams(calls: u32) -> Vec<LiveStream> {
    let pair = |call: u32| {
        let (caller, callee) = (endpoint(CALLERS, call), endpoint(CALLEES, call));
        let stream =
            |src, dst, side: u32| LiveStream { src, dst, ssrc: 2 * call + side, first_seq: 1, first_time: 0 };
        [stream(caller, callee, 0), stream(callee, caller, 1)]
    };
    (0..calls).flat_map(pair).collect()
}

/// Lets the core see the calls set up, a message a microsecond.
pub fn set_up<O: CoreOutput>(core: &mut CaptureCore<O>, now: Nanos, calls: u32) {
    let mut at = now;
    for call in 0..calls {
        for bytes in signalling(call) {
            let original_len = bytes.len() as u32;
            core.handle_frame(&RawFrame {
                at,
                link: LinkType::RawIp,
                interface: 0,
                bytes: &bytes,
                original_len,
            });
            at = at + Nanos::from_micros(1);
        }
    }
    core.end_batch(Nanos::ZERO);
}

/// A call's INVITE and 200, as IPv4 datagrams.
pub fn signalling(call: u32) -> [Vec<u8>; 2] {
    let (caller, callee) = (endpoint(CALLERS, call), endpoint(CALLEES, call));
    let invite = message("INVITE sip:b@example.org SIP/2.0", "", call, caller);
    let answer = message("SIP/2.0 200 OK", ";tag=2", call, callee);
    [frame(caller, callee, invite.as_bytes()), frame(callee, caller, answer.as_bytes())]
}

fn message(start: &str, to_tag: &str, call: u32, media: SocketAddrV4) -> String {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n",
        ip = media.ip(),
        port = media.port()
    );
    format!(
        "{start}\r\nVia: SIP/2.0/UDP example.org;branch=z9hG4bK{call}\r\nFrom: <sip:a@example.org>;tag=1\r\n\
         To: <sip:b@example.org>{to_tag}\r\nCall-ID: {call}@example.org\r\nCSeq: 1 INVITE\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

/// An IPv4 datagram from and to port 5060.
fn frame(src: SocketAddrV4, dst: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp_len = (8 + payload.len()) as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend_from_slice(&(20 + udp_len).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
    bytes.extend_from_slice(&src.ip().octets());
    bytes.extend_from_slice(&dst.ip().octets());
    bytes.extend_from_slice(&5060_u16.to_be_bytes());
    bytes.extend_from_slice(&5060_u16.to_be_bytes());
    bytes.extend_from_slice(&udp_len.to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(payload);
    bytes
}
