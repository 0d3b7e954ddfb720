//! More load than the capture core bears: its CPU is shared with a thread that never pauses and each packet
//! costs it more than usual, what it then takes is measured, and half as much again is offered, with signalling beside it; then half of it. Says
//! what was refused and cut, whose packets are all there, bit by bit, and what was lost when the load had
//! fallen. `benchmarks/overload` runs it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use core_affinity::CoreId;
use nightjar_bench_veth::{calls, core_config};
use nightjar_capture::{
    AfXdpConfig, AfXdpSource, CaptureClock, FrameSender, LiveReport, LiveSender, PacketSource, XdpCounts,
};
use nightjar_pipeline::{
    AdmissionConfig, AdmissionCounts, AfterError, CaptureCore, CoreEvent, CoreOutput, Depth, Fill, Kept,
    Ledger, Pressure, Shed, capture_loop,
};
use nightjar_schema::Call;
use nightjar_wire::xdp::live;
use nightjar_wire::{CallKey, Nanos};

/// Where the generator runs, and the capture core with its competitor.
const CPUS: [usize; 2] = [0, 1];
/// Packets a second of a call: two streams of one packet in 20 ms.
const PER_CALL: u32 = 100;
/// Between two samples of the load.
const SAMPLE: Nanos = Nanos::from_millis(10);
/// After the load has fallen nothing may be lost behind this.
const GRACE: Nanos = Nanos::from_millis(100);

/// Offers more than a slowed capture core bears.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where frames are captured.
    #[arg(long, default_value = "near")]
    near: String,
    /// Where they are sent.
    #[arg(long, default_value = "far")]
    far: String,
    /// Threads that share the capture core's CPU and never pause.
    #[arg(long, default_value_t = 1)]
    competitors: usize,
    /// What each packet that is kept costs the core besides, ns. The slower it is, the longer its ring lasts when
    /// others take its CPU.
    #[arg(long, default_value_t = 10_000)]
    slow_ns: u32,
    /// Of what the slowed core bears, what calls may promise, in percent; 0: there is no budget.
    #[arg(long, default_value_t = 80)]
    budget_percent: u32,
    /// Of what the slowed core bears, what is offered, in percent.
    #[arg(long, default_value_t = 150)]
    load_percent: u32,
    /// Packets a second that the slowed core bears; 0: measured first.
    #[arg(long, default_value_t = 0)]
    capacity: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Calls beyond those with media whose signalling comes during the load.
    #[arg(long, default_value_t = 500)]
    more_calls: u32,
}

impl Arguments {
    /// Packets that each stream has under load.
    fn packets_of_a_stream(&self) -> u32 {
        PER_CALL / 2 * self.seconds
    }
}

/// What came of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    packets: u32,
    next: u16,
    /// A number was missing or repeated, or a payload was not as it was sent.
    differs: bool,
}

/// Compares every packet that is kept with the one that was sent.
#[derive(Default)]
struct Compared {
    /// By SSRC, which tells call and side.
    streams: BTreeMap<u32, Stream>,
    shed: BTreeMap<CallKey, Shed>,
    /// Packets that each stream has under load. When that has fallen, streams begin anew.
    each: u32,
    /// What a packet costs besides.
    slow: Duration,
}

impl CoreOutput for Compared {
    fn media(&mut self, _: CallKey, _: u32, _: Nanos, datagram: &[u8]) -> Kept {
        let started = Instant::now();
        let ssrc = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        let stream = self.streams.entry(ssrc).or_insert(Stream { next: 1, ..Stream::default() });
        if stream.packets < self.each {
            let number = u16::from_be_bytes([datagram[2], datagram[3]]);
            stream.differs |= number != stream.next || !live::is_intact(&datagram[12..], ssrc, number);
            stream.next = number.wrapping_add(1);
            stream.packets += 1;
        }
        while started.elapsed() < self.slow {
            std::hint::spin_loop();
        }
        Kept::Yes
    }

    fn rtcp(&mut self, _: CallKey, _: Nanos, _: &[u8]) -> Kept {
        Kept::Yes
    }

    fn event(&mut self, _: Nanos, event: CoreEvent) {
        if let CoreEvent::Shed { call, shed, .. } = event {
            self.shed.insert(call, shed);
        }
    }

    fn changed(&mut self, _: Nanos, _: &mut dyn FnMut() -> Option<Call>) {}

    fn watermark(&mut self, _: Nanos, _: Nanos) {}

    fn ring_lost(&mut self, _: Nanos, _: Nanos, _: Nanos) {}

    fn publish(&mut self, _: Nanos) {}
}

/// What the capture core came to.
struct Captured {
    ledger: Ledger,
    counts: AdmissionCounts,
    xdp: Vec<XdpCounts>,
    output: Compared,
    /// Lost in rings in all, until the load fell, and until [`GRACE`] after that.
    lost: [u64; 3],
    /// Frames a second that it took from the first one until the load fell.
    per_second: f64,
}

/// What both threads know.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// The moment at which the load fell, by the capture clock.
    fell_at: AtomicU64,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), String> {
    let running = Arc::new(AtomicBool::new(true));
    let competitors: Vec<_> = (0..arguments.competitors).map(|_| compete(&running)).collect();
    let capacity = match arguments.capacity {
        0 => capacity(arguments)?,
        given => given,
    };
    let outcome = overload(arguments, capacity);
    running.store(false, Ordering::Relaxed);
    for competitor in competitors {
        competitor.join().map_err(|_| "a competitor panicked")?;
    }
    outcome
}

/// Takes its share of the capture core's CPU.
fn compete(running: &Arc<AtomicBool>) -> JoinHandle<()> {
    let running = Arc::clone(running);
    thread::spawn(move || {
        core_affinity::set_for_current(CoreId { id: CPUS[1] });
        while running.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    })
}

/// Frames a second that the slowed core takes when there are always some.
fn capacity(arguments: &Arguments) -> Result<u32, String> {
    // Enough to keep it busy for some seconds.
    let (calls, frames) = (2_000, 500_000);
    let (shared, core) = start(arguments, calls, None)?;
    let mut sender = sender(arguments, calls)?;
    let sent = sender.send(frames, 0).map_err(|error| error.to_string())?;
    shared.fell_at.store(core.clock.now().0, Ordering::Relaxed);
    let per_second = finish(&shared, core)?.per_second;
    println!(
        "capacity: {:.3} M/s, of {:.3} M/s that came",
        per_second / 1e6,
        sent.sent as f64 * 1e3 / sent.elapsed_ns as f64
    );
    Ok(per_second as u32)
}

fn overload(arguments: &Arguments, capacity: u32) -> Result<(), String> {
    let percent = |of: u32| (u64::from(capacity) * u64::from(of) / 100) as u32;
    let calls = percent(arguments.load_percent) / PER_CALL;
    let budget = (arguments.budget_percent > 0).then(|| u64::from(percent(arguments.budget_percent)));
    let admission = AdmissionConfig { packets_per_second: budget, ..AdmissionConfig::default() };
    let (shared, core) = start(arguments, calls, Some(admission))?;
    let mut sender = sender(arguments, calls)?;
    let signalling = signal(arguments, calls)?;
    let each = arguments.packets_of_a_stream();
    let failed = |error: nightjar_capture::ProgramError| error.to_string();
    let high = sender.send(2 * calls * each, calls * PER_CALL).map_err(failed)?;
    shared.fell_at.store(core.clock.now().0, Ordering::Relaxed);
    let low = sender.send(calls * each, percent(50)).map_err(failed)?;
    let more = signalling.join().map_err(|_| "the signalling thread panicked")??;
    let captured = finish(&shared, core)?;
    report(arguments, capacity, calls, each, [high, low], more, &captured);
    Ok(())
}

/// A running capture core.
struct Running {
    thread: JoinHandle<Captured>,
    clock: CaptureClock,
}

/// Opens the source and starts the capture core, which knows `calls` calls.
fn start(
    arguments: &Arguments,
    calls: u32,
    admission: Option<AdmissionConfig>,
) -> Result<(Arc<Shared>, Running), String> {
    let clock = CaptureClock::start();
    let source = AfXdpSource::open(&AfXdpConfig::new(&[&arguments.near]), clock);
    let source = source.map_err(|error| error.to_string())?;
    let shared = Arc::new(Shared::default());
    let seen = Arc::clone(&shared);
    let each = arguments.packets_of_a_stream();
    let slow = Duration::from_nanos(u64::from(arguments.slow_ns));
    let thread = thread::spawn(move || capture(source, clock, calls, (each, slow), admission, &seen));
    // Until the capture core waits for frames.
    thread::sleep(Duration::from_secs(1));
    Ok((shared, Running { thread, clock }))
}

fn finish(shared: &Shared, core: Running) -> Result<Captured, String> {
    thread::sleep(Duration::from_millis(300));
    shared.stop.store(true, Ordering::Relaxed);
    core.thread.join().map_err(|_| "the capture core panicked".to_owned())
}

fn sender(arguments: &Arguments, calls: u32) -> Result<LiveSender, String> {
    core_affinity::set_for_current(CoreId { id: CPUS[0] });
    LiveSender::open(&arguments.far, &calls::streams(calls)).map_err(|error| error.to_string())
}

/// Sends the signalling of further calls, spread over the time of the load; says how many frames.
fn signal(arguments: &Arguments, calls: u32) -> Result<JoinHandle<Result<u64, String>>, String> {
    let sender = FrameSender::open(&arguments.far).map_err(|error| error.to_string())?;
    let (more, seconds) = (arguments.more_calls, arguments.seconds);
    Ok(thread::spawn(move || {
        core_affinity::set_for_current(CoreId { id: CPUS[0] });
        let pause = Duration::from_secs(u64::from(seconds)) / more.max(1);
        let mut sent = 0;
        for call in calls..calls + more {
            for datagram in calls::signalling(call) {
                let ethernet = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], datagram.as_slice()].concat();
                sender.send(&ethernet).map_err(|error| error.to_string())?;
                sent += 1;
            }
            thread::sleep(pause);
        }
        Ok(sent)
    }))
}

/// The capture core's thread.
fn capture(
    mut source: AfXdpSource,
    clock: CaptureClock,
    calls: u32,
    (each, slow): (u32, Duration),
    admission: Option<AdmissionConfig>,
    shared: &Shared,
) -> Captured {
    core_affinity::set_for_current(CoreId { id: CPUS[1] });
    let mut core =
        CaptureCore::new(core_config(Depth::Payload), Compared { each, slow, ..Compared::default() });
    if let Some(admission) = admission {
        core = core.with_admission(admission);
    }
    calls::set_up(&mut core, clock.now(), calls);
    let in_process = core.ledger().received;
    let (mut next, mut lost) = (Nanos::ZERO, [0; 3]);
    let (mut first, mut per_second) = (None, 0.0);
    capture_loop(&mut source, &mut core, &shared.stop, AfterError::Stop, |source, core| {
        let (now, fell_at) = (clock.now(), Nanos(shared.fell_at.load(Ordering::Relaxed)));
        if now < next {
            return;
        }
        next = now + SAMPLE;
        let taken = core.ledger().received - in_process;
        let (since, before) = *first.get_or_insert((now, taken));
        if taken == 0 {
            first = None;
        } else if (fell_at == Nanos::ZERO || now < fell_at) && now > since {
            per_second = (taken - before) as f64 * 1e9 / (now - since).0 as f64;
        }
        let rings = source.ring_load();
        lost[0] = rings.lost;
        if fell_at == Nanos::ZERO || now < fell_at {
            lost[1] = rings.lost;
        }
        if fell_at == Nanos::ZERO || now < fell_at + GRACE {
            lost[2] = rings.lost;
        }
        let (lost_frames, ring) = (rings.lost, Fill(rings.fullest));
        core.handle_pressure(&Pressure { lost_frames, ring, ..Pressure::default() });
    });
    let (ledger, counts) = (core.ledger().clone(), core.admission_counts());
    let output = std::mem::take(core.output());
    lost[0] = source.ring_load().lost;
    Captured { ledger, counts, xdp: source.xdp_counts(), output, lost, per_second }
}

fn report(
    arguments: &Arguments,
    capacity: u32,
    calls: u32,
    each: u32,
    [high, low]: [LiveReport; 2],
    more: u64,
    captured: &Captured,
) {
    let rate = |sent: &LiveReport| sent.sent as f64 * 1e3 / sent.elapsed_ns as f64;
    let Captured { ledger, counts, xdp, output, lost, .. } = captured;
    let shed = |wanted: fn(&Shed) -> bool| {
        output.shed.iter().filter(|(call, shed)| call.0 < calls && wanted(shed)).count()
    };
    let (refused, cut) =
        (shed(|shed| matches!(shed, Shed::Refused(_))), shed(|shed| matches!(shed, Shed::Cut(_))));
    let kept = || (0..calls).filter(|call| !output.shed.contains_key(&CallKey(*call)));
    let is_whole =
        |ssrc: u32| output.streams.get(&ssrc).is_some_and(|stream| stream.packets == each && !stream.differs);
    let whole = kept().filter(|call| is_whole(2 * call) && is_whole(2 * call + 1)).count();
    println!(
        "offered {:.3} M/s ({} % of {:.3} M/s) by {calls} calls, budget {} %: refused {refused}, cut {cut}, kept {}, \
         of which {whole} bit-exact ({:.2} %)",
        rate(&high),
        arguments.load_percent,
        f64::from(capacity) / 1e6,
        arguments.budget_percent,
        kept().count(),
        100.0 * whole as f64 / kept().count().max(1) as f64,
    );
    println!(
        "  lost in rings: {} under load, {} in 100 ms after it fell, {} later (at {:.3} M/s)",
        lost[1],
        lost[2] - lost[1],
        lost[0] - lost[2],
        rate(&low)
    );
    let signalled = ledger.signalling - u64::from(2 * calls);
    println!(
        "  signalling: sent {more}, read {signalled}; by {} calls in all: {counts:?}",
        calls + arguments.more_calls
    );
    let residuals: Vec<[i64; 2]> =
        xdp.iter().map(|it| [it.program_residual(), it.redirect_residual()]).collect();
    println!(
        "  residuals: program and redirect {residuals:?}, core {}; dropped here {}",
        ledger.residual(),
        ledger.dropped_total()
    );
}
