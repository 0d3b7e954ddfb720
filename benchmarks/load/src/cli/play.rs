//! `play`: calls in real time on an interface.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use nightjar_capture::FrameSender;
use nightjar_load::{
    BulkPlan, CallExpected, FrameSink, Notice, RtcpPlan, Scenario, WallClock, play, write_json,
};
use nightjar_wire::Nanos;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{Sound, named_scenario};

#[derive(Args)]
pub(super) struct Play {
    /// The interface to send on, of this network namespace.
    #[arg(long)]
    interface: String,
    /// A named scenario instead of calls as in an office.
    #[arg(long)]
    scenario: Option<String>,
    /// Seconds from the first call until all hang up; 0 is without end.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Calls that go on at once, on average.
    #[arg(long, default_value_t = 4, conflicts_with = "calls_per_minute")]
    concurrent: u64,
    /// Calls that begin in a minute, instead.
    #[arg(long)]
    calls_per_minute: Option<u64>,
    /// What the legs say.
    #[arg(long, value_enum, default_value_t = Sound::Speech)]
    audio: Sound,
    /// No RTCP beside the media.
    #[arg(long)]
    no_rtcp: bool,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the account of what was sent is written in the end, as JSON.
    #[arg(long)]
    ledger: Option<PathBuf>,
}

/// An interface that frames leave by.
struct Interface(FrameSender);

impl FrameSink for Interface {
    fn send_batch(&mut self, frames: &[&[u8]]) -> io::Result<usize> {
        self.0.send_batch(frames)
    }
}

impl Play {
    pub(super) fn run(&self) -> Result<(), String> {
        let scenario = match &self.scenario {
            Some(name) => named_scenario(name, self.seed)?,
            None => Scenario::bulk("office", self.seed, self.office()),
        };
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))
                .map_err(|error| format!("signal {signal} cannot be caught: {error}"))?;
        }
        let sender = FrameSender::open(&self.interface).map_err(|error| error.to_string())?;
        let span = (self.seconds > 0).then(|| Nanos::from_secs(self.seconds));
        let mut sink = Interface(sender);
        let expected = play(&scenario, span, &mut sink, &WallClock::new(), &stop, print)
            .map_err(|error| format!("interface {}: sending failed: {error}", self.interface))?;
        if let Some(path) = &self.ledger {
            write_json(path, &expected)
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        }
        let calls = expected.calls.len() as u64 + expected.calls_not_listed;
        println!("{calls} calls, {} frames", expected.ledger.frames);
        Ok(())
    }

    fn office(&self) -> BulkPlan {
        let plan = match self.calls_per_minute {
            Some(rate) => BulkPlan::office(Nanos(60_000_000_000 / rate.max(1))),
            None => BulkPlan::busy_office(self.concurrent),
        };
        let rtcp = if self.no_rtcp { RtcpPlan::Off } else { plan.rtcp };
        BulkPlan { sound: self.audio.into(), rtcp, ..plan }
    }
}

/// One line per start and end of a call. The numbers are of the fictional range.
fn print(notice: &Notice) {
    let parties = |call: &CallExpected| {
        let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "unknown".to_owned());
        format!("{} > {}", number(&call.from_number), number(&call.to_number))
    };
    match notice {
        Notice::Started(call) => println!("call {:<5} {}  begins", call.index, parties(call)),
        Notice::Ended(call) => {
            let state = format!("{:?}", call.state).to_lowercase();
            let talk = call.talk_ms.map_or(String::new(), |ms| format!(", {:.1} s", ms as f64 / 1000.0));
            println!("call {:<5} {}  {state}{talk}", call.index, parties(call));
        }
    }
}
