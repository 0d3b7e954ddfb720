//! `[[realm]]`: address spaces of their own, and which frames belong to each.
//!
//! ```toml
//! [[realm]]
//! number = 1
//! name = "north"             # for people
//! interface = "eth1"         # what follows counts on this interface alone; without: on each
//! vlans = [10, "20-29", "100.7"]   # the outermost tag; "100.7": tag 7 within tag 100
//! vnis = [5000]              # VXLAN
//! gre_keys = [7]
//! erspan_sessions = [3]
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use nightjar_wire::{Realm, RealmRule, SeenIn, Tunnel, TunnelKind, VxlanPorts};

use super::reader::{Faults, Table};

/// VLANs, pairs of them and tunnels in all realms at most.
const MOST_RULES: usize = 4096;
/// VLAN ids that a tag may name (IEEE 802.1Q, 9.6).
const VLAN_IDS: RangeInclusive<u32> = 1..=4094;

/// How frames are told apart before anything else is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmSettings {
    /// Which frames belong to which realm.
    pub rules: Vec<RealmRule>,
    /// What people call the realms.
    pub names: BTreeMap<Realm, String>,
    /// Where VXLAN is seen through.
    pub vxlan: VxlanPorts,
}

impl Default for RealmSettings {
    /// One realm, VXLAN on its usual port.
    fn default() -> RealmSettings {
        RealmSettings { rules: Vec::new(), names: BTreeMap::new(), vxlan: VxlanPorts::USUAL }
    }
}

impl fmt::Display for RealmSettings {
    /// The realms with how many descriptions each has: `1 (north): 12, 2: 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: BTreeMap<Realm, u32> = BTreeMap::new();
        self.rules.iter().for_each(|rule| *counts.entry(rule.realm).or_default() += 1);
        for (number, (realm, count)) in counts.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let name = self.names.get(realm).map(|name| format!(" ({name})")).unwrap_or_default();
            write!(f, "{comma}{}{name}: {count}", realm.0)?;
        }
        Ok(())
    }
}

/// `vxlan_ports = [4789, 8472]` of `[capture]`.
pub(super) fn read_vxlan_ports(capture: &mut Table<'_, '_>, faults: &mut Faults<'_>) -> VxlanPorts {
    let ports = capture.ports("vxlan_ports", &[nightjar_wire::VXLAN_PORT], faults);
    VxlanPorts::new(&ports).unwrap_or_else(|| {
        let most = VxlanPorts::MOST;
        capture.fault("vxlan_ports", &format!("names more than {most} ports"), faults);
        VxlanPorts::USUAL
    })
}

/// All `[[realm]]` tables; `interfaces` are those that are captured, none where any may be.
pub(super) fn read_realms(
    tables: Vec<Table<'_, '_>>,
    interfaces: Option<&[String]>,
    vxlan: VxlanPorts,
    faults: &mut Faults<'_>,
) -> RealmSettings {
    let mut settings = RealmSettings { vxlan, ..RealmSettings::default() };
    for mut table in tables {
        read_realm(&mut table, interfaces, &mut settings, faults);
        table.finish(faults);
    }
    settings
}

fn read_realm(
    table: &mut Table<'_, '_>,
    interfaces: Option<&[String]>,
    settings: &mut RealmSettings,
    faults: &mut Faults<'_>,
) {
    if !table.has("number") {
        table.fault("number", "is missing: the realm's own number, from 0 to 65535", faults);
    }
    let realm = Realm(table.number("number", 0, 0..=u64::from(u16::MAX), faults) as u16);
    if let Some(name) = table.optional_text("name", faults) {
        let taken = settings.names.iter().any(|(other, known)| *other != realm && *known == name);
        let differs = settings.names.get(&realm).is_some_and(|known| *known != name);
        if taken || differs {
            table.fault("name", "is another realm's, or the realm has another", faults);
        }
        settings.names.insert(realm, name);
    }
    let interface = table.optional_text("interface", faults);
    if let (Some(name), Some(captured)) = (&interface, interfaces)
        && !captured.contains(name)
    {
        table.fault("interface", "is not among capture.interfaces", faults);
    }
    let seen_in = read_seen_in(table, faults);
    let named = ["interface", "vlans", "vnis", "gre_keys", "erspan_sessions"].map(|key| table.has(key));
    if !named.contains(&true) {
        let message = "says of no frame that it belongs there: name an interface, vlans, vnis, gre_keys or \
                       erspan_sessions";
        table.fault("number", message, faults);
    }
    let whole = seen_in.is_empty() && interface.is_some();
    let seen_in = if whole { vec![("interface", SeenIn::Interface)] } else { seen_in };
    for (key, seen_in) in seen_in {
        let rule = RealmRule { interface: interface.clone(), seen_in, realm };
        let same = |known: &&RealmRule| (&known.interface, known.seen_in) == (&rule.interface, seen_in);
        if let Some(known) = settings.rules.iter().find(same) {
            let message =
                format!("names what belongs to realm {} already: {}", known.realm.0, spoken(seen_in));
            table.fault(key, &message, faults);
            return;
        }
        if settings.rules.len() >= MOST_RULES {
            return table.fault(
                key,
                &format!("is one too many: all realms name at most {MOST_RULES}"),
                faults,
            );
        }
        settings.rules.push(rule);
    }
}

/// What a realm's frames are told by, each with the key that says so.
fn read_seen_in(table: &mut Table<'_, '_>, faults: &mut Faults<'_>) -> Vec<(&'static str, SeenIn)> {
    let mut found = Vec::new();
    for text in table.words("vlans", faults) {
        if let Some((outer, inner)) = pair(&text) {
            found.push(("vlans", SeenIn::VlanPair(outer, inner)));
        } else if let Some(range) = span(&text, &VLAN_IDS) {
            found.extend(range.map(|vlan| ("vlans", SeenIn::Vlan(vlan as u16))));
        } else {
            let message =
                format!("holds {text:?}; a VLAN is 1 to 4094, a span \"20-29\", two tags \"100.7\"");
            table.fault("vlans", &message, faults);
        }
    }
    for (key, kind, most) in [
        ("vnis", TunnelKind::Vxlan, 0x00ff_ffff),
        ("gre_keys", TunnelKind::Gre, Tunnel::UNNUMBERED - 1),
        ("erspan_sessions", TunnelKind::Erspan, 0x03ff),
    ] {
        for text in table.words(key, faults) {
            if let Some(range) = span(&text, &(0..=most)) {
                let tunnel = |id| (key, SeenIn::Tunnel(Tunnel { kind, id }));
                // One more than there may be is enough to be told.
                found.extend(range.take(MOST_RULES + 1).map(tunnel));
            } else {
                let message =
                    format!("holds {text:?}; it may hold numbers from 0 to {most} and spans \"5-9\"");
                table.fault(key, &message, faults);
            }
        }
    }
    found
}

/// `100.7`
fn pair(text: &str) -> Option<(u16, u16)> {
    let (outer, inner) = text.split_once('.')?;
    let id = |text: &str| text.parse::<u32>().ok().filter(|id| VLAN_IDS.contains(id));
    Some((id(outer)? as u16, id(inner)? as u16))
}

/// `5` or `5-9`
fn span(text: &str, within: &RangeInclusive<u32>) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
    (first <= last && within.contains(&first) && within.contains(&last)).then_some(first..=last)
}

fn spoken(seen_in: SeenIn) -> String {
    match seen_in {
        SeenIn::Interface => "the interface".to_owned(),
        SeenIn::Vlan(vlan) => format!("VLAN {vlan}"),
        SeenIn::VlanPair(outer, inner) => format!("VLAN {outer}.{inner}"),
        SeenIn::Tunnel(Tunnel { kind, id }) => match kind {
            TunnelKind::Vxlan => format!("VNI {id}"),
            TunnelKind::Gre => format!("GRE key {id}"),
            TunnelKind::Erspan => format!("ERSPAN session {id}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, parse};
    use super::*;

    fn realms(text: &str) -> Result<RealmSettings, Vec<Fault>> {
        let config = "name = \"s1\"\ndata_dir = \"/tmp/x\"\n[capture]\ninterfaces = [\"eth0\", \"eth1\"]\n";
        parse(&format!("{config}{text}")).map(|config| config.realms)
    }

    #[test]
    fn each_kind_of_description_becomes_a_rule() {
        let settings = realms(
            "vxlan_ports = [4789, 8472]\n[[realm]]\nnumber = 1\nname = \"north\"\n\
             vlans = [10, \"20-21\", \"100.7\"]\nvnis = [5000]\n\
             [[realm]]\nnumber = 2\ninterface = \"eth1\"\n\
             [[realm]]\nnumber = 3\ninterface = \"eth1\"\ngre_keys = [7]\nerspan_sessions = [\"1-2\"]\n",
        )
        .unwrap();
        let tunnel = |kind, id| SeenIn::Tunnel(Tunnel { kind, id });
        let found: Vec<_> = settings
            .rules
            .iter()
            .map(|rule| (rule.interface.as_deref(), rule.seen_in, rule.realm.0))
            .collect();
        assert_eq!(
            found,
            [
                (None, SeenIn::Vlan(10), 1),
                (None, SeenIn::Vlan(20), 1),
                (None, SeenIn::Vlan(21), 1),
                (None, SeenIn::VlanPair(100, 7), 1),
                (None, tunnel(TunnelKind::Vxlan, 5000), 1),
                (Some("eth1"), SeenIn::Interface, 2),
                (Some("eth1"), tunnel(TunnelKind::Gre, 7), 3),
                (Some("eth1"), tunnel(TunnelKind::Erspan, 1), 3),
                (Some("eth1"), tunnel(TunnelKind::Erspan, 2), 3),
            ]
        );
        assert!(settings.vxlan.has(8472));
        assert_eq!(settings.to_string(), "1 (north): 5, 2: 1, 3: 3");
        assert_eq!(realms("").unwrap(), RealmSettings::default());
    }

    #[test]
    fn every_fault_says_where_it_is() {
        for (text, line, says) in [
            ("[[realm]]\nvlans = [1]\n", 5, "realm.number is missing"),
            ("[[realm]]\nnumber = 1\n", 6, "says of no frame"),
            ("[[realm]]\nnumber = 70000\nvlans = [1]\n", 6, "from 0 to 65535"),
            ("[[realm]]\nnumber = 1\nvlans = [4095]\n", 7, "\"4095\""),
            ("[[realm]]\nnumber = 1\nvlans = [\"9-2\"]\n", 7, "\"9-2\""),
            ("[[realm]]\nnumber = 1\nvlans = [true]\n", 7, "numbers and texts"),
            ("[[realm]]\nnumber = 1\nerspan_sessions = [1024]\n", 7, "0 to 1023"),
            ("[[realm]]\nnumber = 1\nvnis = [\"0-16777215\"]\n", 7, "at most 4096"),
            ("[[realm]]\nnumber = 1\ninterface = \"eth7\"\n", 7, "not among capture.interfaces"),
            ("[[realm]]\nnumber = 1\nvlans = [3]\n[[realm]]\nnumber = 2\nvlans = [3]\n", 10, "VLAN 3"),
            (
                "[[realm]]\nnumber = 1\nname = \"a\"\nvlans = [3]\n\
                 [[realm]]\nnumber = 2\nname = \"a\"\nvlans = [4]\n",
                11,
                "another",
            ),
            ("vxlan_ports = [1, 2, 3, 4, 5]\n", 5, "more than 4"),
        ] {
            let faults = realms(text).unwrap_err();
            assert_eq!((faults.len(), faults[0].line), (1, line), "{text}: {faults:?}");
            assert!(faults[0].message.contains(says), "{faults:?}");
        }
    }
}
