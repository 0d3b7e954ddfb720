//! Which core does what: a core per queue on the card's NUMA node, the rest for media.

use super::machine::{Cpu, Machine};

/// What a core does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// The CPU's number.
    pub cpu: u32,
    /// Its work.
    pub work: Work,
}

/// A kind of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// The capture loop of a queue.
    Capture {
        /// The interface.
        interface: String,
        /// The queue, from 0.
        queue: u32,
    },
    /// Decoding, mixing, encoding.
    Media,
}

/// An interface that wants cores.
#[derive(Clone, Copy, Debug)]
pub struct Wants<'a> {
    /// Its name.
    pub interface: &'a str,
    /// Queues that it could have at most.
    pub most_queues: u32,
    /// Its NUMA node.
    pub node: Option<u32>,
}

/// Physical cores, one thread of each, on `node` if it is known.
fn cores_of(machine: &Machine, node: Option<u32>) -> impl Iterator<Item = &Cpu> {
    let on_node = move |cpu: &&Cpu| node.is_none_or(|node| cpu.node == node);
    machine.cpus.iter().filter(|cpu| cpu.core == cpu.number).filter(on_node)
}

/// How many queues an interface should have: a quarter of its node's cores, for media costs more than
/// capture; at least one, at most what it can have.
pub fn queues_for(machine: &Machine, wants: Wants<'_>) -> u32 {
    let cores = cores_of(machine, wants.node).count() as u32;
    (cores / 4).clamp(1, wants.most_queues.max(1))
}

/// Shares the cores out: one for each queue, from the interface's own node; media takes what is left, and on
/// a machine where nothing is left the last core shares. The first core is left to the kernel where there
/// are four or more.
pub fn share(machine: &Machine, interfaces: &[(Wants<'_>, u32)]) -> Vec<Core> {
    let all = cores_of(machine, None).count();
    let spared = if all >= 4 { cores_of(machine, None).next().map(|cpu| cpu.number) } else { None };
    let mut taken: Vec<u32> = Vec::new();
    let mut work = Vec::new();
    for (wants, queues) in interfaces {
        for queue in 0..*queues {
            let free = |cpu: &&Cpu| Some(cpu.number) != spared && !taken.contains(&cpu.number);
            let own = cores_of(machine, wants.node).find(free);
            // A core that captures another queue is better than one of another node.
            let shared = || cores_of(machine, wants.node).nth(queue as usize % all.max(1));
            let Some(cpu) = own.or_else(shared).or(machine.cpus.first()).map(|cpu| cpu.number) else {
                continue;
            };
            taken.push(cpu);
            work.push(Core { cpu, work: Work::Capture { interface: wants.interface.to_owned(), queue } });
        }
    }
    let free =
        cores_of(machine, None).filter(|cpu| Some(cpu.number) != spared && !taken.contains(&cpu.number));
    let mut media: Vec<u32> = free.map(|cpu| cpu.number).collect();
    if media.is_empty() {
        media.extend(machine.cpus.last().map(|cpu| cpu.number));
    }
    work.extend(media.into_iter().map(|cpu| Core { cpu, work: Work::Media }));
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cores` cores on each of `nodes` nodes, with a second thread each when `smt`.
    fn machine(nodes: u32, cores: u32, smt: bool) -> Machine {
        let all = nodes * cores;
        let cpu = |number: u32| Cpu { number, node: number % all / cores, core: number % all };
        let count = if smt { all * 2 } else { all };
        Machine { cpus: (0..count).map(cpu).collect(), ..Machine::default() }
    }

    fn captures(work: &[Core]) -> Vec<u32> {
        work.iter().filter(|core| core.work != Work::Media).map(|core| core.cpu).collect()
    }

    #[test]
    fn capture_stays_on_the_cards_node_and_takes_one_thread_per_core() {
        let machine = machine(2, 8, true);
        let wants = Wants { interface: "eth1", most_queues: 63, node: Some(1) };
        assert_eq!(queues_for(&machine, wants), 2);
        let work = share(&machine, &[(wants, 2)]);
        assert_eq!(captures(&work), [8, 9]);
        let media: Vec<u32> =
            work.iter().filter(|core| core.work == Work::Media).map(|core| core.cpu).collect();
        assert_eq!(media, [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn a_small_machine_shares() {
        let machine = machine(1, 1, false);
        let wants = Wants { interface: "eth1", most_queues: 1, node: None };
        let work = share(&machine, &[(wants, 1)]);
        assert_eq!(work.iter().map(|core| core.cpu).collect::<Vec<_>>(), [0, 0]);
        let two = self::machine(1, 2, false);
        let work = share(&two, &[(wants, 1)]);
        assert_eq!(work.iter().map(|core| core.cpu).collect::<Vec<_>>(), [0, 1]);
    }
}
