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

const HEADER: usize = offset_of!(tpacket_block_desc, hdr);
const FRAMES: usize = HEADER + offset_of!(tpacket_hdr_v1, num_pkts);
const FIRST: usize = HEADER + offset_of!(tpacket_hdr_v1, offset_to_first_pkt);
const FIRST_STAMP: usize = HEADER + offset_of!(tpacket_hdr_v1, ts_first_pkt);
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

/// The kernel's stamp of the block's first frame.
pub(super) fn first_stamp(block: &[u8]) -> Nanos {
    let word = |at| u32_at(block, at).unwrap_or(0);
    stamp(word(FIRST_STAMP), word(FIRST_STAMP + 4))
}

/// Gives each frame of a block that the kernel has handed over, in order. Stops at the first header
/// that points out of the block, which a sound kernel never writes.
pub(super) fn each_frame(block: &mut [u8], mut give: impl FnMut(RingFrame<'_>)) {
    let (frames, first) = (u32_at(block, FRAMES).unwrap_or(0), u32_at(block, FIRST).unwrap_or(0));
    let mut at = first as usize;
    for _ in 0..frames {
        let Some(next) = one_frame(block, at, &mut give) else { return };
        // 0 marks the last frame.
        if next == 0 {
            return;
        }
        at += next;
    }
}

/// Gives the frame whose header is at `at`; returns the distance to the next one.
#[inline]
fn one_frame(block: &mut [u8], at: usize, give: &mut impl FnMut(RingFrame<'_>)) -> Option<usize> {
    let slot = block.get_mut(at..)?;
    let header: &[u8; size_of::<tpacket3_hdr>()] = slot.first_chunk()?;
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let next = word(offset_of!(tpacket3_hdr, tp_next_offset)) as usize;
    let realtime = stamp(word(offset_of!(tpacket3_hdr, tp_sec)), word(offset_of!(tpacket3_hdr, tp_nsec)));
    let captured = word(offset_of!(tpacket3_hdr, tp_snaplen)) as usize;
    let mut original_len = word(offset_of!(tpacket3_hdr, tp_len));
    let status = word(offset_of!(tpacket3_hdr, tp_status));
    let mut start = usize::from(half(offset_of!(tpacket3_hdr, tp_mac)));
    let end = start.checked_add(captured)?;
    if status & libc::TP_STATUS_VLAN_VALID != 0
        && captured >= ADDRESSES
        && start >= size_of::<tpacket3_hdr>() + VLAN_TAG
        && end <= slot.len()
    {
        let tci = word(offset_of!(tpacket3_hdr, hv1.tp_vlan_tci)) as u16;
        let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let tpid = if known { half(offset_of!(tpacket3_hdr, hv1.tp_vlan_tpid)) } else { TPID_8021Q };
        restore_tag(&mut slot[start - VLAN_TAG..], tpid, tci);
        start -= VLAN_TAG;
        original_len = original_len.saturating_add(VLAN_TAG as u32);
    }
    give(RingFrame { realtime, bytes: slot.get(start..end)?, original_len });
    Some(next)
}

/// Moves the addresses, which begin a tag's length into `frame`, to its front and writes the tag
/// behind them (IEEE 802.1Q, 9.3).
fn restore_tag(frame: &mut [u8], tpid: u16, tci: u16) {
    frame.copy_within(VLAN_TAG..VLAN_TAG + ADDRESSES, 0);
    frame[ADDRESSES..ADDRESSES + 2].copy_from_slice(&tpid.to_be_bytes());
    frame[ADDRESSES + 2..ADDRESSES + 4].copy_from_slice(&tci.to_be_bytes());
}

fn stamp(secs: u32, nanos: u32) -> Nanos {
    Nanos(u64::from(secs) * 1_000_000_000 + u64::from(nanos))
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
        each_frame(block, |frame| out.push((frame.realtime, frame.bytes.to_vec(), frame.original_len)));
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
            each_frame(&mut block, |frame| assert!(frame.bytes.len() <= 1_024));
        }
    }
}
