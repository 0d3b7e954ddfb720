//! The sensor's program: command line, configuration, replay, live capture, the doctor.

pub mod args;
mod cards;
pub mod config;
pub mod cpu;
pub mod doctor;
mod metrics;
mod privilege;
pub mod profile;
pub mod progress;
pub mod replay;
pub mod run;
pub mod summary;
mod sysfs;
mod workers;
