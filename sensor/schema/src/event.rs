//! What the sensor tells control while a call lives and when it is final.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Call, Timestamp};

/// What happened to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was seen for the first time.
    Started,
    /// Something about it changed (answered, held, a party joined).
    Updated,
    /// It is over; its recordings may still be pending.
    Ended,
    /// Its row is final, its recordings are stored.
    Recorded,
}

/// One line of the outbox. Delivered at least once, in order per sensor; `id` makes a repeat known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique per event and stable over re-delivery.
    pub id: Uuid,
    /// The capture clock when it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// The call as it is known then.
    pub call: Call,
}
