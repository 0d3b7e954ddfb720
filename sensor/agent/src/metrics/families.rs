//! What each figure is called and what it says: one place for all names.
//!
//! Labels are interfaces, queues, cores, workers, reasons and states; never a number, an address or
//! anything else of a call.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nightjar_journal::{BlockPool, Journal, JournalState, SYNC_BOUNDS_NS};
use nightjar_pipeline::SharedAudioLedger;
use nightjar_store::{UploadState, UploadWatch};

use super::admission;
use super::exposition::{Buckets, Exposition, Kind};
use super::handover::Snapshot;
use super::levels;
use super::measured::Distribution;
use crate::cards::Cards;
use crate::cpu;
use crate::summary::CallCounts;

/// Upper bounds of the latencies, µs.
const LATENCY_US: [u64; 13] =
    [250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];
/// Upper bounds of the batches.
const BATCH_FRAMES: [u64; 9] = [1, 4, 16, 32, 64, 128, 256, 512, 4_096];
/// There is one capture core so far.
pub(super) const CORE: &[(&str, &str)] = &[("core", "0")];

/// Where the figures are read.
pub(crate) struct Sources {
    /// Those of the captured interfaces.
    pub(crate) cards: Arc<Cards>,
    /// The media workers', in their order.
    pub(crate) audio: Vec<Arc<SharedAudioLedger>>,
    /// The journal's.
    pub(crate) journal: Journal,
    /// Its blocks.
    pub(crate) pool: BlockPool,
    /// Calls that were written down.
    pub(crate) calls: Box<dyn Fn() -> CallCounts + Send>,
    /// Delivery to control, if there is one.
    pub(crate) delivery: Option<UploadWatch>,
    /// When the process started, seconds since the epoch.
    pub(crate) started: f64,
}

impl Sources {
    /// The wall clock, for [`Sources::started`].
    pub(crate) fn now() -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    /// Everything, as text.
    pub(super) fn render(&self, core: Option<&Snapshot>) -> String {
        let mut text = Exposition::default();
        text.family("nightjar_build_info", Kind::Gauge, "The program's version.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        write_process(&mut text, self.started);
        if let Some(snapshot) = core {
            levels::write_cards(&mut text, &self.cards.counts());
            levels::write_xdp(&mut text, &snapshot.xdp);
            levels::write_source(&mut text, &snapshot.source);
            levels::write_packets(&mut text, &snapshot.ledger);
            admission::write(&mut text, &snapshot.admission);
            write_core(&mut text, snapshot);
        }
        levels::write_audio(&mut text, &self.audio);
        write_calls(&mut text, &(self.calls)());
        write_journal(&mut text, &self.journal, &self.pool);
        if let Some(delivery) = &self.delivery {
            write_delivery(&mut text, delivery);
        }
        text.into_text()
    }
}

fn write_process(text: &mut Exposition, started: f64) {
    text.counter(
        "process_cpu_seconds_total",
        "CPU time of the process, user and system.",
        cpu::process_seconds(),
    );
    text.gauge("process_resident_memory_bytes", "Memory that the process holds.", cpu::memory());
    text.gauge(
        "nightjar_peak_memory_bytes",
        "The most memory that the process has held.",
        cpu::peak_memory(),
    );
    text.gauge("process_start_time_seconds", "When the process started, since the epoch.", started);
}

fn write_core(text: &mut Exposition, snapshot: &Snapshot) {
    text.family(
        "nightjar_capture_cpu_seconds_total",
        Kind::Counter,
        "CPU time of the capture core's thread.",
    )
    .sample(CORE, snapshot.cpu_seconds);
    let help = "From the stamp of a batch's oldest frame until the batch was handled, once per batch; none for files.";
    let latency = buckets(&snapshot.latency_us, &LATENCY_US, 1e6);
    text.histogram("nightjar_capture_latency_seconds", help, CORE, &latency);
    let batches = buckets(&snapshot.batch_frames, &BATCH_FRAMES, 1.0);
    text.histogram("nightjar_capture_batch_frames", "Frames per batch.", CORE, &batches);
    text.gauge(
        "nightjar_calls_open",
        "Calls in the directory, ended ones that linger included.",
        snapshot.calls_open,
    );
    text.counter(
        "nightjar_calls_closed_total",
        "Calls that the directory has closed.",
        snapshot.calls_closed,
    );
}

/// In units of `scale` values.
fn buckets(values: &Distribution, bounds: &[u64], scale: f64) -> Buckets {
    let upto = bounds.iter().zip(values.upto(bounds)).map(|(bound, count)| (*bound as f64 / scale, count));
    Buckets { upto: upto.collect(), count: values.count(), sum: values.sum() as f64 / scale }
}

fn write_calls(text: &mut Exposition, counts: &CallCounts) {
    let mut family =
        text.family("nightjar_calls_total", Kind::Counter, "Calls written down, by their state.");
    for (state, calls) in &counts.by_state {
        family.sample(&[("state", state)], calls);
    }
    text.counters(&[
        ("nightjar_recordings_total", "Recordings of these calls.", counts.recordings),
        ("nightjar_streams_total", "Media streams of these calls.", counts.streams),
        ("nightjar_gaps_total", "Gaps in these recordings.", counts.gaps),
    ]);
    text.counter("nightjar_audio_seconds_total", "Length of these recordings.", counts.audio_seconds);
}

fn write_journal(text: &mut Exposition, journal: &Journal, pool: &BlockPool) {
    let figures = journal.figures();
    let counters = [
        (
            "nightjar_journal_written_bytes_total",
            "Bytes written, headers and padding included.",
            figures.bytes,
        ),
        ("nightjar_journal_padding_bytes_total", "Of them, padding to whole pages.", figures.padding),
        ("nightjar_journal_blocks_total", "Blocks written.", figures.blocks),
        ("nightjar_journal_commits_total", "Commits.", figures.commits),
        (
            "nightjar_journal_early_commits_total",
            "Commits before their time, for want of blocks.",
            figures.early_commits,
        ),
        ("nightjar_journal_write_errors_total", "Writes that failed.", figures.write_errors),
        ("nightjar_journal_sync_errors_total", "Calls of fdatasync that failed.", figures.sync_errors),
        ("nightjar_journal_segments_created_total", "Segments created.", figures.segments_created),
        (
            "nightjar_journal_segments_removed_total",
            "Segments removed: nobody needed them.",
            figures.segments_removed,
        ),
        (
            "nightjar_journal_left_to_disk_total",
            "Blocks that a lagging worker reads from disk.",
            figures.left_to_disk,
        ),
        ("nightjar_journal_lost_blocks_total", "Blocks that reached no segment.", figures.lost_blocks),
        ("nightjar_journal_lost_packets_total", "Packets in them.", figures.lost_packets),
        ("nightjar_journal_lost_bytes_total", "Bytes in them.", figures.lost_bytes),
    ];
    text.counters(&counters);
    let in_use = pool.limit() - pool.free();
    let gauges = [
        ("nightjar_journal_used_bytes", "Bytes of all segments on the disk.", figures.used),
        ("nightjar_journal_limit_bytes", "What they may reach.", figures.limit),
        (
            "nightjar_journal_uncommitted_blocks",
            "Sealed blocks that are not durable yet.",
            figures.uncommitted,
        ),
        ("nightjar_journal_memory_blocks", "Blocks of memory.", pool.limit() as u64),
        (
            "nightjar_journal_memory_blocks_in_use",
            "Of them, those that a lane, a worker or the disk needs.",
            in_use as u64,
        ),
    ];
    text.gauges(&gauges);
    let healthy = u8::from(journal.state() == JournalState::Writing);
    text.gauge(
        "nightjar_journal_writing",
        "1 while the disk takes the journal; 0 when it is full or fails.",
        healthy,
    );
    let mut upto = 0;
    let bounds = SYNC_BOUNDS_NS.iter().zip(figures.syncs.counts).map(|(bound, count)| {
        upto += count;
        (*bound as f64 / 1e9, upto)
    });
    let syncs = Buckets {
        upto: bounds.collect(),
        count: figures.syncs.counts.iter().sum(),
        sum: figures.syncs.total_ns as f64 / 1e9,
    };
    text.histogram("nightjar_journal_fdatasync_seconds", "How long each fdatasync took.", &[], &syncs);
}

fn write_delivery(text: &mut Exposition, delivery: &UploadWatch) {
    let status = delivery.status();
    let up = u8::from(status.state == UploadState::Delivering);
    text.gauge("nightjar_delivery_up", "1 while control takes what it is sent.", up);
    text.gauge("nightjar_delivery_pending_events", "Events that control does not have yet.", status.pending);
    text.counters(&[
        ("nightjar_delivery_events_total", "Events that control has taken.", status.delivered),
        ("nightjar_delivery_rejected_events_total", "Events that control refused.", status.rejected),
        ("nightjar_delivery_recordings_total", "Recordings that control has taken.", status.recordings),
        ("nightjar_delivery_missing_recordings_total", "Recordings gone before delivery.", status.missing),
    ]);
}
