//! A capture's frames through a whole capture core: every frame is accounted for, whatever it holds, and neither
//! the size of the batches nor a second run changes the calls.

use std::sync::atomic::AtomicBool;

use nightjar_capture::fakes::{MemoryFrame, MemorySource};
use nightjar_capture::read_capture_bytes;
use nightjar_flow::Limits;
use nightjar_pipeline::{
    AfterError, Analysed, CaptureCore, CoreConfig, Depth, Ledger, Snapshots, capture_loop,
};
use nightjar_schema::{Call, EndCause};
use nightjar_signal::SignalConfig;
use nightjar_wire::{Nanos, Realms, VxlanPorts};

use crate::recorder::PREROLL_BYTES;
use crate::watch::check_row;

/// Frames of one input at most: a compressed file may hold millions.
const MAX_FRAMES: usize = 4096;

pub(super) fn run(image: &[u8]) {
    let mut frames = Vec::new();
    // A broken file's frames before the fault are played.
    let _ = read_capture_bytes(image, |frame| {
        if frames.len() < MAX_FRAMES {
            frames.push(MemoryFrame::copied(&frame));
        }
    });
    check(&frames);
}

/// Plays the frames in two ways and compares.
pub(super) fn check(frames: &[MemoryFrame]) {
    if frames.is_empty() {
        return;
    }
    let (rows, ledger) = play(frames, 1, Depth::Payload, Snapshots::OnChange);
    for row in &rows {
        check_row(row);
    }
    let (again, ledger_again) = play(frames, 16, Depth::Payload, Snapshots::Never);
    assert_eq!(ledger, ledger_again, "the size of the batches changes the ledger");
    assert_eq!(rows, again, "the size of the batches changes the calls");
}

fn play(frames: &[MemoryFrame], batch: usize, depth: Depth, snapshots: Snapshots) -> (Vec<Call>, Ledger) {
    let signal = SignalConfig { sensor: "fuzz".to_owned(), max_calls: 8, ..SignalConfig::default() };
    let limits = Limits { streams: 16, ..Limits::default() };
    let checkpoint_every = Nanos::from_secs(5);
    let config = CoreConfig {
        depth,
        snapshots,
        checkpoint_every,
        signal,
        limits,
        realms: Realms::default(),
        vxlan: VxlanPorts::USUAL,
    };
    let mut rows = Vec::new();
    let mut core = CaptureCore::with_preroll(config, Analysed::new(|row| rows.push(row)), PREROLL_BYTES);
    let mut source = MemorySource::frames(frames.to_vec(), batch);
    let stop = AtomicBool::new(false);
    let errors = capture_loop(&mut source, &mut core, &stop, AfterError::GoOn, |_, core| {
        assert_eq!(core.ledger().residual(), 0, "a frame is counted twice or not at all");
    });
    assert!(errors.is_empty());
    core.finish(EndCause::CaptureEnd);
    core.end_batch(Nanos::ZERO);
    let ledger = core.ledger().clone();
    assert_eq!(ledger.received, frames.len() as u64);
    assert_eq!(ledger.residual(), 0, "a frame is counted twice or not at all");
    assert_eq!(ledger.held, 0, "a frame waits after the end");
    assert_eq!(core.directory().open_calls().count(), 0);
    let closed = core.closed_calls();
    drop(core);
    assert_eq!(rows.len() as u64, closed);
    (rows, ledger)
}
