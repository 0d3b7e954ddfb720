//! What a packet carries, by its payload type: each packet may differ from the one before.

use nightjar_codec::Codec;
use nightjar_wire::{Format, PayloadType};

/// What stands behind a payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    /// Speech.
    Audio(Codec),
    /// RFC 4733, with its clock rate in Hz.
    Event { clock_rate: u32 },
    /// RFC 3389.
    ComfortNoise,
    /// Nothing that is decoded here.
    Unknown,
}

/// The kind of `payload`: by signalling, else by RFC 3551's static types, else by its shape where
/// no signalling was seen.
pub(crate) fn payload_kind(formats: &[Format], payload_type: PayloadType, payload: &[u8]) -> PayloadKind {
    if let Some(format) = formats.iter().find(|format| format.payload_type == payload_type) {
        return named_kind(format);
    }
    match payload_type {
        13 | 19 => PayloadKind::ComfortNoise,
        96..=127 if looks_like_event(payload) => PayloadKind::Event { clock_rate: 8000 },
        _ => Codec::from_static(payload_type).map_or(PayloadKind::Unknown, PayloadKind::Audio),
    }
}

fn named_kind(format: &Format) -> PayloadKind {
    if format.codec.eq_ignore_ascii_case("telephone-event") {
        return PayloadKind::Event { clock_rate: format.clock_rate.max(1) };
    }
    if format.codec.eq_ignore_ascii_case("CN") {
        return PayloadKind::ComfortNoise;
    }
    Codec::from_sdp(&format.codec, format.clock_rate, format.channels)
        .map_or(PayloadKind::Unknown, PayloadKind::Audio)
}

/// Four bytes, a DTMF or flash event, the reserved bit zero (RFC 4733, 2.3).
fn looks_like_event(payload: &[u8]) -> bool {
    payload.len() == 4 && payload[0] <= 16 && payload[1] & 0x40 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightjar_wire::Basis;

    fn format(payload_type: u8, codec: &str) -> Format {
        Format {
            payload_type,
            codec: codec.to_owned(),
            clock_rate: 8000,
            channels: 1,
            ptime_ms: None,
            fmtp: None,
            basis: Basis::Sdp,
        }
    }

    #[test]
    fn signalling_comes_before_the_static_types() {
        let formats = [format(96, "PCMA"), format(0, "G729"), format(101, "Telephone-Event")];
        assert_eq!(payload_kind(&formats, 96, &[0; 160]), PayloadKind::Audio(Codec::Pcma));
        assert_eq!(payload_kind(&formats, 0, &[0; 20]), PayloadKind::Unknown);
        assert_eq!(payload_kind(&formats, 101, &[1, 10, 0, 160]), PayloadKind::Event { clock_rate: 8000 });
        assert_eq!(payload_kind(&formats, 8, &[0; 160]), PayloadKind::Audio(Codec::Pcma));
        assert_eq!(payload_kind(&[], 0, &[0; 160]), PayloadKind::Audio(Codec::Pcmu));
        assert_eq!(payload_kind(&[], 13, &[40]), PayloadKind::ComfortNoise);
        assert_eq!(payload_kind(&[], 18, &[0; 20]), PayloadKind::Unknown);
    }

    #[test]
    fn an_event_without_signalling_is_known_by_its_shape() {
        assert_eq!(payload_kind(&[], 101, &[5, 0x8a, 3, 0x20]), PayloadKind::Event { clock_rate: 8000 });
        assert_eq!(payload_kind(&[], 101, &[5, 0x4a, 3, 0x20]), PayloadKind::Unknown);
        assert_eq!(payload_kind(&[], 101, &[17, 0, 3, 0x20]), PayloadKind::Unknown);
        assert_eq!(payload_kind(&[], 101, &[0; 160]), PayloadKind::Unknown);
    }
}
