//! What the capture core tells a media worker about a call, in order with the call's packets.

use nightjar_schema::Call;
use nightjar_wire::{CallKey, FlowKey, Format, MediaKind, Nanos};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::admission::Shed;
use crate::saved::Checkpoint;

/// One event record of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CoreEvent {
    /// A call was seen for the first time.
    Opened {
        /// The call.
        call: CallKey,
        /// Its lasting id.
        id: Uuid,
        /// Its first packet.
        at: Nanos,
        /// Media runs without signalling, so no answer is to be waited for.
        answered: bool,
    },
    /// A stream joined a call, or what is known of it changed.
    Stream(StreamTold),
    /// The call was answered in a dialog; other early dialogs lost.
    Answered {
        /// The call.
        call: CallKey,
        /// Index of the dialog.
        dialog: u16,
        /// When.
        at: Nanos,
    },
    /// The call is over: its recording ends here.
    Ended {
        /// The call.
        call: CallKey,
        /// When.
        at: Nanos,
    },
    /// All that signalling knows of the call, for a sensor that starts after a crash.
    Snapshot {
        /// The call.
        call: CallKey,
        /// `signal::Directory`'s own form.
        state: Vec<u8>,
    },
    /// Nothing more comes; the row lacks only what the worker knows.
    Closed {
        /// The call.
        call: CallKey,
        /// Number of the row in order of closing.
        order: u64,
        /// The row.
        row: Box<Call>,
        /// The ids of the row's streams, in their order.
        streams: Vec<u32>,
    },
    /// No sensor ran for a while, and the call goes on.
    Outage {
        /// The call.
        call: CallKey,
        /// The last moment that the journal knows.
        from: Nanos,
        /// When capturing began again.
        to: Nanos,
    },
    /// What an earlier run left of the call is too little to go on with it; or it turned out to be the
    /// signalling of another one.
    Abandoned {
        /// The call.
        call: CallKey,
    },
    /// A stream that was away is back with its next packet: most of the numbers missing before that went
    /// elsewhere.
    Returned {
        /// The call.
        call: CallKey,
        /// The stream.
        stream: u32,
        /// The packet's stamp.
        at: Nanos,
        /// How many are lost, right behind the last packet.
        lost: u16,
    },
    /// The call is not kept, or from now on not any more.
    Shed {
        /// The call.
        call: CallKey,
        /// When.
        at: Nanos,
        /// What happened to it.
        shed: Shed,
    },
    /// All that the capture core knows of the call: of nobody but the media worker it needs
    /// anything that was written before.
    Checkpoint {
        /// The call.
        call: CallKey,
        /// What it knows.
        checkpoint: Checkpoint,
    },
}

impl CoreEvent {
    /// The call that it concerns.
    pub fn call(&self) -> CallKey {
        match self {
            CoreEvent::Opened { call, .. }
            | CoreEvent::Stream(StreamTold { call, .. })
            | CoreEvent::Answered { call, .. }
            | CoreEvent::Ended { call, .. }
            | CoreEvent::Snapshot { call, .. }
            | CoreEvent::Closed { call, .. }
            | CoreEvent::Outage { call, .. }
            | CoreEvent::Abandoned { call }
            | CoreEvent::Returned { call, .. }
            | CoreEvent::Shed { call, .. }
            | CoreEvent::Checkpoint { call, .. } => *call,
        }
    }
}

/// What is known of a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StreamTold {
    /// The call.
    pub call: CallKey,
    /// The stream's id, as its records carry it.
    pub stream: u32,
    /// Where it was seen.
    pub flow: FlowKey,
    /// Index of the dialog that explains it.
    pub dialog: Option<u16>,
    /// Index of the leg that speaks.
    pub speaker: Option<u16>,
    /// Index of the leg that listens.
    pub receiver: Option<u16>,
    /// RTP's synchronisation source.
    pub ssrc: u32,
    /// What it carries.
    pub kind: MediaKind,
    /// What its payload types stand for.
    pub formats: Vec<Format>,
    /// The stream that it repeats.
    pub copy_of: Option<u32>,
    /// The stream that it continues after an SSRC change.
    pub continues: Option<u32>,
}
