//! The command line.

mod compare;
mod generate;
mod play;

use clap::{Parser, Subcommand, ValueEnum};
use nightjar_load::{BulkSound, scenarios};

/// Seeded SIP calls with two-way G.711, as captures or on an interface.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a capture, and what a sensor should find in it beside it.
    Generate(generate::Generate),
    /// Plays calls in real time into an interface.
    Play(play::Play),
    /// Holds what was offered against what a sensor and control say that they have.
    Compare(compare::Compare),
    /// Lists the named scenarios.
    List,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sound {
    Speech,
    Tones,
    /// 440 Hz from the caller, 660 Hz from the callee
    TonePair,
    Clicks,
}

impl From<Sound> for BulkSound {
    fn from(sound: Sound) -> BulkSound {
        match sound {
            Sound::Speech => BulkSound::Speech,
            Sound::Tones => BulkSound::Tones,
            Sound::TonePair => BulkSound::TonePair([440, 660]),
            Sound::Clicks => BulkSound::Clicks,
        }
    }
}

/// Runs what the command line asks for.
pub fn run() -> Result<(), String> {
    match Cli::parse().command {
        Command::Generate(options) => options.run(),
        Command::Play(options) => options.run(),
        Command::Compare(options) => options.run(),
        Command::List => {
            scenarios::all().for_each(|entry| println!("{:32} {}", entry.name, entry.about));
            Ok(())
        }
    }
}

fn named_scenario(name: &str, seed: u64) -> Result<nightjar_load::Scenario, String> {
    scenarios::find(name, seed)
        .ok_or_else(|| format!("no scenario is called {name}; `nightjar-load list` shows them"))
}
