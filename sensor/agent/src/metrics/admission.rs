//! Calls that were admitted, refused and cut, and what was spent.

use nightjar_pipeline::{AdmissionCounts, Spent};

use super::exposition::{Exposition, Kind};

/// Writes the families. Which calls they were is in calls.jsonl.
pub(super) fn write(text: &mut Exposition, counts: &AdmissionCounts) {
    text.counter(
        "nightjar_calls_admitted_total",
        "Calls with media that were admitted, those that were cut later among them.",
        counts.admitted,
    );
    let meanings: Vec<String> =
        Spent::ALL.iter().map(|spent| format!("{}: {}", spent.name(), spent.help())).collect();
    let meanings = meanings.join("; ");
    let fates = [
        ("nightjar_calls_refused_total", "Calls that were not admitted", &counts.refused),
        ("nightjar_calls_cut_total", "Calls that were given up to shed load", &counts.cut),
    ];
    for (name, what, by_reason) in fates {
        let mut family = text.family(name, Kind::Counter, &format!("{what}, by what was spent. {meanings}."));
        for spent in Spent::ALL {
            family.sample(&[("spent", spent.name())], by_reason[spent as usize]);
        }
    }
    let help = "Packets a second that the admitted calls promise.";
    text.gauge("nightjar_admission_promised_packets_per_second", help, counts.promised);
}
