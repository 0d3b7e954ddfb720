//! Which of two reports about one call stands. The order is total, so that reports may come late, twice and
//! in any order, and the row that remains is always the same.

use nightjar_schema::{EventKind, Timestamp};
use uuid::Uuid;

/// What the sensor reported, by weight: a later stage of a call outweighs an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It was seen for the first time.
    Started,
    /// Something about it changed. Kinds that this version does not know count as this.
    Updated,
    /// It is over; recordings may be pending.
    Ended,
    /// It is over and stored.
    Recorded,
}

impl Stage {
    /// The stage of an event; `None` is a kind that this version does not know.
    pub fn of(kind: Option<EventKind>) -> Stage {
        match kind {
            Some(EventKind::Started) => Stage::Started,
            Some(EventKind::Updated) | None => Stage::Updated,
            Some(EventKind::Ended) => Stage::Ended,
            Some(EventKind::Recorded) => Stage::Recorded,
        }
    }

    /// Its number in the database.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// From its number in the database; what is out of range counts as the nearest.
    pub fn from_number(number: i64) -> Stage {
        match number {
            ..=0 => Stage::Started,
            1 => Stage::Updated,
            2 => Stage::Ended,
            3.. => Stage::Recorded,
        }
    }
}

/// The weight of a report: the greater one stands. Fields are compared in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    /// A final row never gives way to one of a call in progress, whatever their revisions say.
    over: bool,
    /// The row's revision: the highest wins.
    revision: u32,
    /// Among equal revisions, the later stage.
    stage: Stage,
    /// Then the later moment on the capture clock.
    at: Timestamp,
    /// Then the event's id, which decides nothing but makes the order total.
    event: Uuid,
}

impl Precedence {
    /// The weight of an event about a row of this revision.
    pub fn new(revision: u32, stage: Stage, at: Timestamp, event: Uuid) -> Precedence {
        Precedence { over: stage >= Stage::Ended, revision, stage, at, event }
    }

    /// The row's revision.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The stage.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The event.
    pub fn event(&self) -> Uuid {
        self.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(revision: u32, stage: Stage) -> Precedence {
        Precedence::new(revision, stage, Timestamp(0), Uuid::nil())
    }

    #[test]
    fn a_final_row_stays_final() {
        assert!(report(1, Stage::Ended) > report(9, Stage::Updated));
        assert!(report(1, Stage::Recorded) > report(1, Stage::Ended));
        assert!(report(2, Stage::Recorded) > report(1, Stage::Recorded));
        assert!(report(2, Stage::Updated) > report(1, Stage::Updated));
        assert!(report(1, Stage::Updated) > report(1, Stage::Started));
    }

    #[test]
    fn stages_survive_the_database() {
        for stage in [Stage::Started, Stage::Updated, Stage::Ended, Stage::Recorded] {
            assert_eq!(Stage::from_number(stage.number()), stage);
        }
    }
}
