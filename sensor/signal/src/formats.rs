//! The registered spelling of encoding names.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(registered("pcmu"), "PCMU");
        assert_eq!(registered("ILBC"), "iLBC");
        assert_eq!(registered("X-Own"), "X-Own");
    }
}
