//! The ledger's fourth level: every frame that the source delivered, counted once, where its fate
//! is decided (DESIGN, "The ledger"). A reason is one variant, one counter, one line of help.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Why a frame concerns no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Ignored {
    /// ARP, LLDP and everything else that is neither IPv4 nor IPv6.
    NotIp,
    /// TCP: this version reads SIP over UDP.
    Tcp,
    /// Another IP protocol.
    OtherProtocol,
    /// UDP that is neither signalling nor media.
    UdpOther,
    /// STUN (RFC 8489).
    Stun,
    /// DTLS (RFC 6347).
    Dtls,
    /// ZRTP (RFC 6189).
    Zrtp,
    /// TURN channel data (RFC 8656).
    TurnChannel,
    /// Empty datagrams and line ends that hold a NAT open.
    KeepAlive,
    /// RTCP of no known call.
    Rtcp,
    /// RTP-like packets that no call explains and that do not behave like a stream.
    UnexplainedRtp,
    /// A datagram that the mirror showed before.
    MirrorCopy,
}

/// Why a frame that may concern a call could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Dropped {
    /// The capture holds fewer bytes than the headers promise.
    Truncated,
    /// IP or UDP headers that contradict themselves.
    Malformed,
    /// An interface whose link type is not decoded.
    UnknownLink,
    /// On a call's endpoint, like RTP, but not valid RTP.
    MalformedRtp,
    /// The stream table is full.
    StreamsFull,
    /// The pre-roll arena was full.
    PrerollFull,
    /// A fragment whose datagram never became whole.
    ReassemblyTimeout,
    /// A fragment that found no room, or contradicts another.
    ReassemblyFull,
    /// No journal block was free.
    JournalFull,
    /// Media of a call that was not admitted. What the XDP program drops of it is counted there.
    Refused,
    /// Media of a call behind the moment at which it was cut.
    Cut,
}

/// Names and help, in the order of the variants.
pub const IGNORED: [(&str, &str); 12] = [
    ("not_ip", "neither IPv4 nor IPv6"),
    ("tcp", "TCP segments"),
    ("other_protocol", "IP protocols other than UDP and TCP"),
    ("udp_other", "UDP that is neither signalling nor media"),
    ("stun", "STUN"),
    ("dtls", "DTLS"),
    ("zrtp", "ZRTP"),
    ("turn_channel", "TURN channel data"),
    ("keep_alive", "NAT keep-alives"),
    ("rtcp", "RTCP of no known call"),
    ("unexplained_rtp", "RTP-like packets of no call"),
    ("mirror_copy", "datagrams that the mirror showed before"),
];

/// Names and help, in the order of the variants.
pub const DROPPED: [(&str, &str); 11] = [
    ("truncated", "captured bytes end before the headers' length"),
    ("malformed", "contradictory IP or UDP headers"),
    ("unknown_link", "link type that is not decoded"),
    ("malformed_rtp", "invalid RTP on a call's endpoint"),
    ("streams_full", "stream table full"),
    ("preroll_full", "pre-roll arena full"),
    ("reassembly_timeout", "fragments of a datagram that never became whole"),
    ("reassembly_full", "fragments without room, or contradictory"),
    ("journal_full", "no journal block free"),
    ("refused", "media of calls that were not admitted"),
    ("cut", "media of calls that were cut to shed load"),
];

/// The counters. At any moment `received` is the sum of all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Frames from the source.
    pub received: u64,
    /// Frames of signalling.
    pub signalling: u64,
    /// Frames appended to the journal, or bound to a call in `analyse`.
    pub recorded: u64,
    /// Frames in pre-roll and reassembly.
    pub held: u64,
    ignored: [u64; IGNORED.len()],
    dropped: [u64; DROPPED.len()],
}

impl Ledger {
    /// Counts ignored frames.
    pub fn ignore(&mut self, reason: Ignored, frames: u64) {
        self.ignored[reason as usize] += frames;
    }

    /// Counts dropped frames.
    pub fn drop(&mut self, reason: Dropped, frames: u64) {
        self.dropped[reason as usize] += frames;
    }

    /// Frames ignored for a reason.
    pub fn ignored(&self, reason: Ignored) -> u64 {
        self.ignored[reason as usize]
    }

    /// Frames dropped for a reason.
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize]
    }

    /// All ignored frames.
    pub fn ignored_total(&self) -> u64 {
        self.ignored.iter().sum()
    }

    /// All dropped frames.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// `received` less everything that it went to: 0 unless a frame was counted twice or not.
    pub fn residual(&self) -> i64 {
        let explained =
            self.signalling + self.recorded + self.held + self.ignored_total() + self.dropped_total();
        self.received as i64 - explained as i64
    }

    /// Every reason to ignore a frame: its name, its help, how often.
    pub fn ignored_by_reason(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        IGNORED.iter().zip(&self.ignored).map(|((name, help), frames)| (*name, *help, *frames))
    }

    /// Every reason to drop a frame: its name, its help, how often.
    pub fn dropped_by_reason(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        DROPPED.iter().zip(&self.dropped).map(|((name, help), frames)| (*name, *help, *frames))
    }

    /// The reasons that occurred, with their counts, ignored ones first.
    pub fn reasons(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let ignored = IGNORED.iter().zip(&self.ignored).map(|((name, _), n)| ("ignored", *name, *n));
        let dropped = DROPPED.iter().zip(&self.dropped).map(|((name, _), n)| ("dropped", *name, *n));
        ignored.chain(dropped).filter(|(_, _, n)| *n > 0)
    }
}

impl Serialize for Ledger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("received", &self.received)?;
        map.serialize_entry("signalling", &self.signalling)?;
        map.serialize_entry("recorded", &self.recorded)?;
        map.serialize_entry("ignored", &Reasons(&IGNORED, &self.ignored))?;
        map.serialize_entry("dropped", &Reasons(&DROPPED, &self.dropped))?;
        map.serialize_entry("held", &self.held)?;
        map.end()
    }
}

/// The reasons of one kind that occurred.
struct Reasons<'a>(&'a [(&'static str, &'static str)], &'a [u64]);

impl Serialize for Reasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(self.0.iter().zip(self.1).filter(|(_, n)| **n > 0).map(|((name, _), n)| (name, n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_name() {
        assert_eq!(IGNORED[Ignored::MirrorCopy as usize].0, "mirror_copy");
        assert_eq!(DROPPED[Dropped::JournalFull as usize].0, "journal_full");
        assert_eq!(DROPPED[Dropped::Cut as usize].0, "cut");
    }

    #[test]
    fn the_residual_shows_a_frame_that_nobody_counted() {
        let mut ledger = Ledger { received: 3, signalling: 1, ..Ledger::default() };
        ledger.ignore(Ignored::Stun, 1);
        assert_eq!(ledger.residual(), 1);
        ledger.drop(Dropped::Truncated, 1);
        assert_eq!(ledger.residual(), 0);
        let json = serde_json::to_value(&ledger).unwrap();
        assert_eq!(json["ignored"]["stun"], 1);
        assert_eq!(json["dropped"], serde_json::json!({"truncated": 1}));
    }
}
