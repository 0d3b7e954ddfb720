//! Calls from a script of a few bytes a step: messages, media, fragments, copies and time in every order, through
//! a whole capture core. It reaches states that a capture of arbitrary bytes does not.

use nightjar_capture::fakes::MemoryFrame;
use nightjar_wire::{LinkType, Nanos};

use crate::script::Script;
use crate::world;

/// Frames of one input at most.
const MAX_FRAMES: usize = 2000;

pub(super) fn run(bytes: &[u8]) {
    super::pipeline::check(&frames(bytes));
}

/// A scene in the making.
struct Scene {
    at: Nanos,
    frames: Vec<MemoryFrame>,
    ip_id: u16,
    /// The next sequence number and timestamp of each sender.
    senders: [(u16, u32); 8],
}

/// The frames of a script.
pub(super) fn frames(bytes: &[u8]) -> Vec<MemoryFrame> {
    let mut script = Script::new(bytes);
    let mut scene =
        Scene { at: world::START, frames: Vec::new(), ip_id: 1, senders: [(65_500, u32::MAX - 800); 8] };
    while !script.is_done() && scene.frames.len() < MAX_FRAMES {
        scene.step(&mut script);
    }
    scene.frames
}

impl Scene {
    fn step(&mut self, script: &mut Script<'_>) {
        let code = script.byte();
        self.at = self.at.offset(world::STEPS_NANOS[usize::from(code >> 4)]);
        match code & 15 {
            0..=4 => self.message(code, script, None),
            5 => self.message(code, script, Some(usize::from(script.clone().byte()) + 8)),
            6..=9 => self.media(script),
            10 => self.control(script),
            11 => self.copy(script.byte()),
            12 => self.datagram(script),
            13 => self.fragment(script),
            14 => {
                let len = usize::from(script.byte());
                self.push(script.take(len).to_vec());
            }
            _ => {}
        }
    }

    fn push(&mut self, bytes: Vec<u8>) {
        let original_len = bytes.len() as u32;
        self.frames.push(MemoryFrame {
            at: self.at,
            link: LinkType::RawIp,
            interface: 0,
            bytes,
            original_len,
        });
    }

    /// A SIP message, in fragments if `cut` says where.
    fn message(&mut self, code: u8, script: &mut Script<'_>, cut: Option<usize>) {
        let message = world::message(script.byte(), script.byte(), script.byte());
        let (src, dst) = world::signalling_pair(code);
        let flow = nightjar_wire::FlowKey::new(src, dst);
        self.ip_id = self.ip_id.wrapping_add(1);
        let whole = world::ip_udp(flow, self.ip_id, &message);
        let Some(cut) = cut else { return self.push(whole) };
        let (first, second) = whole[20..].split_at((cut & !7).min(whole.len() - 20));
        self.push(world::ip(flow, self.ip_id, 0x2000, first));
        self.push(world::ip(flow, self.ip_id, (first.len() / 8) as u16, second));
    }

    /// Some RTP packets of one sender: flow, how many, how they follow each other.
    fn media(&mut self, script: &mut Script<'_>) {
        let flow = world::media_flow(script.byte());
        let shape = script.byte();
        let (count, ssrc) = (1 + (shape & 15) * 2, u32::from(shape >> 4 & 3));
        let payload_type = [8, 0, 101, 34][usize::from(shape >> 6)];
        let gap = script.byte();
        let sender = usize::from(script.byte() & 7);
        for _ in 0..count {
            let (sequence, timestamp) = &mut self.senders[sender];
            *sequence = sequence.wrapping_add(1 + u16::from(gap & 7) * 37);
            *timestamp = timestamp.wrapping_add(160 + u32::from(gap >> 3 & 7) * 4000);
            let payload = [0xd5; 160];
            let len = [160, 80, 4, 0][usize::from(gap >> 6)];
            let packet = world::rtp(payload_type, *sequence, *timestamp, ssrc, &payload[..len]);
            self.ip_id = self.ip_id.wrapping_add(1);
            self.push(world::ip_udp(flow, self.ip_id, &packet));
            self.at = self.at + Nanos::from_millis(20);
        }
    }

    /// An RTCP receiver report.
    fn control(&mut self, script: &mut Script<'_>) {
        let flow = world::media_flow(script.byte());
        self.push(world::ip_udp(flow, 0, &[0x80, 201, 0, 1, 0, 0, 0, script.byte()]));
    }

    /// An earlier frame again, as a mirror shows it.
    fn copy(&mut self, back: u8) {
        if let Some(index) = self.frames.len().checked_sub(1 + usize::from(back & 31)) {
            let mut bytes = self.frames[index].bytes.clone();
            if let Some(ttl) = bytes.get_mut(8) {
                *ttl = ttl.wrapping_sub(back >> 5);
            }
            self.push(bytes);
        }
    }

    /// Any datagram.
    fn datagram(&mut self, script: &mut Script<'_>) {
        let flow = world::media_flow(script.byte());
        let len = usize::from(script.byte() & 63);
        let payload = script.take(len).to_vec();
        self.push(world::ip_udp(flow, 0, &payload));
    }

    /// A fragment of its own: which datagram, where, how long.
    fn fragment(&mut self, script: &mut Script<'_>) {
        let flow = world::media_flow(script.byte());
        let place = script.byte();
        let more = if place & 0x80 == 0 { 0 } else { 0x2000 };
        let payload = [0x80; 64];
        let len = usize::from(script.byte() & 63);
        let id = 0x7000 + u16::from(place >> 5 & 3);
        self.push(world::ip(flow, id, more | u16::from(place & 31), &payload[..len]));
    }
}
