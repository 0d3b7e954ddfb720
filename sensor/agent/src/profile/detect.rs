//! `profile detect`: writes a profile for this machine, from what the kernel says of it. What it writes can be
//! applied: nothing that the driver does not have is in it.

use std::path::Path;

use nightjar_capture::{host_use, interface_names};

use super::cores::{Wants, queues_for, share};
use super::host::{HostProfile, Interface, render};
use super::library::Library;
use super::machine::{Machine, PciDevice, pci_device};
use super::nic::{Basis, NicProfile, Origin, Symmetric};
use super::port::Port;
use crate::args::Detect;

/// An interface that was found.
struct Found<'a> {
    port: Port,
    pci: PciDevice,
    nic: Option<&'a NicProfile>,
}

/// Writes the profile.
///
/// # Errors
/// What cannot be asked or written, in words.
pub fn run(args: &Detect) -> Result<(), String> {
    let library = Library::load(args.profiles.as_deref()).map_err(|error| error.to_string())?;
    let root = Path::new("/");
    let machine = Machine::read(root);
    let names = if args.interface.is_empty() { free_interfaces() } else { args.interface.clone() };
    let found: Result<Vec<Found<'_>>, String> = names.iter().map(|name| find(name, root, &library)).collect();
    let text = write(&machine, &library, &found?, &args.signalling_port);
    match &args.out {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| format!("cannot write the profile {}: {error}", path.display())),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

/// The interfaces of this namespace that this host does not use itself.
fn free_interfaces() -> Vec<String> {
    let is_free = |name: &String| name != "lo" && host_use(name).is_none() && Port::read(name).is_ok();
    interface_names().into_iter().filter(is_free).collect()
}

fn find<'a>(name: &str, root: &Path, library: &'a Library) -> Result<Found<'a>, String> {
    let port = Port::read(name).map_err(|error| cannot_ask(name, &error))?;
    let pci = pci_device(root, &port.driver.bus);
    let nic = library.nic_for(&port.driver.driver, pci.id.as_deref());
    Ok(Found { port, pci, nic })
}

/// Why an interface cannot be asked, and what to do about it.
pub(super) fn cannot_ask(name: &str, error: &std::io::Error) -> String {
    let existing = interface_names().join(", ");
    format!("cannot ask about {name}: {error}; the interfaces of this network namespace are {existing}")
}

/// The profile's text.
fn write(machine: &Machine, library: &Library, found: &[Found<'_>], signalling: &[u16]) -> String {
    let wants = |found: &Found<'_>| -> (String, u32, Option<u32>) {
        (found.port.interface.clone(), most_queues(found), found.pci.node)
    };
    let wanted: Vec<_> = found.iter().map(wants).collect();
    let shares: Vec<(Wants<'_>, u32)> = wanted
        .iter()
        .map(|(interface, most_queues, node)| {
            let wants = Wants { interface, most_queues: *most_queues, node: *node };
            (wants, queues_for(machine, wants))
        })
        .collect();
    let interfaces = found.iter().zip(&shares).map(|(found, (_, queues))| set_up(found, *queues, signalling));
    let profile = HostProfile {
        name: if machine.host.is_empty() { "host".into() } else { machine.host.clone() },
        origin: Origin {
            basis: Basis::Measured,
            source: format!("nightjar-sensor profile detect, Linux {}", machine.kernel),
        },
        cores: machine.cpus.len() as u32,
        cpu: machine.model.clone(),
        interfaces: interfaces.collect(),
        work: share(machine, &shares),
    };
    render(&profile, &notes(machine, library, found))
}

/// The most queues that can be captured.
fn most_queues(found: &Found<'_>) -> u32 {
    let most = found.port.most_queues();
    let Some(queues) = found.nic.and_then(|nic| nic.queues.as_ref()) else { return most };
    let most = most.min(queues.figure.most.unwrap_or(most));
    if queues.figure.half_for_xdp { (most / 2).max(1) } else { most }
}

/// What an interface should be set to.
fn set_up(found: &Found<'_>, queues: u32, signalling: &[u16]) -> Interface {
    let (port, nic) = (&found.port, found.nic);
    let ring = nic.and_then(|nic| nic.rings.as_ref()).and_then(|rings| rings.figure.receive);
    let ring = port.rings.map(|rings| ring.unwrap_or(rings.receive).min(rings.most_receive));
    let symmetric = nic
        .and_then(|nic| nic.rss.as_ref())
        .is_some_and(|rss| rss.figure.symmetric == Symmetric::RepeatedKey);
    let rules = port.rules.is_some() && nic.is_some_and(|nic| nic.rules.is_some()) && !signalling.is_empty();
    let off = nic.and_then(|nic| nic.offloads_off.as_ref()).map_or(&[][..], |off| &off.figure);
    // One that is on and fixed would be a fault that nobody can mend; the notes name it.
    let can_be_off =
        |name: &&String| port.feature(name).is_some_and(|feature| !feature.active || feature.changeable);
    Interface {
        name: port.interface.clone(),
        driver: port.driver.driver.clone(),
        nic: nic.map(|nic| nic.name.clone()),
        numa_node: found.pci.node,
        queues: port.channels.is_some().then_some(queues),
        receive_ring: ring,
        symmetric_hash: symmetric && port.rss.is_some(),
        offloads_off: off.iter().filter(can_be_off).cloned().collect(),
        signalling_ports: if rules { signalling.to_vec() } else { Vec::new() },
        signalling_queue: rules.then_some(0),
    }
}

/// What to know about the machine, as comments: nothing of it can be set.
fn notes(machine: &Machine, library: &Library, found: &[Found<'_>]) -> Vec<String> {
    let mut notes = vec![format!(
        "{} with {} CPUs on {} NUMA node(s), Linux {}",
        machine.model,
        machine.cpus.len(),
        machine.nodes(),
        machine.kernel
    )];
    if let Some(cpu) = library.cpu_for(&machine.vendor, machine.family) {
        notes.extend(cpu.quirks.iter().map(|quirk| format!("{}: {}", cpu.title, quirk.figure.what)));
    }
    for Found { port, pci, nic } in found {
        let name = &port.interface;
        if let Some(used) = host_use(name) {
            notes.push(format!("{name}: {used}; a mirror port should be used by nothing else"));
        }
        if let Some(coalescing) = port.coalescing {
            let adaptive = if coalescing.adaptive { ", adaptive" } else { "" };
            notes.push(format!("{name}: interrupts after {} us{adaptive}", coalescing.receive_us));
        }
        if !pci.interrupts.is_empty() {
            notes.push(format!("{name}: interrupts {:?} in /proc/interrupts", pci.interrupts));
        }
        let Some(nic) = nic else {
            notes.push(format!("{name}: there is no profile for the driver {}", port.driver.driver));
            continue;
        };
        if let Some(xdp) = &nic.xdp {
            let since = |kernel: &Option<String>| {
                kernel
                    .as_ref()
                    .map_or_else(|| "not known".to_owned(), |kernel| format!("since Linux {kernel}"))
            };
            let (native, zero_copy) = (since(&xdp.figure.native_since), since(&xdp.figure.zero_copy_since));
            notes.push(format!("{name}: native XDP {native}, zero-copy AF_XDP {zero_copy}"));
        }
        notes.extend(nic.quirks.iter().map(|quirk| format!("{name}: {}", quirk.figure.what)));
        let off = nic.offloads_off.as_ref().map_or(&[][..], |off| &off.figure);
        let fixed =
            |name: &&String| port.feature(name).is_some_and(|feature| feature.active && !feature.changeable);
        notes.extend(off.iter().filter(fixed).map(|feature| {
            format!("{name}: {feature} is on and should be off; the driver does not let it be switched")
        }));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::super::host::parse;
    use super::super::machine::Cpu;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_can_be_applied() {
        let library = Library::load(None).unwrap();
        let cpu = |number| Cpu { number, node: 0, core: number };
        let machine =
            Machine { cpus: (0..8).map(cpu).collect(), model: "A CPU".into(), ..Machine::default() };
        let mut port = Port { interface: "eth1".into(), ..Port::default() };
        port.driver.driver = "ixgbe".into();
        port.channels = Some(Default::default());
        port.channels.as_mut().unwrap().most.combined = 63;
        port.rings = Some(Default::default());
        port.rings.as_mut().unwrap().most_receive = 1024;
        let nic = library.nic("ixgbe");
        let text = write(
            &machine,
            &library,
            &[Found { port: port.clone(), pci: PciDevice::default(), nic }],
            &[5060],
        );
        let profile = parse(&text).unwrap();
        let interface = &profile.interfaces[0];
        // No rules and no hash: this driver has neither.
        assert_eq!((interface.queues, interface.receive_ring), (Some(2), Some(1024)), "{text}");
        assert_eq!((interface.symmetric_hash, interface.signalling_queue), (false, None));
        assert_eq!(compare::interface(interface, nic, &port).unmendable, Vec::<String>::new());
        assert_eq!(compare::machine(&profile, &machine, &[("eth1".into(), None)]), Vec::<String>::new());
    }
}
