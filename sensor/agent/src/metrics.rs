//! `/metrics`: what the sensor has counted, for Prometheus, on an address of the configuration.
//!
//! The capture core hands a snapshot over at most every 250 ms and waits for nobody; everything else
//! is read from counters that exist anyway, when somebody asks.

mod admission;
mod exposition;
mod families;
mod handover;
mod levels;
mod measured;
mod server;

pub(crate) use families::Sources;
pub(crate) use handover::{Publisher, handover};
pub(crate) use measured::Measured;
pub(crate) use server::{bind, serve};
