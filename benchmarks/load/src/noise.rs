//! Traffic that is no call's: what else a mirror port carries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use nightjar_wire::Nanos;

use crate::flow::{ETHERNET_LEN, Flow, Hosts};
use crate::frame::{Frame, FrameClass};
use crate::random::Random;

/// Noise between two moments of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoisePlan {
    /// From the scenario's start.
    pub from: Nanos,
    /// Until.
    pub until: Nanos,
    /// Mean time between two frames.
    pub every: Nanos,
}

/// The kinds of noise, drawn evenly.
const KINDS: [FrameClass; 7] = [
    FrameClass::NotIp,
    FrameClass::Tcp,
    FrameClass::OtherTransport,
    FrameClass::UdpOther,
    FrameClass::UnexplainedRtp,
    FrameClass::MalformedIp,
    FrameClass::Truncated,
];

/// Noise being sent.
#[derive(Debug)]
pub(crate) struct Noise {
    plan: NoisePlan,
    random: Random,
    next_at: Nanos,
}

impl Noise {
    /// The noise of a scenario that starts at `start`.
    pub fn new(plan: NoisePlan, start: Nanos, random: Random) -> Noise {
        let plan = NoisePlan { from: start + plan.from, until: start + plan.until, ..plan };
        Noise { plan, random, next_at: plan.from }
    }

    /// When the next frame is due.
    pub fn next_at(&self) -> Option<Nanos> {
        (self.next_at < self.plan.until).then_some(self.next_at)
    }

    /// Ends it.
    pub fn stop(&mut self, at: Nanos) {
        self.plan.until = self.plan.until.min(at);
    }

    /// The next frame.
    pub fn send(&mut self, hosts: &mut Hosts, out: &mut Frame) {
        out.at = self.next_at;
        out.call = None;
        out.class = KINDS[self.random.below(KINDS.len() as u64) as usize];
        out.bytes = match out.class {
            FrameClass::NotIp => self.arp(),
            FrameClass::Tcp => self.tcp(),
            FrameClass::OtherTransport => self.icmp(),
            FrameClass::UnexplainedRtp => self.rtp(hosts),
            FrameClass::MalformedIp => self.malformed(hosts),
            _ => self.name_query(hosts),
        };
        out.original_len = out.bytes.len() as u32;
        if out.class == FrameClass::Truncated {
            let cut = self.random.between(1, 27) as usize;
            out.bytes.truncate(ETHERNET_LEN + cut);
        }
        let spacing = self.random.between(1, 2 * self.plan.every.0);
        self.next_at = self.next_at + Nanos(spacing);
    }

    fn host(&mut self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, self.random.between(1, 250) as u8)
    }

    fn mac(host: Ipv4Addr) -> [u8; 6] {
        crate::flow::mac_of(IpAddr::V4(host))
    }

    fn arp(&mut self) -> Vec<u8> {
        let (asks, asked) = (self.host(), self.host());
        let packet = ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            ArpOperation::REQUEST,
            &Self::mac(asks),
            &asks.octets(),
            &[0; 6],
            &asked.octets(),
        );
        let packet = packet.expect("an ARP packet of the usual sizes");
        written(|out| PacketBuilder::ethernet2(Self::mac(asks), [0xff; 6]).arp(packet).write(out))
    }

    fn tcp(&mut self) -> Vec<u8> {
        let (src, dst) = (self.host(), self.host());
        let (port, sequence) = (self.random.between(20_000, 60_000) as u16, self.random.next_u32());
        let payload = vec![b'x'; self.random.below(900) as usize];
        written(|out| {
            PacketBuilder::ethernet2(Self::mac(src), Self::mac(dst))
                .ipv4(src.octets(), dst.octets(), 64)
                .tcp(port, 443, sequence, 4096)
                .write(out, &payload)
        })
    }

    fn icmp(&mut self) -> Vec<u8> {
        let (src, dst) = (self.host(), self.host());
        let sequence = self.random.next_u16();
        written(|out| {
            PacketBuilder::ethernet2(Self::mac(src), Self::mac(dst))
                .ipv4(src.octets(), dst.octets(), 64)
                .icmpv4_echo_request(1, sequence)
                .write(out, &[0; 32])
        })
    }

    fn flow(&mut self, hosts: &mut Hosts, port: u16) -> Flow {
        let (src, dst) = (self.host(), self.host());
        let from = self.random.between(20_000, 60_000) as u16 & !1;
        Flow::new(hosts, SocketAddr::new(src.into(), from), SocketAddr::new(dst.into(), port))
    }

    /// A query for `www.example.test` (RFC 1035, 4.1).
    fn name_query(&mut self, hosts: &mut Hosts) -> Vec<u8> {
        // RFC 7983 leaves first bytes 4 to 15 to nobody, so that no id is taken for DTLS or TURN.
        let mut query = (self.random.next_u16() & 0x0bff | 0x0400).to_be_bytes().to_vec();
        query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        query.extend_from_slice(b"\x03www\x07example\x04test\x00\x00\x01\x00\x01");
        self.flow(hosts, 53).datagram(hosts, &query).remove(0)
    }

    /// One packet that looks like RTP, of a flow of its own.
    fn rtp(&mut self, hosts: &mut Hosts) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.random.next_u64().to_be_bytes());
        packet.extend_from_slice(&self.random.next_u16().to_be_bytes());
        packet.resize(172, 0xd5);
        let port = self.random.between(30_000, 40_000) as u16 & !1;
        self.flow(hosts, port).datagram(hosts, &packet).remove(0)
    }

    /// An IPv4 header whose length field is shorter than a header.
    fn malformed(&mut self, hosts: &mut Hosts) -> Vec<u8> {
        let mut frame = self.name_query(hosts);
        frame[ETHERNET_LEN] = 0x43;
        frame
    }
}

fn written<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame).expect("a Vec takes every byte");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightjar_wire::{
        FrameError, LinkType, MediaClass, Transport, classify, decode_frame, looks_like_sip,
    };

    #[test]
    fn each_kind_is_what_it_says() {
        let plan =
            NoisePlan { from: Nanos::ZERO, until: Nanos::from_secs(100), every: Nanos::from_millis(10) };
        let mut noise = Noise::new(plan, Nanos::ZERO, Random::new(5));
        let mut hosts = Hosts::default();
        let mut frame = Frame::empty();
        let mut seen = std::collections::BTreeSet::new();
        while noise.next_at().is_some() {
            noise.send(&mut hosts, &mut frame);
            seen.insert(frame.class);
            let decoded = decode_frame(LinkType::Ethernet, &frame.bytes).map(|frame| frame.transport);
            let as_said = match (frame.class, decoded) {
                (FrameClass::NotIp, Err(FrameError::NotIp))
                | (FrameClass::MalformedIp, Err(FrameError::Malformed))
                | (FrameClass::Truncated, Err(FrameError::Truncated))
                | (FrameClass::Tcp, Ok(Transport::Tcp { .. }))
                | (FrameClass::OtherTransport, Ok(Transport::Other(1))) => true,
                (FrameClass::UdpOther, Ok(Transport::Udp { payload, .. })) => {
                    !looks_like_sip(payload) && classify(payload) == MediaClass::Other
                }
                (FrameClass::UnexplainedRtp, Ok(Transport::Udp { payload, .. })) => {
                    classify(payload) == MediaClass::Rtp
                }
                _ => false,
            };
            assert!(as_said, "{:?}: {:02x?}", frame.class, frame.bytes);
        }
        assert_eq!(seen.len(), KINDS.len());
    }
}
