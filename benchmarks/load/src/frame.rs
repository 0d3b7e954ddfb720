//! A generated frame and what the sensor should make of it.

use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

/// What a frame is, known by its maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameClass {
    /// SIP, each fragment of it, each retransmission and each mirror copy of it.
    Signalling,
    /// RTP of a call, also of a fork that loses.
    Rtp,
    /// RTCP of a call.
    Rtcp,
    /// A mirror's second copy of a call's RTP.
    RtpCopy,
    /// A mirror's second copy of a call's RTCP.
    RtcpCopy,
    /// STUN on a media port.
    Stun,
    /// DTLS on a media port.
    Dtls,
    /// A keep-alive on a media or signalling port.
    KeepAlive,
    /// RTP by its first byte, on a call's media flow, whose header contradicts its length.
    MalformedRtp,
    /// A short burst of RTP that belongs to no call.
    UnexplainedRtp,
    /// Another UDP datagram.
    UdpOther,
    /// TCP, not signalling.
    Tcp,
    /// IP with another transport (ICMP).
    OtherTransport,
    /// Not IP (ARP).
    NotIp,
    /// An IP header that contradicts itself.
    MalformedIp,
    /// Captured only in part, so that a header is cut.
    Truncated,
}

impl FrameClass {
    /// Every class, in order.
    pub const ALL: [FrameClass; 16] = [
        FrameClass::Signalling,
        FrameClass::Rtp,
        FrameClass::Rtcp,
        FrameClass::RtpCopy,
        FrameClass::RtcpCopy,
        FrameClass::Stun,
        FrameClass::Dtls,
        FrameClass::KeepAlive,
        FrameClass::MalformedRtp,
        FrameClass::UnexplainedRtp,
        FrameClass::UdpOther,
        FrameClass::Tcp,
        FrameClass::OtherTransport,
        FrameClass::NotIp,
        FrameClass::MalformedIp,
        FrameClass::Truncated,
    ];

    /// The class of a mirror's second copy.
    pub(crate) const fn of_copy(self) -> FrameClass {
        match self {
            FrameClass::Rtp => FrameClass::RtpCopy,
            FrameClass::Rtcp => FrameClass::RtcpCopy,
            other => other,
        }
    }
}

/// One frame as a capture would hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The capture stamp.
    pub at: Nanos,
    /// The captured bytes, in the scenario's link layer.
    pub bytes: Vec<u8>,
    /// Length on the wire; more than `bytes` holds when the frame is truncated.
    pub original_len: u32,
    /// What it is.
    pub class: FrameClass,
    /// The call that it belongs to, by its index in the scenario; `None` for noise.
    pub call: Option<u32>,
}

impl Frame {
    /// An empty frame, to be filled by [`crate::FrameStream::next_into`].
    pub fn empty() -> Frame {
        Frame {
            at: Nanos::ZERO,
            bytes: Vec::with_capacity(256),
            original_len: 0,
            class: FrameClass::UdpOther,
            call: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_classes_is_in_their_own_order() {
        for (index, class) in FrameClass::ALL.iter().enumerate() {
            assert_eq!(*class as usize, index);
        }
    }
}
