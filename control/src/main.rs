//! nightjar-control: the HTTP API, the database and the pages.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightjar_control::cli::main()
}
