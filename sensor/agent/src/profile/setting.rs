//! One setting of an interface, how it is made, said in words, and written as a command; and the order in
//! which several are made.

use std::fmt;
use std::io;

use nightjar_capture::ethtool::{ChannelCounts, Ethtool, FlowKind, FlowRule, HashFields, Rss};
use serde::{Deserialize, Serialize};

/// What one thing is, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The queues.
    Channels(ChannelCounts),
    /// Descriptors of each receive ring.
    ReceiveRing(u32),
    /// A feature.
    Feature {
        /// The kernel's name.
        name: String,
        /// Whether it works.
        on: bool,
    },
    /// What is hashed of a kind of flow.
    HashFields {
        /// The kind.
        flow: FlowKind,
        /// The fields.
        fields: HashFields,
    },
    /// The hash's key.
    HashKey(Vec<u8>),
    /// The queue of each remainder of the hash.
    HashTable(Vec<u32>),
    /// A rule that is there.
    Rule(FlowRule),
    /// A rule that is not there.
    NoRule(FlowRule),
}

/// A change of a setting, with what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The interface.
    pub interface: String,
    /// What it was.
    pub from: Setting,
    /// What it becomes.
    pub to: Setting,
}

impl Step {
    /// The step back.
    pub fn inverted(&self) -> Step {
        Step { interface: self.interface.clone(), from: self.to.clone(), to: self.from.clone() }
    }

    /// Makes the change.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make(&self) -> io::Result<()> {
        let ethtool = Ethtool::open(&self.interface)?;
        match &self.to {
            Setting::Channels(counts) => ethtool.set_channels(*counts),
            Setting::ReceiveRing(descriptors) => ethtool.set_receive_ring(*descriptors),
            Setting::Feature { name, on } => ethtool.set_features(&[(name, *on)]),
            Setting::HashFields { flow, fields } => ethtool.set_hash_fields(*flow, *fields),
            Setting::HashKey(key) => ethtool.set_rss(&Rss { key: key.clone(), table: Vec::new() }),
            Setting::HashTable(table) => ethtool.set_rss(&Rss { key: Vec::new(), table: table.clone() }),
            Setting::Rule(rule) => ethtool.add_rule(rule).map(drop),
            Setting::NoRule(rule) => remove(&ethtool, rule),
        }
    }

    /// When it must be made: the lower ones first. Rules need their feature and their queues; a table must
    /// never name a queue that does not exist, so it is set after queues have been added and before queues
    /// are taken away.
    fn rank(&self) -> u8 {
        match (&self.from, &self.to) {
            (_, Setting::NoRule(_)) => 0,
            (_, Setting::Feature { on: true, .. }) => 1,
            (Setting::Channels(from), Setting::Channels(to)) if queues(to) >= queues(from) => 2,
            (_, Setting::ReceiveRing(_)) => 3,
            (_, Setting::HashKey(_) | Setting::HashTable(_)) => 4,
            (_, Setting::Channels(_)) => 5,
            (_, Setting::HashFields { .. }) => 6,
            (_, Setting::Feature { on: false, .. }) => 7,
            (_, Setting::Rule(_)) => 8,
        }
    }
}

/// Puts steps into the order in which they can be made.
pub fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(Step::rank);
    steps
}

fn queues(counts: &ChannelCounts) -> u32 {
    counts.combined + counts.receive
}

fn remove(ethtool: &Ethtool, rule: &FlowRule) -> io::Result<()> {
    for place in ethtool.rule_places()? {
        if ethtool.rule(place).ok().flatten().as_ref() == Some(rule) {
            return ethtool.remove_rule(place);
        }
    }
    // Somebody else removed it: it is not there, which was to be reached.
    Ok(())
}

impl fmt::Display for Setting {
    /// In words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Channels(counts) if counts.combined > 0 => write!(f, "queues: {}", counts.combined),
            Setting::Channels(counts) => {
                write!(f, "receive queues: {}, transmit queues: {}", counts.receive, counts.transmit)
            }
            Setting::ReceiveRing(descriptors) => write!(f, "receive rings of {descriptors} descriptors"),
            Setting::Feature { name, on } => write!(f, "{name} {}", on_off(*on)),
            Setting::HashFields { flow, fields } if *fields == HashFields::ADDRESSES_AND_PORTS => {
                write!(f, "{} hashed by addresses and ports", flow.name())
            }
            Setting::HashFields { flow, fields } if *fields == HashFields::ADDRESSES => {
                write!(f, "{} hashed by addresses alone", flow.name())
            }
            Setting::HashFields { flow, fields } => {
                write!(f, "{} hashed by fields {:?}", flow.name(), fields.letters())
            }
            Setting::HashKey(key) if is_symmetric(key) => {
                f.write_str("a hash key that is the same for both directions")
            }
            Setting::HashKey(_) => f.write_str("a hash key that parts the two directions of a flow"),
            Setting::HashTable(table) => match spread(table) {
                Some(queues) => write!(f, "hashes spread evenly over {queues} queues"),
                None => f.write_str("hashes spread unevenly"),
            },
            Setting::Rule(rule) => write!(f, "{} on queue {}", ports(rule), rule.queue),
            Setting::NoRule(rule) => write!(f, "{} on no queue of its own", ports(rule)),
        }
    }
}

impl Step {
    /// The command that does the same.
    pub fn command(&self) -> String {
        let name = &self.interface;
        match &self.to {
            Setting::Channels(counts) if counts.combined > 0 => {
                format!("ethtool -L {name} combined {}", counts.combined)
            }
            Setting::Channels(counts) => {
                format!("ethtool -L {name} rx {} tx {}", counts.receive, counts.transmit)
            }
            Setting::ReceiveRing(descriptors) => format!("ethtool -G {name} rx {descriptors}"),
            Setting::Feature { name: feature, on } => format!("ethtool -K {name} {feature} {}", on_off(*on)),
            Setting::HashFields { flow, fields } => {
                format!("ethtool -N {name} rx-flow-hash {} {}", flow.name(), fields.letters())
            }
            Setting::HashKey(key) => {
                let bytes: Vec<String> = key.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("ethtool -X {name} hkey {}", bytes.join(":"))
            }
            Setting::HashTable(table) => match spread(table) {
                Some(queues) => format!("ethtool -X {name} equal {queues}"),
                None => format!("# {name}: the table as it was, which no command can write"),
            },
            Setting::Rule(rule) => {
                format!("ethtool -N {name} flow-type {} action {}", match_words(rule), rule.queue)
            }
            Setting::NoRule(rule) => format!("# {name}: without the rule for {}", ports(rule)),
        }
    }
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Whether the two directions of a flow have one hash: the key repeats after 16 bits (Woo and Park, 2012).
pub fn is_symmetric(key: &[u8]) -> bool {
    key.len() >= 4 && key.iter().zip(&key[2..]).all(|(one, next)| one == next)
}

/// A key of a card's length with which both directions have one hash.
pub fn symmetric_key(length: usize) -> Vec<u8> {
    [0x6d, 0x5a].into_iter().cycle().take(length).collect()
}

/// A table that spreads hashes evenly.
pub fn even_table(entries: usize, queues: u32) -> Vec<u32> {
    (0..queues).cycle().take(entries).collect()
}

/// Over how many queues a table spreads evenly; `None` when it does otherwise.
fn spread(table: &[u32]) -> Option<u32> {
    let queues = table.iter().max()? + 1;
    (even_table(table.len(), queues) == table).then_some(queues)
}

fn ports(rule: &FlowRule) -> String {
    let mut text = rule.flow.name().to_owned();
    for (port, which) in [(rule.source_port, "from"), (rule.destination_port, "to")] {
        if let Some(port) = port {
            text += &format!(" {which} port {port}");
        }
    }
    text
}

fn match_words(rule: &FlowRule) -> String {
    let mut text = rule.flow.name().to_owned();
    for (port, which) in [(rule.source_port, "src-port"), (rule.destination_port, "dst-port")] {
        if let Some(port) = port {
            text += &format!(" {which} {port}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: Setting, to: Setting) -> Step {
        Step { interface: "eth1".into(), from, to }
    }

    fn combined(combined: u32) -> Setting {
        Setting::Channels(ChannelCounts { combined, ..ChannelCounts::default() })
    }

    const RULE: FlowRule =
        FlowRule { flow: FlowKind::Udp4, source_port: None, destination_port: Some(5060), queue: 1 };

    #[test]
    fn steps_are_written_as_the_commands_of_ethtool() {
        let off = |on| Setting::Feature { name: "rx-gro".into(), on };
        let fields = |fields| Setting::HashFields { flow: FlowKind::Udp4, fields };
        let commands = [
            step(combined(1), combined(4)),
            step(Setting::ReceiveRing(512), Setting::ReceiveRing(4096)),
            step(off(true), off(false)),
            step(fields(HashFields::ADDRESSES), fields(HashFields::ADDRESSES_AND_PORTS)),
            step(Setting::HashKey(vec![1, 2, 3, 4]), Setting::HashKey(symmetric_key(4))),
            step(Setting::HashTable(vec![0, 0]), Setting::HashTable(even_table(4, 2))),
            step(Setting::NoRule(RULE), Setting::Rule(RULE)),
        ];
        assert_eq!(
            commands.map(|step| step.command()),
            [
                "ethtool -L eth1 combined 4",
                "ethtool -G eth1 rx 4096",
                "ethtool -K eth1 rx-gro off",
                "ethtool -N eth1 rx-flow-hash udp4 sdfn",
                "ethtool -X eth1 hkey 6d:5a:6d:5a",
                "ethtool -X eth1 equal 2",
                "ethtool -N eth1 flow-type udp4 dst-port 5060 action 1",
            ]
        );
    }

    #[test]
    fn a_table_never_names_a_queue_that_is_not_there() {
        let table = |queues| Setting::HashTable(even_table(8, queues));
        let grow = vec![step(table(2), table(4)), step(combined(2), combined(4))];
        let made = in_order(grow);
        assert_eq!(made[0].to, combined(4));
        let back = in_order(made.iter().rev().map(Step::inverted).collect());
        assert_eq!([&back[0].to, &back[1].to], [&table(2), &combined(2)]);
    }

    #[test]
    fn rules_come_after_their_feature_and_go_before_it() {
        let ntuple = |on| Setting::Feature { name: "rx-ntuple-filter".into(), on };
        let made = in_order(vec![
            step(Setting::NoRule(RULE), Setting::Rule(RULE)),
            step(ntuple(false), ntuple(true)),
        ]);
        assert_eq!(made[0].to, ntuple(true));
        let back = in_order(made.iter().map(Step::inverted).collect());
        assert_eq!(back[0].to, Setting::NoRule(RULE));
    }

    #[test]
    fn a_repeated_key_is_symmetric_and_microsofts_is_not() {
        assert!(is_symmetric(&symmetric_key(40)));
        assert!(!is_symmetric(&[0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b]));
        // What it is for: the Toeplitz hash of both directions of a flow.
        let forth = [192, 0, 2, 1, 198, 51, 100, 7, 0x13, 0xc4, 0x75, 0x30];
        let back = [198, 51, 100, 7, 192, 0, 2, 1, 0x75, 0x30, 0x13, 0xc4];
        let key = symmetric_key(40);
        assert_eq!(toeplitz(&key, &forth), toeplitz(&key, &back));
        let other: Vec<u8> = (0..40).map(|byte| byte * 37 + 11).map(|byte: u32| byte as u8).collect();
        assert_ne!(toeplitz(&other, &forth), toeplitz(&other, &back));
    }

    /// The Toeplitz hash as its definition says: the key's 32 bits from each set bit's place, added modulo 2.
    fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
        let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
        let window = |at: usize| (at..at + 32).fold(0u32, |bits, at| bits << 1 | u32::from(bit(key, at)));
        (0..input.len() * 8).filter(|&at| bit(input, at) == 1).map(window).fold(0, |hash, part| hash ^ part)
    }
}
