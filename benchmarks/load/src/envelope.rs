//! Tunnels around frames, as switches and hosts send mirrors through them: VXLAN, GRE, ERSPAN.

use etherparse::{IpNumber, PacketBuilder};

use crate::flow::ETHERNET_LEN;

/// The tunnel's ends: a switch and the sensor's host.
const ENDS: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [192, 0, 2, 2]);
const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]);
const GRE: u8 = 47;

/// A tunnel that a frame is put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// VXLAN (RFC 7348) to this UDP port.
    Vxlan {
        /// The receiver's port; IANA's is 4789.
        port: u16,
        /// The network identifier, 24 bits.
        vni: u32,
    },
    /// GRE with the whole frame in it (transparent Ethernet bridging), and what it may have in its header.
    GreEthernet(GreOptions),
    /// GRE with the frame's IP datagram in it (RFC 2784).
    GreIp(GreOptions),
    /// ERSPAN type I: no header of its own.
    Erspan1,
    /// ERSPAN type II.
    Erspan2 {
        /// The session, 10 bits.
        session: u16,
        /// The VLAN that the frame was in.
        vlan: u16,
    },
    /// ERSPAN type III.
    Erspan3 {
        /// The session, 10 bits.
        session: u16,
        /// The VLAN that the frame was in.
        vlan: u16,
        /// With the platform's own 8 bytes.
        platform: bool,
    },
}

/// What a GRE header holds besides the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GreOptions {
    /// A checksum over all (RFC 2784, 2.5).
    pub checksum: bool,
    /// A key (RFC 2890, 2.1).
    pub key: Option<u32>,
    /// A sequence number (RFC 2890, 2.2).
    pub sequence: Option<u32>,
}

impl Envelope {
    /// The Ethernet frame that carries an Ethernet frame.
    ///
    /// # Panics
    /// When the frame is too long for an IP datagram.
    pub fn wrap(&self, frame: &[u8]) -> Vec<u8> {
        let ip = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4(ENDS.0, ENDS.1, 64);
        let mut bytes = Vec::with_capacity(frame.len() + 64);
        if let Envelope::Vxlan { port, vni } = self {
            let payload = [&[8, 0, 0, 0][..], &vni.to_be_bytes()[1..], &[0], frame].concat();
            let udp = ip.udp(49_152 + u16::from(frame[frame.len() / 2]), *port);
            udp.write(&mut bytes, &payload).expect("a frame fits into a datagram");
        } else {
            let written = ip.write(&mut bytes, IpNumber(GRE), &self.gre(frame));
            written.expect("a frame fits into a datagram");
        }
        bytes
    }

    /// As [`Envelope::wrap`], in IP fragments of at most `most` bytes of payload, a multiple of 8; `id`
    /// is their identification.
    ///
    /// # Panics
    /// As [`Envelope::wrap`].
    pub fn wrap_in_pieces(&self, frame: &[u8], most: usize, id: u16) -> Vec<Vec<u8>> {
        let whole = self.wrap(frame);
        let (header, payload) = whole.split_at(ETHERNET_LEN + 20);
        let mut pieces = Vec::new();
        for (number, part) in payload.chunks(most).enumerate() {
            let more = if (number + 1) * most < payload.len() { 0x2000 } else { 0 };
            let mut piece = [header, part].concat();
            let length = (20 + part.len()) as u16;
            let place = more | (number * most / 8) as u16;
            let ip = &mut piece[ETHERNET_LEN..][..20];
            ip[2..4].copy_from_slice(&length.to_be_bytes());
            ip[4..6].copy_from_slice(&id.to_be_bytes());
            ip[6..8].copy_from_slice(&place.to_be_bytes());
            ip[10..12].fill(0);
            let sum = internet_checksum(ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            pieces.push(piece);
        }
        pieces
    }

    /// GRE's header and all that follows it.
    fn gre(&self, frame: &[u8]) -> Vec<u8> {
        let sequenced = GreOptions { sequence: Some(7), ..GreOptions::default() };
        match *self {
            Envelope::Vxlan { .. } => unreachable!("VXLAN is no GRE"),
            Envelope::GreEthernet(options) => options.header(0x6558, frame),
            Envelope::GreIp(options) => {
                let protocol = u16::from_be_bytes([frame[12], frame[13]]);
                options.header(protocol, &frame[ETHERNET_LEN..])
            }
            Envelope::Erspan1 => GreOptions::default().header(0x88be, frame),
            Envelope::Erspan2 { session, vlan } => {
                let header = [&erspan_words(1, session, vlan)[..], &[0, 0, 0, 1]].concat();
                sequenced.header(0x88be, &[&header[..], frame].concat())
            }
            Envelope::Erspan3 { session, vlan, platform } => {
                // Time stamp, group tag, then: a frame of Ethernet, granularity, whether more follows.
                let rest = [0, 0, 0, 9, 0, 0, 0x80, u8::from(platform)];
                let own: &[u8] = if platform { &[0x0c, 0, 0, 1, 0, 0, 0, 2] } else { &[] };
                let header = [&erspan_words(2, session, vlan)[..], &rest, own].concat();
                sequenced.header(0x22eb, &[&header[..], frame].concat())
            }
        }
    }
}

/// The first four bytes of ERSPAN's header: version, VLAN, a tag that was taken out, session.
fn erspan_words(version: u16, session: u16, vlan: u16) -> [u8; 4] {
    let [a, b] = (version << 12 | vlan & 0x0fff).to_be_bytes();
    let [c, d] = (0x1000 | session & 0x03ff).to_be_bytes();
    [a, b, c, d]
}

impl GreOptions {
    fn header(self, protocol: u16, carried: &[u8]) -> Vec<u8> {
        let bit = |there: bool, bit: u16| if there { bit } else { 0 };
        let flags = bit(self.checksum, 0x8000)
            | bit(self.key.is_some(), 0x2000)
            | bit(self.sequence.is_some(), 0x1000);
        let mut bytes = [flags.to_be_bytes(), protocol.to_be_bytes()].concat();
        if self.checksum {
            bytes.extend_from_slice(&[0; 4]);
        }
        for word in [self.key, self.sequence].into_iter().flatten() {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(carried);
        if self.checksum {
            let sum = internet_checksum(&bytes);
            bytes[4..6].copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }
}

/// RFC 1071.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
