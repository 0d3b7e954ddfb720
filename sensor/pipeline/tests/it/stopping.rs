//! The capture loop is told to stop: a source that still holds frames is read to its end.

use std::sync::atomic::{AtomicBool, Ordering};

use nightjar_capture::fakes::{MemoryFrame, MemorySource};
use nightjar_capture::{PacketSource, RawFrame, Received, SourceError, SourceStatistics, Stopped};
use nightjar_flow::Limits;
use nightjar_pipeline::{AfterError, Analysed, CaptureCore, CoreConfig, Depth, Snapshots, capture_loop};
use nightjar_signal::SignalConfig;
use nightjar_wire::{Nanos, Realms, VxlanPorts};

/// Batches of one frame each.
const FRAMES: usize = 10;

/// Frames in memory that a stop takes one way or the other, with a fault after some of them.
struct Source {
    memory: MemorySource,
    stops: Stopped,
    fault_after: u64,
}

impl PacketSource for Source {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        if self.memory.statistics().received == self.fault_after {
            self.fault_after = u64::MAX;
            return Err(SourceError::InterfaceGone { interface: "near".to_owned() });
        }
        self.memory.receive(sink)
    }

    fn stop(&mut self) -> Result<Stopped, SourceError> {
        Ok(self.stops)
    }

    fn interfaces(&self) -> &[String] {
        self.memory.interfaces()
    }

    fn statistics(&mut self) -> SourceStatistics {
        self.memory.statistics()
    }
}

/// Frames received and errors, when the loop is asked to stop after so many frames.
fn received(stops: Stopped, fault_after: u64, after_error: AfterError, asked_after: u64) -> (u64, usize) {
    let frames = (0..FRAMES).map(|at| MemoryFrame::ethernet(Nanos(at as u64 + 1), vec![0; 60])).collect();
    let mut source = Source { memory: MemorySource::frames(frames, 1), stops, fault_after };
    let config = CoreConfig {
        depth: Depth::Headers,
        snapshots: Snapshots::Never,
        checkpoint_every: Nanos::MAX,
        signal: SignalConfig::default(),
        limits: Limits::default(),
        realms: Realms::default(),
        vxlan: VxlanPorts::USUAL,
    };
    let mut core = CaptureCore::new(config, Analysed::new(|_| {}));
    let stop = AtomicBool::new(false);
    let errors = capture_loop(&mut source, &mut core, &stop, after_error, |_, core| {
        stop.store(core.ledger().received >= asked_after, Ordering::Relaxed);
    });
    (core.ledger().received, errors.len())
}

#[test]
fn a_stop_reads_what_the_source_still_holds() {
    assert_eq!(received(Stopped::Draining, u64::MAX, AfterError::Stop, 3), (10, 0));
    assert_eq!(received(Stopped::AtOnce, u64::MAX, AfterError::Stop, 3), (3, 0));
}

#[test]
fn a_fault_of_a_live_source_ends_the_loop_with_what_it_still_holds() {
    assert_eq!(received(Stopped::Draining, 4, AfterError::Stop, u64::MAX), (10, 1));
    assert_eq!(received(Stopped::AtOnce, 4, AfterError::Stop, u64::MAX), (4, 1));
    assert_eq!(received(Stopped::AtOnce, 4, AfterError::GoOn, u64::MAX), (10, 1));
}

#[test]
fn a_fault_after_the_stop_ends_the_loop() {
    assert_eq!(received(Stopped::Draining, 5, AfterError::GoOn, 3), (5, 1));
}
