//! Live frames through a veth: the generator on one core, a capture core on the other. Says what was sent,
//! what was received and lost, and what each frame cost: the capture core alone, and the machine.
//! `benchmarks/past-the-kernel` runs it.

mod captured;
#[cfg(feature = "afxdp")]
mod other_rings;
mod to_disk;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use core_affinity::CoreId;
use nightjar_bench_veth::{calls, cpu_seconds, softirq_seconds};
use nightjar_capture::{
    AfPacketConfig, AfPacketSource, AfXdpConfig, AfXdpSource, CaptureClock, LiveReport, LiveSender, LiveSink,
};

use captured::Captured;

/// The generator's CPU.
const SENDS: CoreId = CoreId { id: 0 };
/// The capture core's.
const CAPTURES: CoreId = CoreId { id: 1 };

/// What is done with each frame.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Work {
    /// Nothing: frames are sent and dropped where they arrive. The generator's share.
    Generator,
    /// AF_XDP, and a byte of each is looked at.
    BareXdp,
    /// As bare-xdp, by the `afxdp` crate's rings and program.
    #[cfg(feature = "afxdp")]
    Afxdp,
    /// AF_XDP, header analysis: decoded, bound to its call, counted by RFC 3550.
    Xdp,
    /// AF_PACKET, header analysis.
    Packet,
    /// AF_XDP, and every packet into a journal on disk.
    Journal,
}

/// Sends RTP out of one end of a veth and captures it at the other.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where frames are captured.
    #[arg(long, default_value = "near")]
    near: String,
    /// Where they are sent.
    #[arg(long, default_value = "far")]
    far: String,
    /// What is done with them.
    #[arg(long, value_enum)]
    work: Work,
    /// Calls, each of two streams.
    #[arg(long, default_value_t = 500)]
    calls: u32,
    /// Frames in all.
    #[arg(long, default_value_t = 2_000_000)]
    frames: u32,
    /// Frames a second; 0: as fast as it goes.
    #[arg(long, default_value_t = 1_000_000)]
    per_second: u32,
    /// Places of AF_XDP's media ring; the default when not given.
    #[arg(long)]
    ring: Option<u32>,
    /// Where the journal lies.
    #[arg(long, default_value = ".")]
    journal: PathBuf,
}

/// What was sent, at what cost.
struct Sent {
    report: LiveReport,
    /// CPU seconds of the sending thread, with the softirq that ran on its back.
    cpu_seconds: f64,
    /// CPU seconds of the kernel's softirq threads meanwhile.
    softirq_seconds: f64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok((sent, captured)) => {
            report(&arguments, &sent, &captured);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What is told of an error.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn measure(arguments: &Arguments) -> Result<(Sent, Captured), String> {
    let stop = Arc::new(AtomicBool::new(false));
    let capture = start_capture(arguments, Arc::clone(&stop))?;
    core_affinity::set_for_current(SENDS);
    // Until the capture core waits for frames.
    thread::sleep(Duration::from_millis(500));
    let mut sender = LiveSender::open(&arguments.far, &calls::streams(arguments.calls)).map_err(text)?;
    let (started, softirq) = (cpu_seconds(), softirq_seconds());
    let report = sender.send(arguments.frames, arguments.per_second).map_err(text)?;
    let cpu_seconds = cpu_seconds() - started;
    thread::sleep(Duration::from_millis(200));
    let softirq_seconds = softirq_seconds() - softirq;
    stop.store(true, Ordering::Relaxed);
    let captured = capture.join().map_err(|_| "the capture core panicked")?;
    Ok((Sent { report, cpu_seconds, softirq_seconds }, captured))
}

/// Opens what captures and starts its thread.
fn start_capture(
    arguments: &Arguments,
    stop: Arc<AtomicBool>,
) -> Result<thread::JoinHandle<Captured>, String> {
    let (clock, calls) = (CaptureClock::start(), arguments.calls);
    let xdp = || {
        let mut config = AfXdpConfig::new(&[&arguments.near]);
        config.sizes.media = arguments.ring.unwrap_or(config.sizes.media);
        AfXdpSource::open(&config, clock).map_err(text)
    };
    Ok(match arguments.work {
        Work::Generator => {
            let sink = LiveSink::open(&arguments.near).map_err(text)?;
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(50));
                }
                drop(sink);
                Captured::default()
            })
        }
        Work::BareXdp => {
            let source = xdp()?;
            thread::spawn(move || captured::looked_at(source, &stop))
        }
        #[cfg(feature = "afxdp")]
        Work::Afxdp => {
            let (near, ring) = (arguments.near.clone(), arguments.ring.unwrap_or(8192));
            thread::spawn(move || other_rings::looked_at(&near, ring, &stop))
        }
        Work::Xdp => {
            let source = xdp()?;
            thread::spawn(move || captured::analysed(source, clock, calls, &stop))
        }
        Work::Packet => {
            let config = AfPacketConfig::new(&[&arguments.near]).with_ring_mib(256);
            let source = AfPacketSource::open(&config, clock).map_err(text)?;
            thread::spawn(move || captured::analysed(source, clock, calls, &stop))
        }
        Work::Journal => {
            let (source, directory) = (xdp()?, arguments.journal.clone());
            thread::spawn(move || to_disk::journalled(source, clock, calls, &directory, &stop))
        }
    })
}

fn report(arguments: &Arguments, sent: &Sent, captured: &Captured) {
    let Sent { report, cpu_seconds, softirq_seconds } = sent;
    let seconds = report.elapsed_ns as f64 / 1e9;
    let each = |cpu: f64, frames: u64| cpu * 1e9 / frames.max(1) as f64;
    println!(
        "{:?}: sent {} in {seconds:.2} s ({:.2} M/s, {} us behind a slot at most); received {}, lost {}, recorded \
         {}; ns a frame: capture core {:.0}, sender and its softirq {:.0}, softirq threads {:.0}{}",
        arguments.work,
        report.sent,
        report.sent as f64 / seconds / 1e6,
        report.most_late_ns / 1000,
        captured.received,
        report.sent as i64 - captured.received as i64,
        captured.recorded,
        each(captured.cpu_seconds, captured.received),
        each(*cpu_seconds, report.sent),
        each(*softirq_seconds, report.sent),
        captured.remark,
    );
}
