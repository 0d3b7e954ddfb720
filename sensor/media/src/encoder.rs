//! The encoder of a recording: frames in, a container's bytes out, continued after a crash from
//! what was kept elsewhere.

use nightjar_codec::{EncodeError, OpusSettings};
use serde::{Deserialize, Serialize};

use crate::{AudioFrame, ChannelLayout, FrameSink, OggOpusPoint, OggOpusWriter, OpusLayout, WavWriter};

/// What a recording is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncoderConfig {
    /// 16-bit PCM at 8 kHz.
    Wav {
        /// Its channels.
        channels: ChannelLayout,
    },
    /// Ogg Opus.
    OggOpus {
        /// How the channels are coded.
        layout: OpusLayout,
        /// bit/s of all channels together.
        bitrate: i32,
        /// libopus's complexity, 0..=10.
        complexity: i32,
    },
}

impl EncoderConfig {
    /// Ogg Opus as it is stored by default: the least CPU at a rate that speech does not suffer at.
    pub const fn ogg_opus(layout: OpusLayout) -> EncoderConfig {
        EncoderConfig::OggOpus { layout, bitrate: layout.default_bitrate(), complexity: 0 }
    }

    /// The channels of the frames that it takes.
    pub const fn channels(&self) -> ChannelLayout {
        match self {
            EncoderConfig::Wav { channels } => *channels,
            EncoderConfig::OggOpus { layout, .. } => layout.channels(),
        }
    }
}

/// Where a recording was cut, and can be continued to the very same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncoderPoint {
    /// After this many samples per channel.
    Wav {
        /// Samples per channel that were written.
        samples: u64,
    },
    /// Between two pages.
    OggOpus(OggOpusPoint),
}

impl EncoderPoint {
    /// Samples per channel that the bytes so far hold: the next frame begins there.
    pub const fn samples(&self) -> u64 {
        match self {
            EncoderPoint::Wav { samples } => *samples,
            EncoderPoint::OggOpus(point) => point.samples,
        }
    }
}

/// A recording in the making.
pub enum Encoder {
    /// WAV; its header comes last, by [`Encoder::header`].
    Wav(WavWriter),
    /// Ogg Opus.
    OggOpus(Box<OggOpusWriter>),
}

impl Encoder {
    /// A new recording; what stands at its start is appended to `out`. `serial` names the Ogg
    /// stream and comes from the recording's id.
    ///
    /// # Errors
    /// [`EncodeError`] when libopus has no memory or a setting is out of range.
    pub fn new(config: &EncoderConfig, serial: u32, out: &mut Vec<u8>) -> Result<Encoder, EncodeError> {
        Ok(match *config {
            EncoderConfig::Wav { channels } => Encoder::Wav(WavWriter::new(channels, 0)),
            EncoderConfig::OggOpus { layout, bitrate, complexity } => {
                let settings = OpusSettings { bitrate, complexity };
                Encoder::OggOpus(Box::new(OggOpusWriter::new(layout, settings, serial, out)?))
            }
        })
    }

    /// Continues a recording whose bytes up to `point` are kept elsewhere. A point of the other
    /// container or of another layout starts nothing: the configuration has changed meanwhile, and
    /// `None` says so.
    ///
    /// # Errors
    /// Like [`new`](Encoder::new)'s.
    pub fn resume(config: &EncoderConfig, point: EncoderPoint) -> Result<Option<Encoder>, EncodeError> {
        Ok(match (*config, point) {
            (EncoderConfig::Wav { channels }, EncoderPoint::Wav { samples }) => {
                Some(Encoder::Wav(WavWriter::new(channels, samples)))
            }
            (EncoderConfig::OggOpus { layout, bitrate, complexity }, EncoderPoint::OggOpus(point))
                if layout == point.layout =>
            {
                let settings = OpusSettings { bitrate, complexity };
                Some(Encoder::OggOpus(Box::new(OggOpusWriter::resume(settings, point)?)))
            }
            _ => None,
        })
    }

    /// Appends what the next frame adds to `out`; Ogg pages come a second at a time.
    ///
    /// # Panics
    /// When the frame has other channels than the recording.
    pub fn frame(&mut self, frame: &AudioFrame, out: &mut Vec<u8>) {
        match self {
            Encoder::Wav(writer) => writer.frame(frame, out),
            Encoder::OggOpus(writer) => writer.frame(frame, out),
        }
    }

    /// Appends the recording's end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Encoder::OggOpus(writer) = self {
            writer.finish(out);
        }
    }

    /// What goes before all bytes when the recording is complete; empty for Ogg.
    pub fn header(&self) -> Vec<u8> {
        match self {
            Encoder::Wav(writer) => writer.header().to_vec(),
            Encoder::OggOpus(_) => Vec::new(),
        }
    }

    /// Says after how many samples per channel it will be cut, those included that the cut is told
    /// of. Who does not, pays with memory: see [`OggOpusWriter::expect_cut`].
    pub fn expect_cut(&mut self, samples: u64) {
        if let Encoder::OggOpus(writer) = self {
            writer.expect_cut(samples);
        }
    }

    /// Makes what was encoded so far whole, so that [`Encoder::resume`] can go on behind it. A
    /// recording's bytes depend on where it is cut. The `silent` next frames lie before the cut and
    /// are silent, if they belong to the recording at all.
    pub fn cut(&mut self, silent: u64, out: &mut Vec<u8>) {
        if let Encoder::OggOpus(writer) = self {
            writer.cut(silent, out);
        }
    }

    /// Where the recording can be continued from the bytes so far; `None` when something was
    /// encoded since it was cut.
    pub fn point(&self) -> Option<EncoderPoint> {
        match self {
            Encoder::Wav(writer) => Some(EncoderPoint::Wav { samples: writer.samples() }),
            Encoder::OggOpus(writer) => writer.point().map(EncoderPoint::OggOpus),
        }
    }
}

/// Encodes every frame into a buffer.
pub struct EncoderSink<'a> {
    /// The recording.
    pub encoder: &'a mut Encoder,
    /// Where its bytes go.
    pub out: &'a mut Vec<u8>,
}

impl FrameSink for EncoderSink<'_> {
    fn frame(&mut self, frame: &AudioFrame) {
        self.encoder.frame(frame, self.out);
    }
}
