//! A call's script: what a plan comes to in messages and legs, with moments of the capture clock,
//! and the truth about it. Written when the call begins, played by [`crate::active_call`].

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use nightjar_schema::{CallState, Protocol};
use nightjar_wire::Nanos;

use crate::audio::Turns;
use crate::dialog::Dialog;
use crate::expected::{CallExpected, timestamp};
use crate::frame::FrameClass;
use crate::g711::Codec;
use crate::party::Side;
use crate::plan::{CallPlan, RtcpPlan, RtpChange, SignallingPath, Visible};
use crate::random::Random;
use crate::rtp_leg::LegScript;
use crate::sdp::{MediaDirection, Sdp};
use crate::sip_text::Message;

/// A datagram of a script other than media.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    pub at: Nanos,
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub payload: Vec<u8>,
    pub class: FrameClass,
}

/// A call, written out.
#[derive(Debug)]
pub(crate) struct Script {
    pub plan: CallPlan,
    pub start: Nanos,
    /// In the order of time once the script is complete.
    pub sends: VecDeque<Send>,
    pub legs: Vec<LegScript>,
    pub turns: Turns,
    pub expected: CallExpected,
    pub dialog: Dialog,
    pub random: Random,
    /// Each INVITE of the caller that may still be cancelled, with its moment.
    pub invites: Vec<(Nanos, Message)>,
    pub answered_at: Option<Nanos>,
    /// The BYE, the CANCEL or the final answer.
    pub ended_at: Option<Nanos>,
    /// Current media sockets on the wire and as advertised, by side.
    pub media: [SocketAddr; 2],
    pub advertised: [SocketAddr; 2],
    pub codec: Codec,
    pub ptime_ms: u16,
    /// Changes of both sides' main legs so far, with moments of the capture clock.
    pub changes: [Vec<(Nanos, RtpChange)>; 2],
    /// Re-INVITEs so far.
    pub re_invites: Vec<Message>,
    sdp_sessions: [(u64, u64); 2],
}

/// The proxy of [`SignallingPath::BothSidesOfProxy`].
const PROXY_V4: &str = "192.0.2.10:5060";
const PROXY_V6: &str = "[2001:db8:ff::10]:5060";

impl Script {
    /// An empty script for a plan.
    pub fn new(plan: CallPlan, index: u32, start: Nanos, mut random: Random) -> Script {
        let dialog = Dialog::new(plan.parties.clone(), &plan.addresses, plan.call_id.clone(), random.fork());
        let expected = blank_expectation(&plan, index, start, dialog.call_id());
        Script {
            start,
            sends: VecDeque::new(),
            legs: Vec::new(),
            turns: Turns::default(),
            expected,
            dialog,
            invites: Vec::new(),
            answered_at: None,
            ended_at: None,
            media: [0, 1].map(|n| plan.addresses[n].media),
            advertised: [0, 1].map(|n| plan.addresses[n].advertised()),
            codec: plan.codec,
            ptime_ms: plan.ptime_ms,
            changes: [Vec::new(), Vec::new()],
            re_invites: Vec::new(),
            sdp_sessions: [0, 1].map(|_| (random.below(1 << 40), 1)),
            random,
            plan,
        }
    }

    /// The time that a message or its answer takes: 8 to 20 ms.
    pub fn hop(&mut self) -> Nanos {
        Nanos::from_micros(self.random.between(8_000, 20_000))
    }

    /// Sends a SIP message of `by` at `at`, past every hop that the tap sees, and its repetition;
    /// returns when it passes the last one.
    pub fn say(&mut self, at: Nanos, by: Side, message: &Message) -> Nanos {
        let untagged = self.plan.tagless_callee.then(|| self.without_callees_tag(message));
        let message = untagged.as_ref().unwrap_or(message);
        let [src, dst] = [by, by.other()].map(|side| self.plan.addresses[side.index()].sip);
        match self.plan.path {
            SignallingPath::Direct => {
                self.put(at, src, dst, message);
                at
            }
            SignallingPath::BothSidesOfProxy => {
                let proxy = self.proxy();
                let [before, after] = proxied(message, proxy);
                self.put(at, src, proxy, &before);
                let forwarded = at + Nanos::from_micros(self.random.between(300, 1500));
                self.put(forwarded, proxy, dst, &after);
                forwarded
            }
        }
    }

    /// The proxy's socket, of the parties' family.
    pub fn proxy(&self) -> SocketAddr {
        let text = if self.plan.addresses[0].sip.is_ipv6() { PROXY_V6 } else { PROXY_V4 };
        text.parse().expect("the proxy's address")
    }

    /// As a callee of RFC 2543 and its peer write it.
    fn without_callees_tag(&self, message: &Message) -> Message {
        let mut message = message.clone();
        let callers = self.dialog.tag(Side::Caller);
        for party in [&mut message.from, &mut message.to] {
            party.tag = party.tag.take().filter(|tag| tag == callers);
        }
        message
    }

    /// Sends a SIP message between two sockets, and its repetition.
    pub fn put(&mut self, at: Nanos, src: SocketAddr, dst: SocketAddr, message: &Message) {
        let payload = message.render(self.plan.style);
        let class = FrameClass::Signalling;
        if let Some(span) = self.plan.repeat {
            self.sends.push_back(Send { at: at + span, src, dst, payload: payload.clone(), class });
        }
        self.sends.push_back(Send { at, src, dst, payload, class });
    }

    /// Where a side's media leave from.
    pub fn media_source(&self, side: Side) -> SocketAddr {
        self.plan.addresses[side.index()].media_source.unwrap_or(self.media[side.index()])
    }

    /// Sends another datagram between the media sockets.
    pub fn put_on_media(&mut self, at: Nanos, by: Side, payload: Vec<u8>, class: FrameClass) {
        let (src, dst) = (self.media_source(by), self.media[by.other().index()]);
        self.sends.push_back(Send { at, src, dst, payload, class });
    }

    /// A side's description. `changed` makes it a new version.
    pub fn sdp(&mut self, side: Side, direction: MediaDirection, changed: bool) -> Sdp {
        let (session, version) = &mut self.sdp_sessions[side.index()];
        *version += u64::from(changed);
        let mut codecs = vec![self.codec];
        if self.plan.accept_both_laws || self.expected.answered_at.is_none() && side == Side::Caller {
            codecs.push(self.codec.other());
        }
        let audio = self.advertised[side.index()];
        Sdp {
            audio,
            codecs,
            ptime_ms: self.ptime_ms,
            direction,
            zero_address: false,
            rtcp_mux: self.plan.rtcp == RtcpPlan::Mux,
            video_port: self.plan.video.then_some(audio.port() + 2),
            session: *session,
            version: *version,
            ballast: self.plan.sdp_ballast,
        }
    }

    /// Puts everything in the order of time and takes away what the tap does not see.
    pub fn complete(&mut self) {
        let start = self.start;
        match self.plan.visible {
            Visible::Whole => {}
            Visible::From(cut) => {
                let cut = start + cut;
                self.sends.retain(|send| send.at >= cut);
                self.legs.iter_mut().for_each(|leg| leg.start = leg.start.max(cut));
                self.forget_before(cut);
            }
            Visible::SignallingFrom(cut) => {
                let cut = start + cut;
                self.sends.retain(|send| send.at >= cut || send.class != FrameClass::Signalling);
                self.forget_before(cut);
            }
            Visible::MediaOnly => {
                self.sends.retain(|send| send.class != FrameClass::Signalling);
                self.forget_signalling();
            }
        }
        self.sends.make_contiguous().sort_by_key(|send| send.at);
        for leg in &mut self.legs {
            leg.changes.sort_by_key(|(at, _)| *at);
        }
    }

    /// Signalling before `cut` is not visible.
    fn forget_before(&mut self, cut: Nanos) {
        let expected = &mut self.expected;
        let cut = timestamp(cut);
        // Of media that is seen earlier the stream of frames knows better.
        expected.begun_before_capture = true;
        (expected.dialled_number, expected.reached_number) = (None, None);
        if expected.answered_at.is_some_and(|at| at < cut) {
            expected.answered_at = None;
            expected.status = None;
            expected.talk_ms = None;
        }
        expected.holds.retain(|hold| hold.from_at >= cut);
    }

    fn forget_signalling(&mut self) {
        let expected = &mut self.expected;
        expected.protocol = Protocol::None;
        expected.state = CallState::Incomplete;
        expected.call_id = None;
        expected.status = None;
        (expected.from_number, expected.from_name) = (None, None);
        (expected.to_number, expected.to_name) = (None, None);
        (expected.dialled_number, expected.reached_number) = (None, None);
        (expected.answered_at, expected.ended_at, expected.talk_ms) = (None, None, None);
        expected.ended_by = None;
        expected.holds.clear();
    }
}

fn blank_expectation(plan: &CallPlan, index: u32, start: Nanos, call_id: &str) -> CallExpected {
    let [caller, callee] = &plan.parties;
    CallExpected {
        index,
        protocol: Protocol::Sip,
        call_id: Some(call_id.to_owned()),
        state: CallState::Failed,
        status: None,
        from_number: Some(caller.number.clone()),
        from_name: caller.name.clone(),
        to_number: Some(callee.number.clone()),
        to_name: callee.name.clone(),
        dialled_number: Some(callee.number.clone()),
        reached_number: Some(callee.number.clone()),
        started_at: timestamp(start),
        answered_at: None,
        ended_at: None,
        talk_ms: None,
        begun_before_capture: false,
        ended_by: None,
        holds: Vec::new(),
        dialogs: Vec::new(),
        sip_messages: 0,
        streams: Vec::new(),
    }
}

/// A message before and after a proxy that adds itself to `Via` and `Record-Route` (RFC 3261, 16.6).
pub(crate) fn proxied(message: &Message, proxy: SocketAddr) -> [Message; 2] {
    let ours = message.vias[0].rsplit("z9hG4bK").next().unwrap_or_default();
    let ours = ours.split(';').next().unwrap_or_default();
    let via = format!("SIP/2.0/UDP {proxy};branch=z9hG4bKp{ours}");
    let with_via = |message: &Message| {
        let mut message = message.clone();
        message.vias.insert(0, via.clone());
        message
    };
    let record = |message: Message| match proxy.ip() {
        _ if message.method != "INVITE" => message,
        IpAddr::V4(addr) => message.with("Record-Route", format!("<sip:{addr};lr>")),
        IpAddr::V6(addr) => message.with("Record-Route", format!("<sip:[{addr}];lr>")),
    };
    if message.is_request() {
        let mut after = record(with_via(message));
        for (name, value) in &mut after.headers {
            if *name == "Max-Forwards" {
                *value = "69".to_owned();
            }
        }
        [message.clone(), after]
    } else {
        [record(with_via(message)), record(message.clone())]
    }
}
