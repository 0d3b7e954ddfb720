//! Network namespaces with random names, in which nobody speaks but the test.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::moments::any_number;

/// A namespace; it and its interfaces go when it goes.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// An empty one, without the kernel's own IPv6 traffic.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn new() -> Namespace {
        let namespace = Namespace { name: format!("nightjar-{:016x}", any_number()) };
        run(Command::new("ip").args(["netns", "add", &namespace.name]));
        for scope in ["all", "default"] {
            let off = format!("net.ipv6.conf.{scope}.disable_ipv6=1");
            run(namespace.command("sysctl").args(["-qw", &off]));
        }
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// A namespace with a veth pair, `near` and `far`, both up: what leaves by one is seen by the
    /// other.
    pub fn with_veth() -> Namespace {
        let namespace = Namespace::new();
        namespace.ip(&["link", "add", "near", "type", "veth", "peer", "name", "far"]);
        namespace.ip(&["link", "set", "near", "up"]);
        namespace.ip(&["link", "set", "far", "up"]);
        namespace
    }

    /// Runs `ip` in it.
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn ip(&self, arguments: &[&str]) {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments));
    }

    /// A link to another namespace: `here` in this one, `there` in the other, with an address there.
    pub fn link_to(&self, here: &str, other: &Namespace, there: &str, address: &str) {
        let peer = ["peer", "name", there, "netns", &other.name];
        self.ip(&[&["link", "add", here, "type", "veth"], &peer[..]].concat());
        other.ip(&["address", "add", address, "dev", there]);
        self.ip(&["link", "set", here, "up"]);
        other.ip(&["link", "set", there, "up"]);
    }

    /// A program that will run in it, under its own process id.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Moves this thread, and no other, into it.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn enter(&self) {
        let path = format!("/run/netns/{}", self.name);
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap_or_else(|error| panic!("entering {path}: {error}"));
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Runs a command to its end and returns what it printed.
///
/// # Panics
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {error}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
