//! `nightjar-sensor`: takes telephone calls from a mirror port or a capture file.

use std::process::ExitCode;

use clap::Parser;
use nightjar_agent::args::{Args, Command};

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Doctor(doctor) => return nightjar_agent::doctor::run(&doctor),
        Command::Replay(replay) => nightjar_agent::replay::run(&replay).map_err(|error| error.to_string()),
        Command::Run(run) => nightjar_agent::run::run(&run),
        Command::Profile(profile) => nightjar_agent::profile::run(&profile),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
