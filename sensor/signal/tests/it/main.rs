//! Scenarios of signalling, each written as the messages that a sensor would see.

mod scene;

mod captures;
mod copies;
mod endings;
mod forks;
mod hold;
mod limits;
mod media;
mod midway;
mod parties;
mod rfc_flows;
mod setup;
mod snapshots;
mod torture;
mod unsignalled;
