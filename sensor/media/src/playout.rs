//! One stream's queue becomes samples, frame by frame; a hole that packets should have filled
//! becomes a gap.

use std::ops::Range;

use nightjar_codec::{AudioDecoder, Codec, Decoder};
use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::frame::FRAME_SAMPLES;
use crate::gaps::{GapLog, SampleGap};
use crate::queue::{PacketQueue, QueuedPacket};

/// Most samples that one packet may hold: 160 ms. A packet must be shorter than the wait for late
/// ones, or its own start would have closed.
pub(crate) const MAX_PACKET_SAMPLES: usize = 1280;

/// What was played last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Played {
    sequence: i64,
    /// First sample after it, on the grid and in the recording.
    end: i64,
    position: u64,
    samples: u16,
}

/// The place of the frame that is rendered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FramePlace {
    /// Its first sample on the grid.
    pub(crate) at: i64,
    /// Its first sample in the recording.
    pub(crate) position: u64,
    /// How many there are: a whole frame, less at the recording's end.
    pub(crate) samples: i64,
    /// Packets count for it when they came before this.
    pub(crate) deadline: Nanos,
}

impl FramePlace {
    /// Behind its last sample on the grid.
    fn end(self) -> i64 {
        self.at + self.samples
    }

    /// Where a sample of the grid lies in the recording.
    fn position_of(self, at: i64) -> u64 {
        self.position.saturating_add_signed(at - self.at)
    }
}

/// Whose gaps these are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) stream: u32,
    pub(crate) leg: Option<u16>,
}

/// The state of one stream's playing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Playout {
    /// The packet in play, decoded, and its first sample on the grid.
    current: Vec<i16>,
    current_at: i64,
    /// End of what was heard, on the grid: none of it is heard again.
    heard_until: Option<i64>,
    /// Not saved: G.711 decodes each packet for itself.
    #[serde(skip)]
    decoder: Option<(Codec, AudioDecoder)>,
    last: Option<Played>,
    /// The highest count in the sequence that was taken from the queue.
    passed: Option<i64>,
    /// Packets that were taken when their samples had passed, or when others had their place.
    pub(crate) missed: u64,
}

impl Playout {
    /// Whether a packet is in play.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_empty()
    }

    /// Whether a packet of this count could only be played after a later one.
    pub(crate) fn has_passed(&self, sequence: i64) -> bool {
        self.passed.is_some_and(|passed| sequence < passed)
    }

    /// Writes the frame's samples into `plane`, which is silent, and returns how many there were.
    /// Packets that were placed out of order may overlap: each sample is heard once.
    pub(crate) fn render(
        &mut self,
        queue: &mut PacketQueue,
        frame: FramePlace,
        heard: Heard,
        gaps: &mut GapLog,
        plane: &mut [i16; FRAME_SAMPLES],
    ) -> usize {
        let mut played = 0;
        loop {
            played += self.play(queue.first_at(), frame, plane);
            if !self.is_idle() {
                return played;
            }
            let Some(packet) = queue.pop_before(frame.end()) else { return played };
            self.passed = self.passed.max(Some(packet.sequence));
            if let Some(gap) = self.gap_before(&packet, queue, frame, heard) {
                gaps.push(gap);
            }
            self.load(&packet, queue.first_at(), frame);
            queue.recycle(packet.payload);
        }
    }

    /// What is to be heard of a packet that lies at `at..end`: it begins where what was heard ends,
    /// and ends where the next one begins.
    fn room(&self, at: i64, end: i64, next: Option<i64>) -> Range<i64> {
        let from = self.heard_until.map_or(at, |heard| heard.max(at));
        from..next.filter(|next| *next >= at).map_or(end, |next| next.min(end))
    }

    /// Copies what of the current packet lies in the frame; empties it at its end. `next` is where
    /// the packet after it begins.
    fn play(&mut self, next: Option<i64>, frame: FramePlace, plane: &mut [i16; FRAME_SAMPLES]) -> usize {
        let Range { start, end } =
            self.room(self.current_at, self.current_at + self.current.len() as i64, next);
        let from = start.max(frame.at);
        let to = end.min(frame.end());
        if from < to {
            self.heard_until = Some(to);
            let source = (from - self.current_at) as usize..(to - self.current_at) as usize;
            let target = (from - frame.at) as usize..(to - frame.at) as usize;
            plane[target].copy_from_slice(&self.current[source]);
        }
        if end <= frame.end() {
            self.current.clear();
        }
        (to - from).max(0) as usize
    }

    /// The hole before a packet, as far as packets were lost there.
    fn gap_before(
        &self,
        packet: &QueuedPacket,
        queue: &mut PacketQueue,
        frame: FramePlace,
        heard: Heard,
    ) -> Option<SampleGap> {
        let last = self.last?;
        let speechless = queue.take_speechless(last.sequence, packet.sequence, frame.deadline);
        let lost = packet.sequence - last.sequence - 1 - speechless;
        let recorded = frame.position_of(packet.at).saturating_sub(last.position);
        let hole = (packet.at - last.end).min(recorded as i64);
        let samples = hole.min(lost * i64::from(last.samples.max(packet.samples)));
        (samples > 0).then_some(SampleGap {
            position: last.position,
            samples: samples as u64,
            stream: heard.stream,
            leg: heard.leg,
            packets: u32::try_from(lost).unwrap_or(u32::MAX),
        })
    }

    fn load(&mut self, packet: &QueuedPacket, next: Option<i64>, frame: FramePlace) {
        let room = self.room(packet.at, packet.end(), next);
        if room.end <= room.start.max(frame.at) {
            // Its time has passed, or its place is taken: the packets came in another order than
            // they were promised in.
            self.missed += 1;
            return;
        }
        self.decode(packet);
        self.last = Some(Played {
            sequence: packet.sequence,
            end: packet.end(),
            position: frame.position_of(packet.end()),
            samples: packet.samples,
        });
    }

    fn decode(&mut self, packet: &QueuedPacket) {
        let codec = packet.codec;
        if self.decoder.as_ref().is_none_or(|(of, _)| *of != codec) {
            self.decoder = Some((codec, codec.decoder()));
        }
        self.current.resize(usize::from(packet.samples), 0);
        self.current_at = packet.at;
        if let Some((_, decoder)) = &mut self.decoder
            && decoder.decode(&packet.payload, &mut self.current).is_err()
        {
            self.current.fill(0);
        }
        if packet.stretch != 0 {
            let mut held = [0; MAX_PACKET_SAMPLES];
            let source = &mut held[..self.current.len()];
            source.copy_from_slice(&self.current);
            self.current.resize(source.len().wrapping_add_signed(isize::from(packet.stretch)), 0);
            resample(source, &mut self.current);
        }
    }
}

/// `source` over the length of `out`, first and last sample kept: cubic (Catmull-Rom), since a
/// straight line between neighbours would dull the packet's upper octave.
fn resample(source: &[i16], out: &mut [i16]) {
    let last = source.len() - 1;
    let step = last as f32 / (out.len() - 1).max(1) as f32;
    for (index, sample) in out.iter_mut().enumerate() {
        let place = index as f32 * step;
        let whole = (place as usize).min(last);
        let t = place - whole as f32;
        let point = |offset: isize| f32::from(source[whole.saturating_add_signed(offset).min(last)]);
        let (a, b, c, d) = (point(-1), point(0), point(1), point(2));
        let curve =
            b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)));
        *sample = curve.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME;
    use crate::gaps::Explained;

    const HEARD: Heard = Heard { stream: 7, leg: Some(1) };

    fn packet(sequence: i64, at: i64) -> QueuedPacket {
        QueuedPacket {
            sequence,
            ticks: 0,
            at,
            samples: 160,
            stretch: 0,
            codec: Codec::Pcma,
            payload: Vec::new(),
        }
    }

    /// Plays frames 0..count of a queue; A-law code 0xd5 is the sample 8.
    fn play(queue: &mut PacketQueue, count: i64) -> (Vec<i16>, GapLog) {
        let (mut playout, mut gaps, mut samples) = (Playout::default(), GapLog::default(), Vec::new());
        for frame in 0..count {
            let mut plane = [0; FRAME_SAMPLES];
            let at = 1000 + frame * FRAME;
            let place = FramePlace { at, position: (at - 1000) as u64, samples: FRAME, deadline: Nanos::MAX };
            playout.render(queue, place, HEARD, &mut gaps, &mut plane);
            samples.extend_from_slice(&plane);
        }
        (samples, gaps)
    }

    #[test]
    fn packets_that_lie_across_frames_are_played_where_they_lie() {
        let mut queue = PacketQueue::default();
        queue.insert(packet(0, 1100), &[0xd5; 160]);
        let (samples, gaps) = play(&mut queue, 3);
        let heard: Vec<bool> = samples.iter().map(|&sample| sample == 8).collect();
        let expected: Vec<bool> = (0..480).map(|index| (100..260).contains(&index)).collect();
        assert_eq!(heard, expected);
        assert!(gaps.list(Explained::default()).is_empty());
    }

    #[test]
    fn packets_that_overlap_are_heard_once_each_up_to_the_next() {
        let mut queue = PacketQueue::default();
        // 0x55 is -8, 0xd5 is 8. The second has no room, the fourth only up to the fifth.
        let places = [(0, 1000, 0xd5), (1, 1160, 0x55), (2, 1160, 0xd5), (3, 1300, 0x55), (4, 1380, 0xd5)];
        for (sequence, at, code) in places {
            queue.insert(packet(sequence, at), &[code; 160]);
        }
        let (mut playout, mut gaps, mut samples) = (Playout::default(), GapLog::default(), Vec::new());
        let mut played = 0;
        for at in [1000, 1160, 1320, 1480] {
            let mut plane = [0; FRAME_SAMPLES];
            let place = FramePlace { at, position: (at - 1000) as u64, samples: FRAME, deadline: Nanos::MAX };
            played += playout.render(&mut queue, place, HEARD, &mut gaps, &mut plane);
            samples.extend_from_slice(&plane);
        }
        let runs: Vec<(i16, usize)> =
            samples.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        assert_eq!(runs, [(8, 300), (-8, 80), (8, 160), (0, 100)]);
        assert_eq!((played, playout.missed), (540, 1));
    }

    #[test]
    fn a_hole_with_a_lost_packet_is_a_gap_and_one_without_is_silence() {
        let mut queue = PacketQueue::default();
        queue.insert(packet(0, 1000), &[0xd5; 160]);
        queue.insert(packet(2, 1320), &[0xd5; 160]);
        queue.insert(packet(3, 2280), &[0xd5; 160]);
        let (_, gaps) = play(&mut queue, 10);
        let list = gaps.list(Explained::default());
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].at_ms, list[0].duration_ms, list[0].stream), (20, 20, Some(7)));
    }

    #[test]
    fn a_packet_without_speech_fills_its_number() {
        let mut queue = PacketQueue::default();
        queue.insert(packet(0, 1000), &[0xd5; 160]);
        queue.note_speechless(1, Nanos::ZERO);
        queue.insert(packet(2, 1320), &[0xd5; 160]);
        let (_, gaps) = play(&mut queue, 10);
        assert!(gaps.list(Explained::default()).is_empty());
    }

    #[test]
    fn resampling_keeps_a_tone() {
        let tone = |count: usize, length: f64| -> Vec<i16> {
            (0..count)
                .map(|n| (n as f64 / (length - 1.0) * 40.0 * std::f64::consts::PI).sin() * 8000.0)
                .map(|value| value.round() as i16)
                .collect()
        };
        let source = tone(160, 160.0);
        for length in [159, 161] {
            let mut out = vec![0; length];
            resample(&source, &mut out);
            let expected = tone(length, length as f64);
            let worst = out.iter().zip(&expected).map(|(a, b)| (a - b).abs()).max().unwrap();
            assert!(worst < 250, "off by {worst}");
        }
    }
}
