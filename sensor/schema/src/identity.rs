//! Names that come out the same whenever the same traffic is seen.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// What a call's id is made of.
#[derive(Clone, Copy, Debug)]
pub struct CallSeed<'a> {
    /// The sensor's configured name.
    pub sensor: &'a str,
    /// The realm in which the call was seen.
    pub realm: u16,
    /// The source's kind and name (`mirror`, an interface or a file's role, never its path).
    pub source: &'a str,
    /// The first dialog: Call-ID and From tag, or the first media flow where there is none.
    pub first_dialog: &'a [u8],
    /// The call's first packet, nanoseconds since the epoch.
    pub first_packet_nanos: u64,
}

/// A UUIDv7 (RFC 9562, 5.7) whose time is the call's first packet's and whose other bits are a
/// hash of where it was seen: a repeat, a recovery and a second ingest give the same id.
pub fn call_id(seed: &CallSeed<'_>) -> Uuid {
    let mut hash = Sha256::new();
    for part in [seed.sensor.as_bytes(), &seed.realm.to_be_bytes(), seed.source.as_bytes(), seed.first_dialog]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    // The whole stamp goes in too: two calls of one dialog key within a millisecond stay apart.
    hash.update(seed.first_packet_nanos.to_be_bytes());
    let digest = hash.finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(seed.first_packet_nanos / 1_000_000, &random).into_uuid()
}

/// A recording's id: the call's, hashed with the segment and what it holds.
pub fn recording_id(call: Uuid, kind: &str, segment: u32) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(call.as_bytes());
    hash.update(kind.as_bytes());
    hash.update(segment.to_be_bytes());
    let digest = hash.finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    let bytes = call.as_bytes();
    let mut millis = [0; 8];
    millis[2..].copy_from_slice(&bytes[..6]);
    Builder::from_unix_timestamp_millis(u64::from_be_bytes(millis), &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: CallSeed<'static> = CallSeed {
        sensor: "s1",
        realm: 0,
        source: "mirror",
        first_dialog: b"abc@host;tag",
        first_packet_nanos: 1_700_000_000_123_456_789,
    };

    #[test]
    fn the_same_call_has_the_same_id_and_another_has_another() {
        let id = call_id(&SEED);
        assert_eq!(id, call_id(&SEED));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_timestamp().unwrap().to_unix().0, 1_700_000_000);
        assert_ne!(id, call_id(&CallSeed { first_dialog: b"abd@host;tag", ..SEED }));
        assert_ne!(id, call_id(&CallSeed { realm: 1, ..SEED }));
        assert_ne!(recording_id(id, "audio", 0), recording_id(id, "audio", 1));
        assert_eq!(recording_id(id, "audio", 0).get_timestamp(), id.get_timestamp());
    }
}
