//! What the XDP program and the sensor share: the program's settings, the keys, values and
//! counters of its maps, what it writes in front of a frame that it hands up, its decoder
//! ([`glance`]) and its decision ([`decide`]).
//!
//! Compiled twice, for the kernel's virtual machine and for the sensor, so that both mean the same and
//! a test can hold the program's view of a frame against [`crate::decode_frame`]'s.

mod counter;
mod decide;
mod glance;
pub mod live;
mod realm;
mod redirect_error;

pub use counter::Counter;
pub use decide::{Basis, Fate, Tables, decide};
pub use glance::{Descent, Glance, Packet, Payload, Unreadable, descend, glance};
pub use realm::{RealmKey, RealmTables, realm};
pub use redirect_error::RedirectError;

use crate::tunnel::VxlanPorts;

/// An address as the maps hold it: IPv6, or IPv4 mapped into it (RFC 4291, 2.5.5.2), as four words
/// whose bytes lie in memory as they do in the packet.
pub type Address = [u32; 4];

/// The address of an IPv6 header's bytes.
#[inline(always)]
pub const fn address(octets: &[u8; 16]) -> Address {
    let o = octets;
    [
        u32::from_ne_bytes([o[0], o[1], o[2], o[3]]),
        u32::from_ne_bytes([o[4], o[5], o[6], o[7]]),
        u32::from_ne_bytes([o[8], o[9], o[10], o[11]]),
        u32::from_ne_bytes([o[12], o[13], o[14], o[15]]),
    ]
}

/// The address of an IPv4 header's bytes.
#[inline(always)]
pub const fn mapped_address(octets: [u8; 4]) -> Address {
    [0, 0, u32::from_ne_bytes([0, 0, 0xff, 0xff]), u32::from_ne_bytes(octets)]
}

/// Address ranges and signalling hosts that the settings hold at most.
pub const MAX_RANGES: usize = 16;

/// Queues of an interface at most: the length of the socket maps.
pub const MAX_QUEUES: u32 = 64;

/// A key of the endpoint map.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EndpointKey {
    /// The address.
    pub addr: Address,
    /// The UDP port.
    pub port: u16,
    /// The realm that the address belongs to.
    pub realm: u16,
}

/// What the endpoint map says of packets from or to an endpoint.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointVerdict {
    /// Media of a call: hand it up.
    Media = 1,
    /// A call that must never be recorded: drop it.
    Never = 2,
    /// A call that was cut to shed load: drop it.
    Cut = 3,
}

impl EndpointVerdict {
    /// The verdict of a map's value.
    #[inline(always)]
    pub const fn from_value(value: u32) -> Option<EndpointVerdict> {
        match value {
            1 => Some(EndpointVerdict::Media),
            2 => Some(EndpointVerdict::Never),
            3 => Some(EndpointVerdict::Cut),
            _ => None,
        }
    }
}

/// Addresses and ports whose packets are media by configuration.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Range {
    /// The network's address, zero where `mask` is.
    pub addr: Address,
    /// Which bits of an address count.
    pub mask: Address,
    /// First port.
    pub first_port: u16,
    /// Last port.
    pub last_port: u16,
}

impl Range {
    /// Whether an endpoint lies in the range.
    #[inline(always)]
    pub fn contains(&self, addr: &Address, port: u16) -> bool {
        let mut differs = 0;
        for ((word, network), mask) in addr.iter().zip(&self.addr).zip(&self.mask) {
            differs |= (word & mask) ^ network;
        }
        differs == 0 && port >= self.first_port && port <= self.last_port
    }
}

/// How media is recognised besides learned endpoints: bits of [`Settings::recognise`].
pub mod recognise {
    /// By the configured ranges.
    pub const RANGES: u32 = 1;
    /// By its shape: RTP version 2 or RTCP, as RFC 7983 tells them from others.
    pub const SHAPE: u32 = 2;
}

/// What happens to a frame that no rule wants.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// The kernel's stack takes it, as if no program were there.
    Pass = 0,
    /// It is dropped in the program.
    Drop = 1,
}

/// The program's settings, fixed when it is loaded.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Settings {
    /// Bits of [`recognise`].
    pub recognise: u32,
    /// [`Unwanted`], as a number.
    pub unwanted: u32,
    /// The interface's realm.
    pub realm: u16,
    /// 1 where the map of VLANs to realms is to be asked.
    pub realm_by_vlan: u16,
    /// 1 where the map of pairs of VLANs and of tunnels to realms is to be asked.
    pub realm_by_key: u16,
    /// 1 where tunnels are seen through; where not, they are handed up as they are.
    pub see_through: u16,
    /// Where VXLAN is.
    pub vxlan: VxlanPorts,
    /// 1 where [`Metadata`] is written in front of a frame; 0 where the driver leaves no room for it.
    pub annotate: u32,
    /// How many of `ranges` count.
    pub range_count: u32,
    /// How many of `hosts` count.
    pub host_count: u32,
    /// Media ranges.
    pub ranges: [Range; MAX_RANGES],
    /// Hosts of whom everything that is not media is signalling.
    pub hosts: [Address; MAX_RANGES],
}

impl Settings {
    /// Everything by shape, what is unknown goes to the kernel's stack, realm 0, through tunnels.
    pub const fn new() -> Settings {
        let range = Range { addr: [0; 4], mask: [0; 4], first_port: 0, last_port: 0 };
        Settings {
            recognise: recognise::SHAPE,
            unwanted: Unwanted::Pass as u32,
            realm: 0,
            realm_by_vlan: 0,
            realm_by_key: 0,
            see_through: 1,
            vxlan: VxlanPorts::USUAL,
            annotate: 1,
            range_count: 0,
            host_count: 0,
            ranges: [range; MAX_RANGES],
            hosts: [[0; 4]; MAX_RANGES],
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::new()
    }
}

/// A bit per UDP and TCP port that carries signalling.
pub type PortSet = [u64; 1024];

/// What the program writes in front of a frame that it hands up.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// CLOCK_MONOTONIC when the program saw the frame, in nanoseconds.
    pub monotonic_ns: u64,
    /// The frame's realm.
    pub realm: u16,
    /// [`Fate`]'s number: which socket it was meant for.
    pub fate: u16,
    /// [`Metadata::MAGIC`]: this is not what an earlier frame left there.
    pub magic: u32,
}

impl Metadata {
    /// Marks written metadata.
    pub const MAGIC: u32 = 0x4e4a_5231;
    /// Its length in bytes: a multiple of 4 and 32 at most, as the kernel asks.
    pub const LEN: usize = size_of::<Metadata>();

    /// Reads the metadata that ends where a frame begins; `None` when there is none.
    #[inline]
    pub fn read(before: &[u8]) -> Option<Metadata> {
        let bytes: &[u8; Metadata::LEN] = before.last_chunk()?;
        let (ns, rest) = bytes.split_first_chunk::<8>()?;
        let metadata = Metadata {
            monotonic_ns: u64::from_ne_bytes(*ns),
            realm: u16::from_ne_bytes([rest[0], rest[1]]),
            fate: u16::from_ne_bytes([rest[2], rest[3]]),
            magic: u32::from_ne_bytes([rest[4], rest[5], rest[6], rest[7]]),
        };
        (metadata.magic == Metadata::MAGIC).then_some(metadata)
    }
}

#[cfg(all(test, feature = "records"))]
mod tests;
