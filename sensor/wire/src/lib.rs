//! What stands in a packet, as views over its bytes: link headers to UDP, RTP and RTCP
//! headers, and the identities (realm, endpoint, flow, binding) that every later stage uses.
//!
//! Pure and `no_std`: no clock, no thread, no file; the same code runs in a capture core, a
//! test and a fuzzer. Nothing here panics on any input.
#![no_std]

extern crate alloc;

mod binding;
mod demux;
mod endpoint;
mod frame;
mod rtcp;
mod rtp;
mod static_formats;
mod time;

pub use binding::{Basis, Binding, CallKey, Format, MediaKind, PayloadType};
pub use demux::{MediaClass, classify, looks_like_sip};
pub use endpoint::{Endpoint, FlowKey, Realm};
pub use frame::{
    Fragment, Frame, FrameError, LinkType, Network, Transport, decode_frame, decode_ip, decode_transport,
};
pub use rtcp::{RtcpError, RtcpPackets, RtcpView};
pub use rtp::{RtpError, RtpView};
pub use time::{Nanos, RtpTime, SeqNumber};
