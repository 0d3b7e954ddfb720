//! G.711: A-law and µ-law by 256-entry tables (ITU-T G.711; the arithmetic that fills the tables
//! follows the ITU-T Software Tool Library, G.191, whose vectors the tests compare with).

use crate::{DecodeError, Decoder};

/// Which of G.711's two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// A-law (PCMA).
    A,
    /// µ-law (PCMU).
    Mu,
}

static A_TABLE: [i16; 256] = expand_all(Law::A);
static MU_TABLE: [i16; 256] = expand_all(Law::Mu);

impl Law {
    /// Linear value of each code, 16 bits left-justified.
    pub fn table(self) -> &'static [i16; 256] {
        match self {
            Law::A => &A_TABLE,
            Law::Mu => &MU_TABLE,
        }
    }

    /// The code of a linear sample, for generators and tests: nothing on the way of a call encodes
    /// G.711.
    pub fn compress(self, sample: i16) -> u8 {
        match self {
            Law::A => compress_a(sample),
            Law::Mu => compress_mu(sample),
        }
    }
}

/// A G.711 decoder: one byte is one sample, and no state is kept.
#[derive(Clone, Debug)]
pub struct G711 {
    table: &'static [i16; 256],
}

impl G711 {
    /// A decoder of the given law.
    pub fn new(law: Law) -> G711 {
        G711 { table: law.table() }
    }
}

impl Decoder for G711 {
    fn sample_rate(&self) -> u32 {
        8000
    }

    fn samples(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        Ok(payload.len())
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        let out = out.get_mut(..payload.len()).ok_or(DecodeError::Room)?;
        for (sample, &code) in out.iter_mut().zip(payload) {
            *sample = self.table[usize::from(code)];
        }
        Ok(payload.len())
    }
}

const fn expand_all(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = match law {
            Law::A => expand_a(code as u8),
            Law::Mu => expand_mu(code as u8),
        };
        code += 1;
    }
    table
}

/// G.711, table 1: sign, three bits of segment, four of mantissa, even bits inverted.
const fn expand_a(code: u8) -> i16 {
    let bits = code ^ 0x55;
    let segment = (bits >> 4) & 7;
    let mut magnitude = (((bits & 0x0f) as i16) << 4) + 8;
    if segment > 0 {
        magnitude = (magnitude + 0x100) << (segment - 1);
    }
    if bits & 0x80 != 0 { magnitude } else { -magnitude }
}

/// G.711, table 2: all bits inverted, segments offset by 33 (of 14 bits).
const fn expand_mu(code: u8) -> i16 {
    let bits = !code;
    let segment = (bits >> 4) & 7;
    let step = 8i16 << segment;
    let magnitude = (0x80i16 << segment) - 4 * 33 + step * (bits & 0x0f) as i16 + step / 2;
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

fn compress_a(sample: i16) -> u8 {
    // One's complement of a negative value, 12 bits.
    let mut magnitude = (if sample < 0 { !sample } else { sample }) >> 4;
    if magnitude > 15 {
        let mut segment = 1;
        while magnitude > 31 {
            magnitude >>= 1;
            segment += 1;
        }
        magnitude += (segment << 4) - 16;
    }
    let sign = if sample < 0 { 0 } else { 0x80 };
    (magnitude as u8 | sign) ^ 0x55
}

fn compress_mu(sample: i16) -> u8 {
    // 14 bits plus the offset of 33, clipped to 13 bits of magnitude.
    let magnitude = if sample < 0 { !sample } else { sample };
    let magnitude = ((magnitude >> 2) + 33).min(0x1fff);
    let mut segment = 1;
    while magnitude >> (5 + segment) != 0 {
        segment += 1;
    }
    let code = ((8 - segment) << 4) as u8 | (0x0f - ((magnitude >> segment) & 0x0f) as u8);
    if sample < 0 { code } else { code | 0x80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressing_an_expanded_code_gives_the_code() {
        for code in 0..=255u8 {
            assert_eq!(Law::A.compress(Law::A.table()[usize::from(code)]), code);
            let mu = Law::Mu.compress(Law::Mu.table()[usize::from(code)]);
            // µ-law has two codes for zero: 0x7f (minus) and 0xff (plus).
            assert_eq!(mu, if code == 0x7f { 0xff } else { code });
        }
    }

    #[test]
    fn a_short_output_is_an_error() {
        let mut out = [0; 3];
        assert_eq!(G711::new(Law::A).decode(&[0; 4], &mut out), Err(DecodeError::Room));
        assert_eq!(G711::new(Law::A).decode(&[0xd5; 3], &mut out), Ok(3));
        assert_eq!(out, [8; 3]);
    }
}
