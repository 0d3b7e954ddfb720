//! What differs between a host's profile and what the kernel says.

use nightjar_capture::ethtool::{ChannelCounts, FlowKind, FlowRule, HashFields};

use super::cores::Work;
use super::host::{HostProfile, Interface};
use super::machine::Machine;
use super::nic::NicProfile;
use super::port::Port;
use super::setting::{Setting, Step, even_table, in_order, is_symmetric, symmetric_key};

/// The feature that rules need.
const RULES_FEATURE: &str = "rx-ntuple-filter";

/// What is to be done about an interface, and what cannot be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Changes that would make it as the profile says, in order.
    pub steps: Vec<Step>,
    /// What no setting can mend, in words.
    pub unmendable: Vec<String>,
}

/// Compares an interface with its profile.
pub fn interface(wanted: &Interface, nic: Option<&NicProfile>, port: &Port) -> Differences {
    let mut found = Differences::default();
    if wanted.driver != port.driver.driver {
        let driver = &port.driver.driver;
        found.say(wanted, &format!("its driver is {driver}, the profile was made for {}", wanted.driver));
    }
    compare_queues(wanted, port, &mut found);
    compare_ring(wanted, port, &mut found);
    for name in &wanted.offloads_off {
        compare_offload(wanted, name, port, &mut found);
    }
    if wanted.symmetric_hash {
        compare_hash(wanted, port, &mut found);
    }
    if let Some(queue) = wanted.signalling_queue {
        compare_rules(wanted, queue, nic, port, &mut found);
    }
    found.steps = in_order(found.steps);
    found
}

impl Differences {
    fn say(&mut self, wanted: &Interface, what: &str) {
        self.unmendable.push(format!("{}: {what}", wanted.name));
    }

    fn step(&mut self, wanted: &Interface, from: Setting, to: Setting) {
        if from != to {
            self.steps.push(Step { interface: wanted.name.clone(), from, to });
        }
    }
}

fn compare_queues(wanted: &Interface, port: &Port, found: &mut Differences) {
    let Some(queues) = wanted.queues else { return };
    let Some(channels) = port.channels else {
        if queues != 1 {
            found.say(wanted, &format!("its driver has no queues to set, the profile says {queues}"));
        }
        return;
    };
    if queues > port.most_queues() {
        let most = port.most_queues();
        found.say(wanted, &format!("its driver gives at most {most} queues, the profile says {queues}"));
        return;
    }
    let now = channels.now;
    let to = if channels.most.combined > 0 {
        ChannelCounts { combined: queues, receive: 0, transmit: 0, other: now.other }
    } else {
        ChannelCounts { receive: queues, ..now }
    };
    found.step(wanted, Setting::Channels(now), Setting::Channels(to));
}

fn compare_ring(wanted: &Interface, port: &Port, found: &mut Differences) {
    let Some(ring) = wanted.receive_ring else { return };
    match port.rings {
        None => found.say(wanted, &format!("its driver has no ring size to set, the profile says {ring}")),
        Some(rings) if ring > rings.most_receive => {
            let most = rings.most_receive;
            found.say(wanted, &format!("its rings hold at most {most} descriptors, the profile says {ring}"));
        }
        Some(rings) => {
            found.step(wanted, Setting::ReceiveRing(rings.receive), Setting::ReceiveRing(ring));
        }
    }
}

fn compare_offload(wanted: &Interface, name: &str, port: &Port, found: &mut Differences) {
    match port.feature(name) {
        None => found
            .say(wanted, &format!("this kernel knows no feature {name:?}; correct its name in the profile")),
        Some(feature) if feature.active && !feature.changeable => {
            found.say(wanted, &format!("{name} is on, the driver does not let it be switched off"));
        }
        Some(feature) => {
            let setting = |on| Setting::Feature { name: name.to_owned(), on };
            found.step(wanted, setting(feature.active), setting(false));
        }
    }
}

fn compare_hash(wanted: &Interface, port: &Port, found: &mut Differences) {
    let queues = wanted.queues.unwrap_or_else(|| port.queues());
    match &port.rss {
        None => {
            if queues > 1 {
                found.say(
                    wanted,
                    "its driver lets nobody set the hash: the two directions of a call may come \
                                   onto different queues",
                );
            }
            return;
        }
        Some(rss) => {
            if !rss.key.is_empty() && !is_symmetric(&rss.key) {
                let key = symmetric_key(rss.key.len());
                found.step(wanted, Setting::HashKey(rss.key.clone()), Setting::HashKey(key));
            }
            if !rss.table.is_empty() {
                let even = even_table(rss.table.len(), queues);
                found.step(wanted, Setting::HashTable(rss.table.clone()), Setting::HashTable(even));
            }
        }
    }
    for flow in [FlowKind::Udp4, FlowKind::Udp6] {
        let Some(fields) = port.hash_fields.get(&flow) else { continue };
        let setting = |fields| Setting::HashFields { flow, fields };
        found.step(wanted, setting(*fields), setting(HashFields::ADDRESSES_AND_PORTS));
    }
}

fn compare_rules(
    wanted: &Interface,
    queue: u32,
    nic: Option<&NicProfile>,
    port: &Port,
    found: &mut Differences,
) {
    let Some(present) = &port.rules else {
        found.say(wanted, "its driver takes no rules: signalling stays on the queue that its hash gives it");
        return;
    };
    if let Some(feature) = port.feature(RULES_FEATURE).filter(|feature| feature.changeable) {
        let setting = |on| Setting::Feature { name: RULES_FEATURE.to_owned(), on };
        found.step(wanted, setting(feature.active), setting(true));
    }
    for rule in rules(wanted, queue, nic) {
        if !present.iter().any(|(_, known)| *known == Some(rule)) {
            found.step(wanted, Setting::NoRule(rule), Setting::Rule(rule));
        }
    }
}

/// The rules that put signalling on its queue, as far as the card takes them.
fn rules(wanted: &Interface, queue: u32, nic: Option<&NicProfile>) -> Vec<FlowRule> {
    let can = nic.and_then(|nic| nic.rules.as_ref()).map(|rules| rules.figure);
    let (ipv6, source_ports) = can.map_or((false, false), |can| (can.ipv6, can.source_ports));
    let is_v6 = |flow: FlowKind| matches!(flow, FlowKind::Tcp6 | FlowKind::Udp6);
    let flows = FlowKind::ALL.into_iter().filter(|flow| ipv6 || !is_v6(*flow));
    let mut rules = Vec::new();
    for flow in flows {
        for port in wanted.signalling_ports.iter().copied() {
            rules.push(FlowRule { flow, source_port: None, destination_port: Some(port), queue });
            if source_ports {
                rules.push(FlowRule { flow, source_port: Some(port), destination_port: None, queue });
            }
        }
    }
    rules
}

/// What shows that a profile was made for another machine, in words; it may name CPUs that do other work here.
pub fn identity(profile: &HostProfile, machine: &Machine) -> Vec<String> {
    let mut found = Vec::new();
    let cores = machine.cpus.len();
    if cores != profile.cores as usize {
        found.push(format!("the machine has {cores} CPUs online, the profile says {}", profile.cores));
    }
    if machine.model != profile.cpu {
        found.push(format!("the CPU is {:?}, the profile says {:?}", machine.model, profile.cpu));
    }
    let offline = profile.work.iter().filter(|core| machine.cpu(core.cpu).is_none());
    found.extend(offline.map(|core| format!("CPU {} is not online, the profile gives it work", core.cpu)));
    found
}

/// What differs between a profile and the machine itself, in words.
pub fn machine(profile: &HostProfile, machine: &Machine, nodes: &[(String, Option<u32>)]) -> Vec<String> {
    let mut found = identity(profile, machine);
    for core in &profile.work {
        let (Some(cpu), Work::Capture { interface, queue }) = (machine.cpu(core.cpu), &core.work) else {
            continue;
        };
        let node = nodes.iter().find(|(name, _)| name == interface).and_then(|(_, node)| *node);
        if let Some(node) = node.filter(|node| *node != cpu.node) {
            found.push(format!(
                "queue {queue} of {interface} is captured by CPU {} of NUMA node {}, the card is on node {node}: \
                 each packet crosses between them",
                cpu.number, cpu.node
            ));
        }
    }
    for interface in &profile.interfaces {
        let node = nodes.iter().find(|(name, _)| *name == interface.name).and_then(|(_, node)| *node);
        if interface.numa_node.is_some() && interface.numa_node != node {
            let says =
                |node: Option<u32>| node.map_or_else(|| "no node".to_owned(), |node| format!("node {node}"));
            found.push(format!(
                "{}: its card is on {}, the profile says {}",
                interface.name,
                says(node),
                says(interface.numa_node)
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nightjar_capture::ethtool::{Channels, DriverInfo, Feature, Rings, Rss};

    use super::super::library::Library;
    use super::*;

    fn wanted() -> Interface {
        Interface {
            name: "eth1".into(),
            driver: "ixgbe".into(),
            nic: Some("ixgbe".into()),
            numa_node: None,
            queues: Some(2),
            receive_ring: Some(4096),
            symmetric_hash: true,
            offloads_off: vec!["rx-gro".into()],
            signalling_ports: vec![5060],
            signalling_queue: Some(0),
        }
    }

    /// A card as its driver sets it up.
    fn port() -> Port {
        let feature =
            |name: &str, active| Feature { name: name.into(), active, wanted: active, changeable: true };
        Port {
            interface: "eth1".into(),
            driver: DriverInfo { driver: "ixgbe".into(), ..DriverInfo::default() },
            channels: Some(Channels {
                now: ChannelCounts { combined: 4, other: 1, ..ChannelCounts::default() },
                most: ChannelCounts { combined: 63, other: 1, ..ChannelCounts::default() },
            }),
            rings: Some(Rings { receive: 512, transmit: 512, most_receive: 4096, most_transmit: 4096 }),
            coalescing: None,
            features: vec![feature("rx-gro", true), feature(RULES_FEATURE, false)],
            rss: Some(Rss { key: vec![1, 2, 3, 4], table: even_table(8, 4) }),
            hash_fields: BTreeMap::from([(FlowKind::Udp4, HashFields::ADDRESSES)]),
            rules: Some(Vec::new()),
            statistics: Vec::new(),
        }
    }

    #[test]
    fn all_that_differs_is_named_with_its_command_and_in_an_order_that_works() {
        let library = Library::load(None).unwrap();
        let found = interface(&wanted(), library.nic("ixgbe"), &port());
        assert_eq!(found.unmendable, Vec::<String>::new());
        let commands: Vec<String> = found.steps.iter().map(Step::command).collect();
        assert_eq!(
            commands,
            [
                "ethtool -K eth1 rx-ntuple-filter on",
                "ethtool -G eth1 rx 4096",
                "ethtool -X eth1 hkey 6d:5a:6d:5a",
                "ethtool -X eth1 equal 2",
                "ethtool -L eth1 combined 2",
                "ethtool -N eth1 rx-flow-hash udp4 sdfn",
                "ethtool -K eth1 rx-gro off",
                "ethtool -N eth1 flow-type tcp4 dst-port 5060 action 0",
                "ethtool -N eth1 flow-type udp4 dst-port 5060 action 0",
            ]
        );
    }

    #[test]
    fn a_card_that_is_set_has_no_differences() {
        let rule = |flow| FlowRule { flow, source_port: None, destination_port: Some(5060), queue: 0 };
        let mut port = port();
        port.channels.as_mut().unwrap().now.combined = 2;
        port.rings.as_mut().unwrap().receive = 4096;
        port.features[0].active = false;
        port.features[1].active = true;
        port.rss = Some(Rss { key: symmetric_key(40), table: even_table(128, 2) });
        port.hash_fields.insert(FlowKind::Udp4, HashFields::ADDRESSES_AND_PORTS);
        port.rules = Some(vec![(1, Some(rule(FlowKind::Tcp4))), (0, Some(rule(FlowKind::Udp4)))]);
        let library = Library::load(None).unwrap();
        assert_eq!(interface(&wanted(), library.nic("ixgbe"), &port), Differences::default());
    }

    #[test]
    fn what_the_driver_cannot_do_is_said_and_not_tried() {
        let port = Port {
            driver: DriverInfo { driver: "e1000".into(), ..DriverInfo::default() },
            ..Port::default()
        };
        let found = interface(&wanted(), None, &port);
        assert_eq!(found.steps, []);
        assert_eq!(found.unmendable.len(), 6, "{:#?}", found.unmendable);
        assert!(found.unmendable[0].contains("e1000") && found.unmendable[5].contains("no rules"));
    }
}
