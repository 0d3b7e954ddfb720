//! The interfaces of one or several files under one numbering: the same name is the same interface,
//! so a call that spans two files of a rotation stays on one.

/// How many interfaces a source may name.
pub(super) const MAX_INTERFACES: usize = 4_096;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 64;
/// The name of an interface that its file does not name.
const UNNAMED: &str = "file";

/// Names in order of first sight.
#[derive(Clone, Debug, Default)]
pub(super) struct Interfaces {
    names: Vec<String>,
}

impl Interfaces {
    /// The index of `name`, which is added when it is new; `None` when there are too many.
    pub(super) fn index_of(&mut self, name: &str) -> Option<u16> {
        let name = printable(name);
        let found = self.names.iter().position(|known| *known == name);
        let index = found.unwrap_or(self.names.len());
        if index >= MAX_INTERFACES {
            return None;
        }
        if found.is_none() {
            self.names.push(name);
        }
        u16::try_from(index).ok()
    }

    /// The index of a file's interface number `number`, which has no name.
    pub(super) fn index_of_unnamed(&mut self, number: usize) -> Option<u16> {
        if number == 0 { self.index_of(UNNAMED) } else { self.index_of(&format!("{UNNAMED}/{number}")) }
    }

    /// All names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

/// A name from a file, fit to be printed: bounded, without control characters.
fn printable(name: &str) -> String {
    let mut out = String::new();
    for character in name.chars().map(|c| if c.is_control() { '?' } else { c }) {
        if out.len() + character.len_utf8() > MAX_NAME {
            break;
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_the_same_interface() {
        let mut table = Interfaces::default();
        assert_eq!(table.index_of("eth0"), Some(0));
        assert_eq!(table.index_of_unnamed(0), Some(1));
        assert_eq!(table.index_of_unnamed(3), Some(2));
        assert_eq!(table.index_of("eth0"), Some(0));
        assert_eq!(table.names(), ["eth0", "file", "file/3"]);
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        let mut table = Interfaces::default();
        table.index_of(&format!("a\x1b[31m{}", "ü".repeat(1_000)));
        assert!(table.names()[0].starts_with("a?[31mü") && table.names()[0].len() <= MAX_NAME);
        assert!((1..MAX_INTERFACES).all(|number| table.index_of_unnamed(number).is_some()));
        assert_eq!(table.index_of("one more"), None);
        assert_eq!(table.index_of_unnamed(1), Some(1));
    }
}
