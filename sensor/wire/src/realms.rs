//! Which realm a frame belongs to: by the tunnel that it came through, by its VLANs, by its interface.
//!
//! The most particular description decides: a tunnel (of two the inner one) before a pair of VLANs,
//! that before a VLAN, that before the interface; and of two descriptions of the same kind the one that
//! names the interface.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::{Frame, Realm, Tunnel};

/// VLAN ids there may be.
const VLANS: usize = 4096;

/// What frames are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeenIn {
    /// The interface alone.
    Interface,
    /// The outermost VLAN.
    Vlan(u16),
    /// The outermost VLAN and the one within it.
    VlanPair(u16, u16),
    /// A tunnel.
    Tunnel(Tunnel),
}

/// A rule: frames seen there belong to a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmRule {
    /// On this interface alone; on all when `None`.
    pub interface: Option<String>,
    /// What the frames are told by.
    pub seen_in: SeenIn,
    /// Where they belong.
    pub realm: Realm,
}

/// The realms of an interface's frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceRealms {
    interface: Realm,
    /// By VLAN id; empty where none says anything.
    vlans: Box<[Option<Realm>]>,
    pairs: BTreeMap<(u16, u16), Realm>,
    tunnels: BTreeMap<Tunnel, Realm>,
}

/// The realms of all interfaces; everything belongs to realm 0 where there are no rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Realms {
    rules: Vec<RealmRule>,
    /// Of the interfaces whose names are known, by their index.
    known: Vec<InterfaceRealms>,
    /// Of all others.
    others: InterfaceRealms,
}

impl Realms {
    /// By these rules. Of several that say different things of the same frames the last one counts.
    pub fn new(rules: Vec<RealmRule>) -> Realms {
        let others = InterfaceRealms::new(&rules, None);
        Realms { rules, known: Vec::new(), others }
    }

    /// Tells the names of the interfaces that frames name by their index.
    pub fn know_interfaces<S: AsRef<str>>(&mut self, names: &[S]) {
        if self.rules.is_empty() {
            return;
        }
        for name in names.iter().skip(self.known.len()) {
            self.known.push(InterfaceRealms::new(&self.rules, Some(name.as_ref())));
        }
    }

    /// How many interfaces' names make no difference any more: more than there can be where no rule
    /// names one.
    pub fn known_interfaces(&self) -> usize {
        let named = self.rules.iter().any(|rule| rule.interface.is_some());
        if named { self.known.len() } else { usize::MAX }
    }

    /// The realm of a frame that came by this interface.
    #[inline]
    pub fn of(&self, interface: u16, frame: &Frame<'_>) -> Realm {
        if self.rules.is_empty() { Realm(0) } else { self.by_rules(interface, frame) }
    }

    /// As [`Realms::of`], of a frame that came through no tunnel, by its outermost VLAN; `None` where another
    /// tag may decide.
    #[inline]
    pub fn of_vlan(&self, interface: u16, vlan: Option<u16>) -> Option<Realm> {
        if self.rules.is_empty() { Some(Realm(0)) } else { self.on(interface).of_vlan(vlan) }
    }

    #[inline(never)]
    fn by_rules(&self, interface: u16, frame: &Frame<'_>) -> Realm {
        self.on(interface).of(frame)
    }

    fn on(&self, interface: u16) -> &InterfaceRealms {
        self.known.get(usize::from(interface)).unwrap_or(&self.others)
    }
}

impl InterfaceRealms {
    /// What the rules say of an interface; of one without a name only those for all interfaces count.
    pub fn new(rules: &[RealmRule], name: Option<&str>) -> InterfaceRealms {
        let mut realms = InterfaceRealms::default();
        let for_all = rules.iter().filter(|rule| rule.interface.is_none());
        let for_it =
            rules.iter().filter(|rule| rule.interface.is_some() && rule.interface.as_deref() == name);
        for rule in for_all.chain(for_it) {
            realms.add(rule);
        }
        realms
    }

    fn add(&mut self, rule: &RealmRule) {
        match rule.seen_in {
            SeenIn::Interface => self.interface = rule.realm,
            SeenIn::Vlan(vlan) => {
                if self.vlans.is_empty() {
                    self.vlans = vec![None; VLANS].into_boxed_slice();
                }
                if let Some(realm) = self.vlans.get_mut(usize::from(vlan)) {
                    *realm = Some(rule.realm);
                }
            }
            SeenIn::VlanPair(outer, inner) => {
                self.pairs.insert((outer, inner), rule.realm);
            }
            SeenIn::Tunnel(tunnel) => {
                self.tunnels.insert(tunnel, rule.realm);
            }
        }
    }

    /// The realm of a frame.
    pub fn of(&self, frame: &Frame<'_>) -> Realm {
        if !self.tunnels.is_empty() {
            let through = frame.tunnels.iter().rev().flatten();
            if let Some(realm) = through.filter_map(|tunnel| self.tunnels.get(tunnel)).next() {
                return *realm;
            }
        }
        let Some(vlan) = frame.vlan else { return self.interface };
        if let Some(realm) = frame.inner_vlan.and_then(|inner| self.pairs.get(&(vlan, inner))) {
            return *realm;
        }
        self.of_outermost(vlan)
    }

    /// As [`InterfaceRealms::of`], of a frame that came through no tunnel, by its outermost VLAN; `None` where
    /// another tag may decide.
    pub fn of_vlan(&self, vlan: Option<u16>) -> Option<Realm> {
        match vlan {
            None => Some(self.interface),
            Some(vlan) => self.pairs.is_empty().then(|| self.of_outermost(vlan)),
        }
    }

    fn of_outermost(&self, vlan: u16) -> Realm {
        self.vlans.get(usize::from(vlan)).copied().flatten().unwrap_or(self.interface)
    }

    /// The realm of frames that neither a tunnel nor a VLAN tells.
    pub fn of_interface(&self) -> Realm {
        self.interface
    }

    /// The VLANs that tell a realm.
    pub fn vlans(&self) -> impl Iterator<Item = (u16, Realm)> {
        (0..).zip(&self.vlans).filter_map(|(vlan, realm)| realm.map(|realm| (vlan, realm)))
    }

    /// The pairs of VLANs, outer and inner, that tell a realm.
    pub fn vlan_pairs(&self) -> impl Iterator<Item = ((u16, u16), Realm)> {
        self.pairs.iter().map(|(pair, realm)| (*pair, *realm))
    }

    /// The tunnels that tell a realm.
    pub fn tunnels(&self) -> impl Iterator<Item = (Tunnel, Realm)> {
        self.tunnels.iter().map(|(tunnel, realm)| (*tunnel, *realm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinkType, TunnelKind, decode_frame};

    /// A frame with these tags and tunnels.
    fn frame(vlans: [Option<u16>; 2], tunnels: [Option<Tunnel>; 2]) -> Frame<'static> {
        static BYTES: [u8; 28] = {
            let mut bytes = [0; 28];
            (bytes[0], bytes[3], bytes[9], bytes[25]) = (0x45, 28, 17, 8);
            bytes
        };
        let frame = decode_frame(LinkType::RawIp, &BYTES).unwrap();
        Frame { vlan: vlans[0], inner_vlan: vlans[1], tunnels, ..frame }
    }

    fn rule(interface: Option<&str>, seen_in: SeenIn, realm: u16) -> RealmRule {
        RealmRule { interface: interface.map(String::from), seen_in, realm: Realm(realm) }
    }

    #[test]
    fn without_rules_there_is_one_realm() {
        let mut realms = Realms::default();
        realms.know_interfaces(&["a"]);
        assert_eq!(realms.of(7, &frame([Some(1), None], [None; 2])), Realm(0));
        assert_eq!(realms.known_interfaces(), usize::MAX);
    }

    #[test]
    fn the_most_particular_description_decides() {
        let tunnel = |id| Tunnel { kind: TunnelKind::Vxlan, id };
        let mut realms = Realms::new(vec![
            rule(Some("b"), SeenIn::Vlan(10), 6),
            rule(None, SeenIn::Interface, 1),
            rule(None, SeenIn::Vlan(10), 2),
            rule(None, SeenIn::VlanPair(10, 20), 3),
            rule(None, SeenIn::Tunnel(tunnel(5)), 4),
            rule(Some("b"), SeenIn::Interface, 5),
            rule(None, SeenIn::Tunnel(tunnel(6)), 7),
        ]);
        assert_eq!(realms.known_interfaces(), 0);
        realms.know_interfaces(&["a"]);
        realms.know_interfaces(&["a", "b"]);
        assert_eq!(realms.known_interfaces(), 2);
        let (none, five) = ([None; 2], [Some(tunnel(5)), None]);
        for (interface, vlans, tunnels, expected) in [
            (0, [None; 2], none, 1),
            (0, [Some(10), None], none, 2),
            (0, [Some(10), Some(21)], none, 2),
            (0, [Some(10), Some(20)], none, 3),
            (0, [Some(20), Some(10)], none, 1),
            (0, [Some(10), Some(20)], five, 4),
            (0, [Some(10), None], [Some(tunnel(8)), None], 2),
            (0, [None; 2], [Some(tunnel(5)), Some(tunnel(6))], 7),
            (0, [None; 2], [Some(tunnel(5)), Some(tunnel(9))], 4),
            (1, [None; 2], none, 5),
            (1, [Some(10), None], none, 6),
            (1, [Some(10), Some(20)], none, 3),
            (2, [Some(10), None], none, 2),
            (2, [None; 2], none, 1),
        ] {
            let seen = frame(vlans, tunnels);
            assert_eq!(realms.of(interface, &seen), Realm(expected), "{interface} {seen:?}");
        }
    }
}
