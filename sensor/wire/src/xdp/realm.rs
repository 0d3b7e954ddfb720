//! The realm of a frame, as the program finds it: what `InterfaceRealms` says, by its maps.

use super::Settings;
use super::glance::Glance;

/// A tunnel, or two VLANs: a key of the map of what is rarer than a VLAN.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealmKey {
    /// The tunnel's kind, or [`RealmKey::VLAN_PAIR`].
    pub kind: u32,
    /// The tunnel's id, or the outer VLAN times 65,536 and the inner one.
    pub id: u32,
}

impl RealmKey {
    /// No tunnel.
    pub const NONE: RealmKey = RealmKey { kind: 0, id: 0 };
    /// The kind of two VLANs.
    pub const VLAN_PAIR: u32 = 4;

    /// The key of two VLANs.
    #[inline(always)]
    pub const fn of_vlans(outer: u16, inner: u16) -> RealmKey {
        RealmKey { kind: RealmKey::VLAN_PAIR, id: (outer as u32) << 16 | inner as u32 }
    }

    /// The key of a tunnel.
    #[inline(always)]
    pub const fn of_tunnel(tunnel: crate::Tunnel) -> RealmKey {
        RealmKey { kind: tunnel.kind as u32, id: tunnel.id }
    }
}

/// What the program asks for a realm.
pub trait RealmTables {
    /// The realm of a VLAN; the interface's where it has none of its own.
    fn of_vlan(&self, vlan: u16) -> Option<u16>;
    /// The realm of a tunnel, or of two VLANs.
    fn of_key(&self, key: &RealmKey) -> Option<u16>;
}

/// The realm of a frame.
#[inline(always)]
pub fn realm<T: RealmTables + ?Sized>(seen: &Glance, settings: &Settings, tables: &T) -> u16 {
    if settings.realm_by_key != 0
        && let Some(realm) = by_key(seen, tables)
    {
        return realm;
    }
    if settings.realm_by_vlan == 0 || seen.vlan == 0 {
        return settings.realm;
    }
    tables.of_vlan(seen.vlan).unwrap_or(settings.realm)
}

/// By the inner tunnel, else by the outer one, else by two VLANs.
#[inline(always)]
fn by_key<T: RealmTables + ?Sized>(seen: &Glance, tables: &T) -> Option<u16> {
    let [outer, inner] = seen.tunnels;
    for tunnel in [inner, outer] {
        if tunnel.kind != 0
            && let Some(realm) = tables.of_key(&tunnel)
        {
            return Some(realm);
        }
    }
    if seen.inner_vlan == 0 { None } else { tables.of_key(&RealmKey::of_vlans(seen.vlan, seen.inner_vlan)) }
}
