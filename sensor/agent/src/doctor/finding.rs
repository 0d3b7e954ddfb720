//! What the doctor finds, each with the counts that show it. What to do about it is in `wording`.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Calls are missing or cannot be heard.
    Fault,
    /// Something is lost, doubled, or will be when there is more traffic.
    Warning,
    /// Good to know; nothing has to be changed.
    Note,
    /// As it should be.
    Good,
}

/// Packets of one codec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodecPackets {
    /// Its name with clock rate.
    pub codec: String,
    /// Packets.
    pub packets: u64,
}

/// Who cuts frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CutBy {
    /// The program that wrote the capture file.
    Capture,
    /// The mirror, on its way here.
    Mirror,
}

/// Whether an interface can receive at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It has a link.
    Up,
    /// It is up and has no link.
    None,
    /// It is switched off on this host.
    Down,
    /// That cannot be asked: a capture file's.
    #[default]
    Unknown,
}

/// Addresses that have to be acted on. A report shows them, a log does not.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Addresses(pub Vec<IpAddr>);

impl fmt::Debug for Addresses {
    /// Redacted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addresses({})", self.0.len())
    }
}

/// A finding. Addresses stand only where they have to be acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// An interface (or a file) brought nothing.
    NoPackets {
        /// Which.
        interface: String,
        /// Whether it could have.
        link: Link,
    },
    /// Nothing but frames of the interface itself, or to all.
    OwnFramesOnly {
        /// From or to the interface.
        own: u64,
        /// To groups or to all.
        to_groups: u64,
    },
    /// Traffic, and no telephony in it.
    NoTelephony {
        /// Frames.
        frames: u64,
    },
    /// Media go one way.
    OneDirectionMedia {
        /// Flows whose other direction is missing.
        one_way: u64,
        /// Flows.
        flows: u64,
    },
    /// Requests without responses, or the reverse.
    OneDirectionSignalling {
        /// Requests.
        requests: u64,
        /// Responses.
        responses: u64,
    },
    /// Signalling of calls whose media are not there.
    SignallingWithoutMedia {
        /// Calls that were answered, at least two seconds long.
        answered: u64,
        /// Those of them without media.
        without_media: u64,
    },
    /// Media whose signalling is not there.
    MediaWithoutSignalling {
        /// Flows.
        flows: u64,
        /// TCP segments on signalling ports.
        tcp_segments: u64,
        /// TCP segments on port 5061.
        tls_segments: u64,
    },
    /// Signalling by TCP, and none by UDP.
    SignallingByTcp {
        /// Segments on signalling ports, 5061 left out.
        tcp_segments: u64,
    },
    /// Signalling that cannot be read.
    EncryptedSignalling {
        /// TCP segments on port 5061.
        tls_segments: u64,
        /// Readable messages that came by TLS on another part of their way.
        via_tls: u64,
        /// Readable messages.
        messages: u64,
    },
    /// Media that cannot be decoded for want of keys.
    EncryptedMedia {
        /// Calls whose descriptions want SRTP.
        calls: u64,
        /// Flows on which DTLS-SRTP keys are agreed.
        dtls_flows: u64,
        /// Flows on which ZRTP keys are agreed.
        zrtp_flows: u64,
    },
    /// Codecs without a decoder.
    UndecodableCodecs {
        /// Which.
        codecs: Vec<CodecPackets>,
    },
    /// Frames are cut.
    TruncatedFrames {
        /// Who does it.
        by: CutBy,
        /// How many.
        cut: u64,
        /// Of how many.
        frames: u64,
    },
    /// The NIC had no room.
    QueueFull {
        /// The interface.
        interface: String,
        /// Frames lost.
        missed: u64,
    },
    /// The kernel had no room on a core.
    CoreFull {
        /// The core.
        core: usize,
        /// Frames lost.
        dropped: u64,
    },
    /// A core does nothing but receive.
    CoreBusy {
        /// The core.
        core: usize,
        /// Its share of time in interrupts.
        percent: u64,
    },
    /// Our own ring was full.
    RingFull {
        /// Frames lost.
        frames: u64,
    },
    /// Frames arrive damaged.
    BrokenFrames {
        /// The interface.
        interface: String,
        /// How many.
        broken: u64,
    },
    /// The mirror sends everything twice.
    EveryPacketTwice {
        /// Packets of telephony.
        packets: u64,
        /// Those that were copies.
        copies: u64,
        /// Copies by another interface.
        by_other_interface: u64,
        /// Copies in another VLAN.
        in_other_vlan: u64,
    },
    /// A tag was taken out on the way.
    VlanTagsStripped {
        /// Frames that show it.
        frames: u64,
    },
    /// A tag in one direction, none in the other.
    VlanTagsOneWay {
        /// Pairs of flows.
        pairs: u64,
    },
    /// Stamps jump.
    ClockJumps {
        /// Backwards.
        backwards: u64,
        /// Forwards, though media went on.
        forwards: u64,
        /// The furthest, in ms.
        worst_ms: u64,
    },
    /// The wall clock was set.
    HostClockSet {
        /// By how much, in ms.
        by_ms: i64,
    },
    /// The two directions of calls arrive by different queues.
    DirectionsOnDifferentQueues {
        /// Pairs of directions whose queues are known.
        pairs: u64,
        /// Those on two queues.
        apart: u64,
    },
    /// One queue does all the work.
    AllOnOneQueue {
        /// The interface.
        interface: String,
        /// Its queues.
        queues: u16,
        /// The one.
        queue: u16,
        /// Media flows on it.
        flows: u64,
    },
    /// GRE: a tunnel that lands on one queue.
    GreTunnel {
        /// Pairs of tunnel ends.
        sessions: u64,
        /// Frames.
        frames: u64,
    },
    /// VXLAN.
    VxlanTunnel {
        /// Pairs of tunnel ends.
        sessions: u64,
        /// Frames.
        frames: u64,
    },
    /// Hosts that the configuration does not know.
    UnconfiguredPhones {
        /// How many.
        phones: u64,
        /// The first of them.
        first: Addresses,
    },
    /// SIP on ports that the configuration does not know.
    UnconfiguredPorts {
        /// Which.
        ports: Vec<u16>,
        /// Messages.
        messages: u64,
    },
    /// More than is followed.
    TooMuchToFollow {
        /// Media flows followed.
        flows: u64,
        /// Calls followed.
        calls: u64,
    },
    /// Calls were seen.
    CallsSeen {
        /// With an INVITE or a description.
        calls: u64,
        /// Answered meanwhile.
        answered: u64,
        /// SIP messages.
        messages: u64,
    },
    /// Both directions of media were seen.
    BothDirections {
        /// Flows whose other direction is there.
        flows: u64,
    },
    /// Codecs that are decoded.
    DecodableCodecs {
        /// Which.
        codecs: Vec<CodecPackets>,
    },
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Finding::NoPackets { .. }
            | Finding::OwnFramesOnly { .. }
            | Finding::NoTelephony { .. }
            | Finding::OneDirectionMedia { .. }
            | Finding::OneDirectionSignalling { .. }
            | Finding::SignallingWithoutMedia { .. }
            | Finding::MediaWithoutSignalling { .. }
            | Finding::SignallingByTcp { .. }
            | Finding::EncryptedSignalling { .. }
            | Finding::EncryptedMedia { .. }
            | Finding::UndecodableCodecs { .. }
            | Finding::TruncatedFrames { .. }
            | Finding::QueueFull { .. }
            | Finding::CoreFull { .. } => Severity::Fault,
            Finding::CoreBusy { .. }
            | Finding::RingFull { .. }
            | Finding::BrokenFrames { .. }
            | Finding::EveryPacketTwice { .. }
            | Finding::VlanTagsStripped { .. }
            | Finding::ClockJumps { .. }
            | Finding::HostClockSet { .. }
            | Finding::DirectionsOnDifferentQueues { .. }
            | Finding::AllOnOneQueue { .. }
            | Finding::GreTunnel { .. }
            | Finding::UnconfiguredPhones { .. }
            | Finding::UnconfiguredPorts { .. } => Severity::Warning,
            Finding::VlanTagsOneWay { .. }
            | Finding::VxlanTunnel { .. }
            | Finding::TooMuchToFollow { .. } => Severity::Note,
            Finding::CallsSeen { .. } | Finding::BothDirections { .. } | Finding::DecodableCodecs { .. } => {
                Severity::Good
            }
        }
    }
}
