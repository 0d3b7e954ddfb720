//! Several frames at once: those that carry RTP are read first, then memory is asked for all of their
//! streams, then each frame is handled in its turn. With one after the other a core waits for memory with
//! each packet.

use nightjar_capture::{RawFrame, prefetch};
use nightjar_wire::{LinkType, RtpFrame};

use super::{CaptureCore, CoreOutput, Rtp};

/// Frames that are looked at together: memory has answered for the last when the first are handled.
pub(super) const GROUP: usize = 32;

impl<O: CoreOutput> CaptureCore<O> {
    /// As [`CaptureCore::handle_frame`] with each frame in turn.
    pub fn handle_frames(&mut self, frames: &[RawFrame<'_>]) {
        for group in frames.chunks(GROUP) {
            match group {
                [frame] => self.handle_frame(frame),
                _ => self.handle_group(group),
            }
        }
    }

    fn handle_group(&mut self, frames: &[RawFrame<'_>]) {
        let mut read = [None; GROUP];
        let mut sought = std::mem::take(&mut self.sought);
        for (frame, read) in frames.iter().zip(&mut read) {
            let seen = match frame.link {
                LinkType::Ethernet => RtpFrame::read(frame.bytes),
                _ => None,
            };
            let Some(seen) = seen else { continue };
            let realm = self.config.realms.of_vlan(frame.interface, seen.vlan);
            let Some(realm) = realm else { continue };
            let (addrs, ports) = ([seen.src, seen.dst], [seen.src_port, seen.dst_port]);
            sought.push(self.flows.seek_ipv4(realm, addrs, ports, seen.ssrc));
            let RtpFrame { datagram: payload, truncated, ip_id, .. } = seen;
            *read = Some(Rtp { at: frame.at, payload, truncated, ip_id: Some(ip_id), frames: 1 });
        }
        self.flows.fetch(&mut sought, prefetch);
        let mut streams = sought.iter();
        for (frame, read) in frames.iter().zip(&read) {
            match read.as_ref().zip(if read.is_some() { streams.next() } else { None }) {
                Some((rtp, sought)) => {
                    let at = self.enter(frame);
                    self.handle_rtp(&Rtp { at, ..*rtp }, sought);
                }
                None => self.handle_frame(frame),
            }
        }
        sought.clear();
        self.sought = sought;
    }
}
