//! The configuration of a live sensor: TOML, parsed once into a checked type. Every fault is
//! reported at once, each with its line.

mod reader;

use std::fmt;
use std::path::{Path, PathBuf};

use reader::{Faults, Table};

use crate::args::{Channels, Format};

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The sensor's name: part of every call's id, and control knows it by this.
    pub name: String,
    /// Journal, recordings, calls.jsonl and outbox lie below it.
    pub data_dir: PathBuf,
    /// Where packets come from.
    pub input: Input,
    /// Ask the interface for all frames, not only its own.
    pub promiscuous: bool,
    /// Size of an interface's kernel ring, MiB.
    pub ring_mib: u64,
    /// The recordings' format.
    pub format: Format,
    /// The recordings' channels.
    pub channels: Channels,
    /// Audio time after which a call in progress is saved, seconds: what is older of it needs no
    /// journal.
    pub save_every_s: u64,
    /// Media workers; 0: one per core.
    pub workers: u16,
    /// A call without media for so long has ended, seconds.
    pub media_timeout_s: u64,
    /// Most calls at a time.
    pub max_calls: u64,
    /// The journal's share of the disk, MiB.
    pub journal_limit_mib: u64,
    /// Where finished calls are delivered; none: they stay in the data folder.
    pub control: Option<Control>,
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Live, from these interfaces.
    Interfaces(Vec<String>),
    /// From capture files, at the pace of their stamps: where nothing can be captured.
    Files(Vec<PathBuf>),
}

/// How control is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Control {
    /// Its base address.
    pub url: String,
    /// The sensor's token.
    pub token: String,
    /// A certificate authority beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Control {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("url", &self.url)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// One fault: where it is and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// A configuration that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable(String),
    /// Everything that is wrong in it.
    Faults(PathBuf, Vec<Fault>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable(message) => f.write_str(message),
            ConfigError::Faults(path, faults) => {
                write!(f, "{} faults in the configuration:", faults.len())?;
                for fault in faults {
                    write!(f, "\n  {}:{}: {}", path.display(), fault.line, fault.message)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads and checks a configuration file.
///
/// # Errors
/// When it cannot be read, or holds faults: then all of them.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::Unreadable(format!("cannot read the configuration {}: {error}", path.display()))
    })?;
    parse(&text).map_err(|faults| ConfigError::Faults(path.to_owned(), faults))
}

/// Checks a configuration's text.
///
/// # Errors
/// All faults, in order of their lines.
pub fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    let (document, mut found) = Faults::parse(text);
    let faults = &mut found;
    let mut root = Table::root(&document);
    let name = root.text("name", faults).unwrap_or_default();
    if !name.is_empty() && !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        root.fault("name", "may hold letters, digits, '-', '_' and '.' only", faults);
    }
    let data_dir = root.text("data_dir", faults).map(PathBuf::from).unwrap_or_default();
    let mut capture = root.table("capture", faults);
    let input = if capture.has("files") && !capture.has("interfaces") {
        Input::Files(capture.texts("files", faults).into_iter().map(PathBuf::from).collect())
    } else {
        Input::Interfaces(capture.texts("interfaces", faults))
    };
    let promiscuous = capture.flag("promiscuous", true, faults);
    let ring_mib = capture.number("ring_mib", 64, 1..=4096, faults);
    capture.finish(faults);
    let mut recording = root.optional_table("recording", faults);
    let format = recording.choice("format", &[("opus", Format::Opus), ("wav", Format::Wav)], faults);
    let channels =
        recording.choice("channels", &[("stereo", Channels::Stereo), ("mono", Channels::Mono)], faults);
    let save_every_s = recording.number("save_every_s", 60, 1..=600, faults);
    let workers = recording.number("workers", 0, 0..=256, faults);
    recording.finish(faults);
    let mut calls = root.optional_table("calls", faults);
    let media_timeout_s = calls.number("media_timeout_s", 60, 1..=86_400, faults);
    let max_calls = calls.number("max_calls", 100_000, 1..=1_000_000, faults);
    calls.finish(faults);
    let mut journal = root.optional_table("journal", faults);
    let journal_limit_mib = journal.number("limit_mib", 16_384, 256..=1 << 30, faults);
    journal.finish(faults);
    let control = root.has("control").then(|| read_control(root.table("control", faults), faults));
    root.finish(faults);
    found.into_result(Config {
        name,
        data_dir,
        input,
        promiscuous,
        ring_mib,
        format,
        channels,
        save_every_s,
        workers: workers as u16,
        media_timeout_s,
        max_calls,
        journal_limit_mib,
        control,
    })
}

fn read_control(mut table: Table<'_, '_>, faults: &mut Faults<'_>) -> Control {
    let url = table.text("url", faults).unwrap_or_default();
    if !(url.is_empty() || url.starts_with("http://") || url.starts_with("https://")) {
        table.fault("url", "must begin with http:// or https://", faults);
    }
    let token = match table.text("token_file", faults) {
        None => String::new(),
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(token) if !token.trim().is_empty() => token.trim().to_owned(),
            Ok(_) => {
                table.fault(
                    "token_file",
                    &format!("{path} is empty; it must hold the sensor's token"),
                    faults,
                );
                String::new()
            }
            Err(error) => {
                table.fault("token_file", &format!("cannot read {path}: {error}"), faults);
                String::new()
            }
        },
    };
    let ca_file = table.optional_text("ca_file", faults).map(PathBuf::from);
    table.finish(faults);
    Control { url: url.trim_end_matches('/').to_owned(), token, ca_file }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "name = \"s1\"\ndata_dir = \"/tmp/x\"\n[capture]\ninterfaces = [\"eth0\"]\n";

    #[test]
    fn the_smallest_configuration_has_sensible_defaults() {
        let config = parse(SMALLEST).unwrap();
        assert_eq!(config.input, Input::Interfaces(vec!["eth0".into()]));
        assert_eq!((config.format, config.channels), (Format::Opus, Channels::Stereo));
        assert_eq!(config.media_timeout_s, 60);
        assert_eq!(config.control, None);
    }

    #[test]
    fn every_fault_is_reported_with_its_line() {
        let text = "nmae = \"s1\"\ndata_dir = 5\n[capture]\ninterfaces = []\nring_mib = 0\n\
                    [recording]\nformat = \"mp3\"\n[contrl]\nurl = \"x\"\n";
        let faults = parse(text).unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 1, 2, 4, 5, 7, 8], "{faults:#?}");
        assert!(faults[5].message.contains("\"opus\" or \"wav\""), "{faults:#?}");
    }

    #[test]
    fn syntax_faults_have_lines_too() {
        let faults = parse("name = \"s1\"\ndata_dir = \n[capture\n").unwrap_err();
        assert!(faults.iter().any(|fault| fault.line == 2), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.line == 3), "{faults:?}");
    }

    #[test]
    fn a_token_that_cannot_be_read_names_its_file() {
        let text = format!("{SMALLEST}[control]\nurl = \"ftp://x\"\ntoken_file = \"/nonexistent/token\"\n");
        let faults = parse(&text).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].message.contains("/nonexistent/token"));
    }
}
