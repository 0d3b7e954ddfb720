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

#[cfg(test)]
mod tests {
    use super::*;
    use opus::Decoder;

    /// 20 ms of 400 Hz on the left, nothing on the right.
    fn frame(index: usize) -> Vec<i16> {
        (0..160)
            .flat_map(|n| {
                let t = (index * 160 + n) as f64 / 8000.0;
                [(8000.0 * (2.0 * std::f64::consts::PI * 400.0 * t).sin()) as i16, 0]
            })
            .collect()
    }

    fn peaks(samples: &[i16]) -> [u16; 2] {
        [0, 1].map(|channel| {
            samples.iter().skip(channel).step_by(2).map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
        })
    }

    #[test]
    fn two_parties_stay_apart() {
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let mut encoder = OpusEncoder::new(OpusChannels::Stereo, settings).unwrap();
        let mut decoder = Decoder::new(8000, Channels::Stereo).unwrap();
        let (mut packet, mut out) = ([0; MAX_PACKET_BYTES], [0; 320]);
        for index in 0..50 {
            let len = encoder.encode(&frame(index), &mut packet).unwrap();
            decoder.decode(&packet[..len], &mut out, false).unwrap();
        }
        let [left, right] = peaks(&out);
        assert!(left > 6000 && right < 300, "{left} {right}");
    }

    #[test]
    fn the_silent_packet_is_silence_in_the_midst_of_a_tone() {
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let mut encoder = OpusEncoder::new(OpusChannels::Stereo, settings).unwrap();
        let mut decoder = Decoder::new(8000, Channels::Stereo).unwrap();
        let (mut packet, mut out) = ([0; MAX_PACKET_BYTES], [0; 320]);
        for index in 0..20 {
            let len = encoder.encode(&frame(index), &mut packet).unwrap();
            decoder.decode(&packet[..len], &mut out, false).unwrap();
        }
        assert_eq!(decoder.decode(encoder.silent_packet(), &mut out, false).unwrap(), 160);
        // The first one fades; from the second on nothing is left.
        for _ in 0..5 {
            assert_eq!(decoder.decode(encoder.silent_packet(), &mut out, false).unwrap(), 160);
            assert!(peaks(&out).into_iter().max() <= Some(1));
        }
    }

    #[test]
    fn settings_out_of_range_are_errors() {
        let settings = OpusSettings { bitrate: 24_000, complexity: 11 };
        assert!(OpusEncoder::new(OpusChannels::Mono, settings).is_err());
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let mut encoder = OpusEncoder::new(OpusChannels::Mono, settings).unwrap();
        assert_eq!(encoder.encode(&[0; 161], &mut [0; MAX_PACKET_BYTES]), Err(EncodeError));
    }
}
