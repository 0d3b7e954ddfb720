//! The capture core: what each frame is, whose it is, and where it goes. Signalling is read in
//! line, so that a binding holds from the very next frame on, and everything that decides runs on
//! the capture clock: the same frames give the same calls at any speed.

use nightjar_capture::{RawFrame, RingLoss};
use nightjar_flow::{FlowTable, Limits, Placement, RtcpPlacement, Sought};
use nightjar_schema::{Call, EndCause};
use nightjar_signal::{Directory, SignalConfig};
use nightjar_wire::{
    CallKey, Endpoint, FlowKey, Frame, FrameError, MediaClass, Nanos, Realms, RtpView, Transport, VxlanPorts,
    classify, decode_frame_through, looks_like_sip,
};
use uuid::Uuid;

use crate::admission::{Admission, Shed};
use crate::checkpoints::Checkpoints;
use crate::event::CoreEvent;
use crate::learned::{Learned, LearnedEndpoints};
use crate::ledger::{Dropped, Ignored, Ledger};
use crate::outage::Interrupted;
use crate::preroll::{self, Evicted, Preroll};
use crate::reassembly::{Outcome, Reassembly};
use crate::recovery::Recovered;
use crate::saved::Checkpoint;
use crate::steady_clock::SteadyClock;

mod runs;
mod shedding;
mod signalled;

/// A step of the capture clock that no call explains (a clock set, files of different years): the
/// time in it is not counted as waiting.
const CLOCK_JUMP: Nanos = Nanos::from_secs(24 * 3600);

/// The directory hears the time at least this often, and before each step that is longer: so a jump of the clock
/// is the same for it and for the core, and a silence is none.
const MAX_UNTOLD: Nanos = Nanos::from_secs(3600);

/// How deep packets are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Headers alone: a truncated packet is as good as a whole one.
    Headers,
    /// Whole packets, which are kept.
    Payload,
}

/// Whether signalling's state is journalled, so that a later start can continue its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshots {
    /// At each change of a call, and with its streams' figures from time to time.
    OnChange,
    /// Never: nothing outlives the process (replay).
    Never,
}

/// Settings of a core.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// How deep to look.
    pub depth: Depth,
    /// Whether calls can be continued after a crash.
    pub snapshots: Snapshots,
    /// Capture time between two checkpoints of a call: with its worker's own saving it bounds what a
    /// call in progress needs of the journal.
    pub checkpoint_every: Nanos,
    /// Signalling's own settings.
    pub signal: SignalConfig,
    /// The flow table's.
    pub limits: Limits,
    /// Which frames belong to which realm.
    pub realms: Realms,
    /// Where VXLAN is seen through.
    pub vxlan: VxlanPorts,
}

/// Whether a packet was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is in the journal (or counted, where nothing is kept).
    Yes,
    /// There was no room.
    NoRoom,
}

/// Where a core's results go.
pub trait CoreOutput {
    /// An RTP packet of a call's stream, from the RTP header on.
    fn media(&mut self, call: CallKey, stream: u32, at: Nanos, datagram: &[u8]) -> Kept;
    /// An RTCP datagram of a call.
    fn rtcp(&mut self, call: CallKey, at: Nanos, datagram: &[u8]) -> Kept;
    /// Something about a call, in order with its packets.
    fn event(&mut self, at: Nanos, event: CoreEvent);
    /// A call as it is known now, for whoever watches it live.
    fn changed(&mut self, at: Nanos, row: &mut dyn FnMut() -> Option<Call>);
    /// No packet stamped before `watermark` comes any more, not even from pre-roll. It depends on
    /// stamps alone, and comes before what they let happen: neither the size of the batches nor the
    /// speed of a replay reaches what a worker sees.
    fn watermark(&mut self, clock: Nanos, watermark: Nanos);
    /// Frames of any call may have been lost in a ring that was full.
    fn ring_lost(&mut self, clock: Nanos, from: Nanos, to: Nanos);
    /// A batch is done: everything so far may be read.
    fn publish(&mut self, clock: Nanos);
}

/// What became of the calls that an earlier run left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Those that go on.
    pub ids: Vec<Uuid>,
    /// Calls of which too little was left.
    pub abandoned: u64,
}

/// One capture core with the signalling read in line.
pub struct CaptureCore<O> {
    config: CoreConfig,
    directory: Directory,
    flows: FlowTable,
    preroll: Preroll,
    learned: LearnedEndpoints,
    /// Who may be kept; `None` where everything is (replay).
    admission: Option<Admission>,
    /// Calls to be cut, while they are.
    to_cut: Vec<(CallKey, Shed)>,
    /// Calls whose endpoints have changed since their state was written.
    rebound: Vec<CallKey>,
    reassembly: Reassembly,
    ledger: Ledger,
    output: O,
    /// What stamps mean.
    steady: SteadyClock,
    /// The capture time up to which everything was done.
    clock: Nanos,
    /// How far behind the latest stamp the source may still give frames.
    lateness: Nanos,
    /// Capture time so far, clock jumps left out.
    span: Nanos,
    /// When a timer is due next.
    due: Nanos,
    /// Rows closed so far.
    closed: u64,
    evicted: Vec<Evicted>,
    /// Streams of the packets at hand; emptied after each run.
    sought: Vec<Sought>,
    /// Streams that an outage of the sensor has interrupted.
    interrupted: Interrupted,
    checkpoints: Checkpoints,
}

impl<O: CoreOutput> CaptureCore<O> {
    /// A core without calls.
    pub fn new(config: CoreConfig, output: O) -> CaptureCore<O> {
        CaptureCore::with_preroll(config, output, preroll::ARENA)
    }

    /// As [`CaptureCore::new`], with so many bytes for media that waits for its signalling; the
    /// longest datagram (64 KiB) must fit.
    pub fn with_preroll(config: CoreConfig, output: O, bytes: usize) -> CaptureCore<O> {
        CaptureCore {
            directory: Directory::new(config.signal.clone()),
            flows: FlowTable::new(config.limits),
            learned: LearnedEndpoints::default(),
            admission: None,
            to_cut: Vec::new(),
            rebound: Vec::new(),
            preroll: Preroll::new(bytes),
            reassembly: Reassembly::default(),
            ledger: Ledger::default(),
            output,
            steady: SteadyClock::default(),
            clock: Nanos::ZERO,
            lateness: Nanos::ZERO,
            span: Nanos::ZERO,
            due: Nanos::MAX,
            closed: 0,
            evicted: Vec::new(),
            sought: Vec::with_capacity(runs::GROUP),
            interrupted: Interrupted::default(),
            checkpoints: Checkpoints::new(config.checkpoint_every),
            config,
        }
    }

    /// Goes on with the calls that an earlier run left, capturing since `now`.
    pub fn restore(&mut self, flows: FlowTable, mut found: Recovered, now: Nanos) -> Restored {
        self.flows = flows;
        self.closed = found.closed;
        // The host's clock may have been set back meanwhile.
        self.steady.go_on_from(found.latest().max(now));
        let now = self.steady.latest();
        let mut restored = Restored::default();
        for call in found.open_calls() {
            let state = found.snapshots.get(&call);
            let shed = found.shed.get(&call).copied();
            // A state that cannot be read is another version's, or was in the journal's lost end.
            if state.is_some_and(|state| self.directory.restore(state).is_ok()) {
                if let Some(row) = self.directory.row(call) {
                    restored.ids.push(row.id);
                    // The state may be older than what the journal knows of the call's streams.
                    let changed = self.flows.forget_unknown(call, row.legs.len(), row.dialogs.len());
                    changed.into_iter().for_each(|id| self.announce(id));
                }
                self.restore_admission(call, shed);
                let from = found.last_at(call).min(now);
                // Of one that was cut nothing more is missing.
                if shed.is_none() {
                    self.output.event(now, CoreEvent::Outage { call, from, to: now });
                }
            } else {
                restored.abandoned += 1;
                self.flows.close_call(call);
                self.output.event(now, CoreEvent::Abandoned { call });
            }
        }
        self.interrupted = std::mem::take(&mut found.interrupted);
        self.directory.handle_time(now);
        let calls: Vec<CallKey> = self.directory.open_calls().collect();
        if self.config.snapshots == Snapshots::OnChange {
            self.checkpoints.handle_restored(&calls, now);
        }
        for call in calls {
            self.interrupted.handle_outage(call, &self.flows);
            // A call's state was written before its media came: without them it would wait for
            // hours for a BYE that fell into the outage.
            let heard = self.flows.streams_of(call).map(|stream| stream.figures.last_at).max();
            if let Some(at) = heard.filter(|at| *at > Nanos::ZERO) {
                let silent = found.last_at(call).min(now) - at;
                self.directory.handle_earlier_media(at, silent, call);
            }
            self.expect_no_media(call);
        }
        self.drain_directory();
        restored
    }

    /// The counters so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Signalling's state.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where the results go.
    pub fn output(&mut self) -> &mut O {
        &mut self.output
    }

    /// The capture clock.
    pub fn clock(&self) -> Nanos {
        self.clock
    }

    /// Calls closed so far.
    pub fn closed_calls(&self) -> u64 {
        self.closed
    }

    /// From the first to the latest stamp, clock jumps left out.
    pub fn capture_span(&self) -> Nanos {
        self.span
    }

    /// Takes one frame.
    pub fn handle_frame(&mut self, frame: &RawFrame<'_>) {
        let at = self.enter(frame);
        match decode_frame_through(frame.link, frame.bytes, &self.config.vxlan) {
            Ok(decoded) => self.handle_decoded(at, frame.interface, &decoded, 1),
            Err(FrameError::Truncated) if frame.original_len as usize > frame.bytes.len() => {
                self.ledger.drop(Dropped::Truncated, 1);
            }
            Err(error) => self.count_error(error, 1),
        }
    }

    fn count_error(&mut self, error: FrameError, frames: u64) {
        match error {
            FrameError::NotIp => self.ledger.ignore(Ignored::NotIp, frames),
            FrameError::Truncated | FrameError::Malformed => self.ledger.drop(Dropped::Malformed, frames),
        }
    }

    /// Counts a frame, and says when it came by the capture clock, which it moves on.
    fn enter(&mut self, frame: &RawFrame<'_>) -> Nanos {
        self.ledger.received += 1;
        let moment = self.steady.of_stamp(frame.at, self.lateness);
        if moment.set_back {
            self.directory.handle_set_back();
        }
        self.move_to(moment.at);
        moment.at
    }

    /// Counts frames of interfaces whose link type is not decoded.
    pub fn handle_unknown_link(&mut self, frames: u64) {
        self.ledger.received += frames;
        self.ledger.drop(Dropped::UnknownLink, frames);
    }

    /// The source's ring lost frames: what is missing of a stream at that time is ours, not the wire's.
    pub fn handle_ring_loss(&mut self, loss: &RingLoss) {
        self.output.ring_lost(self.clock, loss.from, loss.to);
    }

    /// Nothing has come up to `now` by the source's clock: does what has become due.
    pub fn handle_time(&mut self, now: Nanos) {
        let now = self.steady.of_silence(now);
        self.move_to(now);
    }

    /// Moves the capture clock on and does what has become due.
    fn move_to(&mut self, now: Nanos) {
        self.steady.advance(now);
        if now <= self.clock {
            return;
        }
        if self.clock == Nanos::ZERO {
            // When the capture began tells which calls were on before it.
            self.directory.handle_time(now);
            self.set_due();
        } else {
            if now - self.clock > MAX_UNTOLD {
                self.directory.handle_time(self.clock);
            }
            if now - self.clock > CLOCK_JUMP {
                return self.jump(now);
            }
            self.span = self.span + (now - self.clock);
        }
        self.clock = now;
        if now >= self.due {
            // What was said before a timer is heard before it ends the call.
            self.tell_watermark(self.due);
            self.run_timers(now);
        }
        self.tell_watermark(now);
    }

    /// Ends a batch: lets the workers see it. The source may still give frames stamped `lateness`
    /// behind the clock.
    pub fn end_batch(&mut self, lateness: Nanos) {
        self.lateness = lateness;
        self.output.publish(self.clock);
    }

    /// Tells what is new about the endpoints of calls since it was last asked.
    pub fn take_learned(&mut self, tell: impl FnMut(Learned)) {
        self.learned.drain().for_each(tell);
    }

    fn tell_watermark(&mut self, now: Nanos) {
        let clock = now - self.lateness;
        let watermark = self.preroll.oldest().map_or(clock, |oldest| oldest.min(clock));
        self.output.watermark(now, watermark);
    }

    /// Ends the capture: what waits is decided, calls in progress are closed.
    pub fn finish(&mut self, cause: EndCause) {
        self.expire_preroll(Nanos::MAX);
        let given_up = self.reassembly.expire(Nanos::MAX);
        self.give_up_fragments(given_up);
        self.directory.handle_capture_end(self.clock, cause);
        self.drain_directory();
        debug_assert_eq!(self.ledger.held, 0, "nothing waits after the end");
    }

    /// The clock jumped: nothing that waits here has anything to wait for on the other side. The
    /// directory leaves the jump out of its time-outs itself.
    fn jump(&mut self, now: Nanos) {
        self.expire_preroll(Nanos::MAX);
        let given_up = self.reassembly.expire(Nanos::MAX);
        self.give_up_fragments(given_up);
        self.clock = now;
        self.directory.handle_time(now);
        self.drain_directory();
        self.tell_watermark(now);
    }

    fn run_timers(&mut self, now: Nanos) {
        self.expire_preroll(now);
        let given_up = self.reassembly.expire(now);
        self.give_up_fragments(given_up);
        self.directory.handle_time(now);
        self.drain_directory();
        self.write_checkpoints(now);
    }

    /// Says what is known of the calls whose time has come.
    fn write_checkpoints(&mut self, now: Nanos) {
        while let Some(call) = self.checkpoints.poll(now) {
            let Some(state) = self.directory.snapshot(call) else { continue };
            self.checkpoints.handle_opened(call, now);
            let streams: Vec<_> = self.flows.streams_of(call).cloned().collect();
            let ids: Vec<u32> = streams.iter().map(|stream| stream.id).collect();
            let (interrupted, shed) = (self.interrupted.of(&ids), self.learned.shed_of(call));
            let checkpoint = Checkpoint { state, streams, interrupted, shed };
            self.output.event(now, CoreEvent::Checkpoint { call, checkpoint });
        }
        self.set_due();
    }

    fn set_due(&mut self) {
        let times = [
            self.directory.next_time(),
            Some(self.directory.now() + MAX_UNTOLD).filter(|_| self.clock > Nanos::ZERO),
            self.preroll.next_time(),
            self.reassembly.next_time(),
            self.checkpoints.next_time(),
        ];
        self.due = times.into_iter().flatten().min().unwrap_or(Nanos::MAX);
    }

    fn give_up_fragments(&mut self, frames: u64) {
        self.ledger.held -= frames;
        self.ledger.drop(Dropped::ReassemblyTimeout, frames);
    }

    /// Tells the names of the interfaces that frames name by their index: realms may go by them.
    pub fn know_interfaces(&mut self, names: &[String]) {
        self.config.realms.know_interfaces(names);
    }

    /// Frames of this and later interfaces wait for [`CaptureCore::know_interfaces`].
    pub fn known_interfaces(&self) -> usize {
        self.config.realms.known_interfaces()
    }

    /// Takes what came by an interface in so many frames.
    fn handle_decoded(&mut self, at: Nanos, interface: u16, frame: &Frame<'_>, frames: u64) {
        let Frame { network, transport, .. } = frame;
        match *transport {
            Transport::Udp { src_port, dst_port, payload, truncated } => {
                let realm = self.config.realms.of(interface, frame);
                let src = Endpoint::new(realm, network.src, src_port);
                let dst = Endpoint::new(realm, network.dst, dst_port);
                let datagram = Datagram { at, src, dst, payload, truncated, ip_id: network.id, frames };
                self.handle_datagram(&datagram);
            }
            Transport::Tcp { .. } => self.ledger.ignore(Ignored::Tcp, frames),
            Transport::Gre(_) | Transport::Other(_) => self.ledger.ignore(Ignored::OtherProtocol, frames),
            Transport::Fragment(fragment) => {
                let realm = self.config.realms.of(interface, frame);
                match self.reassembly.handle_fragment(at, realm, network, &fragment, frames) {
                    Outcome::Held => {
                        self.ledger.held += frames;
                        self.set_due();
                    }
                    Outcome::Copy => self.ledger.ignore(Ignored::MirrorCopy, frames),
                    Outcome::Rejected(given_up) => {
                        self.ledger.held -= given_up - frames;
                        self.ledger.drop(Dropped::ReassemblyFull, given_up);
                    }
                    Outcome::Whole { payload, frames: all } => {
                        self.ledger.held -= all - frames;
                        // A tunnel's, it may hold a fragment again: so often as there are tunnels at most.
                        match frame.made_whole(fragment.protocol, &payload, &self.config.vxlan) {
                            Ok(whole) => self.handle_decoded(at, interface, &whole, all),
                            Err(error) => self.count_error(error, all),
                        }
                    }
                }
            }
        }
    }

    fn handle_datagram(&mut self, datagram: &Datagram<'_>) {
        let Datagram { at, src, dst, payload, frames, .. } = *datagram;
        let class = classify(payload);
        let reason = match class {
            MediaClass::Rtp => {
                let Datagram { truncated, ip_id, .. } = *datagram;
                let sought = self.flows.seek(FlowKey::new(src, dst), RtpView::ssrc_of(payload));
                return self.handle_rtp(&Rtp { at, payload, truncated, ip_id, frames }, &sought);
            }
            MediaClass::Rtcp => return self.handle_rtcp(datagram),
            _ if looks_like_sip(payload) => {
                self.ledger.signalling += frames;
                // A message that cannot be read is counted by the directory; the frame stays signalling.
                let _ = self.directory.handle_sip(at, src, dst, payload);
                return self.drain_directory();
            }
            MediaClass::Stun => Ignored::Stun,
            MediaClass::Dtls => Ignored::Dtls,
            MediaClass::Zrtp => Ignored::Zrtp,
            MediaClass::TurnChannel => Ignored::TurnChannel,
            MediaClass::KeepAlive => Ignored::KeepAlive,
            MediaClass::Other => Ignored::UdpOther,
        };
        self.ledger.ignore(reason, frames);
    }

    fn handle_rtp(&mut self, datagram: &Rtp<'_>, sought: &Sought) {
        let Rtp { at, payload, truncated, ip_id, frames } = *datagram;
        if self.learned.has_shed() {
            let flow = sought.key().flow;
            if let Some(shed) = self.learned.shed_between(flow.source(), flow.destination()) {
                return self.count_shed(shed, frames);
            }
        }
        if truncated && self.config.depth == Depth::Payload {
            return self.ledger.drop(Dropped::Truncated, frames);
        }
        let rtp = match RtpView::parse(payload) {
            Ok(rtp) => rtp,
            // Padding is counted from the last byte, which a truncated packet lacks.
            Err(_) if truncated => return self.ledger.drop(Dropped::Truncated, frames),
            Err(_) => {
                let (flow, bindings) = (sought.key().flow, self.flows.bindings());
                let named = bindings.names(flow.destination()) || bindings.names(flow.source());
                return if named {
                    self.ledger.drop(Dropped::MalformedRtp, frames);
                } else {
                    self.ledger.ignore(Ignored::UdpOther, frames);
                };
            }
        };
        match self.flows.handle_sought(at, sought, &rtp, ip_id) {
            Placement::Bound { stream, call, opened, active, returned } => {
                if let Some(shed) = self.learned.shed_of(call) {
                    return self.count_shed(shed, frames);
                }
                if opened {
                    self.announce(stream);
                }
                if let Some(lost) = returned {
                    self.output.event(at, CoreEvent::Returned { call, stream, at, lost });
                }
                if active {
                    self.directory.handle_media(at, call);
                    self.drain_directory();
                }
                self.interrupted.handle_packet(stream, rtp.sequence());
                let kept = self.output.media(call, stream, at, payload);
                self.count_kept(kept, frames);
            }
            Placement::Waiting { stream, .. } => self.hold(stream, at, payload, frames),
            Placement::MirrorCopy => self.ledger.ignore(Ignored::MirrorCopy, frames),
            Placement::TableFull => self.ledger.drop(Dropped::StreamsFull, frames),
        }
    }

    fn handle_rtcp(&mut self, datagram: &Datagram<'_>) {
        let Datagram { at, src, dst, payload, frames, .. } = *datagram;
        if let Some(shed) = self.learned.shed_between(src, dst) {
            return self.count_shed(shed, frames);
        }
        match self.flows.handle_rtcp(at, FlowKey::new(src, dst), payload, datagram.ip_id) {
            RtcpPlacement::Bound(_) if datagram.truncated && self.config.depth == Depth::Payload => {
                self.ledger.drop(Dropped::Truncated, frames);
            }
            RtcpPlacement::Bound(call) => {
                let kept = self.output.rtcp(call, at, payload);
                self.count_kept(kept, frames);
            }
            RtcpPlacement::MirrorCopy => self.ledger.ignore(Ignored::MirrorCopy, frames),
            RtcpPlacement::Unknown => self.ledger.ignore(Ignored::Rtcp, frames),
        }
    }

    fn count_kept(&mut self, kept: Kept, frames: u64) {
        match kept {
            Kept::Yes => self.ledger.recorded += frames,
            Kept::NoRoom => self.ledger.drop(Dropped::JournalFull, frames),
        }
    }

    /// Keeps a packet that nothing explains until something does.
    fn hold(&mut self, stream: u32, at: Nanos, payload: &[u8], frames: u64) {
        self.ledger.held += frames;
        self.preroll.hold(stream, at, payload, frames, &mut self.evicted);
        while let Some(evicted) = self.evicted.pop() {
            self.ledger.held -= evicted.frames;
            self.ledger.drop(Dropped::PrerollFull, evicted.frames);
            if evicted.stream != stream {
                self.flows.remove_waiting(evicted.stream);
            }
        }
        if self.preroll.packets(stream) >= preroll::MAX_PACKETS {
            self.decide_waiting(stream);
        }
        self.set_due();
    }

    fn expire_preroll(&mut self, now: Nanos) {
        while let Some(stream) = self.preroll.poll_expired(now) {
            self.decide_waiting(stream);
        }
    }

    /// A stream's wait is over: a plausible one becomes a call without signalling.
    fn decide_waiting(&mut self, id: u32) {
        let Some(stream) = self.flows.stream(id).filter(|_| self.flows.is_plausible(id)) else {
            let frames = self.preroll.release(id, |_, _, _| {});
            self.ledger.held -= frames;
            self.ledger.ignore(Ignored::UnexplainedRtp, frames);
            return self.flows.remove_waiting(id);
        };
        let (flow, ssrc, first_at) = (stream.key.flow, stream.key.ssrc, stream.figures.first_at);
        let call = self.directory.handle_unsignalled(first_at, flow, ssrc);
        self.drain_directory();
        if self.flows.stream(id).is_some_and(|stream| stream.membership.is_none()) {
            let speaker = self.directory.unsignalled_speaker(call, flow);
            self.flows.join_unsignalled(id, call, speaker);
            self.ask_for_unsignalled(call, flow);
            self.joined(id);
            self.drain_directory();
        }
    }
}

/// One UDP datagram on its way.
#[derive(Clone, Copy)]
struct Datagram<'a> {
    at: Nanos,
    src: Endpoint,
    dst: Endpoint,
    payload: &'a [u8],
    truncated: bool,
    ip_id: Option<u16>,
    /// Frames that it came in.
    frames: u64,
}

/// One datagram that looks like RTP; its flow is known by what is sought.
#[derive(Clone, Copy)]
struct Rtp<'a> {
    at: Nanos,
    payload: &'a [u8],
    truncated: bool,
    ip_id: Option<u16>,
    /// Frames that it came in.
    frames: u64,
}

#[cfg(test)]
mod tests {
    use nightjar_wire::Realm;

    use super::*;
    use crate::analysed::Analysed;

    /// Nothing takes a waiting stream away before its wait is over; should that change, what waits
    /// of it must not be forgotten.
    #[test]
    fn what_waits_of_a_stream_that_is_gone_is_counted() {
        let config = CoreConfig {
            depth: Depth::Payload,
            snapshots: Snapshots::Never,
            checkpoint_every: Nanos::MAX,
            signal: SignalConfig::default(),
            limits: Limits::default(),
            realms: Realms::default(),
            vxlan: VxlanPorts::USUAL,
        };
        let mut core = CaptureCore::new(config, Analysed::new(|_| {}));
        let endpoint = |host: u8| Endpoint::new(Realm(0), [10, 0, 0, host].into(), 4000);
        let (at, payload) = (Nanos::from_secs(1), [0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xd5]);
        let (src, dst) = (endpoint(1), endpoint(2));
        core.ledger.received += 1;
        core.handle_time(at);
        let (truncated, ip_id, payload) = (false, None, &payload[..]);
        core.handle_datagram(&Datagram { at, src, dst, payload, truncated, ip_id, frames: 1 });
        assert_eq!(core.ledger.held, 1);
        core.flows.remove_waiting(0);
        core.handle_time(at + preroll::WAIT);
        assert_eq!((core.ledger.held, core.ledger.residual()), (0, 0));
    }
}
