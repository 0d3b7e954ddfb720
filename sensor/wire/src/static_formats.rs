//! The static payload types of RFC 3551, and comfort noise (RFC 3389).

use crate::{Basis, Format, PayloadType};

/// Static audio and video types (RFC 3551, table 4 and 5): type, name, clock rate, channels.
const STATIC: [(PayloadType, &str, u32, u8); 25] = [
    (0, "PCMU", 8000, 1),
    (3, "GSM", 8000, 1),
    (4, "G723", 8000, 1),
    (5, "DVI4", 8000, 1),
    (6, "DVI4", 16000, 1),
    (7, "LPC", 8000, 1),
    (8, "PCMA", 8000, 1),
    // 8000 by an old mistake that became the rule (RFC 3551, 4.5.2); it samples at 16 kHz.
    (9, "G722", 8000, 1),
    (10, "L16", 44100, 2),
    (11, "L16", 44100, 1),
    (12, "QCELP", 8000, 1),
    (13, "CN", 8000, 1),
    (14, "MPA", 90000, 1),
    (15, "G728", 8000, 1),
    (16, "DVI4", 11025, 1),
    (17, "DVI4", 22050, 1),
    (18, "G729", 8000, 1),
    // Reserved, and used for comfort noise before 13 was (RFC 3551, 6).
    (19, "CN", 8000, 1),
    (25, "CelB", 90000, 1),
    (26, "JPEG", 90000, 1),
    (28, "nv", 90000, 1),
    (31, "H261", 90000, 1),
    (32, "MPV", 90000, 1),
    (33, "MP2T", 90000, 1),
    (34, "H263", 90000, 1),
];

impl Format {
    /// What a static payload type stands for where no SDP says more; `None` for a dynamic one.
    pub fn of_static(payload_type: PayloadType) -> Option<Format> {
        let &(_, codec, clock_rate, channels) = STATIC.iter().find(|row| row.0 == payload_type)?;
        Some(Format {
            payload_type,
            codec: codec.into(),
            clock_rate,
            channels,
            ptime_ms: None,
            fmtp: None,
            basis: Basis::Static,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_types_are_those_of_rfc_3551() {
        let pcma = Format::of_static(8).unwrap();
        assert_eq!((pcma.codec.as_str(), pcma.clock_rate, pcma.basis), ("PCMA", 8000, Basis::Static));
        assert_eq!(Format::of_static(2), None);
        assert_eq!(Format::of_static(96), None);
    }
}
