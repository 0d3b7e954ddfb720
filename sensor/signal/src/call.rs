//! One call: its parties, legs and dialogs, how it stands, and what ended it. The messages that
//! change it are read in `requests` and `responses`, its time-outs in `timers`.

use std::collections::VecDeque;
use std::net::IpAddr;

use nightjar_schema::{CallEventKind, CallSeed, EndCause, LegRole, Party, Protocol};
use nightjar_wire::{CallKey, FlowKey, Nanos, Realm};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::arrival::{Arrival, Side};
use crate::config::SignalConfig;
use crate::dialog::Dialog;
use crate::ids::CallIds;
use crate::invite::Invite;
use crate::output::Output;
use crate::parties::{Parties, asserted_uri};
use crate::sessions::Owner;
use crate::statistics::Statistics;
use crate::timers::Clocks;

/// Most dialogs of one call; an answer of one more fork is taken for the answered one's.
pub(crate) const MAX_DIALOGS: usize = 32;
/// Most legs of one call; one more fork's device is taken for the first called one.
pub(crate) const MAX_LEGS: usize = 16;
/// Most events of one call; later ones are not told.
pub(crate) const MAX_EVENTS: usize = 1_000;
/// Most flows of a call without signalling that are remembered.
pub(crate) const MAX_FLOWS: usize = 64;

/// One party on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) party: Party,
    pub(crate) asserted_uri: Option<String>,
    /// The host that its signalling came from, or its media where there is no signalling.
    pub(crate) address: Option<IpAddr>,
    pub(crate) role: LegRole,
    pub(crate) joined_at: Option<Nanos>,
    pub(crate) left_at: Option<Nanos>,
}

impl Leg {
    pub(crate) fn new(party: Party, role: LegRole) -> Leg {
        Leg { party, asserted_uri: None, address: None, role, joined_at: None, left_at: None }
    }
}

/// Something that happened, for the call's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happening {
    pub(crate) at: Nanos,
    pub(crate) kind: CallEventKind,
    pub(crate) leg: u16,
}

/// How the call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// What the row says: after a time-out the last sign of life.
    pub(crate) at: Nanos,
    pub(crate) cause: EndCause,
    pub(crate) leg: Option<u16>,
    pub(crate) reason: Option<String>,
}

/// A flow of a call without signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) key: FlowKey,
    /// Its first SSRC.
    pub(crate) ssrc: u32,
    /// The leg that sends it.
    pub(crate) speaker: Option<u16>,
}

/// What a message of a call may touch besides the call.
pub(crate) struct Effects<'a> {
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) statistics: &'a mut Statistics,
}

/// A call from its first message until it is closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) key: CallKey,
    pub(crate) id: Uuid,
    pub(crate) realm: Realm,
    pub(crate) protocol: Protocol,
    /// Empty where there is no signalling.
    pub(crate) call_id: Box<[u8]>,
    /// The tag that the caller gave itself; with the Call-ID it names the call on the wire.
    pub(crate) caller_tag: Box<[u8]>,
    pub(crate) parties: Parties,
    /// The caller first.
    pub(crate) legs: Vec<Leg>,
    pub(crate) dialogs: Vec<Dialog>,
    /// The INVITE that makes the call.
    pub(crate) invite: Invite,
    /// The last final answer to it, and its phrase.
    pub(crate) status: Option<u16>,
    pub(crate) phrase: Option<String>,
    /// First message or packet.
    pub(crate) started_at: Nanos,
    /// First 2xx that was seen.
    pub(crate) answered_at: Option<Nanos>,
    /// The dialog that answered, once one has.
    pub(crate) answered_by: Option<u16>,
    /// When the last refusal of the INVITE came.
    pub(crate) refused_at: Option<Nanos>,
    /// When the caller gave up, and its Reason header.
    pub(crate) cancelled_at: Option<Nanos>,
    pub(crate) cancel_reason: Option<String>,
    /// The last media or signalling, by its stamp.
    pub(crate) last_sign: Nanos,
    pub(crate) ending: Option<Ending>,
    /// It was on when the capture began, or is first known from the middle of its dialog.
    pub(crate) begun_before_capture: bool,
    /// The INVITE that made it was not seen.
    pub(crate) beginning_unseen: bool,
    pub(crate) clock_jumped: bool,
    pub(crate) happenings: Vec<Happening>,
    /// What was seen before there was signalling.
    pub(crate) flows: Vec<Flow>,
    pub(crate) clocks: Clocks,
    /// Grows with every change that is told.
    pub(crate) revision: u32,
    /// `Opened` was said. A dialog that began before the capture keeps quiet until its media is
    /// known: that may turn out to be a call that is open already.
    pub(crate) announced: bool,
    /// Something to be told has changed.
    pub(crate) changed: bool,
    /// When the directory will look at its time-outs next; no later than the first falls due.
    #[serde(skip)]
    pub(crate) scheduled: Option<Nanos>,
}

impl Call {
    /// A call whose first message this is.
    pub(crate) fn open(
        key: CallKey,
        arrival: &Arrival<'_>,
        config: &SignalConfig,
        ids: &mut CallIds,
    ) -> Call {
        let message = arrival.message;
        let fresh = arrival.is_fresh_invite();
        let first_dialog = [message.call_id, b"\0", arrival.from_tag].concat();
        let realm = arrival.src.realm;
        let parties = Parties::of(message, fresh, &config.headers);
        let mut caller = Leg::new(parties.from.clone(), LegRole::Caller);
        let mut callee = Leg::new(parties.to.clone(), LegRole::Callee);
        match message.status() {
            Some(_) => callee.address = Some(arrival.src.addr),
            None => {
                caller.address = Some(arrival.src.addr);
                caller.asserted_uri = asserted_uri(message);
            }
        }
        let is_answer = message.status().is_some_and(|_| message.method == crate::message::Method::Invite);
        Call {
            key,
            id: ids.give(&CallSeed {
                sensor: &config.sensor,
                realm: realm.0,
                source: &config.source,
                first_dialog: &first_dialog,
                first_packet_nanos: arrival.at.0,
            }),
            realm,
            protocol: Protocol::Sip,
            call_id: message.call_id.into(),
            caller_tag: arrival.from_tag.into(),
            parties,
            legs: vec![caller, callee],
            dialogs: vec![Dialog::new(arrival, [0, 1], arrival.to_tag)],
            // Its first answer seen, an INVITE is followed as if it had been.
            invite: if fresh || is_answer {
                Invite::new(message.cseq, arrival.branch, arrival.requester())
            } else {
                Invite::default()
            },
            status: None,
            phrase: None,
            started_at: arrival.at,
            answered_at: None,
            answered_by: None,
            refused_at: None,
            cancelled_at: None,
            cancel_reason: None,
            last_sign: arrival.at,
            ending: None,
            begun_before_capture: !fresh,
            beginning_unseen: !fresh,
            clock_jumped: false,
            happenings: Vec::new(),
            flows: Vec::new(),
            clocks: Clocks::starting(arrival.now),
            revision: 1,
            announced: false,
            changed: false,
            scheduled: None,
        }
    }

    /// The side that sent the request: this one, or the one that this response answers.
    pub(crate) fn requester(&self, arrival: &Arrival<'_>) -> Side {
        let (from, to) = (arrival.from_tag == &*self.caller_tag, arrival.to_tag == &*self.caller_tag);
        if from != to {
            return if from { Side::Caller } else { Side::Callee };
        }
        // Both tags alike (seen in the wild): the address tells, else the caller is assumed.
        let sender = if arrival.message.status().is_some() { arrival.dst.addr } else { arrival.src.addr };
        let is = |leg: usize| self.legs.get(leg).and_then(|leg| leg.address) == Some(sender);
        if is(1) && !is(0) { Side::Callee } else { Side::Caller }
    }

    /// The leg of a side in a dialog.
    pub(crate) fn leg(&self, dialog: usize, side: Side) -> u16 {
        self.dialogs[dialog].legs[side.index()]
    }

    /// The index of the dialog with the called side's tag: the one that has it, one that has none
    /// yet, or a new fork.
    pub(crate) fn dialog_for(&mut self, callee_tag: &[u8], arrival: &Arrival<'_>) -> usize {
        let fallback = usize::from(self.answered_by.unwrap_or(0));
        if callee_tag.is_empty() {
            return fallback;
        }
        if let Some(known) = self.dialogs.iter().position(|dialog| dialog.is_tagged(callee_tag)) {
            return known;
        }
        if let Some(open) = self.dialogs.iter_mut().position(|dialog| dialog.callee_tag.is_none()) {
            self.dialogs[open].callee_tag = Some(callee_tag.into());
            return open;
        }
        if self.dialogs.len() >= MAX_DIALOGS {
            return fallback;
        }
        let device = if self.legs.len() < MAX_LEGS {
            self.legs.push(Leg::new(self.parties.to.clone(), LegRole::Callee));
            (self.legs.len() - 1) as u16
        } else {
            1
        };
        let fork = self.dialogs[0].fork([0, device], callee_tag, arrival.at);
        self.dialogs.push(fork);
        // Its streams will speak of the new leg: a later start must know it too.
        self.changed = true;
        self.dialogs.len() - 1
    }

    /// Says that the call is there, once.
    pub(crate) fn announce(&mut self, fx: &mut Effects<'_>) {
        self.clocks.unannounced = None;
        if !self.announced {
            self.announced = true;
            fx.statistics.opened += 1;
            fx.outputs.push_back(Output::Opened { call: self.key, id: self.id, at: self.started_at });
            fx.outputs.extend(self.answer());
        }
    }

    /// It was first seen in mid-dialog and its media was not seen yet: it may turn out to be what an open
    /// call without signalling lacks.
    pub(crate) fn is_tentative(&self) -> bool {
        let unheard = self.clocks.media.is_none() && self.ending.is_none();
        self.beginning_unseen && self.protocol != Protocol::None && unheard
    }

    /// The answer, as it is told; one that was before the capture is not.
    pub(crate) fn answer(&self) -> Option<Output> {
        let (dialog, at) = (self.answered_by?, self.answered_at?);
        Some(Output::Answered { call: self.key, dialog, at })
    }

    /// Brings one dialog's bindings in line with what is known.
    pub(crate) fn rebind(&mut self, dialog: usize, at: Nanos, fx: &mut Effects<'_>) {
        let lost = self.answered_by.is_some() && !self.dialogs[dialog].confirmed;
        let live = self.dialogs[dialog].live() && self.ending.is_none() && !lost;
        self.rebind_if(dialog, at, live, fx);
    }

    /// The same of every dialog.
    pub(crate) fn rebind_all(&mut self, at: Nanos, fx: &mut Effects<'_>) {
        for dialog in 0..self.dialogs.len() {
            self.rebind(dialog, at, fx);
        }
    }

    fn rebind_if(&mut self, dialog: usize, at: Nanos, live: bool, fx: &mut Effects<'_>) {
        let owner = Owner {
            call: self.key,
            realm: self.realm,
            dialog: dialog as u16,
            legs: self.dialogs[dialog].legs,
        };
        let outputs = &mut *fx.outputs;
        self.dialogs[dialog].sessions.rebind(owner, at, live, &mut |output| outputs.push_back(output));
    }

    /// Takes back every binding; the call is being closed.
    pub(crate) fn unbind(&mut self, until: Nanos, fx: &mut Effects<'_>) {
        for dialog in 0..self.dialogs.len() {
            self.rebind_if(dialog, until, false, fx);
        }
    }

    /// Notes an event, as long as there is room.
    pub(crate) fn happened(&mut self, at: Nanos, kind: CallEventKind, leg: u16) {
        if self.happenings.len() < MAX_EVENTS {
            self.happenings.push(Happening { at, kind, leg });
        }
        self.changed = true;
    }

    /// A sign of life, by its stamp.
    pub(crate) fn sign(&mut self, at: Nanos) {
        self.last_sign = self.last_sign.max(at);
    }

    /// The parties of a dialog are on the line from this moment.
    pub(crate) fn joined(&mut self, dialog: usize, at: Nanos) {
        for leg in self.dialogs[dialog].legs {
            if let Some(leg) = self.legs.get_mut(usize::from(leg)) {
                leg.joined_at.get_or_insert(at);
            }
        }
    }

    /// Somebody holds somebody.
    pub(crate) fn held(&self) -> bool {
        self.dialogs.iter().any(|dialog| dialog.live() && dialog.confirmed && dialog.held())
    }

    /// Ends the call: `at` is what the row says, `decided` what the output says.
    pub(crate) fn end(&mut self, mut ending: Ending, decided: Nanos, now: Nanos, fx: &mut Effects<'_>) {
        if self.ending.is_some() {
            return;
        }
        self.announce(fx);
        ending.at = ending.at.max(self.started_at);
        for dialog in self.dialogs.iter_mut().filter(|dialog| dialog.live()) {
            dialog.ended_at = Some(ending.at.max(dialog.started_at));
        }
        for leg in self.legs.iter_mut().filter(|leg| leg.left_at.is_none()) {
            leg.left_at = leg.joined_at.map(|joined| joined.max(ending.at));
        }
        fx.outputs.push_back(Output::Ended {
            call: self.key,
            at: decided,
            cause: ending.cause,
            last_sign: self.last_sign,
        });
        self.clocks.closing = Some(now);
        self.changed = false;
        self.revision = self.revision.saturating_add(1);
        self.ending = Some(ending);
    }

    /// Ends the call with the last sign of life as its end: nobody said goodbye.
    pub(crate) fn end_unheard(&mut self, cause: EndCause, decided: Nanos, fx: &mut Effects<'_>) {
        let ending = Ending { at: self.last_sign, cause, leg: None, reason: None };
        self.end(ending, decided, decided, fx);
    }

    /// Says once that something changed.
    pub(crate) fn tell_change(&mut self, at: Nanos, fx: &mut Effects<'_>) {
        if self.announced && std::mem::take(&mut self.changed) {
            self.revision = self.revision.saturating_add(1);
            fx.outputs.push_back(Output::Changed { call: self.key, at });
        }
    }
}
