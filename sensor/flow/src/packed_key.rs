//! What identifies a stream as a few words: made, compared and hashed with each packet.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use nightjar_wire::{FlowKey, Realm};

use crate::stream::StreamKey;

/// A [`StreamKey`]. Equal when those are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct PackedKey {
    /// Addresses as numbers.
    src: u128,
    dst: u128,
    /// The sender's port, then the receiver's.
    ports: u32,
    ssrc: u32,
    realm: u16,
    /// Which of the addresses are IPv6: an IPv4 address is none that is mapped into it.
    v6: [bool; 2],
}

impl PackedKey {
    /// Of IPv4, without making a [`StreamKey`] first.
    #[inline]
    pub(crate) fn of_ipv4(
        realm: Realm,
        [src, dst]: [Ipv4Addr; 2],
        [src_port, dst_port]: [u16; 2],
        ssrc: u32,
    ) -> PackedKey {
        PackedKey {
            src: src.to_bits().into(),
            dst: dst.to_bits().into(),
            ports: u32::from(src_port) << 16 | u32::from(dst_port),
            ssrc,
            realm: realm.0,
            v6: [false; 2],
        }
    }

    /// As everybody else knows it.
    pub(crate) fn key(&self) -> StreamKey {
        let address = |bits: u128, is_v6: bool| match is_v6 {
            true => IpAddr::V6(Ipv6Addr::from_bits(bits)),
            false => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        };
        let flow = FlowKey {
            realm: Realm(self.realm),
            src: address(self.src, self.v6[0]),
            dst: address(self.dst, self.v6[1]),
            src_port: (self.ports >> 16) as u16,
            dst_port: self.ports as u16,
        };
        StreamKey { flow, ssrc: self.ssrc }
    }
}

impl From<StreamKey> for PackedKey {
    fn from(key: StreamKey) -> PackedKey {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let FlowKey { realm, src, dst, src_port, dst_port } = key.flow;
        PackedKey {
            src: bits(src),
            dst: bits(dst),
            ports: u32::from(src_port) << 16 | u32::from(dst_port),
            ssrc: key.ssrc,
            realm: realm.0,
            v6: [src.is_ipv6(), dst.is_ipv6()],
        }
    }
}

/// Hashes keys with numbers of its own, so that nobody can choose keys that meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHasher([u64; 4]);

impl Default for KeyHasher {
    fn default() -> KeyHasher {
        let random = RandomState::default();
        KeyHasher([0u8, 1, 2, 3].map(|number| {
            let mut hasher = random.build_hasher();
            hasher.write_u8(number);
            // Odd, so that no bit of what is multiplied by it is lost.
            hasher.finish() | 1
        }))
    }
}

impl KeyHasher {
    #[inline]
    pub(crate) fn hash(&self, key: &PackedKey) -> u32 {
        let KeyHasher([a, b, c, d]) = *self;
        // IPv4's upper halves are 0 and change nothing here.
        let address = |bits: u128| bits as u64 ^ ((bits >> 64) as u64).wrapping_mul(d).rotate_left(29);
        let addresses = folded(address(key.src) ^ a, address(key.dst).rotate_left(32) ^ b);
        let rest = u64::from(key.ports) << 32 | u64::from(key.ssrc);
        let place = u64::from(key.realm) << 2 | u64::from(key.v6[0]) << 1 | u64::from(key.v6[1]);
        let all = folded(addresses ^ rest ^ place.wrapping_mul(d), c);
        (all ^ all >> 32) as u32
    }
}

/// Both halves of the product, one over the other.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = StreamKey> {
        (any::<u16>(), any::<IpAddr>(), any::<IpAddr>(), any::<(u16, u16)>(), any::<u32>()).prop_map(
            |(realm, src, dst, (src_port, dst_port), ssrc)| StreamKey {
                flow: FlowKey { realm: Realm(realm), src, dst, src_port, dst_port },
                ssrc,
            },
        )
    }

    proptest! {
        #[test]
        fn a_key_comes_back_as_it_was(key in any_key()) {
            let packed = PackedKey::from(key);
            prop_assert_eq!(packed.key(), key);
            if let (IpAddr::V4(src), IpAddr::V4(dst)) = (key.flow.src, key.flow.dst) {
                let ports = [key.flow.src_port, key.flow.dst_port];
                prop_assert_eq!(PackedKey::of_ipv4(key.flow.realm, [src, dst], ports, key.ssrc), packed);
            }
        }
    }

    #[test]
    fn keys_that_differ_little_hash_apart() {
        let hasher = KeyHasher::default();
        let key = |host: u32, port: u16, ssrc: u32| {
            let host = Ipv4Addr::from_bits(0x0a00_0000 + host);
            PackedKey::of_ipv4(Realm(0), [host, Ipv4Addr::new(10, 9, 9, 9)], [port, 16_384], ssrc)
        };
        let keys = (0..32)
            .flat_map(|host| (0..32).flat_map(move |port| (0..32).map(move |ssrc| (host, port, ssrc))));
        let hashes: BTreeSet<u32> =
            keys.map(|(host, port, ssrc)| hasher.hash(&key(host, 2 * port, ssrc))).collect();
        // By chance 0.1 pairs of these 32,768 keys meet.
        assert!(hashes.len() > 32_760, "{}", hashes.len());
        let places: BTreeSet<u32> = hashes.iter().map(|hash| hash & 0x7fff).collect();
        // By chance 63 % of the places are taken.
        assert!(places.len() > 18_000, "{}", places.len());
    }
}
