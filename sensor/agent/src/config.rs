//! The configuration of a live sensor: TOML, parsed once into a checked type. Every fault is
//! reported at once, each with its line.

mod admission;
mod control;
mod networks;
pub(crate) mod reader;
mod realms;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nightjar_capture::AfXdpConfig;

pub use control::Control;
pub use networks::IpNetwork;
use nightjar_pipeline::AdmissionConfig;
use reader::{Faults, Table};
pub use realms::RealmSettings;

use crate::args::{Channels, Format, Sound, Stereo};
use crate::profile::plan::HostPlan;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The sensor's name: part of every call's id, and control knows it by this.
    pub name: String,
    /// Journal, recordings, calls.jsonl and outbox lie below it.
    pub data_dir: PathBuf,
    /// Where packets come from.
    pub input: Input,
    /// How it is captured.
    pub method: Method,
    /// UDP and TCP ports that carry signalling; SIP is found on others too, by its content.
    pub signalling_ports: Vec<u16>,
    /// Where the site's phones, trunks and gateways are; the doctor names those that are elsewhere. Empty:
    /// it is not said.
    pub phones: Vec<IpNetwork>,
    /// Which frames belong to which address space, and where VXLAN is seen through.
    pub realms: RealmSettings,
    /// Ask the interface for all frames, not only its own.
    pub promiscuous: bool,
    /// Size of an interface's kernel ring, MiB.
    pub ring_mib: u64,
    /// What recordings are like.
    pub sound: Sound,
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
    /// Which calls are kept when there is not room for all.
    pub admission: AdmissionConfig,
    /// Where `/metrics` is served; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Whether the system calls of the running sensor are filtered.
    pub seccomp: bool,
    /// The host's profile; none: `/etc/nightjar/host.toml`, if there is one.
    pub host_profile: Option<PathBuf>,
    /// What a run has taken of it; nothing before it was read.
    pub host: HostPlan,
    /// Where finished calls are delivered; none: they stay in the data folder.
    pub control: Option<Control>,
}

/// How interfaces are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// AF_XDP on interfaces that this host does not use itself, where it works; else AF_PACKET.
    Auto,
    /// Past the kernel's stack. What goes to the sensor goes nowhere else.
    AfXdp,
    /// Copies of what the kernel's stack sees.
    AfPacket,
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Live, from these interfaces.
    Interfaces(Vec<String>),
    /// From capture files, at the pace of their stamps: where nothing can be captured.
    Files(Vec<PathBuf>),
}

impl Input {
    /// The interfaces; none of files.
    pub fn interfaces(&self) -> &[String] {
        match self {
            Input::Interfaces(interfaces) => interfaces,
            Input::Files(_) => &[],
        }
    }
}

impl Config {
    /// How AF_XDP captures these interfaces.
    pub fn af_xdp(&self, interfaces: &[String]) -> AfXdpConfig {
        let mut capture = AfXdpConfig::new(interfaces);
        capture.promiscuous = self.promiscuous;
        capture.program.signalling_ports.clone_from(&self.signalling_ports);
        capture.program.realms.clone_from(&self.realms.rules);
        capture.program.settings.vxlan = self.realms.vxlan;
        // Where the card writes into our memory itself, its ring holds that many chunks of it.
        capture.sizes.spare += self.host.receive_ring;
        capture
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
                let count = if faults.len() == 1 { "1 fault" } else { &format!("{} faults", faults.len()) };
                write!(f, "{count} in the configuration:")?;
                for fault in faults {
                    write!(f, "\n  {}:{}: {}", path.display(), fault.line, fault.message)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads and checks a configuration file. Relative paths in it start from its own folder.
///
/// # Errors
/// When it cannot be read, or holds faults: then all of them.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::Unreadable(format!("cannot read the configuration {}: {error}", path.display()))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse_in(&text, folder).map_err(|faults| ConfigError::Faults(path.to_owned(), faults))
}

/// Reads a configuration file's realms and VXLAN's ports, and nothing else of it.
///
/// # Errors
/// As [`load`].
pub fn load_realms(path: &Path) -> Result<RealmSettings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::Unreadable(format!("cannot read the configuration {}: {error}", path.display()))
    })?;
    let (document, mut faults) = Faults::parse(&text);
    let mut root = Table::root(&document);
    let vxlan = realms::read_vxlan_ports(&mut root.optional_table("capture", &mut faults), &mut faults);
    let realms = realms::read_realms(root.tables("realm", &mut faults), None, vxlan, &mut faults);
    faults.into_result(realms).map_err(|faults| ConfigError::Faults(path.to_owned(), faults))
}

/// Checks a configuration's text; relative paths start from the working directory.
///
/// # Errors
/// All faults, in order of their lines.
pub fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    parse_in(text, Path::new(""))
}

/// Checks a configuration's text; relative paths start from `folder`.
fn parse_in(text: &str, folder: &Path) -> Result<Config, Vec<Fault>> {
    let (document, mut found) = Faults::parse(text);
    let faults = &mut found;
    let mut root = Table::root(&document);
    let name = root.text("name", faults).unwrap_or_default();
    if !name.is_empty() && !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        root.fault("name", "may hold letters, digits, '-', '_' and '.' only", faults);
    }
    let data_dir = root.text("data_dir", faults).map(|path| folder.join(path)).unwrap_or_default();
    let mut capture = root.table("capture", faults);
    let input = read_input(&mut capture, folder, faults);
    let methods = [("auto", Method::Auto), ("af_xdp", Method::AfXdp), ("af_packet", Method::AfPacket)];
    let method = capture.choice("method", &methods, faults);
    let signalling_ports = capture.ports("signalling_ports", &[5060, 5061], faults);
    let phones = read_phones(&mut capture, faults);
    let promiscuous = capture.flag("promiscuous", true, faults);
    let ring_mib = capture.number("ring_mib", 64, 1..=4096, faults);
    let vxlan = realms::read_vxlan_ports(&mut capture, faults);
    capture.finish(faults);
    let captured = match &input {
        Input::Interfaces(names) => Some(names.as_slice()),
        Input::Files(_) => None,
    };
    let realms = realms::read_realms(root.tables("realm", faults), captured, vxlan, faults);
    let mut recording = root.optional_table("recording", faults);
    let sound = read_sound(&mut recording, faults);
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
    let admission = admission::read(root.optional_table("admission", faults), faults);
    let metrics = root.has("metrics").then(|| read_metrics(root.table("metrics", faults), faults)).flatten();
    let mut process = root.optional_table("process", faults);
    let seccomp = process.flag("seccomp", true, faults);
    process.finish(faults);
    let mut host = root.optional_table("host", faults);
    let host_profile = host.optional_text("profile", faults).map(|path| folder.join(path));
    host.finish(faults);
    let control = root.has("control").then(|| control::read(root.table("control", faults), folder, faults));
    root.finish(faults);
    found.into_result(Config {
        name,
        data_dir,
        input,
        method,
        signalling_ports,
        phones,
        realms,
        promiscuous,
        ring_mib,
        sound,
        save_every_s,
        workers: workers as u16,
        media_timeout_s,
        max_calls,
        journal_limit_mib,
        admission,
        metrics,
        seccomp,
        host_profile,
        host: HostPlan::default(),
        control,
    })
}

fn read_sound(table: &mut Table<'_, '_>, faults: &mut Faults<'_>) -> Sound {
    let format = table.choice("format", &[("opus", Format::Opus), ("wav", Format::Wav)], faults);
    let channels =
        table.choice("channels", &[("stereo", Channels::Stereo), ("mono", Channels::Mono)], faults);
    let stereo = [("parties", Stereo::Parties), ("coupled", Stereo::Coupled)];
    let stereo = table.has("stereo").then(|| table.choice("stereo", &stereo, faults));
    Sound::new(format, channels, stereo).unwrap_or_else(|refused| {
        table.fault("stereo", &refused.to_string(), faults);
        Sound { format, channels, stereo: Stereo::default() }
    })
}

fn read_input(capture: &mut Table<'_, '_>, folder: &Path, faults: &mut Faults<'_>) -> Input {
    let (from_files, live) = (capture.has("files"), capture.has("interfaces"));
    if from_files && live {
        capture.fault("files", "and capture.interfaces exclude each other: remove one of them", faults);
    }
    if from_files && !live {
        return Input::Files(capture.texts("files", faults).iter().map(|path| folder.join(path)).collect());
    }
    let interfaces = capture.texts("interfaces", faults);
    let twice = |(at, name): (usize, &String)| interfaces[..at].contains(name).then(|| name.clone());
    if let Some(name) = interfaces.iter().enumerate().find_map(twice) {
        capture.fault(
            "interfaces",
            &format!("names {name} twice: each of its frames would count twice"),
            faults,
        );
    }
    Input::Interfaces(interfaces)
}

/// `phones = ["10.1.0.0/16", "192.0.2.7"]`.
fn read_phones(capture: &mut Table<'_, '_>, faults: &mut Faults<'_>) -> Vec<IpNetwork> {
    let texts = if capture.has("phones") { capture.texts("phones", faults) } else { Vec::new() };
    let (phones, wrong): (Vec<_>, Vec<_>) =
        texts.iter().map(|text| IpNetwork::parse(text).ok_or(text)).partition(Result::is_ok);
    for text in wrong.into_iter().filter_map(Result::err) {
        let message = format!("holds {text:?}, which is no address and no network like 10.1.0.0/16");
        capture.fault("phones", &message, faults);
    }
    phones.into_iter().flatten().collect()
}

/// Where metrics are served: to everybody only when that is asked for by name.
fn read_metrics(mut table: Table<'_, '_>, faults: &mut Faults<'_>) -> Option<SocketAddr> {
    let listen = table.text("listen", faults);
    let beyond_loopback = table.flag("beyond_loopback", false, faults);
    let address = listen.as_ref().and_then(|text| text.parse::<SocketAddr>().ok());
    match address {
        None if listen.is_some() => {
            table.fault("listen", "must be an IP address and a port, like \"127.0.0.1:9464\"", faults);
        }
        Some(address) if !address.ip().is_loopback() && !beyond_loopback => {
            let message = "is not on this host's loopback: whoever reaches it reads the sensor's figures; \
                           set metrics.beyond_loopback = true if that is wanted";
            table.fault("listen", message, faults);
        }
        _ => {}
    }
    table.finish(faults);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "name = \"s1\"\ndata_dir = \"/tmp/x\"\n[capture]\ninterfaces = [\"eth0\"]\n";

    #[test]
    fn the_smallest_configuration_has_sensible_defaults() {
        let config = parse(SMALLEST).unwrap();
        assert_eq!(config.input, Input::Interfaces(vec!["eth0".into()]));
        let sound = Sound { format: Format::Opus, channels: Channels::Stereo, stereo: Stereo::Parties };
        assert_eq!(config.sound, sound);
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
    fn how_stereo_is_coded_can_be_chosen_where_there_is_stereo_opus() {
        let stereo = |recording: &str| {
            parse(&format!("{SMALLEST}[recording]\n{recording}")).map(|config| config.sound.stereo)
        };
        assert_eq!(stereo("stereo = \"coupled\"\n"), Ok(Stereo::Coupled));
        assert_eq!(stereo("stereo = \"parties\"\nchannels = \"stereo\"\n"), Ok(Stereo::Parties));
        for other in ["channels = \"mono\"\n", "format = \"wav\"\n"] {
            assert!(stereo(other).is_ok());
            let faults = stereo(&format!("{other}stereo = \"coupled\"\n")).unwrap_err();
            assert_eq!((faults.len(), faults[0].line), (1, 7), "{faults:?}");
            assert!(faults[0].message.starts_with("recording.stereo is for stereo Opus alone"), "{faults:?}");
        }
        let faults = stereo("stereo = \"joint\"\n").unwrap_err();
        assert!(faults[0].message.contains("\"parties\" or \"coupled\""), "{faults:?}");
    }

    #[test]
    fn phones_are_networks_and_each_fault_names_its_text() {
        let phones = |list: &str| parse(&format!("{SMALLEST}phones = {list}\n"));
        let config = phones("[\"10.1.0.0/16\", \"2001:db8::7\"]").unwrap();
        assert!(config.phones[0].contains("10.1.9.9".parse().unwrap()) && config.phones.len() == 2);
        assert!(parse(SMALLEST).unwrap().phones.is_empty());
        let faults = phones("[\"10.1.0.0/16\", \"10.2\", \"::/200\"]").unwrap_err();
        assert!(faults.iter().all(|fault| fault.line == 5) && faults.len() == 2, "{faults:?}");
        assert!(faults[0].message.contains("\"10.2\""), "{faults:?}");
    }

    #[test]
    fn metrics_are_served_beyond_loopback_only_when_that_is_said() {
        let metrics =
            |text: &str| parse(&format!("{SMALLEST}[metrics]\n{text}")).map(|config| config.metrics);
        assert_eq!(parse(SMALLEST).unwrap().metrics, None);
        let address = |text: &str| Ok(Some(text.parse().unwrap()));
        assert_eq!(metrics("listen = \"127.0.0.1:9464\"\n"), address("127.0.0.1:9464"));
        assert_eq!(metrics("listen = \"[::1]:9464\"\n"), address("[::1]:9464"));
        let open = "listen = \"0.0.0.0:9464\"\n";
        assert_eq!(metrics(&format!("{open}beyond_loopback = true\n")), address("0.0.0.0:9464"));
        for (text, part) in
            [(open, "beyond_loopback = true"), ("listen = \"9464\"\n", "a port"), ("", "missing")]
        {
            let faults = metrics(text).unwrap_err();
            assert!(faults.len() == 1 && faults[0].message.contains(part), "{faults:?}");
        }
    }

    #[test]
    fn the_filter_of_system_calls_can_be_turned_off() {
        assert!(parse(SMALLEST).unwrap().seccomp);
        assert!(!parse(&format!("{SMALLEST}[process]\nseccomp = false\n")).unwrap().seccomp);
    }

    #[test]
    fn what_is_set_reaches_af_xdp() {
        let text = format!("{SMALLEST}promiscuous = false\nsignalling_ports = [5070]\n");
        let mut config = parse(&text).unwrap();
        let usual = AfXdpConfig::new(&["eth0"]);
        config.host.receive_ring = 4_096;
        let capture = config.af_xdp(&["eth0".into()]);
        assert!(usual.promiscuous && !capture.promiscuous);
        assert_eq!(capture.program.signalling_ports, [5070]);
        assert_eq!(capture.sizes.spare, usual.sizes.spare + 4_096);
    }

    #[test]
    fn the_hosts_profile_may_be_named() {
        assert_eq!(parse(SMALLEST).unwrap().host_profile, None);
        let text = format!("{SMALLEST}[host]\nprofile = \"mine.toml\"\n");
        let named = parse_in(&text, Path::new("/etc/x")).unwrap().host_profile;
        assert_eq!(named, Some(PathBuf::from("/etc/x/mine.toml")));
    }

    #[test]
    fn syntax_faults_have_lines_too() {
        let faults = parse("name = \"s1\"\ndata_dir = \n[capture\n").unwrap_err();
        assert!(faults.iter().any(|fault| fault.line == 2), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.line == 3), "{faults:?}");
    }

    #[test]
    fn what_is_captured_is_named_once() {
        let one = |capture: &str| {
            let text = format!("name = \"s1\"\ndata_dir = \"/tmp/x\"\n[capture]\n{capture}");
            let faults = parse(&text).unwrap_err();
            assert_eq!(faults.len(), 1, "{faults:#?}");
            let error = ConfigError::Faults(PathBuf::from("s.toml"), faults.clone());
            assert!(error.to_string().starts_with("1 fault in"), "{error}");
            (faults[0].line, faults[0].message.clone())
        };
        let (line, message) = one("interfaces = [\"eth0\"]\nfiles = [\"a.pcap\"]\n");
        assert!(line == 5 && message.contains("exclude each other"), "{line} {message}");
        let (line, message) = one("interfaces = [\"eth0\", \"eth1\", \"eth0\"]\n");
        assert!(line == 4 && message.contains("eth0 twice"), "{line} {message}");
        let (line, message) = one("interfaces = [\"\"]\n");
        assert!(line == 4 && message.contains("one or more texts"), "{line} {message}");
    }
}
