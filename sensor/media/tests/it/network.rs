//! Parties that send RTP over a seeded network, and a recorder of what comes.

use nightjar_codec::Law;
use nightjar_media::{AudioConfig, AudioFrame, AudioSummary, CallAudio, Decision, FrameSink, StreamSpec};
use nightjar_wire::Nanos;

/// When calls begin.
pub const START: Nanos = Nanos::from_secs(1_700_000_000);

/// A small seeded generator (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// 0 ≤ x < 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    pub stream: u32,
    pub arrival: Nanos,
    pub bytes: Vec<u8>,
}

/// One party's sender. Fields are what the next packet will carry.
pub struct Party {
    pub stream: u32,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    /// Samples per packet.
    pub samples: usize,
    /// Real seconds since [`START`] at which the next sample is spoken.
    pub spoken: f64,
    /// The sender's clock is faster than true time by this many parts per million.
    pub ppm: f64,
    /// Network delay in s: at least `delay`, and up to `jitter` more.
    pub delay: f64,
    pub jitter: f64,
    pub dice: Dice,
    pub last_arrival: f64,
}

impl Party {
    pub fn new(stream: u32) -> Party {
        Party {
            stream,
            ssrc: 0x1000 + stream,
            sequence: 100,
            timestamp: 5000,
            payload_type: 8,
            samples: 160,
            spoken: 0.0,
            ppm: 0.0,
            delay: 0.02,
            jitter: 0.0,
            dice: Dice(u64::from(stream)),
            last_arrival: 0.0,
        }
    }

    fn second(&self) -> f64 {
        1.0 / (8000.0 * (1.0 + self.ppm * 1e-6))
    }

    /// Says the next packet: `voice` gives the sample at a time in s since [`START`].
    pub fn say(&mut self, voice: &dyn Fn(f64) -> f64) -> Packet {
        let law = if self.payload_type == 0 { Law::Mu } else { Law::A };
        let step = self.second();
        let payload: Vec<u8> = (0..self.samples)
            .map(|n| law.compress(voice(self.spoken + n as f64 * step).clamp(-32768.0, 32767.0) as i16))
            .collect();
        let packet = self.send(self.payload_type, false, &payload);
        self.timestamp = self.timestamp.wrapping_add(self.samples as u32);
        packet
    }

    /// Says for `seconds`.
    pub fn talk(&mut self, seconds: f64, voice: &dyn Fn(f64) -> f64) -> Vec<Packet> {
        let end = self.spoken + seconds - 1e-6;
        let mut packets = Vec::new();
        while self.spoken < end {
            packets.push(self.say(voice));
        }
        packets
    }

    /// Sends any payload that stands for the time of a packet; the timestamp stays.
    pub fn send(&mut self, payload_type: u8, marker: bool, payload: &[u8]) -> Packet {
        self.spoken += self.samples as f64 * self.second();
        let jitter = self.jitter * self.dice.unit();
        // One path keeps its order.
        let arrival = (self.spoken + self.delay + jitter).max(self.last_arrival);
        self.last_arrival = arrival;
        let bytes = rtp(payload_type, marker, self.sequence, self.timestamp, self.ssrc, payload);
        self.sequence = self.sequence.wrapping_add(1);
        Packet { stream: self.stream, arrival: at(arrival), bytes }
    }

    /// Says nothing for `seconds`; the timestamp goes on.
    pub fn pause(&mut self, seconds: f64) {
        self.spoken += seconds;
        self.timestamp = self.timestamp.wrapping_add((seconds / self.second()).round() as u32);
    }
}

/// A moment in s since [`START`].
pub fn at(seconds: f64) -> Nanos {
    START.offset((seconds * 1e9).round() as i64)
}

pub fn rtp(payload_type: u8, marker: bool, sequence: u16, time: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&time.to_be_bytes());
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// All frames of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    pub planes: [Vec<i16>; 2],
    pub frames: usize,
}

impl FrameSink for Tape {
    fn frame(&mut self, frame: &AudioFrame) {
        assert_eq!(frame.position as usize, self.planes[0].len(), "frames follow each other");
        for channel in 0..frame.channels.count() {
            self.planes[channel].extend_from_slice(frame.plane(channel));
        }
        self.frames += 1;
    }
}

/// A stream of `leg` in no dialog.
pub fn spec(stream: u32, leg: u16) -> StreamSpec {
    StreamSpec { leg: Some(leg), receiver: Some(1 - leg.min(1)), ..StreamSpec::new(stream, 0x1000 + stream) }
}

/// Records a call whose packets come in order of arrival; frames are asked for every 20 ms.
pub fn record(specs: &[StreamSpec], packets: Vec<Packet>, end: Nanos) -> (Tape, AudioSummary) {
    record_as(&AudioConfig::default(), specs, packets, end)
}

pub fn record_as(
    config: &AudioConfig,
    specs: &[StreamSpec],
    mut packets: Vec<Packet>,
    end: Nanos,
) -> (Tape, AudioSummary) {
    packets.sort_by_key(|packet| packet.arrival);
    let mut call = CallAudio::new(config, Decision::Everything);
    for spec in specs {
        call.open_stream(spec.clone());
    }
    let mut tape = Tape::default();
    let mut next = START;
    for packet in &packets {
        if packet.arrival >= next {
            call.advance(packet.arrival.min(end), &mut tape);
            next = packet.arrival + Nanos::from_millis(20);
        }
        call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
    }
    let summary = call.finish(end, &mut tape);
    assert_eq!(summary.samples as usize, tape.planes[0].len());
    let counts = summary.counts();
    assert_eq!(counts.total(), packets.len() as u64, "each packet is counted once: {counts:?}");
    (tape, summary)
}

/// A tone of `hertz` with an amplitude of 8000.
pub fn tone(hertz: f64) -> impl Fn(f64) -> f64 {
    move |t| 8000.0 * (2.0 * std::f64::consts::PI * hertz * t).sin()
}

/// The amplitude of `hertz` in `samples` (Goertzel).
pub fn level(samples: &[i16], hertz: f64) -> f64 {
    let w = 2.0 * std::f64::consts::PI * hertz / 8000.0;
    let (mut a, mut b) = (0.0, 0.0);
    for &sample in samples {
        let next = f64::from(sample) + 2.0 * w.cos() * a - b;
        b = a;
        a = next;
    }
    let power = a * a + b * b - 2.0 * w.cos() * a * b;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

/// Asserts that a channel carries a tone, and no other.
pub fn assert_tone(samples: &[i16], present: f64, absent: f64) {
    let (loud, quiet) = (level(samples, present), level(samples, absent));
    assert!(loud > 7000.0 && quiet < 200.0, "{present} Hz: {loud:.0}, {absent} Hz: {quiet:.0}");
}

/// Largest absolute sample.
pub fn peak(samples: &[i16]) -> u16 {
    samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}
