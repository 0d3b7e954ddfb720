//! sipp, a SIP peer that we did not write: callers and callees in namespaces of their own, joined by
//! a bridge that the sensor watches.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightjar_load::{
    Audio, CaptureFormat, Codec, Compression, Frame, FrameClass, PcapWriter, Scenario, Side,
};
use nightjar_wire::{LinkType, Nanos, decode_frame};

use crate::namespace::{Namespace, run};
use crate::process::Process;

/// The bridge: who watches it in promiscuous mode sees every frame between the hosts, in order.
pub const BRIDGE: &str = "bridge";
/// The bridge's ports: what comes in at one is what one side says, as at the ports of a tap.
pub const PORTS: [&str; 2] = ["caller", "callee"];
/// Where the callers are.
pub const CALLER_ADDRESS: &str = "10.77.0.1";
/// Where the callees are.
pub const CALLEE_ADDRESS: &str = "10.77.0.2";
/// What the callers' pcap sounds like, in Hz.
pub const CALLER_TONE: u32 = 700;
/// What the callees' pcap sounds like, in Hz.
pub const CALLEE_TONE: u32 = 1300;

/// Two hosts and the switch between them.
#[derive(Debug)]
pub struct Site {
    /// The switch, where the bridge is.
    pub switch: Namespace,
    callers: Namespace,
    callees: Namespace,
}

impl Site {
    /// Both hosts can reach each other.
    pub fn new() -> Site {
        let site = Site { switch: Namespace::new(), callers: Namespace::new(), callees: Namespace::new() };
        site.switch.ip(&["link", "add", BRIDGE, "type", "bridge"]);
        site.switch.ip(&["link", "set", BRIDGE, "up"]);
        for (port, host, address) in
            [(PORTS[0], &site.callers, CALLER_ADDRESS), (PORTS[1], &site.callees, CALLEE_ADDRESS)]
        {
            site.switch.link_to(port, host, "eth", &format!("{address}/24"));
            site.switch.ip(&["link", "set", port, "master", BRIDGE]);
        }
        site
    }

    /// Frames that have passed the bridge since somebody watches it, as the kernel counts them.
    ///
    /// # Panics
    /// When there is no such count.
    pub fn frames(&self) -> u64 {
        let path = format!("/sys/class/net/{BRIDGE}/statistics/rx_packets");
        run(self.switch.command("cat").arg(path)).trim().parse().expect("a counter")
    }

    /// Lets callees answer `calls` calls at a port, as a scenario says.
    pub fn answer(&self, folder: &Path, scenario: &str, port: u16, calls: u32) -> Process {
        let mut sipp = self.callees.command("sipp");
        sipp.args(["-i", CALLEE_ADDRESS, "-mi", CALLEE_ADDRESS]);
        start(sipp, folder, scenario, port, calls)
    }

    /// Lets callers place `calls` calls, all within a second, to a port and number.
    pub fn call(&self, folder: &Path, scenario: &str, port: u16, number: &str, calls: u32) -> Process {
        let mut sipp = self.callers.command("sipp");
        sipp.arg(format!("{CALLEE_ADDRESS}:{port}"));
        sipp.args(["-i", CALLER_ADDRESS, "-mi", CALLER_ADDRESS, "-s", number, "-r", &calls.to_string()]);
        start(sipp, folder, scenario, port, calls)
    }
}

impl Default for Site {
    fn default() -> Site {
        Site::new()
    }
}

/// sipp's standard ports for media are shared by all callers of a host: each gets its own range.
fn start(mut sipp: Command, folder: &Path, scenario: &str, port: u16, calls: u32) -> Process {
    let media_port = 10_000 + (port - 5_060) * 100;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(format!("{scenario}.xml"));
    sipp.arg("-sf").arg(file).args(["-p", &port.to_string(), "-mp", &media_port.to_string()]);
    sipp.args(["-m", &calls.to_string(), "-timeout", "30s", "-timeout_error", "-nostdin"]);
    sipp.current_dir(folder);
    Process::start(&mut sipp, folder, scenario)
}

/// Writes `caller.pcap` and `callee.pcap`, four seconds of a tone each, and returns how many RTP
/// packets they hold.
///
/// # Panics
/// When they cannot be written.
pub fn write_pcaps(folder: &Path) -> [u64; 2] {
    let mut scenario = Scenario::new("pcaps", 1);
    let mut plan = scenario.plain();
    plan.codec = Codec::Pcma;
    plan.talk = Nanos::from_secs(4);
    for (side, tone) in [(Side::Caller, CALLER_TONE), (Side::Callee, CALLEE_TONE)] {
        plan.legs[side as usize].audio = Audio::Tone(tone);
    }
    let hosts = [Side::Caller, Side::Callee].map(|side| plan.addresses[side as usize].media.ip());
    scenario.call(Nanos::ZERO, plan);
    let paths: [PathBuf; 2] = ["caller", "callee"].map(|name| folder.join(format!("{name}.pcap")));
    let mut writers = paths.map(|path| {
        PcapWriter::create(&path, CaptureFormat::PcapMicros, Compression::None, LinkType::Ethernet)
            .expect("a capture can be written")
    });
    let mut counts = [0; 2];
    let (mut frames, mut frame) = (scenario.frames(), Frame::empty());
    while frames.next_into(&mut frame) {
        if frame.class != FrameClass::Rtp {
            continue;
        }
        let source: IpAddr = decode_frame(LinkType::Ethernet, &frame.bytes).expect("ours").network.src;
        let side = usize::from(source == hosts[1]);
        writers[side].write(&frame).expect("a capture can be written");
        counts[side] += 1;
    }
    for writer in writers {
        writer.finish().expect("a capture can be written");
    }
    counts
}
