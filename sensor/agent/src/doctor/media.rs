//! Media flows: which directions there are, in which formats, on which queues, and whether their clocks
//! agree with the stamps.

use std::collections::{BTreeMap, BTreeSet};

use nightjar_wire::{FlowKey, Format, Nanos, PayloadType, RtpTime, RtpView, SeqNumber};

use super::stamps::{Stamps, Step};

/// Flows that are followed at most.
pub const MAX_FLOWS: usize = 20_000;
/// Payload types of one flow that are told apart.
const MAX_PAYLOAD_TYPES: usize = 8;
/// Packets after which a flow is believed to be media.
const BELIEVED: u64 = 10;
/// Packets of a flow that should have had an answer: half a second.
const ANSWERABLE: u64 = 25;
/// Sequence numbers that follow each other closer than this are of one stream.
const NEAR: u16 = 50;
/// Packets after a pause that are waited for before a stream's clock is asked: a jam would have
/// dissolved.
const SETTLED: u8 = 10;

/// The interface and queue that a flow came by.
pub type Queue = (u16, u16);

/// One direction of RTP between two sockets.
#[derive(Debug)]
pub struct Flow {
    /// Packets.
    pub packets: u64,
    /// Those that follow the one before in one stream.
    steady: u64,
    /// Packets by payload type.
    pub payload_types: BTreeMap<PayloadType, u64>,
    /// The VLAN of its first packet.
    pub vlan: Option<u16>,
    /// Where its first packet came by, where that can be seen.
    pub queue: Option<Queue>,
    last: Packet,
    /// The packet before the last pause, the pause, and how many packets came since.
    before_pause: Option<(Packet, Step, u8)>,
}

/// What is kept of a packet.
#[derive(Clone, Copy, Debug)]
struct Packet {
    at: Nanos,
    ssrc: u32,
    sequence: SeqNumber,
    time: RtpTime,
}

impl Flow {
    /// Enough packets in sequence to be media and not something that looks alike.
    pub fn is_media(&self) -> bool {
        self.packets >= BELIEVED && self.steady * 4 >= self.packets * 3
    }

    /// Media for so long that the other direction should have been seen.
    pub fn is_answerable(&self) -> bool {
        self.is_media() && self.packets >= ANSWERABLE
    }

    fn add(&mut self, rtp: &RtpView<'_>, packet: Packet, stamps: &mut Stamps) {
        self.packets += 1;
        let steps = packet.sequence.0.wrapping_sub(self.last.sequence.0);
        let follows = packet.ssrc == self.last.ssrc && (steps <= NEAR || steps >= 0u16.wrapping_sub(NEAR));
        self.steady += u64::from(follows);
        let known = self.payload_types.len() < MAX_PAYLOAD_TYPES;
        if known || self.payload_types.contains_key(&rtp.payload_type()) {
            *self.payload_types.entry(rtp.payload_type()).or_default() += 1;
        }
        if let Some(pause) = stamps.pause
            && self.before_pause.is_none_or(|(_, known, _)| known != pause)
        {
            self.before_pause = Some((self.last, pause, 0));
        }
        self.last = packet;
        if let Some((before, pause, since)) = &mut self.before_pause
            && *since < SETTLED
        {
            *since += 1;
            if *since == SETTLED
                && before.ssrc == packet.ssrc
                && let Some(rate) = clock_rate(rtp.payload_type())
            {
                let ticks = packet.time.0.wrapping_sub(before.time.0).cast_signed();
                let own = i64::from(ticks) * 1_000_000_000 / i64::from(rate);
                stamps.contradict(*pause, packet.at.signed_since(before.at) - own);
            }
        }
    }
}

/// The clock rate of a static payload type; dynamic ones are not asked.
fn clock_rate(payload_type: PayloadType) -> Option<u32> {
    Format::of_static(payload_type).map(|format| format.clock_rate)
}

/// All flows.
#[derive(Debug, Default)]
pub struct Media {
    /// By addresses and ports.
    pub flows: BTreeMap<FlowKey, Flow>,
    /// Flows with DTLS handshakes.
    pub dtls: BTreeSet<FlowKey>,
    /// Flows with ZRTP.
    pub zrtp: BTreeSet<FlowKey>,
    /// There were more flows than are followed.
    pub full: bool,
}

impl Media {
    /// Counts an RTP packet.
    pub fn see(
        &mut self,
        key: FlowKey,
        rtp: &RtpView<'_>,
        at: Nanos,
        vlan: Option<u16>,
        queue: Option<Queue>,
        stamps: &mut Stamps,
    ) {
        let packet = Packet { at, ssrc: rtp.ssrc(), sequence: rtp.sequence(), time: rtp.timestamp() };
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.add(rtp, packet, stamps);
        } else if self.flows.len() < MAX_FLOWS {
            let payload_types = BTreeMap::from([(rtp.payload_type(), 1)]);
            let flow = Flow {
                packets: 1,
                steady: 1,
                payload_types,
                vlan,
                queue,
                last: packet,
                // What paused before its time is not its matter.
                before_pause: stamps.pause.map(|pause| (packet, pause, SETTLED)),
            };
            self.flows.insert(key, flow);
        } else {
            self.full = true;
        }
    }

    /// Notes a flow on which keys are agreed.
    pub fn see_keys(&mut self, key: FlowKey, dtls: bool) {
        let set = if dtls { &mut self.dtls } else { &mut self.zrtp };
        if set.len() < MAX_FLOWS {
            set.insert(key);
        }
    }

    /// The flows that are media.
    pub fn believed(&self) -> impl Iterator<Item = (&FlowKey, &Flow)> {
        self.flows.iter().filter(|(_, flow)| flow.is_media())
    }
}
