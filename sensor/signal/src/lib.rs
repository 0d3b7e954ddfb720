//! SIP and SDP to dialogs, dialogs to calls, calls to bindings.
//!
//! Pure: no clock, no thread, no file, no socket. Datagrams go in with the stamp of their capture,
//! what they mean comes out in order, the same at every speed. Nothing from the wire panics, and
//! every table has a limit.

mod arrival;
mod behind_nat;
mod body;
mod call;
mod config;
mod dialog;
mod directory;
mod formats;
mod header;
mod hold;
mod ids;
mod invite;
mod media_only;
mod message;
mod names;
mod output;
mod parties;
mod requests;
mod responses;
mod row;
mod scanner;
mod sdp;
mod sessions;
mod snapshot;
mod statistics;
mod text;
mod timers;
mod uri;

pub use config::SignalConfig;
pub use directory::Directory;
pub use message::{MAX_MESSAGE, Message, SipError};
pub use output::{AdoptedFlow, Output};
pub use sdp::{MAX_FORMATS, MAX_MEDIA_LINES, MediaDirection, MediaLine, RtcpPlace, SessionDescription};
pub use snapshot::RestoreError;
pub use statistics::{Malformed, Requests, Statistics};
