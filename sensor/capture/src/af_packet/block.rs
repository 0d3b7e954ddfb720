//! One block of a TPACKET_V3 ring: its header, its frames, and the VLAN tag that the kernel took out
//! of each, put back in place. Safe code over plain bytes (Documentation/networking/packet_mmap.rst).

use std::mem::offset_of;

use libc::{tpacket_block_desc, tpacket_hdr_v1, tpacket3_hdr};
use nightjar_wire::Nanos;

/// Bytes that a VLAN tag takes.
pub(super) const VLAN_TAG: usize = 4;
/// The two MAC addresses before a tag.
const ADDRESSES: usize = 12;
/// The tag protocol of 802.1Q, for kernels that do not say which it was.
const TPID_8021Q: u16 = 0x8100;

/// Bytes of a frame's header.
const HEADER_BYTES: usize = size_of::<tpacket3_hdr>();
const HEADER: usize = offset_of!(tpacket_block_desc, hdr);
const FRAMES: usize = HEADER + offset_of!(tpacket_hdr_v1, num_pkts);
const FIRST: usize = HEADER + offset_of!(tpacket_hdr_v1, offset_to_first_pkt);
/// Where the kernel says whose the block is.
pub(super) const STATUS: usize = HEADER + offset_of!(tpacket_hdr_v1, block_status);

/// A frame as the ring holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingFrame<'a> {
    /// The kernel's stamp, CLOCK_REALTIME.
    pub(super) realtime: Nanos,
    /// With its VLAN tag, if it had one.
    pub(super) bytes: &'a [u8],
    /// Length on the wire, tag included.
    pub(super) original_len: u32,
}

/// How far a block has been read. Ends at the first header that points out of the block, which a
/// sound kernel never writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the next frame's header is.
    at: usize,
    /// Frames from there on.
    left: u32,
}

impl Cursor {
    /// At the beginning of a block that the kernel has handed over.
    pub(super) fn start(block: &[u8]) -> Cursor {
        let word = |at| u32_at(block, at).unwrap_or(0);
        Cursor { at: word(FIRST) as usize, left: word(FRAMES) }
    }

    /// The kernel's stamp of the next frame; `None` at the end.
    #[inline]
    pub(super) fn stamp(self, block: &[u8]) -> Option<Nanos> {
        let header: &[u8; HEADER_BYTES] = block.get(self.at..)?.first_chunk()?;
        (self.left > 0).then(|| stamp_of(header))
    }

    /// Whether all frames have been taken.
    pub(super) fn is_at_end(self) -> bool {
        self.left == 0
    }

    /// The next frame, which the cursor then stands behind; `None` at the end.
    #[inline]
    pub(super) fn take<'a>(&mut self, block: &'a mut [u8]) -> Option<RingFrame<'a>> {
        let left = std::mem::take(&mut self.left);
        let slot = block.get_mut(self.at..).filter(|_| left > 0)?;
        let header: &[u8; HEADER_BYTES] = slot.first_chunk()?;
        let next = word(header, offset_of!(tpacket3_hdr, tp_next_offset)) as usize;
        let frame = frame(slot)?;
        // 0 marks the last frame.
        if next > 0 {
            *self = Cursor { at: self.at + next, left: left - 1 };
        }
        Some(frame)
    }
}

/// The frame whose header `slot` begins with.
#[inline]
fn frame(slot: &mut [u8]) -> Option<RingFrame<'_>> {
    let header: &[u8; HEADER_BYTES] = slot.first_chunk()?;
    let realtime = stamp_of(header);
    let captured = word(header, offset_of!(tpacket3_hdr, tp_snaplen)) as usize;
    let mut original_len = word(header, offset_of!(tpacket3_hdr, tp_len));
    let status = word(header, offset_of!(tpacket3_hdr, tp_status));
    let mut start = usize::from(half(header, offset_of!(tpacket3_hdr, tp_mac)));
    let end = start.checked_add(captured)?;
    if status & libc::TP_STATUS_VLAN_VALID != 0
        && captured >= ADDRESSES
        && start >= HEADER_BYTES + VLAN_TAG
        && end <= slot.len()
    {
        let tci = word(header, offset_of!(tpacket3_hdr, hv1.tp_vlan_tci)) as u16;
        let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let tpid = if known { half(header, offset_of!(tpacket3_hdr, hv1.tp_vlan_tpid)) } else { TPID_8021Q };
        restore_tag(&mut slot[start - VLAN_TAG..], tpid, tci);
        start -= VLAN_TAG;
        original_len = original_len.saturating_add(VLAN_TAG as u32);
    }
    Some(RingFrame { realtime, bytes: slot.get(start..end)?, original_len })
}

/// Moves the addresses, which begin a tag's length into `frame`, to its front and writes the tag
/// behind them (IEEE 802.1Q, 9.3).
fn restore_tag(frame: &mut [u8], tpid: u16, tci: u16) {
    frame.copy_within(VLAN_TAG..VLAN_TAG + ADDRESSES, 0);
    frame[ADDRESSES..ADDRESSES + 2].copy_from_slice(&tpid.to_be_bytes());
    frame[ADDRESSES + 2..ADDRESSES + 4].copy_from_slice(&tci.to_be_bytes());
}

#[inline]
fn stamp_of(header: &[u8; HEADER_BYTES]) -> Nanos {
    let secs = word(header, offset_of!(tpacket3_hdr, tp_sec));
    let nanos = word(header, offset_of!(tpacket3_hdr, tp_nsec));
    Nanos(u64::from(secs) * 1_000_000_000 + u64::from(nanos))
}

#[inline]
fn word(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[inline]
fn half(header: &[u8; HEADER_BYTES], at: usize) -> u16 {
    u16::from_ne_bytes([header[at], header[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where a frame begins behind its header, as the kernel places it.
    const MAC: usize = 86;

    /// A frame to put into a block: its bytes, length on the wire and tag (protocol, value).
    pub(crate) struct Put<'a>(pub &'a [u8], pub u32, pub Option<(u16, u16)>);

    /// Writes frames into a block as the kernel does; frame i is stamped i seconds and i ns.
    pub(crate) fn fill(block: &mut [u8], frames: &[Put<'_>]) {
        let put32 = |block: &mut [u8], at: usize, value: usize| {
            block[at..at + 4].copy_from_slice(&(value as u32).to_ne_bytes());
        };
        put32(block, FRAMES, frames.len());
        put32(block, FIRST, 48);
        let mut at = 48;
        for (number, Put(bytes, original_len, tag)) in frames.iter().enumerate() {
            let len = (MAC + bytes.len()).next_multiple_of(8);
            let next = if number + 1 == frames.len() { 0 } else { len };
            put32(block, at + offset_of!(tpacket3_hdr, tp_next_offset), next);
            put32(block, at + offset_of!(tpacket3_hdr, tp_sec), number);
            put32(block, at + offset_of!(tpacket3_hdr, tp_nsec), number);
            put32(block, at + offset_of!(tpacket3_hdr, tp_snaplen), bytes.len());
            put32(block, at + offset_of!(tpacket3_hdr, tp_len), *original_len as usize);
            let mac = at + offset_of!(tpacket3_hdr, tp_mac);
            block[mac..mac + 2].copy_from_slice(&(MAC as u16).to_ne_bytes());
            if let Some((tpid, tci)) = tag {
                let valid = libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID;
                put32(block, at + offset_of!(tpacket3_hdr, tp_status), valid as usize);
                put32(block, at + offset_of!(tpacket3_hdr, hv1.tp_vlan_tci), usize::from(*tci));
                let at = at + offset_of!(tpacket3_hdr, hv1.tp_vlan_tpid);
                block[at..at + 2].copy_from_slice(&tpid.to_ne_bytes());
            }
            block[at + MAC..at + MAC + bytes.len()].copy_from_slice(bytes);
            at += len;
        }
    }

    fn frames(block: &mut [u8]) -> Vec<(Nanos, Vec<u8>, u32)> {
        let mut out = Vec::new();
        let mut cursor = Cursor::start(block);
        while let Some(stamp) = cursor.stamp(block) {
            let Some(frame) = cursor.take(block) else { break };
            assert_eq!(stamp, frame.realtime);
            out.push((frame.realtime, frame.bytes.to_vec(), frame.original_len));
        }
        assert_eq!(cursor.take(block), None);
        out
    }

    #[test]
    fn frames_are_walked_in_order_with_stamp_and_lengths() {
        let mut block = vec![0; 4_096];
        fill(&mut block, &[Put(&[1; 60], 60, None), Put(&[2; 61], 9_000, None), Put(&[], 0, None)]);
        let expected = [
            (Nanos::ZERO, vec![1; 60], 60),
            (Nanos(1_000_000_001), vec![2; 61], 9_000),
            (Nanos(2_000_000_002), vec![], 0),
        ];
        assert_eq!(frames(&mut block), expected);
    }

    #[test]
    fn a_tag_that_the_kernel_took_out_is_put_back() {
        let untagged: Vec<u8> = (0..60).collect();
        let mut block = vec![0; 4_096];
        let tags = [(0x8100, 0x6123), (0x88a8, 0)];
        fill(&mut block, &[Put(&untagged, 60, Some(tags[0])), Put(&untagged, 80, Some(tags[1]))]);
        let mut expected = untagged.clone();
        expected.splice(12..12, [0x81, 0x00, 0x61, 0x23]);
        let seen = frames(&mut block);
        assert_eq!(seen[0], (Nanos::ZERO, expected.clone(), 64));
        expected[12..16].copy_from_slice(&[0x88, 0xa8, 0, 0]);
        assert_eq!(seen[1], (Nanos(1_000_000_001), expected, 84));
    }

    proptest! {
        #[test]
        fn no_block_makes_the_walk_panic_or_read_outside(
            changes in prop::collection::vec((0usize..300, any::<u8>()), 0..40)
        ) {
            let mut block = vec![0; 1_024];
            fill(&mut block, &[Put(&[1; 60], 60, None), Put(&[2; 60], 60, Some((0x8100, 5)))]);
            for (at, byte) in changes {
                block[at] = byte;
            }
            let mut cursor = Cursor::start(&block);
            for taken in 0.. {
                let Some(frame) = cursor.take(&mut block) else { break };
                prop_assert!(frame.bytes.len() <= 1_024 && taken < 1_024);
            }
        }
    }
}
