//! The machine: its CPUs, their cores and NUMA nodes, its PCI devices, as `/sys` and `/proc` say. None of it
//! belongs to a network namespace, so it is true wherever `/sys` was mounted.

use std::fs;
use std::path::Path;

use crate::sysfs::{number, text};

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The CPUs that are online, by their number.
    pub cpus: Vec<Cpu>,
    /// The CPU's maker (`vendor_id`).
    pub vendor: String,
    /// Its family.
    pub family: Option<u64>,
    /// What it is called.
    pub model: String,
    /// The kernel's release.
    pub kernel: String,
    /// The host's name.
    pub host: String,
}

/// One CPU, that is a hardware thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: u32,
    /// Its NUMA node.
    pub node: u32,
    /// The lowest CPU of its core: its own number unless it is a second thread.
    pub core: u32,
}

/// A PCI device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PciDevice {
    /// `vendor:device` in hexadecimal.
    pub id: Option<String>,
    /// Its NUMA node; `None` where the machine has only one or does not say.
    pub node: Option<u32>,
    /// The numbers of its interrupts.
    pub interrupts: Vec<u32>,
}

impl Machine {
    /// Reads the machine below `root`, which is `/` but in tests.
    pub fn read(root: &Path) -> Machine {
        let cpuinfo = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        let field = |name: &str| {
            let line =
                cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        Machine {
            cpus: read_cpus(root),
            vendor: field("vendor_id").unwrap_or_default(),
            family: field("cpu family").and_then(|family| family.parse().ok()),
            model: field("model name").unwrap_or_else(|| "unknown".to_owned()),
            kernel: text(root.join("proc/sys/kernel/osrelease")).unwrap_or_default(),
            host: text(root.join("proc/sys/kernel/hostname")).unwrap_or_default(),
        }
    }

    /// How many NUMA nodes have CPUs.
    pub fn nodes(&self) -> usize {
        let mut nodes: Vec<u32> = self.cpus.iter().map(|cpu| cpu.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.len()
    }

    /// A CPU by its number.
    pub fn cpu(&self, number: u32) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.number == number)
    }
}

fn read_cpus(root: &Path) -> Vec<Cpu> {
    let folder = root.join("sys/devices/system");
    let online = text(folder.join("cpu/online")).map_or_else(Vec::new, |list| numbers(&list));
    let nodes: Vec<(u32, Vec<u32>)> = text(folder.join("node/online"))
        .map_or_else(Vec::new, |list| numbers(&list))
        .into_iter()
        .map(|node| {
            let list = text(folder.join(format!("node/node{node}/cpulist")));
            (node, list.map_or_else(Vec::new, |list| numbers(&list)))
        })
        .collect();
    let cpu = |number: u32| {
        let siblings = text(folder.join(format!("cpu/cpu{number}/topology/thread_siblings_list")));
        let first = siblings.and_then(|list| numbers(&list).first().copied());
        let node = nodes.iter().find(|(_, cpus)| cpus.contains(&number)).map_or(0, |(node, _)| *node);
        Cpu { number, node, core: first.unwrap_or(number) }
    };
    online.into_iter().map(cpu).collect()
}

/// What `/sys` says of a PCI device; nothing where there is no such device.
pub fn pci_device(root: &Path, address: &str) -> PciDevice {
    let is_address =
        !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b));
    if !is_address {
        return PciDevice::default();
    }
    let folder = root.join("sys/bus/pci/devices").join(address);
    let id = |file: &str| text(folder.join(file)).and_then(|id| id.strip_prefix("0x").map(str::to_owned));
    let names = fs::read_dir(folder.join("msi_irqs")).into_iter().flatten().flatten();
    let mut interrupts: Vec<u32> =
        names.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect();
    interrupts.sort_unstable();
    PciDevice {
        id: id("vendor").zip(id("device")).map(|(vendor, device)| format!("{vendor}:{device}")),
        // -1 where the firmware does not say.
        node: number(folder.join("numa_node")),
        interrupts,
    }
}

/// The numbers of a list such as `0-3,8`.
fn numbers(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?.min(8191))
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(numbers("0-2,5,7-8"), [0, 1, 2, 5, 7, 8]);
        assert_eq!(numbers(""), Vec::<u32>::new());
    }

    #[test]
    fn a_machine_of_two_nodes_with_two_threads_per_core() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let system = "sys/devices/system";
        write(&format!("{system}/cpu/online"), "0-3\n");
        for (cpu, siblings) in [(0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")] {
            write(&format!("{system}/cpu/cpu{cpu}/topology/thread_siblings_list"), siblings);
        }
        write(&format!("{system}/node/online"), "0-1\n");
        write(&format!("{system}/node/node0/cpulist"), "0,2\n");
        write(&format!("{system}/node/node1/cpulist"), "1,3\n");
        write("proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel name\t: A CPU: 2\n");
        let device = "sys/bus/pci/devices/0000:03:00.0";
        write(&format!("{device}/vendor"), "0x8086\n");
        write(&format!("{device}/device"), "0x10fb\n");
        write(&format!("{device}/numa_node"), "1\n");
        write(&format!("{device}/msi_irqs/31"), "");
        let machine = Machine::read(root.path());
        assert_eq!(machine.nodes(), 2);
        assert_eq!(machine.cpu(3), Some(&Cpu { number: 3, node: 1, core: 1 }));
        assert_eq!((machine.family, machine.model.as_str()), (Some(6), "A CPU: 2"));
        let pci = pci_device(root.path(), "0000:03:00.0");
        assert_eq!(pci, PciDevice { id: Some("8086:10fb".into()), node: Some(1), interrupts: vec![31] });
        assert_eq!(pci_device(root.path(), "../../etc"), PciDevice::default());
    }
}
