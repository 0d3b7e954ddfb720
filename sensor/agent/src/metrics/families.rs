//! What each figure is called and what it says: one place for all names.
//!
//! Labels are interfaces, queues, cores, workers, reasons and states; never a number, an address or
//! anything else of a call.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nightjar_capture::{SocketCounts, SocketKind, XdpCounts};
use nightjar_journal::{BlockPool, Journal, JournalState, SYNC_BOUNDS_NS};
use nightjar_pipeline::{AudioLedger, Ledger, SharedAudioLedger};
use nightjar_store::{UploadState, UploadWatch};
use nightjar_wire::xdp::Counter;

use super::admission;
use super::exposition::{Buckets, Exposition, Kind};
use super::handover::Snapshot;
use super::measured::Distribution;
use crate::cards::{CardCounts, Cards};
use crate::cpu;
use crate::summary::CallCounts;

/// Upper bounds of the latencies, µs.
const LATENCY_US: [u64; 13] =
    [250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];
/// Upper bounds of the batches.
const BATCH_FRAMES: [u64; 9] = [1, 4, 16, 32, 64, 128, 256, 512, 4_096];
/// There is one capture core so far.
const CORE: &[(&str, &str)] = &[("core", "0")];

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
            write_packets(&mut text, &snapshot.ledger);
            admission::write(&mut text, &snapshot.admission);
            write_cards(&mut text, &self.cards.counts());
            write_source(&mut text, snapshot);
            write_xdp(&mut text, &snapshot.xdp);
            write_core(&mut text, snapshot);
        }
        write_audio(&mut text, &self.audio);
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

/// Level 4.
fn write_packets(text: &mut Exposition, ledger: &Ledger) {
    text.counter("nightjar_packets_received_total", "Frames from the source.", ledger.received);
    text.counter("nightjar_packets_signalling_total", "Frames of signalling.", ledger.signalling);
    text.counter("nightjar_packets_recorded_total", "Frames appended to the journal.", ledger.recorded);
    let help = help_of_reasons("Frames that concern no call", ledger.ignored_by_reason());
    let mut family = text.family("nightjar_packets_ignored_total", Kind::Counter, &help);
    for (reason, _, frames) in ledger.ignored_by_reason() {
        family.sample(&[("reason", reason)], frames);
    }
    let help = help_of_reasons("Frames that could not be used", ledger.dropped_by_reason());
    let mut family = text.family("nightjar_packets_dropped_total", Kind::Counter, &help);
    for (reason, _, frames) in ledger.dropped_by_reason() {
        family.sample(&[("reason", reason)], frames);
    }
    text.gauge("nightjar_packets_held", "Frames in pre-roll and reassembly.", ledger.held);
    let help = "Received frames less everything that they went to: 0.";
    text.gauge("nightjar_packets_residual", help, ledger.residual());
}

fn help_of_reasons(what: &str, reasons: impl Iterator<Item = (&'static str, &'static str, u64)>) -> String {
    let mut help = format!("{what}, by reason:");
    for (at, (name, of_it, _)) in reasons.enumerate() {
        let _ = write!(help, "{} {name}: {of_it}", if at == 0 { "" } else { ";" });
    }
    help + "."
}

fn write_source(text: &mut Exposition, snapshot: &Snapshot) {
    let counts = &snapshot.source;
    let counters = [
        ("nightjar_source_received_total", "Frames that the source gave.", counts.received),
        (
            "nightjar_source_received_bytes_total",
            "Bytes of them, as far as they were captured.",
            counts.bytes,
        ),
        (
            "nightjar_source_truncated_total",
            "Frames of which less was captured than was sent.",
            counts.truncated,
        ),
        ("nightjar_source_unknown_link_total", "Frames of link layers not decoded.", counts.unknown_link),
        ("nightjar_source_out_of_order_total", "Frames given behind a later one.", counts.out_of_order),
        (
            "nightjar_source_ring_full_total",
            "Frames that the kernel dropped: its ring was full.",
            counts.ring_full,
        ),
    ];
    for (name, help, count) in counters {
        text.family(name, Kind::Counter, help).sample(CORE, count);
    }
    text.family("nightjar_source_in_ring", Kind::Gauge, "Frames that wait in the kernel's ring.")
        .sample(CORE, counts.in_ring);
    text.family("nightjar_source_interfaces_down", Kind::Gauge, "Captured interfaces that are down.")
        .sample(CORE, counts.interfaces_down);
}

/// Level 1.
fn write_cards(text: &mut Exposition, cards: &[CardCounts]) {
    if cards.is_empty() {
        return;
    }
    let mut each = |name, help, counters: fn(&CardCounts) -> &[(String, u64)]| {
        let mut family = text.family(name, Kind::Counter, help);
        for card in cards {
            for (counter, count) in counters(card) {
                family.sample(&[("interface", &card.interface), ("counter", counter.trim())], count);
            }
        }
    };
    let help =
        "Frames that the interface's card lost before they could be captured, by the driver's counter.";
    each("nightjar_card_missed_total", help, |card| &card.missed);
    let help = "What explains a loss, by the driver's counter; repeats other counts, no term of the ledger.";
    each("nightjar_card_explains_total", help, |card| &card.explains);
}

/// Levels 2 and 3.
fn write_xdp(text: &mut Exposition, interfaces: &[XdpCounts]) {
    if interfaces.is_empty() {
        return;
    }
    for counter in Counter::ALL {
        let mut family = text.family(xdp_name(counter), Kind::Counter, counter.help());
        for counts in interfaces {
            family.sample(&[("interface", &counts.interface)], counts.of(counter));
        }
    }
    let mut each = |name, kind, help, value: &dyn Fn(&XdpCounts) -> i64| {
        let mut family = text.family(name, kind, help);
        for counts in interfaces {
            family.sample(&[("interface", &counts.interface)], value(counts));
        }
    };
    let help = "Frames that the XDP program saw less those whose fate it counted: 0 when no frame comes.";
    each("nightjar_xdp_program_residual", Kind::Gauge, help, &XdpCounts::program_residual);
    let help = "Redirected frames that no socket knows of: failed, or on their way while frames come.";
    each("nightjar_xdp_redirect_failed", Kind::Gauge, help, &XdpCounts::redirect_failed);
    let help = "Endpoints that found the XDP program's map full: their media is told by its shape.";
    let full = |counts: &XdpCounts| counts.endpoints_full as i64;
    each("nightjar_xdp_endpoints_full_total", Kind::Counter, help, &full);
    write_sockets(text, interfaces);
}

/// One socket's count, by name.
type SocketFigure = (&'static str, Kind, &'static str, fn(&SocketCounts) -> u64);

fn write_sockets(text: &mut Exposition, interfaces: &[XdpCounts]) {
    let figures: [SocketFigure; 5] = [
        ("nightjar_xdp_socket_received_total", Kind::Counter, "Frames taken from the socket's ring.", |s| {
            s.received
        }),
        ("nightjar_xdp_socket_waiting", Kind::Gauge, "Frames that wait in the socket's ring.", |s| s.waiting),
        (
            "nightjar_xdp_socket_ring_full_total",
            Kind::Counter,
            "Frames lost: the socket's ring was full.",
            |s| s.ring_full,
        ),
        (
            "nightjar_xdp_socket_dropped_total",
            Kind::Counter,
            "Frames lost: no free chunk, or too long.",
            |s| s.dropped,
        ),
        (
            "nightjar_xdp_socket_fill_empty_total",
            Kind::Counter,
            "Times that the fill ring was empty; explains dropped, no term of the ledger.",
            |s| s.fill_empty,
        ),
    ];
    for (name, kind, help, value) in figures {
        let mut family = text.family(name, kind, help);
        for counts in interfaces {
            for socket in &counts.sockets {
                let queue = socket.queue.to_string();
                let kind = match socket.kind {
                    SocketKind::Signalling => "signalling",
                    SocketKind::Media => "media",
                };
                let labels = [("interface", counts.interface.as_str()), ("queue", &queue), ("socket", kind)];
                family.sample(&labels, value(socket));
            }
        }
    }
}

fn xdp_name(counter: Counter) -> &'static str {
    match counter {
        Counter::Seen => "nightjar_xdp_seen_total",
        Counter::SeenBytes => "nightjar_xdp_seen_bytes_total",
        Counter::Signalling => "nightjar_xdp_signalling_total",
        Counter::Media => "nightjar_xdp_media_total",
        Counter::DroppedNever => "nightjar_xdp_dropped_never_total",
        Counter::DroppedCut => "nightjar_xdp_dropped_cut_total",
        Counter::DroppedUnwanted => "nightjar_xdp_dropped_unwanted_total",
        Counter::PassedUnwanted => "nightjar_xdp_passed_unwanted_total",
        Counter::PassedNoSocket => "nightjar_xdp_passed_no_socket_total",
        Counter::Aborted => "nightjar_xdp_aborted_total",
        Counter::ByEndpoint => "nightjar_xdp_by_endpoint_total",
        Counter::ByRange => "nightjar_xdp_by_range_total",
        Counter::ByShape => "nightjar_xdp_by_shape_total",
        Counter::Fragments => "nightjar_xdp_fragments_total",
        Counter::NotIp => "nightjar_xdp_not_ip_total",
        Counter::Damaged => "nightjar_xdp_damaged_total",
    }
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

/// Level 5.
fn write_audio(text: &mut Exposition, workers: &[Arc<SharedAudioLedger>]) {
    text.gauge("nightjar_media_workers", "Media workers.", workers.len());
    let help = "What became of the recorded packets of closed calls: encoded; duplicate; late; lost between \
                journal and recording; rtcp; undecodable: no decoder; malformed; copy: of another stream; \
                not_wanted: a fork that was not answered, or outside the call's time.";
    let mut family = text.family("nightjar_audio_packets_total", Kind::Counter, help);
    for (number, ledger) in workers.iter().enumerate() {
        let number = number.to_string();
        let AudioLedger { encoded, duplicate, late, lost, discarded } = ledger.ledger();
        let fates = [
            ("encoded", encoded),
            ("duplicate", duplicate),
            ("late", late),
            ("lost", lost),
            ("rtcp", discarded.rtcp),
            ("undecodable", discarded.undecodable),
            ("malformed", discarded.malformed),
            ("copy", discarded.copy),
            ("not_wanted", discarded.not_wanted),
        ];
        for (fate, packets) in fates {
            family.sample(&[("worker", &number), ("fate", fate)], packets);
        }
    }
}

fn write_calls(text: &mut Exposition, counts: &CallCounts) {
    let mut family =
        text.family("nightjar_calls_total", Kind::Counter, "Calls written down, by their state.");
    for (state, calls) in &counts.by_state {
        family.sample(&[("state", state)], calls);
    }
    text.counter("nightjar_recordings_total", "Recordings of these calls.", counts.recordings);
    text.counter("nightjar_streams_total", "Media streams of these calls.", counts.streams);
    text.counter("nightjar_audio_seconds_total", "Length of these recordings.", counts.audio_seconds);
    text.counter("nightjar_gaps_total", "Gaps in these recordings.", counts.gaps);
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
    for (name, help, count) in counters {
        text.counter(name, help, count);
    }
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
    for (name, help, value) in gauges {
        text.gauge(name, help, value);
    }
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
    text.counter("nightjar_delivery_events_total", "Events that control has taken.", status.delivered);
    text.counter("nightjar_delivery_rejected_events_total", "Events that control refused.", status.rejected);
    text.counter(
        "nightjar_delivery_recordings_total",
        "Recordings that control has taken.",
        status.recordings,
    );
    text.counter(
        "nightjar_delivery_missing_recordings_total",
        "Recordings gone before delivery.",
        status.missing,
    );
}
