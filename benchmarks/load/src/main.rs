//! `nightjar-load`: generates captures and plays calls.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nightjar-load: {error}");
            ExitCode::FAILURE
        }
    }
}
