//! The one load generator: seeded SIP calls with two-way G.711 as frames with capture stamps,
//! into files and interfaces, and the account of what was sent. Tests, demo and benchmarks all
//! use it; the sensor's ledger and calls are asserted against its own.
//!
//! Everything but [`PcapWriter`] and [`play()`] is pure: the same scenario and seed give
//! the same bytes on every machine.

mod active_call;
mod audio;
mod bulk;
mod dialog;
mod envelope;
mod expected;
mod flow;
mod frame;
mod g711;
mod impairment;
mod ledger;
mod link;
mod noise;
mod party;
mod pcap_out;
mod plan;
mod play;
mod random;
mod rtcp;
mod rtp_clock;
mod rtp_leg;
mod rtp_packet;
mod scenario;
pub mod scenarios;
mod schedule;
mod script;
mod sdp;
mod signalling;
mod sine;
mod sip_text;
mod speech;
mod stream_count;

pub use audio::Audio;
pub use bulk::{BulkPlan, BulkSound, Variety};
pub use envelope::{Envelope, GreOptions};
pub use expected::{
    CallExpected, DialogExpected, Expected, HoldExpected, Speaker, StreamExpected, StreamKind,
};
pub use frame::{Frame, FrameClass};
pub use g711::Codec;
pub use impairment::Impairment;
pub use ledger::Ledger;
pub use link::LinkOptions;
pub use noise::NoisePlan;
pub use party::{Party, Side, SideAddresses, UriForm};
pub use pcap_out::{CaptureFormat, Compression, PcapWriter};
pub use plan::{
    AckPlan, Attempt, CallPlan, EarlyUpdate, Ending, Extra, ExtraKind, HoldForm, Hunted, LegPlan, MidCall,
    MidCallChange, Mirror, Music, Opening, Outcome, RtcpPlan, RtpChange, SignallingPath, Visible,
};
pub use play::{FrameSink, PlayClock, WallClock, play};
pub use random::Random;
pub use scenario::{PcapOptions, SCENARIO_START, Scenario, expected_path, write_json};
pub use schedule::{FrameStream, Notice};
pub use sip_text::SipStyle;
