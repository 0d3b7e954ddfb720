//! What frames tell by themselves: how many, where from, tagged or not, cut, padded, for whom.

use nightjar_capture::RawFrame;
use nightjar_wire::{Frame, FrameError, LinkType, Transport};

/// An interface's own MAC address.
pub type Mac = [u8; 6];

/// Bytes of an Ethernet header without tags.
const HEADER: usize = 14;
/// A frame is padded to 60 bytes before it leaves. One that is padded and shorter has lost a tag of
/// 4 bytes, or two, behind the padding.
const LOST_ONE_TAG: usize = 56;
const LOST_TWO_TAGS: usize = 52;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
/// An ARP packet for IPv4 over Ethernet (RFC 826).
const ARP_BYTES: usize = 28;

/// Counts of frames.
#[derive(Debug)]
pub struct Frames {
    /// All, by interface.
    pub by_interface: Vec<u64>,
    /// Those that hold fewer bytes than the capture says were on the wire.
    pub cut_by_capture: u64,
    /// Those that came whole and are shorter than their IP or UDP header says.
    pub cut_by_mirror: u64,
    /// Those with a VLAN tag.
    pub tagged: u64,
    /// Those that are padded to less than 60 bytes.
    pub tag_lost: u64,
    /// Ethernet frames to a group or to all.
    pub to_groups: u64,
    /// Ethernet frames from or to the interface itself.
    pub own: u64,
    /// Ethernet frames from others to others: what a mirror is for.
    pub of_others: u64,
    /// Addresses of the interfaces, where they are known.
    macs: Vec<Option<Mac>>,
}

impl Frames {
    /// For interfaces with these addresses.
    pub fn new(macs: Vec<Option<Mac>>) -> Frames {
        Frames {
            by_interface: vec![0; macs.len()],
            cut_by_capture: 0,
            cut_by_mirror: 0,
            tagged: 0,
            tag_lost: 0,
            to_groups: 0,
            own: 0,
            of_others: 0,
            macs,
        }
    }

    /// All frames.
    pub fn total(&self) -> u64 {
        self.by_interface.iter().sum()
    }

    /// Counts a frame, before it is decoded.
    pub fn count(&mut self, frame: &RawFrame<'_>) {
        let interface = usize::from(frame.interface);
        if interface >= self.by_interface.len() {
            self.by_interface.resize(interface + 1, 0);
        }
        self.by_interface[interface] += 1;
        self.cut_by_capture += u64::from(frame.bytes.len() < frame.original_len as usize);
        if frame.link != LinkType::Ethernet || frame.bytes.len() < HEADER {
            return;
        }
        let (to, from) = (&frame.bytes[..6], &frame.bytes[6..12]);
        let own = self.macs.get(interface).copied().flatten();
        if to[0] & 1 != 0 {
            self.to_groups += 1;
        } else if own.is_some_and(|own| to == own || from == own) {
            self.own += 1;
        } else {
            self.of_others += 1;
        }
        self.tag_lost += u64::from(has_lost_a_tag(frame));
    }

    /// Counts what decoding has shown.
    pub fn count_decoded(&mut self, frame: &RawFrame<'_>, decoded: &Result<Frame<'_>, FrameError>) {
        let cut = match decoded {
            Ok(decoded) => {
                self.tagged += u64::from(decoded.vlan.is_some());
                matches!(decoded.transport, Transport::Udp { truncated: true, .. })
            }
            Err(error) => *error == FrameError::Truncated,
        };
        self.cut_by_mirror += u64::from(cut && frame.bytes.len() == frame.original_len as usize);
    }
}

/// Whether an untagged frame is padded to a length that only a removed tag explains.
fn has_lost_a_tag(frame: &RawFrame<'_>) -> bool {
    let bytes = frame.bytes;
    if bytes.len() != frame.original_len as usize || !matches!(bytes.len(), LOST_ONE_TAG | LOST_TWO_TAGS) {
        return false;
    }
    let needed = match [bytes[12], bytes[13]] {
        ETHERTYPE_IPV4 => usize::from(u16::from_be_bytes([bytes[16], bytes[17]])),
        ETHERTYPE_ARP => ARP_BYTES,
        _ => return false,
    };
    (1..bytes.len() - HEADER).contains(&needed)
}
