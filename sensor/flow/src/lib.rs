//! Which stream a packet belongs to, whose call that is, and the figures of each stream
//! (RFC 3550). Sees only bindings: what a dialog is, signalling knows.
//!
//! Pure: time comes in as capture stamps. Every table has a limit and says when it is full.

mod bindings;
mod figures;
mod formats;
mod packed_key;
mod recent_datagrams;
mod stream;
mod streams;
mod table;

pub use bindings::{BindingTable, Resolved};
pub use figures::{Figures, Sequence};
pub use formats::FormatUse;
pub use stream::{Membership, Stream, StreamFacts, StreamKey};
pub use streams::Sought;
pub use table::{FlowTable, Limits, Placement, Rebound, RtcpPlacement};
