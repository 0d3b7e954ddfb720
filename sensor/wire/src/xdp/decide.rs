//! The XDP program's decision on one frame.

use super::glance::{Glance, Payload};
use super::{Address, EndpointKey, EndpointVerdict, Settings, recognise};

/// What the program asks while it decides.
pub trait Tables {
    /// What is known of an endpoint.
    fn verdict(&self, key: &EndpointKey) -> Option<EndpointVerdict>;
    /// Whether a port carries signalling.
    fn is_signalling_port(&self, port: u16) -> bool;
}

/// How a media frame was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// By a learned endpoint, its sender or its receiver.
    Endpoint,
    /// By a configured range.
    Range,
    /// By its shape.
    Shape,
    /// It is a tunnel that the program does not see through: the sensor will.
    Tunnel,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// To the signalling socket of its queue.
    Signalling,
    /// To the media socket of its queue.
    Media(Basis),
    /// Dropped: its call must never be recorded.
    Never,
    /// Dropped: its call was cut.
    Cut,
    /// No rule wants it.
    Unwanted,
}

impl Fate {
    /// Its number in [`super::Metadata`].
    #[inline(always)]
    pub const fn number(self) -> u16 {
        match self {
            Fate::Signalling => 1,
            Fate::Media(_) => 2,
            Fate::Never => 3,
            Fate::Cut => 4,
            Fate::Unwanted => 5,
        }
    }
}

/// Decides what becomes of a frame: signalling first, then what is known of its endpoints, then the
/// configured ranges, then its shape. A verdict on either endpoint that drops wins over one that
/// hands up: the two sides of a call share a verdict, but an endpoint that was used again may not.
#[inline(always)]
pub fn decide<T: Tables + ?Sized>(seen: &Glance, realm: u16, settings: &Settings, tables: &T) -> Fate {
    match seen.payload {
        Payload::Fragment => return Fate::Signalling,
        Payload::Vxlan | Payload::Gre => return Fate::Media(Basis::Tunnel),
        Payload::Other => return Fate::Unwanted,
        Payload::Rtp | Payload::Text | Payload::Udp | Payload::Tcp => {}
    }
    let port = tables.is_signalling_port(seen.dst_port) || tables.is_signalling_port(seen.src_port);
    if (port && seen.payload != Payload::Rtp) || seen.payload == Payload::Text {
        return Fate::Signalling;
    }
    if seen.payload == Payload::Tcp {
        return if is_host(seen, settings) { Fate::Signalling } else { Fate::Unwanted };
    }
    let to = tables.verdict(&EndpointKey { addr: seen.dst, port: seen.dst_port, realm });
    if let Some(fate) = dropped(to) {
        return fate;
    }
    let from = tables.verdict(&EndpointKey { addr: seen.src, port: seen.src_port, realm });
    if let Some(fate) = dropped(from) {
        return fate;
    }
    if to.is_some() || from.is_some() {
        return Fate::Media(Basis::Endpoint);
    }
    if settings.recognise & recognise::RANGES != 0 && in_ranges(seen, settings) {
        return Fate::Media(Basis::Range);
    }
    if settings.recognise & recognise::SHAPE != 0 && seen.payload == Payload::Rtp {
        return Fate::Media(Basis::Shape);
    }
    if is_host(seen, settings) { Fate::Signalling } else { Fate::Unwanted }
}

#[inline(always)]
fn dropped(verdict: Option<EndpointVerdict>) -> Option<Fate> {
    match verdict {
        Some(EndpointVerdict::Never) => Some(Fate::Never),
        Some(EndpointVerdict::Cut) => Some(Fate::Cut),
        Some(EndpointVerdict::Media) | None => None,
    }
}

/// A function of its own in the program too: its loop is long and few need it.
#[inline(never)]
fn in_ranges(seen: &Glance, settings: &Settings) -> bool {
    let count = settings.range_count as usize;
    for (number, range) in settings.ranges.iter().enumerate() {
        if number >= count {
            break;
        }
        if range.contains(&seen.dst, seen.dst_port) || range.contains(&seen.src, seen.src_port) {
            return true;
        }
    }
    false
}

#[inline(never)]
fn is_host(seen: &Glance, settings: &Settings) -> bool {
    let count = settings.host_count as usize;
    for (number, host) in settings.hosts.iter().enumerate() {
        if number >= count {
            break;
        }
        if equal(host, &seen.dst) || equal(host, &seen.src) {
            return true;
        }
    }
    false
}

/// Compares without a call to `memcmp`, which the kernel's virtual machine does not have.
#[inline(always)]
fn equal(one: &Address, other: &Address) -> bool {
    (one[0] ^ other[0]) | (one[1] ^ other[1]) | (one[2] ^ other[2]) | (one[3] ^ other[3]) == 0
}
