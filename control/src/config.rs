//! The configuration: one TOML file, parsed once into a checked type. Every fault is reported at once, with its line.

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use toml::de::DeTable;

use crate::server::tls::{self, TlsError};
use crate::token::TokenHash;
pub use tree::Fault;
use tree::{Placed, Section, Tree};

/// What control runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the database, the recordings and the peaks lie.
    pub data_dir: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// Certificate and key, ready to serve with; `None` is plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// The sensors that may deliver.
    pub sensors: Vec<Sensor>,
    /// Bounds.
    pub limits: Limits,
}

/// A sensor that may deliver, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// The name that its calls carry in `source.sensor`.
    pub name: String,
    /// SHA-256 of its token.
    pub token: TokenHash,
}

/// Bounds on what others may ask of control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest recording, bytes.
    pub recording_bytes: u64,
    /// Largest batch of events, bytes.
    pub events_bytes: u64,
    /// Connections open at once.
    pub connections: u64,
    /// Attempts to sign in per minute and client address; a user name is allowed three times as many.
    pub sign_ins_per_minute: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            recording_bytes: 2 << 30,
            events_bytes: 16 << 20,
            connections: 1_024,
            sign_ins_per_minute: 10,
        }
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, in the order of lines; never empty.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.faults.len() {
            1 => "1 fault".to_owned(),
            n => format!("{n} faults"),
        };
        write!(f, "{}: {count} in the configuration", self.path.display())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks a file. Relative paths in it start from the file's own folder.
    ///
    /// # Errors
    ///
    /// All of its faults, certificate and token files included.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let failed = |faults| ConfigError { path: path.to_owned(), faults };
        let text = std::fs::read_to_string(path)
            .map_err(|error| failed(vec![Fault { line: 0, message: format!("cannot be read: {error}") }]))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Config::parse(&text, &folder).map_err(failed)
    }

    /// Checks a file's text; relative paths start from `folder`.
    ///
    /// # Errors
    ///
    /// All of its faults.
    pub fn parse(text: &str, folder: &Path) -> Result<Config, Vec<Fault>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut tree = Tree::new(text);
        tree.syntax(&errors);
        let mut top = tree.top(&table);
        let mut check = Check { tree, folder };
        let config = check.whole(&mut top);
        check.tree.done(&top);
        match (config, check.tree.into_faults()) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(faults),
        }
    }
}

/// The walk over one file.
struct Check<'a> {
    tree: Tree<'a>,
    folder: &'a Path,
}

impl<'a> Check<'a> {
    /// The configuration, as far as it can be made out; faults are in the tree.
    fn whole(&mut self, top: &mut Section<'a>) -> Option<Config> {
        let listen = self.listen(top);
        let data_dir =
            self.tree.required(top, "data_dir", "name the folder that holds database and recordings");
        let data_dir = data_dir.map(|found| self.folder.join(found.value));
        let allow_plaintext = self.tree.flag(top, "allow_plaintext").is_some_and(|found| found.value);
        let wants_tls = top.has("tls");
        let tls = self.tree.section(top, "tls").and_then(|section| self.tls(section));
        if let Some(listen) = &listen
            && !(listen.value.ip().is_loopback() || wants_tls || allow_plaintext)
        {
            self.tree.fault(
                listen.line,
                format!(
                    "`listen` = {} can be reached from other machines, and there is no TLS: give [tls] with \
                     `certificate` and `key`, or listen on 127.0.0.1, or set `allow_plaintext = true` if a proxy \
                     in front encrypts",
                    listen.value
                ),
            );
        }
        let database = self.database(top);
        let sensors = self.sensors(top);
        let limits = self.limits(top);
        let data_dir = data_dir?;
        let database = database.unwrap_or_else(|| data_dir.join("nightjar.sqlite"));
        Some(Config { listen: listen?.value, data_dir, database, tls, sensors, limits })
    }

    fn listen(&mut self, top: &mut Section<'a>) -> Option<Placed<SocketAddr>> {
        let default = Placed { value: "127.0.0.1:8080".to_owned(), line: 0 };
        let Placed { value, line } = self.tree.text(top, "listen").unwrap_or(default);
        match value.parse() {
            Ok(value) => Some(Placed { value, line }),
            Err(_) => {
                let form = "an IP address and a port, like \"127.0.0.1:8080\" or \"[::1]:8080\"";
                self.tree.fault(line, format!("`listen` must be {form}, not \"{value}\""));
                None
            }
        }
    }

    fn tls(&mut self, mut section: Section<'a>) -> Option<Arc<ServerConfig>> {
        let certificate = self.tree.required(&mut section, "certificate", "name a PEM file");
        let key = self.tree.required(&mut section, "key", "name a PEM file");
        self.tree.done(&section);
        let (certificate, key) = (certificate?, key?);
        let faults = match tls::load(&self.folder.join(&certificate.value), &self.folder.join(&key.value)) {
            Ok(config) => return Some(config),
            Err(faults) => faults,
        };
        for fault in faults {
            match fault {
                TlsError::Certificate(message) => {
                    self.tree.fault(certificate.line, format!("`tls.certificate`: {message}"));
                }
                TlsError::Key(message) => self.tree.fault(key.line, format!("`tls.key`: {message}")),
            }
        }
        None
    }

    fn database(&mut self, top: &mut Section<'a>) -> Option<PathBuf> {
        let mut section = self.tree.section(top, "database")?;
        let url = self.tree.text(&mut section, "url");
        self.tree.done(&section);
        let url = url?;
        match url.value.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() && !path.contains('?') => {
                Some(self.folder.join(path.strip_prefix("//").unwrap_or(path)))
            }
            _ => {
                self.tree.fault(
                    url.line,
                    "`database.url` must be \"sqlite:PATH\"; leave it out for a file in `data_dir` (PostgreSQL is \
                     not supported yet)",
                );
                None
            }
        }
    }

    fn sensors(&mut self, top: &mut Section<'a>) -> Vec<Sensor> {
        let mut names = BTreeSet::new();
        let mut tokens = BTreeMap::new();
        let mut found = Vec::new();
        for section in self.tree.sections(top, "sensors") {
            let line = section.line;
            let Some(sensor) = self.sensor(section) else { continue };
            if !names.insert(sensor.name.clone()) {
                self.tree.fault(line, format!("`sensors.name` = \"{}\" is there twice", sensor.name));
            }
            if let Some(other) = tokens.insert(sensor.token, sensor.name.clone()) {
                let message =
                    format!("sensors \"{other}\" and \"{}\" share one token: give each its own", sensor.name);
                self.tree.fault(line, message);
            }
            found.push(sensor);
        }
        found
    }

    fn sensor(&mut self, mut section: Section<'a>) -> Option<Sensor> {
        let what = "it is the name in the sensor's own configuration";
        let name = self.tree.required(&mut section, "name", what);
        if section.has("token_file") == section.has("token_sha256") {
            let message = "a sensor needs either `token_file` or `token_sha256`: `nightjar-control token --sensor \
                           NAME` makes one";
            self.tree.fault(section.line, message);
        }
        let file = self.tree.text(&mut section, "token_file");
        let hash = self.tree.text(&mut section, "token_sha256");
        self.tree.done(&section);
        let token = match (file, hash) {
            (Some(file), None) => self.token_file(&file),
            (None, Some(hash)) => {
                let parsed = TokenHash::from_hex(&hash.value);
                if parsed.is_none() {
                    let message = "`sensors.token_sha256` must be 64 hexadecimal digits, as `nightjar-control token` prints";
                    self.tree.fault(hash.line, message);
                }
                parsed
            }
            _ => None,
        };
        Some(Sensor { name: name?.value, token: token? })
    }

    fn token_file(&mut self, file: &Placed<String>) -> Option<TokenHash> {
        let path = self.folder.join(&file.value);
        let message = match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().contains(char::is_whitespace) => {
                "must hold the token alone, which is the first line that `nightjar-control token` prints"
                    .to_owned()
            }
            Ok(text) if text.trim().len() >= 32 => return Some(TokenHash::of(text.trim())),
            Ok(_) => "holds no token of 32 characters or more".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        self.tree.fault(file.line, format!("`sensors.token_file` {} {message}", path.display()));
        None
    }

    fn limits(&mut self, top: &mut Section<'a>) -> Limits {
        let default = Limits::default();
        let Some(mut section) = self.tree.section(top, "limits") else { return default };
        let mut number = |key, range, default| self.tree.number(&mut section, key, range, default);
        let limits = Limits {
            recording_bytes: number("recording_bytes", 1_024..=1 << 40, default.recording_bytes),
            events_bytes: number("events_bytes", 1_024..=1 << 30, default.events_bytes),
            connections: number("connections", 1..=65_536, default.connections),
            sign_ins_per_minute: number("sign_ins_per_minute", 1..=10_000, default.sign_ins_per_minute),
        };
        self.tree.done(&section);
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = Config::parse(text, Path::new("/nowhere")).expect_err("must be refused");
        faults.iter().map(ToString::to_string).collect()
    }

    /// These faults are found, and no others.
    fn assert_faults(text: &str, starts: &[&str]) {
        let found = faults(text);
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (fault, start) in found.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault} does not start with {start}");
        }
    }

    #[test]
    fn the_least_file_is_enough_and_paths_start_from_its_folder() {
        let config = Config::parse("data_dir = \"data\"", Path::new("/etc/nightjar")).unwrap();
        assert_eq!(config.data_dir, Path::new("/etc/nightjar/data"));
        assert_eq!(config.database, Path::new("/etc/nightjar/data/nightjar.sqlite"));
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.limits, Limits::default());
        assert!(config.tls.is_none() && config.sensors.is_empty());
    }

    #[test]
    fn the_example_is_valid_and_says_the_defaults() {
        let text = include_str!("../control.example.toml");
        let config = Config::parse(text, Path::new("/")).expect("it is what the documentation shows");
        assert_eq!(config.limits, Limits::default());
        assert_eq!((config.sensors.len(), config.sensors[0].name.as_str()), (1, "site-1"));
        // What is commented out is valid as well, but for the files that it names.
        let all =
            text.replace("# [", "[").replace("# certificate", "certificate").replace("# key =", "key =");
        let faults =
            Config::parse(&all.replace("# url", "url"), Path::new("/")).expect_err("no such certificate");
        assert!(faults.iter().all(|fault| fault.message.contains("cannot be read")), "{faults:#?}");
    }

    #[test]
    fn every_fault_is_named_at_once_with_its_line() {
        let text = "listen = \"localhost\"\n\
                    allow_plaintext = \"yes\"\n\
                    colour = 1\n\
                    [tls]\n\
                    certificate = \"no.pem\"\n\
                    [limits]\n\
                    connections = 0\n\
                    bananas = 2\n\
                    [[sensors]]\n\
                    token_sha256 = \"12\"\n\
                    [[sensors]]\n\
                    name = \"s\"\n";
        let starts = [
            "`data_dir` is missing",
            "line 1: `listen` must be an IP address",
            "line 2: `allow_plaintext` must be true or false, not string",
            "line 3: `colour` is not a known key",
            "line 4: `tls.key` is missing",
            "line 7: `limits.connections` must be from 1 to 65536",
            "line 8: `limits.bananas` is not a known key",
            "line 9: `sensors.name` is missing",
            "line 10: `sensors.token_sha256` must be 64",
            "line 11: a sensor needs either",
        ];
        assert_faults(text, &starts);
    }

    #[test]
    fn what_is_there_with_a_wrong_type_is_not_called_missing_too() {
        let text = "data_dir = 1\n\
                    [tls]\n\
                    certificate = \"\"\n\
                    key = true\n\
                    [[sensors]]\n\
                    name = 2\n\
                    token_sha256 = 3\n\
                    [[sensors]]\n\
                    name = \"s\"\n\
                    token_file = 4\n\
                    token_sha256 = 5\n";
        let starts = [
            "line 1: `data_dir` must be a string",
            "line 3: `tls.certificate` must not be empty",
            "line 4: `tls.key` must be a string",
            "line 6: `sensors.name` must be a string",
            "line 7: `sensors.token_sha256` must be a string",
            "line 8: a sensor needs either",
            "line 10: `sensors.token_file` must be a string",
            "line 11: `sensors.token_sha256` must be a string",
        ];
        assert_faults(text, &starts);
    }

    #[test]
    fn syntax_faults_do_not_hide_the_others() {
        let found = faults("listen = \ncolour = 1\ndata_dir = \"d\"\n");
        assert!(found.iter().any(|fault| fault.starts_with("line 1: ")), "{found:#?}");
        assert!(found.iter().any(|fault| fault.starts_with("line 2: `colour`")), "{found:#?}");
    }

    #[test]
    fn beyond_loopback_needs_tls_or_leave() {
        let open = "listen = \"0.0.0.0:80\"\ndata_dir = \"d\"\n";
        assert!(faults(open)[0].contains("allow_plaintext = true"));
        let wrong = format!("tls = true\n{open}");
        assert_faults(&wrong, &["line 1: `tls` must be a section"]);
        let allowed = format!("allow_plaintext = true\n{open}");
        assert!(Config::parse(&allowed, Path::new("/")).is_ok());
        for loopback in ["127.0.0.9:1", "[::1]:1"] {
            assert!(
                Config::parse(&format!("listen = \"{loopback}\"\ndata_dir = \"d\""), Path::new("/")).is_ok()
            );
        }
    }

    #[test]
    fn two_sensors_may_share_neither_name_nor_token() {
        let hash = TokenHash::of("t").to_hex();
        let one = format!("[[sensors]]\nname = \"a\"\ntoken_sha256 = \"{hash}\"\n");
        let found = faults(&format!("data_dir = \"d\"\n{one}{one}"));
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found.iter().all(|fault| fault.starts_with("line 5: ")), "{found:#?}");
    }
}
