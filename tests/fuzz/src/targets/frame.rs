//! Frames of every link layer down to what a datagram is, with etherparse as a second opinion.

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use nightjar_wire::{
    Frame, LinkType, MediaClass, RtcpPackets, RtpView, Transport, classify, decode_envelope, decode_frame,
    decode_transport, looks_like_sip,
};
use std::net::IpAddr;

const LINKS: [LinkType; 5] =
    [LinkType::Ethernet, LinkType::RawIp, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::Null];

pub(super) fn run(bytes: &[u8]) {
    let [link, frame @ ..] = bytes else { return };
    let link = LINKS[usize::from(*link) % LINKS.len()];
    check_datagram(frame);
    let Ok(decoded) = decode_frame(link, frame) else { return };
    match decoded.transport {
        Transport::Udp { payload, .. } => {
            assert!(lies_within(payload, frame));
            check_datagram(payload);
        }
        Transport::Fragment(fragment) => {
            assert!(lies_within(fragment.payload, frame));
            if let Ok(Transport::Udp { payload, .. }) = decode_transport(fragment.protocol, fragment.payload)
            {
                assert!(lies_within(payload, frame));
            }
        }
        Transport::Gre(carried) => assert!(lies_within(carried, frame)),
        Transport::Tcp { .. } | Transport::Other(_) => {}
    }
    // The second opinion looks into no tunnel.
    let Ok(decoded) = decode_envelope(link, frame) else { panic!("only an envelope hides a datagram") };
    match link {
        LinkType::Ethernet => compare(&decoded, LaxSlicedPacket::from_ethernet(frame).ok()),
        LinkType::RawIp => compare(&decoded, LaxSlicedPacket::from_ip(frame).ok()),
        _ => {}
    }
}

fn lies_within(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

fn check_datagram(datagram: &[u8]) {
    let class = classify(datagram);
    let sip = looks_like_sip(datagram);
    assert!(
        !(sip && matches!(class, MediaClass::Rtp | MediaClass::Rtcp)),
        "a SIP message begins with a letter"
    );
    if let Ok(rtp) = RtpView::parse(datagram) {
        assert!(
            lies_within(rtp.payload(), datagram)
                && rtp.payload().len() + RtpView::HEADER_LEN <= datagram.len()
        );
        assert!(rtp.payload_type() < 128);
        assert!(matches!(class, MediaClass::Rtp | MediaClass::Rtcp));
        let _ = (rtp.marker(), rtp.sequence(), rtp.timestamp(), rtp.ssrc());
    }
    let mut walked = 0;
    for packet in RtcpPackets::new(datagram) {
        let Ok(packet) = packet else { break };
        assert!(lies_within(packet.bytes(), datagram) && (192..=223).contains(&packet.packet_type()));
        assert!(packet.ssrc().is_none() || packet.bytes().len() >= 8);
        walked += packet.bytes().len();
    }
    assert!(walked <= datagram.len());
}

/// Where both see UDP, they see the same addresses, ports and bytes.
fn compare(ours: &Frame<'_>, theirs: Option<LaxSlicedPacket<'_>>) {
    let Transport::Udp { src_port, dst_port, payload, .. } = ours.transport else { return };
    let Some(theirs) = theirs else { return };
    let (src, dst): (IpAddr, IpAddr) = match &theirs.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        _ => return,
    };
    let Some(TransportSlice::Udp(udp)) = &theirs.transport else { return };
    assert_eq!((ours.network.src, ours.network.dst), (src, dst));
    assert_eq!((src_port, dst_port), (udp.source_port(), udp.destination_port()));
    assert_eq!(payload, udp.payload());
}
