//! What a call is to be: parties, sounds, networks, and how its signalling goes. Plain data; the
//! variants combine freely where SIP lets them.

use nightjar_wire::Nanos;

use crate::audio::Audio;
use crate::g711::Codec;
use crate::impairment::Impairment;
use crate::party::{Party, Side, SideAddresses};
use crate::random::Random;
use crate::sip_text::SipStyle;

/// One call.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// Caller and callee, by [`Side`].
    pub parties: [Party; 2],
    /// Their sockets.
    pub addresses: [SideAddresses; 2],
    /// What each side sends.
    pub legs: [LegPlan; 2],
    /// The codec that is agreed on first.
    pub codec: Codec,
    /// Packet time in ms: 10, 20, 30, 40 or 60.
    pub ptime_ms: u16,
    /// RTCP beside the media.
    pub rtcp: RtcpPlan,
    /// Both sides accept both laws, so that a leg may switch without a re-INVITE.
    pub accept_both_laws: bool,
    /// A video line and stream beside the audio.
    pub video: bool,
    /// From INVITE to the final answer.
    pub ring: Nanos,
    /// From answer to BYE, holds included.
    pub talk: Nanos,
    /// What comes before the INVITE that is answered.
    pub prelude: Vec<Attempt>,
    /// How the offer is made.
    pub opening: Opening,
    /// What becomes of the INVITE.
    pub outcome: Outcome,
    /// What changes during the call, by time.
    pub mid_call: Vec<MidCall>,
    /// How an answered call ends.
    pub ending: Ending,
    /// A `Session-Expires` in seconds (RFC 4028); the refreshes are [`MidCall`]s.
    pub session_expires: Option<u32>,
    /// Ringing and progress are sent reliably (RFC 3262): each has an RSeq and gets its PRACK.
    pub reliable: bool,
    /// Renegotiates by UPDATE between the first 18x and the answer (RFC 3311, 5.1).
    pub early_update: Option<EarlyUpdate>,
    /// When the 200's ACK comes past the tap.
    pub ack: AckPlan,
    /// A CANCEL crosses the 200: the call is answered all the same, and hung up at once.
    pub cancel_crosses_answer: bool,
    /// So long after the answer another fork answers too, and is hung up on.
    pub second_answer: Option<Nanos>,
    /// The callee gives no tags (RFC 2543).
    pub tagless_callee: bool,
    /// Other datagrams on the call's ports.
    pub extras: Vec<Extra>,
    /// What the tap sees of the call.
    pub visible: Visible,
    /// The way that signalling takes.
    pub path: SignallingPath,
    /// How both sides spell SIP.
    pub style: SipStyle,
    /// Each SIP message is repeated once, so much later.
    pub repeat: Option<Nanos>,
    /// Bytes of SDP attributes that make INVITE and 200 long; above about 800 they are fragmented.
    pub sdp_ballast: usize,
    /// The mirror copies each frame a second time.
    pub mirror: Option<Mirror>,
    /// VLAN ids of what caller and callee send: a tap of two directions.
    pub direction_vlans: Option<[u16; 2]>,
    /// A Call-ID instead of a random one.
    pub call_id: Option<String>,
}

/// What one side sends.
#[derive(Clone, Debug)]
pub struct LegPlan {
    /// Its sound.
    pub audio: Audio,
    /// How much faster than the capture clock its RTP clock runs, in parts per million.
    pub drift_ppm: i32,
    /// What its packets suffer on the way to the tap.
    pub impairment: Impairment,
    /// Changes within its stream, at times from the answer on.
    pub changes: Vec<(Nanos, RtpChange)>,
    /// Its first sequence number instead of a random one.
    pub first_sequence: Option<u16>,
    /// Its first RTP timestamp instead of a random one.
    pub first_timestamp: Option<u32>,
    /// Goes on sending so long after the call's end.
    pub late: Nanos,
    /// Sends nothing at all.
    pub mute: bool,
}

/// A change within a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum RtpChange {
    /// Another SSRC, sequence and timestamp on the same sockets.
    NewSsrc,
    /// Another random timestamp base; the sequence goes on.
    TimestampReset,
    /// The timestamp stands still for a time; the sequence goes on.
    TimestampFrozen(Nanos),
    /// No packets for a time: the sequence goes on, the timestamp has moved with time (DTX).
    Silence(Nanos),
    /// The same, announced by a comfort-noise packet (RFC 3389).
    ComfortNoise(Nanos),
    /// A telephone-event of a digit (`0`–`9`, `*`, `#`, `A`–`D`) for a time (RFC 4733).
    Digit(char, Nanos),
    /// Another law.
    Codec(Codec),
    /// Another packet time in ms.
    Ptime(u16),
    /// Another sound.
    Audio(Audio),
    /// The sequence jumps ahead by so much: packets went where no tap is.
    SkipNumbers(u16),
    /// Other sockets, source and destination; SSRC and sequence go on.
    Move(std::net::SocketAddr, std::net::SocketAddr),
}

/// RTCP of both sides: a sender report every five seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPlan {
    /// None.
    Off,
    /// On the next port.
    Apart,
    /// On the RTP port (RFC 5761).
    Mux,
}

/// A first INVITE that leads to another.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// 401 or 407; the INVITE is repeated with credentials.
    Challenged(u16),
    /// 302 to another party, which is then called in the same Call-ID.
    Redirected(Party),
}

/// When the ACK of the call's 200 is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckPlan {
    /// At once.
    Prompt,
    /// After the BYE.
    AfterBye,
    /// Never: the 200 is repeated for as long as RFC 3261, 13.3.1.4 has it.
    Never,
}

/// What an UPDATE before the answer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyUpdate {
    /// Who sends it.
    pub by: Side,
    /// Adds so much to the sender's media port; 0 leaves it.
    pub port_step: u16,
    /// Another law.
    pub codec: Option<Codec>,
}

/// A target that a proxy tries before the one that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Hunted {
    /// What becomes of it: refused with this status after ringing; 487 when the proxy gives up and
    /// cancels it.
    pub status: u16,
    /// It sends early media (a 183 with an answer) instead of ringing.
    pub early: Option<Audio>,
}

/// How offer and answer travel.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// Offer in the INVITE, answer in the 200.
    Offer,
    /// Offer in the 200, answer in the ACK.
    LateOffer,
    /// Answer in a 183, with early media of the callee.
    EarlyMedia(Audio),
    /// A proxy forks: one 183 with early media per branch; the last branch answers.
    Forked(Vec<Audio>),
    /// Offer in a reliable 183, answer in its PRACK, and early media (RFC 3262, 5).
    OfferInProgress(Audio),
    /// A proxy asks one target after the other, and then the callee; both of its sides are seen.
    Hunted(Vec<Hunted>),
}

/// What becomes of the last INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200.
    Answered,
    /// The caller gives up: CANCEL, 487.
    Cancelled,
    /// Another final answer.
    Refused(u16),
    /// No answer at all, not even a 100; the INVITE is repeated until timer B.
    Unheard,
}

/// Something during the call.
#[derive(Clone, Debug, PartialEq)]
pub struct MidCall {
    /// When, from the answer on.
    pub at: Nanos,
    /// Who does it.
    pub by: Side,
    /// What.
    pub change: MidCallChange,
}

/// What a re-INVITE does.
#[derive(Clone, Debug, PartialEq)]
pub enum MidCallChange {
    /// Moves the sender's media port (both directions of the media follow), and agrees on
    /// another law or packet time.
    ReInvite {
        /// Adds so much to the sender's media port, modulo 2^16; 0 leaves it.
        port_step: u16,
        /// Another law.
        codec: Option<Codec>,
        /// Another packet time in ms.
        ptime_ms: Option<u16>,
    },
    /// Repeats the description unchanged (a session timer's refresh).
    Refresh,
    /// Refreshes the session timer by an UPDATE without a description (RFC 4028, 7.4).
    RefreshByUpdate,
    /// As `ReInvite`, by an UPDATE.
    Update {
        /// Adds so much to the sender's media port; 0 leaves it.
        port_step: u16,
        /// Another law.
        codec: Option<Codec>,
        /// Another packet time in ms.
        ptime_ms: Option<u16>,
    },
    /// A re-INVITE to other ports and into a hold that is refused: nothing changes (RFC 3261, 14.1).
    Refused(u16),
    /// A re-INVITE that moves the sender's media port, sent again after a 407.
    Challenged {
        /// Adds so much to the sender's media port.
        port_step: u16,
    },
    /// Both sides send a re-INVITE at once and get a 491; the sender tries again (RFC 3261, 14.1).
    Glare,
    /// The last re-INVITE but one comes again, late, and gets a 500 (RFC 3261, 12.2.2).
    StaleCopy,
    /// Puts the other side on hold, and takes it back after a time.
    Hold {
        /// How it is written.
        how: HoldForm,
        /// For how long.
        span: Nanos,
        /// What the held side hears.
        music: Music,
    },
}

/// How a hold is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldForm {
    /// `a=sendonly`
    SendOnly,
    /// `a=inactive`
    Inactive,
    /// `c=IN IP4 0.0.0.0`
    ZeroAddress,
    /// A re-INVITE without a description; the ACK's answer says `a=sendonly`.
    LateOffer,
}

/// What a held party hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Music {
    /// Nothing.
    None,
    /// The holder's own stream goes on with another sound.
    FromHolder(Audio),
    /// A third host sends to the held party, named in no signalling.
    FromServer(Audio),
}

/// How an answered call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By a BYE.
    Bye(Side),
    /// The media stop; no BYE is seen.
    ByeUnseen,
}

/// Another datagram between the call's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra {
    /// When, from the answer on.
    pub at: Nanos,
    /// Who sends it.
    pub by: Side,
    /// What it is.
    pub kind: ExtraKind,
}

/// What shares a port with media (RFC 7983) or signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraKind {
    /// A STUN binding request.
    Stun,
    /// A DTLS alert record.
    Dtls,
    /// Two line ends.
    KeepAlive,
    /// The same between the signalling sockets (RFC 5626, 3.5.1).
    SipKeepAlive,
    /// RTP whose CSRC count runs past its end.
    MalformedRtp,
}

/// What the tap sees of a call; times are from the INVITE on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All of it.
    Whole,
    /// Nothing before a moment: the capture begins then.
    From(Nanos),
    /// All media, but signalling only from a moment on.
    SignallingFrom(Nanos),
    /// Media alone.
    MediaOnly,
}

/// The way that signalling takes past the tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignallingPath {
    /// From party to party.
    Direct,
    /// Through a proxy that records its route; the tap sees both of its sides.
    BothSidesOfProxy,
}

/// How the mirror's second copy of each frame differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// How much later it comes.
    pub delay: Nanos,
    /// Its VLAN tag, if it has one.
    pub vlan: Option<u16>,
    /// It has passed a router: other MACs, one hop less.
    pub routed: bool,
}

impl CallPlan {
    /// The plain call number `index`: answered after 1.5 s, 10 s of PCMA tones, ended by the
    /// caller, on a perfect network. Tones of neighbouring calls and of both legs differ.
    pub fn plain(index: u32, random: &mut Random) -> CallPlan {
        CallPlan {
            parties: [0, 1].map(|n| Party::fictional(2 * index + n, random)),
            addresses: [Side::Caller, Side::Callee].map(|side| SideAddresses::of_call(index, side, random)),
            legs: [0, 1].map(|n| LegPlan::tone(400 + 50 * ((2 * index + n) % 40))),
            codec: Codec::Pcma,
            ptime_ms: 20,
            rtcp: RtcpPlan::Off,
            accept_both_laws: false,
            video: false,
            ring: Nanos::from_millis(1500),
            talk: Nanos::from_secs(10),
            prelude: Vec::new(),
            opening: Opening::Offer,
            outcome: Outcome::Answered,
            mid_call: Vec::new(),
            ending: Ending::Bye(Side::Caller),
            session_expires: None,
            reliable: false,
            early_update: None,
            ack: AckPlan::Prompt,
            cancel_crosses_answer: false,
            second_answer: None,
            tagless_callee: false,
            extras: Vec::new(),
            visible: Visible::Whole,
            path: SignallingPath::Direct,
            style: SipStyle::default(),
            repeat: None,
            sdp_ballast: 0,
            mirror: None,
            direction_vlans: None,
            call_id: None,
        }
    }
}

impl LegPlan {
    /// A leg that sends a tone over a perfect network.
    pub fn tone(hz: u32) -> LegPlan {
        LegPlan {
            audio: Audio::Tone(hz),
            drift_ppm: 0,
            impairment: Impairment::default(),
            changes: Vec::new(),
            first_sequence: None,
            first_timestamp: None,
            late: Nanos::ZERO,
            mute: false,
        }
    }
}
