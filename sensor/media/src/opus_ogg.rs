//! Ogg Opus (RFC 7845): frames in, pages of a second out, the length exact to the sample.

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

    /// The bit rate that speech needs, in bit/s for all channels together. Below 20 kbit/s libopus
    /// would give up the second channel of a coupled stream.
    pub const fn default_bitrate(self) -> i32 {
        match self {
            OpusLayout::Mono => 12_000,
            OpusLayout::Coupled | OpusLayout::Parties => 24_000,
        }
    }
}

/// Where a stream can be continued: the end of the last page that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OggOpusPoint {
    /// The logical stream's serial.
    pub serial: u32,
    /// The next page's number.
    pub page_sequence: u32,
    /// The granule position so far, in samples of 48 kHz, the pre-skip counted.
    pub granule: u64,
    /// Samples per channel, at [`SAMPLE_RATE`], that are in the pages: the frames to go on with
    /// begin there.
    pub samples: u64,
}

/// One stream's encoder with its gate.
struct Voice {
    encoder: OpusEncoder,
    gate: Gate,
}

/// A recording in the making. State: one or two encoders and the open page.
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
    /// Interleaved samples and the packet, kept to spare allocations.
    interleaved: Vec<i16>,
    packet: Vec<u8>,
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
        let start = OggOpusPoint { serial, page_sequence: 0, granule: 0, samples: 0 };
        let mut writer = OggOpusWriter::resume(layout, settings, start)?;
        let head = writer.head();
        writer.pages.push(&head);
        writer.pages.flush(0, PageFlag::FirstOfStream, out);
        writer.pages.push(&tags());
        writer.pages.flush(0, PageFlag::None, out);
        Ok(writer)
    }

    /// Continues a stream after its last whole page. The encoder starts afresh: the first 6.5 ms
    /// are faded in unless [`prime`](OggOpusWriter::prime) tells it what came before.
    ///
    /// # Errors
    /// Like [`new`](OggOpusWriter::new)'s.
    pub fn resume(
        layout: OpusLayout,
        settings: OpusSettings,
        point: OggOpusPoint,
    ) -> Result<OggOpusWriter, EncodeError> {
        let (channels, count) = match layout {
            OpusLayout::Mono => (OpusChannels::Mono, 1),
            OpusLayout::Coupled => (OpusChannels::Stereo, 1),
            OpusLayout::Parties => (OpusChannels::Mono, 2),
        };
        let settings = OpusSettings { bitrate: settings.bitrate / count, ..settings };
        let mut voices = Vec::new();
        let mut lookahead = 0;
        for _ in 0..count {
            let mut encoder = OpusEncoder::new(channels, settings)?;
            lookahead = encoder.lookahead()?;
            voices.push(Voice { encoder, gate: Gate::default() });
        }
        Ok(OggOpusWriter {
            layout,
            voices,
            pages: PageWriter::new(point.serial, point.page_sequence),
            pre_skip: lookahead as u64 * GRANULES_PER_SAMPLE,
            packets: point.granule / PACKET_GRANULES,
            open_packets: 0,
            samples: point.samples,
            serial: point.serial,
            interleaved: Vec::new(),
            packet: Vec::new(),
        })
    }

    /// Tells the encoder of a stream that is continued what the frame before sounded like.
    pub fn prime(&mut self, frame: &AudioFrame) {
        self.encode(Some(frame));
    }

    /// Encodes the next frame. A page that is full goes to `out` first.
    ///
    /// # Panics
    /// When the frame has other channels than the layout.
    pub fn frame(&mut self, frame: &AudioFrame, out: &mut Vec<u8>) {
        assert_eq!(frame.channels, self.layout.channels(), "a frame of another layout");
        self.encode(Some(frame));
        self.page_packet(out);
        self.samples += frame.len as u64;
    }

    /// Ends the stream: the last page says where the last sample lies (RFC 7845, 4.4).
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let end = self.samples * GRANULES_PER_SAMPLE + self.pre_skip;
        while self.packets * PACKET_GRANULES < end {
            self.encode(None);
            self.page_packet(out);
        }
        self.pages.flush(end, PageFlag::LastOfStream, out);
    }

    /// Where the stream can be continued from what is in `out` so far.
    pub fn point(&self) -> OggOpusPoint {
        let packets = self.packets - self.open_packets;
        OggOpusPoint {
            serial: self.serial,
            page_sequence: self.pages.sequence(),
            granule: packets * PACKET_GRANULES,
            samples: packets * FRAME_SAMPLES as u64,
        }
    }

    /// Puts the packet on the open page; a full page is written only now, since the last one of
    /// all must not be empty.
    fn page_packet(&mut self, out: &mut Vec<u8>) {
        if self.open_packets == PAGE_PACKETS || !self.pages.fits(self.packet.len()) {
            self.pages.flush(self.packets * PACKET_GRANULES, PageFlag::None, out);
            self.open_packets = 0;
        }
        self.pages.push(&self.packet);
        self.packets += 1;
        self.open_packets += 1;
    }

    /// Encodes a frame, or silence after the last, into `self.packet`.
    fn encode(&mut self, frame: Option<&AudioFrame>) {
        self.packet.clear();
        match self.layout {
            OpusLayout::Mono => self.encode_voice(0, frame, &[0]),
            OpusLayout::Coupled => self.encode_voice(0, frame, &[0, 1]),
            OpusLayout::Parties => {
                self.encode_voice(0, frame, &[0]);
                self.delimit();
                self.encode_voice(1, frame, &[1]);
            }
        }
    }

    fn encode_voice(&mut self, voice: usize, frame: Option<&AudioFrame>, channels: &[usize]) {
        let Voice { encoder, gate } = &mut self.voices[voice];
        let sound = frame.is_some_and(|frame| {
            channels.iter().any(|&channel| frame.heard(channel) && is_sound(frame.plane(channel)))
        });
        let activity = gate.judge(sound);
        if activity == Activity::Closed {
            self.packet.extend_from_slice(encoder.silent_packet());
            return;
        }
        if activity == Activity::Opens {
            encoder.reset().expect("an encoder can be reset");
        }
        self.interleaved.clear();
        self.interleaved.resize(FRAME_SAMPLES * channels.len(), 0);
        for (offset, &channel) in channels.iter().enumerate() {
            let plane = frame.map_or(&[][..], |frame| frame.plane(channel));
            let slots = self.interleaved[offset..].iter_mut().step_by(channels.len());
            slots.zip(plane).for_each(|(slot, &sample)| *slot = sample);
        }
        let start = self.packet.len();
        self.packet.resize(start + MAX_PACKET_BYTES, 0);
        let len = encoder
            .encode(&self.interleaved, &mut self.packet[start..])
            .expect("20 ms fit into an Opus packet");
        self.packet.truncate(start + len);
    }

    /// Makes the packet so far, one frame of code 0, self-delimiting: its length follows the first
    /// byte (RFC 6716, appendix B).
    fn delimit(&mut self) {
        let len = self.packet.len() - 1;
        if len < 252 {
            self.packet.insert(1, len as u8);
        } else {
            let low = 252 + len % 4;
            self.packet.splice(1..1, [low as u8, ((len - low) / 4) as u8]);
        }
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

/// OpusTags (RFC 7845, 5.2) without a comment.
fn tags() -> Vec<u8> {
    let mut tags = Vec::with_capacity(24);
    tags.extend_from_slice(b"OpusTags");
    tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
    tags.extend_from_slice(VENDOR);
    tags.extend_from_slice(&0u32.to_le_bytes());
    tags
}
