//! The sensor's program: command line, configuration, replay and live capture.

pub mod args;
pub mod config;
pub mod cpu;
mod metrics;
mod privilege;
pub mod progress;
pub mod replay;
pub mod run;
pub mod summary;
mod workers;
