//! What is known about a call: the rows of `calls.jsonl` (schema 1), the events that the sensor's
//! outbox sends to control, and the identity of a call. Shared by sensor and control.

mod call;
mod event;
mod identity;
mod names;
mod timestamp;

pub use call::{
    Call, CallEvent, Correlation, Decision, Dialled, Dialog, Diversion, End, Gap, Leg, Link, Party,
    Recording, SCHEMA, Source, Speaker, Stream, StreamFormat,
};
pub use event::{Event, EventKind};
pub use identity::{CallSeed, call_id, recording_id};
pub use names::{
    CallEventKind, CallState, DecisionAction, Direction, EndCause, GapCause, LegRole, Protocol,
    RecordingKind, RecordingState, SourceKind, StreamUse,
};
pub use timestamp::Timestamp;
