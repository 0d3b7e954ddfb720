//! Writes Prometheus' text format, version 0.0.4: a family's help and type, then its samples.

use std::fmt::{Display, Write};

/// What a family's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Grows from the start of the process on; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A histogram's figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets {
    /// Upper bounds with the number of values up to each, those of the bounds before it included.
    pub(super) upto: Vec<(f64, u64)>,
    /// All values.
    pub(super) count: u64,
    /// Their sum.
    pub(super) sum: f64,
}

/// Labels of a sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

/// A family whose samples are being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family. `help` is one line.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.begin(name, kind, help)
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, Kind::Counter, help).sample(&[], value);
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help).sample(&[], value);
    }

    /// Counters without labels: name, help and value of each.
    pub(super) fn counters(&mut self, counters: &[(&'static str, &str, u64)]) {
        counters.iter().for_each(|(name, help, value)| self.counter(name, help, value));
    }

    /// Gauges without labels, likewise.
    pub(super) fn gauges(&mut self, gauges: &[(&'static str, &str, u64)]) {
        gauges.iter().for_each(|(name, help, value)| self.gauge(name, help, value));
    }

    /// A histogram.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str, labels: Labels<'_>, values: &Buckets) {
        let family = self.begin(name, "histogram", help);
        for (bound, count) in &values.upto {
            family.text.push_str(name);
            family.text.push_str("_bucket");
            let bound = bound.to_string();
            write_labels(family.text, &[labels, &[("le", bound.as_str())]].concat());
            let _ = writeln!(family.text, " {count}");
        }
        let (count, sum) = (values.count, values.sum);
        family.text.push_str(name);
        family.text.push_str("_bucket");
        write_labels(family.text, &[labels, &[("le", "+Inf")]].concat());
        let _ = writeln!(family.text, " {count}");
        for (part, value) in [("_sum", sum), ("_count", count as f64)] {
            family.text.push_str(name);
            family.text.push_str(part);
            write_labels(family.text, labels);
            let _ = writeln!(family.text, " {value}");
        }
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn begin(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.text, name }
    }
}

impl Family<'_> {
    /// Writes a sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.text.push_str(self.name);
        write_labels(self.text, labels);
        let _ = writeln!(self.text, " {value}");
    }
}

fn write_labels(text: &mut String, labels: Labels<'_>) {
    if labels.is_empty() {
        return;
    }
    let one = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    let labels: Vec<String> = labels.iter().map(one).collect();
    let _ = write!(text, "{{{}}}", labels.join(","));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_says_what_it_is_before_its_samples() {
        let mut text = Exposition::default();
        let mut family = text.family("a_total", Kind::Counter, "one\ntwo");
        family.sample(&[("interface", "e\"th\\0")], 3);
        text.gauge("b", "b's help", 1.5);
        assert_eq!(
            text.into_text(),
            "# HELP a_total one\\ntwo\n# TYPE a_total counter\na_total{interface=\"e\\\"th\\\\0\"} 3\n\
             # HELP b b's help\n# TYPE b gauge\nb 1.5\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_everything() {
        let mut text = Exposition::default();
        let values = Buckets { upto: vec![(0.001, 2), (1.0, 3)], count: 4, sum: 7.5 };
        text.histogram("h", "h's help", &[("core", "0")], &values);
        assert_eq!(
            text.into_text(),
            "# HELP h h's help\n# TYPE h histogram\nh_bucket{core=\"0\",le=\"0.001\"} 2\n\
             h_bucket{core=\"0\",le=\"1\"} 3\nh_bucket{core=\"0\",le=\"+Inf\"} 4\nh_sum{core=\"0\"} 7.5\n\
             h_count{core=\"0\"} 4\n"
        );
    }
}
