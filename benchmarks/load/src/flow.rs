//! From datagrams to Ethernet frames: a header template per flow, patched per packet (lengths,
//! IPv4 identification, checksums); large datagrams leave in fragments.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;

/// Largest IP datagram that is not fragmented.
const MTU: usize = 1500;
pub(crate) const ETHERNET_LEN: usize = 14;
const UDP_LEN: usize = 8;

/// The IPv4 identifications of every host seen, each counting by one as a simple stack's does.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    index: BTreeMap<IpAddr, usize>,
    next_ids: Vec<u16>,
}

/// A host in [`Hosts`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostId(usize);

impl Hosts {
    /// The host of an address; its first identification follows from the address.
    pub fn intern(&mut self, addr: IpAddr) -> HostId {
        let next_ids = &mut self.next_ids;
        HostId(*self.index.entry(addr).or_insert_with(|| {
            let mac = mac_of(addr);
            next_ids.push(u16::from_be_bytes([mac[4].wrapping_mul(37), mac[5].wrapping_mul(101)]));
            next_ids.len() - 1
        }))
    }

    fn next_id(&mut self, host: HostId) -> u16 {
        let id = &mut self.next_ids[host.0];
        *id = id.wrapping_add(1);
        *id
    }
}

/// A locally administered MAC made of an address's last four bytes.
pub(crate) fn mac_of(addr: IpAddr) -> [u8; 6] {
    let tail: [u8; 4] = match addr {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            [octets[12], octets[13], octets[14], octets[15]]
        }
    };
    [0x02, 0x4e, tail[0], tail[1], tail[2], tail[3]]
}

/// One direction between two sockets: everything of a frame that does not change.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    template: Vec<u8>,
    udp_at: usize,
    v6: bool,
    /// One's-complement sum of the pseudo header without the length.
    pseudo_sum: u64,
    /// The same of the IPv4 header without length, identification and fragment bits.
    ip_sum: u64,
    host: HostId,
}

/// A router between host and tap has taken two off the usual 64.
const TTL: u8 = 62;

impl Flow {
    /// The flow from `src` to `dst`, which are of one family.
    ///
    /// # Panics
    /// When the families differ: a plan that cannot be sent.
    pub fn new(hosts: &mut Hosts, src: SocketAddr, dst: SocketAddr) -> Flow {
        let ethernet = PacketBuilder::ethernet2(mac_of(src.ip()), mac_of(dst.ip()));
        let ip = match (src.ip(), dst.ip()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => ethernet.ipv4(a.octets(), b.octets(), TTL),
            (IpAddr::V6(a), IpAddr::V6(b)) => ethernet.ipv6(a.octets(), b.octets(), TTL),
            _ => panic!("a flow from one address family into another"),
        };
        let mut template = Vec::with_capacity(64);
        ip.udp(src.port(), dst.port()).write(&mut template, &[]).expect("a Vec takes every byte");
        let v6 = src.is_ipv6();
        let udp_at = template.len() - UDP_LEN;
        let addresses = if v6 { ETHERNET_LEN + 8..udp_at } else { ETHERNET_LEN + 12..udp_at };
        let pseudo_sum = sum(&template[addresses]) + 17;
        let ip_sum = if v6 { 0 } else { static_ip_sum(&mut template) };
        Flow { template, udp_at, v6, pseudo_sum, ip_sum, host: hosts.intern(src.ip()) }
    }

    /// Starts a frame in `out`: the headers, after which the caller appends the payload and calls
    /// [`Flow::finish`].
    pub fn begin(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.template);
    }

    /// Fills in lengths, identification and checksums of the frame in `out`.
    pub fn finish(&self, hosts: &mut Hosts, out: &mut [u8]) {
        let id = hosts.next_id(self.host);
        let ip_len = out.len() - ETHERNET_LEN;
        self.finish_udp(out);
        if self.v6 {
            put16(out, ETHERNET_LEN + 4, (ip_len - 40) as u16);
        } else {
            self.finish_ipv4(out, id, 0x4000);
        }
    }

    fn finish_udp(&self, out: &mut [u8]) {
        let length = (out.len() - self.udp_at) as u16;
        put16(out, self.udp_at + 4, length);
        put16(out, self.udp_at + 6, 0);
        let checksum = !fold(self.pseudo_sum + u64::from(length) + sum(&out[self.udp_at..]));
        put16(out, self.udp_at + 6, if checksum == 0 { 0xffff } else { checksum });
    }

    fn finish_ipv4(&self, out: &mut [u8], id: u16, fragment_bits: u16) {
        let total = (out.len() - ETHERNET_LEN) as u16;
        put16(out, ETHERNET_LEN + 2, total);
        put16(out, ETHERNET_LEN + 4, id);
        put16(out, ETHERNET_LEN + 6, fragment_bits);
        let checksum = !fold(self.ip_sum + u64::from(total) + u64::from(id) + u64::from(fragment_bits));
        put16(out, ETHERNET_LEN + 10, checksum);
    }

    /// The frames of a datagram: one, or as many fragments as the MTU asks for.
    pub fn datagram(&self, hosts: &mut Hosts, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::with_capacity(self.template.len() + payload.len());
        self.begin(&mut whole);
        whole.extend_from_slice(payload);
        if whole.len() - ETHERNET_LEN <= MTU {
            self.finish(hosts, &mut whole);
            return vec![whole];
        }
        self.finish_udp(&mut whole);
        let id = hosts.next_id(self.host);
        let headers = self.udp_at;
        let room = (MTU - (headers - ETHERNET_LEN) - if self.v6 { 8 } else { 0 }) & !7;
        let body = whole[headers..].to_vec();
        let pieces = body.chunks(room).enumerate();
        let last = body.len().div_ceil(room) - 1;
        pieces.map(|(n, piece)| self.fragment(id, n * room, n < last, piece)).collect()
    }

    /// One fragment (RFC 791, 3.2; RFC 8200, 4.5).
    fn fragment(&self, id: u16, offset: usize, more: bool, piece: &[u8]) -> Vec<u8> {
        let mut frame = self.template[..self.udp_at].to_vec();
        if self.v6 {
            let field = offset as u16 | u16::from(more);
            frame[ETHERNET_LEN + 6] = 44;
            frame.extend_from_slice(&[17, 0]);
            frame.extend_from_slice(&field.to_be_bytes());
            frame.extend_from_slice(&u32::from(id).to_be_bytes());
            frame.extend_from_slice(piece);
            let length = (frame.len() - ETHERNET_LEN - 40) as u16;
            put16(&mut frame, ETHERNET_LEN + 4, length);
        } else {
            frame.extend_from_slice(piece);
            self.finish_ipv4(&mut frame, id, (offset / 8) as u16 | if more { 0x2000 } else { 0 });
        }
        frame
    }
}

/// Zeroes the parts of the IPv4 header that change and sums the rest.
fn static_ip_sum(template: &mut [u8]) -> u64 {
    let ip = &mut template[ETHERNET_LEN..ETHERNET_LEN + 20];
    ip[2..8].fill(0);
    ip[10..12].fill(0);
    sum(ip)
}

/// Lowers the time to live of an Ethernet frame by one hop, as a router between two taps does.
pub(crate) fn take_one_hop(frame: &mut [u8]) {
    if frame[ETHERNET_LEN] >> 4 == 6 {
        frame[ETHERNET_LEN + 7] -= 1;
        return;
    }
    frame[ETHERNET_LEN + 8] -= 1;
    put16(frame, ETHERNET_LEN + 10, 0);
    let checksum = !fold(sum(&frame[ETHERNET_LEN..ETHERNET_LEN + 20]));
    put16(frame, ETHERNET_LEN + 10, checksum);
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Sum of big-endian 16-bit words (RFC 1071), an odd last byte padded with zero. Summed as 32-bit
/// words, which folds to the same.
fn sum(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(4);
    let mut total: u64 =
        chunks.by_ref().map(|c| u64::from(u32::from_be_bytes([c[0], c[1], c[2], c[3]]))).sum();
    let rest = chunks.remainder();
    let mut last = [0u8; 4];
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_be_bytes(last));
    total
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{IpHeaders, NetHeaders, PacketHeaders, TransportHeader};

    fn flows() -> [(SocketAddr, SocketAddr); 2] {
        [
            ("198.18.0.1:4000".parse().unwrap(), "198.19.0.1:5000".parse().unwrap()),
            ("[2001:db8::1]:4000".parse().unwrap(), "[2001:db8::2]:5000".parse().unwrap()),
        ]
    }

    #[test]
    fn checksums_are_those_of_another_implementation() {
        for (src, dst) in flows() {
            for len in [0, 1, 2, 3, 160, 161, 1000] {
                let mut hosts = Hosts::default();
                let payload: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                let frames = Flow::new(&mut hosts, src, dst).datagram(&mut hosts, &payload);
                let [frame] = frames.as_slice() else { panic!("{} frames", frames.len()) };
                let parsed = PacketHeaders::from_ethernet_slice(frame).unwrap();
                let Some(TransportHeader::Udp(udp)) = parsed.transport else { panic!("no UDP") };
                let expected = match parsed.net.unwrap() {
                    NetHeaders::Ipv4(ip, _) => {
                        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                        udp.calc_checksum_ipv4(&ip, &payload).unwrap()
                    }
                    NetHeaders::Ipv6(ip, _) => udp.calc_checksum_ipv6(&ip, &payload).unwrap(),
                    NetHeaders::Arp(_) => panic!("ARP"),
                };
                assert_eq!(udp.checksum, expected, "{len} bytes");
                assert_eq!(parsed.payload.slice(), payload);
            }
        }
    }

    #[test]
    fn fragments_hold_the_whole_datagram() {
        for (src, dst) in flows() {
            let mut hosts = Hosts::default();
            let payload: Vec<u8> = (0..4000u32).map(|n| (n % 251) as u8).collect();
            let frames = Flow::new(&mut hosts, src, dst).datagram(&mut hosts, &payload);
            assert_eq!(frames.len(), 3);
            let mut body = Vec::new();
            for frame in &frames {
                assert!(frame.len() <= MTU + ETHERNET_LEN);
                let (headers, next, rest) = IpHeaders::from_slice(&frame[ETHERNET_LEN..]).map(split).unwrap();
                assert!(headers.is_fragmenting_payload());
                assert_eq!(next, 17);
                body.extend_from_slice(&rest);
            }
            assert_eq!(&body[8..], payload);
        }
    }

    fn split(parsed: (IpHeaders, etherparse::IpPayloadSlice<'_>)) -> (IpHeaders, u8, Vec<u8>) {
        let (headers, payload) = parsed;
        (headers, payload.ip_number.0, payload.payload.to_vec())
    }

    #[test]
    fn identifications_count_per_host() {
        let [(src, dst), _] = flows();
        let mut hosts = Hosts::default();
        let (there, back) = (Flow::new(&mut hosts, src, dst), Flow::new(&mut hosts, dst, src));
        let id = |frame: &[Vec<u8>]| u16::from_be_bytes([frame[0][18], frame[0][19]]);
        let first = id(&there.datagram(&mut hosts, b"a"));
        back.datagram(&mut hosts, b"b");
        assert_eq!(id(&there.datagram(&mut hosts, b"c")), first.wrapping_add(1));
    }

    #[test]
    fn a_hop_leaves_a_valid_header() {
        let [(src, dst), _] = flows();
        let mut hosts = Hosts::default();
        let mut frame = Flow::new(&mut hosts, src, dst).datagram(&mut hosts, b"x").remove(0);
        take_one_hop(&mut frame);
        let (ip, _) = etherparse::Ipv4Header::from_slice(&frame[ETHERNET_LEN..]).unwrap();
        assert_eq!((ip.time_to_live, ip.header_checksum), (TTL - 1, ip.calc_header_checksum()));
    }
}
