//! Secrets that a machine carries: session cookies and sensors' tokens. Only their SHA-256 is kept.

use aws_lc_rs::constant_time;
use aws_lc_rs::rand;
use sha2::{Digest, Sha256};

/// SHA-256 of a token. A token has 256 random bits, so that a plain hash is enough: there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> TokenHash {
        TokenHash(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<TokenHash> {
        let mut bytes = [0; 32];
        unhex(text, &mut bytes).then_some(TokenHash(bytes))
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// Whether both are the same, in a time that does not tell how far they are.
    pub fn matches(&self, other: &TokenHash) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// A new token: 256 random bits, hexadecimal.
///
/// # Panics
///
/// If the system has no randomness to give, which nothing can go on without.
pub fn fresh_token() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the system's random source works");
    hex(&bytes)
}

/// A new password for a person: 20 characters of an alphabet without look-alikes (98 bits).
///
/// # Panics
///
/// If the system has no randomness to give.
pub fn fresh_password() -> String {
    // 32 characters, so that a byte's low five bits choose evenly.
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
    let mut bytes = [0; 20];
    rand::fill(&mut bytes).expect("the system's random source works");
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Fills `out` from exactly twice as many hexadecimal digits of either case; `false` where they are not.
pub fn unhex(text: &str, out: &mut [u8]) -> bool {
    let digits = text.as_bytes();
    if digits.len() != out.len() * 2 {
        return false;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    out.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| match (value(pair[0]), value(pair[1])) {
        (Some(high), Some(low)) => {
            *byte = high << 4 | low;
            true
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_back() {
        let token = fresh_token();
        assert_eq!(token.len(), 64);
        assert_ne!(token, fresh_token());
        let hash = TokenHash::of("abc");
        // FIPS 180-2, B.1.
        assert_eq!(hash.to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(TokenHash::from_hex(&hash.to_hex().to_uppercase()).unwrap().matches(&hash));
        assert!(!TokenHash::of("abd").matches(&hash));
        assert!(TokenHash::from_hex("ab").is_none());
        assert!(TokenHash::from_hex(&"g".repeat(64)).is_none());
        assert!(TokenHash::from_hex(&"é".repeat(32)).is_none());
    }

    #[test]
    fn passwords_differ_and_have_their_length() {
        assert_eq!(fresh_password().len(), 20);
        assert_ne!(fresh_password(), fresh_password());
    }
}
