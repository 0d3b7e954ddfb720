//! Feeds the collector: from capture files, or from interfaces for a span of the capture clock.

use nightjar_capture::{
    AfPacketConfig, AfPacketSource, CaptureClock, PacketSource, QueuePlace, RawFrame, Received, SourceError,
};
use nightjar_wire::{Nanos, VxlanPorts};

use super::collector::Collector;
use super::host::{HostChanges, HostCounts};

/// Ring memory of all queues of an interface, MiB.
const RING_MIB: u32 = 64;
/// More receive queues than this are not told apart.
const MAX_QUEUES: u16 = 128;

/// What was heard live.
pub struct Heard {
    /// From the frames.
    pub seen: Collector,
    /// From the host.
    pub host: HostChanges,
}

/// Reads a source to its end; also what was wrong on the way (a file that breaks off).
pub fn read(mut source: impl PacketSource, ports: &[u16], vxlan: VxlanPorts) -> (Collector, Vec<String>) {
    let mut errors = Vec::new();
    let mut seen = Collector::new(Vec::new(), ports, vxlan);
    loop {
        match source.receive(&mut |frame| seen.see(&frame, None)) {
            Ok(Received::End) => break,
            Ok(Received::Frames(_) | Received::Idle(_)) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    (seen, errors)
}

/// Listens on interfaces.
///
/// # Errors
/// When an interface cannot be captured, or goes away.
pub fn listen(
    names: &[String],
    promiscuous: bool,
    seconds: u64,
    ports: &[u16],
    vxlan: VxlanPorts,
) -> Result<Heard, String> {
    let before = HostCounts::read(names);
    let clock = CaptureClock::start();
    let queues: Vec<u16> = before.interfaces.iter().map(|interface| interface.queues).collect();
    let (mut source, places) = open(names, promiscuous, &queues, clock).map_err(|error| error.to_string())?;
    // People wait; who reads JSON has standard output to itself.
    eprintln!("listening on {} for {seconds} s", names.join(", "));
    let macs = before.interfaces.iter().map(|interface| interface.mac).collect();
    let mut seen = Collector::new(macs, ports, vxlan);
    let until = clock.now() + Nanos::from_secs(seconds);
    let mut now = Nanos::ZERO;
    while now < until {
        let received = source.receive(&mut |frame| {
            now = now.max(frame.at);
            let place = places[usize::from(frame.interface)];
            seen.see(&RawFrame { interface: place.interface, ..frame }, place.queue);
        });
        match received.map_err(|error| error.to_string())? {
            Received::End => break,
            Received::Idle(clock) => now = now.max(clock),
            Received::Frames(_) => {}
        }
    }
    let ring_full = source.statistics().ring_full;
    let host = HostCounts::read(names).since(&before, ring_full);
    Ok(Heard { seen, host })
}

/// Opens the interfaces, queue by queue where that can be done.
fn open(
    names: &[String],
    promiscuous: bool,
    queues: &[u16],
    clock: CaptureClock,
) -> Result<(AfPacketSource, Vec<QueuePlace>), SourceError> {
    let config = |rings: u32| AfPacketConfig {
        promiscuous,
        ..AfPacketConfig::new(names).with_ring_mib(RING_MIB / rings)
    };
    let most = queues.iter().copied().max().unwrap_or(0);
    if (2..=MAX_QUEUES).contains(&most) {
        // One that is down cannot be opened so; nothing is lost but its queues.
        let by_queue = AfPacketSource::open_by_queue(&config(u32::from(most) + 1), queues, clock);
        if by_queue.is_ok() {
            return by_queue;
        }
    }
    let source = AfPacketSource::open(&config(1), clock)?;
    let places = (0..).zip(names).map(|(interface, _)| QueuePlace { interface, queue: None });
    Ok((source, places.collect()))
}
