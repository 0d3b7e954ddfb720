//! Around the fuzzer: `nightjar-fuzz-seeds list` prints the targets, `write DIRECTORY` writes the generated seeds,
//! `show TARGET FILE` prints the frames that an input of a scripted target plays.

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
        ["show", target, file] => match std::fs::read(file) {
            Ok(bytes) => {
                print!("{}", nightjar_fuzz::show(target, &bytes));
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("cannot read {file}: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: nightjar-fuzz-seeds list | write DIRECTORY | show TARGET FILE");
            ExitCode::FAILURE
        }
    }
}
