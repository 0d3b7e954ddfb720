//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Nightjar's sensor: takes telephone calls from a mirror port or a capture file.
#[derive(Debug, Parser)]
#[command(name = "nightjar-sensor", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The sensor's jobs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reads capture files and writes their calls and recordings.
    Replay(Replay),
    /// Captures live, as a configuration file says.
    Run(Run),
    /// Listens for some seconds and says what is wrong with the mirror, and what to change where.
    ///
    /// Exits with 0 when nothing is wrong, 1 when something is, 2 when it could not listen.
    Doctor(Doctor),
    /// Writes, checks or applies what this machine and its network cards are set to.
    #[command(subcommand)]
    Profile(Profile),
}

/// How a replay is done.
#[derive(Clone, Debug, clap::Args)]
pub struct Replay {
    /// Capture files (pcap or pcapng; plain, gzip or zstd), joined by their stamps; `-` is
    /// standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Folder for calls.jsonl and the recordings; it is made if it does not exist.
    #[arg(long, value_name = "DIR", default_value = "nightjar-out")]
    pub out: PathBuf,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Mode::Record)]
    pub mode: Mode,
    /// The recordings' format.
    #[arg(long, value_enum, default_value_t = Format::Opus)]
    pub format: Format,
    /// One channel, or one per party.
    #[arg(long, value_enum, default_value_t = Channels::Stereo)]
    pub channels: Channels,
    /// How stereo Opus is coded (default: parties).
    #[arg(long, value_enum)]
    pub stereo: Option<Stereo>,
    /// As fast as it goes, or as the packets were stamped.
    #[arg(long, value_enum, default_value_t = Speed::Max)]
    pub speed: Speed,
    /// Media workers (0: one per core).
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub workers: u16,
    /// A sensor's configuration, of which the realms and VXLAN's ports count.
    #[arg(long, value_name = "FILE")]
    pub realms: Option<PathBuf>,
    /// The sensor's name, part of each call's id.
    #[arg(long, value_name = "NAME", default_value = "replay")]
    pub sensor: String,
    /// Prints the summary as one JSON object on standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// What a replay writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Reads headers, writes metadata only.
    Analyse,
    /// Also keeps the media packets in journal segments.
    Journal,
    /// Also decodes, mixes and encodes: one file per call.
    Record,
}

/// A recording's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Opus in Ogg.
    Opus,
    /// 16-bit PCM in WAV.
    Wav,
}

/// A recording's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Channels {
    /// All parties mixed.
    Mono,
    /// The caller left, the others right.
    Stereo,
}

/// How the two channels of a stereo Opus recording are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Stereo {
    /// Each party apart: nothing of one is heard in the other's channel.
    #[default]
    Parties,
    /// Both together, for players that know no Opus streams of several parts: steady tones of one
    /// party leak into the other's channel.
    Coupled,
}

/// What a recording is asked to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// The container and codec.
    pub format: Format,
    /// The channels.
    pub channels: Channels,
    /// How they are coded.
    pub stereo: Stereo,
}

/// A stereo coding was asked for where there is no stereo Opus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStereoOpus;

impl std::fmt::Display for NoStereoOpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("is for stereo Opus alone: leave it out, or choose format opus and channels stereo")
    }
}

impl Sound {
    /// What was asked for, `stereo` perhaps not.
    ///
    /// # Errors
    /// [`NoStereoOpus`] when `stereo` was asked for and would mean nothing.
    pub fn new(format: Format, channels: Channels, stereo: Option<Stereo>) -> Result<Sound, NoStereoOpus> {
        if stereo.is_some() && (format, channels) != (Format::Opus, Channels::Stereo) {
            return Err(NoStereoOpus);
        }
        Ok(Sound { format, channels, stereo: stereo.unwrap_or_default() })
    }
}

/// How fast a replay goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Speed {
    /// As fast as it can.
    Max,
    /// At the pace of the stamps.
    Realtime,
}

/// How a live capture is done.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// The configuration (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// What is done with a host profile.
#[derive(Clone, Debug, Subcommand)]
pub enum Profile {
    /// Writes a profile for this machine, from what the kernel says of it.
    Detect(Detect),
    /// Says what differs between a profile and what the kernel says; fails when something does.
    Check(Check),
    /// Sets queues, hashing, rules and offloads, and sets them back at SIGTERM or SIGINT.
    Apply(Apply),
    /// Sets back what an `apply` that was killed has left.
    Restore(Restore),
}

/// How a profile is written.
#[derive(Clone, Debug, clap::Args)]
pub struct Detect {
    /// An interface to capture from; may be repeated (default: each that this host does not use itself).
    #[arg(long, value_name = "NAME")]
    pub interface: Vec<String>,
    /// Where to write it (default: standard output).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Ports of signalling, for the rules that put it on a queue of its own choice.
    #[arg(long, value_name = "PORT", default_values_t = [5060, 5061])]
    pub signalling_port: Vec<u16>,
    /// Folder with profiles that stand before the built-in ones (DIR/nic/*.toml, DIR/cpu/*.toml).
    #[arg(long, value_name = "DIR")]
    pub profiles: Option<PathBuf>,
}

/// How a profile is checked.
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// The host profile.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Folder with profiles that stand before the built-in ones (DIR/nic/*.toml, DIR/cpu/*.toml).
    #[arg(long, value_name = "DIR")]
    pub profiles: Option<PathBuf>,
}

/// How a profile is applied.
#[derive(Clone, Debug, clap::Args)]
pub struct Apply {
    /// The host profile.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Prints the commands that would do the same, and changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Folder with profiles that stand before the built-in ones (DIR/nic/*.toml, DIR/cpu/*.toml).
    #[arg(long, value_name = "DIR")]
    pub profiles: Option<PathBuf>,
    /// Where to keep what the settings were.
    #[arg(long, value_name = "FILE", default_value = "/run/nightjar/profile.json")]
    pub state: PathBuf,
}

/// How settings are set back.
#[derive(Clone, Debug, clap::Args)]
pub struct Restore {
    /// Where `apply` kept what the settings were.
    #[arg(long, value_name = "FILE", default_value = "/run/nightjar/profile.json")]
    pub state: PathBuf,
}

/// Where and how long the doctor listens.
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {
    /// Capture files to look at instead of listening.
    #[arg(value_name = "FILE", conflicts_with = "interfaces")]
    pub files: Vec<PathBuf>,
    /// An interface to listen on; may be given several times. Without any, those of the
    /// configuration.
    #[arg(long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,
    /// How long to listen.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// A sensor's configuration: what is seen is compared with it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Prints one JSON object on standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,
}
