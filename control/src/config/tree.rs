//! A walk over a TOML tree that keeps line numbers and collects every fault instead of stopping at the first.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line, from 1; 0 when the fault belongs to the file as a whole.
    pub line: usize,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}: {}", self.message),
        }
    }
}

/// A value and the line that it stands on.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its line, from 1.
    pub line: usize,
}

/// One table of the file: its keys are taken out one by one, what is left is unknown.
pub(crate) struct Section<'a> {
    /// How messages call it: empty at the top, `tls`, `sensors`.
    name: String,
    /// The line of its header.
    pub line: usize,
    keys: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'a>>)>,
}

/// The file's text, to count lines in, and the faults found so far.
pub(crate) struct Tree<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Tree<'a> {
    /// A tree over `text`, without faults yet.
    pub(crate) fn new(text: &'a str) -> Tree<'a> {
        Tree { text, faults: Vec::new() }
    }

    /// Every fault, in the order of lines.
    pub(crate) fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort();
        self.faults.dedup();
        self.faults
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, line: usize, message: impl Into<String>) {
        self.faults.push(Fault { line, message: message.into() });
    }

    /// Notes what the TOML parser itself could not read.
    pub(crate) fn syntax(&mut self, errors: &[toml::de::Error]) {
        for error in errors {
            let line = error.span().map_or(0, |span| self.line_of(&span));
            self.fault(line, error.message().to_owned());
        }
    }

    /// The whole file as a section.
    pub(crate) fn top(&self, table: &'a Spanned<DeTable<'a>>) -> Section<'a> {
        self.open(String::new(), 0, table.get_ref())
    }

    fn open(&self, name: String, line: usize, table: &'a DeTable<'a>) -> Section<'a> {
        let keys = table.iter().map(|(key, value)| {
            let line = self.line_of(&key.span());
            (key.get_ref().as_ref(), (line, value))
        });
        Section { name, line, keys: keys.collect() }
    }

    fn line_of(&self, span: &Range<usize>) -> usize {
        let upto = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        1 + upto.iter().filter(|byte| **byte == b'\n').count()
    }

    /// A string, not empty.
    pub(crate) fn text(&mut self, section: &mut Section<'a>, key: &str) -> Option<Placed<String>> {
        let (line, value) = section.keys.remove(key)?;
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Some(Placed { value: text.to_owned(), line }),
            Some(_) => self.refuse(line, section, key, "must not be empty"),
            None => self.wrong_type(line, section, key, "a string in quotes", value),
        }
    }

    /// A string that has to be there; `what` says what to write.
    pub(crate) fn required(
        &mut self,
        section: &mut Section<'a>,
        key: &str,
        what: &str,
    ) -> Option<Placed<String>> {
        if !section.has(key) {
            return self.refuse(section.line, section, key, &format!("is missing: {what}"));
        }
        self.text(section, key)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, section: &mut Section<'a>, key: &str) -> Option<Placed<bool>> {
        let (line, value) = section.keys.remove(key)?;
        match value.get_ref().as_bool() {
            Some(value) => Some(Placed { value, line }),
            None => self.wrong_type(line, section, key, "true or false", value),
        }
    }

    /// A whole number within `range`, or `default` where the key is absent or wrong.
    pub(crate) fn number(
        &mut self,
        section: &mut Section<'a>,
        key: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some((line, value)) = section.keys.remove(key) else { return default };
        let Some(integer) = value.get_ref().as_integer() else {
            let _: Option<()> = self.wrong_type(line, section, key, "a whole number", value);
            return default;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let bounds = format!("must be from {} to {}", range.start(), range.end());
                let _: Option<()> = self.refuse(line, section, key, &bounds);
                default
            }
        }
    }

    /// A table: `[key]`.
    pub(crate) fn section(&mut self, section: &mut Section<'a>, key: &str) -> Option<Section<'a>> {
        let (line, value) = section.keys.remove(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(self.open(section.path(key), line, table)),
            None => self.wrong_type(line, section, key, &format!("a section, written [{key}]"), value),
        }
    }

    /// An array of tables: `[[key]]`.
    pub(crate) fn sections(&mut self, section: &mut Section<'a>, key: &str) -> Vec<Section<'a>> {
        let Some((line, value)) = section.keys.remove(key) else { return Vec::new() };
        let form = format!("a list of sections, each written [[{key}]]");
        let Some(array) = value.get_ref().as_array() else {
            let _: Option<()> = self.wrong_type(line, section, key, &form, value);
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in array.iter() {
            let line = self.line_of(&item.span());
            match item.get_ref().as_table() {
                Some(table) => found.push(self.open(section.path(key), line, table)),
                None => self.fault(line, format!("`{key}` must be {form}")),
            }
        }
        found
    }

    /// Notes what was not taken out of the section: keys that nobody reads.
    pub(crate) fn done(&mut self, section: &Section<'a>) {
        for (key, (line, _)) in &section.keys {
            self.fault(*line, format!("`{}` is not a known key: remove it or correct it", section.path(key)));
        }
    }

    fn refuse<T>(&mut self, line: usize, section: &Section<'_>, key: &str, what: &str) -> Option<T> {
        self.fault(line, format!("`{}` {what}", section.path(key)));
        None
    }

    fn wrong_type<T>(
        &mut self,
        line: usize,
        section: &Section<'_>,
        key: &str,
        wanted: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<T> {
        let found = value.get_ref().type_str();
        self.refuse(line, section, key, &format!("must be {wanted}, not {found}"))
    }
}

impl Section<'_> {
    /// Whether the key is there and was not taken out, whatever its value is.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The key's full name, as messages give it.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}
