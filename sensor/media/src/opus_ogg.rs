//! Ogg Opus (RFC 7845): frames in, pages of a second out, the length exact to the sample.

use std::collections::VecDeque;

use nightjar_codec::{EncodeError, MAX_PACKET_BYTES, OpusChannels, OpusEncoder, OpusSettings};
use serde::{Deserialize, Serialize};

use crate::frame::FRAME_SAMPLES;
use crate::gate::{Activity, Gate, is_sound};
use crate::ogg::{PageFlag, PageWriter};
use crate::{AudioFrame, ChannelLayout, SAMPLE_RATE};

/// Opus counts in samples of 48 kHz whatever the input's rate.
const GRANULES_PER_SAMPLE: u64 = 48_000 / SAMPLE_RATE as u64;

/// Granules of one packet.
const PACKET_GRANULES: u64 = FRAME_SAMPLES as u64 * GRANULES_PER_SAMPLE;

/// Packets of a page: 1 s.
const PAGE_PACKETS: u64 = 50;

/// Frames that an encoder which begins anew is told of: with fewer it would predict from a past that
/// the decoder does not have.
const REHEARSED: usize = 10;
const REHEARSED_SAMPLES: u64 = (REHEARSED * FRAME_SAMPLES) as u64;

/// The name that stands in OpusTags; nothing of the call does.
const VENDOR: &[u8] = b"Nightjar";

/// How a recording's channels are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpusLayout {
    /// One channel.
    Mono,
    /// Two channels, coded together.
    Coupled,
    /// Two channels, each with an encoder and a gate of its own: mapping family 1, two streams,
    /// none coupled. The silent party costs nothing while the other speaks.
    Parties,
}

impl OpusLayout {
    /// The frames that it takes.
    pub const fn channels(self) -> ChannelLayout {
        match self {
            OpusLayout::Mono => ChannelLayout::Mono,
            OpusLayout::Coupled | OpusLayout::Parties => ChannelLayout::Stereo,
        }
    }

    /// The bit rate of one party who speaks is 16 kbit/s: with 12, SILK has too few bits for some steady
    /// tones behind G.711's noise (half of what is heard of 1,050 Hz is distortion). In bit/s for all
    /// channels together.
    pub const fn default_bitrate(self) -> i32 {
        match self {
            OpusLayout::Mono => 16_000,
            OpusLayout::Coupled | OpusLayout::Parties => 32_000,
        }
    }
}

/// Where a stream was cut, and can be continued: between two pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OggOpusPoint {
    /// How its channels are coded: the header that is written says so.
    pub layout: OpusLayout,
    /// The logical stream's serial.
    pub serial: u32,
    /// The next page's number.
    pub page_sequence: u32,
    /// The granule position so far, in samples of 48 kHz, the pre-skip counted.
    pub granule: u64,
    /// Samples per channel, at [`SAMPLE_RATE`], that are in the pages: the frames to go on with
    /// begin there.
    pub samples: u64,
    /// For how many frames each gate stays open.
    open_for: [u32; 2],
    /// The frames before, when a gate is open.
    before: Vec<i16>,
    /// The next packets.
    tail: Vec<Vec<u8>>,
}

/// One stream's gate, and its encoder while the gate is open: who is silent needs no memory, and
/// who speaks again needs a fresh encoder.
struct Voice {
    channels: OpusChannels,
    settings: OpusSettings,
    gate: Gate,
    encoder: Option<OpusEncoder>,
}

/// A recording in the making. State: the encoders of those who speak, and the open page.
pub struct OggOpusWriter {
    layout: OpusLayout,
    voices: Vec<Voice>,
    pages: PageWriter,
    /// Samples of 48 kHz that a decoder drops at the start.
    pre_skip: u64,
    /// Packets so far, those of the open page, and samples per channel so far.
    packets: u64,
    open_packets: u64,
    samples: u64,
    serial: u32,
    /// Where it will be cut next, in samples per channel, if that is known.
    next_cut: Option<u64>,
    /// The latest frames' samples, channel after channel, while a cut may be near: what an encoder
    /// that begins anew is told first.
    before: VecDeque<i16>,
    /// The packets of the silent frames to come that lay before the cut: the encoders of before have
    /// made them, so there is no joint in the end of what was said.
    tail: VecDeque<Vec<u8>>,
    /// Nothing was encoded since the stream began or was cut.
    is_cut: bool,
}

/// An encoded packet, on the stack: ten thousand calls need not keep one each.
struct Packet {
    /// Two streams, the first with its length.
    bytes: [u8; 2 * MAX_PACKET_BYTES + 2],
    len: usize,
}

impl Packet {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl OggOpusWriter {
    /// A new stream; its two header pages (RFC 7845, 5) are appended to `out`.
    ///
    /// # Errors
    /// [`EncodeError`] when libopus has no memory or a setting is out of range.
    pub fn new(
        layout: OpusLayout,
        settings: OpusSettings,
        serial: u32,
        out: &mut Vec<u8>,
    ) -> Result<OggOpusWriter, EncodeError> {
        let (open_for, before, tail) = ([0; 2], Vec::new(), Vec::new());
        let (page_sequence, granule, samples) = (0, 0, 0);
        let start = OggOpusPoint { layout, serial, page_sequence, granule, samples, open_for, before, tail };
        let mut writer = OggOpusWriter::resume(settings, start)?;
        let head = writer.head();
        writer.pages.push(&head);
        writer.pages.flush(0, PageFlag::FirstOfStream, out);
        writer.pages.push(&tags());
        writer.pages.flush(0, PageFlag::None, out);
        Ok(writer)
    }

    /// Continues a stream where it was cut.
    ///
    /// # Errors
    /// Like [`new`](OggOpusWriter::new)'s.
    pub fn resume(settings: OpusSettings, point: OggOpusPoint) -> Result<OggOpusWriter, EncodeError> {
        let layout = point.layout;
        let (channels, count) = match layout {
            OpusLayout::Mono => (OpusChannels::Mono, 1),
            OpusLayout::Coupled => (OpusChannels::Stereo, 1),
            OpusLayout::Parties => (OpusChannels::Mono, 2),
        };
        let settings = OpusSettings { bitrate: settings.bitrate / count as i32, ..settings };
        // The settings are tried out now, where somebody can be told.
        let lookahead = OpusEncoder::new(channels, settings)?.lookahead()?;
        let voice =
            |open_for: &u32| Voice { channels, settings, gate: Gate::opened_for(*open_for), encoder: None };
        let mut writer = OggOpusWriter {
            layout,
            voices: point.open_for[..count].iter().map(voice).collect(),
            pages: PageWriter::new(point.serial, point.page_sequence),
            pre_skip: lookahead as u64 * GRANULES_PER_SAMPLE,
            packets: point.granule / PACKET_GRANULES,
            open_packets: 0,
            samples: point.samples,
            serial: point.serial,
            next_cut: None,
            before: point.before.into(),
            tail: point.tail.into(),
            is_cut: true,
        };
        writer.begin_anew();
        Ok(writer)
    }

    /// It will be cut when it has so many samples per channel, those included that the cut is told of.
    /// Until shortly before nothing is kept for it; who does not say where pays 3.2 KB a channel.
    pub fn expect_cut(&mut self, samples: u64) {
        self.next_cut = Some(samples);
    }

    /// Ends the open page, and lets the encoders begin anew: what follows depends on nothing but
    /// the frames before, which keep the joint from being heard. The next `silent` frames, which lie
    /// before the cut, are known to be silent and not known to belong to the recording.
    pub fn cut(&mut self, silent: u64, out: &mut Vec<u8>) {
        if self.open_packets > 0 {
            self.pages.flush(self.packets * PACKET_GRANULES, PageFlag::None, out);
            self.open_packets = 0;
        }
        if self.is_cut {
            return;
        }
        let frame = AudioFrame::silent(self.layout.channels());
        for _ in self.tail.len() as u64..silent {
            if !self.is_open() {
                break;
            }
            let packet = self.encode(None);
            self.tail.push_back(packet.as_slice().to_vec());
            self.remember(&frame);
        }
        if !self.is_open() {
            self.before = VecDeque::new();
        }
        self.begin_anew();
        self.is_cut = true;
    }

    /// Whether somebody's gate is open.
    fn is_open(&self) -> bool {
        self.voices.iter().any(|voice| voice.gate.is_open())
    }

    /// A gate that is closed has no encoder, and gets a fresh one when it opens.
    fn begin_anew(&mut self) {
        let layout = self.layout;
        let before = &*self.before.make_contiguous();
        for (index, voice) in self.voices.iter_mut().enumerate().filter(|(_, voice)| voice.gate.is_open()) {
            let channels: &[usize] = match layout {
                OpusLayout::Coupled => &[0, 1],
                OpusLayout::Mono | OpusLayout::Parties => &[index],
            };
            voice.begin_anew(before, layout.channels().count(), channels);
        }
    }

    /// Encodes the next frame. A page that is full goes to `out` first.
    ///
    /// # Panics
    /// When the frame has other channels than the layout, or is heard although the latest cut was told
    /// that it is silent.
    pub fn frame(&mut self, frame: &AudioFrame, out: &mut Vec<u8>) {
        assert_eq!(frame.channels, self.layout.channels(), "a frame of another layout");
        let is_heard = (0..frame.channels.count()).any(|channel| frame.heard(channel));
        assert!(self.tail.is_empty() || !is_heard, "a frame that was to be silent");
        if !self.page_tail(out) {
            let packet = self.encode(Some(frame));
            self.page_packet(packet.as_slice(), out);
            match self.next_cut.map(|cut| cut.checked_sub(self.samples)) {
                None | Some(Some(1..=REHEARSED_SAMPLES)) => self.remember(frame),
                Some(_) => self.before = VecDeque::new(),
            }
        }
        self.samples += frame.len as u64;
        self.is_cut = false;
    }

    /// Takes the next packet from those that were made before the cut, if it is among them.
    fn page_tail(&mut self, out: &mut Vec<u8>) -> bool {
        let packet = self.tail.pop_front();
        packet.inspect(|packet| self.page_packet(packet, out)).is_some()
    }

    /// Keeps the frame for the next cut.
    fn remember(&mut self, frame: &AudioFrame) {
        let samples = self.layout.channels().count() * FRAME_SAMPLES;
        self.before.reserve_exact(REHEARSED * samples - self.before.len());
        if self.before.len() == REHEARSED * samples {
            self.before.drain(..samples);
        }
        for channel in 0..self.layout.channels().count() {
            self.before.extend(frame.plane(channel));
        }
    }

    /// Ends the stream: the last page says where the last sample lies (RFC 7845, 4.4).
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let end = self.samples * GRANULES_PER_SAMPLE + self.pre_skip;
        while self.packets * PACKET_GRANULES < end {
            if !self.page_tail(out) {
                let packet = self.encode(None);
                self.page_packet(packet.as_slice(), out);
            }
        }
        self.pages.flush(end, PageFlag::LastOfStream, out);
    }

    /// Where the stream can be continued from what is in `out` so far; `None` when something was
    /// encoded since it was cut.
    pub fn point(&self) -> Option<OggOpusPoint> {
        if !self.is_cut {
            return None;
        }
        let mut open_for = [0; 2];
        open_for.iter_mut().zip(&self.voices).for_each(|(left, voice)| *left = voice.gate.open_for());
        Some(OggOpusPoint {
            layout: self.layout,
            serial: self.serial,
            page_sequence: self.pages.sequence(),
            granule: self.packets * PACKET_GRANULES,
            samples: self.samples,
            open_for,
            before: self.before.iter().copied().collect(),
            tail: self.tail.iter().cloned().collect(),
        })
    }

    /// Puts the packet on the open page; a full page is written only now, since the last one of
    /// all must not be empty.
    fn page_packet(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        if self.open_packets == PAGE_PACKETS || !self.pages.fits(packet.len()) {
            self.pages.flush(self.packets * PACKET_GRANULES, PageFlag::None, out);
            self.open_packets = 0;
        }
        self.pages.push(packet);
        self.packets += 1;
        self.open_packets += 1;
    }

    /// Encodes a frame, or silence after the last.
    fn encode(&mut self, frame: Option<&AudioFrame>) -> Packet {
        let mut packet = Packet { bytes: [0; 2 * MAX_PACKET_BYTES + 2], len: 0 };
        match self.layout {
            OpusLayout::Mono => self.voices[0].encode(frame, &[0], &mut packet),
            OpusLayout::Coupled => self.voices[0].encode(frame, &[0, 1], &mut packet),
            OpusLayout::Parties => {
                self.voices[0].encode(frame, &[0], &mut packet);
                if self.voices[0].encoder.is_some() {
                    packet.restore_zero();
                }
                packet.delimit();
                self.voices[1].encode(frame, &[1], &mut packet);
            }
        }
        packet
    }

    /// OpusHead (RFC 7845, 5.1).
    fn head(&self) -> Vec<u8> {
        let channels = self.layout.channels().count() as u8;
        let mut head = Vec::with_capacity(23);
        head.extend_from_slice(b"OpusHead");
        head.extend_from_slice(&[1, channels]);
        head.extend_from_slice(&(self.pre_skip as u16).to_le_bytes());
        head.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
        head.extend_from_slice(&[0, 0]); // no gain
        match self.layout {
            OpusLayout::Mono | OpusLayout::Coupled => head.push(0),
            // Family 1: two streams, none coupled, left is the first.
            OpusLayout::Parties => head.extend_from_slice(&[1, 2, 0, 0, 1]),
        }
        head
    }
}

impl Voice {
    /// Forgets everything but the frames before, which are encoded once more, for nobody.
    fn begin_anew(&mut self, before: &[i16], all_channels: usize, channels: &[usize]) {
        // The memory of the one before is there for the next.
        self.encoder = None;
        self.encoder = OpusEncoder::new(self.channels, self.settings).ok();
        let Some(encoder) = &mut self.encoder else { return };
        let (mut samples, mut unheard) = ([0; 2 * FRAME_SAMPLES], [0; MAX_PACKET_BYTES]);
        let samples = &mut samples[..channels.len() * FRAME_SAMPLES];
        for frame in before.chunks_exact(all_channels * FRAME_SAMPLES) {
            for (offset, &channel) in channels.iter().enumerate() {
                let plane = &frame[channel * FRAME_SAMPLES..][..FRAME_SAMPLES];
                let slots = samples[offset..].iter_mut().step_by(channels.len());
                slots.zip(plane).for_each(|(slot, &sample)| *slot = sample);
            }
            encoder.encode(samples, &mut unheard).expect("20 ms fit into an Opus packet");
        }
    }

    /// Appends the frame's channels, interleaved and encoded, to `packet`.
    fn encode(&mut self, frame: Option<&AudioFrame>, channels: &[usize], packet: &mut Packet) {
        let sound = frame.is_some_and(|frame| {
            channels.iter().any(|&channel| frame.heard(channel) && is_sound(frame.plane(channel)))
        });
        match self.gate.judge(sound) {
            Activity::Closed => self.encoder = None,
            Activity::Opens => self.encoder = OpusEncoder::new(self.channels, self.settings).ok(),
            Activity::Open => {}
        }
        let room = &mut packet.bytes[packet.len..];
        // Without memory for an encoder this spurt of speech is silence.
        let Some(encoder) = &mut self.encoder else {
            let silent = self.channels.silent_packet();
            room[..silent.len()].copy_from_slice(silent);
            packet.len += silent.len();
            return;
        };
        let mut samples = [0; 2 * FRAME_SAMPLES];
        let samples = &mut samples[..channels.len() * FRAME_SAMPLES];
        for (offset, &channel) in channels.iter().enumerate() {
            let plane = frame.map_or(&[][..], |frame| frame.plane(channel));
            let slots = samples[offset..].iter_mut().step_by(channels.len());
            slots.zip(plane).for_each(|(slot, &sample)| *slot = sample);
        }
        let room = &mut room[..MAX_PACKET_BYTES];
        packet.len += encoder.encode(samples, room).expect("20 ms fit into an Opus packet");
    }
}

impl Packet {
    /// Appends a zero to SILK's frame. libopus strips zeros from its end, and a decoder is to read
    /// zeros behind it (RFC 6716, 4.1); ffmpeg's own reads the next stream's bytes there. One byte is
    /// never enough to be taken for a redundant frame (RFC 6716, 4.5.1).
    fn restore_zero(&mut self) {
        if self.len < MAX_PACKET_BYTES {
            self.bytes[self.len] = 0;
            self.len += 1;
        }
    }

    /// Makes the packet so far, one frame of code 0, self-delimiting: its length follows the first
    /// byte (RFC 6716, appendix B).
    fn delimit(&mut self) {
        let len = self.len - 1;
        let (first, second) =
            if len < 252 { (len, None) } else { (252 + len % 4, Some((len - 252 - len % 4) / 4)) };
        let added = 1 + usize::from(second.is_some());
        self.bytes.copy_within(1..self.len, 1 + added);
        self.bytes[1] = first as u8;
        if let Some(second) = second {
            self.bytes[2] = second as u8;
        }
        self.len += added;
    }
}

/// OpusTags (RFC 7845, 5.2) without a comment.
fn tags() -> Vec<u8> {
    let mut tags = Vec::with_capacity(24);
    tags.extend_from_slice(b"OpusTags");
    tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
    tags.extend_from_slice(VENDOR);
    tags.extend_from_slice(&0u32.to_le_bytes());
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_kept_only_while_a_cut_is_near() {
        let settings = OpusSettings { bitrate: 16_000, complexity: 0 };
        let mut out = Vec::new();
        let mut writer = OggOpusWriter::new(OpusLayout::Mono, settings, 1, &mut out).unwrap();
        let mut frame = AudioFrame::silent(ChannelLayout::Mono);
        frame.mix(0, |plane| {
            plane.fill(5_000);
            true
        });
        let mut kept = Vec::new();
        for index in 0..250 {
            let cut = (index / 100 + 1) * 100;
            writer.expect_cut(cut * FRAME_SAMPLES as u64);
            writer.frame(&frame, &mut out);
            if index + 1 == cut {
                writer.cut(0, &mut out);
            }
            kept.push(writer.before.capacity() / FRAME_SAMPLES);
        }
        let runs: Vec<(usize, usize)> = kept.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        assert_eq!(runs, [(0, 90), (10, 10), (0, 90), (10, 10), (0, 50)]);
    }

    #[test]
    fn a_packet_s_length_follows_its_first_byte() {
        // Lengths and codes of RFC 6716, 3.2.1.
        for (len, code) in
            [(0, vec![0]), (251, vec![251]), (252, vec![252, 0]), (255, vec![255, 0]), (1275, vec![255, 255])]
        {
            let mut packet = Packet { bytes: [0; 2 * MAX_PACKET_BYTES + 2], len: len + 1 };
            packet.bytes[0] = 0x98;
            packet.bytes[1..=len].fill(7);
            packet.delimit();
            let expected = [vec![0x98], code, vec![7; len]].concat();
            assert_eq!(packet.as_slice(), expected);
        }
    }
}
