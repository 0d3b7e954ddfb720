//! Takes frames and keeps what the findings are judged by. Pure: no clock, no file; every table has a
//! limit.

use std::net::{IpAddr, SocketAddr};

use nightjar_capture::RawFrame;
use nightjar_wire::{
    Endpoint, FlowKey, Frame, MediaClass, Realm, RtpView, Transport, VxlanPorts, classify, decode_transport,
    looks_like_sip,
};

use super::copies::{Copies, Sighting};
use super::frames::{Frames, Mac};
use super::media::Media;
use super::signalling::Signalling;
use super::stamps::Stamps;
use super::tunnels::Tunnels;

/// IP's number of UDP.
const UDP: u8 = 17;

/// Everything that was seen. No `Debug`: it holds addresses.
pub struct Collector {
    /// The frames by themselves.
    pub frames: Frames,
    /// Their stamps.
    pub stamps: Stamps,
    /// Tunnels around them.
    pub tunnels: Tunnels,
    /// Copies among them.
    pub copies: Copies,
    /// SIP.
    pub signalling: Signalling,
    /// RTP.
    pub media: Media,
    /// UDP and TCP ports that carry signalling.
    signalling_ports: Vec<u16>,
}

/// A whole datagram, or the first fragment of one.
struct Datagram<'a> {
    src: SocketAddr,
    dst: SocketAddr,
    payload: &'a [u8],
}

impl Collector {
    /// For interfaces with these addresses, as far as they are known, and signalling and VXLAN on these
    /// ports.
    pub fn new(macs: Vec<Option<Mac>>, signalling_ports: &[u16], vxlan: VxlanPorts) -> Collector {
        Collector {
            frames: Frames::new(macs),
            stamps: Stamps::default(),
            tunnels: Tunnels::new(vxlan),
            copies: Copies::new(),
            signalling: Signalling::default(),
            media: Media::default(),
            signalling_ports: signalling_ports.to_vec(),
        }
    }

    /// Takes a frame, and the receive queue that it came by where that is known.
    pub fn see(&mut self, frame: &RawFrame<'_>, queue: Option<u16>) {
        self.frames.count(frame);
        self.stamps.see(frame.at);
        let decoded = self.tunnels.decode(frame.link, frame.bytes);
        self.frames.count_decoded(frame, &decoded);
        let Ok(decoded) = decoded else { return };
        if let Transport::Tcp { src_port, dst_port } = decoded.transport {
            self.signalling.see_tcp((src_port, dst_port), &self.signalling_ports);
            return;
        }
        if let Some(datagram) = datagram(&decoded) {
            self.see_datagram(frame, &decoded, &datagram, queue);
        }
    }

    fn see_datagram(
        &mut self,
        raw: &RawFrame<'_>,
        frame: &Frame<'_>,
        datagram: &Datagram<'_>,
        queue: Option<u16>,
    ) {
        let Datagram { src, dst, payload } = *datagram;
        let sip = looks_like_sip(payload);
        let class = classify(payload);
        let rtp = if sip || class != MediaClass::Rtp { None } else { RtpView::parse(payload).ok() };
        if sip || rtp.is_some() {
            let sighting = Sighting { at: raw.at, interface: raw.interface, vlan: frame.vlan };
            self.copies.see(frame, (src.port(), dst.port()), payload, sighting);
        }
        if sip {
            self.signalling.see(raw.at, src, dst, payload);
            return;
        }
        let end = |socket: SocketAddr| Endpoint::new(Realm(0), socket.ip(), socket.port());
        let key = FlowKey::new(end(src), end(dst));
        match (rtp, class) {
            (Some(rtp), _) => {
                let queue = queue.map(|queue| (raw.interface, queue));
                self.media.see(key, &rtp, raw.at, frame.vlan, queue, &mut self.stamps);
            }
            (None, MediaClass::Dtls) => self.media.see_keys(key, true),
            (None, MediaClass::Zrtp) => self.media.see_keys(key, false),
            _ => {}
        }
    }
}

/// The UDP datagram in a frame. Of one in fragments the first is enough: what is asked of a message
/// stands at its beginning, mostly.
fn datagram<'a>(frame: &Frame<'a>) -> Option<Datagram<'a>> {
    let whole = match frame.transport {
        Transport::Fragment(part) if part.offset == 0 && part.protocol == UDP => {
            decode_transport(UDP, part.payload).ok()?
        }
        other => other,
    };
    let Transport::Udp { src_port, dst_port, payload, .. } = whole else { return None };
    let socket = |addr: IpAddr, port: u16| SocketAddr::new(addr, port);
    Some(Datagram {
        src: socket(frame.network.src, src_port),
        dst: socket(frame.network.dst, dst_port),
        payload,
    })
}
