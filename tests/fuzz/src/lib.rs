//! What is fuzzed: a target per parser, each with what must hold whatever the bytes are. A target that finds a
//! broken promise panics, which the fuzzer takes for a crash.

mod generated;
mod image;
mod recorder;
mod script;
mod targets;
mod watch;
mod world;

pub use generated::write_seeds;
pub use targets::{TARGETS, Target, target};

use targets::sip_config;
