//! Dresses Ethernet frames for a capture: VLAN tags, tunnels, and the other link layers a file may have.

use nightjar_wire::LinkType;

use crate::envelope::Envelope;
use crate::flow::ETHERNET_LEN;

/// How every frame of a capture is dressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkOptions {
    /// The link layer.
    pub link: LinkType,
    /// VLAN ids from the outermost in; two make QinQ (802.1ad outside, 802.1Q inside).
    pub vlans: Vec<u16>,
    /// Tunnels around the tagged frame, from the innermost out.
    pub envelopes: Vec<Envelope>,
}

impl Default for LinkOptions {
    /// Untagged Ethernet.
    fn default() -> LinkOptions {
        LinkOptions { link: LinkType::Ethernet, vlans: Vec::new(), envelopes: Vec::new() }
    }
}

impl LinkOptions {
    /// Turns an untagged Ethernet frame into what the capture holds, in place.
    pub fn dress(&self, frame: &mut Vec<u8>) {
        add_tags(&self.vlans, frame);
        for envelope in &self.envelopes {
            *frame = envelope.wrap(frame);
        }
        change_link(self.link, frame);
    }
}

impl LinkOptions {
    /// Every link layer, and tags on those that can carry them; untagged Ethernet first.
    pub fn every() -> impl Iterator<Item = LinkOptions> {
        let every: [(LinkType, &[u16]); 8] = [
            (LinkType::Ethernet, &[]),
            (LinkType::Ethernet, &[12]),
            (LinkType::Ethernet, &[300, 12]),
            (LinkType::LinuxSll, &[]),
            (LinkType::LinuxSll, &[12]),
            (LinkType::LinuxSll2, &[]),
            (LinkType::RawIp, &[]),
            (LinkType::Null, &[]),
        ];
        every.into_iter().map(|(link, vlans)| LinkOptions {
            link,
            vlans: vlans.to_vec(),
            ..LinkOptions::default()
        })
    }
}

/// The LINKTYPE number that a file's header carries.
pub(crate) fn link_number(link: LinkType) -> u32 {
    match link {
        LinkType::Ethernet => 1,
        LinkType::LinuxSll => 113,
        LinkType::LinuxSll2 => 276,
        LinkType::RawIp => 101,
        LinkType::Null => 0,
    }
}

/// Whether a link layer without an ethertype of its own can carry the frame: raw IP and loopback
/// carry IP alone, cut headers included.
pub(crate) fn can_carry(link: LinkType, ethernet: &[u8]) -> bool {
    match link {
        LinkType::Ethernet | LinkType::LinuxSll | LinkType::LinuxSll2 => true,
        LinkType::RawIp | LinkType::Null => {
            let ip_at = ETHERNET_LEN + 4 * tags(ethernet);
            matches!(be16(ethernet, ip_at - 2), 0x0800 | 0x86dd) && ethernet.len() > ip_at
        }
    }
}

/// Puts another link header in Ethernet's place.
fn change_link(link: LinkType, frame: &mut Vec<u8>) {
    let (source, ethertype) =
        ([frame[6], frame[7], frame[8], frame[9], frame[10], frame[11]], ethertype(frame));
    let header: Vec<u8> = match link {
        LinkType::Ethernet => return,
        LinkType::LinuxSll => sll(source, ethertype),
        LinkType::LinuxSll2 => sll2(source, ethertype),
        LinkType::RawIp => Vec::new(),
        LinkType::Null => {
            let family: u32 = if frame[ETHERNET_LEN] >> 4 == 6 { 30 } else { 2 };
            family.to_le_bytes().to_vec()
        }
    };
    let keep_from = match link {
        LinkType::RawIp | LinkType::Null => ETHERNET_LEN + 4 * tags(frame),
        _ => ETHERNET_LEN,
    };
    frame.splice(..keep_from, header);
}

/// Adds VLAN tags behind the MACs, the outermost of several as a service tag.
pub(crate) fn add_tags(vlans: &[u16], frame: &mut Vec<u8>) {
    for (index, vlan) in vlans.iter().enumerate().rev() {
        let kind: u16 = if index == 0 && vlans.len() > 1 { 0x88a8 } else { 0x8100 };
        let [a, b] = kind.to_be_bytes();
        let [c, d] = (vlan & 0x0fff).to_be_bytes();
        frame.splice(12..12, [a, b, c, d]);
    }
}

fn tags(frame: &[u8]) -> usize {
    (0..4).take_while(|n| matches!(be16(frame, 12 + 4 * n), 0x8100 | 0x88a8)).count()
}

fn ethertype(frame: &[u8]) -> u16 {
    be16(frame, 12)
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// Linux cooked v1: packet type, ARPHRD, address, protocol.
fn sll(source: [u8; 6], ethertype: u16) -> Vec<u8> {
    let mut header = vec![0, 0, 0, 1, 0, 6];
    header.extend_from_slice(&source);
    header.extend_from_slice(&[0, 0]);
    header.extend_from_slice(&ethertype.to_be_bytes());
    header
}

/// Linux cooked v2: protocol, interface 2, ARPHRD, packet type, address.
fn sll2(source: [u8; 6], ethertype: u16) -> Vec<u8> {
    let mut header = ethertype.to_be_bytes().to_vec();
    header.extend_from_slice(&[0, 0, 0, 0, 0, 2, 0, 1, 0, 6]);
    header.extend_from_slice(&source);
    header.extend_from_slice(&[0, 0]);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Flow, Hosts};
    use nightjar_wire::{Transport, decode_frame};

    #[test]
    fn every_dress_decodes_to_the_same_datagram() {
        let mut hosts = Hosts::default();
        let flow =
            Flow::new(&mut hosts, "198.18.0.1:4000".parse().unwrap(), "198.19.0.1:5000".parse().unwrap());
        let bare = flow.datagram(&mut hosts, b"payload").remove(0);
        let links =
            [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::RawIp, LinkType::Null];
        for link in links {
            for vlans in [vec![], vec![7], vec![100, 7]] {
                let mut frame = bare.clone();
                LinkOptions { link, vlans: vlans.clone(), envelopes: Vec::new() }.dress(&mut frame);
                let decoded = decode_frame(link, &frame).unwrap();
                let Transport::Udp { payload, .. } = decoded.transport else { panic!("{link:?} {vlans:?}") };
                assert_eq!(payload, b"payload");
                if !matches!(link, LinkType::RawIp | LinkType::Null) {
                    assert_eq!(decoded.vlan, vlans.first().copied());
                }
            }
        }
    }
}
