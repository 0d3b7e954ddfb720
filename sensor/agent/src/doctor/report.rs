//! The doctor's report, for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::collector::Collector;
use super::finding::{Finding, Severity};
use super::wording::{Wording, words};

/// What was found, and in how much.
#[derive(Clone, Debug)]
pub struct Report {
    /// Interfaces or files' interfaces.
    sources: Vec<String>,
    /// From the first to the last stamp.
    seconds: f64,
    /// Frames.
    frames: u64,
    /// The gravest first.
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    sources: &'a [String],
    seconds: f64,
    frames: u64,
    healthy: bool,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    severity: Severity,
    #[serde(flatten)]
    evidence: &'a Finding,
    what: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    change: &'static str,
    #[serde(rename = "where", skip_serializing_if = "str::is_empty")]
    place: &'static str,
}

impl Report {
    /// Of findings about what was seen from `sources`.
    pub(super) fn new(seen: &Collector, findings: Vec<Finding>, sources: Vec<String>) -> Report {
        let (seconds, frames) = (seen.stamps.length().as_secs_f64(), seen.frames.total());
        Report { sources, seconds, frames, findings }
    }

    /// The findings, the gravest first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Nothing has to be changed.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() >= Severity::Note)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let (frames, seconds, sources) = (self.frames, self.seconds, self.sources.join(", "));
        let mut text = format!("{frames} frames within {seconds:.1} s from {sources}\n");
        for finding in &self.findings {
            let Wording { what, change, place } = words(finding);
            let label = match finding.severity() {
                Severity::Fault => "FAULT",
                Severity::Warning => "WARNING",
                Severity::Note => "note",
                Severity::Good => "good",
            };
            let _ = writeln!(text, "\n{label:<8} {what}");
            if !change.is_empty() {
                let _ = writeln!(text, "         change: {change}\n         where:  {place}");
            }
        }
        let wrong = self.findings.iter().filter(|finding| finding.severity() < Severity::Note).count();
        let _ = match wrong {
            0 => writeln!(text, "\nNothing has to be changed."),
            1 => writeln!(text, "\n1 thing has to be changed."),
            _ => writeln!(text, "\n{wrong} things have to be changed."),
        };
        text
    }

    /// One JSON object, and a line end.
    pub fn to_json(&self) -> String {
        let finding = |finding| {
            let Wording { what, change, place } = words(finding);
            JsonFinding { severity: finding.severity(), evidence: finding, what, change, place }
        };
        let report = JsonReport {
            sources: &self.sources,
            seconds: self.seconds,
            frames: self.frames,
            healthy: self.is_healthy(),
            findings: self.findings.iter().map(finding).collect(),
        };
        let mut text = serde_json::to_string(&report).unwrap_or_default();
        text.push('\n');
        text
    }
}
