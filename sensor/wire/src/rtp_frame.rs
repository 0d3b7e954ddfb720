//! RTP in the commonest of frames (Ethernet with or without VLAN tags, IPv4 without options, UDP, whole),
//! read at once. What it does not know is [`crate::decode_frame`]'s, which says the same of what it knows.

use core::net::Ipv4Addr;

use crate::{MediaClass, RtpView, classify};

/// Bytes of the headers of IPv4, UDP and RTP.
const HEADERS: usize = 20 + 8 + RtpView::HEADER_LEN;
/// Where UDP begins behind IPv4.
const UDP: usize = 20;
/// Where RTP begins behind UDP's ports.
const RTP: usize = UDP + 8;

/// What is read of such a frame.
#[derive(Clone, Copy)]
pub struct RtpFrame<'a> {
    /// Outermost VLAN id, if tagged.
    pub vlan: Option<u16>,
    /// Sender.
    pub src: Ipv4Addr,
    /// Receiver.
    pub dst: Ipv4Addr,
    /// Sender's port.
    pub src_port: u16,
    /// Receiver's port.
    pub dst_port: u16,
    /// The synchronisation source.
    pub ssrc: u32,
    /// IPv4's identification.
    pub ip_id: u16,
    /// The datagram from the RTP header on, as far as it was captured.
    pub datagram: &'a [u8],
    /// The capture holds fewer bytes than the UDP header promises.
    pub truncated: bool,
}

impl<'a> RtpFrame<'a> {
    /// Reads an Ethernet frame; `None` when it is none of those, or damaged.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Option<RtpFrame<'a>> {
        let (mut start, mut vlan) = (14, None);
        let mut ethertype: &[u8; 2] = bytes.get(12..)?.first_chunk()?;
        // As many tags as the decoder knows.
        for _ in 0..4 {
            if !matches!(ethertype, [0x81, 0] | [0x88, 0xa8] | [0x91, 0]) {
                break;
            }
            let tag: &[u8; 4] = bytes.get(start..)?.first_chunk()?;
            vlan = vlan.or(Some(u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff));
            ethertype = tag.last_chunk()?;
            start += 4;
        }
        let ip = bytes.get(start..)?;
        let header: &[u8; HEADERS] = ip.first_chunk()?;
        let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let is_whole_udp = half(6) & 0x3fff == 0 && header[9] == 17;
        if *ethertype != [8, 0] || header[0] != 0x45 || !is_whole_udp {
            return None;
        }
        let (total, udp) = (usize::from(half(2)), usize::from(half(UDP + 4)));
        // The lengths that stand for others (0), and those that contradict themselves.
        if total < HEADERS || udp < 8 {
            return None;
        }
        let captured = ip.len().min(total) - RTP;
        let promised = udp - 8;
        let datagram = &ip[RTP..RTP + captured.min(promised)];
        // With VXLAN's flag it may be a tunnel: whether it is goes by its port. RTP of eight sources and more has it, too.
        let may_be_vxlan = datagram.first().is_some_and(|first| first & 0x08 != 0);
        (!may_be_vxlan && classify(datagram) == MediaClass::Rtp).then(|| RtpFrame {
            vlan,
            src: Ipv4Addr::from_bits(word(12)),
            dst: Ipv4Addr::from_bits(word(16)),
            src_port: half(UDP),
            dst_port: half(UDP + 2),
            ssrc: word(RTP + 8),
            ip_id: half(4),
            datagram,
            truncated: captured < promised,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::net::IpAddr;

    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::{Frame, LinkType, Transport, decode_frame};

    /// A frame of some RTP, with so many VLAN tags.
    fn frame(tags: usize, payload: usize) -> Vec<u8> {
        let mut rtp = [0xd5; 12 + 200];
        rtp[..2].copy_from_slice(&[0x80, 8]);
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 9, 8, 7], 64);
        let mut bytes = Vec::new();
        builder.udp(4_000, 6_000).write(&mut bytes, &rtp[..12 + payload]).unwrap();
        for _ in 0..tags {
            bytes.splice(12..12, [0x81, 0, 0, 5]);
        }
        bytes
    }

    /// VLAN, addresses, ports, identification, datagram, whether it is cut.
    type Read = (Option<u16>, [IpAddr; 2], [u16; 2], Option<u16>, Vec<u8>, bool);

    /// What the decoder says of the frame, if that is RTP.
    fn decoded(bytes: &[u8]) -> Option<Read> {
        let Frame { vlan, network, transport, .. } = decode_frame(LinkType::Ethernet, bytes).ok()?;
        let Transport::Udp { src_port, dst_port, payload, truncated } = transport else { return None };
        let (addrs, ports) = ([network.src, network.dst], [src_port, dst_port]);
        let is_rtp = classify(payload) == MediaClass::Rtp;
        is_rtp.then(|| (vlan, addrs, ports, network.id, payload.to_vec(), truncated))
    }

    fn read(bytes: &[u8]) -> Option<Read> {
        RtpFrame::read(bytes).map(|seen| {
            assert_eq!(seen.ssrc, RtpView::ssrc_of(seen.datagram));
            let (addrs, ports) = ([seen.src.into(), seen.dst.into()], [seen.src_port, seen.dst_port]);
            (seen.vlan, addrs, ports, Some(seen.ip_id), seen.datagram.to_vec(), seen.truncated)
        })
    }

    #[test]
    fn plain_and_tagged_frames_are_read() {
        for tags in 0..=4 {
            let bytes = frame(tags, 160);
            assert!(read(&bytes).is_some(), "{tags} tags");
            assert_eq!(read(&bytes), decoded(&bytes));
        }
        assert_eq!(read(&frame(5, 160)), None);
    }

    #[test]
    fn what_may_be_a_tunnel_is_the_decoders() {
        let mut bytes = frame(0, 160);
        let (udp, rtp) = (14 + UDP, 14 + RTP);
        bytes[udp + 2..udp + 4].copy_from_slice(&4789_u16.to_be_bytes());
        assert!(read(&bytes).is_some());
        bytes[rtp] |= 0x08;
        assert_eq!(read(&bytes), None);
    }

    proptest! {
        /// Whatever is read of a damaged frame, the decoder says the same of it.
        #[test]
        fn the_decoder_says_the_same(
            tags in 0usize..4,
            payload in 0usize..40,
            padding in 0usize..30,
            cut in 0usize..90,
            changes in prop::collection::vec((0usize..60, any::<u8>()), 0..3),
        ) {
            let mut bytes = frame(tags, payload);
            bytes.resize(bytes.len() + padding, 0);
            bytes.truncate(bytes.len().max(cut) - cut / 3);
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            if let Some(seen) = read(&bytes) {
                prop_assert_eq!(Some(seen), decoded(&bytes));
            }
        }
    }
}
