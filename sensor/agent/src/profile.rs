//! `nightjar-sensor profile`: what the machine and its network cards are, and what they are set to.

mod apply;
mod compare;
pub mod cores;
pub mod cpu;
mod detect;
pub mod host;
pub mod library;
pub mod machine;
pub mod nic;
pub mod plan;
pub mod port;
mod saved;
mod setting;

use std::path::Path;

use crate::args::{Check, Profile};
use library::Library;
use machine::{Machine, pci_device};
use port::Port;

/// Does what was asked.
///
/// # Errors
/// What cannot be used or differs, in words.
pub fn run(args: &Profile) -> Result<(), String> {
    match args {
        Profile::Detect(args) => detect::run(args),
        Profile::Check(args) => check(args),
        Profile::Apply(args) => apply::run(args),
        Profile::Restore(args) => apply::run_restore(args),
    }
}

/// Says what differs. That something differs is the error, so that the program's exit code says it.
fn check(args: &Check) -> Result<(), String> {
    let profile = host::load(&args.file).map_err(|error| error.to_string())?;
    let library = Library::load(args.profiles.as_deref()).map_err(|error| error.to_string())?;
    let root = Path::new("/");
    let mut lines = Vec::new();
    let mut nodes = Vec::new();
    for wanted in &profile.interfaces {
        let port = match Port::read(&wanted.name) {
            Ok(port) => port,
            Err(error) => {
                lines.push(detect::cannot_ask(&wanted.name, &error));
                continue;
            }
        };
        nodes.push((wanted.name.clone(), pci_device(root, &port.driver.bus).node));
        let nic = wanted.nic.as_deref().and_then(|name| library.nic(name));
        if let Some(counters) = nic.and_then(|nic| nic.counters.as_ref()) {
            for (counter, count) in counters.figure.lost(&port.statistics) {
                println!(
                    "note: {}: its card has lost packets since it was started: {counter} {count}",
                    wanted.name
                );
            }
        }
        let found = compare::interface(wanted, nic, &port);
        lines.extend(found.unmendable);
        lines.extend(found.steps.iter().map(|step| {
            format!(
                "{}: has {}, the profile says {} ({})",
                step.interface,
                step.from,
                step.to,
                step.command()
            )
        }));
    }
    lines.extend(compare::machine(&profile, &Machine::read(root), &nodes));
    if lines.is_empty() {
        println!("{}: the machine is as the profile says", args.file.display());
        return Ok(());
    }
    lines.iter().for_each(|line| println!("{line}"));
    let count = lines.len();
    Err(format!("{count} difference{} from {}", if count == 1 { "" } else { "s" }, args.file.display()))
}
