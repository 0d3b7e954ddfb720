//! Walks a TOML document, taking known keys and collecting every fault with its line.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;

/// What is wrong with a document, by line.
pub(crate) struct Faults<'a> {
    text: &'a str,
    found: Vec<Fault>,
}

impl<'a> Faults<'a> {
    /// Parses a document; syntax faults are the first ones found.
    pub(crate) fn parse(text: &'a str) -> (Spanned<DeTable<'a>>, Faults<'a>) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut faults = Faults { text, found: Vec::new() };
        for error in errors {
            faults.add(error.span().map_or(0, |span| span.start), error.message());
        }
        (document, faults)
    }

    /// All faults in order of their lines, or the value when there is none.
    pub(crate) fn into_result<T>(mut self, value: T) -> Result<T, Vec<Fault>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|fault| fault.line);
        Err(self.found)
    }

    fn add(&mut self, offset: usize, message: &str) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        self.found.push(Fault { line, message: message.to_owned() });
    }
}

/// One table of the document; it knows which keys were asked for.
pub(crate) struct Table<'d, 'a> {
    /// None where the document has no such table.
    table: Option<&'d DeTable<'a>>,
    /// Its full name, for messages.
    name: String,
    /// Where it begins.
    offset: usize,
    known: BTreeSet<&'static str>,
}

impl<'d, 'a> Table<'d, 'a> {
    /// The document's top level.
    pub(crate) fn root(document: &'d Spanned<DeTable<'a>>) -> Table<'d, 'a> {
        Table { table: Some(document.get_ref()), name: String::new(), offset: 0, known: BTreeSet::new() }
    }

    /// True when a key is there that need not be.
    pub(crate) fn has(&mut self, key: &'static str) -> bool {
        self.take(key).is_some()
    }

    /// A table that must be there.
    pub(crate) fn table(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Table<'d, 'a> {
        if !self.has(key) {
            faults.add(self.offset, &format!("[{key}] is missing"));
        }
        self.optional_table(key, faults)
    }

    /// A table whose keys all have defaults.
    pub(crate) fn optional_table(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Table<'d, 'a> {
        let value = self.take(key);
        let table = value.and_then(|value| value.get_ref().as_table());
        if let (Some(value), None) = (value, table) {
            faults.add(value.span().start, &format!("{key} must be a table"));
        }
        let offset = value.map_or(self.offset, |value| value.span().start);
        Table { table, name: key.to_owned(), offset, known: BTreeSet::new() }
    }

    /// Tables of one name, each begun by `[[key]]`; none where there is none.
    pub(crate) fn tables(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<Table<'d, 'a>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let items = value.get_ref().as_array();
        let tables: Option<Vec<Table<'d, 'a>>> = items.and_then(|items| {
            let table = |item: &'d Spanned<DeValue<'a>>| {
                let table = Some(item.get_ref().as_table()?);
                let (name, offset) = (key.to_owned(), item.span().start);
                Some(Table { table, name, offset, known: BTreeSet::new() })
            };
            items.iter().map(table).collect()
        });
        tables.unwrap_or_else(|| {
            faults.add(value.span().start, &format!("{key} must be tables, each begun by [[{key}]]"));
            Vec::new()
        })
    }

    /// A text that must be there and not be empty.
    pub(crate) fn text(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<String> {
        if self.table.is_some() && !self.has(key) {
            faults.add(self.offset, &format!("{} is missing", self.full_name(key)));
        }
        self.optional_text(key, faults)
    }

    /// A text that may be absent.
    pub(crate) fn optional_text(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Option<String> {
        let value = self.take(key)?;
        match value.get_ref().as_str() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                faults.add(value.span().start, &format!("{} must be a text in quotes", self.full_name(key)));
                None
            }
        }
    }

    /// A list of one or more texts.
    pub(crate) fn texts(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<String> {
        let Some(value) = self.take(key) else {
            if self.table.is_some() {
                faults.add(self.offset, &format!("{} is missing", self.full_name(key)));
            }
            return Vec::new();
        };
        let texts: Option<Vec<String>> = value
            .get_ref()
            .as_array()
            .and_then(|array| array.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect());
        match texts {
            Some(texts) if !texts.is_empty() && texts.iter().all(|text| !text.is_empty()) => texts,
            _ => {
                let name = self.full_name(key);
                faults.add(value.span().start, &format!("{name} must be a list of one or more texts"));
                Vec::new()
            }
        }
    }

    /// A truth value.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool, faults: &mut Faults<'_>) -> bool {
        let Some(value) = self.take(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            faults.add(value.span().start, &format!("{} must be true or false", self.full_name(key)));
            default
        })
    }

    /// A whole number within a range.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
        faults: &mut Faults<'_>,
    ) -> u64 {
        let Some(value) = self.take(key) else { return default };
        let number = match value.get_ref() {
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        number.filter(|number| range.contains(number)).unwrap_or_else(|| {
            let (name, least, most) = (self.full_name(key), range.start(), range.end());
            faults.add(value.span().start, &format!("{name} must be a whole number from {least} to {most}"));
            default
        })
    }

    /// A list of port numbers.
    pub(crate) fn ports(&mut self, key: &'static str, default: &[u16], faults: &mut Faults<'_>) -> Vec<u16> {
        let Some(value) = self.take(key) else { return default.to_vec() };
        let port = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::Integer(integer) => u16::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let ports: Option<Vec<u16>> =
            value.get_ref().as_array().and_then(|array| array.iter().map(port).collect());
        ports.filter(|ports| !ports.contains(&0)).unwrap_or_else(|| {
            let name = self.full_name(key);
            faults.add(value.span().start, &format!("{name} must be a list of ports from 1 to 65535"));
            default.to_vec()
        })
    }

    /// A list of numbers and texts, each as a text; none where there is no such key.
    pub(crate) fn words(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let word = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::Integer(integer) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|number| number.to_string())
            }
            other => other.as_str().map(str::to_owned),
        };
        let words: Option<Vec<String>> =
            value.get_ref().as_array().and_then(|array| array.iter().map(word).collect());
        words.filter(|words| !words.is_empty()).unwrap_or_else(|| {
            let name = self.full_name(key);
            faults
                .add(value.span().start, &format!("{name} must be a list of one or more numbers and texts"));
            Vec::new()
        })
    }

    /// One of several names; the first is the default.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        faults: &mut Faults<'_>,
    ) -> T {
        let Some(value) = self.take(key) else { return choices[0].1 };
        let text = value.get_ref().as_str().unwrap_or_default();
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).unwrap_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            let message = format!("{} must be {}", self.full_name(key), names.join(" or "));
            faults.add(value.span().start, &message);
            choices[0].1
        })
    }

    /// A fault of a key's value that only the caller can see.
    pub(crate) fn fault(&self, key: &str, message: &str, faults: &mut Faults<'_>) {
        let offset =
            self.table.and_then(|table| table.get(key)).map_or(self.offset, |value| value.span().start);
        faults.add(offset, &format!("{} {message}", self.full_name(key)));
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, faults: &mut Faults<'_>) {
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if !self.known.contains(name) {
                let known: Vec<&str> = self.known.iter().copied().collect();
                let message =
                    format!("{} is not a setting; known here: {}", self.full_name(name), known.join(", "));
                faults.add(key.span().start, &message);
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.table?.get(key)
    }

    fn full_name(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}
