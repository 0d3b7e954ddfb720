//! What signalling has decided, done at once: bindings go to the flow table, what waited for them to
//! its call, news to the worker, to whoever watches and to the journal.

use nightjar_flow::Stream;
use nightjar_schema::{Call, EndCause, Protocol};
use nightjar_signal::Output;
use nightjar_wire::{CallKey, Nanos};

use super::{CaptureCore, CoreOutput, Kept, Snapshots};
use crate::event::{CoreEvent, StreamTold};
use crate::ledger::Dropped;
use crate::row;

impl<O: CoreOutput> CaptureCore<O> {
    /// A stream that waited belongs to a call now: what waited is appended first, with its own
    /// stamps.
    pub(super) fn joined(&mut self, id: u32) {
        self.announce(id);
        let Some(call) = self.flows.stream(id).and_then(|stream| stream.membership).map(|m| m.call) else {
            return;
        };
        if let Some(shed) = self.learned.shed_of(call) {
            let released = self.preroll.release(id, |_, _, _| {});
            self.ledger.held -= released;
            return self.count_shed(shed, released);
        }
        let (output, ledger) = (&mut self.output, &mut self.ledger);
        let released =
            self.preroll.release(id, |at, bytes, frames| match output.media(call, id, at, bytes) {
                Kept::Yes => ledger.recorded += frames,
                Kept::NoRoom => ledger.drop(Dropped::JournalFull, frames),
            });
        self.ledger.held -= released;
        self.directory.handle_media(self.clock, call);
    }

    /// Tells the worker of a stream.
    pub(super) fn announce(&mut self, id: u32) {
        let Some(stream) = self.flows.stream(id) else { return };
        let Some(membership) = stream.membership else { return };
        let told = StreamTold {
            call: membership.call,
            stream: id,
            flow: stream.key.flow,
            dialog: membership.dialog,
            speaker: membership.speaker,
            receiver: membership.receiver,
            ssrc: stream.key.ssrc,
            kind: stream.kind,
            formats: stream.formats.clone(),
            copy_of: stream.copy_of,
            continues: stream.continues,
        };
        self.output.event(self.clock, CoreEvent::Stream(told));
    }

    /// Does what signalling has decided.
    pub(super) fn drain_directory(&mut self) {
        while let Some(output) = self.directory.poll_output() {
            self.handle_output(output);
        }
        while let Some(call) = self.rebound.pop() {
            self.write_snapshot(self.clock, call);
        }
        self.set_due();
    }

    fn handle_output(&mut self, output: Output) {
        match output {
            Output::Opened { call, id, at } => {
                let row = self.directory.row(call);
                let answered = row.is_some_and(|row| {
                    let unsignalled = row.protocol == Protocol::None;
                    unsignalled || row.begun_before_capture || row.answered_at.is_some()
                });
                self.output.event(at, CoreEvent::Opened { call, id, at, answered });
                if self.config.snapshots == Snapshots::OnChange {
                    self.checkpoints.handle_opened(call, at.max(self.clock));
                }
                self.tell_changed(at, call);
            }
            Output::Bind(binding) => {
                self.ask_for(&binding);
                self.learned.bind(&binding);
                // A re-INVITE that moves ports changes nothing that is told, but a later start needs it.
                if self.rebound.last() != Some(&binding.call) {
                    self.rebound.push(binding.call);
                }
                let rebound = self.flows.bind(binding);
                rebound.changed.into_iter().for_each(|id| self.announce(id));
                rebound.joined.into_iter().for_each(|id| self.joined(id));
            }
            Output::Unbind { call, dialog, endpoint, until } => {
                self.withdraw(call, endpoint);
                self.flows.unbind(call, dialog, endpoint, until);
            }
            Output::Answered { call, dialog, at } => {
                self.output.event(at, CoreEvent::Answered { call, dialog, at });
                self.expect_no_media(call);
                self.tell_changed(at, call);
            }
            Output::Changed { call, at } => self.tell_changed(at, call),
            Output::Ended { call, at, cause, last_sign } => {
                // Nobody hung up: what was last seen or heard ends the recording, not the timer, and
                // not the end of a capture that went on without the call.
                let hung_up = matches!(cause, EndCause::Bye | EndCause::Cancel | EndCause::Rejected);
                let heard = self.flows.streams_of(call).map(|stream| stream.figures.last_at).max();
                let ends_at = if hung_up { at } else { heard.map_or(last_sign, |at| at.max(last_sign)) };
                self.flows.end_call(call);
                self.stop_promising(call);
                self.output.event(at, CoreEvent::Ended { call, at: ends_at });
                self.tell_changed(at, call);
            }
            Output::Resumed { call, .. } => self.flows.handle_resume(call),
            Output::Closed { call, row } => self.close(call, row),
            Output::Merged { call, .. } => {
                self.forget_admission(call);
                self.flows.close_call(call);
                self.output.event(self.clock, CoreEvent::Abandoned { call });
            }
            Output::Adopted { call, dialog, flows, .. } => {
                for adopted in flows {
                    let relabelled = self.flows.relabel(call, adopted.flow, dialog, adopted.speaker);
                    relabelled.into_iter().for_each(|id| self.announce(id));
                }
            }
        }
    }

    /// Says what is new about a call: to whoever watches, and to the journal for a later start.
    pub(super) fn tell_changed(&mut self, at: Nanos, call: CallKey) {
        self.rebound.retain(|rebound| *rebound != call);
        self.write_snapshot(at, call);
        let (output, directory) = (&mut self.output, &self.directory);
        // It may turn out to be a call that is shown already.
        if directory.is_tentative(call) {
            return;
        }
        let shed = self.learned.shed_of(call);
        output.changed(at, &mut || {
            let mut row = directory.row(call)?;
            row::add_decision(&mut row, shed);
            Some(row)
        });
    }

    fn write_snapshot(&mut self, at: Nanos, call: CallKey) {
        if self.config.snapshots == Snapshots::OnChange
            && let Some(state) = self.directory.snapshot(call)
        {
            self.output.event(at, CoreEvent::Snapshot { call, state });
        }
    }

    fn close(&mut self, call: CallKey, mut row: Box<Call>) {
        let shed = self.forget_admission(call);
        let streams: Vec<Stream> = self.flows.close_call(call);
        row::add_streams(&mut row, &streams);
        row::add_decision(&mut row, shed);
        for (entry, stream) in row.streams.iter_mut().zip(&streams) {
            entry.lost_ours = self.interrupted.take(stream.id).min(entry.lost);
        }
        let ids = streams.iter().map(|stream| stream.id).collect();
        let order = self.closed;
        self.closed += 1;
        self.output.event(self.clock, CoreEvent::Closed { call, order, row, streams: ids });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use nightjar_flow::Limits;
    use nightjar_signal::{Directory, SignalConfig};
    use nightjar_wire::{Endpoint, Realm, Realms, VxlanPorts};

    use super::*;
    use crate::capture_core::{CoreConfig, Datagram, Depth};

    /// Keeps the last snapshot.
    struct Snapshot<'a>(&'a RefCell<Vec<u8>>);

    impl CoreOutput for Snapshot<'_> {
        fn media(&mut self, _: CallKey, _: u32, _: Nanos, _: &[u8]) -> Kept {
            Kept::Yes
        }

        fn rtcp(&mut self, _: CallKey, _: Nanos, _: &[u8]) -> Kept {
            Kept::Yes
        }

        fn event(&mut self, _: Nanos, event: CoreEvent) {
            if let CoreEvent::Snapshot { state, .. } = event {
                *self.0.borrow_mut() = state;
            }
        }

        fn changed(&mut self, _: Nanos, _: &mut dyn FnMut() -> Option<Call>) {}

        fn ring_lost(&mut self, _: Nanos, _: Nanos, _: Nanos) {}

        fn watermark(&mut self, _: Nanos, _: Nanos) {}

        fn publish(&mut self, _: Nanos) {}
    }

    fn message(start: &str, sequence: &str, to_tag: &str, host: u8, port: u16) -> Vec<u8> {
        let sdp = format!("v=0\r\nc=IN IP4 10.0.0.{host}\r\nm=audio {port} RTP/AVP 0\r\n");
        let sdp = if port == 0 { String::new() } else { sdp };
        format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{sequence}\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>{to_tag}\r\nCall-ID: c\r\nCSeq: {sequence}\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )
        .into_bytes()
    }

    #[test]
    fn a_later_start_knows_the_ports_that_a_reinvite_moved_to() {
        let config = CoreConfig {
            depth: Depth::Payload,
            snapshots: Snapshots::OnChange,
            checkpoint_every: Nanos::MAX,
            signal: SignalConfig::default(),
            limits: Limits::default(),
            realms: Realms::default(),
            vxlan: VxlanPorts::USUAL,
        };
        let last = RefCell::new(Vec::new());
        let mut core = CaptureCore::new(config, Snapshot(&last));
        let endpoint = |host: u8| Endpoint::new(Realm(0), [10, 0, 0, host].into(), 5060);
        let (invite, ok, ack) = ("INVITE sip:b@h SIP/2.0", "SIP/2.0 200 OK", "ACK sip:b@h SIP/2.0");
        let messages = [
            (1, message(invite, "1 INVITE", "", 1, 4000)),
            (2, message(ok, "1 INVITE", ";tag=2", 2, 6000)),
            (1, message(ack, "1 ACK", ";tag=2", 1, 0)),
            (1, message(invite, "2 INVITE", ";tag=2", 1, 4100)),
            (2, message(ok, "2 INVITE", ";tag=2", 2, 6000)),
        ];
        for (second, (from, payload)) in (1..).zip(&messages) {
            let at = Nanos::from_secs(second);
            let (src, dst) = (endpoint(*from), endpoint(3 - from));
            core.handle_time(at);
            let (truncated, ip_id) = (false, None);
            core.handle_datagram(&Datagram { at, src, dst, payload, truncated, ip_id, frames: 1 });
        }
        let mut later = Directory::new(SignalConfig::default());
        later.restore(&last.borrow()).expect("a state that was written");
        let mut ports = Vec::new();
        while let Some(output) = later.poll_output() {
            if let Output::Bind(binding) = output {
                ports.push(binding.endpoint.port);
            }
        }
        assert!(ports.contains(&4100) && ports.contains(&6000), "{ports:?}");
    }
}
