//! A host profile is applied to an interface and set back, however the process ends; the `ethtool` program
//! says what the kernel has.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nightjar_privileged::namespace::{Namespace, run};
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::process::Process;
use nightjar_privileged::program;
use nightjar_privileged::scrape::{SETTINGS, Scrape};
use nightjar_privileged::sensor::{Place, stop};
use rustix::process::Signal;

const PROFILE: &str = "name = \"test\"\nbasis = \"measured\"\nsource = \"this test\"\n\
    [cpu]\nmodel = \"any\"\ncores = 1\n\
    [[interface]]\nname = \"near\"\ndriver = \"veth\"\nnic = \"veth\"\nqueues = 2\n\
    offloads_off = [\"rx-gro\", \"rx-vlan-hw-parse\"]\n";

/// As the interface is made, and as the profile has it: receive queues, GRO, VLAN offload.
const AS_MADE: (&str, &str, &str) = ("4", "on", "on");
const AS_WANTED: (&str, &str, &str) = ("2", "off", "off");

/// A namespace with a veth pair of four queues, and a profile for it.
struct Bench {
    namespace: Namespace,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { namespace: Namespace::new(), folder: tempfile::tempdir().unwrap() };
        let queues = ["numrxqueues", "4", "numtxqueues", "4"];
        let pair = [&["link", "add", "near"], &queues[..], &["type", "veth", "peer", "name", "far"], &queues];
        bench.namespace.ip(&pair.concat());
        bench.namespace.ip(&["link", "set", "near", "up"]);
        bench.ethtool(&["-K", "near", "gro", "on"]);
        std::fs::write(bench.profile(), PROFILE).unwrap();
        assert_eq!(bench.settings(), words(AS_MADE));
        bench
    }

    fn profile(&self) -> PathBuf {
        self.folder.path().join("host.toml")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    fn ethtool(&self, arguments: &[&str]) -> String {
        run(self.namespace.command("ethtool").args(arguments))
    }

    /// Receive queues, GRO and VLAN offload, as `ethtool` prints them.
    fn settings(&self) -> (String, String, String) {
        let channels = self.ethtool(&["-l", "near"]);
        let now = channels.split("Current hardware settings:").nth(1).expect("ethtool -l prints them");
        let features = self.ethtool(&["-k", "near"]);
        (
            value(now, "RX:"),
            value(&features, "generic-receive-offload:"),
            value(&features, "rx-vlan-offload:"),
        )
    }

    /// `nightjar-sensor profile`, in the namespace.
    fn profile_command(&self, arguments: &[&Path]) -> Command {
        let mut command = self.namespace.command(program::path("nightjar-sensor"));
        command.arg("profile").args(arguments);
        command
    }

    fn apply(&self, name: &str) -> Process {
        let (profile, state) = (self.profile(), self.state());
        let mut command =
            self.profile_command(&["apply".as_ref(), &profile, "--state".as_ref(), state.as_ref()]);
        let mut process = Process::start(&mut command, self.folder.path(), name);
        process.wait_for("applied:");
        assert_eq!(self.settings(), words(AS_WANTED));
        process
    }

    /// What `profile check` says of the interface.
    fn differences(&self) -> Vec<String> {
        let output = self.profile_command(&["check".as_ref(), &self.profile()]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        // The machine itself is not the one of the profile, so something always differs.
        assert_eq!(output.status.code(), Some(1), "{said}");
        said.lines().filter(|line| line.starts_with("near:")).map(str::to_owned).collect()
    }
}

fn words((queues, gro, vlan): (&str, &str, &str)) -> (String, String, String) {
    (queues.to_owned(), gro.to_owned(), vlan.to_owned())
}

/// What stands behind a label.
fn value(text: &str, label: &str) -> String {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
    let first = line.unwrap_or_else(|| panic!("no {label} in {text}")).split_whitespace().next();
    first.unwrap_or_default().to_owned()
}

#[test]
fn an_applied_profile_is_set_back_at_the_end() {
    if !is_root("an_applied_profile_is_set_back_at_the_end") {
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let bench = Bench::new();
        assert_eq!(bench.differences().len(), 3, "{:?}", bench.differences());
        let process = bench.apply("apply");
        assert_eq!(bench.differences(), Vec::<String>::new());
        process.signal(signal);
        let ended = process.wait(Duration::from_secs(20));
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(bench.settings(), words(AS_MADE));
        assert!(!bench.state().exists());
    }
}

#[test]
fn what_a_killed_process_has_left_is_set_back() {
    if !is_root("what_a_killed_process_has_left_is_set_back") {
        return;
    }
    let bench = Bench::new();
    let state = bench.state();
    for name in ["first", "second"] {
        // The second finds what the first has left, and must not take it for how the interface was made.
        let process = bench.apply(name);
        process.signal(Signal::KILL);
        process.wait(Duration::from_secs(20));
        assert_eq!(bench.settings(), words(AS_WANTED));
    }
    run(&mut bench.profile_command(&["restore".as_ref(), "--state".as_ref(), &state]));
    assert_eq!(bench.settings(), words(AS_MADE));
    assert!(!state.exists());
}

#[test]
fn a_dry_run_changes_nothing_and_prints_commands_that_do_the_same() {
    if !is_root("a_dry_run_changes_nothing_and_prints_commands_that_do_the_same") {
        return;
    }
    let bench = Bench::new();
    let commands =
        run(&mut bench.profile_command(&["apply".as_ref(), "--dry-run".as_ref(), &bench.profile()]));
    assert_eq!(bench.settings(), words(AS_MADE));
    run(bench.namespace.command("sh").args(["-ec", &commands]));
    assert_eq!(bench.settings(), words(AS_WANTED), "{commands}");
    assert_eq!(bench.differences(), Vec::<String>::new());
}

#[test]
fn what_is_detected_can_be_applied_and_then_nothing_differs() {
    if !is_root("what_is_detected_can_be_applied_and_then_nothing_differs") {
        return;
    }
    let bench = Bench::new();
    let out = bench.profile();
    let interface: [&Path; 2] = ["--interface".as_ref(), "near".as_ref()];
    run(&mut bench
        .profile_command(&[&["detect".as_ref()], &interface[..], &["--out".as_ref(), &out]].concat()));
    let commands = run(&mut bench.profile_command(&["apply".as_ref(), "--dry-run".as_ref(), &out]));
    run(bench.namespace.command("sh").args(["-ec", &commands]));
    run(&mut bench.profile_command(&["check".as_ref(), &out]));
    let settings = bench.settings();
    assert_eq!(settings.2, "off", "{settings:?}: a recorder wants the tags");
}

#[test]
fn a_refused_setting_names_the_capability_and_leaves_nothing_behind() {
    if !is_root("a_refused_setting_names_the_capability_and_leaves_nothing_behind") {
        return;
    }
    let bench = Bench::new();
    let mut command = bench.namespace.command("setpriv");
    command.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]);
    command.arg(program::path("nightjar-sensor")).args(["profile", "apply"]);
    let output = command.arg(bench.profile()).arg("--state").arg(bench.state()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("CAP_NET_ADMIN") && said.contains("`ethtool -L near rx 2 tx 4`"), "{said}");
    assert_eq!(bench.settings(), words(AS_MADE));
    assert!(!bench.state().exists());
}

#[test]
fn a_run_takes_its_workers_from_the_hosts_profile_and_refuses_another_machines() {
    if !is_root("a_run_takes_its_workers_from_the_hosts_profile_and_refuses_another_machines") {
        return;
    }
    let bench = Bench::new();
    bench.namespace.ip(&["link", "set", "far", "up"]);
    let out = bench.profile();
    let interface: [&Path; 2] = ["--interface".as_ref(), "near".as_ref()];
    run(&mut bench
        .profile_command(&[&["detect".as_ref()], &interface[..], &["--out".as_ref(), &out]].concat()));
    // One worker more than there are CPUs for media, so that it shows whose word counts.
    let text = std::fs::read_to_string(&out).unwrap();
    let workers = text.matches("does = \"worker\"").count() + 1;
    std::fs::write(&out, format!("{text}\n[[core]]\ncpu = 0\ndoes = \"worker\"\n")).unwrap();

    let settings = format!("{SETTINGS}[host]\nprofile = {out:?}\n");
    let mut place = Place::new(&["near"]).by("af_xdp").with(&settings);
    let sensor = place.start(&bench.namespace);
    assert_eq!(Scrape::of(&bench.namespace).value("nightjar_media_workers{}"), workers as f64);
    assert!(stop(sensor).status.success());
    let log = place.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("host.toml")).collect();
    assert!(said[0].contains("for media, a worker each: 0"), "{log}");
    assert!(said[1].contains("near: ") && said[1].contains("profile check") && said.len() == 2, "{log}");

    std::fs::write(&out, text.replace("driver = \"veth\"", "driver = \"ixgbe\"")).unwrap();
    let ended = place.launch(&mut place.command(&bench.namespace)).wait(Duration::from_secs(20));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the profile of another machine"), "{ended:?}");
    assert!(ended.stderr.contains("the driver of near is veth, the profile says ixgbe"), "{ended:?}");
}
