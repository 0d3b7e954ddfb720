//! The list of targets, one module each.

mod calls;
mod capture;
mod config;
mod events;
mod frame;
mod journal;
mod media;
mod pipeline;
mod planted;
mod recorded;
mod restart;
mod sdp;
mod sip;
mod snapshot;
mod spool;

pub(crate) use calls::frames as frames_of;
pub(crate) use media::show as show_media;
pub(crate) use sip::config as sip_config;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// How it is called on the command line.
    pub name: &'static str,
    /// Longest input in bytes.
    pub max_len: usize,
    /// Takes one input.
    pub run: fn(&[u8]),
}

const fn new(name: &'static str, max_len: usize, run: fn(&[u8])) -> Target {
    Target { name, max_len, run }
}

/// All of them, in the order in which they run. `planted` is the fuzzer's own test.
pub const TARGETS: [Target; 15] = [
    new("planted", 512, planted::run),
    new("frame", 2048, frame::run),
    new("sip", 8192, sip::run),
    new("sdp", 4096, sdp::run),
    new("capture", 16384, capture::run),
    new("pipeline", 32768, pipeline::run),
    new("calls", 1024, calls::run),
    new("recorded", 1024, recorded::run),
    new("media", 2048, media::run),
    new("journal", 16384, journal::run),
    new("spool", 8192, spool::run),
    new("events", 8192, events::run),
    new("snapshot", 8192, snapshot::run),
    new("restart", 1024, restart::run),
    new("config", 4096, config::run),
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
