//! The media of an answered call: both sides' legs, video, what else is on the ports.

use nightjar_wire::Nanos;

use crate::audio::Audio;
use crate::expected::{Speaker, StreamKind};
use crate::frame::FrameClass;
use crate::impairment::Impairment;
use crate::party::Side;
use crate::plan::{Ending, Extra, ExtraKind, Opening, RtcpPlan};
use crate::rtp_leg::LegScript;
use crate::script::{Script, Send};

impl Script {
    /// Everything between answer and end, and the end.
    pub(super) fn talk(&mut self, answered: Nanos, acknowledged: Nanos) {
        let end = answered + self.plan.talk;
        let initial = self.media;
        let (codec, ptime_ms) = (self.codec, self.ptime_ms);
        for extra in self.plan.extras.clone() {
            self.extra(answered + extra.at, extra);
        }
        let mut mid_calls = self.plan.mid_call.clone();
        mid_calls.sort_by_key(|change| change.at);
        for change in &mid_calls {
            self.mid_call(answered + change.at, end, change);
        }
        let current = std::mem::replace(&mut self.media, initial);
        let formats =
            (std::mem::replace(&mut self.codec, codec), std::mem::replace(&mut self.ptime_ms, ptime_ms));
        self.start_legs(answered, acknowledged, end);
        self.media = current;
        (self.codec, self.ptime_ms) = formats;
        match self.plan.ending {
            Ending::Bye(by) => self.bye(end, by),
            Ending::ByeUnseen => {}
        }
    }

    /// Both sides begin to send, or go on from their early media, until the end.
    fn start_legs(&mut self, answered: Nanos, acknowledged: Nanos, end: Nanos) {
        for (side, from) in [(Side::Caller, acknowledged), (Side::Callee, answered)] {
            let start = from + Nanos(self.random.between(1_000_000, 19_000_000));
            let plan = &self.plan.legs[side.index()];
            let until = end + plan.late;
            if plan.mute {
                continue;
            }
            let mut changes = std::mem::take(&mut self.changes[side.index()]);
            changes.extend(plan.changes.iter().map(|(at, change)| (answered + *at, change.clone())));
            let early = matches!(
                self.plan.opening,
                Opening::EarlyMedia(_) | Opening::OfferInProgress(_) | Opening::Forked(_)
            );
            match self.legs.iter_mut().find(|leg| early && leg.speaker == side.into()) {
                Some(leg) => {
                    leg.until = until;
                    leg.changes.extend(changes);
                }
                None => {
                    let mut leg = self.main_leg(side, start, until);
                    leg.changes = changes;
                    self.legs.push(leg);
                }
            }
            if self.plan.video {
                self.video_leg(side, start, until);
            }
        }
    }

    /// A side's stream between the current sockets.
    pub(super) fn main_leg(&self, side: Side, start: Nanos, until: Nanos) -> LegScript {
        let plan = &self.plan.legs[side.index()];
        LegScript {
            speaker: side.into(),
            kind: StreamKind::Audio,
            src: self.media_source(side),
            dst: self.media[side.other().index()],
            start,
            until,
            codec: self.codec,
            ptime_ms: self.ptime_ms,
            audio: plan.audio.clone(),
            drift_ppm: plan.drift_ppm,
            impairment: plan.impairment,
            changes: Vec::new(),
            first_sequence: plan.first_sequence,
            first_timestamp: plan.first_timestamp,
            rtcp: self.plan.rtcp,
        }
    }

    fn video_leg(&mut self, side: Side, start: Nanos, until: Nanos) {
        let mut leg = self.main_leg(side, start, until);
        leg.kind = StreamKind::Video;
        leg.src.set_port(leg.src.port() + 2);
        leg.dst.set_port(leg.dst.port() + 2);
        leg.audio = Audio::Silence;
        leg.impairment = Impairment::default();
        leg.rtcp = RtcpPlan::Off;
        self.legs.push(leg);
    }

    /// Music of a third host to a held side.
    pub(super) fn music_leg(&mut self, held: Side, start: Nanos, until: Nanos, audio: Audio) {
        let mut leg = self.main_leg(held.other(), start, until);
        leg.speaker = Speaker::Third;
        leg.src = if leg.dst.is_ipv6() { "[2001:db8:aa::20]:20000" } else { "203.0.113.20:20000" }
            .parse()
            .expect("the music server's address");
        leg.src.set_port(20_000 + 2 * (self.expected.index % 20_000) as u16);
        leg.audio = audio;
        leg.impairment = Impairment::default();
        leg.drift_ppm = 0;
        (leg.first_sequence, leg.first_timestamp) = (None, None);
        self.legs.push(leg);
    }

    fn extra(&mut self, at: Nanos, extra: Extra) {
        let (payload, class) = match extra.kind {
            ExtraKind::Stun => (self.stun_request(), FrameClass::Stun),
            ExtraKind::Dtls => (dtls_alert(), FrameClass::Dtls),
            ExtraKind::KeepAlive => (b"\r\n\r\n".to_vec(), FrameClass::KeepAlive),
            ExtraKind::SipKeepAlive => {
                let [src, dst] =
                    [extra.by, extra.by.other()].map(|side| self.plan.addresses[side.index()].sip);
                let (payload, class) = (b"\r\n\r\n".to_vec(), FrameClass::KeepAlive);
                self.sends.push_back(Send { at, src, dst, payload, class });
                return;
            }
            ExtraKind::MalformedRtp => {
                let mut packet = vec![0x8f, self.codec.payload_type()];
                packet.resize(20, 0x55);
                (packet, FrameClass::MalformedRtp)
            }
        };
        self.put_on_media(at, extra.by, payload, class);
    }

    /// A binding request without attributes (RFC 8489, 5).
    fn stun_request(&mut self) -> Vec<u8> {
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend_from_slice(&self.random.next_u64().to_be_bytes());
        request.extend_from_slice(&self.random.next_u32().to_be_bytes());
        request
    }
}

/// A DTLS 1.2 alert record (RFC 6347, 4.1): content type 21, version, epoch, sequence, length and
/// a close_notify, which is short and whole.
fn dtls_alert() -> Vec<u8> {
    vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 1, 0]
}
