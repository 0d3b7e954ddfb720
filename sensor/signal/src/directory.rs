//! The directory: every call in progress, fed with messages, media and time, asked for outputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nightjar_schema::{Call as Row, EndCause, Protocol};
use nightjar_wire::{CallKey, Endpoint, FlowKey, Nanos};

use crate::arrival::Arrival;
use crate::call::{Call, Effects, Ending};
use crate::config::SignalConfig;
use crate::ids::CallIds;
use crate::media_only::MediaOnly;
use crate::message::{Message, Method, SipError};
use crate::names::{ClosedCalls, Names};
use crate::output::Output;
use crate::statistics::Statistics;
use crate::timers::Fate;

/// A step of the capture clock beyond this is a clock that was set, or files strung together: no
/// call of which media was never seen is timed out over it.
const CLOCK_JUMP: Nanos = Nanos::from_secs(24 * 3600);

/// Dialogs become calls here, calls become bindings. Pure: it runs on the stamps that it is given.
///
/// The first stamp that it hears of is the capture's beginning: media without signalling that is there
/// right from then on was running before. Feed it in the order of stamps with the `handle_*` methods, and drain
/// [`poll_output`](Directory::poll_output) after each. A stamp that goes back is taken as it is
/// for records; time-outs run on the highest stamp so far. The same calls of `handle_*` give the
/// same outputs; how often [`handle_time`](Directory::handle_time) is called does not matter.
pub struct Directory {
    pub(crate) config: SignalConfig,
    /// The highest stamp so far.
    pub(crate) now: Nanos,
    /// The first stamp, or the first one behind a jump of the clock.
    began: Option<Nanos>,
    pub(crate) next_key: CallKey,
    pub(crate) calls: BTreeMap<CallKey, Call>,
    /// When to look at which call's time-outs.
    schedule: BTreeSet<(Nanos, CallKey)>,
    pub(crate) ids: CallIds,
    pub(crate) names: Names,
    media_only: MediaOnly,
    closed: ClosedCalls,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) statistics: Statistics,
    /// Restored calls with their snapshot's clock, until the first stamp tells how long they slept.
    pub(crate) asleep: Vec<(CallKey, Nanos)>,
}

impl Directory {
    /// An empty directory.
    pub fn new(config: SignalConfig) -> Directory {
        Directory {
            config,
            now: Nanos::ZERO,
            began: None,
            next_key: CallKey(0),
            calls: BTreeMap::new(),
            schedule: BTreeSet::new(),
            ids: CallIds::default(),
            names: Names::default(),
            media_only: MediaOnly::default(),
            closed: ClosedCalls::default(),
            outputs: VecDeque::new(),
            statistics: Statistics::default(),
            asleep: Vec::new(),
        }
    }

    /// Takes a datagram of signalling, from `src` to `dst`, whose realm is `src`'s.
    ///
    /// # Errors
    /// [`SipError`] says why it is no message that can be followed. It is counted here by reason.
    pub fn handle_sip(
        &mut self,
        at: Nanos,
        src: Endpoint,
        dst: Endpoint,
        datagram: &[u8],
    ) -> Result<(), SipError> {
        self.handle_time(at);
        let result = self.handle_message(at, src, dst, datagram);
        if let Err(error) = result {
            self.statistics.count_error(error);
        }
        result
    }

    fn handle_message(
        &mut self,
        at: Nanos,
        src: Endpoint,
        dst: Endpoint,
        datagram: &[u8],
    ) -> Result<(), SipError> {
        let message = Message::parse(datagram)?;
        self.statistics.count(&message);
        if matches!(message.method, Method::Register | Method::Options | Method::Other) {
            return Ok(());
        }
        let arrival = Arrival::new(at, self.now, src, dst, &message)?;
        let Some(key) = self.call_of(&arrival) else {
            self.statistics.stray += 1;
            return Ok(());
        };
        let Directory { calls, outputs, statistics, .. } = self;
        if let Some(call) = calls.get_mut(&key) {
            call.handle(&arrival, &mut Effects { outputs, statistics });
        }
        self.settle(key);
        Ok(())
    }

    /// The pipeline says that a call's media is flowing, at most once a second and call.
    pub fn handle_media(&mut self, at: Nanos, call: CallKey) {
        self.handle_time(at);
        self.hear(at, self.now, call);
    }

    /// An earlier run heard a restored call's media at `at` last, and then nothing of it for `silent`. That counts
    /// for the call, the time in which no sensor ran does not.
    pub fn handle_earlier_media(&mut self, at: Nanos, silent: Nanos, call: CallKey) {
        self.hear(at, self.now - silent, call);
    }

    /// A call's media was there at `at`; `clock` is when, for its time-outs.
    fn hear(&mut self, at: Nanos, clock: Nanos, call: CallKey) {
        if let Some(known) = self.calls.get_mut(&call)
            && known.ending.is_none()
        {
            let news = known.is_tentative();
            known.clocks.media = Some(clock);
            known.sign(at);
            if news {
                known.changed = true;
                let Directory { outputs, statistics, .. } = self;
                known.tell_change(at, &mut Effects { outputs, statistics });
            }
            self.settle(call);
        }
    }

    /// The pipeline looks at a call's media no longer: that none is seen does not end it. Said again when
    /// the call is answered. Nothing but its media tells the end of a call without signalling.
    pub fn handle_unseen_media(&mut self, call: CallKey) {
        let Some(known) = self.calls.get_mut(&call) else { return };
        if known.answered_by.is_some() && known.protocol != Protocol::None && known.ending.is_none() {
            known.clocks.media = Some(self.now + self.config.silent_timeout);
            self.settle(call);
        }
    }

    /// Media that no binding explains and the rules want; `at` is the flow's first packet. Opens
    /// a call without signalling, or joins the one that the flow belongs to. A call whose
    /// descriptions hide behind NATs takes it by its hosts; the binding is then told.
    pub fn handle_unsignalled(&mut self, at: Nanos, flow: FlowKey, ssrc: u32) -> CallKey {
        self.handle_time(at);
        if self.media_only.find(flow).is_none()
            && let Some(call) = self.find_behind_nat(at, flow)
        {
            return call;
        }
        let key = self.media_only.find(flow).unwrap_or_else(|| {
            let key = self.free_key();
            self.calls.insert(key, Call::unsignalled(key, at, self.now, flow, &self.config, &mut self.ids));
            self.statistics.opened_unsignalled += 1;
            key
        });
        let Directory { calls, outputs, statistics, media_only, now, began, .. } = self;
        if let Some(call) = calls.get_mut(&key) {
            if call.protocol == Protocol::None {
                call.began_with(at, began.unwrap_or(at));
            }
            call.announce(&mut Effects { outputs, statistics });
            call.clocks.media = Some(*now);
            call.sign(at);
            if call.take_flow(flow, ssrc) {
                media_only.add(call, flow);
            }
        }
        self.settle(key);
        key
    }

    /// The leg that sends a flow that [`handle_unsignalled`](Directory::handle_unsignalled) took,
    /// as the legs are numbered now.
    pub fn unsignalled_speaker(&self, call: CallKey, flow: FlowKey) -> Option<u16> {
        self.calls.get(&call)?.flows.iter().find(|known| known.key == flow)?.speaker
    }

    /// Moves the capture clock on and does what falls due, in the order in which it does.
    pub fn handle_time(&mut self, now: Nanos) {
        if now < self.now {
            return;
        }
        self.began.get_or_insert(now);
        self.wake(now);
        self.leave_out_jump(now);
        while let Some(&(at, key)) = self.schedule.first()
            && at <= now
        {
            self.schedule.pop_first();
            self.now = self.now.max(at);
            self.look_at(key);
        }
        self.now = now;
    }

    /// When [`handle_time`](Directory::handle_time) has something to do next, at the earliest.
    pub fn next_time(&self) -> Option<Nanos> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// The latest time that it has heard of. A step of it by more than a day is taken for a jump of the clock:
    /// whoever calls [`handle_time`](Directory::handle_time) only when something falls due must see to it that
    /// a silence does not look like one.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The clock that stamps the packets was set back, and they are given other times from now on: what calls in
    /// progress say of times is not what the packets say.
    pub fn handle_set_back(&mut self) {
        self.statistics.clock_jumps += 1;
        for call in self.calls.values_mut().filter(|call| call.ending.is_none()) {
            call.clock_jumped = true;
        }
    }

    /// Closes every call in progress: the source has ended, or the sensor is being stopped.
    pub fn handle_capture_end(&mut self, at: Nanos, cause: EndCause) {
        self.handle_time(at);
        for key in self.calls.keys().copied().collect::<Vec<_>>() {
            self.finish(key, at, cause);
        }
    }

    /// The next thing that the directory has to say.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A call's row as it is known now, without streams, recordings and gaps.
    pub fn row(&self, call: CallKey) -> Option<Row> {
        self.calls.get(&call).map(|call| call.row(&self.config))
    }

    /// The calls in the directory, those that are over and linger included, in the order of handles.
    pub fn open_calls(&self) -> impl Iterator<Item = CallKey> + '_ {
        self.calls.keys().copied()
    }

    /// How many calls [`Directory::open_calls`] names.
    pub fn open_call_count(&self) -> usize {
        self.calls.len()
    }

    /// The label (`a=label`) that a leg gave one of its media lines.
    pub fn media_label(&self, call: CallKey, dialog: u16, leg: u16, media_line: u8) -> Option<&str> {
        let dialog = self.calls.get(&call)?.dialogs.get(usize::from(dialog))?;
        let side = crate::arrival::Side::BOTH.into_iter().find(|side| dialog.legs[side.index()] == leg)?;
        dialog.sessions.label(side, media_line)
    }

    /// What was seen so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The call that a message belongs to; a new one, if it begins or proves one.
    fn call_of(&mut self, arrival: &Arrival<'_>) -> Option<CallKey> {
        let named = self.names.find(arrival);
        let fresh = arrival.is_fresh_invite();
        if let Some(key) = named
            && let Some(call) = self.calls.get(&key)
            && (!fresh || call.takes_invite(arrival))
        {
            return Some(self.explain(key, arrival));
        }
        if !(fresh || arrival.proves_dialog()) || self.closed.explains(arrival) {
            return None;
        }
        let key = self.free_key();
        let call = Call::open(key, arrival, &self.config, &mut self.ids);
        self.names.add(&call);
        self.calls.insert(key, call);
        Some(self.explain(key, arrival))
    }

    /// True for a call that was first seen in mid-dialog while its media was not seen yet: it may still
    /// be [`Output::Merged`].
    pub fn is_tentative(&self, call: CallKey) -> bool {
        self.calls.get(&call).is_some_and(Call::is_tentative)
    }

    /// A call that nobody was told of yet, or that was first seen in mid-dialog and is silent so far, may
    /// be what an open call without signalling lacks: then that one goes on, with this one's signalling.
    fn explain(&mut self, key: CallKey, arrival: &Arrival<'_>) -> CallKey {
        let Some(own) = self.calls.get(&key) else { return key };
        let announced = own.announced;
        if announced && !(own.is_tentative() && arrival.session.is_some()) {
            return key;
        }
        let calls = &self.calls;
        let last_media = |key| calls.get(&key).and_then(|call: &Call| call.clocks.media);
        let Some(explained) = self.media_only.explained_by(arrival, announced, last_media) else {
            return key;
        };
        let (Some(mut call), Some(media_only)) = (self.calls.remove(&key), self.calls.remove(&explained))
        else {
            return key;
        };
        if let Some(at) = call.scheduled {
            self.schedule.remove(&(at, key));
        }
        self.names.remove(&call);
        let Directory { outputs, statistics, .. } = self;
        if announced {
            call.unbind(arrival.at, &mut Effects { outputs, statistics });
            outputs.push_back(Output::Merged { call: key, into: explained, at: arrival.at });
            statistics.merged += 1;
        }
        let flows = call.take_over(media_only, arrival);
        let answer = call.answer();
        self.media_only.adopted(&call);
        self.names.add(&call);
        self.calls.insert(explained, call);
        self.statistics.adopted += 1;
        self.outputs.push_back(Output::Adopted { call: explained, at: arrival.at, dialog: 0, flows });
        self.outputs.extend(answer);
        if announced && let Some(call) = self.calls.get_mut(&explained) {
            let Directory { outputs, statistics, .. } = self;
            call.rebind_all(arrival.at, &mut Effects { outputs, statistics });
        }
        explained
    }

    /// A handle that no call has, with room for its call.
    fn free_key(&mut self) -> CallKey {
        while self.calls.len() >= self.config.max_calls.max(1) {
            // Handles grow, so the oldest call follows the newest in a circle.
            let oldest = self.calls.range(self.next_key..).next().or(self.calls.iter().next());
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            self.statistics.evicted += 1;
            self.finish(oldest, self.now, EndCause::Evicted);
        }
        while self.calls.contains_key(&self.next_key) {
            self.next_key.0 = self.next_key.0.wrapping_add(1);
        }
        let key = self.next_key;
        self.next_key.0 = key.0.wrapping_add(1);
        key
    }

    /// Does a call's next time-out, if the clock has reached it.
    fn look_at(&mut self, key: CallKey) {
        let Directory { config, calls, outputs, statistics, now, .. } = self;
        let Some(call) = calls.get_mut(&key) else { return };
        call.scheduled = None;
        let (at, due) = call.due(config);
        if at <= *now && call.expire(due, *now, &mut Effects { outputs, statistics }) == Fate::Closes {
            return self.close(key, self.now);
        }
        self.settle(key);
    }

    /// After a call has changed: its next time-out, and whether flows may still find it.
    pub(crate) fn settle(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if call.ending.is_some() && !call.flows.is_empty() {
            self.media_only.remove(call);
        }
        let (due, _) = call.due(&self.config);
        if call.scheduled.is_some_and(|at| at <= due) {
            return;
        }
        if let Some(at) = call.scheduled.replace(due) {
            self.schedule.remove(&(at, key));
        }
        self.schedule.insert((due, key));
    }

    /// Ends a call, unless it has, and closes it.
    fn finish(&mut self, key: CallKey, at: Nanos, cause: EndCause) {
        let Directory { calls, outputs, statistics, now, .. } = self;
        if let Some(call) = calls.get_mut(&key) {
            let mut fx = Effects { outputs, statistics };
            call.end_pending(*now, &mut fx);
            let ending = Ending { at: at.max(call.last_sign), cause, leg: None, reason: None };
            call.end(ending, at, *now, &mut fx);
        }
        self.close(key, at);
    }

    fn close(&mut self, key: CallKey, at: Nanos) {
        let Some(mut call) = self.calls.remove(&key) else { return };
        if let Some(at) = call.scheduled {
            self.schedule.remove(&(at, key));
        }
        self.media_only.remove(&call);
        if call.protocol != Protocol::None {
            self.names.remove(&call);
            self.closed.add(&call, self.now);
        }
        let Directory { outputs, statistics, .. } = self;
        call.unbind(at, &mut Effects { outputs, statistics });
        self.outputs.push_back(Output::Closed { call: key, row: Box::new(call.row(&self.config)) });
        self.statistics.closed += 1;
    }

    /// Restored calls are not judged for the time in which no sensor ran.
    fn wake(&mut self, now: Nanos) {
        for (key, slept_at) in std::mem::take(&mut self.asleep) {
            if let Some(call) = self.calls.get_mut(&key) {
                call.shift_clocks(now - slept_at);
            }
        }
    }

    fn leave_out_jump(&mut self, now: Nanos) {
        let step = now - self.now;
        if self.now == Nanos::ZERO || step <= CLOCK_JUMP {
            return;
        }
        self.statistics.clock_jumps += 1;
        self.began = Some(now);
        for call in self.calls.values_mut().filter(|call| call.clocks.media.is_none()) {
            call.shift_clocks(step);
            call.clock_jumped = true;
        }
    }

    /// Takes a restored call in.
    pub(crate) fn insert(&mut self, call: Call) {
        let key = call.key;
        if call.protocol != Protocol::None {
            self.names.add(&call);
        }
        if call.ending.is_none() {
            for flow in &call.flows {
                self.media_only.add(&call, flow.key);
            }
        }
        self.calls.insert(key, call);
        self.settle(key);
    }
}
