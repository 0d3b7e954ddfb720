//! What the privileged tests stand on: network namespaces, the sensor as a process, traffic with a
//! known truth, and a reading of what the sensor has left behind.
//!
//! Everything that a test makes (namespaces, processes, folders) is gone when it ends, also when it
//! fails. The programs are those of the same build: `cargo build --workspace` comes first.

pub mod control;
pub mod crash;
pub mod moments;
pub mod namespace;
pub mod privilege;
pub mod process;
pub mod program;
pub mod recordings;
pub mod rows;
pub mod scrape;
pub mod segments;
pub mod sensor;
pub mod sipp;
pub mod stalls;
pub mod traffic;
