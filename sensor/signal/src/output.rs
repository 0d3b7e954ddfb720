//! What the directory has to say, in order.

use nightjar_schema::{Call, EndCause};
use nightjar_wire::{Binding, CallKey, Endpoint, FlowKey, Nanos};
use uuid::Uuid;

/// One thing that the directory has found out. Take them with
/// [`Directory::poll_output`](crate::Directory::poll_output) after each call of a `handle_*`.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A call is there. Comes before everything else about it.
    Opened {
        /// The call.
        call: CallKey,
        /// Its lasting name.
        id: Uuid,
        /// Its first packet.
        at: Nanos,
    },
    /// Media to this endpoint is the call's. A later one for the same endpoint, call and dialog
    /// replaces it; `from` then stays as it was.
    Bind(Binding),
    /// The endpoint is no longer the dialog's. Streams that were bound through it stay.
    Unbind {
        /// The call.
        call: CallKey,
        /// Index into its dialogs.
        dialog: u16,
        /// The endpoint.
        endpoint: Endpoint,
        /// The binding is valid before this moment.
        until: Nanos,
    },
    /// A call without signalling got its signalling: the same call, the same id. Its legs are
    /// numbered anew, and only these flows' senders may change their leg.
    Adopted {
        /// The call.
        call: CallKey,
        /// When.
        at: Nanos,
        /// The dialog that explains it.
        dialog: u16,
        /// Its flows so far.
        flows: Vec<AdoptedFlow>,
    },
    /// The call was answered by this dialog: other forks' media is left out from now on. Comes
    /// again when the answered dialog ends and another one goes on.
    Answered {
        /// The call.
        call: CallKey,
        /// Index into its dialogs.
        dialog: u16,
        /// The first 2xx.
        at: Nanos,
    },
    /// A call that was first seen in mid-dialog, and had no media so far, is the signalling of another
    /// one: it was none of its own. Its bindings are taken back before, and `Adopted` follows.
    Merged {
        /// What was taken for a call.
        call: CallKey,
        /// The call that goes on.
        into: CallKey,
        /// When.
        at: Nanos,
    },
    /// A hold is over: what its parties numbered meanwhile is not lost.
    Resumed {
        /// The call.
        call: CallKey,
        /// When.
        at: Nanos,
    },
    /// Something that a reader of the call's row wants to know (ringing, answer, hold, parties).
    Changed {
        /// The call.
        call: CallKey,
        /// When.
        at: Nanos,
    },
    /// The call is over, its late packets are still awaited.
    Ended {
        /// The call.
        call: CallKey,
        /// The moment of the end: the BYE, the final answer; for a time-out, when it fell due.
        /// A BYE waits up to two seconds for its answer (it may be challenged), so this may lie
        /// that far back.
        at: Nanos,
        /// What ended it.
        cause: EndCause,
        /// The last media or signalling known; what the row's `ended_at` says after a time-out.
        last_sign: Nanos,
    },
    /// The call is gone from the directory; this is its row, without streams, recordings, gaps.
    Closed {
        /// The call.
        call: CallKey,
        /// The final row.
        row: Box<Call>,
    },
}

/// A flow of an adopted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdoptedFlow {
    /// The flow.
    pub flow: FlowKey,
    /// Its first SSRC.
    pub ssrc: u32,
    /// The leg that sends it, as the legs are numbered now; `None` when signalling does not tell.
    pub speaker: Option<u16>,
}
