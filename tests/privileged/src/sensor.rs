//! The sensor as its users run it: a configuration, a data folder, a process.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nightjar_schema::Call;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::moments::wait_until;
use crate::namespace::Namespace;
use crate::process::{Ended, Process};
use crate::program;
use crate::rows::read_rows;

/// A sensor's place: configuration, data folder, logs. Gone when it goes.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    interfaces: Vec<String>,
    settings: String,
    starts: u32,
}

impl Place {
    /// For a sensor on these interfaces.
    ///
    /// # Panics
    /// When there is no temporary folder.
    pub fn new(interfaces: &[&str]) -> Place {
        let folder = tempfile::Builder::new().prefix("nightjar-").tempdir().expect("a temporary folder");
        let interfaces = interfaces.iter().map(|&name| name.to_owned()).collect();
        Place { folder, interfaces, settings: String::new(), starts: 0 }
    }

    /// With more settings, as TOML tables.
    #[must_use]
    pub fn with(mut self, settings: &str) -> Place {
        self.settings.push_str(settings);
        self
    }

    /// Where everything of the test lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the sensor keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Writes the configuration and returns its path.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_config(&self) -> PathBuf {
        let path = self.folder().join("sensor.toml");
        let (data, interfaces) = (self.data(), &self.interfaces);
        let mut text = format!("name = \"privileged\"\ndata_dir = {data:?}\n");
        let _ = write!(text, "\n[capture]\ninterfaces = {interfaces:?}\nring_mib = 16\n{}", self.settings);
        fs::write(&path, text).expect("the configuration can be written");
        path
    }

    /// The command that runs the sensor in a namespace.
    pub fn command(&self, namespace: &Namespace) -> Command {
        let mut command = namespace.command(program::path("nightjar-sensor"));
        command.args(["run", "--config"]).arg(self.write_config());
        command
    }

    /// Starts the sensor, and waits until it captures.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(&mut self, namespace: &Namespace) -> Process {
        let mut process = self.launch(&mut self.command(namespace));
        process.wait_for("capturing from");
        process
    }

    /// Starts a program whose output is kept beside the data.
    pub fn launch(&mut self, command: &mut Command) -> Process {
        self.starts += 1;
        Process::start(command, self.folder.path(), &format!("sensor-{}", self.starts))
    }

    /// The calls that are written down.
    pub fn rows(&self) -> Vec<Call> {
        read_rows(&self.data().join("calls.jsonl"))
    }

    /// The latest row of each call.
    pub fn latest_rows(&self) -> Vec<Call> {
        let mut rows: Vec<Call> = Vec::new();
        for row in self.rows() {
            match rows.iter_mut().find(|known| known.id == row.id) {
                Some(known) => {
                    assert!(row.revision > known.revision, "{row:?} comes twice");
                    *known = row;
                }
                None => rows.push(row),
            }
        }
        rows
    }

    /// Waits until at least so many calls are written down.
    ///
    /// # Panics
    /// When that takes longer than 30 s.
    pub fn wait_for_rows(&self, count: usize) {
        let done = wait_until(Duration::from_secs(30), || self.rows().len() >= count);
        assert!(done, "{} rows instead of {count}", self.rows().len());
    }

    /// The summary of the last run.
    ///
    /// # Panics
    /// When there is none.
    pub fn summary(&self) -> Value {
        let text = fs::read(self.data().join("summary.json")).expect("a sensor that ended has a summary");
        serde_json::from_slice(&text).expect("the summary is JSON")
    }
}

impl Drop for Place {
    /// After a failed test its logs are shown; with `NIGHTJAR_KEEP` set, all of it stays.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for start in 1..=self.starts {
            let path = self.folder().join(format!("sensor-{start}.err"));
            println!("sensor, start {start}:\n{}", fs::read_to_string(path).unwrap_or_default());
        }
        if std::env::var_os("NIGHTJAR_KEEP").is_some() {
            self.folder.disable_cleanup(true);
            println!("kept: {}", self.folder().display());
        }
    }
}

/// Asks a sensor to stop, and waits until it has.
pub fn stop(sensor: Process) -> Ended {
    sensor.signal(Signal::TERM);
    sensor.wait(Duration::from_secs(30))
}
