//! Captures for the tests: the generator's, changed frame by frame, or made by hand.

use etherparse::PacketBuilder;
use nightjar_capture::fakes::MemoryFrame;
use nightjar_load::{Frame, LinkOptions, Scenario, scenarios};
use nightjar_wire::{LinkType, Nanos, VxlanPorts};

use crate::doctor::SIGNALLING_PORTS;
use crate::doctor::collector::Collector;
use crate::doctor::finding::{Finding, Severity};
use crate::doctor::host::HostChanges;
use crate::doctor::judgement::{Expectation, judge};

/// What was seen of a capture, and what is expected of it.
pub(super) struct Scene {
    pub(super) seen: Collector,
    pub(super) expected: Expectation,
}

/// A scenario of the generator.
pub(super) fn scenario(name: &str) -> Scenario {
    scenarios::by_name(name, 7)
}

/// The frames of a scenario.
pub(super) fn frames(scenario: &Scenario) -> Vec<MemoryFrame> {
    frames_on(scenario, LinkOptions::default())
}

/// The frames of a scenario on another link.
pub(super) fn frames_on(scenario: &Scenario, link: LinkOptions) -> Vec<MemoryFrame> {
    let number = link.link;
    let mut stream = scenario.frames_on(link);
    let (mut frame, mut frames) = (Frame::empty(), Vec::new());
    while stream.next_into(&mut frame) {
        let original_len = frame.original_len;
        let bytes = frame.bytes.clone();
        frames.push(MemoryFrame { at: frame.at, link: number, interface: 0, bytes, original_len });
    }
    frames
}

/// A datagram by IPv4 over Ethernet, so many ms after the epoch.
pub(super) fn datagram(at_ms: u64, src: ([u8; 4], u16), dst: ([u8; 4], u16), payload: &[u8]) -> MemoryFrame {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let mut bytes = Vec::new();
    builder.ipv4(src.0, dst.0, 64).udp(src.1, dst.1).write(&mut bytes, payload).unwrap();
    MemoryFrame::ethernet(Nanos::from_millis(at_ms), bytes)
}

/// RTP for `packets` packets of 20 ms from one socket to another.
pub(super) fn rtp(
    src: ([u8; 4], u16),
    dst: ([u8; 4], u16),
    payload_type: u8,
    packets: u16,
) -> Vec<MemoryFrame> {
    let packet = |number: u16| {
        let mut payload = vec![0x55; 172];
        payload[..2].copy_from_slice(&[0x80, payload_type]);
        payload[2..4].copy_from_slice(&number.to_be_bytes());
        payload[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
        payload[8..12].copy_from_slice(&[src.0[3], dst.0[3], 7, 7]);
        datagram(1_000 + 20 * u64::from(number), src, dst, &payload)
    };
    (0..packets).map(packet).collect()
}

/// A TCP segment from a phone to a server's port.
pub(super) fn segment(at_ms: u64, port: u16) -> MemoryFrame {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let mut bytes = Vec::new();
    builder
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(40_000, port, 1, 1_000)
        .write(&mut bytes, b"\x16\x03\x01")
        .unwrap();
    MemoryFrame::ethernet(Nanos::from_millis(at_ms), bytes)
}

impl Scene {
    /// Nothing seen.
    pub(super) fn empty() -> Scene {
        Scene::with_macs(&[], Vec::new())
    }

    /// A scenario as it is.
    pub(super) fn of(scenario: &Scenario) -> Scene {
        Scene::of_frames(&frames(scenario))
    }

    /// These frames.
    pub(super) fn of_frames(frames: &[MemoryFrame]) -> Scene {
        Scene::with_macs(frames, Vec::new())
    }

    /// These frames, on interfaces of these addresses.
    pub(super) fn with_macs(frames: &[MemoryFrame], macs: Vec<Option<[u8; 6]>>) -> Scene {
        let mut seen = Collector::new(macs, &SIGNALLING_PORTS, VxlanPorts::USUAL);
        frames.iter().for_each(|frame| seen.see(&frame.view(), None));
        let expected = Expectation {
            sources: vec!["capture".into()],
            signalling_ports: SIGNALLING_PORTS.to_vec(),
            phones: Vec::new(),
        };
        Scene { seen, expected }
    }

    /// The findings.
    pub(super) fn judged(&self) -> Vec<Finding> {
        judge(&self.seen, &HostChanges::default(), &self.expected)
    }
}

/// The names of findings that call for a change or are noted, the gravest first.
pub(super) fn faults(found: &[Finding]) -> Vec<String> {
    let name =
        |finding: &Finding| serde_json::to_value(finding).unwrap()["finding"].as_str().unwrap().to_owned();
    found.iter().filter(|finding| finding.severity() < Severity::Good).map(name).collect()
}

/// Ethernet, for frames that are not.
pub(super) const ETHERNET: LinkType = LinkType::Ethernet;
