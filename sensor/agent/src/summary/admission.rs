//! How many calls were admitted, refused and cut.

use std::collections::BTreeMap;

use nightjar_pipeline::{AdmissionCounts, Spent};
use serde::Serialize;

/// Each call's own row says what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdmissionSummary {
    /// Calls with media that were admitted, those that were cut later among them.
    pub admitted: u64,
    /// Calls that were refused, by what was spent.
    pub refused: BTreeMap<&'static str, u64>,
    /// Calls that were cut, by what was spent.
    pub cut: BTreeMap<&'static str, u64>,
}

impl AdmissionSummary {
    /// From the core's counts.
    pub fn new(counts: &AdmissionCounts) -> AdmissionSummary {
        let named = |by_reason: &[u64]| {
            let calls = |spent: &Spent| (spent.name(), by_reason[*spent as usize]);
            Spent::ALL.iter().map(calls).filter(|(_, calls)| *calls > 0).collect()
        };
        AdmissionSummary {
            admitted: counts.admitted,
            refused: named(&counts.refused),
            cut: named(&counts.cut),
        }
    }

    /// A line for a person; none while every call was admitted.
    pub(super) fn to_line(&self) -> Option<String> {
        let of = |by_reason: &BTreeMap<&str, u64>| {
            let parts: Vec<String> =
                by_reason.iter().map(|(spent, calls)| format!("{spent} {calls}")).collect();
            if parts.is_empty() { "0".to_owned() } else { parts.join(", ") }
        };
        if self.refused.is_empty() && self.cut.is_empty() {
            return None;
        }
        Some(format!(
            "admission {:>22} calls admitted, refused: {}, cut: {}",
            self.admitted,
            of(&self.refused),
            of(&self.cut)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shedding_is_told_with_its_reasons() {
        let mut counts = AdmissionCounts { admitted: 7, ..AdmissionCounts::default() };
        assert_eq!(AdmissionSummary::new(&counts).to_line(), None);
        counts.refused[Spent::Promised as usize] = 2;
        counts.cut[Spent::Ring as usize] = 1;
        let line = AdmissionSummary::new(&counts).to_line().unwrap();
        assert!(line.ends_with("7 calls admitted, refused: packets_per_second 2, cut: ring 1"), "{line}");
    }
}
