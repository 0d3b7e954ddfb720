//! What is heard, when and on which channel: each window of a recording against the packets that
//! the generator sent. Where a stream speaks its tone is heard on its side alone; where nobody
//! speaks there is silence; and the recording is as long as the call.

use std::collections::BTreeSet;
use std::ops::Range;

use nightjar_load::{CallExpected, Speaker, StreamExpected, StreamKind, scenarios};
use nightjar_scenarios::{Channel, Faults, ReplayedScenario, SEED, Sound};
use nightjar_schema::{Call, Gap, GapCause, Protocol, Recording};
use nightjar_wire::{LinkType, RtpView, Transport, decode_frame};

use crate::account::{expected_key, is_of, key as stream_key};

/// Windows in which tones are looked for, and from one to the next, in ms.
const WINDOW: i64 = 100;
const STEP: i64 = 50;
/// How far from a window a stream has to begin and end speaking to be judged in it, in ms: a
/// clock's fit may move it by so much.
const MARGIN: i64 = 25;
/// How exactly a codec gives back what it was given.
#[derive(Clone, Debug)]
pub struct Fidelity {
    /// A tone's amplitude; the generator's is 10,000.
    present: Range<f64>,
    /// What leaks of a tone through Goertzel's window into another one, and between the channels.
    absent: f64,
    /// The same where tones begin or give way to each other.
    smeared: f64,
    /// For how long a tone counts as beginning, in ms.
    settles_ms: i64,
    /// The loudest sample where nobody speaks.
    silent: u16,
    /// The loudest sample of a channel on which nobody speaks while somebody does on the other.
    bleed: u16,
    /// The loudest sample in a hole of one packet; `None` where a frame is longer than that.
    gap: Option<u16>,
}

/// As G.711 itself. A-law has no zero: its idle code decodes to 8.
pub const EXACT: Fidelity = Fidelity {
    present: 9_000.0..12_000.0,
    absent: 250.0,
    smeared: 800.0,
    settles_ms: 0,
    silent: 8,
    bleed: 8,
    gap: Some(8),
};

/// As stereo Opus at a telephone's rate, each party coded apart: nothing of one is on the other's
/// side, but a tone has the codec's noise about it, most of it while it begins.
pub const OPUS: Fidelity = Fidelity {
    present: 5_000.0..14_000.0,
    absent: 1_200.0,
    smeared: 2_500.0,
    settles_ms: 200,
    silent: 60,
    bleed: 60,
    gap: None,
};

/// One stream as it should be heard.
struct Said<'a> {
    /// The generator's account.
    stream: &'a StreamExpected,
    /// Its channel.
    channel: usize,
    /// From when until when it speaks, in ms since the recording's start, in order.
    spans: Vec<(i64, i64)>,
}

/// What was lost is a gap in the row and silence in the recording, of the right length.
fn check_gaps(faults: &mut Faults, row: &Call, sound: &Sound, said: &[Said<'_>], fidelity: &Fidelity) {
    for said in said {
        let key = expected_key(said.stream);
        let own = |gap: &&Gap| {
            let stream = gap.stream.and_then(|index| row.streams.get(usize::from(index)));
            stream.is_some_and(|stream| stream_key(stream) == key)
        };
        let gaps: Vec<&Gap> = row.gaps.iter().filter(own).collect();
        let lost_ms = said.stream.lost * u64::from(said.stream.ptimes_ms[0]);
        let gap_ms: u64 = gaps.iter().map(|gap| gap.duration_ms).sum();
        let rounding = gaps.len() as u64;
        let close = gap_ms.abs_diff(lost_ms) <= rounding;
        faults.check(close, format!("{key}: {gap_ms} ms of gaps, {lost_ms} ms were lost"));
        for gap in gaps {
            faults.same("a gap's cause", &gap.cause, &GapCause::Wire);
            let Some(limit) = fidelity.gap else { continue };
            let (from, to) = (gap.at_ms + 2, gap.at_ms + gap.duration_ms - 2);
            let peak = sound.channels[said.channel].peak(from, to);
            faults.check(peak <= limit, format!("{key}: {peak} in the gap at {} ms", gap.at_ms));
        }
    }
}

/// Checks every recording of a scenario.
pub fn check(faults: &mut Faults, name: &str, scenario: &ReplayedScenario, fidelity: &Fidelity) {
    for call in &scenario.expected.calls {
        let Some(row) = scenario.replayed.calls.iter().find(|row| is_of(row, call)) else { continue };
        match scenario.replayed.sound(row) {
            Some((recording, sound)) => {
                let said = said(name, row, call, &recording);
                faults.same("duration in the row", &recording.duration_ms, &Some(sound.duration_ms()));
                check_length(faults, call, &recording, &sound, &said);
                for (channel, samples) in sound.channels.iter().enumerate() {
                    check_channel(faults, call, samples, channel, &said, fidelity);
                }
                check_gaps(faults, row, &sound, &said, fidelity);
            }
            None => {
                let spoke = call.streams.iter().any(|stream| stream.kind == StreamKind::Audio);
                faults.check(!spoke, format!("call {}: nothing was recorded", call.index));
            }
        }
    }
}

/// A recording begins with the first sample that is heard and ends with the call, or with the last
/// packet when nobody knows its end.
fn check_length(
    faults: &mut Faults,
    call: &CallExpected,
    recording: &Recording,
    sound: &Sound,
    said: &[Said<'_>],
) {
    let began = said.iter().filter_map(|said| said.spans.first()).map(|span| span.0).min().unwrap_or(0);
    let n = call.index;
    // How late the first packets were nobody knows yet: legs stand within 20 ms of each other.
    faults.check((-20..=3).contains(&began), format!("call {n}: its first sample is at {began} ms"));
    let last = call.streams.iter().filter(|s| s.kind == StreamKind::Audio).filter_map(|s| s.last_at).max();
    let Some(ended) = call.ended_at.or(last) else { return };
    let end = recording.started_at.0 / 1000 + sound.duration_ms() as i64;
    let off = end - ended.0 / 1000;
    // Nobody hung up: it ends with the frame of 20 ms in which somebody was heard last.
    let longest = if call.ended_at.is_some() { 3 } else { 20 };
    faults.check((-3..=longest).contains(&off), format!("call {n}: it ends {off} ms after the call"));
}

fn check_channel(
    faults: &mut Faults,
    call: &CallExpected,
    samples: &Channel,
    channel: usize,
    said: &[Said<'_>],
    fidelity: &Fidelity,
) {
    let own = said.iter().filter(|said| said.channel == channel).collect();
    let tones: BTreeSet<u32> = call.streams.iter().flat_map(|stream| &stream.tones_hz).copied().collect();
    let ear = Ear { samples, own, all: said, tones, fidelity };
    let length = samples.samples.len() as i64 * 1000 / i64::from(samples.rate);
    let windows = (0..length - WINDOW).step_by(STEP as usize);
    let wrong: Vec<String> = windows.flat_map(|from| ear.wrong_in(from)).collect();
    if let (Some(first), Some(last)) = (wrong.first(), wrong.last()) {
        let count = wrong.len();
        faults.note(format!("call {}: channel {channel}: {count} times: {first} … {last}", call.index));
    }
}

/// Listens to one channel.
struct Ear<'a> {
    samples: &'a Channel,
    /// What is said on it.
    own: Vec<&'a Said<'a>>,
    /// What is said in the call.
    all: &'a [Said<'a>],
    /// All tones of the call, those that must not be heard too.
    tones: BTreeSet<u32>,
    fidelity: &'a Fidelity,
}

impl Ear<'_> {
    /// What is wrong in the window that begins at `from`.
    fn wrong_in(&self, from: i64) -> Vec<String> {
        let window = (from - MARGIN, from + WINDOW + MARGIN);
        let near: Vec<&Said<'_>> = self.own.iter().filter(|said| said.touches(window)).copied().collect();
        if near.is_empty() {
            self.noise_in(from, window)
        } else if near.iter().any(|said| !said.covers(window) || said.stream.tones_hz.is_empty()) {
            // Where a stream begins or ends its tone is smeared; speech has none.
            Vec::new()
        } else {
            let mut wrong = self.strange_tones_in(from, &near);
            wrong.extend(near.into_iter().filter_map(|said| self.weak_tone_in(from, said)));
            wrong
        }
    }

    fn noise_in(&self, from: i64, window: (i64, i64)) -> Vec<String> {
        let peak = self.samples.peak(from as u64, (from + WINDOW) as u64);
        let elsewhere = self.all.iter().any(|said| said.touches(window));
        let limit = if elsewhere { self.fidelity.bleed } else { self.fidelity.silent };
        let loud = peak > limit;
        loud.then(|| format!("{from} ms: {peak} where nobody speaks")).into_iter().collect()
    }

    fn strange_tones_in(&self, from: i64, near: &[&Said<'_>]) -> Vec<String> {
        let recently = (from - self.fidelity.settles_ms, from + WINDOW);
        let begins = |said: &Said<'_>| said.spans.iter().any(|(at, _)| (recently.0..recently.1).contains(at));
        let changing = near.iter().any(|said| said.stream.tones_hz.len() > 1)
            || (self.fidelity.settles_ms > 0 && self.all.iter().any(begins));
        let limit = if changing { self.fidelity.smeared } else { self.fidelity.absent };
        let may = |tone: &&u32| near.iter().any(|said| said.stream.tones_hz.contains(tone));
        let strange = self.tones.iter().filter(|tone| !may(tone)).filter_map(|tone| {
            let level = self.samples.tone(*tone, from as u64, (from + WINDOW) as u64);
            (level > limit).then(|| format!("{from} ms: {tone} Hz at {level:.0}, which is not said here"))
        });
        strange.collect()
    }

    fn weak_tone_in(&self, from: i64, said: &Said<'_>) -> Option<String> {
        // Where one tone follows another both are there in part.
        let own: BTreeSet<u32> = said.stream.tones_hz.iter().copied().collect();
        let level = |tone: &u32| self.samples.tone(*tone, from as u64, (from + WINDOW) as u64);
        let level: f64 = own.iter().map(level).sum();
        (!self.fidelity.present.contains(&level)).then(|| format!("{from} ms: {own:?} Hz at {level:.0}"))
    }
}

impl Said<'_> {
    fn touches(&self, (from, to): (i64, i64)) -> bool {
        self.spans.iter().any(|(begin, end)| *begin < to && *end > from)
    }

    fn covers(&self, (from, to): (i64, i64)) -> bool {
        self.spans.iter().any(|(begin, end)| *begin <= from && *end >= to)
    }
}

/// The streams that belong into the recording, with the times in which they speak.
fn said<'a>(name: &str, row: &Call, call: &'a CallExpected, recording: &Recording) -> Vec<Said<'a>> {
    let answered = row.answered_at.is_some();
    let in_it = |stream: &&StreamExpected| {
        stream.kind == StreamKind::Audio && !(answered && stream.speaker == Speaker::LosingFork)
    };
    let streams: Vec<&StreamExpected> = call.streams.iter().filter(in_it).collect();
    let mut packets: Vec<Vec<Packet>> = vec![Vec::new(); streams.len()];
    for frame in scenarios::by_name(name, *SEED).frames() {
        if frame.class != nightjar_load::FrameClass::Rtp || frame.call != Some(call.index) {
            continue;
        }
        if let Some((key, packet)) = packet(frame.at.0 / 1000, &frame.bytes)
            && let Some(index) = streams.iter().position(|stream| expected_key(stream) == key)
        {
            packets[index].push(packet);
        }
    }
    // Who was heard before signalling named the parties stays on its channel.
    let mirrored =
        call.dialled_number.is_none() && recording.channel_legs.first().is_some_and(|legs| *legs == [1]);
    let start = recording.started_at.0;
    let spans = |packets: &[Packet]| {
        spans(packets).into_iter().map(|(a, b)| ((a - start) / 1000, (b - start) / 1000))
    };
    let said = streams.iter().zip(&packets).map(|(stream, packets)| Said {
        stream,
        channel: channel_of(row, call, stream) ^ usize::from(mirrored),
        spans: spans(packets).collect(),
    });
    said.collect()
}

/// The caller left, all others right. Without signalling who sends first is left. A third host is
/// heard where the partner of who hears it is.
fn channel_of(row: &Call, call: &CallExpected, stream: &StreamExpected) -> usize {
    let first = call.streams.first().map(|stream| &stream.src);
    let callers = || call.streams.iter().filter(|other| other.speaker == Speaker::Caller);
    match stream.speaker {
        _ if row.protocol == Protocol::None => usize::from(Some(&stream.src) != first),
        Speaker::Caller => 0,
        Speaker::Callee | Speaker::LosingFork => 1,
        Speaker::Third => usize::from(callers().any(|caller| caller.src == stream.dst)),
    }
}

/// A packet of speech: times in µs.
#[derive(Clone, Copy, Debug)]
struct Packet {
    at: i64,
    /// Its RTP time.
    timestamp: u32,
    /// How long it sounds.
    length: i64,
}

/// A packet's stream and what matters of it here; `None` for what is no speech.
fn packet(at: u64, frame: &[u8]) -> Option<(String, Packet)> {
    let decoded = decode_frame(LinkType::Ethernet, frame).ok()?;
    let Transport::Udp { src_port, dst_port, payload, .. } = decoded.transport else { return None };
    let rtp = RtpView::parse(payload).ok()?;
    if !matches!(rtp.payload_type(), 0 | 8) {
        return None;
    }
    let socket = |addr, port| std::net::SocketAddr::new(addr, port);
    let (src, dst) = (socket(decoded.network.src, src_port), socket(decoded.network.dst, dst_port));
    let length = rtp.payload().len() as i64 * 125;
    let packet = Packet { at: at as i64, timestamp: rtp.timestamp().0, length };
    Some((format!("{src} {dst} 0x{:08x}", rtp.ssrc()), packet))
}

/// When a stream speaks, in µs. A packet sounds before it is sent; by how much the network delayed
/// it its RTP time tells, against the fastest of its neighbours.
fn spans(packets: &[Packet]) -> Vec<(i64, i64)> {
    const NEIGHBOURS: usize = 100;
    let first = packets.first().map_or(0, |packet| packet.timestamp);
    let offset = |packet: &Packet| packet.at - i64::from(packet.timestamp.wrapping_sub(first) as i32) * 125;
    let offsets: Vec<i64> = packets.iter().map(offset).collect();
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        let near = &offsets[index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS).min(offsets.len())];
        // Another numbering of time (a reset, a clock that stood still) is no neighbour's.
        let alike = near.iter().filter(|other| (offsets[index] - **other).abs() < 150_000);
        let frozen = index > 0 && packets[index - 1].timestamp == packet.timestamp;
        let fastest = if frozen { offsets[index] } else { alike.min().copied().unwrap_or(offsets[index]) };
        let end = packet.at - (offsets[index] - fastest);
        spans.push((end - packet.length, end));
    }
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 + 1_000 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}
