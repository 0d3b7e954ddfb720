//! The command line.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nightjar_load::{
    BulkPlan, BulkSound, CaptureFormat, LinkOptions, PcapOptions, RtcpPlan, Scenario, Variety, expected_path,
    scenarios,
};
use nightjar_wire::{LinkType, Nanos};

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
    Generate(Generate),
    /// Lists the named scenarios.
    List,
}

#[derive(Args)]
struct Generate {
    /// The capture; `.gz` and `.zst` are compressed.
    #[arg(long)]
    out: PathBuf,
    /// A named scenario (`list` shows them) instead of many calls of one kind.
    #[arg(long)]
    scenario: Option<String>,
    /// Number of calls.
    #[arg(long, default_value_t = 10)]
    calls: u64,
    /// Seconds from answer to BYE.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Calls that go on at once.
    #[arg(long, default_value_t = 100)]
    concurrent: u64,
    /// What the legs say.
    #[arg(long, value_enum, default_value_t = Sound::Speech)]
    audio: Sound,
    /// Some calls are refused, cancelled, held.
    #[arg(long)]
    varied: bool,
    /// RTCP on the next port.
    #[arg(long)]
    rtcp: bool,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Link layer.
    #[arg(long, value_enum, default_value_t = Link::Ethernet)]
    link: Link,
    /// VLAN ids from the outermost in, by commas.
    #[arg(long, value_delimiter = ',')]
    vlan: Vec<u16>,
    /// Stamps in nanoseconds.
    #[arg(long)]
    nanos: bool,
    /// Pcapng instead of pcap.
    #[arg(long)]
    pcapng: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sound {
    Speech,
    Tones,
    Clicks,
}

#[derive(Clone, Copy, ValueEnum)]
enum Link {
    Ethernet,
    Sll,
    Sll2,
    Raw,
    Null,
}

/// Runs what the command line asks for.
pub fn run() -> Result<(), String> {
    match Cli::parse().command {
        Command::Generate(options) => generate(&options),
        Command::List => {
            scenarios::all().for_each(|entry| println!("{:32} {}", entry.name, entry.about));
            Ok(())
        }
    }
}

fn generate(options: &Generate) -> Result<(), String> {
    let scenario = match &options.scenario {
        Some(name) => scenarios::find(name, options.seed)
            .ok_or_else(|| format!("no scenario is called {name}; `nightjar-load list` shows them"))?,
        None => Scenario::bulk("bulk", options.seed, bulk_plan(options)),
    };
    let pcap = PcapOptions {
        format: match (options.pcapng, options.nanos) {
            (false, false) => CaptureFormat::PcapMicros,
            (false, true) => CaptureFormat::PcapNanos,
            (true, false) => CaptureFormat::PcapngMicros,
            (true, true) => CaptureFormat::PcapngNanos,
        },
        compression: None,
        link: LinkOptions { link: options.link.into(), vlans: options.vlan.clone() },
    };
    let begun = Instant::now();
    let expected = scenario
        .write_pcap(&options.out, &pcap)
        .map_err(|error| format!("{} cannot be written: {error}", options.out.display()))?;
    println!(
        "{}: {} frames, {} calls, {:.1} s; {}",
        options.out.display(),
        expected.ledger.frames,
        expected.calls.len() as u64 + expected.calls_not_listed,
        begun.elapsed().as_secs_f64(),
        expected_path(&options.out).display()
    );
    Ok(())
}

fn bulk_plan(options: &Generate) -> BulkPlan {
    let plan = BulkPlan::uniform(options.calls, Nanos::from_secs(options.seconds), options.concurrent);
    BulkPlan {
        sound: match options.audio {
            Sound::Speech => BulkSound::Speech,
            Sound::Tones => BulkSound::Tones,
            Sound::Clicks => BulkSound::Clicks,
        },
        variety: if options.varied { Variety::Office } else { Variety::Plain },
        rtcp: if options.rtcp { RtcpPlan::Apart } else { RtcpPlan::Off },
        ..plan
    }
}

impl From<Link> for LinkType {
    fn from(link: Link) -> LinkType {
        match link {
            Link::Ethernet => LinkType::Ethernet,
            Link::Sll => LinkType::LinuxSll,
            Link::Sll2 => LinkType::LinuxSll2,
            Link::Raw => LinkType::RawIp,
            Link::Null => LinkType::Null,
        }
    }
}
