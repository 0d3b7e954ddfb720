//! A kind of CPU: by what it is recognised and what to know when its cores are given work.

use super::nic::{Quirk, Sourced, read_quirk, sourced};
use crate::config::Fault;
use crate::config::reader::{Faults, Table};

/// A CPU's profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuProfile {
    /// Its name; the file's name without `.toml`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// `vendor_id` in `/proc/cpuinfo`.
    pub vendor: String,
    /// `cpu family` in `/proc/cpuinfo`; none: any.
    pub family: Option<u64>,
    /// What to know.
    pub quirks: Vec<Sourced<Quirk>>,
}

/// Reads a CPU's profile.
///
/// # Errors
/// All faults, in order of their lines.
pub fn parse(text: &str) -> Result<CpuProfile, Vec<Fault>> {
    let (document, mut found) = Faults::parse(text);
    let faults = &mut found;
    let mut root = Table::root(&document);
    let [name, title, vendor] =
        ["name", "title", "vendor"].map(|key| root.text(key, faults).unwrap_or_default());
    let family = root.has("family").then(|| root.number("family", 0, 0..=0xfff, faults));
    let quirks = root.tables("quirk", faults);
    let quirks = quirks.into_iter().map(|table| sourced(table, faults, read_quirk)).collect();
    root.finish(faults);
    found.into_result(CpuProfile { name, title, vendor, family, quirks })
}
