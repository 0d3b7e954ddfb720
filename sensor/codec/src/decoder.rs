//! The contract that every codec's decoder keeps, and the choice of a decoder by its SDP name.

use serde::{Deserialize, Serialize};

use crate::{G711, Law};

/// Why a payload did not become samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// `out` is smaller than the samples that the payload holds.
    Room,
    /// The payload breaks the codec's format.
    Corrupt,
}

/// Turns the payloads of one stream, in order, into linear samples.
pub trait Decoder {
    /// Sample rate of the output in Hz.
    fn sample_rate(&self) -> u32;

    /// Samples that `payload` holds, found without decoding it.
    ///
    /// # Errors
    /// [`DecodeError::Corrupt`] when its length or header fits no frame.
    fn samples(&self, payload: &[u8]) -> Result<usize, DecodeError>;

    /// Decodes `payload` into the front of `out` and returns the number of samples.
    ///
    /// # Errors
    /// [`DecodeError`]; `out` then holds nothing of use.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError>;
}

/// A codec that can be decoded: small enough to stand beside each queued packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// The codec with this encoding name (RFC 8866, 6.6: letter case does not matter) and clock
    /// rate in Hz; `None` for one that nothing here decodes.
    pub fn from_sdp(name: &str, clock_rate: u32, channels: u8) -> Option<Codec> {
        if clock_rate != 8000 || channels > 1 {
            return None;
        }
        if name.eq_ignore_ascii_case("PCMU") {
            Some(Codec::Pcmu)
        } else if name.eq_ignore_ascii_case("PCMA") {
            Some(Codec::Pcma)
        } else {
            None
        }
    }

    /// The codec of a static payload type (RFC 3551, table 4).
    pub fn from_static(payload_type: u8) -> Option<Codec> {
        match payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            _ => None,
        }
    }

    /// A fresh decoder.
    pub fn decoder(self) -> AudioDecoder {
        match self {
            Codec::Pcmu => AudioDecoder::G711(G711::new(Law::Mu)),
            Codec::Pcma => AudioDecoder::G711(G711::new(Law::A)),
        }
    }
}

/// Any decoder of this crate, without a box.
#[derive(Clone, Debug)]
pub enum AudioDecoder {
    /// G.711, either law.
    G711(G711),
}

impl Decoder for AudioDecoder {
    fn sample_rate(&self) -> u32 {
        match self {
            AudioDecoder::G711(decoder) => decoder.sample_rate(),
        }
    }

    fn samples(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        match self {
            AudioDecoder::G711(decoder) => decoder.samples(payload),
        }
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        match self {
            AudioDecoder::G711(decoder) => decoder.decode(payload, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_found_by_name_rate_and_static_type() {
        assert_eq!(Codec::from_sdp("pcma", 8000, 1), Some(Codec::Pcma));
        assert_eq!(Codec::from_sdp("PCMU", 8000, 0), Some(Codec::Pcmu));
        assert_eq!(Codec::from_sdp("PCMU", 16_000, 1), None);
        assert_eq!(Codec::from_sdp("PCMU", 8000, 2), None);
        assert_eq!(Codec::from_sdp("G729", 8000, 1), None);
        assert_eq!(Codec::from_static(0), Some(Codec::Pcmu));
        assert_eq!(Codec::from_static(8), Some(Codec::Pcma));
        assert_eq!(Codec::from_static(9), None);
    }
}
