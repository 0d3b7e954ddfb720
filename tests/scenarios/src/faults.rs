//! Collects what does not agree, so that a test over many scenarios names each one that fails.

use std::fmt::Debug;

/// Disagreements, each with the scenario that it was found in.
#[derive(Debug, Default)]
pub struct Faults {
    scope: String,
    found: Vec<String>,
}

impl Faults {
    /// Names the scenario (or file) that is checked from now on.
    pub fn scope(&mut self, name: &str) {
        name.clone_into(&mut self.scope);
    }

    /// Notes a disagreement.
    pub fn note(&mut self, what: impl AsRef<str>) {
        self.found.push(format!("{}: {}", self.scope, what.as_ref()));
    }

    /// Notes what is not true.
    pub fn check(&mut self, holds: bool, what: impl AsRef<str>) {
        if !holds {
            self.note(what);
        }
    }

    /// Notes two values that are not the same.
    pub fn same<T: PartialEq + Debug>(&mut self, what: impl AsRef<str>, found: &T, expected: &T) {
        if found != expected {
            self.note(format!("{}: found {found:?}, expected {expected:?}", what.as_ref()));
        }
    }

    /// Ends the test.
    ///
    /// # Panics
    /// When anything was noted, with all of it.
    pub fn finish(self) {
        assert!(self.found.is_empty(), "{} faults:\n{}", self.found.len(), self.found.join("\n"));
    }
}
