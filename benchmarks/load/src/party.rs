//! Who calls whom: fictional numbers (+1 555 01…), made-up names, addresses of the network that
//! RFC 2544 keeps for benchmarks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// One of a call's two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who calls.
    Caller,
    /// Who is called.
    Callee,
}

impl Side {
    /// The other party.
    pub const fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Side::Caller => 0,
            Side::Callee => 1,
        }
    }
}

/// How a party's address is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UriForm {
    /// `sip:+15550100@example.test`
    Sip,
    /// `tel:+15550100` (RFC 3966)
    Tel,
}

/// A party as signalling names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The telephone number with `+`.
    pub number: String,
    /// The display name, without quotes or backslashes.
    pub name: Option<String>,
    /// How the address is written.
    pub form: UriForm,
}

const FIRST_NAMES: [&str; 12] =
    ["Ada", "Ben", "Cleo", "Dana", "Edgar", "Fay", "Gus", "Hana", "Ivo", "Jule", "Kai", "Lena"];
const LAST_NAMES: [&str; 10] = [
    "Example",
    "Sample",
    "Specimen",
    "Placeholder",
    "Fixture",
    "Testa",
    "Demo",
    "Muster",
    "Nobody",
    "Modello",
];

impl Party {
    /// The party of a number of the fictional range: `+155501` and six digits.
    pub fn fictional(index: u32, random: &mut Random) -> Party {
        let first = FIRST_NAMES[random.below(FIRST_NAMES.len() as u64) as usize];
        let last = LAST_NAMES[random.below(LAST_NAMES.len() as u64) as usize];
        Party {
            number: format!("+155501{:06}", index % 1_000_000),
            name: Some(format!("{first} {last}")),
            form: UriForm::Sip,
        }
    }

    /// The address of record.
    pub fn uri(&self) -> String {
        match self.form {
            UriForm::Sip => format!("sip:{}@example.test", self.number),
            UriForm::Tel => format!("tel:{}", self.number),
        }
    }
}

/// The sockets of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideAddresses {
    /// Signalling, as seen on the wire.
    pub sip: SocketAddr,
    /// Media, as seen on the wire.
    pub media: SocketAddr,
    /// Where its media leave from, when not from [`SideAddresses::media`] (asymmetric RTP).
    pub media_source: Option<SocketAddr>,
    /// What SDP and Contact say instead, when the side is behind a NAT that its SDP does not know.
    pub advertised_media: Option<SocketAddr>,
}

impl SideAddresses {
    /// The usual sockets of call number `index`: a host of its own, signalling on 5060, media on
    /// an even port.
    pub fn of_call(index: u32, side: Side, random: &mut Random) -> SideAddresses {
        let host = 1 + index % 65_000;
        let network = if side == Side::Caller { 18 } else { 19 };
        let addr = IpAddr::V4(Ipv4Addr::new(198, network, (host >> 8) as u8, host as u8));
        SideAddresses::on_host(addr, random)
    }

    /// The same over IPv6, in the documentation prefix.
    pub fn of_call_v6(index: u32, side: Side, random: &mut Random) -> SideAddresses {
        let network = if side == Side::Caller { 0x18 } else { 0x19 };
        let host = index + 1;
        let addr = Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, (host >> 16) as u16, host as u16);
        SideAddresses::on_host(IpAddr::V6(addr), random)
    }

    /// Signalling on 5060 and a random even media port, one of four, of a host.
    pub fn on_host(addr: IpAddr, random: &mut Random) -> SideAddresses {
        let port = 10_000 + 4 * random.below(7000) as u16;
        SideAddresses {
            sip: SocketAddr::new(addr, 5060),
            media: SocketAddr::new(addr, port),
            media_source: None,
            advertised_media: None,
        }
    }

    /// Where SDP says that the side receives.
    pub fn advertised(&self) -> SocketAddr {
        self.advertised_media.unwrap_or(self.media)
    }
}
