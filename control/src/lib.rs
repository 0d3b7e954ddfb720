//! The control plane: what sensors deliver is kept, found and played. The binary `nightjar-control` is this library
//! with a command line; tests start it as it is.

mod api;
mod app;
mod audio_files;
pub mod cli;
pub mod config;
mod live;
mod password;
mod peaks;
mod phone;
mod precedence;
pub mod server;
mod stopping;
pub mod store;
mod summary;
mod throttle;
mod token;

pub use api::openapi;
