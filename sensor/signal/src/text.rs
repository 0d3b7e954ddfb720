//! Text as the wire has it: any bytes, folded lines, UTF-8 or Latin-1; out comes bounded UTF-8.

/// Longest text that is kept of any one field, in bytes of UTF-8.
pub(crate) const MAX_TEXT: usize = 512;

/// White space of SIP, line ends of folded headers included (RFC 3261, 25.1: LWS).
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Without white space at both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// UTF-8 as it is, anything else as Latin-1; folds become one space, control characters go, and
/// what is longer than [`MAX_TEXT`] is cut.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let bytes = trim(bytes);
    let mut text = String::with_capacity(bytes.len().min(MAX_TEXT));
    match std::str::from_utf8(bytes) {
        Ok(utf8) => push_all(&mut text, utf8.chars()),
        Err(_) => push_all(&mut text, bytes.iter().map(|&byte| char::from(byte))),
    }
    text
}

/// As [`decode`], `None` when nothing is left.
pub(crate) fn decode_some(bytes: &[u8]) -> Option<String> {
    Some(decode(bytes)).filter(|text| !text.is_empty())
}

fn push_all(text: &mut String, characters: impl Iterator<Item = char>) {
    let mut folding = false;
    for character in characters {
        if matches!(character, '\r' | '\n') {
            folding = true;
            continue;
        }
        if folding && matches!(character, ' ' | '\t') {
            continue;
        }
        let pending = if std::mem::take(&mut folding) { " " } else { "" };
        if character.is_control() && character != '\t' {
            continue;
        }
        if text.len() + pending.len() + character.len_utf8() > MAX_TEXT {
            return;
        }
        text.push_str(pending);
        text.push(character);
    }
}

/// An unsigned decimal number, white space around it allowed; `None` when it is none or too large.
pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    let digits = trim(bytes);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |value, &byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u32::from(byte - b'0')),
        _ => None,
    })
}

/// FNV-1a: names a branch or a dialog where a full copy would only cost memory.
pub(crate) fn fnv1a(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for part in parts {
        for &byte in *part {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // A part's end counts, so that "ab","c" and "a","bc" differ.
        hash = (hash ^ 0x100).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_1_becomes_utf_8_and_utf_8_stays() {
        assert_eq!(decode(b"M\xfcller"), "Müller");
        assert_eq!(decode("Müller".as_bytes()), "Müller");
    }

    #[test]
    fn folds_become_one_space_and_controls_go() {
        assert_eq!(decode(b" a\r\n \t b\0c\n"), "a bc");
        assert_eq!(decode_some(b"\r\n "), None);
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let text = decode("ü".repeat(MAX_TEXT).as_bytes());
        assert_eq!(text.len(), MAX_TEXT);
        let text = decode(format!("a{}", "ü".repeat(MAX_TEXT)).as_bytes());
        assert_eq!(text.len(), MAX_TEXT - 1);
    }

    #[test]
    fn numbers_do_not_overflow() {
        assert_eq!(number(b" 0068\r\n"), Some(68));
        assert_eq!(number(b"4294967296"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"1x"), None);
    }

    #[test]
    fn parts_are_kept_apart_in_a_name() {
        assert_ne!(fnv1a(&[b"ab", b"c"]), fnv1a(&[b"a", b"bc"]));
    }
}
