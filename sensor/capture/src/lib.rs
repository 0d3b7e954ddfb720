//! Packet sources: capture files, live interfaces, memory; and a sender of frames for the generator.

mod af_packet;
mod clock;
mod error;
pub mod fakes;
mod file;
mod interface;
mod merge;
mod paced;
mod sender;
mod socket;
mod source;

pub use af_packet::{AfPacketConfig, AfPacketSource};
pub use clock::{CaptureClock, ClockPair};
pub use error::SourceError;
pub use file::{CaptureFile, CaptureFiles, read_capture_bytes};
pub use interface::{interface_index, interface_names};
pub use paced::{Pace, Paced, WallPace};
pub use sender::FrameSender;
pub use source::{PacketSource, RawFrame, Received, SourceStatistics, Stopped};
