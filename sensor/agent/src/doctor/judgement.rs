//! From what was seen to findings, the gravest first.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use nightjar_wire::Nanos;

use super::collector::Collector;
use super::finding::{Addresses, CutBy, Finding, Link};
use super::host::HostChanges;
use super::{media_findings, signalling};
use crate::config::IpNetwork;

/// An answered call as short as this may be without media.
const TALK: Nanos = Nanos::from_secs(2);
/// The share of copies, in percent, from which on it is the mirror and not a sender that repeats.
const COPIES_PERCENT: u64 = 10;
/// Fewer messages than this prove no missing direction.
const MESSAGES: u64 = 3;
/// Fewer frames than this prove nothing about the switch.
const FRAMES: u64 = 10;
/// A core that spends this share of its time in interrupts is full.
const BUSY_PERCENT: u64 = 90;
/// The kernel slews clocks by less than this while we listen.
const CLOCK_STEP_NS: u64 = 5_000_000;
/// Addresses that are named.
const NAMED: usize = 10;

/// What the judgement compares with.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// The names of what was listened to.
    pub sources: Vec<String>,
    /// Ports that carry signalling.
    pub signalling_ports: Vec<u16>,
    /// Where phones are; empty when that is not configured.
    pub phones: Vec<IpNetwork>,
}

/// Judges what was seen.
pub fn judge(seen: &Collector, host: &HostChanges, expected: &Expectation) -> Vec<Finding> {
    let mut found = Vec::new();
    silent_sources(seen, host, expected, &mut found);
    if seen.frames.total() > 0 {
        presence(seen, &mut found);
        signalling_findings(seen, expected, &mut found);
        media_findings::judge(seen, host, &mut found);
        frame_findings(seen, &mut found);
    }
    host_findings(host, &mut found);
    found.extend(unconfigured_phones(seen, &expected.phones));
    // Stable: within a severity, the order above.
    found.sort_by_key(Finding::severity);
    found
}

fn silent_sources(seen: &Collector, host: &HostChanges, expected: &Expectation, found: &mut Vec<Finding>) {
    for (number, name) in expected.sources.iter().enumerate() {
        // Files are one source, however many interfaces they name.
        let frames = match expected.sources.len() {
            1 => seen.frames.total(),
            _ => seen.frames.by_interface.get(number).copied().unwrap_or(0),
        };
        if frames == 0 {
            let link = host.interfaces.get(number).map_or(Link::Unknown, |interface| interface.link);
            found.push(Finding::NoPackets { interface: name.clone(), link });
        }
    }
}

/// Whether there is telephony at all.
fn presence(seen: &Collector, found: &mut Vec<Finding>) {
    let signalling = &seen.signalling;
    let readable = signalling.messages > 0 || seen.media.believed().next().is_some();
    let frames = &seen.frames;
    if readable {
        return;
    }
    let tunnels = seen.tunnels.gre.frames + seen.tunnels.vxlan.frames;
    if frames.of_others == 0 && frames.own + frames.to_groups >= FRAMES && tunnels == 0 {
        found.push(Finding::OwnFramesOnly { own: frames.own, to_groups: frames.to_groups });
    } else if signalling.tls_segments + signalling.tcp_segments == 0 {
        found.push(Finding::NoTelephony { frames: frames.total() });
    }
}

fn signalling_findings(seen: &Collector, expected: &Expectation, found: &mut Vec<Finding>) {
    let signalling = &seen.signalling;
    let (requests, responses) = (signalling.requests, signalling.responses);
    if requests.min(responses) == 0 && requests.max(responses) >= MESSAGES {
        found.push(Finding::OneDirectionSignalling { requests, responses });
    }
    found.extend(calls_without_media(seen));
    if signalling.messages == 0 && signalling.tcp_segments > 0 {
        found.push(Finding::SignallingByTcp { tcp_segments: signalling.tcp_segments });
    }
    if signalling.tls_segments > 0 || signalling.via_tls > 0 {
        let (tls_segments, via_tls) = (signalling.tls_segments, signalling.via_tls);
        found.push(Finding::EncryptedSignalling { tls_segments, via_tls, messages: signalling.messages });
    }
    let other = || signalling.ports.iter().filter(|(port, _)| !expected.signalling_ports.contains(port));
    let messages = other().map(|(_, messages)| messages).sum();
    if messages >= MESSAGES {
        let ports = other().map(|(port, _)| *port).take(NAMED).collect();
        found.push(Finding::UnconfiguredPorts { ports, messages });
    }
    if signalling.full || seen.media.full {
        let (flows, calls) = (seen.media.flows.len() as u64, signalling.calls.len() as u64);
        found.push(Finding::TooMuchToFollow { flows, calls });
    }
    if signalling.messages > 0 && requests.min(responses) > 0 {
        let answered = signalling.calls.values().filter(|call| call.answered.is_some()).count() as u64;
        let calls = signalling.calls.len() as u64;
        found.push(Finding::CallsSeen { calls, answered, messages: signalling.messages });
    }
}

/// Answered calls none of whose sockets sends or receives media.
fn calls_without_media(seen: &Collector) -> Option<Finding> {
    let newest = seen.stamps.newest();
    let ends = |key: &nightjar_wire::FlowKey| {
        [SocketAddr::new(key.src, key.src_port), SocketAddr::new(key.dst, key.dst_port)]
    };
    let with_media: BTreeSet<SocketAddr> = seen.media.believed().flat_map(|(key, _)| ends(key)).collect();
    let long = |call: &&signalling::Call| {
        let until = call.ended.unwrap_or(newest);
        call.answered.is_some_and(|answered| until - answered >= TALK) && !call.sockets.is_empty()
    };
    let calls: Vec<&signalling::Call> = seen.signalling.calls.values().filter(long).collect();
    let silent = calls.iter().filter(|call| !call.sockets.iter().any(|socket| with_media.contains(socket)));
    let (answered, without_media) = (calls.len() as u64, silent.count() as u64);
    // Behind NATs descriptions may lie: media that nothing explains may be these calls'.
    let unexplained = |key: &&nightjar_wire::FlowKey| {
        !ends(key).iter().any(|socket| seen.signalling.sockets.contains_key(socket))
    };
    let unexplained = seen.media.believed().map(|(key, _)| key).filter(unexplained).count() as u64;
    let systematic = without_media * 2 >= answered && without_media > unexplained;
    (without_media > 0 && systematic).then_some(Finding::SignallingWithoutMedia { answered, without_media })
}

fn frame_findings(seen: &Collector, found: &mut Vec<Finding>) {
    let (frames, copies) = (&seen.frames, &seen.copies);
    let total = frames.total();
    for (by, cut) in [(CutBy::Capture, frames.cut_by_capture), (CutBy::Mirror, frames.cut_by_mirror)] {
        if cut > 0 && cut * 1_000 >= total {
            found.push(Finding::TruncatedFrames { by, cut, frames: total });
        }
    }
    if copies.copies >= FRAMES && copies.copies * 100 >= copies.datagrams * COPIES_PERCENT {
        found.push(Finding::EveryPacketTwice {
            packets: copies.datagrams,
            copies: copies.copies,
            by_other_interface: copies.by_other_interface,
            in_other_vlan: copies.in_other_vlan,
        });
    }
    if frames.tag_lost > 0 {
        found.push(Finding::VlanTagsStripped { frames: frames.tag_lost });
    }
    let stamps = &seen.stamps;
    if stamps.backwards + stamps.forwards > 0 {
        let (backwards, forwards) = (stamps.backwards, stamps.forwards);
        found.push(Finding::ClockJumps { backwards, forwards, worst_ms: stamps.worst / 1_000_000 });
    }
    let (gre, vxlan) = (&seen.tunnels.gre, &seen.tunnels.vxlan);
    if gre.frames > 0 {
        found.push(Finding::GreTunnel { sessions: gre.sessions.len() as u64, frames: gre.frames });
    }
    if vxlan.frames > 0 {
        found.push(Finding::VxlanTunnel { sessions: vxlan.sessions.len() as u64, frames: vxlan.frames });
    }
}

fn host_findings(host: &HostChanges, found: &mut Vec<Finding>) {
    for interface in &host.interfaces {
        let name = || interface.name.clone();
        if interface.missed > 0 {
            found.push(Finding::QueueFull { interface: name(), missed: interface.missed });
        }
        if interface.broken > 0 {
            found.push(Finding::BrokenFrames { interface: name(), broken: interface.broken });
        }
    }
    for (core, counts) in host.cores.iter().enumerate() {
        let percent = counts.softirq * 100 / counts.total.max(1);
        if counts.dropped > 0 {
            found.push(Finding::CoreFull { core, dropped: counts.dropped });
        } else if percent >= BUSY_PERCENT {
            found.push(Finding::CoreBusy { core, percent });
        }
    }
    if host.ring_full > 0 {
        found.push(Finding::RingFull { frames: host.ring_full });
    }
    if host.clock_step.unsigned_abs() >= CLOCK_STEP_NS {
        found.push(Finding::HostClockSet { by_ms: host.clock_step / 1_000_000 });
    }
}

/// Hosts of telephony outside the configured networks.
fn unconfigured_phones(seen: &Collector, phones: &[IpNetwork]) -> Option<Finding> {
    if phones.is_empty() {
        return None;
    }
    let of_media = seen.media.believed().flat_map(|(key, _)| [key.src, key.dst]);
    let all: BTreeSet<IpAddr> = seen.signalling.hosts.iter().copied().chain(of_media).collect();
    let unknown = |host: &IpAddr| !phones.iter().any(|network| network.contains(*host));
    let strangers: Vec<IpAddr> = all.into_iter().filter(unknown).collect();
    let count = strangers.len() as u64;
    (count > 0).then(|| Finding::UnconfiguredPhones {
        phones: count,
        first: Addresses(strangers.into_iter().take(NAMED).collect()),
    })
}
