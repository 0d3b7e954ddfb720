//! Header analysis of frames that lie ready in memory: what a packet costs a capture core when no kernel and
//! no file is in its way, with few flows and with many.

use std::hint::black_box;

use clap::Parser;
use nightjar_bench_veth::{calls, core_config, cpu_seconds};
use nightjar_capture::{LiveStream, PacketSource, RawFrame, Received, SourceError, SourceStatistics};
use nightjar_pipeline::{Analysed, CaptureCore, Depth};
use nightjar_wire::{LinkType, Nanos};

/// Ethernet, IPv4, UDP, RTP and 20 ms of G.711.
const FRAME: usize = 214;
/// Frames of one batch, as a live source gives them.
const BATCH: usize = 512;
/// Frames of one run of it.
const RUN: usize = 32;
/// Each stream sends so often.
const PERIOD_NS: u64 = 20_000_000;
/// When the capture began.
const START: Nanos = Nanos::from_secs(1_700_000_000);

/// Analyses frames from memory with each number of flows in turn, in one process.
#[derive(Debug, Parser)]
struct Arguments {
    /// Flows, two a call; several numbers are measured in turn.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 100_000])]
    flows: Vec<u32>,
    /// Frames that lie in memory.
    #[arg(long, default_value_t = 1_000_000)]
    frames: usize,
    /// How often they are gone through; the best pass counts.
    #[arg(long, default_value_t = 7)]
    passes: u32,
}

/// A frame where a ring would have it: at the beginning of a cache line.
#[derive(Clone)]
#[repr(align(64))]
struct Slot([u8; 256]);

impl Slot {
    fn frame(&self, at: Nanos) -> RawFrame<'_> {
        let (link, bytes) = (LinkType::Ethernet, &self.0[..FRAME]);
        RawFrame { at, link, interface: 0, bytes, original_len: FRAME as u32 }
    }
}

/// Frames in memory as a source, all flows in turn.
struct Ready {
    slots: Vec<Slot>,
    streams: Vec<LiveStream>,
    interfaces: [String; 1],
    statistics: SourceStatistics,
    /// The number of the first frame in memory since the start.
    first: u64,
    /// Frames of this pass that were given.
    given: usize,
}

impl Ready {
    fn new(streams: Vec<LiveStream>, frames: usize) -> Ready {
        // Whole rounds, so that each stream goes on in its turn.
        let frames = frames.next_multiple_of(streams.len());
        Ready {
            slots: vec![Slot([0xd5; 256]); frames],
            streams,
            interfaces: ["memory".to_owned()],
            statistics: SourceStatistics::default(),
            first: 0,
            given: 0,
        }
    }

    /// Writes the next pass's frames.
    fn write(&mut self) {
        let flows = self.streams.len();
        let first_round = self.first / flows as u64;
        for (round, slots) in (first_round..).zip(self.slots.chunks_mut(flows)) {
            for (stream, slot) in self.streams.iter().zip(slots) {
                write_frame(&mut slot.0, stream, round);
            }
        }
        self.given = 0;
    }

    /// Lets the next pass follow this one.
    fn advance(&mut self) {
        self.first += self.slots.len() as u64;
    }
}

fn write_frame(frame: &mut [u8; 256], stream: &LiveStream, round: u64) {
    let seq = stream.first_seq.wrapping_add(round as u16);
    let time = stream.first_time.wrapping_add((round as u32).wrapping_mul(160));
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    frame[14..26].copy_from_slice(&[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame[18..20].copy_from_slice(&((round + 1) as u16).to_be_bytes());
    frame[26..30].copy_from_slice(&stream.src.ip().octets());
    frame[30..34].copy_from_slice(&stream.dst.ip().octets());
    frame[34..36].copy_from_slice(&stream.src.port().to_be_bytes());
    frame[36..38].copy_from_slice(&stream.dst.port().to_be_bytes());
    frame[38..42].copy_from_slice(&[0, 180, 0, 0]);
    frame[42..44].copy_from_slice(&[0x80, 0]);
    frame[44..46].copy_from_slice(&seq.to_be_bytes());
    frame[46..50].copy_from_slice(&time.to_be_bytes());
    frame[50..54].copy_from_slice(&stream.ssrc.to_be_bytes());
}

impl PacketSource for Ready {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        self.receive_runs(&mut |frames| frames.iter().for_each(|frame| sink(*frame)))
    }

    fn receive_runs(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Result<Received, SourceError> {
        let slots = &self.slots[self.given..];
        let slots = &slots[..slots.len().min(BATCH)];
        if slots.is_empty() {
            return Ok(Received::End);
        }
        let (period, number) = (PERIOD_NS / self.streams.len() as u64, self.first + self.given as u64);
        for (number, slots) in (number..).step_by(RUN).zip(slots.chunks(RUN)) {
            let at = |number| START + Nanos(number * period);
            let mut run = [slots[0].frame(at(number)); RUN];
            for (number, (place, slot)) in (number..).zip(run.iter_mut().zip(slots)) {
                *place = slot.frame(at(number));
            }
            sink(&run[..slots.len()]);
        }
        self.given += slots.len();
        self.statistics.received += slots.len() as u64;
        Ok(Received::Frames(slots.len()))
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn statistics(&mut self) -> SourceStatistics {
        self.statistics
    }
}

fn main() {
    let arguments = Arguments::parse();
    println!(
        "{} frames of {FRAME} bytes in memory, the best of {} passes",
        arguments.frames, arguments.passes
    );
    for flows in &arguments.flows {
        let mut source = Ready::new(calls::streams(flows.div_ceil(2)), arguments.frames);
        let mut core = CaptureCore::new(core_config(Depth::Headers), Analysed::new(|_| {}));
        calls::set_up(&mut core, START - Nanos::from_secs(1), flows.div_ceil(2));
        let (mut bare, mut analysed) = (f64::MAX, f64::MAX);
        // The first pass opens the streams; it does not count.
        for pass in 0..=arguments.passes {
            source.write();
            let looked_at = count_bytes(&mut source);
            source.given = 0;
            let took = analyse(&mut source, &mut core);
            source.advance();
            if pass > 0 {
                (bare, analysed) = (bare.min(looked_at), analysed.min(took));
            }
        }
        let frames = u64::from(arguments.passes + 1) * source.slots.len() as u64;
        assert_eq!(core.ledger().recorded, frames, "every frame is some call's");
        println!(
            "{flows:>7} flows: {:.2} M packets/s, {analysed:.1} ns a packet, of which {bare:.1} for the source",
            1e3 / analysed
        );
    }
}

/// Nanoseconds of CPU a frame when each is only looked at.
fn count_bytes(source: &mut Ready) -> f64 {
    let (mut sum, started) = (0_u64, cpu_seconds());
    while let Ok(Received::Frames(_)) = source.receive(&mut |frame| {
        sum += u64::from(frame.bytes[FRAME - 1]) + frame.at.0;
    }) {}
    black_box(sum);
    (cpu_seconds() - started) * 1e9 / source.slots.len() as f64
}

/// Nanoseconds of CPU a frame for header analysis.
fn analyse(source: &mut Ready, core: &mut CaptureCore<impl nightjar_pipeline::CoreOutput>) -> f64 {
    let started = cpu_seconds();
    while let Ok(Received::Frames(_)) = source.receive_runs(&mut |frames| core.handle_frames(frames)) {
        core.end_batch(Nanos::ZERO);
    }
    (cpu_seconds() - started) * 1e9 / source.slots.len() as f64
}
