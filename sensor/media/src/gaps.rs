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

    /// The gaps in order of their place. What overlaps an outage is the outage's.
    pub(crate) fn list(&self, outages: &[(u64, u64)]) -> Vec<AudioGap> {
        let mut gaps = self.gaps.clone();
        gaps.sort_unstable();
        let mut list = Vec::with_capacity(gaps.len());
        for gap in gaps {
            for (position, end) in outside(gap.position, gap.position + gap.samples, outages) {
                list.push(AudioGap {
                    stream: Some(gap.stream),
                    leg: gap.leg,
                    at_ms: position / 8,
                    duration_ms: (end - position).div_ceil(8),
                    cause: GapCause::Wire,
                });
            }
        }
        list
    }
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
        log.push(SampleGap { position: 800, samples: 800, stream: 3, leg: Some(1) });
        let list = log.list(&[(1000, 1400)]);
        assert_eq!(
            list.iter().map(|gap| (gap.at_ms, gap.duration_ms)).collect::<Vec<_>>(),
            [(100, 25), (175, 25)]
        );
        assert_eq!(log.list(&[]).len(), 1);
        assert!(log.list(&[(0, 5000)]).is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_says_what_it_left_out() {
        let mut log = GapLog::default();
        for position in 0..5000 {
            log.push(SampleGap { position, samples: 160, stream: 0, leg: None });
        }
        assert_eq!(log.list(&[]).len(), MAX_GAPS);
        assert_eq!(log.unlisted(), (904, 904 * 20));
    }
}
