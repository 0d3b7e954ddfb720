//! `profile apply` and `profile restore`: makes a profile's settings, holds them until it is told to stop, and
//! sets back what they were.

use std::io::{self, ErrorKind, Read as _};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::compare::{self, Differences};
use super::detect::cannot_ask;
use super::host::{self, HostProfile};
use super::library::Library;
use super::port::Port;
use super::saved::Saved;
use super::setting::{Step, in_order};
use crate::args::{Apply, Restore};

/// What the kernel answers when an interface is gone (`ENODEV`).
const NO_SUCH_DEVICE: i32 = 19;

/// Applies a profile until SIGTERM or SIGINT, or prints the commands.
///
/// # Errors
/// What cannot be used, set or set back, in words.
pub fn run(args: &Apply) -> Result<(), String> {
    let profile = host::load(&args.file).map_err(|error| error.to_string())?;
    let library = Library::load(args.profiles.as_deref()).map_err(|error| error.to_string())?;
    if args.dry_run {
        let found = differences(&profile, &library)?;
        found.unmendable.iter().for_each(|what| println!("# {what}"));
        found.steps.iter().for_each(|step| println!("{}", step.command()));
        return Ok(());
    }
    // From here on a signal waits until everything is set, and then ends it.
    let stopped = stop_signals()?;
    let mut saved = Saved::open(&args.state)?;
    if !saved.steps().is_empty() {
        eprintln!("setting back what an earlier `profile apply` has left");
        restore(&mut saved)?;
    }
    let found = differences(&profile, &library)?;
    found.unmendable.iter().for_each(|what| eprintln!("warning: {what}"));
    if let Err(error) = make(&found.steps, &mut saved) {
        let left = restore(&mut saved).err().unwrap_or_else(|| "what was set before is set back".to_owned());
        return Err(format!("{error}; {left}"));
    }
    eprintln!("applied: {} settings; SIGTERM or SIGINT sets them back", found.steps.len());
    wait(stopped)?;
    restore(&mut saved)?;
    eprintln!("set back");
    Ok(())
}

/// Sets back what a killed `apply` has left.
///
/// # Errors
/// What cannot be set back, in words.
pub fn run_restore(args: &Restore) -> Result<(), String> {
    let mut saved = Saved::open(&args.state)?;
    if saved.steps().is_empty() {
        eprintln!("nothing to set back");
        return Ok(());
    }
    restore(&mut saved)?;
    eprintln!("set back");
    Ok(())
}

/// What differs, of all interfaces.
fn differences(profile: &HostProfile, library: &Library) -> Result<Differences, String> {
    let mut all = Differences::default();
    for wanted in &profile.interfaces {
        let port = Port::read(&wanted.name).map_err(|error| cannot_ask(&wanted.name, &error))?;
        let nic = wanted.nic.as_deref().and_then(|name| library.nic(name));
        let found = compare::interface(wanted, nic, &port);
        all.steps.extend(found.steps);
        all.unmendable.extend(found.unmendable);
    }
    Ok(all)
}

/// Makes changes, each noted before.
fn make(steps: &[Step], saved: &mut Saved) -> Result<(), String> {
    for step in steps {
        saved.note(step)?;
        if let Err(error) = step.make() {
            // It has changed nothing, so there is nothing of it to set back.
            saved.keep(saved.steps().split_last().map_or_else(Vec::new, |(_, before)| before.to_vec()))?;
            return Err(refused(step, &error));
        }
    }
    Ok(())
}

/// Sets back all that is noted. What cannot be set back stays noted; an interface that is gone has taken its
/// settings with it.
fn restore(saved: &mut Saved) -> Result<(), String> {
    let back = in_order(saved.steps().iter().rev().map(Step::inverted).collect());
    let mut left = Vec::new();
    let mut errors = Vec::new();
    for step in back {
        match step.make() {
            Err(error) if error.raw_os_error() != Some(NO_SUCH_DEVICE) => {
                errors.push(refused(&step, &error));
                left.push(step.inverted());
            }
            _ => {}
        }
    }
    left.reverse();
    saved.keep(left)?;
    if errors.is_empty() { Ok(()) } else { Err(format!("not set back: {}", errors.join("; "))) }
}

fn refused(step: &Step, error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "; run as root or with CAP_NET_ADMIN",
        ErrorKind::ResourceBusy => {
            "; is an AF_XDP socket open on it? apply the profile before the sensor starts"
        }
        _ => "",
    };
    format!("`{}` was refused: {error}{advice}", step.command())
}

/// A stream that has a byte to read once the process was told to stop.
fn stop_signals() -> Result<UnixStream, String> {
    let cannot = |error: io::Error| format!("cannot listen for signals: {error}");
    let (read, write) = UnixStream::pair().map_err(cannot)?;
    for signal in [SIGTERM, SIGINT] {
        let write = write.try_clone().map_err(cannot)?;
        signal_hook::low_level::pipe::register(signal, write).map_err(cannot)?;
    }
    Ok(read)
}

fn wait(mut stopped: UnixStream) -> Result<(), String> {
    stopped.read_exact(&mut [0]).map_err(|error| format!("cannot wait for signals: {error}"))
}
