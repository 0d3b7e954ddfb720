//! The ledger's fifth level: what became of the packets that were recorded.

use std::fmt;

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
