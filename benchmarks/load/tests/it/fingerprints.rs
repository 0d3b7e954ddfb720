//! The same seed gives the same capture, today and on every machine: golden fingerprints, the first
//! eight bytes of a SHA-256.
//! Whoever changes what a scenario sends changes them here, on purpose.

use nightjar_load::{Frame, Scenario, scenarios};
use sha2::{Digest, Sha256};

const GOLDEN: [(&str, &str); 6] = [
    ("answered", "ba7480a282c2d78a"),
    ("forked", "fcbbf5c9c945d462"),
    ("impaired", "1ff6f9e825e098d1"),
    ("mirror-copies-impaired", "0e87b86eb21e5f16"),
    ("noise", "e3cb2b43d7f5ba4f"),
    ("office", "efa5532274b4fac8"),
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
