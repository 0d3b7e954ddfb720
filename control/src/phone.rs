//! Telephone numbers as a search sees them.

/// Fewest digits that a suffix search takes.
pub const SUFFIX_DIGITS: usize = 3;

/// A number as it is compared: lower case, visual separators (RFC 3966) and spaces left out.
pub fn plain(number: &str) -> String {
    let kept = number.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}'));
    kept.flat_map(char::to_lowercase).collect()
}

/// Its digits, last first, so that a suffix is a prefix and an index serves it; empty where it has letters.
pub fn reversed_digits(number: &str) -> String {
    let plain = plain(number);
    if plain.chars().any(char::is_alphabetic) {
        return String::new();
    }
    plain.chars().rev().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_do_not_count() {
        assert_eq!(plain(" +49 (30) 12-34.5 "), "+493012345");
        assert_eq!(reversed_digits("+49 30/123"), "3210394");
        assert_eq!(reversed_digits("alice2"), "");
        assert_eq!(plain("Alice"), "alice");
    }
}
