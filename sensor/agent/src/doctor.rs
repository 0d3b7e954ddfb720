//! `nightjar-sensor doctor`: listens for some seconds, or reads capture files, and says what is wrong with
//! the mirror, what to change, and where.

mod collector;
mod copies;
mod finding;
mod frames;
mod host;
mod judgement;
mod listen;
mod media;
mod media_findings;
mod report;
mod signalling;
mod stamps;
#[cfg(test)]
mod tests;
mod tunnels;
mod wording;

use std::path::Path;
use std::process::ExitCode;

use nightjar_capture::CaptureFiles;
use nightjar_wire::VxlanPorts;

use crate::args::Doctor;
use crate::config::{Config, Input};
pub use finding::{Addresses, CodecPackets, CutBy, Finding, Link, Severity};
use host::HostChanges;
use judgement::{Expectation, judge};
pub use report::Report;

/// Signalling's ports where no configuration says others.
const SIGNALLING_PORTS: [u16; 2] = [5060, 5061];
/// Exit codes: healthy, findings, could not listen.
const HEALTHY: u8 = 0;
const FINDINGS: u8 = 1;
const COULD_NOT_LISTEN: u8 = 2;

/// Examines and prints the report. The exit code is 0 when nothing is wrong, 1 when something is, 2 when
/// it could not listen.
pub fn run(args: &Doctor) -> ExitCode {
    let printed = examine(args).and_then(|report| {
        let text = if args.json { report.to_json() } else { report.to_text() };
        print(&text).map(|()| report.is_healthy())
    });
    match printed {
        Ok(true) => ExitCode::from(HEALTHY),
        Ok(false) => ExitCode::from(FINDINGS),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(COULD_NOT_LISTEN)
        }
    }
}

fn print(text: &str) -> Result<(), String> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| format!("cannot print the report on standard output: {error}"))
}

/// Listens or reads, and judges.
///
/// # Errors
/// What could not be listened to or read, and why.
pub fn examine(args: &Doctor) -> Result<Report, String> {
    let config = args.config.as_deref().map(load).transpose()?;
    let ports = config.as_ref().map_or(SIGNALLING_PORTS.to_vec(), |config| config.signalling_ports.clone());
    let vxlan = config.as_ref().map_or(VxlanPorts::USUAL, |config| config.realms.vxlan);
    let phones = config.as_ref().map(|config| config.phones.clone()).unwrap_or_default();
    let expected = |sources| Expectation { sources, signalling_ports: ports.clone(), phones };
    if !args.files.is_empty() {
        let source = CaptureFiles::open(&args.files).map_err(|error| error.to_string())?;
        let (seen, errors) = listen::read(source, &ports, vxlan);
        if seen.frames.total() == 0 && !errors.is_empty() {
            return Err(errors.join("\n"));
        }
        errors.iter().for_each(|error| eprintln!("warning: {error}"));
        let names: Vec<String> = args.files.iter().map(|path| path.display().to_string()).collect();
        let expected = expected(vec![names.join(", ")]);
        return Ok(Report::new(&seen, judge(&seen, &HostChanges::default(), &expected), names));
    }
    let interfaces = interfaces(args, config.as_ref())?;
    let promiscuous = config.as_ref().is_none_or(|config| config.promiscuous);
    let heard = listen::listen(&interfaces, promiscuous, args.seconds, &ports, vxlan)?;
    let expected = expected(interfaces);
    Ok(Report::new(&heard.seen, judge(&heard.seen, &heard.host, &expected), expected.sources))
}

fn load(path: &Path) -> Result<Config, String> {
    crate::config::load(path).map_err(|error| error.to_string())
}

/// The interfaces to listen on: those asked for, else the configuration's.
fn interfaces(args: &Doctor, config: Option<&Config>) -> Result<Vec<String>, String> {
    let mut named = args.interfaces.clone();
    if let (true, Some(Config { input: Input::Interfaces(interfaces), .. })) = (named.is_empty(), config) {
        named.clone_from(interfaces);
    }
    if named.is_empty() {
        return Err(
            "nothing to listen to: give --interface NAME, a --config with interfaces, or a capture file"
                .into(),
        );
    }
    let twice = |(at, name): (usize, &String)| named[..at].contains(name).then(|| name.clone());
    match named.iter().enumerate().find_map(twice) {
        Some(name) => Err(format!("--interface {name} is given twice: each of its frames would count twice")),
        None => Ok(named),
    }
}
