//! Sends RTP as live XDP frames: millions of packets a second from one core, each at its moment.
//!
//! The kernel makes the frames (BPF_PROG_TEST_RUN with live frames), a program of ours writes
//! them, waits for each one's slot and redirects them out of an interface, for a veth to its peer's XDP
//! program. One system call sends them all; it is on this thread's CPU alone.

use std::net::SocketAddrV4;

use aya::maps::Array;
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader, Pod};
use nightjar_wire::xdp::live::{FRAME, LiveFlow, LiveRun};

use crate::af_xdp::ProgramError;
use crate::{SourceError, interface_index};

/// The program as `ebpf/build` made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../ebpf/live.bpf.o");

/// Frames that the kernel makes at a time; a veth's ring holds 256.
const BATCH: u32 = 64;

/// One direction of a call, as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveStream {
    /// Sender.
    pub src: SocketAddrV4,
    /// Receiver.
    pub dst: SocketAddrV4,
    /// The SSRC.
    pub ssrc: u32,
    /// Sequence number of the first packet.
    pub first_seq: u16,
    /// RTP time of the first packet.
    pub first_time: u32,
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveReport {
    /// Frames that were redirected out of the interface.
    pub sent: u64,
    /// Nanoseconds from the first to the last.
    pub elapsed_ns: u64,
    /// The most that a frame was behind its slot, in nanoseconds.
    pub most_late_ns: u64,
}

/// A sender of live frames.
pub struct LiveSender {
    ebpf: Ebpf,
    interface: u32,
    flows: u32,
}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Flow(LiveFlow);
// SAFETY: plain integers without padding.
unsafe impl Pod for Flow {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Run(LiveRun);
// SAFETY: plain integers without padding.
unsafe impl Pod for Run {}

impl LiveSender {
    /// Sends `streams` in turn out of `interface`, whose driver must take redirected frames (a veth
    /// does while its peer has an XDP program).
    ///
    /// # Errors
    /// [`SourceError`]: no such interface, a missing capability, a refused program.
    pub fn open(interface: &str, streams: &[LiveStream]) -> Result<LiveSender, SourceError> {
        let index = interface_index(interface)?;
        let failed = |error: ProgramError| error.explain("load the sending program", interface);
        let flows = streams.len() as u32;
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("FLOWS", flows.max(1))
            .load(OBJECT)
            .map_err(|error| failed(error.into()))?;
        let fill = |ebpf: &mut Ebpf| -> Result<(), ProgramError> {
            let map = ebpf.map_mut("FLOWS").expect("a map of the committed object");
            let mut map: Array<_, Flow> = Array::try_from(map)?;
            for (number, stream) in (0..).zip(streams) {
                map.set(number, Flow(flow(stream)), 0)?;
            }
            xdp(ebpf).load()?;
            Ok(())
        };
        fill(&mut ebpf).map_err(failed)?;
        Ok(LiveSender { ebpf, interface: index, flows })
    }

    /// Sends `frames` frames, `per_second` of them (as fast as it goes when 0), the streams in turn
    /// from their beginning. Blocks this thread, and its CPU, for the time that takes.
    ///
    /// # Errors
    /// [`ProgramError`] when the kernel refuses to run the program.
    pub fn send(&mut self, frames: u32, per_second: u32) -> Result<LiveReport, ProgramError> {
        let interval_ps = 1_000_000_000_000_u64.checked_div(u64::from(per_second)).unwrap_or(0);
        let (flows, interface) = (self.flows, self.interface);
        let run = LiveRun { flows, interface, interval_ps, frames: u64::from(frames), ..LiveRun::default() };
        self.run_map()?.set(0, Run(run), 0)?;
        let template = template();
        let attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        let options =
            TestRunOptions { data_in: Some(&template), repeat: frames, attrs, ..Default::default() };
        xdp(&mut self.ebpf).test_run(options)?;
        let Run(run) = self.run_map()?.get(&0, 0)?;
        let elapsed_ns = run.end_ns.saturating_sub(run.start_ns);
        Ok(LiveReport { sent: run.sent, elapsed_ns, most_late_ns: run.most_late_ns })
    }

    fn run_map(&mut self) -> Result<Array<&mut aya::maps::MapData, Run>, ProgramError> {
        Ok(Array::try_from(self.ebpf.map_mut("RUN").expect("a map of the committed object"))?)
    }
}

/// Drops every frame at an interface, as early as can be: what sending costs while nobody looks.
pub struct LiveSink {
    /// The sending program without a run: it drops whatever it sees. Detached when this is dropped.
    _ebpf: Ebpf,
}

impl LiveSink {
    /// Drops all that `interface` receives.
    ///
    /// # Errors
    /// As [`LiveSender::open`].
    pub fn open(interface: &str) -> Result<LiveSink, SourceError> {
        let index = interface_index(interface)?;
        let attach = || -> Result<Ebpf, ProgramError> {
            let mut ebpf = EbpfLoader::new().load(OBJECT)?;
            let program = xdp(&mut ebpf);
            program.load()?;
            program.attach_to_if_index(index, XdpMode::Driver)?;
            Ok(ebpf)
        };
        let ebpf = attach().map_err(|error| error.explain("attach a dropping program", interface))?;
        Ok(LiveSink { _ebpf: ebpf })
    }
}

fn xdp(ebpf: &mut Ebpf) -> &mut Xdp {
    let program = ebpf.program_mut("live").expect("the committed object's program");
    program.try_into().expect("an XDP program")
}

/// What every frame has in common.
fn template() -> [u8; FRAME] {
    let mut frame = [0xd5; FRAME];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    frame[14..34].copy_from_slice(&header([0; 4], [0; 4]));
    frame[34..54].fill(0);
    frame[38..40].copy_from_slice(&((FRAME - 34) as u16).to_be_bytes());
    frame[42] = 0x80;
    frame
}

/// An IPv4 header without its checksum.
fn header(src: [u8; 4], dst: [u8; 4]) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&((FRAME - 14) as u16).to_be_bytes());
    header[8] = 64;
    header[9] = 17;
    header[12..16].copy_from_slice(&src);
    header[16..].copy_from_slice(&dst);
    header
}

fn flow(stream: &LiveStream) -> LiveFlow {
    let (src, dst) = (stream.src.ip().octets(), stream.dst.ip().octets());
    let words = |octets: [u8; 4]| {
        [u16::from_ne_bytes([octets[0], octets[1]]), u16::from_ne_bytes([octets[2], octets[3]])]
    };
    LiveFlow {
        src: words(src),
        dst: words(dst),
        src_port: stream.src.port().to_be(),
        dst_port: stream.dst.port().to_be(),
        checksum: checksum(&header(src, dst)).to_be(),
        first_seq: stream.first_seq,
        first_time: stream.first_time,
        ssrc: stream.ssrc,
    }
}

/// The internet checksum (RFC 1071).
fn checksum(header: &[u8; 20]) -> u16 {
    let words = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
