//! Prints the list of targets, or writes the generated seeds: `nightjar-fuzz-seeds list`,
//! `nightjar-fuzz-seeds write DIRECTORY`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => {
            for target in nightjar_fuzz::TARGETS {
                println!("{} {}", target.name, target.max_len);
            }
            ExitCode::SUCCESS
        }
        ["write", directory] => match nightjar_fuzz::write_seeds(Path::new(directory)) {
            Ok(count) => {
                println!("{count} seeds");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("cannot write the seeds to {directory}: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: nightjar-fuzz-seeds list | write DIRECTORY");
            ExitCode::FAILURE
        }
    }
}
