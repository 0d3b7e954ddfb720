//! One sender of RTP: its clock, its sequence, its changes, and what the network makes of them.
//! Packets are described when their time comes and built when they are sent, so that a leg of
//! any length needs a few hundred bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;

use nightjar_wire::Nanos;

use crate::audio::{Audio, AudioBank, EncodedAudio, Turns};
use crate::expected::{Speaker, StreamExpected, StreamKind};
use crate::flow::{Flow, Hosts};
use crate::frame::{Frame, FrameClass};
use crate::g711::Codec;
use crate::impairment::{Fate, Impairment, Network};
use crate::plan::{RtcpPlan, RtpChange};
use crate::random::Random;
use crate::rtcp::SenderReport;
use crate::rtp_clock::RtpClock;
use crate::rtp_packet::{Body, Packet, append_event, append_filler};
use crate::sdp::{EVENT_PAYLOAD_TYPE, NOISE_PAYLOAD_TYPE, VIDEO_PAYLOAD_TYPE};
use crate::stream_count::StreamCount;

/// What legs share: the hosts' identifications and the encoded sounds.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    pub hosts: Hosts,
    pub bank: AudioBank,
}

/// A leg as a call's script describes it; moments are of the capture clock.
#[derive(Clone, Debug)]
pub(crate) struct LegScript {
    pub speaker: Speaker,
    pub kind: StreamKind,
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub start: Nanos,
    pub until: Nanos,
    pub codec: Codec,
    pub ptime_ms: u16,
    pub audio: Audio,
    pub drift_ppm: i32,
    pub impairment: Impairment,
    /// By time.
    pub changes: Vec<(Nanos, RtpChange)>,
    pub first_sequence: Option<u16>,
    pub first_timestamp: Option<u32>,
    pub rtcp: RtcpPlan,
}

/// A leg that sends.
#[derive(Debug)]
pub(crate) struct RtpLeg {
    script: LegScript,
    changes: VecDeque<(Nanos, RtpChange)>,
    turns: Turns,
    random: Random,
    network: Network,
    /// RTP and RTCP flows, one pair per [`RtpChange::Move`]; packets under way keep theirs.
    flows: Vec<(Flow, Flow)>,
    sources: Vec<Source>,
    streams: Vec<StreamCount>,
    /// The stream that packets belong to now: one of SSRC and sockets, taken up again on a return.
    stream: usize,
    /// The stream of the last packet that was not lost.
    sent_on: usize,
    /// Its tick is the next packet's first.
    clock: RtpClock,
    ssrc: u32,
    /// Sequence number of position 0, and the next position.
    sequence_base: u16,
    position: u64,
    timestamp_base: u32,
    frozen: Option<(u32, Nanos)>,
    event: Option<Event>,
    marker: bool,
    octets: u32,
    last_in_order: Nanos,
    next_report: Option<Nanos>,
    pending: Vec<Packet>,
}

#[derive(Debug)]
struct Source {
    sound: EncodedAudio,
    codec: Codec,
    ptime_ms: u16,
    tone_hz: Option<u32>,
}

/// A telephone-event being sent.
#[derive(Clone, Copy, Debug)]
struct Event {
    digit: char,
    first_tick: u64,
    end_tick: u64,
    ends_sent: u8,
}

/// A sender's reports are this far apart.
const REPORT_INTERVAL: Nanos = Nanos::from_secs(5);
/// Consecutive packets of a sender are at least this far apart.
const MIN_SPACING: Nanos = Nanos::from_micros(1);

impl RtpLeg {
    pub fn new(script: LegScript, turns: Turns, mut random: Random, shop: &mut Workshop) -> RtpLeg {
        let network = Network::new(script.impairment, random.fork());
        let rate = if script.kind == StreamKind::Video { 90_000 } else { 8000 };
        let clock = RtpClock { epoch: script.start, rate, drift_ppm: script.drift_ppm, tick: 0 };
        let first_report = script.start + Nanos::from_millis(random.between(500, 2500));
        let mut leg = RtpLeg {
            changes: script.changes.iter().cloned().collect(),
            turns,
            network,
            flows: Vec::new(),
            sources: Vec::new(),
            streams: Vec::new(),
            stream: 0,
            sent_on: 0,
            clock,
            ssrc: random.next_u32(),
            sequence_base: script.first_sequence.unwrap_or_else(|| random.next_u16()),
            position: 0,
            timestamp_base: script.first_timestamp.unwrap_or_else(|| random.next_u32()),
            frozen: None,
            event: None,
            marker: true,
            octets: 0,
            last_in_order: Nanos::ZERO,
            next_report: (script.rtcp != RtcpPlan::Off).then_some(first_report),
            pending: Vec::new(),
            random,
            script,
        };
        leg.open_flows(&mut shop.hosts);
        leg.open_source(&mut shop.bank);
        leg.open_stream();
        leg.fill(shop);
        leg
    }

    /// When the next datagram leaves, `None` when the leg is done.
    pub fn next_at(&self) -> Option<Nanos> {
        let packet = self.pending.iter().map(|packet| packet.at).min();
        let report = self.next_report.filter(|&at| at < self.script.until);
        [packet, report].into_iter().flatten().min()
    }

    /// Builds the next datagram's frame into `out` and counts it.
    pub fn send(&mut self, shop: &mut Workshop, out: &mut Frame) {
        let packet_at = self.pending.iter().map(|packet| packet.at).min();
        match self.next_report.filter(|&at| at < self.script.until) {
            Some(report_at) if packet_at.is_none_or(|at| report_at < at) => {
                self.send_report(report_at, shop, out);
                self.next_report = Some(report_at + REPORT_INTERVAL);
            }
            _ => {
                let first = self.pending.iter().enumerate().min_by_key(|(_, packet)| packet.at);
                let Some((index, _)) = first else { return };
                let packet = self.pending.remove(index);
                self.send_packet(&packet, shop, out);
                self.fill(shop);
            }
        }
    }

    /// Stops at `at`: what would leave later never does.
    pub fn stop(&mut self, at: Nanos) {
        self.script.until = self.script.until.min(at);
        self.pending.retain(|packet| packet.at <= at);
    }

    /// The accounts of its streams.
    pub fn finish(self) -> impl Iterator<Item = StreamExpected> {
        self.streams.into_iter().filter_map(StreamCount::finish)
    }

    /// Describes packets until the earliest pending one is certainly the next.
    fn fill(&mut self, shop: &mut Workshop) {
        loop {
            let slot_at = self.clock.time_of(self.clock.tick);
            let settled = self.pending.iter().any(|packet| packet.at < slot_at);
            if slot_at >= self.script.until || settled {
                return;
            }
            self.slot(slot_at, shop);
        }
    }

    /// Describes the packet of one slot, after the changes that are due.
    fn slot(&mut self, at: Nanos, shop: &mut Workshop) {
        let tick = self.clock.tick;
        while self.changes.front().is_some_and(|(due, _)| *due <= at) {
            let (due, change) = self.changes.pop_front().expect("a change is at the front");
            self.apply(due, change, shop);
            if self.clock.tick != tick {
                return;
            }
        }
        let ticks = self.ticks_per_packet();
        if let Some(event) = self.event {
            self.event_packet(event, ticks);
        } else {
            let body = match self.script.kind {
                StreamKind::Video => Body::Video { len: 400 + (tick % 700) as usize },
                StreamKind::Audio => {
                    Body::Audio { source: self.sources.len() - 1, tick, at, len: ticks as usize }
                }
            };
            let timestamp = self.timestamp(at);
            self.push(at, timestamp, body);
        }
        self.clock.tick += ticks;
    }

    fn ticks_per_packet(&self) -> u64 {
        match self.script.kind {
            StreamKind::Audio => u64::from(self.script.ptime_ms) * 8,
            StreamKind::Video => 3000,
        }
    }

    fn timestamp(&mut self, at: Nanos) -> u32 {
        match self.frozen {
            Some((timestamp, until)) if at < until => timestamp,
            _ => {
                self.frozen = None;
                self.timestamp_base.wrapping_add(self.clock.tick as u32)
            }
        }
    }

    fn event_packet(&mut self, mut event: Event, ticks: u64) {
        let at = self.clock.time_of(self.clock.tick);
        let reached = self.clock.tick + ticks;
        let end = reached >= event.end_tick;
        let duration = (reached.min(event.end_tick) - event.first_tick) as u16;
        self.marker = self.clock.tick == event.first_tick;
        let timestamp = self.timestamp_base.wrapping_add(event.first_tick as u32);
        self.push(at, timestamp, Body::Event { digit: event.digit, duration, end });
        event.ends_sent += u8::from(end);
        // The end is sent three times (RFC 4733, 2.5.1.4).
        self.event = (event.ends_sent < 3).then_some(event);
    }

    fn apply(&mut self, due: Nanos, change: RtpChange, shop: &mut Workshop) {
        match change {
            RtpChange::NewSsrc => {
                self.ssrc = self.random.next_u32();
                self.sequence_base = self.random.next_u16();
                self.timestamp_base = self.random.next_u32();
                self.marker = true;
                self.open_stream();
            }
            RtpChange::TimestampReset => self.timestamp_base = self.random.next_u32(),
            RtpChange::TimestampFrozen(span) => {
                let last = self.timestamp_base.wrapping_add(self.clock.tick as u32);
                self.frozen = Some((last, due + span));
            }
            RtpChange::Silence(span) => self.skip_to(due + span),
            RtpChange::ComfortNoise(span) => {
                let at = self.clock.time_of(self.clock.tick);
                let timestamp = self.timestamp(at);
                self.push(at, timestamp, Body::Noise);
                self.skip_to(due + span);
            }
            RtpChange::Digit(digit, span) => {
                let end_tick = self.clock.tick + span.as_millis() * 8;
                self.event = Some(Event { digit, first_tick: self.clock.tick, end_tick, ends_sent: 0 });
            }
            RtpChange::Codec(codec) => {
                self.script.codec = codec;
                self.open_source(&mut shop.bank);
            }
            RtpChange::Ptime(ptime_ms) => {
                self.script.ptime_ms = ptime_ms;
                self.open_source(&mut shop.bank);
            }
            RtpChange::Audio(audio) => {
                self.script.audio = audio;
                self.open_source(&mut shop.bank);
            }
            RtpChange::SkipNumbers(count) => self.position += u64::from(count),
            RtpChange::Move(src, dst) => {
                self.script.src = src;
                self.script.dst = dst;
                self.open_flows(&mut shop.hosts);
                self.open_stream();
            }
        }
    }

    /// Moves the clock to the first packet slot at or after `at`.
    fn skip_to(&mut self, at: Nanos) {
        let ticks = self.ticks_per_packet();
        let slots = self.clock.tick_at(at).saturating_sub(self.clock.tick).div_ceil(ticks).max(1);
        self.clock.tick += slots * ticks;
        self.marker = true;
    }

    fn open_flows(&mut self, hosts: &mut Hosts) {
        let next_port = |socket: SocketAddr| SocketAddr::new(socket.ip(), socket.port() + 1);
        let (src, dst) = (self.script.src, self.script.dst);
        let rtp = Flow::new(hosts, src, dst);
        let rtcp = match self.script.rtcp {
            RtcpPlan::Apart => Flow::new(hosts, next_port(src), next_port(dst)),
            RtcpPlan::Off | RtcpPlan::Mux => rtp.clone(),
        };
        self.flows.push((rtp, rtcp));
    }

    fn open_source(&mut self, bank: &mut AudioBank) {
        let script = &self.script;
        let caller = script.speaker == Speaker::Caller;
        self.sources.push(Source {
            sound: bank.encoded(&script.audio, script.codec, &self.turns, caller),
            codec: script.codec,
            ptime_ms: script.ptime_ms,
            tone_hz: script.audio.tone_hz(),
        });
    }

    fn open_stream(&mut self) {
        let (src, dst) = (self.script.src.to_string(), self.script.dst.to_string());
        let ssrc = format!("0x{:08x}", self.ssrc);
        if let Some(known) = self.streams.iter().position(|stream| stream.is(&ssrc, &src, &dst)) {
            self.stream = known;
            return;
        }
        self.stream = self.streams.len();
        self.streams.push(StreamCount::new(StreamExpected {
            speaker: self.script.speaker,
            kind: self.script.kind,
            ssrc,
            src,
            dst,
            codecs: Vec::new(),
            ptimes_ms: Vec::new(),
            tones_hz: Vec::new(),
            digits: String::new(),
            packets: 0,
            lost: 0,
            elsewhere: 0,
            duplicates: 0,
            reordered: 0,
            rtcp: 0,
            first_at: None,
            last_at: None,
        }));
    }

    /// Gives a packet its number and hands it to the network.
    fn push(&mut self, at: Nanos, timestamp: u32, body: Body) {
        let position = self.position;
        self.position += 1;
        let packet = Packet {
            at,
            position,
            sequence: self.sequence_base.wrapping_add(position as u16),
            timestamp,
            ssrc: self.ssrc,
            marker: std::mem::take(&mut self.marker),
            repeated: false,
            flow: self.flows.len() - 1,
            stream: self.stream,
            body,
        };
        self.octets = self.octets.wrapping_add(body.len() as u32);
        let spacing = Nanos::from_millis(u64::from(self.script.ptime_ms));
        let fate = self.network.decide(spacing);
        // What is lost while a stream moves is missed by whoever listens where it was.
        if !matches!(fate, Fate::Lost) || position == 0 {
            self.sent_on = self.stream;
        }
        self.streams[self.sent_on].numbered(position);
        match fate {
            Fate::Lost if position > 0 => {}
            Fate::Lost => self.pending.push(packet),
            Fate::Sent(delay) => {
                let at = self.in_order(at + delay);
                self.pending.push(Packet { at, ..packet });
            }
            Fate::Repeated(delay, after) => {
                let at = self.in_order(at + delay);
                self.pending.push(Packet { at, ..packet });
                self.pending.push(Packet { at: at + after, repeated: true, ..packet });
            }
            Fate::Overtaken(delay) => self.pending.push(Packet { at: at + delay, ..packet }),
        }
    }

    fn in_order(&mut self, at: Nanos) -> Nanos {
        self.last_in_order = at.max(self.last_in_order + MIN_SPACING);
        self.last_in_order
    }

    fn send_packet(&mut self, packet: &Packet, shop: &mut Workshop, out: &mut Frame) {
        let flow = &self.flows[packet.flow].0;
        let count = &mut self.streams[packet.stream];
        count.packet(packet.at, packet.position, packet.repeated);
        flow.begin(&mut out.bytes);
        let payload_type = match packet.body {
            Body::Audio { source, .. } => self.sources[source].codec.payload_type(),
            Body::Event { .. } => EVENT_PAYLOAD_TYPE,
            Body::Noise => NOISE_PAYLOAD_TYPE,
            Body::Video { .. } => VIDEO_PAYLOAD_TYPE,
        };
        packet.append_header(payload_type, &mut out.bytes);
        match packet.body {
            Body::Audio { source: index, tick, at, len } => {
                let source = &self.sources[index];
                count.sound(index, source.codec, source.ptime_ms, source.tone_hz);
                source.sound.append(tick, at, len, &mut out.bytes);
            }
            Body::Event { digit, duration, end } => {
                count.digit(digit, packet.timestamp);
                append_event(digit, duration, end, &mut out.bytes);
            }
            Body::Noise => out.bytes.push(60),
            Body::Video { len } => append_filler(len, &mut out.bytes),
        }
        flow.finish(&mut shop.hosts, &mut out.bytes);
        out.at = packet.at;
        out.class = FrameClass::Rtp;
    }

    fn send_report(&mut self, at: Nanos, shop: &mut Workshop, out: &mut Frame) {
        let Some((_, flow)) = self.flows.last() else { return };
        flow.begin(&mut out.bytes);
        let report = SenderReport {
            ssrc: self.ssrc,
            at,
            rtp_timestamp: self.timestamp_base.wrapping_add(self.clock.tick_at(at) as u32),
            packets: self.position as u32,
            octets: self.octets,
        };
        report.append(&mut out.bytes);
        flow.finish(&mut shop.hosts, &mut out.bytes);
        if let Some(count) = self.streams.get_mut(self.stream) {
            count.rtcp();
        }
        out.at = at;
        out.class = FrameClass::Rtcp;
    }
}
