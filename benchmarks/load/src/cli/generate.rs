//! `generate`: writes a capture.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use nightjar_load::{
    BulkPlan, CaptureFormat, LinkOptions, PcapOptions, RtcpPlan, Scenario, Variety, expected_path,
};
use nightjar_wire::{LinkType, Nanos};

use super::{Sound, named_scenario};

#[derive(Args)]
pub(super) struct Generate {
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
enum Link {
    Ethernet,
    Sll,
    Sll2,
    Raw,
    Null,
}

impl Generate {
    pub(super) fn run(&self) -> Result<(), String> {
        generate(self)
    }
}

fn generate(options: &Generate) -> Result<(), String> {
    let scenario = match &options.scenario {
        Some(name) => named_scenario(name, options.seed)?,
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
        link: LinkOptions {
            link: options.link.into(),
            vlans: options.vlan.clone(),
            ..LinkOptions::default()
        },
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
        sound: options.audio.into(),
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
