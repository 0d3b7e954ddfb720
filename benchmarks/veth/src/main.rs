//! Live frames through a veth: the generator on one core, a capture core on the other. Says what was sent,
//! what was received and lost, and what each frame cost the capture core. `benchmarks/past-the-kernel` runs it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use core_affinity::CoreId;
use nightjar_bench_veth::{calls, core_config, cpu_seconds};
use nightjar_capture::{
    AfPacketConfig, AfPacketSource, AfXdpConfig, AfXdpSource, CaptureClock, LiveReport, LiveSender,
    PacketSource, Received, SourceStatistics, Stopped,
};
use nightjar_pipeline::{AfterError, Analysed, CaptureCore, capture_loop};

/// What is done with each frame.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Work {
    /// AF_XDP, and its bytes are counted.
    BareXdp,
    /// AF_XDP, header analysis: decoded, bound to its call, counted by RFC 3550.
    Xdp,
    /// AF_PACKET, header analysis.
    Packet,
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
}

/// What the capture core came to.
struct Captured {
    statistics: SourceStatistics,
    /// CPU seconds of its thread, user and system.
    cpu_seconds: f64,
    /// Frames that were bound to calls.
    recorded: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok((sent, captured)) => {
            report(&arguments, sent, &captured);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(LiveReport, Captured), String> {
    let clock = CaptureClock::start();
    let text = |error: nightjar_capture::SourceError| error.to_string();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (work, calls) = (arguments.work, arguments.calls);
    let capture = match work {
        Work::BareXdp | Work::Xdp => {
            let source = AfXdpSource::open(&AfXdpConfig::new(&[&arguments.near]), clock).map_err(text)?;
            thread::spawn(move || capture(source, clock, work, calls, &stopped))
        }
        Work::Packet => {
            let config = AfPacketConfig::new(&[&arguments.near]).with_ring_mib(256);
            let source = AfPacketSource::open(&config, clock).map_err(text)?;
            thread::spawn(move || capture(source, clock, work, calls, &stopped))
        }
    };
    core_affinity::set_for_current(CoreId { id: 0 });
    // Until the capture core waits for frames.
    thread::sleep(Duration::from_millis(500));
    let mut sender = LiveSender::open(&arguments.far, &calls::streams(calls)).map_err(text)?;
    let sent = sender.send(arguments.frames, arguments.per_second).map_err(|error| error.to_string())?;
    thread::sleep(Duration::from_millis(200));
    stop.store(true, Ordering::Relaxed);
    Ok((sent, capture.join().map_err(|_| "the capture core panicked")?))
}

/// The capture core's thread.
fn capture(
    mut source: impl PacketSource,
    clock: CaptureClock,
    work: Work,
    calls: u32,
    stop: &AtomicBool,
) -> Captured {
    core_affinity::set_for_current(CoreId { id: 1 });
    let (recorded, started) = match work {
        Work::BareXdp => {
            let started = cpu_seconds();
            count_bytes(&mut source, stop);
            (0, started)
        }
        Work::Xdp | Work::Packet => {
            let mut core = CaptureCore::new(core_config(), Analysed::new(|_| {}));
            calls::set_up(&mut core, clock.now(), calls);
            let started = cpu_seconds();
            capture_loop(&mut source, &mut core, stop, AfterError::Stop, |_, _| {});
            (core.ledger().recorded, started)
        }
    };
    Captured { cpu_seconds: cpu_seconds() - started, recorded, statistics: source.statistics() }
}

/// The least that a receiver can do: it looks at each frame.
fn count_bytes(source: &mut impl PacketSource, stop: &AtomicBool) {
    let mut sum = 0_u64;
    let mut draining = false;
    loop {
        if !draining && stop.load(Ordering::Relaxed) {
            draining = matches!(source.stop(), Ok(Stopped::Draining));
        }
        match source.receive(&mut |frame| sum += u64::from(frame.bytes[frame.bytes.len() - 1])) {
            Ok(Received::End) | Err(_) => break,
            Ok(_) => {}
        }
    }
    std::hint::black_box(sum);
}

fn report(arguments: &Arguments, sent: LiveReport, captured: &Captured) {
    let Captured { statistics, cpu_seconds, recorded } = captured;
    let seconds = sent.elapsed_ns as f64 / 1e9;
    println!(
        "{:?}: sent {} in {seconds:.2} s ({:.2} M/s, {} us behind a slot at most); received {}, lost {}, recorded \
         {recorded}; {:.0} ns of the capture core a frame",
        arguments.work,
        sent.sent,
        sent.sent as f64 / seconds / 1e6,
        sent.most_late_ns / 1000,
        statistics.received,
        sent.sent as i64 - statistics.received as i64,
        cpu_seconds * 1e9 / statistics.received.max(1) as f64,
    );
}
