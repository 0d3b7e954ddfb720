//! What admission means for calls and their packets: a call asks with its first media line; of one that
//! is refused or cut no media is kept, while its signalling is read on.

use nightjar_schema::Call;
use nightjar_wire::{Binding, CallKey, Endpoint, FlowKey};

use super::{CaptureCore, CoreOutput};
use crate::admission::{Admission, AdmissionConfig, AdmissionCounts, MediaLine, Pressure, Priority, Shed};
use crate::event::CoreEvent;
use crate::ledger::Dropped;

impl<O: CoreOutput> CaptureCore<O> {
    /// Calls must be admitted from now on. Without it every call is kept, as replay does.
    #[must_use]
    pub fn with_admission(mut self, config: AdmissionConfig) -> CaptureCore<O> {
        self.admission = Some(Admission::new(config));
        self
    }

    /// How many calls were admitted, refused and cut.
    pub fn admission_counts(&self) -> AdmissionCounts {
        self.admission.as_ref().map(Admission::counts).unwrap_or_default()
    }

    /// Takes a sample of the load, between two batches.
    pub fn handle_pressure(&mut self, pressure: &Pressure) {
        let Some(admission) = &mut self.admission else { return };
        let mut to_cut = std::mem::take(&mut self.to_cut);
        admission.handle_pressure(self.clock, pressure, &mut to_cut);
        if !to_cut.is_empty() {
            to_cut.drain(..).for_each(|(call, shed)| self.shed(call, shed));
            self.drain_directory();
        }
        self.to_cut = to_cut;
    }

    /// Signalling has named an endpoint of a call.
    pub(super) fn ask_for(&mut self, binding: &Binding) {
        let call = binding.call;
        let Some(admission) = &mut self.admission else { return };
        let priority = match admission.asks_for_numbers() && !admission.knows(call) {
            true => self.directory.row(call).map_or(Priority::Usual, |row| priority_of(admission, &row)),
            false => Priority::Usual,
        };
        if let Some(shed) = admission.handle_line(call, priority, MediaLine::of(binding)) {
            self.shed(call, shed);
        }
    }

    /// A flow has joined a call that no signalling explains.
    pub(super) fn ask_for_unsignalled(&mut self, call: CallKey, flow: FlowKey) {
        let Some(admission) = &mut self.admission else { return };
        let line = MediaLine::undescribed(flow.destination());
        if let Some(shed) = admission.handle_line(call, Priority::Unsignalled, line) {
            self.shed(call, shed);
        } else if self.learned.shed_of(call).is_some() {
            self.learned.add_flow(call, flow);
        }
    }

    /// An earlier run has decided on a call.
    pub(super) fn restore_admission(&mut self, call: CallKey, shed: Option<Shed>) {
        if let Some(admission) = &mut self.admission {
            let row = self.directory.row(call);
            let priority = row.map_or(Priority::Usual, |row| priority_of(admission, &row));
            admission.handle_restored(call, priority, shed);
        }
        if let Some(shed) = shed {
            self.note_shed(call, shed);
        }
    }

    /// An endpoint is no longer the call's.
    pub(super) fn withdraw(&mut self, call: CallKey, endpoint: Endpoint) {
        if let Some(admission) = &mut self.admission {
            admission.handle_line_end(call, endpoint);
        }
    }

    /// A call is over.
    pub(super) fn stop_promising(&mut self, call: CallKey) {
        if let Some(admission) = &mut self.admission {
            admission.handle_end(call);
        }
    }

    /// A call is closed; says whether it was kept.
    pub(super) fn forget_admission(&mut self, call: CallKey) -> Option<Shed> {
        if let Some(admission) = &mut self.admission {
            admission.forget(call);
        }
        let shed = self.learned.shed_of(call);
        self.learned.forget(call);
        shed
    }

    /// The media of a call that is not kept will not be seen: its silence is no end.
    pub(super) fn expect_no_media(&mut self, call: CallKey) {
        if self.learned.shed_of(call).is_some() {
            self.directory.handle_unseen_media(call);
        }
    }

    /// Counts frames of a call that is not kept.
    pub(super) fn count_shed(&mut self, shed: Shed, frames: u64) {
        let reason = match shed {
            Shed::Refused(_) => Dropped::Refused,
            Shed::Cut(_) => Dropped::Cut,
        };
        self.ledger.drop(reason, frames);
    }

    fn shed(&mut self, call: CallKey, shed: Shed) {
        self.note_shed(call, shed);
        self.output.event(self.clock, CoreEvent::Shed { call, at: self.clock, shed });
        self.tell_changed(self.clock, call);
    }

    fn note_shed(&mut self, call: CallKey, shed: Shed) {
        self.learned.shed(call, shed);
        for stream in self.flows.streams_of(call).filter(|stream| {
            // Without a dialog no binding names its ends.
            stream.membership.is_some_and(|membership| membership.dialog.is_none())
        }) {
            self.learned.add_flow(call, stream.key.flow);
        }
        self.expect_no_media(call);
    }
}

fn priority_of(admission: &Admission, row: &Call) -> Priority {
    if row.protocol == nightjar_schema::Protocol::None {
        return Priority::Unsignalled;
    }
    let numbers = [&row.from.number, &row.to.number, &row.dialled.number];
    admission.priority_of(numbers.into_iter().filter_map(Option::as_deref))
}
