//! A call that is being sent: its messages and legs, merged by time.

use nightjar_wire::Nanos;

use crate::expected::{CallExpected, timestamp};
use crate::flow::{Flow, mac_of, take_one_hop};
use crate::frame::{Frame, FrameClass};
use crate::link::add_tags;
use crate::plan::{Mirror, Visible};
use crate::random::Random;
use crate::rtp_leg::{RtpLeg, Workshop};
use crate::script::Script;

/// A call from its first frame to its last.
#[derive(Debug)]
pub(crate) struct ActiveCall {
    script: Script,
    legs: Vec<RtpLeg>,
    begun: bool,
}

/// Which part of a call sends next.
#[derive(Clone, Copy)]
enum Part {
    Signalling,
    Leg(usize),
}

/// Media that is there so soon after the capture's first frame was there before it.
const RUNNING_WITHIN: Nanos = Nanos::from_secs(2);
/// Fragments of a datagram follow each other this closely.
const FRAGMENT_SPACING: Nanos = Nanos::from_micros(1);

impl ActiveCall {
    pub fn new(mut script: Script, shop: &mut Workshop) -> ActiveCall {
        let mut random = Random::new(script.random.next_u64());
        let legs = std::mem::take(&mut script.legs);
        let legs = legs.into_iter().map(|leg| RtpLeg::new(leg, script.turns.clone(), random.fork(), shop));
        ActiveCall { legs: legs.collect(), script, begun: false }
    }

    /// When its next frame is due, `None` when it has sent everything.
    pub fn next_at(&self) -> Option<Nanos> {
        self.next_part().map(|(at, _)| at)
    }

    fn next_part(&self) -> Option<(Nanos, Part)> {
        let signalling = self.script.sends.front().map(|send| (send.at, Part::Signalling));
        let legs = self.legs.iter().enumerate();
        let legs = legs.filter_map(|(index, leg)| leg.next_at().map(|at| (at, Part::Leg(index))));
        signalling.into_iter().chain(legs).min_by_key(|(at, _)| *at)
    }

    /// Sends what is due next into `out`; further frames of it, fragments and mirror copies, go to
    /// `later`.
    pub fn send(&mut self, shop: &mut Workshop, out: &mut Frame, later: &mut Vec<Frame>) {
        let Some((_, part)) = self.next_part() else { return };
        out.call = Some(self.script.expected.index);
        match part {
            Part::Signalling => self.send_datagram(shop, out, later),
            Part::Leg(index) => self.legs[index].send(shop, out),
        }
        out.original_len = out.bytes.len() as u32;
        let originals = later.len();
        if let Some(mirror) = &self.script.plan.mirror {
            let copies: Vec<Frame> =
                std::iter::once(&*out).chain(later.iter()).map(|frame| copy_of(frame, mirror)).collect();
            later.extend(copies);
        }
        if let Some(vlans) = self.script.plan.direction_vlans {
            let caller = mac_of(self.script.plan.addresses[0].sip.ip());
            for frame in std::iter::once(&mut *out).chain(&mut later[..originals]) {
                let vlan = if frame.bytes[6..12] == caller { vlans[0] } else { vlans[1] };
                add_tags(&[vlan], &mut frame.bytes);
                frame.original_len = frame.bytes.len() as u32;
            }
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.script.expected.started_at = timestamp(out.at);
        }
    }

    fn send_datagram(&mut self, shop: &mut Workshop, out: &mut Frame, later: &mut Vec<Frame>) {
        let Some(send) = self.script.sends.pop_front() else { return };
        if send.class == FrameClass::Signalling {
            self.script.expected.sip_messages += 1;
        }
        let flow = Flow::new(&mut shop.hosts, send.src, send.dst);
        let frames = flow.datagram(&mut shop.hosts, &send.payload);
        let mut at = send.at;
        for (number, bytes) in frames.into_iter().enumerate() {
            if number == 0 {
                (out.at, out.bytes, out.class) = (at, bytes, send.class);
            } else {
                let original_len = bytes.len() as u32;
                later.push(Frame { at, bytes, original_len, class: send.class, call: out.call });
            }
            at = at + FRAGMENT_SPACING;
        }
    }

    /// Ends the call at `at`, whatever it was doing.
    pub fn hang_up(&mut self, at: Nanos) {
        self.legs.iter_mut().for_each(|leg| leg.stop(at));
        self.script.hang_up(at);
    }

    /// It has sent its first frame, in a capture that began at `capture`. Where signalling shows no
    /// beginning the media does.
    pub fn note_capture(&mut self, capture: Nanos) {
        let expected = &mut self.script.expected;
        if matches!(self.script.plan.visible, Visible::SignallingFrom(_) | Visible::MediaOnly) {
            let early = timestamp(capture + RUNNING_WITHIN);
            expected.begun_before_capture = expected.started_at <= early;
        }
    }

    /// Whether it has sent a frame.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// What is known of it now.
    pub fn expected(&self) -> &CallExpected {
        &self.script.expected
    }

    /// The truth about it, `None` when it has sent nothing.
    pub fn finish(self) -> Option<CallExpected> {
        let mut expected = self.script.expected;
        expected.streams = self.legs.into_iter().flat_map(RtpLeg::finish).collect();
        expected.streams.sort_by_key(|stream| stream.first_at);
        self.begun.then_some(expected)
    }
}

/// A mirror's second copy: everything but MACs, VLAN and hops is the same.
fn copy_of(frame: &Frame, mirror: &Mirror) -> Frame {
    let mut bytes = frame.bytes.clone();
    if mirror.routed {
        bytes[..12].copy_from_slice(&[0x02, 0x4e, 0xff, 0, 0, 1, 0x02, 0x4e, 0xff, 0, 0, 2]);
        take_one_hop(&mut bytes);
    }
    if let Some(vlan) = mirror.vlan {
        add_tags(&[vlan], &mut bytes);
    }
    Frame {
        at: frame.at + mirror.delay,
        original_len: bytes.len() as u32,
        bytes,
        class: frame.class.of_copy(),
        call: frame.call,
    }
}
