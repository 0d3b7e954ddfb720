//! `nightjar-sensor replay`: capture files to calls.jsonl and recordings.

mod recorder;
mod rows;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use nightjar_capture::{CaptureFiles, Paced, PacketSource, SourceError};
use nightjar_flow::Limits;
use nightjar_pipeline::{
    AfterError, Analysed, CaptureCore, CoreConfig, CoreOutput, Depth, Snapshots, capture_loop,
};
use nightjar_schema::EndCause;
use nightjar_signal::SignalConfig;
use nightjar_wire::{Nanos, Realms};

use crate::args::{Mode, Replay, Sound, Speed};
use crate::config::{RealmSettings, load_realms};
use crate::cpu;
use crate::progress::Progress;
use crate::summary::Summary;
use recorder::Recorder;
use rows::RowWriter;

/// Why a replay failed. What was recorded before the fault is intact.
#[derive(Debug)]
pub struct ReplayError(String);

impl std::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReplayError {}

/// Replays and prints the summary.
///
/// # Errors
/// When a file cannot be read to its end or a result cannot be written; the summary was printed
/// then, of what could be.
pub fn run(args: &Replay) -> Result<(), ReplayError> {
    let summary = summarise(args)?;
    if args.json {
        let json = serde_json::to_string(&summary).map_err(|error| ReplayError(error.to_string()))?;
        print(&format!("{json}\n"))?;
    } else {
        print(&summary.to_text())?;
    }
    if summary.errors.is_empty() { Ok(()) } else { Err(ReplayError(summary.errors.join("\n"))) }
}

/// Prints the summary; whoever reads it may have gone, or its disk be full.
fn print(text: &str) -> Result<(), ReplayError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| ReplayError(format!("cannot print the summary on standard output: {error}")))
}

/// Replays. Faults on the way (a file that breaks off, a recording that cannot be written) are in
/// the summary's `errors`, with all that could be done.
///
/// # Errors
/// When there is nothing to summarise: no file can be read, or nothing can be written.
pub fn summarise(args: &Replay) -> Result<Summary, ReplayError> {
    let sound = Sound::new(args.format, args.channels, args.stereo)
        .map_err(|refused| ReplayError(format!("--stereo {refused}")))?;
    let source = CaptureFiles::open(&args.files).map_err(|error| ReplayError(error.to_string()))?;
    let out = RowWriter::create(&args.out).map_err(ReplayError)?;
    let started = Instant::now();
    let mut summary = match args.speed {
        Speed::Max => replay(args, sound, source, out),
        Speed::Realtime => replay(args, sound, Paced::realtime(source), out),
    }
    .map_err(ReplayError)?;
    summary.set_process(started);
    Ok(summary)
}

fn replay<S: PacketSource>(
    args: &Replay,
    sound: Sound,
    source: S,
    rows: RowWriter,
) -> Result<Summary, String> {
    let realms = args.realms.as_deref().map(load_realms).transpose().map_err(|error| error.to_string())?;
    let realms = realms.unwrap_or_default();
    match args.mode {
        Mode::Analyse => Ok(analyse(args, &realms, source, rows)),
        Mode::Journal | Mode::Record => record(args, &realms, sound, source, rows),
    }
}

fn analyse<S: PacketSource>(
    args: &Replay,
    realms: &RealmSettings,
    mut source: S,
    mut rows: RowWriter,
) -> Summary {
    let config = core_config(args, Depth::Headers, realms);
    let mut core = CaptureCore::new(config, Analysed::new(|row| rows.write(&row)));
    let mut summary = Summary::default();
    let errors = drive(&mut source, &mut core);
    finish(&mut summary, &core, &errors);
    drop(core);
    rows.finish(&mut summary);
    summary
}

fn record<S: PacketSource>(
    args: &Replay,
    realms: &RealmSettings,
    sound: Sound,
    mut source: S,
    rows: RowWriter,
) -> Result<Summary, String> {
    let (recorder, output) = Recorder::start(args, sound, rows)?;
    let mut core = CaptureCore::new(core_config(args, Depth::Payload, realms), output);
    let mut summary = Summary::default();
    let errors = drive(&mut source, &mut core);
    finish(&mut summary, &core, &errors);
    drop(core);
    recorder.finish(&mut summary);
    Ok(summary)
}

/// Runs the capture to its end and closes what is open.
fn drive<S: PacketSource, O: CoreOutput>(source: &mut S, core: &mut CaptureCore<O>) -> Vec<SourceError> {
    let stop = AtomicBool::new(false);
    let mut progress = Progress::new();
    let errors = capture_loop(source, core, &stop, AfterError::GoOn, |source, core| {
        progress.update(source.progress(), core.ledger().received, core.closed_calls());
    });
    core.finish(EndCause::CaptureEnd);
    core.end_batch(Nanos::ZERO);
    progress.finish();
    errors
}

fn finish<O: CoreOutput>(summary: &mut Summary, core: &CaptureCore<O>, errors: &[SourceError]) {
    summary.packets = core.ledger().clone();
    summary.capture_seconds = core.capture_span().as_secs_f64();
    summary.cpu_seconds.capture = cpu::thread_seconds();
    summary.errors = errors.iter().map(ToString::to_string).collect();
}

fn core_config(args: &Replay, depth: Depth, realms: &RealmSettings) -> CoreConfig {
    let signal = SignalConfig { sensor: args.sensor.clone(), ..SignalConfig::default() };
    CoreConfig {
        depth,
        snapshots: Snapshots::Never,
        checkpoint_every: Nanos::MAX,
        signal,
        limits: Limits::default(),
        realms: Realms::new(realms.rules.clone()),
        vxlan: realms.vxlan,
    }
}

/// A message about a path that cannot be written.
fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    let advice = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "; choose another --out or grant the right to write there",
        std::io::ErrorKind::StorageFull => "; the disk is full: free space or choose another --out",
        _ => "",
    };
    format!("cannot write {}: {error}{advice}", path.display())
}
