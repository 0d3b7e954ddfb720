//! `nightjar-sensor run`: captures live, as a configuration says, until it is told to stop.

mod desk;
mod disk_watch;
mod live_source;
mod load_watch;
mod restart;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nightjar_capture::{CaptureClock, CaptureFiles, Paced, PacketSource};
use nightjar_flow::Limits;
use nightjar_journal::{
    BlockPool, JournalConfig, Overflow, SegmentWriter, SpoolDirectory, SpoolDropped, SpooledCall,
};
use nightjar_media::SAMPLE_RATE;
use nightjar_pipeline::{
    AfterError, CaptureCore, CoreConfig, CoreOutput, Depth, Journalled, Keep, Snapshots, WorkerConfig,
    capture_loop,
};
use nightjar_schema::{CallState, EndCause};
use nightjar_signal::{Directory, SignalConfig};
use nightjar_store::{ControlConfig, Durability, OutboxConfig, RecordingStore, Uploader, open_outbox};
use nightjar_wire::{Nanos, Realms};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::args::Run;
use crate::cards::Cards;
use crate::config::{Config, Input};
use crate::cpu;
use crate::metrics::{self, Measured, Publisher};
use crate::privilege;
use crate::profile::plan::HostPlan;
use crate::summary::{AdmissionSummary, SourceSummary, Summary, XdpSummary};
use crate::workers::{BLOCKS, Setup, worker_config, worker_count};
use desk::SharedDesk;
use disk_watch::DiskWatch;
use live_source::LiveSource;
use load_watch::LoadWatch;
use restart::{Restart, restart};

/// How long delivery to control may take at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// The outbox's share of the disk.
const OUTBOX_LIMIT: u64 = 4 << 30;

/// Captures until SIGTERM or SIGINT, then closes what is open and prints the summary.
///
/// # Errors
/// What cannot be used, and what to do about it.
pub fn run(args: &Run) -> Result<(), String> {
    let filter = EnvFilter::try_from_env("NIGHTJAR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let mut config = crate::config::load(&args.config).map_err(|error| error.to_string())?;
    if let Input::Interfaces(interfaces) = &config.input {
        config.host = HostPlan::take(config.host_profile.as_deref(), interfaces)?;
        config.workers = if config.workers == 0 { config.host.worker_count() } else { config.workers };
    }
    let stop = stop_on_signals()?;
    privilege::keep_what_setup_takes()?;
    if let Input::Interfaces(interfaces) = &config.input {
        config.method = privilege::check_live(&config, interfaces)?;
    }
    let _lock = lock_data_dir(&config.data_dir)?;
    let metrics = config.metrics.map(metrics::bind).transpose()?;
    let clock = CaptureClock::start();
    if !config.realms.rules.is_empty() {
        tracing::info!("realms, each with what its frames are told by: {}", config.realms);
    }
    match &config.input {
        Input::Interfaces(interfaces) => {
            let source = LiveSource::open(&config, interfaces, clock)?;
            let now = clock.now();
            privilege::give_up(config.seccomp)?;
            tracing::info!("capturing from {}", interfaces.join(", "));
            capture_with(&config, Measured::live(source, clock), now, metrics, &stop)
        }
        Input::Files(files) => {
            let source = CaptureFiles::open(files).map_err(|error| error.to_string())?;
            privilege::give_up(config.seccomp)?;
            capture_with(&config, Measured::untimed(Paced::realtime(source)), clock.now(), metrics, &stop)
        }
    }
}

fn stop_on_signals() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| format!("cannot listen for signals: {error}"))?;
    }
    Ok(stop)
}

/// Makes the data folder and takes it for this process alone.
fn lock_data_dir(data_dir: &Path) -> Result<File, String> {
    let cannot =
        |error: std::io::Error| format!("cannot use the data folder {}: {error}", data_dir.display());
    fs::create_dir_all(data_dir).map_err(cannot)?;
    let lock = File::create(data_dir.join(".lock")).map_err(cannot)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(format!(
            "{} is in use by another sensor; stop it, or set another data_dir",
            data_dir.display()
        )),
        Err(fs::TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Captures from a source that gives every frame since `now`.
fn capture_with<S: PacketSource>(
    config: &Config,
    mut source: Measured<S>,
    now: Nanos,
    metrics: Option<TcpListener>,
    stop: &AtomicBool,
) -> Result<(), String> {
    let (started, started_at) = (Instant::now(), metrics::Sources::now());
    let cards = Arc::new(Cards::watch(config.input.interfaces()));
    let text = |error: nightjar_store::StoreError| error.to_string();
    let (outbox, uploader) = start_delivery(config)?;
    let desk = SharedDesk::open(&config.data_dir, outbox)?;
    let pool = BlockPool::new(BLOCKS);
    let directory = config.data_dir.join("journal");
    let (spool, spooled) = open_spool(&config.data_dir)?;
    let goes_on = |call| spooled.get(&call).is_some_and(|spooled| !spooled.resume_state.is_empty());
    let store = RecordingStore::reopen(&config.data_dir, Durability::PowerLoss, goes_on).map_err(text)?;
    let mut setup = Setup {
        pool: &pool,
        journal: None,
        overflow: Overflow::Shed,
        count: worker_count(config.workers),
        config: live_worker_config(config),
        spool: &spool,
        store: &store,
    };
    let limits = Limits::default();
    let Restart { flows, open, found, packets: recovered } =
        restart(&directory, spooled, &setup, limits, &desk)?;
    let mut journal = JournalConfig::new(&directory, &config.name, config.journal_limit_mib << 20);
    journal.first_segment = found.next_run();
    let journal = SegmentWriter::start(journal, &pool).map_err(|error| error.to_string())?;
    setup.journal = Some(journal.journal());
    let earlier = open.earlier();
    let (workers, lanes) = setup.start(open, &desk)?;
    let (news, news_thread) = desk::start_news(&desk);
    let output = Journalled::new(lanes, news, config.control.is_some());
    let mut core = CaptureCore::new(core_config(config, source.interfaces(), limits), output)
        .with_admission(config.admission.clone());
    let restored = core.restore(flows, found, now);
    if restored.abandoned > 0 {
        tracing::warn!("too little is left of {} calls to go on with them", restored.abandoned);
    }

    let calls = desk.clone();
    let sources = metrics::Sources {
        cards: Arc::clone(&cards),
        audio: workers.ledgers(),
        journal: journal.journal().clone(),
        pool: pool.clone(),
        calls: Box::new(move || calls.lock().counts()),
        delivery: uploader.as_ref().map(Uploader::watch),
        started: started_at,
    };
    let publisher = metrics.map(|listener| serve_metrics(listener, sources, &mut source, &core));
    let mut publisher = publisher.transpose()?;

    let mut recovering = true;
    let mut disk = DiskWatch::new(&directory);
    let mut load = LoadWatch::new(&pool, journal.journal());
    let errors = capture_loop(&mut source, &mut core, stop, AfterError::Stop, |source, core| {
        if recovering && !earlier.are_needed() {
            recovering = false;
            journal.journal().forget_recovered();
        }
        disk.look_at(journal.journal().state());
        load.sample_when_due(source, core);
        if let Some(publisher) = &mut publisher {
            publisher.publish_when_due(source, core);
        }
    });
    tracing::info!("stopping: {} calls in progress are closed", calls_in_progress(core.directory()));
    core.finish(EndCause::Shutdown);
    core.end_batch(Nanos::ZERO);
    if let Some(publisher) = &publisher {
        publisher.publish(&mut source, &core);
    }

    let mut summary = Summary {
        packets: core.ledger().clone(),
        admission: Some(AdmissionSummary::new(&core.admission_counts())),
        capture_seconds: core.capture_span().as_secs_f64(),
        recovered_packets: recovered,
        source: Some(SourceSummary::new(&source.statistics())),
        cards: cards.counts(),
        xdp: source.xdp_counts().iter().map(XdpSummary::new).collect(),
        errors: errors.iter().map(ToString::to_string).collect(),
        ..Summary::default()
    };
    summary.cpu_seconds.capture = cpu::thread_seconds();
    drop(core);
    summary.set_workers(workers.join());
    // The news' sender went with the core: the thread ends.
    let _ = news_thread.join();
    let figures = journal.finish();
    summary.set_journal(&figures);
    summary.errors.extend(disk.report(&figures));
    let (counts, errors) = {
        let mut desk = desk.lock();
        desk.commit();
        desk.take_report()
    };
    summary.set_calls(counts);
    summary.errors.extend(errors);
    summary.set_delivery(uploader.map(|uploader| uploader.drain(DRAIN)));
    summary.set_process(started);
    report(&config.data_dir, &summary)
}

/// Serves the metrics; the publisher is for the capture core.
fn serve_metrics<S: PacketSource, O: CoreOutput>(
    listener: TcpListener,
    sources: metrics::Sources,
    source: &mut Measured<S>,
    core: &CaptureCore<O>,
) -> Result<Publisher, String> {
    let (publisher, core_figures) = metrics::handover();
    // The first scrape has every family.
    publisher.publish(source, core);
    metrics::serve(listener, sources, core_figures)?;
    Ok(publisher)
}

/// Prints the summary, and leaves it in the data folder for other programs.
fn report(data_dir: &Path, summary: &Summary) -> Result<(), String> {
    print!("{}", summary.to_text());
    let path = data_dir.join("summary.json");
    let json = serde_json::to_vec(summary).map_err(|error| error.to_string())?;
    fs::write(&path, json).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    if summary.errors.is_empty() { Ok(()) } else { Err(summary.errors.join("\n")) }
}

/// Calls that are not over yet; those that are may still wait for late messages.
fn calls_in_progress(directory: &Directory) -> usize {
    let rows = directory.open_calls().filter_map(|call| directory.row(call));
    rows.filter(|row| row.state == CallState::Active).count()
}

fn start_delivery(
    config: &Config,
) -> Result<(Option<nightjar_store::OutboxWriter>, Option<Uploader>), String> {
    let Some(control) = &config.control else { return Ok((None, None)) };
    let outbox = OutboxConfig { directory: config.data_dir.join("outbox"), limit_bytes: OUTBOX_LIMIT };
    let (writer, reader) = open_outbox(&outbox).map_err(|error| error.to_string())?;
    let target = ControlConfig {
        base_url: control.url.clone(),
        token: control.token.clone(),
        ca_file: control.ca_file.clone(),
    };
    let uploader = Uploader::start(&target, reader, &config.data_dir).map_err(|error| error.to_string())?;
    Ok((Some(writer), Some(uploader)))
}

/// The spool, and what an earlier run has left in it.
fn open_spool(data_dir: &Path) -> Result<(SpoolDirectory, BTreeMap<Uuid, SpooledCall>), String> {
    let opened = SpoolDirectory::open(&data_dir.join("spool"));
    let (directory, recovery) = opened.map_err(|error| error.to_string())?;
    for dropped in &recovery.dropped {
        let SpoolDropped { path, offset, bytes, reason } = dropped;
        let path = path.display();
        tracing::warn!("spool: {path} is unusable from byte {offset} on ({bytes} bytes): {reason:?}");
    }
    let calls = recovery.calls.into_iter();
    Ok((directory, calls.map(|(call, spooled)| (Uuid::from_u128(call), spooled)).collect()))
}

fn live_worker_config(config: &Config) -> WorkerConfig {
    let mut worker = worker_config(config.sound, Keep::Audio);
    worker.recording.cut_every = config.save_every_s * u64::from(SAMPLE_RATE);
    worker
}

fn core_config(config: &Config, interfaces: &[String], limits: Limits) -> CoreConfig {
    let signal = SignalConfig {
        sensor: config.name.clone(),
        interfaces: interfaces.to_vec(),
        media_timeout: Nanos::from_secs(config.media_timeout_s),
        max_calls: config.max_calls as usize,
        ..SignalConfig::default()
    };
    CoreConfig {
        depth: Depth::Payload,
        snapshots: Snapshots::OnChange,
        // Two to each time that its audio is saved.
        checkpoint_every: Nanos::from_millis(500 * config.save_every_s),
        signal,
        limits,
        realms: Realms::new(config.realms.rules.clone()),
        vxlan: config.realms.vxlan,
    }
}
