//! The same seed gives the same capture, today and on every machine: golden fingerprints, the first
//! eight bytes of a SHA-256.
//! Whoever changes what a scenario sends changes them here, on purpose.

use nightjar_load::{Frame, Scenario, scenarios};
use sha2::{Digest, Sha256};

const GOLDEN: [(&str, &str); 6] = [
    ("answered", "77324a3f83520b00"),
    ("forked", "795331aa26976d59"),
    ("impaired", "19c60cf22410be6b"),
    ("mirror-copies-impaired", "db948aec4a25d0ea"),
    ("noise", "c3daba7d48a362a2"),
    ("office", "0874974b97ba70f7"),
];

fn fingerprint(scenario: &Scenario) -> String {
    let mut hash = Sha256::new();
    let mut stream = scenario.frames();
    let mut frame = Frame::empty();
    while stream.next_into(&mut frame) {
        hash.update(frame.at.0.to_le_bytes());
        hash.update(frame.original_len.to_le_bytes());
        hash.update(&frame.bytes);
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn captures_have_their_golden_fingerprints() {
    let found: Vec<(&str, String)> =
        GOLDEN.iter().map(|(name, _)| (*name, fingerprint(&scenarios::by_name(name, 1)))).collect();
    let golden: Vec<(&str, String)> = GOLDEN.iter().map(|(name, hash)| (*name, (*hash).to_owned())).collect();
    assert_eq!(found, golden);
}

#[test]
fn another_seed_gives_another_capture() {
    let [one, two] = [1, 2].map(|seed| fingerprint(&scenarios::by_name("answered", seed)));
    assert_ne!(one, two);
}
