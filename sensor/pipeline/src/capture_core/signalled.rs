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
                self.learned.bind(&binding);
                let rebound = self.flows.bind(binding);
                rebound.changed.into_iter().for_each(|id| self.announce(id));
                rebound.joined.into_iter().for_each(|id| self.joined(id));
            }
            Output::Unbind { call, dialog, endpoint, until } => {
                self.flows.unbind(call, dialog, endpoint, until);
            }
            Output::Answered { call, dialog, at } => {
                self.output.event(at, CoreEvent::Answered { call, dialog, at });
                self.tell_changed(at, call);
            }
            Output::Changed { call, at } => self.tell_changed(at, call),
            Output::Ended { call, at, cause, last_sign } => {
                // Nobody hung up: what was last seen or heard ends the recording, not the timer, and
                // not the end of a capture that went on without the call.
                let hung_up = matches!(cause, EndCause::Bye | EndCause::Cancel | EndCause::Rejected);
                let heard = self.flows.streams_of(call).map(|stream| stream.figures.last_at).max();
                let ends_at = if hung_up { at } else { heard.map_or(last_sign, |at| at.max(last_sign)) };
                self.flows.end_call(call, at);
                self.output.event(at, CoreEvent::Ended { call, at: ends_at });
                self.tell_changed(at, call);
            }
            Output::Resumed { call, .. } => self.flows.handle_resume(call),
            Output::Closed { call, row } => self.close(call, row),
            Output::Merged { call, .. } => {
                self.learned.forget(call);
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
    fn tell_changed(&mut self, at: Nanos, call: CallKey) {
        if self.config.snapshots == Snapshots::OnChange
            && let Some(state) = self.directory.snapshot(call)
        {
            self.output.event(at, CoreEvent::Snapshot { call, state });
        }
        let (output, directory) = (&mut self.output, &self.directory);
        // It may turn out to be a call that is shown already.
        if directory.is_tentative(call) {
            return;
        }
        output.changed(at, &mut || directory.row(call));
    }

    fn close(&mut self, call: CallKey, mut row: Box<Call>) {
        self.learned.forget(call);
        let streams: Vec<Stream> = self.flows.close_call(call);
        row::add_streams(&mut row, &streams);
        for (entry, stream) in row.streams.iter_mut().zip(&streams) {
            entry.lost_ours = self.interrupted.take(stream.id).min(entry.lost);
        }
        let ids = streams.iter().map(|stream| stream.id).collect();
        let order = self.closed;
        self.closed += 1;
        self.output.event(self.clock, CoreEvent::Closed { call, order, row, streams: ids });
    }
}
