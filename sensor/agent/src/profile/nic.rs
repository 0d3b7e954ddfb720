//! A network card's profile: what its driver can do, what to switch off, which counters mean loss. Each
//! section says where its figures come from.

use crate::config::Fault;
use crate::config::reader::{Faults, Table};

/// Where figures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether we saw it or somebody wrote it.
    pub basis: Basis,
    /// The document, source file or command.
    pub source: String,
}

/// Whether a figure was seen or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Written by the card's maker, the driver's source or the kernel's documentation.
    Published,
    /// Seen by us, as the source says.
    Measured,
}

/// Figures and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The figures.
    pub figure: T,
    /// Where they come from.
    pub origin: Origin,
}

/// A card's profile. What is unknown is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicProfile {
    /// Its name, which host profiles use; the file's name without `.toml`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// The kernel's driver.
    pub driver: String,
    /// PCI ids, `vendor:device` in hexadecimal; none for what has no PCI device.
    pub pci: Option<Sourced<Vec<String>>>,
    /// Its queues.
    pub queues: Option<Sourced<Queues>>,
    /// AF_XDP.
    pub xdp: Option<Sourced<Xdp>>,
    /// Hashing.
    pub rss: Option<Sourced<Hashing>>,
    /// Rules that put ports on a queue; absent: none are known to work.
    pub rules: Option<Sourced<Rules>>,
    /// Features to switch off, by the kernel's names.
    pub offloads_off: Option<Sourced<Vec<String>>>,
    /// Receive rings.
    pub rings: Option<Sourced<RingSizes>>,
    /// Counters of `ethtool -S`.
    pub counters: Option<Sourced<LossCounters>>,
    /// What else one must know.
    pub quirks: Vec<Sourced<Quirk>>,
}

/// How many queues there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// The most, whatever the machine; the driver may give fewer.
    pub most: Option<u32>,
    /// A queue of AF_XDP costs a second transmit queue: at most half of the queues can have one.
    pub half_for_xdp: bool,
}

/// Since when the driver does XDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// Kernel with native XDP.
    pub native_since: Option<String>,
    /// Kernel with zero-copy AF_XDP; `None`: there is none.
    pub zero_copy_since: Option<String>,
}

/// How packets are spread over queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// Bytes of the key.
    pub key_bytes: Option<u32>,
    /// Entries of the table.
    pub table_entries: Option<u32>,
    /// How both directions come onto one queue.
    pub symmetric: Symmetric,
    /// UDP's ports can be hashed.
    pub udp_ports: bool,
}

/// How both directions of a flow come onto one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symmetric {
    /// By a key of one repeated pair of bytes.
    RepeatedKey,
    /// Not at all.
    No,
}

/// Which rules put ports on a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Rules for source ports may stand beside those for destination ports.
    pub source_ports: bool,
    /// Rules for IPv6 too.
    pub ipv6: bool,
}

/// Sizes of the receive rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// The most descriptors.
    pub most: Option<u32>,
    /// What we set.
    pub receive: Option<u32>,
}

/// Which counters say that packets were lost. `*` stands for any digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossCounters {
    /// Packets lost before XDP saw them, each counted in one of them only.
    pub loss: Vec<String>,
    /// What explains a loss but counts events, or counts again what another counts: no terms of the ledger.
    pub explain: Vec<String>,
}

impl LossCounters {
    /// The counters that mean loss and are not 0, of those that a driver gave.
    pub fn lost<'a>(&self, statistics: &'a [(String, u64)]) -> Vec<&'a (String, u64)> {
        statistics.iter().filter(|(name, count)| *count > 0 && self.means_loss(name)).collect()
    }

    /// Whether a counter is a term of the ledger: each of its packets was lost, and no other counter has it.
    pub fn means_loss(&self, name: &str) -> bool {
        self.loss.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether a counter explains a loss that is counted elsewhere.
    pub fn explains(&self, name: &str) -> bool {
        self.explain.iter().any(|pattern| matches(pattern, name))
    }
}

/// Whether a counter's name is as a pattern, in which `*` stands for one or more digits.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && matches(after, &rest[digits..])
}

/// Something to know about a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// What to do or leave.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// Reads a card's profile.
///
/// # Errors
/// All faults, in order of their lines.
pub fn parse(text: &str) -> Result<NicProfile, Vec<Fault>> {
    let (document, mut found) = Faults::parse(text);
    let faults = &mut found;
    let mut root = Table::root(&document);
    let [name, title, driver] =
        ["name", "title", "driver"].map(|key| root.text(key, faults).unwrap_or_default());
    let pci = section(&mut root, "pci", faults, read_ids);
    let queues = section(&mut root, "queues", faults, |table, faults| Queues {
        most: optional_number(table, "most", faults),
        half_for_xdp: table.flag("half_for_xdp", false, faults),
    });
    let xdp = section(&mut root, "xdp", faults, |table, faults| Xdp {
        native_since: version(table, "native_since", faults),
        zero_copy_since: version(table, "zero_copy_since", faults),
    });
    let rss = section(&mut root, "rss", faults, |table, faults| Hashing {
        key_bytes: optional_number(table, "key_bytes", faults),
        table_entries: optional_number(table, "table_entries", faults),
        symmetric: table.choice(
            "symmetric",
            &[("no", Symmetric::No), ("repeated-key", Symmetric::RepeatedKey)],
            faults,
        ),
        udp_ports: table.flag("udp_ports", false, faults),
    });
    let rules = section(&mut root, "rules", faults, |table, faults| Rules {
        source_ports: table.flag("source_ports", false, faults),
        ipv6: table.flag("ipv6", false, faults),
    });
    let offloads_off = section(&mut root, "offloads", faults, |table, faults| table.texts("off", faults));
    let rings = section(&mut root, "rings", faults, |table, faults| RingSizes {
        most: optional_number(table, "most", faults),
        receive: optional_number(table, "receive", faults),
    });
    let counters = section(&mut root, "counters", faults, |table, faults| LossCounters {
        loss: optional_texts(table, "loss", faults),
        explain: optional_texts(table, "explain", faults),
    });
    let quirks = root.tables("quirk", faults);
    let quirks = quirks.into_iter().map(|table| sourced(table, faults, read_quirk)).collect();
    root.finish(faults);
    found.into_result(NicProfile {
        name,
        title,
        driver,
        pci,
        queues,
        xdp,
        rss,
        rules,
        offloads_off,
        rings,
        counters,
        quirks,
    })
}

/// A section that may be absent; if it is there, it says where its figures come from.
fn section<T>(
    root: &mut Table<'_, '_>,
    key: &'static str,
    faults: &mut Faults<'_>,
    read: impl FnOnce(&mut Table<'_, '_>, &mut Faults<'_>) -> T,
) -> Option<Sourced<T>> {
    root.has(key).then(|| sourced(root.table(key, faults), faults, read))
}

/// Reads a table's figures and their origin.
pub(super) fn sourced<T>(
    mut table: Table<'_, '_>,
    faults: &mut Faults<'_>,
    read: impl FnOnce(&mut Table<'_, '_>, &mut Faults<'_>) -> T,
) -> Sourced<T> {
    let figure = read(&mut table, faults);
    let origin = read_origin(&mut table, faults);
    table.finish(faults);
    Sourced { figure, origin }
}

/// Where a table's figures come from.
pub(super) fn read_origin(table: &mut Table<'_, '_>, faults: &mut Faults<'_>) -> Origin {
    if !table.has("basis") {
        table.fault("basis", "is missing: say \"published\" or \"measured\"", faults);
    }
    let bases = [("published", Basis::Published), ("measured", Basis::Measured)];
    let basis = table.choice("basis", &bases, faults);
    Origin { basis, source: table.text("source", faults).unwrap_or_default() }
}

pub(super) fn read_quirk(table: &mut Table<'_, '_>, faults: &mut Faults<'_>) -> Quirk {
    let [what, reason] = ["what", "reason"].map(|key| table.text(key, faults).unwrap_or_default());
    Quirk { what, reason }
}

fn read_ids(table: &mut Table<'_, '_>, faults: &mut Faults<'_>) -> Vec<String> {
    let ids = table.texts("ids", faults);
    let hex = |part: &str| part.len() == 4 && part.bytes().all(|b| b"0123456789abcdef".contains(&b));
    let is_id = |id: &String| id.split_once(':').is_some_and(|(vendor, device)| hex(vendor) && hex(device));
    if let Some(id) = ids.iter().find(|id| !is_id(id)) {
        table.fault("ids", &format!("holds {id:?}; an id is vendor:device, like \"8086:10fb\""), faults);
    }
    ids
}

/// A number that may be absent.
pub(super) fn optional_number(
    table: &mut Table<'_, '_>,
    key: &'static str,
    faults: &mut Faults<'_>,
) -> Option<u32> {
    table.has(key).then(|| table.number(key, 0, 0..=u64::from(u32::MAX), faults) as u32)
}

fn optional_texts(table: &mut Table<'_, '_>, key: &'static str, faults: &mut Faults<'_>) -> Vec<String> {
    if table.has(key) { table.texts(key, faults) } else { Vec::new() }
}

/// A kernel's version, such as `5.19`.
fn version(table: &mut Table<'_, '_>, key: &'static str, faults: &mut Faults<'_>) -> Option<String> {
    let text = table.optional_text(key, faults)?;
    let number = |part: &str| part.parse::<u16>().is_ok();
    if !text.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor)) {
        table.fault(key, "must be a kernel's version, like \"5.19\"", faults);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_of_each_queue_is_found_by_one_pattern() {
        let counters = LossCounters { loss: vec!["queue_*_lost".into(), "gone".into()], explain: Vec::new() };
        let names = ["queue_0_lost", "queue_12_lost", "queue__lost", "queue_1_lost_bytes", "gone", "lost"];
        let statistics: Vec<_> = names.iter().map(|name| ((*name).to_owned(), 1)).collect();
        let lost: Vec<&str> = counters.lost(&statistics).into_iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(lost, ["queue_0_lost", "queue_12_lost", "gone"]);
        assert!(counters.lost(&[("gone".into(), 0)]).is_empty());
    }

    #[test]
    fn every_fault_of_a_profile_has_its_line() {
        let text = "name = \"x\"\ntitle = \"X\"\ndriver = \"x\"\n[queues]\nmost = 4\n[pci]\n\
                    ids = [\"8086\"]\nbasis = \"guessed\"\nsource = \"s\"\n[xdp]\nnative_since = \"old\"\n\
                    basis = \"published\"\nsource = \"s\"\ncolour = 1\n";
        let faults = parse(text).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [4, 4, 7, 8, 11, 14], "{faults:#?}");
    }
}
