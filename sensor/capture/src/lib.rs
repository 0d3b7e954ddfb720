//! Packet sources: capture files, live interfaces (AF_XDP, AF_PACKET), memory; and a sender of frames for the generator.

mod af_packet;
mod af_xdp;
pub mod capability;
mod clock;
mod error;
pub mod ethtool;
pub mod fakes;
mod file;
mod interface;
mod live;
mod live_sender;
mod loss_watch;
mod merge;
mod paced;
mod prefetch;
mod sender;
mod socket;
mod source;

pub use af_packet::{AfPacketConfig, AfPacketSource, QueuePlace};
pub use af_xdp::{
    AfXdpConfig, AfXdpSource, CopyMode, Learned, ProgramConfig, ProgramError, ProgramMode, QueueSizes,
    SocketCounts, SocketKind, TapModes, XdpCounts, XdpProgram,
};
pub use clock::{CaptureClock, ClockPair};
pub use error::SourceError;
pub use file::{CaptureFile, CaptureFiles, read_capture_bytes};
pub use interface::{host_use, interface_index, interface_names, receive_queues};
pub use live_sender::{LiveReport, LiveSender, LiveSink, LiveStream};
pub use paced::{Pace, Paced, WallPace};
pub use prefetch::prefetch;
pub use sender::FrameSender;
pub use source::{PacketSource, RawFrame, Received, RingLoad, RingLoss, SourceStatistics, Stopped};
