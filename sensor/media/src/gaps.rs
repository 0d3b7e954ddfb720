//! Which samples are missing, and who lost them.

use nightjar_schema::GapCause;
use serde::{Deserialize, Serialize};

/// Most gaps that are listed one by one; later ones lengthen the count beside the list.
const MAX_GAPS: usize = 4096;

/// Silence that stands where audio was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioGap {
    /// The stream; `None` when all of them are concerned.
    pub stream: Option<u32>,
    /// Who would have been heard.
    pub leg: Option<u16>,
    /// From the start of the recording, ms.
    pub at_ms: u64,
    /// How long, ms; rounded up.
    pub duration_ms: u64,
    /// Who lost it.
    pub cause: GapCause,
}

/// A gap in samples from the start of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SampleGap {
    pub(crate) position: u64,
    pub(crate) samples: u64,
    pub(crate) stream: u32,
    pub(crate) leg: Option<u16>,
    /// Packets that were lost in it.
    pub(crate) packets: u32,
}

/// Places of a recording at which something was lost for another cause than the wire, in order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Explained<'a> {
    /// No sensor ran; these do not overlap.
    pub(crate) outages: &'a [(u64, u64)],
    /// A ring was full.
    pub(crate) ring_losses: &'a [(u64, u64)],
}

/// The gaps of a call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GapLog {
    gaps: Vec<SampleGap>,
    /// Gaps that found no room, and their samples.
    unlisted: u64,
    unlisted_samples: u64,
}

impl GapLog {
    pub(crate) fn push(&mut self, gap: SampleGap) {
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push(gap);
        } else {
            self.unlisted += 1;
            self.unlisted_samples += gap.samples;
        }
    }

    /// Gaps beyond the list's limit, and their length in ms.
    pub(crate) fn unlisted(&self) -> (u64, u64) {
        (self.unlisted, self.unlisted_samples / 8)
    }

    /// The gaps in order of their place. What overlaps an outage is the outage's; what was lost while a ring
    /// was full is the ring's, and anything else the wire's.
    pub(crate) fn list(&self, explained: Explained<'_>) -> Vec<AudioGap> {
        let mut gaps = self.gaps.clone();
        gaps.sort_unstable();
        let mut list = Vec::with_capacity(gaps.len());
        for gap in gaps {
            for (position, end) in outside(gap.position, gap.position + gap.samples, explained.outages) {
                let in_ring = overlaps(position, end, explained.ring_losses);
                list.push(AudioGap {
                    stream: Some(gap.stream),
                    leg: gap.leg,
                    at_ms: position / 8,
                    duration_ms: (end - position).div_ceil(8),
                    cause: if in_ring { GapCause::Ring } else { GapCause::Wire },
                });
            }
        }
        list
    }

    /// Packets of a stream that were lost while a ring was full.
    pub(crate) fn lost_in_ring(&self, stream: u32, explained: Explained<'_>) -> u64 {
        let is_ring = |gap: &&SampleGap| {
            let (from, to) = (gap.position, gap.position + gap.samples);
            gap.stream == stream
                && overlaps(from, to, explained.ring_losses)
                && !overlaps(from, to, explained.outages)
        };
        self.gaps.iter().filter(is_ring).map(|gap| u64::from(gap.packets)).sum()
    }
}

fn overlaps(from: u64, to: u64, places: &[(u64, u64)]) -> bool {
    places.iter().any(|&(start, end)| from < end && start < to)
}

/// The parts of `from..to` that lie in none of `holes` (sorted, apart).
fn outside(mut from: u64, to: u64, holes: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut parts = Vec::new();
    for &(start, end) in holes {
        if start > from && from < to {
            parts.push((from, start.min(to)));
        }
        from = from.max(end);
    }
    if from < to {
        parts.push((from, to));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_takes_its_part_of_a_gap() {
        let mut log = GapLog::default();
        log.push(SampleGap { position: 800, samples: 800, stream: 3, leg: Some(1), packets: 5 });
        let outages = |outages| Explained { outages, ring_losses: &[] };
        let list = log.list(outages(&[(1000, 1400)]));
        assert_eq!(
            list.iter().map(|gap| (gap.at_ms, gap.duration_ms)).collect::<Vec<_>>(),
            [(100, 25), (175, 25)]
        );
        assert_eq!(log.list(outages(&[])).len(), 1);
        assert!(log.list(outages(&[(0, 5000)])).is_empty());
    }

    #[test]
    fn what_was_lost_while_a_ring_was_full_is_the_rings_and_counted() {
        let mut log = GapLog::default();
        for (position, stream) in [(800, 3), (1600, 3), (2400, 3), (1600, 4)] {
            log.push(SampleGap { position, samples: 320, stream, leg: None, packets: 2 });
        }
        let explained = Explained { outages: &[(2400, 2720)], ring_losses: &[(1900, 3000)] };
        let causes: Vec<_> = log.list(explained).iter().map(|gap| (gap.at_ms, gap.cause)).collect();
        assert_eq!(causes, [(100, GapCause::Wire), (200, GapCause::Ring), (200, GapCause::Ring)]);
        assert_eq!((log.lost_in_ring(3, explained), log.lost_in_ring(4, explained)), (2, 2));
        assert_eq!(log.lost_in_ring(3, Explained::default()), 0);
    }

    #[test]
    fn the_list_is_bounded_and_says_what_it_left_out() {
        let mut log = GapLog::default();
        for position in 0..5000 {
            log.push(SampleGap { position, samples: 160, stream: 0, leg: None, packets: 1 });
        }
        assert_eq!(log.list(Explained::default()).len(), MAX_GAPS);
        assert_eq!(log.unlisted(), (904, 904 * 20));
    }
}
