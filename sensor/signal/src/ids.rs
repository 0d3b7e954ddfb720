//! The lasting ids of calls: no two calls that a directory has opened share one.

use std::collections::{BTreeSet, VecDeque};

use nightjar_schema::{CallSeed, call_id};
use uuid::Uuid;

/// Most ids that are remembered; the oldest is forgotten.
const MAX_IDS: usize = 65_536;

/// The ids that were given.
#[derive(Default)]
pub(crate) struct CallIds {
    known: BTreeSet<Uuid>,
    order: VecDeque<Uuid>,
    /// How often a seed had been used before.
    repeated: u64,
}

impl CallIds {
    /// The id of a call that begins with `seed`. Two calls of one name that begin with the same
    /// stamp (a message in mid-dialog and an INVITE, one capture read twice) have the same seed:
    /// the later one's stamp is then moved by some nanoseconds.
    pub(crate) fn give(&mut self, seed: &CallSeed<'_>) -> Uuid {
        let mut id = call_id(seed);
        while self.known.contains(&id) {
            self.repeated += 1;
            let first_packet_nanos = seed.first_packet_nanos.wrapping_add(self.repeated);
            id = call_id(&CallSeed { first_packet_nanos, ..*seed });
        }
        self.add(id);
        id
    }

    /// Remembers a restored call's id.
    pub(crate) fn add(&mut self, id: Uuid) {
        if self.known.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(first_packet_nanos: u64) -> CallSeed<'static> {
        CallSeed { sensor: "s1", realm: 0, source: "mirror", first_dialog: b"a", first_packet_nanos }
    }

    #[test]
    fn a_seed_that_repeats_gives_other_ids() {
        let mut ids = CallIds::default();
        assert_eq!(ids.give(&seed(1_000)), call_id(&seed(1_000)));
        ids.add(call_id(&seed(2_000)));
        let given: BTreeSet<Uuid> = [1_000, 1_000, 1_001, 2_000].map(|at| ids.give(&seed(at))).into();
        assert_eq!(given.len(), 4);
        assert!(!given.contains(&call_id(&seed(1_000))) && !given.contains(&call_id(&seed(2_000))));
    }

    #[test]
    fn the_oldest_id_is_forgotten() {
        let mut ids = CallIds::default();
        for at in 0..=MAX_IDS as u64 {
            ids.give(&seed(at));
        }
        assert_eq!((ids.known.len(), ids.order.len(), ids.repeated), (MAX_IDS, MAX_IDS, 0));
        assert_eq!(ids.give(&seed(0)), call_id(&seed(0)));
    }
}
