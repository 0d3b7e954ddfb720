//! Who talks to whom: realms, endpoints and flows.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// An address space of its own: mirrors of several operators carry overlapping private addresses.
/// Interface, VLAN or tunnel map to a realm by configuration; 0 is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Realm(pub u16);

/// An address and port within a realm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address space that the address belongs to.
    pub realm: Realm,
    /// The IP address; an IPv4-mapped IPv6 address stays as it came.
    pub addr: IpAddr,
    /// The UDP or TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint of the given realm.
    pub const fn new(realm: Realm, addr: IpAddr, port: u16) -> Endpoint {
        Endpoint { realm, addr, port }
    }

    /// The same address with another port (RTCP beside RTP, for one).
    pub const fn with_port(self, port: u16) -> Endpoint {
        Endpoint { port, ..self }
    }

    /// `address:port`, `[v6]:port`: the form that `calls.jsonl` uses. Addresses are personal
    /// data: this goes into a call's record, never into a log (DESIGN, invariant 10).
    pub fn socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }
}

impl fmt::Debug for Endpoint {
    /// Redacted: a log may show that there is an endpoint, not whose.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint(realm {}, …:{})", self.realm.0, self.port)
    }
}

/// One direction of a UDP conversation within a realm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowKey {
    /// The realm of both sides.
    pub realm: Realm,
    /// The sender's address.
    pub src: IpAddr,
    /// The receiver's address.
    pub dst: IpAddr,
    /// The sender's port.
    pub src_port: u16,
    /// The receiver's port.
    pub dst_port: u16,
}

impl FlowKey {
    /// The flow from `src` to `dst`; the realm is `src`'s.
    pub const fn new(src: Endpoint, dst: Endpoint) -> FlowKey {
        FlowKey { realm: src.realm, src: src.addr, dst: dst.addr, src_port: src.port, dst_port: dst.port }
    }

    /// The sender.
    pub const fn source(self) -> Endpoint {
        Endpoint::new(self.realm, self.src, self.src_port)
    }

    /// The receiver.
    pub const fn destination(self) -> Endpoint {
        Endpoint::new(self.realm, self.dst, self.dst_port)
    }

    /// The opposite direction.
    pub const fn reversed(self) -> FlowKey {
        FlowKey {
            realm: self.realm,
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
        }
    }
}

impl fmt::Debug for FlowKey {
    /// Redacted like [`Endpoint`]'s.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowKey(realm {}, …:{} > …:{})", self.realm.0, self.src_port, self.dst_port)
    }
}
