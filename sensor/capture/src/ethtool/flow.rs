//! Which fields a card hashes, and rules that put a flow on a queue (`struct ethtool_rxnfc`).

use std::io;

use serde::{Deserialize, Serialize};

use super::{Ethtool, Request};

const GRXFH: u32 = 0x29;
const SRXFH: u32 = 0x2a;
const GRXCLSRLCNT: u32 = 0x2e;
const GRXCLSRULE: u32 = 0x2f;
const GRXCLSRLALL: u32 = 0x30;
const SRXCLSRLDEL: u32 = 0x31;
const SRXCLSRLINS: u32 = 0x32;

/// Bytes of `struct ethtool_rxnfc` without rule locations.
const LENGTH: usize = 192;
/// Where the rule begins, its mask, its queue, its place, and the number of rules.
const RULE: usize = 16;
const MASK: usize = RULE + 76;
const COOKIE: usize = RULE + 152;
const LOCATION: usize = RULE + 160;
const COUNT: usize = 184;
const LOCATIONS: usize = 188;
/// The driver chooses the place (`RX_CLS_LOC_SPECIAL`, `RX_CLS_LOC_ANY`).
const CHOOSES_PLACE: u64 = 0x8000_0000;
const ANY_PLACE: u32 = 0xffff_ffff;
/// More rules than any card has.
const MAX_RULES: u32 = 1 << 16;

/// A kind of flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FlowKind {
    /// TCP over IPv4.
    Tcp4,
    /// UDP over IPv4.
    Udp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv6.
    Udp6,
}

impl FlowKind {
    /// All kinds.
    pub const ALL: [FlowKind; 4] = [FlowKind::Tcp4, FlowKind::Udp4, FlowKind::Tcp6, FlowKind::Udp6];

    /// As the `ethtool` program writes it.
    pub const fn name(self) -> &'static str {
        match self {
            FlowKind::Tcp4 => "tcp4",
            FlowKind::Udp4 => "udp4",
            FlowKind::Tcp6 => "tcp6",
            FlowKind::Udp6 => "udp6",
        }
    }

    const fn number(self) -> u32 {
        match self {
            FlowKind::Tcp4 => 1,
            FlowKind::Udp4 => 2,
            FlowKind::Tcp6 => 5,
            FlowKind::Udp6 => 6,
        }
    }

    /// Where its rule has the source port; the destination port follows.
    const fn port_offset(self) -> usize {
        match self {
            FlowKind::Tcp4 | FlowKind::Udp4 => 8,
            FlowKind::Tcp6 | FlowKind::Udp6 => 32,
        }
    }
}

/// Which fields of a packet are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashFields(pub u64);

impl HashFields {
    /// Source and destination address.
    pub const ADDRESSES: HashFields = HashFields(1 << 4 | 1 << 5);
    /// Addresses and ports.
    pub const ADDRESSES_AND_PORTS: HashFields = HashFields(1 << 4 | 1 << 5 | 1 << 6 | 1 << 7);

    /// As the `ethtool` program writes them: a letter per field.
    pub fn letters(self) -> String {
        let letters = [(1, 'm'), (2, 'v'), (3, 't'), (4, 's'), (5, 'd'), (6, 'f'), (7, 'n'), (31, 'r')];
        letters.iter().filter(|(bit, _)| self.0 >> bit & 1 == 1).map(|(_, letter)| letter).collect()
    }
}

/// A rule that puts packets with a port on a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRule {
    /// Their kind.
    pub flow: FlowKind,
    /// Their source port, if it matters.
    pub source_port: Option<u16>,
    /// Their destination port, if it matters.
    pub destination_port: Option<u16>,
    /// The queue.
    pub queue: u32,
}

impl Ethtool {
    /// Which fields are hashed of a kind of flow.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` where the driver does not say.
    pub fn hash_fields(&self, flow: FlowKind) -> io::Result<HashFields> {
        let mut request = Request::new(GRXFH, LENGTH);
        request.put_u32(4, flow.number());
        self.ask(&mut request)?;
        Ok(HashFields(request.u64_at(8)))
    }

    /// Says which fields to hash of a kind of flow.
    ///
    /// # Errors
    /// The kernel's; `EINVAL` or `EOPNOTSUPP` where the card cannot hash these.
    pub fn set_hash_fields(&self, flow: FlowKind, fields: HashFields) -> io::Result<()> {
        self.ask(&mut fields_request(flow, fields)).map(drop)
    }

    /// The places of the rules that there are.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` where the driver takes no rules.
    pub fn rule_places(&self) -> io::Result<Vec<u32>> {
        Ok(self.rule_table()?.0)
    }

    /// The rule at a place; `None` when it is of a kind that [`FlowRule`] does not describe.
    ///
    /// # Errors
    /// The kernel's; `ENOENT` or `EINVAL` when there is none.
    pub fn rule(&self, place: u32) -> io::Result<Option<FlowRule>> {
        let mut request = Request::new(GRXCLSRULE, LENGTH);
        request.put_u32(LOCATION, place);
        self.ask(&mut request)?;
        Ok(read_rule(&request))
    }

    /// Adds a rule and returns its place.
    ///
    /// # Errors
    /// The kernel's; most drivers want the feature `rx-ntuple-filter` first. `ENOSPC` when there is no place.
    pub fn add_rule(&self, rule: &FlowRule) -> io::Result<u32> {
        let (places, size, chooses) = self.rule_table()?;
        let free = || (0..size).rev().find(|place| !places.contains(place));
        let place = if chooses { Some(ANY_PLACE) } else { free() };
        let place = place.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?;
        let mut request = rule_request(rule, place);
        self.ask(&mut request)?;
        Ok(request.u32_at(LOCATION))
    }

    /// Removes the rule at a place.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_rule(&self, place: u32) -> io::Result<()> {
        let mut request = Request::new(SRXCLSRLDEL, LENGTH);
        request.put_u32(LOCATION, place);
        self.ask(&mut request).map(drop)
    }

    /// Places in use, size of the table, and whether the driver chooses places.
    fn rule_table(&self) -> io::Result<(Vec<u32>, u32, bool)> {
        let mut request = Request::new(GRXCLSRLCNT, LENGTH);
        self.ask(&mut request)?;
        let (count, chooses) = (request.u32_at(COUNT).min(MAX_RULES), request.u64_at(8) & CHOOSES_PLACE != 0);
        let mut request = Request::new(GRXCLSRLALL, LENGTH + count as usize * 4);
        request.put_u32(COUNT, count);
        self.ask(&mut request)?;
        let size = (request.u64_at(8) & !CHOOSES_PLACE) as u32;
        let found = request.u32_at(COUNT).min(count) as usize;
        let places = (0..found).map(|index| request.u32_at(LOCATIONS + index * 4)).collect();
        Ok((places, size.min(MAX_RULES), chooses))
    }
}

/// The request that says which fields to hash.
fn fields_request(flow: FlowKind, fields: HashFields) -> Request {
    let mut request = Request::new(SRXFH, LENGTH);
    request.put_u32(4, flow.number());
    request.put_u64(8, fields.0);
    request
}

/// The request that adds a rule.
fn rule_request(rule: &FlowRule, place: u32) -> Request {
    let mut request = Request::new(SRXCLSRLINS, LENGTH);
    request.put_u32(RULE, rule.flow.number());
    let ports = RULE + 4 + rule.flow.port_offset();
    for (at, port) in [(ports, rule.source_port), (ports + 2, rule.destination_port)] {
        let Some(port) = port else { continue };
        request.put(at, &port.to_be_bytes());
        request.put(at - RULE - 4 + MASK, &[0xff; 2]);
    }
    request.put_u64(COOKIE, u64::from(rule.queue));
    request.put_u32(LOCATION, place);
    request
}

/// The rule of an answer, when it has nothing but ports and a queue.
fn read_rule(request: &Request) -> Option<FlowRule> {
    let kind = request.u32_at(RULE);
    let flow = *FlowKind::ALL.iter().find(|flow| flow.number() == kind)?;
    let ports = RULE + 4 + flow.port_offset();
    let port = |at: usize| match request.array_at::<2>(at - RULE - 4 + MASK) {
        [0xff, 0xff] => Some(Some(u16::from_be_bytes(request.array_at(at)))),
        [0, 0] => Some(None),
        _ => None,
    };
    let (source_port, destination_port) = (port(ports)?, port(ports + 2)?);
    let rule =
        FlowRule { flow, source_port, destination_port, queue: u32::try_from(request.u64_at(COOKIE)).ok()? };
    let same = rule_request(&rule, request.u32_at(LOCATION));
    (same.bytes[MASK..MASK + 72] == request.bytes[MASK..MASK + 72]).then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places and values of the bytes that are not 0.
    fn set_bytes(request: &Request, part: std::ops::Range<usize>) -> Vec<(usize, u8)> {
        part.map(|at| (at, request.bytes[at])).filter(|(_, byte)| *byte != 0).collect()
    }

    /// What the `ethtool` program (6.1) hands to the kernel for `flow-type udp4 dst-port 5060 action 3`,
    /// `flow-type tcp6 src-port 5061 action 1` and `rx-flow-hash udp4 sdfn`, caught at its ioctl. It leaves
    /// what it asked before in the bytes around a rule, which the kernel does not read.
    #[cfg(target_endian = "little")]
    #[test]
    fn rules_and_fields_are_set_with_the_bytes_of_the_ethtool_program() {
        let rule =
            FlowRule { flow: FlowKind::Udp4, source_port: None, destination_port: Some(5060), queue: 3 };
        let any_place = [(176, 0xff), (177, 0xff), (178, 0xff), (179, 0xff)];
        let sent = [&[(16, 2), (30, 0x13), (31, 0xc4), (102, 0xff), (103, 0xff), (168, 3)], &any_place[..]];
        assert_eq!(set_bytes(&rule_request(&rule, ANY_PLACE), RULE..COUNT), sent.concat());
        let rule =
            FlowRule { flow: FlowKind::Tcp6, source_port: Some(5061), destination_port: None, queue: 1 };
        let sent = [&[(16, 5), (52, 0x13), (53, 0xc5), (124, 0xff), (125, 0xff), (168, 1)], &any_place[..]];
        assert_eq!(set_bytes(&rule_request(&rule, ANY_PLACE), RULE..COUNT), sent.concat());
        let fields = fields_request(FlowKind::Udp4, HashFields::ADDRESSES_AND_PORTS);
        assert_eq!(set_bytes(&fields, 0..LENGTH), [(0, 0x2a), (4, 2), (8, 0xf0)]);
        assert_eq!(rule_request(&rule, ANY_PLACE).u32_at(0), 0x32);
    }

    #[test]
    fn a_rule_is_read_as_it_was_written() {
        for flow in FlowKind::ALL {
            for (source_port, destination_port) in [(None, Some(5060)), (Some(5061), None)] {
                let rule = FlowRule { flow, source_port, destination_port, queue: 3 };
                assert_eq!(read_rule(&rule_request(&rule, 7)), Some(rule));
            }
        }
    }

    #[test]
    fn a_rule_with_an_address_is_of_another_kind() {
        let rule =
            FlowRule { flow: FlowKind::Udp4, source_port: None, destination_port: Some(5060), queue: 0 };
        let mut request = rule_request(&rule, 0);
        request.put(MASK, &[0xff; 4]);
        assert_eq!(read_rule(&request), None);
    }

    #[test]
    fn fields_are_written_as_the_ethtool_program_does() {
        assert_eq!(HashFields::ADDRESSES_AND_PORTS.letters(), "sdfn");
        assert_eq!(HashFields::ADDRESSES.letters(), "sd");
    }
}
