//! The sensor's program: command line, configuration, replay and live capture.

pub mod args;
pub mod config;
pub mod cpu;
pub mod profile;
pub mod progress;
pub mod replay;
pub mod run;
pub mod summary;
mod workers;
