//! The Opus encoder (RFC 6716) over libopus, set up for telephone speech at 8 kHz.

use opus::{Application, Bitrate, Channels, Encoder, Signal};

/// Room that an encoded 20 ms packet needs at most (RFC 6716, 3.4: a frame has 1275 bytes or less).
pub const MAX_PACKET_BYTES: usize = 1276;

/// How the channels of the input are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusChannels {
    /// One channel.
    Mono,
    /// Two channels in one coupled stream.
    Stereo,
}

impl OpusChannels {
    /// The number of channels.
    pub const fn count(self) -> usize {
        match self {
            OpusChannels::Mono => 1,
            OpusChannels::Stereo => 2,
        }
    }
}

/// What an encoder trades: bytes against quality against CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusSettings {
    /// Target bit rate of the whole stream, bit/s; variable around it.
    pub bitrate: i32,
    /// libopus's complexity, 0..=10.
    pub complexity: i32,
}

/// libopus refused a call: out of memory or a setting out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError;

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("libopus refused a setting or an allocation")
    }
}

impl std::error::Error for EncodeError {}

impl From<opus::Error> for EncodeError {
    fn from(_: opus::Error) -> EncodeError {
        EncodeError
    }
}

/// A 20 ms packet that decodes to exact silence whatever came before it: CELT, narrowband, one
/// frame whose first symbol is the silence flag (RFC 6716, 4.3). `[mono, stereo]`. A packet without
/// a frame (DTX) would make the decoder go on with comfort noise from its last estimate.
pub const SILENT_PACKET: [[u8; 3]; 2] = [[0x98, 0xff, 0xfe], [0x9c, 0xff, 0xfe]];

/// One Opus stream's encoder. State: 32 KB mono, 49 KB stereo.
pub struct OpusEncoder {
    encoder: Encoder,
    channels: OpusChannels,
}

impl OpusEncoder {
    /// Input sample rate in Hz.
    pub const SAMPLE_RATE: u32 = 8000;

    /// An encoder for speech at 8 kHz, VBR.
    ///
    /// # Errors
    /// [`EncodeError`] when libopus has no memory or a setting is out of range.
    pub fn new(channels: OpusChannels, settings: OpusSettings) -> Result<OpusEncoder, EncodeError> {
        let count = match channels {
            OpusChannels::Mono => Channels::Mono,
            OpusChannels::Stereo => Channels::Stereo,
        };
        let mut encoder = Encoder::new(Self::SAMPLE_RATE, count, Application::Voip)?;
        encoder.set_bitrate(Bitrate::Bits(settings.bitrate))?;
        encoder.set_complexity(settings.complexity)?;
        encoder.set_vbr(true)?;
        encoder.set_signal(Signal::Voice)?;
        // Below 20 kbit/s libopus would turn two parties into one channel without a word.
        encoder.set_force_channels(Some(count))?;
        Ok(OpusEncoder { encoder, channels })
    }

    /// Samples per channel by which the output lags the input, at the input's rate.
    ///
    /// # Errors
    /// [`EncodeError`] when libopus does not say.
    pub fn lookahead(&mut self) -> Result<usize, EncodeError> {
        Ok(usize::try_from(self.encoder.get_lookahead()?).unwrap_or(0))
    }

    /// Encodes one frame of interleaved samples (2.5 to 60 ms) into `out` and returns the packet's
    /// length in bytes.
    ///
    /// # Errors
    /// [`EncodeError`] when the frame's length is none of Opus's or `out` is too small.
    pub fn encode(&mut self, frame: &[i16], out: &mut [u8]) -> Result<usize, EncodeError> {
        Ok(self.encoder.encode(frame, out)?)
    }

    /// Forgets what was encoded. After [`SILENT_PACKET`] a decoder that meets speech again starts
    /// from a fresh state, and so must the encoder.
    ///
    /// # Errors
    /// [`EncodeError`] when libopus refuses.
    pub fn reset(&mut self) -> Result<(), EncodeError> {
        Ok(self.encoder.reset_state()?)
    }

    /// The packet that stands for a silent frame.
    pub fn silent_packet(&self) -> &'static [u8] {
        &SILENT_PACKET[self.channels.count() - 1]
    }
}
