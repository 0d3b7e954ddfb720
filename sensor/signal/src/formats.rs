//! Payload formats: the static types of RFC 3551 and the registered spelling of encoding names.

use nightjar_wire::{Basis, Format, PayloadType};

/// Static audio and video types (RFC 3551, table 4 and 5): type, name, clock rate, channels.
const STATIC: [(PayloadType, &str, u32, u8); 24] = [
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
    (25, "CelB", 90000, 1),
    (26, "JPEG", 90000, 1),
    (28, "nv", 90000, 1),
    (31, "H261", 90000, 1),
    (32, "MPV", 90000, 1),
    (33, "MP2T", 90000, 1),
    (34, "H263", 90000, 1),
];

/// Names whose registered spelling differs from what devices write.
const REGISTERED: [&str; 38] = [
    "PCMU",
    "PCMA",
    "G722",
    "G723",
    "G728",
    "G729",
    "GSM",
    "GSM-EFR",
    "iLBC",
    "speex",
    "opus",
    "L16",
    "L8",
    "L24",
    "CN",
    "telephone-event",
    "tone",
    "red",
    "AMR",
    "AMR-WB",
    "AMR-WB+",
    "EVS",
    "EVRC",
    "G726-16",
    "G726-24",
    "G726-32",
    "G726-40",
    "G7221",
    "QCELP",
    "DVI4",
    "LPC",
    "SILK",
    "H261",
    "H263",
    "H264",
    "H265",
    "VP8",
    "VP9",
];

/// The registered spelling of an encoding name where it is known, otherwise the name as it came.
pub(crate) fn registered(name: &str) -> &str {
    REGISTERED.iter().find(|known| known.eq_ignore_ascii_case(name)).copied().unwrap_or(name)
}

/// The format of a static payload type.
pub(crate) fn static_format(payload_type: PayloadType) -> Option<Format> {
    let &(_, codec, clock_rate, channels) = STATIC.iter().find(|row| row.0 == payload_type)?;
    Some(Format {
        payload_type,
        codec: codec.to_owned(),
        clock_rate,
        channels,
        ptime_ms: None,
        fmtp: None,
        basis: Basis::Static,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_types_and_spellings() {
        let pcma = static_format(8).unwrap();
        assert_eq!((pcma.codec.as_str(), pcma.clock_rate, pcma.basis), ("PCMA", 8000, Basis::Static));
        assert_eq!(static_format(2), None);
        assert_eq!(static_format(96), None);
        assert_eq!(registered("pcmu"), "PCMU");
        assert_eq!(registered("ILBC"), "iLBC");
        assert_eq!(registered("X-Own"), "X-Own");
    }
}
