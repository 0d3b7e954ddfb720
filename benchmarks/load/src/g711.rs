//! G.711 encoding, written apart from the sensor's decoder so that neither can hide the other's fault.

use serde::{Deserialize, Serialize};

/// The codecs that the generator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 µ-law, payload type 0.
    #[serde(rename = "PCMU")]
    Pcmu,
    /// G.711 A-law, payload type 8.
    #[serde(rename = "PCMA")]
    Pcma,
}

impl Codec {
    /// The static payload type (RFC 3551, table 4).
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The encoding name.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The other law.
    pub const fn other(self) -> Codec {
        match self {
            Codec::Pcmu => Codec::Pcma,
            Codec::Pcma => Codec::Pcmu,
        }
    }

    /// The code of a 16-bit sample.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Codec::Pcmu => mu_law(sample),
            Codec::Pcma => a_law(sample),
        }
    }
}

/// µ-law (G.711, table 2) with the customary bias of 132 at 16 bits.
fn mu_law(sample: i16) -> u8 {
    const BIAS: u16 = 132;
    const CLIP: u16 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(CLIP) + BIAS;
    let exponent = (15 - magnitude.leading_zeros() as u8) - 7;
    let mantissa = (magnitude >> (exponent + 3)) as u8 & 0x0f;
    !(sign | exponent << 4 | mantissa)
}

/// A-law (G.711, table 1) with every second bit inverted.
fn a_law(sample: i16) -> u8 {
    let (mask, magnitude) = if sample >= 0 { (0xd5, sample as u16) } else { (0x55, !sample as u16) };
    let magnitude = magnitude >> 4;
    if magnitude < 16 {
        return magnitude as u8 ^ mask;
    }
    let exponent = (15 - magnitude.leading_zeros() as u8) - 3;
    let mantissa = (magnitude >> (exponent - 1)) as u8 & 0x0f;
    (exponent << 4 | mantissa) ^ mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_of_the_recommendation() {
        assert_eq!(mu_law(0), 0xff);
        assert_eq!(mu_law(-1), 0x7f);
        assert_eq!(mu_law(i16::MAX), 0x80);
        assert_eq!(mu_law(i16::MIN), 0x00);
        assert_eq!(a_law(0), 0xd5);
        assert_eq!(a_law(-1), 0x55);
        assert_eq!(a_law(i16::MAX), 0xaa);
        assert_eq!(a_law(i16::MIN), 0x2a);
    }

    #[test]
    fn louder_samples_never_get_a_quieter_code() {
        for (codec, order) in [(Codec::Pcmu, 0x7f), (Codec::Pcma, 0x55)] {
            let loudness: Vec<u8> = (0..=i16::MAX).map(|s| (codec.encode(s) & 0x7f) ^ order).collect();
            assert!(loudness.is_sorted(), "{codec:?}");
        }
    }
}
