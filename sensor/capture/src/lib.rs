//! Packet sources: pcap files, AF_PACKET; and a sender of frames for the generator.

mod error;
mod interface;
mod sender;
mod socket;

pub use error::SourceError;
pub use interface::{interface_index, interface_names};
pub use sender::FrameSender;
