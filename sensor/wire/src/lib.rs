//! What stands in a packet, as views over its bytes: link headers to UDP, RTP and RTCP
//! headers, and the identities (realm, endpoint, flow, binding) that every later stage uses.
//!
//! Pure and `no_std`: no clock, no thread, no file; the same code runs in a capture core, a
//! test and a fuzzer. Nothing here panics on any input.
//!
//! Without the feature `records` only [`xdp`] is left: what the XDP program is built from.
#![no_std]

#[cfg(feature = "records")]
extern crate alloc;

#[cfg(feature = "records")]
mod binding;
#[cfg(feature = "records")]
mod demux;
#[cfg(feature = "records")]
mod endpoint;
#[cfg(feature = "records")]
mod frame;
#[cfg(feature = "records")]
mod inside;
#[cfg(feature = "records")]
mod realms;
#[cfg(feature = "records")]
mod rtcp;
#[cfg(feature = "records")]
mod rtp;
#[cfg(feature = "records")]
mod rtp_frame;
#[cfg(feature = "records")]
mod static_formats;
#[cfg(feature = "records")]
mod time;
mod tunnel;
pub mod xdp;

#[cfg(feature = "records")]
pub use binding::{Basis, Binding, CallKey, Format, MediaKind, PayloadType};
#[cfg(feature = "records")]
pub use demux::{MediaClass, classify, looks_like_sip};
#[cfg(feature = "records")]
pub use endpoint::{Endpoint, FlowKey, Realm};
#[cfg(feature = "records")]
pub use frame::{
    Fragment, Frame, FrameError, LinkType, Network, Transport, decode_envelope, decode_ip, decode_transport,
};
#[cfg(feature = "records")]
pub use inside::{decode_frame, decode_frame_through};
#[cfg(feature = "records")]
pub use realms::{InterfaceRealms, RealmRule, Realms, SeenIn};
#[cfg(feature = "records")]
pub use rtcp::{RtcpError, RtcpPackets, RtcpView};
#[cfg(feature = "records")]
pub use rtp::{RtpError, RtpView};
#[cfg(feature = "records")]
pub use rtp_frame::RtpFrame;
#[cfg(feature = "records")]
pub use time::{Nanos, RtpTime, SeqNumber};
pub use tunnel::{MAX_TUNNELS, Tunnel, TunnelKind, VXLAN_PORT, VxlanPorts};
