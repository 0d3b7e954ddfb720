//! The ledger's fifth level: what became of the packets that were recorded.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Recorded = encoded + duplicate + late + Σ discarded + lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AudioLedger {
    /// Used: speech in a recording, telephone events, comfort noise.
    pub encoded: u64,
    /// RTP duplicates.
    pub duplicate: u64,
    /// Came after their place in the recording was closed.
    pub late: u64,
    /// Not for a recording, by reason.
    pub discarded: Discarded,
    /// Lost between journal and recording.
    pub lost: u64,
}

/// Why a recorded packet was not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Discarded {
    /// RTCP: kept for its figures.
    pub rtcp: u64,
    /// No decoder for the format.
    pub undecodable: u64,
    /// Not a well-formed RTP packet.
    pub malformed: u64,
    /// It repeats another stream: a relay's other side.
    pub copy: u64,
    /// A fork that was not answered, or media outside the call's time.
    pub not_wanted: u64,
}

impl AudioLedger {
    /// The sum of all counts: `recorded`, when nothing is in flight.
    pub fn total(&self) -> u64 {
        let d = &self.discarded;
        let discarded = d.rtcp + d.undecodable + d.malformed + d.copy + d.not_wanted;
        self.encoded + self.duplicate + self.late + self.lost + discarded
    }

    /// Adds another worker's counts.
    pub fn add(&mut self, other: &AudioLedger) {
        self.encoded += other.encoded;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.lost += other.lost;
        let (d, o) = (&mut self.discarded, &other.discarded);
        d.rtcp += o.rtcp;
        d.undecodable += o.undecodable;
        d.malformed += o.malformed;
        d.copy += o.copy;
        d.not_wanted += o.not_wanted;
    }
}

/// A worker's ledger as other threads see it: as it was at the last commit.
#[derive(Debug, Default)]
pub struct SharedAudioLedger {
    words: [AtomicU64; 9],
}

impl SharedAudioLedger {
    /// Lets the others see it.
    pub(crate) fn publish(&self, ledger: &AudioLedger) {
        let AudioLedger { encoded, duplicate, late, lost, discarded } = ledger;
        let Discarded { rtcp, undecodable, malformed, copy, not_wanted } = discarded;
        let counts = [encoded, duplicate, late, lost, rtcp, undecodable, malformed, copy, not_wanted];
        for (word, count) in self.words.iter().zip(counts) {
            word.store(*count, Ordering::Relaxed);
        }
    }

    /// The counts; each is exact, but they need not be of one moment.
    pub fn ledger(&self) -> AudioLedger {
        let [encoded, duplicate, late, lost, rtcp, undecodable, malformed, copy, not_wanted] =
            self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let discarded = Discarded { rtcp, undecodable, malformed, copy, not_wanted };
        AudioLedger { encoded, duplicate, late, lost, discarded }
    }
}

impl fmt::Display for AudioLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.discarded;
        write!(
            f,
            "encoded {}, duplicate {}, late {}, lost {}, rtcp {}, undecodable {}, malformed {}, copies {}, \
             not wanted {}",
            self.encoded,
            self.duplicate,
            self.late,
            self.lost,
            d.rtcp,
            d.undecodable,
            d.malformed,
            d.copy,
            d.not_wanted
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_the_worker_has() {
        let discarded = Discarded { rtcp: 5, undecodable: 6, malformed: 7, copy: 8, not_wanted: 9 };
        let ledger = AudioLedger { encoded: 1, duplicate: 2, late: 3, lost: 4, discarded };
        let shared = SharedAudioLedger::default();
        shared.publish(&ledger);
        assert_eq!((shared.ledger(), shared.ledger().total()), (ledger, 45));
    }
}
