//! `[admission]`: what calls may promise together, and whose go first.

use nightjar_pipeline::AdmissionConfig;

use super::reader::{Faults, Table};

/// Packets a second that no machine bears.
const MOST: u64 = 1_000_000_000;

/// Reads the section; without it only pressure and loss shed.
pub(super) fn read(mut table: Table<'_, '_>, faults: &mut Faults<'_>) -> AdmissionConfig {
    let packets_per_second =
        table.has("packets_per_second").then(|| table.number("packets_per_second", MOST, 1..=MOST, faults));
    let emergency_numbers = match table.has("emergency_numbers") {
        true => table.texts("emergency_numbers", faults),
        false => Vec::new(),
    };
    table.finish(faults);
    AdmissionConfig { packets_per_second, emergency_numbers }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn calls_may_promise_what_is_said_or_anything() {
        let admission = |text: &str| {
            let head = "name = \"s1\"\ndata_dir = \"/tmp/x\"\n[capture]\ninterfaces = [\"eth0\"]\n";
            parse(&format!("{head}{text}")).map(|config| config.admission)
        };
        assert_eq!(admission("").unwrap().packets_per_second, None);
        let both = "[admission]\npackets_per_second = 500000\nemergency_numbers = [\"112\", \"911\"]\n";
        let read = admission(both).unwrap();
        assert_eq!((read.packets_per_second, read.emergency_numbers.len()), (Some(500_000), 2));
        let faults =
            admission("[admission]\npackets_per_second = 0\nemergency_numbers = [112]\n").unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [6, 7], "{faults:?}");
    }
}
