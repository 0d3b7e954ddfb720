//! A host's profile: which interfaces are captured, what they are set to, and which core does what.

use std::fmt::Write as _;
use std::path::Path;

use super::cores::{Core, Work};
use super::nic::{Origin, optional_number, read_origin};
use crate::config::reader::{Faults, Table};
use crate::config::{ConfigError, Fault};

/// A host's profile. What it does not name is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProfile {
    /// Its name.
    pub name: String,
    /// Where its figures come from.
    pub origin: Origin,
    /// Cores that the host has.
    pub cores: u32,
    /// Its CPU, as the kernel calls it.
    pub cpu: String,
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// Which core does what.
    pub work: Vec<Core>,
}

/// What an interface is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its card's profile.
    pub nic: Option<String>,
    /// The NUMA node of its device.
    pub numa_node: Option<u32>,
    /// Receive queues.
    pub queues: Option<u32>,
    /// Descriptors of each receive ring.
    pub receive_ring: Option<u32>,
    /// Both directions of a flow onto one queue: by addresses and ports of UDP, and a repeated key.
    pub symmetric_hash: bool,
    /// Features that are off.
    pub offloads_off: Vec<String>,
    /// Ports of signalling that rules put onto `signalling_queue`.
    pub signalling_ports: Vec<u16>,
    /// Where they go; none: no rules.
    pub signalling_queue: Option<u32>,
}

/// Reads and checks a host's profile.
///
/// # Errors
/// When it cannot be read, or holds faults: then all of them.
pub fn load(path: &Path) -> Result<HostProfile, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::Unreadable(format!("cannot read the profile {}: {error}", path.display()))
    })?;
    parse(&text).map_err(|faults| ConfigError::Faults(path.to_owned(), faults))
}

/// Checks a host profile's text.
///
/// # Errors
/// All faults, in order of their lines.
pub fn parse(text: &str) -> Result<HostProfile, Vec<Fault>> {
    let (document, mut found) = Faults::parse(text);
    let faults = &mut found;
    let mut root = Table::root(&document);
    let name = root.text("name", faults).unwrap_or_default();
    let origin = read_origin(&mut root, faults);
    let mut cpu = root.table("cpu", faults);
    let model = cpu.text("model", faults).unwrap_or_default();
    let cores = cpu.number("cores", 1, 1..=4096, faults) as u32;
    cpu.finish(faults);
    let interfaces: Vec<_> =
        root.tables("interface", faults).into_iter().map(|table| read_interface(table, faults)).collect();
    let tables = root.tables("core", faults);
    let work = tables.into_iter().map(|table| read_core(table, &interfaces, cores, faults)).collect();
    root.finish(faults);
    found.into_result(HostProfile { name, origin, cores, cpu: model, interfaces, work })
}

fn read_interface(mut table: Table<'_, '_>, faults: &mut Faults<'_>) -> Interface {
    let [name, driver] = ["name", "driver"].map(|key| table.text(key, faults).unwrap_or_default());
    if name.len() > 15 || name.contains(['/', ' ']) {
        table.fault(
            "name",
            "is longer than 15 bytes or holds a '/' or a space: no interface can have it",
            faults,
        );
    }
    let queues = table.has("queues").then(|| table.number("queues", 1, 1..=1024, faults) as u32);
    let signalling_queue = optional_number(&mut table, "signalling_queue", faults);
    if signalling_queue.zip(queues).is_some_and(|(queue, queues)| queue >= queues) {
        table.fault("signalling_queue", "must be below `queues`; the first queue is 0", faults);
    }
    let interface = Interface {
        nic: table.optional_text("nic", faults),
        numa_node: optional_number(&mut table, "numa_node", faults),
        receive_ring: table
            .has("receive_ring")
            .then(|| table.number("receive_ring", 1, 1..=65_536, faults) as u32),
        symmetric_hash: table.flag("symmetric_hash", false, faults),
        offloads_off: if table.has("offloads_off") {
            table.texts("offloads_off", faults)
        } else {
            Vec::new()
        },
        signalling_ports: table.ports("signalling_ports", &[], faults),
        name,
        driver,
        queues,
        signalling_queue,
    };
    table.finish(faults);
    interface
}

fn read_core(
    mut table: Table<'_, '_>,
    interfaces: &[Interface],
    cores: u32,
    faults: &mut Faults<'_>,
) -> Core {
    let cpu = table.number("cpu", 0, 0..=4095, faults) as u32;
    // Numbers of offline CPUs leave holes, so this is a likely mistake only where there are none.
    if !table.has("cpu") {
        table.fault("cpu", "is missing: say which, from 0", faults);
    } else if cpu >= cores {
        table.fault("cpu", &format!("is {cpu}, but cpu.cores says {cores}; the first is 0"), faults);
    }
    let kinds = [("worker", false), ("capture", true)];
    if !table.choice("does", &kinds, faults) {
        table.finish(faults);
        return Core { cpu, work: Work::Media };
    }
    let interface = table.text("interface", faults).unwrap_or_default();
    let queue = table.number("queue", 0, 0..=1023, faults) as u32;
    match interfaces.iter().find(|known| known.name == interface) {
        None => table.fault("interface", "has no [[interface]] of that name", faults),
        Some(known) if known.queues.is_some_and(|queues| queue >= queues) => {
            table.fault("queue", "must be below the interface's `queues`; the first queue is 0", faults);
        }
        Some(_) => {}
    }
    table.finish(faults);
    Core { cpu, work: Work::Capture { interface, queue } }
}

/// Writes a profile as TOML. The notes become comments at its head, a line each.
pub fn render(profile: &HostProfile, notes: &[String]) -> String {
    let mut text = String::new();
    for note in notes {
        writeln!(text, "# {note}").expect("a String takes any text");
    }
    let quoted = |value: &str| toml::Value::from(value).to_string();
    let mut line =
        |key: &str, value: String| writeln!(text, "{key} = {value}").expect("a String takes any text");
    line("name", quoted(&profile.name));
    line("basis", quoted("measured"));
    line("source", quoted(&profile.origin.source));
    text.push_str("\n[cpu]\n");
    let _ = writeln!(text, "model = {}\ncores = {}", quoted(&profile.cpu), profile.cores);
    for interface in &profile.interfaces {
        text.push_str("\n[[interface]]\n");
        for (key, value) in interface_lines(interface, quoted) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    for core in &profile.work {
        let _ = match &core.work {
            Work::Media => writeln!(text, "\n[[core]]\ncpu = {}\ndoes = \"worker\"", core.cpu),
            Work::Capture { interface, queue } => writeln!(
                text,
                "\n[[core]]\ncpu = {}\ndoes = \"capture\"\ninterface = {}\nqueue = {queue}",
                core.cpu,
                quoted(interface)
            ),
        };
    }
    text
}

/// The keys and values of an interface that are set.
fn interface_lines(interface: &Interface, quoted: impl Fn(&str) -> String) -> Vec<(&'static str, String)> {
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    let features: Vec<String> = interface.offloads_off.iter().map(|name| quoted(name)).collect();
    let ports = &interface.signalling_ports;
    let lines = [
        ("name", Some(quoted(&interface.name))),
        ("driver", Some(quoted(&interface.driver))),
        ("nic", interface.nic.as_deref().map(&quoted)),
        ("numa_node", number(interface.numa_node)),
        ("queues", number(interface.queues)),
        ("receive_ring", number(interface.receive_ring)),
        ("symmetric_hash", interface.symmetric_hash.then(|| "true".to_owned())),
        ("offloads_off", (!features.is_empty()).then(|| format!("[{}]", features.join(", ")))),
        ("signalling_ports", (!ports.is_empty()).then(|| format!("{ports:?}"))),
        ("signalling_queue", number(interface.signalling_queue)),
    ];
    lines.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"h\"\nbasis = \"measured\"\nsource = \"a test\"\n[cpu]\nmodel = \"X \\\"1\\\"\"\ncores = 2\n\
        [[interface]]\nname = \"eth1\"\ndriver = \"ixgbe\"\nnic = \"ixgbe\"\nqueues = 2\nreceive_ring = 4096\n\
        symmetric_hash = true\noffloads_off = [\"rx-gro\"]\nsignalling_ports = [5060]\nsignalling_queue = 0\n\
        [[core]]\ncpu = 0\ndoes = \"capture\"\ninterface = \"eth1\"\nqueue = 1\n[[core]]\ncpu = 1\ndoes = \"worker\"\n";

    #[test]
    fn a_profile_is_read_as_it_was_written() {
        let profile = parse(TEXT).unwrap();
        assert_eq!(profile.interfaces[0].queues, Some(2));
        let notes = ["a note".to_owned()];
        let written = render(&profile, &notes);
        assert!(written.starts_with("# a note\n"), "{written}");
        assert_eq!(parse(&written), Ok(profile));
    }

    #[test]
    fn every_fault_has_its_line() {
        let text = TEXT
            .replace("signalling_queue = 0", "signalling_queue = 2")
            .replace("queue = 1\n", "queue = 2\n")
            .replace("does = \"worker\"", "does = \"nothing\"");
        let faults = parse(&text).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [16, 21, 24], "{faults:#?}");
    }
}
