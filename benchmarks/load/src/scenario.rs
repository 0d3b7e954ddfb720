//! A scenario: calls with start offsets, noise, a seed. It gives the same frames each time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use nightjar_wire::Nanos;

use crate::bulk::BulkPlan;
use crate::expected::Expected;
use crate::frame::Frame;
use crate::link::LinkOptions;
use crate::noise::NoisePlan;
use crate::pcap_out::{CaptureFormat, Compression, PcapWriter};
use crate::plan::CallPlan;
use crate::random::Random;
use crate::schedule::{FrameStream, PlannedCalls};

/// When scenarios begin: 2026-01-05 09:00:00 UTC.
pub const SCENARIO_START: Nanos = Nanos::from_secs(1_767_603_600);

/// Calls and noise, ready to be generated as often as needed.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    seed: u64,
    start: Nanos,
    calls: Calls,
    noise: Option<NoisePlan>,
}

#[derive(Clone, Debug)]
enum Calls {
    Listed(Vec<(Nanos, CallPlan)>),
    Bulk(BulkPlan),
}

/// How a capture is written.
#[derive(Clone, Debug, Default)]
pub struct PcapOptions {
    /// The file format.
    pub format: CaptureFormat,
    /// Its compression; `None` goes by the path's ending.
    pub compression: Option<Compression>,
    /// Link layer and VLAN tags.
    pub link: LinkOptions,
}

impl Scenario {
    /// A scenario without calls.
    pub fn new(name: &str, seed: u64) -> Scenario {
        let calls = Calls::Listed(Vec::new());
        Scenario { name: name.to_owned(), seed, start: SCENARIO_START, calls, noise: None }
    }

    /// Many calls, planned while they are generated.
    pub fn bulk(name: &str, seed: u64, plan: BulkPlan) -> Scenario {
        Scenario { calls: Calls::Bulk(plan), ..Scenario::new(name, seed) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The plain plan of the next call to be added, to be varied.
    pub fn plain(&self) -> CallPlan {
        let index = match &self.calls {
            Calls::Listed(calls) => calls.len() as u32,
            Calls::Bulk(_) => 0,
        };
        CallPlan::plain(index, &mut Random::derive(!self.seed, u64::from(index)))
    }

    /// Adds a call whose INVITE leaves `offset` after the scenario's start. A bulk scenario
    /// becomes a list of this call alone.
    pub fn call(&mut self, offset: Nanos, plan: CallPlan) -> &mut Scenario {
        match &mut self.calls {
            Calls::Listed(calls) => calls.push((offset, plan)),
            Calls::Bulk(_) => self.calls = Calls::Listed(vec![(offset, plan)]),
        }
        self
    }

    /// Adds noise.
    pub fn with_noise(mut self, noise: NoisePlan) -> Scenario {
        self.noise = Some(noise);
        self
    }

    /// Begins at another moment than [`SCENARIO_START`].
    pub fn starting_at(mut self, start: Nanos) -> Scenario {
        self.start = start;
        self
    }

    /// Its frames as untagged Ethernet.
    pub fn frames(&self) -> FrameStream {
        self.frames_on(LinkOptions::default())
    }

    /// Its frames on another link.
    pub fn frames_on(&self, link: LinkOptions) -> FrameStream {
        let planned: PlannedCalls = match &self.calls {
            Calls::Listed(calls) => {
                let mut calls = calls.clone();
                calls.sort_by_key(|(offset, _)| *offset);
                Box::new(calls.into_iter())
            }
            Calls::Bulk(plan) => Box::new(plan.calls(self.seed)),
        };
        FrameStream::new(&self.name, self.seed, self.start, link, planned, self.noise)
    }

    /// Writes the capture to `path` and the truth about it to `path` + `.expected.json`, and
    /// returns the truth.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_pcap(&self, path: &Path, options: &PcapOptions) -> io::Result<Expected> {
        let compression = options.compression.unwrap_or_else(|| Compression::of_path(path));
        let mut writer = PcapWriter::create(path, options.format, compression, options.link.link)?;
        let mut stream = self.frames_on(options.link.clone());
        let mut frame = Frame::empty();
        while stream.next_into(&mut frame) {
            writer.write(&frame)?;
        }
        writer.finish()?;
        let expected = stream.finish();
        write_json(&expected_path(path), &expected)?;
        Ok(expected)
    }
}

/// Where the truth about a capture lies.
pub fn expected_path(capture: &Path) -> PathBuf {
    let mut name = capture.as_os_str().to_owned();
    name.push(".expected.json");
    name.into()
}

/// Writes the truth as JSON.
///
/// # Errors
/// What the file system says.
pub fn write_json(path: &Path, expected: &Expected) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer_pretty(&mut file, expected)?;
    file.write_all(b"\n")?;
    file.flush()
}
