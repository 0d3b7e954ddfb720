//! What a replay or a run did: the ledger, calls, recordings and CPU time, for people and as JSON.

mod admission;
mod xdp;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use nightjar_capture::SourceStatistics;
use nightjar_journal::JournalFigures;
use nightjar_pipeline::{AudioLedger, Ledger};
use nightjar_schema::{Call, CallState};
use nightjar_store::UploadStatus;
use serde::Serialize;

pub use crate::cards::CardCounts;
use crate::cpu;
use crate::workers::WorkersReport;
pub use admission::AdmissionSummary;
pub(crate) use xdp::socket_name;
pub use xdp::{SocketSummary, XdpSummary};

/// Seconds of CPU time by stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuSeconds {
    /// Reading packets, signalling, flow table, journal append.
    pub capture: f64,
    /// Ordering, decoding and mixing.
    pub mix: f64,
    /// Encoding and containers.
    pub encode: f64,
    /// Writing recordings and rows.
    pub store: f64,
    /// Writing journal segments.
    pub journal: f64,
    /// The whole process, user and system.
    pub total: f64,
}

/// Counts over the calls that were closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallCounts {
    /// All.
    pub total: u64,
    /// By state.
    pub by_state: BTreeMap<String, u64>,
    /// Streams of all calls.
    pub streams: u64,
    /// Recordings of all calls.
    pub recordings: u64,
    /// Length of the recordings together.
    pub audio_seconds: f64,
    /// Gaps of all recordings.
    pub gaps: u64,
}

impl CallCounts {
    /// Counts one final row.
    pub fn add(&mut self, row: &Call) {
        self.total += 1;
        *self.by_state.entry(state_name(row.state)).or_default() += 1;
        self.streams += row.streams.len() as u64;
        self.recordings += row.recordings.len() as u64;
        self.gaps += row.gaps.len() as u64;
        let ms: u64 = row.recordings.iter().filter_map(|recording| recording.duration_ms).sum();
        self.audio_seconds += ms as f64 / 1e3;
    }
}

/// The name that `calls.jsonl` uses.
fn state_name(state: CallState) -> String {
    let name = serde_json::to_value(state).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or("unknown").to_owned()
}

/// What went to the journal's segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalSummary {
    /// Bytes written, block headers and padding included.
    pub bytes: u64,
    /// Commit intervals in which something was written.
    pub commits: u64,
    /// `fdatasync`s: one per commit, more only after a failure.
    pub fdatasyncs: u64,
    /// Packets that the disk did not take.
    pub lost_packets: u64,
}

/// What a source itself has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceSummary {
    /// Frames that it gave.
    pub received: u64,
    /// Those of them that came too late to be put in order with other interfaces' frames.
    pub out_of_order: u64,
    /// Frames that the kernel dropped because its ring was full; they are in no other count.
    pub ring_full: u64,
}

impl SourceSummary {
    /// From the source's own counts.
    pub fn new(statistics: &SourceStatistics) -> SourceSummary {
        let SourceStatistics { received, out_of_order, ring_full, .. } = *statistics;
        SourceSummary { received, out_of_order, ring_full }
    }
}

/// How far delivery to control came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliverySummary {
    /// Events that control has taken.
    pub events: u64,
    /// Recordings that control has taken.
    pub recordings: u64,
    /// Events that wait for the next start.
    pub pending: u64,
    /// Events that control refused.
    pub rejected: u64,
}

/// Everything that a summary tells.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The ledger of frames.
    pub packets: Ledger,
    /// What became of recorded packets; absent where nothing is decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_packets: Option<AudioLedger>,
    /// Packets of an earlier run whose calls went on in this one: `audio_packets` holds them too.
    pub recovered_packets: u64,
    /// The calls.
    pub calls: u64,
    /// Calls that were admitted, refused and cut; absent where every call is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission: Option<AdmissionSummary>,
    /// Calls by state.
    pub calls_by_state: BTreeMap<String, u64>,
    /// Media streams of calls.
    pub streams: u64,
    /// Recordings.
    pub recordings: u64,
    /// Seconds of recorded audio.
    pub audio_seconds: f64,
    /// Gaps in recordings.
    pub gaps: u64,
    /// Seconds between the first and the last stamp.
    pub capture_seconds: f64,
    /// Seconds that it took.
    pub wall_seconds: f64,
    /// CPU time.
    pub cpu_seconds: CpuSeconds,
    /// The most memory that the process has held at once.
    pub peak_memory_bytes: u64,
    /// What the journal wrote; absent where there is none on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalSummary>,
    /// What a live source has counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceSummary>,
    /// What the captured interfaces' cards have lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<CardCounts>,
    /// What AF_XDP's program and sockets have counted, per interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub xdp: Vec<XdpSummary>,
    /// Delivery to control; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySummary>,
    /// What went wrong, in plain words.
    pub errors: Vec<String>,
}

impl Summary {
    /// Takes over the calls' counts.
    pub fn set_calls(&mut self, counts: CallCounts) {
        self.calls = counts.total;
        self.calls_by_state = counts.by_state;
        self.streams = counts.streams;
        self.recordings = counts.recordings;
        self.audio_seconds = counts.audio_seconds;
        self.gaps = counts.gaps;
    }

    /// Takes over what the workers have done.
    pub(crate) fn set_workers(&mut self, report: WorkersReport) {
        self.cpu_seconds.mix = report.mix_seconds;
        self.cpu_seconds.encode = report.encode_seconds;
        self.audio_packets = Some(report.ledger);
    }

    /// Takes over how far delivery to control came.
    pub fn set_delivery(&mut self, status: Option<UploadStatus>) {
        self.delivery = status.map(|status| DeliverySummary {
            events: status.delivered,
            recordings: status.recordings,
            pending: status.pending,
            rejected: status.rejected,
        });
    }

    /// Takes over the journal's figures.
    pub fn set_journal(&mut self, figures: &JournalFigures) {
        if figures.lost_packets > 0 {
            self.errors.push(format!(
                "the journal could not write {} packets: its disk is full or failing, see its directory's free space",
                figures.lost_packets
            ));
        }
        self.journal = Some(JournalSummary {
            bytes: figures.bytes,
            commits: figures.commits,
            fdatasyncs: figures.fdatasyncs,
            lost_packets: figures.lost_packets,
        });
    }

    /// Takes the process's own figures, at the end.
    pub fn set_process(&mut self, started: Instant) {
        self.wall_seconds = started.elapsed().as_secs_f64();
        self.cpu_seconds.total = cpu::process_seconds();
        self.peak_memory_bytes = cpu::peak_memory();
    }

    /// For a person.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let packets = &self.packets;
        let _ = writeln!(text, "packets   received    {:>10}", packets.received);
        let _ = writeln!(text, "          signalling  {:>10}", packets.signalling);
        let _ = writeln!(text, "          recorded    {:>10}", packets.recorded);
        let _ = writeln!(text, "          ignored     {:>10}", packets.ignored_total());
        let _ = writeln!(text, "          dropped     {:>10}", packets.dropped_total());
        for (fate, reason, count) in packets.reasons() {
            let _ = writeln!(text, "            {fate} {reason}: {count}");
        }
        if packets.residual() != 0 {
            let _ = writeln!(text, "          UNACCOUNTED {:>10}", packets.residual());
        }
        if self.recovered_packets > 0 {
            let _ =
                writeln!(text, "          recovered   {:>10}   of an earlier run", self.recovered_packets);
        }
        if let Some(audio) = &self.audio_packets {
            let _ = writeln!(text, "audio     {audio}");
        }
        let states: Vec<String> =
            self.calls_by_state.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let _ = writeln!(text, "calls     {:>22}   {}", self.calls, states.join(", "));
        if let Some(line) = self.admission.as_ref().and_then(AdmissionSummary::to_line) {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "recordings {:>21}   {:.1} s of audio", self.recordings, self.audio_seconds);
        if let Some(source) = &self.source {
            let _ = writeln!(
                text,
                "source    gave        {:>10}   {} out of order, the kernel's ring dropped {}",
                source.received, source.out_of_order, source.ring_full
            );
        }
        for card in &self.cards {
            let _ =
                writeln!(text, "card      missed      {:>10}   {}", card.missed_frames(), card.sentence());
        }
        if let Some(delivery) = &self.delivery {
            let DeliverySummary { events, recordings, pending, rejected } = delivery;
            let _ = writeln!(
                text,
                "control   {events} events and {recordings} recordings delivered, {pending} pending, {rejected} rejected"
            );
        }
        if let Some(journal) = &self.journal {
            let _ = writeln!(
                text,
                "journal   {:>22} bytes, {} commits, {} fdatasyncs, {} packets lost",
                journal.bytes, journal.commits, journal.fdatasyncs, journal.lost_packets
            );
        }
        let cpu = &self.cpu_seconds;
        let _ = writeln!(
            text,
            "CPU       {:.2} s: capture {:.2}, mix {:.2}, encode {:.2}, store {:.2}, journal {:.2}",
            cpu.total, cpu.capture, cpu.mix, cpu.encode, cpu.store, cpu.journal
        );
        let _ = writeln!(
            text,
            "time      {:.2} s for {:.1} s of capture",
            self.wall_seconds, self.capture_seconds
        );
        text
    }
}
