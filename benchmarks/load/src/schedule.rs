//! All frames of a scenario in the order of their stamps: a heap of the calls that are going on,
//! so that memory follows those and not the scenario's length.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::iter::Peekable;

use nightjar_wire::Nanos;

use crate::active_call::ActiveCall;
use crate::expected::{CallExpected, Expected};
use crate::frame::Frame;
use crate::ledger::Ledger;
use crate::link::{LinkOptions, can_carry};
use crate::noise::{Noise, NoisePlan};
use crate::plan::CallPlan;
use crate::random::Random;
use crate::rtp_leg::Workshop;
use crate::signalling::write_script;

/// Calls with their offsets from the scenario's start, the earliest first.
pub(crate) type PlannedCalls = Box<dyn Iterator<Item = (Nanos, CallPlan)> + Send>;

/// At most so many finished calls are listed; of a longer run the last ones.
const MAX_LISTED_CALLS: usize = 20_000;

/// Something that an onlooker may want to print.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A call sent its first frame.
    Started(CallExpected),
    /// A call sent its last frame.
    Ended(CallExpected),
}

/// The frames of a scenario, one after the other, and the account of them.
pub struct FrameStream {
    name: String,
    seed: u64,
    /// The seed and the name in one: scenarios of one seed share no Call-ID.
    mixed_seed: u64,
    start: Nanos,
    link: LinkOptions,
    planned: Peekable<PlannedCalls>,
    next_index: u32,
    shop: Workshop,
    /// Calls by slot; a finished call's slot is used again.
    active: Vec<Option<ActiveCall>>,
    free: Vec<usize>,
    /// Next frame of each call: (stamp, call's index, slot).
    due: BinaryHeap<Reverse<(Nanos, u32, usize)>>,
    /// Fragments and mirror copies: (stamp, order of their making, slot of `later_frames`).
    later: BinaryHeap<Reverse<(Nanos, u64, usize)>>,
    later_frames: Vec<Frame>,
    later_free: Vec<usize>,
    later_made: u64,
    scratch: Vec<Frame>,
    noise: Option<Noise>,
    ledger: Ledger,
    /// The first frame's stamp.
    began: Option<Nanos>,
    finished: VecDeque<CallExpected>,
    not_listed: u64,
    notices: Option<Vec<Notice>>,
}

/// Where the next frame comes from.
enum Origin {
    Call,
    Later,
    Noise,
}

impl FrameStream {
    pub(crate) fn new(
        name: &str,
        seed: u64,
        start: Nanos,
        link: LinkOptions,
        planned: PlannedCalls,
        noise: Option<NoisePlan>,
    ) -> FrameStream {
        let mixed_seed = seed ^ fingerprint(name);
        FrameStream {
            name: name.to_owned(),
            seed,
            mixed_seed,
            start,
            link,
            planned: planned.peekable(),
            next_index: 0,
            shop: Workshop::default(),
            active: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            later: BinaryHeap::new(),
            later_frames: Vec::new(),
            later_free: Vec::new(),
            later_made: 0,
            scratch: Vec::new(),
            noise: noise.map(|plan| Noise::new(plan, start, Random::derive(mixed_seed, u64::MAX))),
            ledger: Ledger::default(),
            began: None,
            finished: VecDeque::new(),
            not_listed: 0,
            notices: None,
        }
    }

    /// From now on keeps a [`Notice`] of each call's start and end.
    pub fn keep_notices(&mut self) {
        self.notices.get_or_insert_default();
    }

    /// The notices since the last time.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// When the next frame is due, `None` when there is none.
    pub fn next_at(&mut self) -> Option<Nanos> {
        self.admit_due_calls();
        self.next_origin().map(|(at, _)| at)
    }

    /// Writes the next frame into `out`, whose buffer is used again; `false` when there is none.
    pub fn next_into(&mut self, out: &mut Frame) -> bool {
        loop {
            self.admit_due_calls();
            let Some((_, origin)) = self.next_origin() else { return false };
            match origin {
                Origin::Call => self.send_of_call(out),
                Origin::Later => self.send_later(out),
                Origin::Noise => {
                    if let Some(noise) = &mut self.noise {
                        noise.send(&mut self.shop.hosts, out);
                    }
                }
            }
            if can_carry(self.link.link, &out.bytes) {
                let before = out.bytes.len() as u32;
                self.link.dress(&mut out.bytes);
                out.original_len = out.original_len + out.bytes.len() as u32 - before;
                self.began.get_or_insert(out.at);
                self.ledger.count(out);
                return true;
            }
        }
    }

    /// Ends the run at `at`: no call begins any more, and each one hangs up.
    pub fn hang_up_all(&mut self, at: Nanos) {
        self.planned = (Box::new(std::iter::empty()) as PlannedCalls).peekable();
        if let Some(noise) = &mut self.noise {
            noise.stop(at);
        }
        self.due.clear();
        for slot in 0..self.active.len() {
            if let Some(call) = &mut self.active[slot] {
                call.hang_up(at);
                self.reschedule(slot);
            }
        }
    }

    /// How many calls are going on.
    pub fn active_calls(&self) -> usize {
        self.active.len() - self.free.len()
    }

    /// The account of what was sent. Calls that are still going on are accounted as they stand.
    pub fn finish(self) -> Expected {
        let mut calls: Vec<CallExpected> = self.finished.into();
        calls.extend(self.active.into_iter().flatten().filter_map(ActiveCall::finish));
        calls.sort_by_key(|call| call.index);
        Expected {
            scenario: self.name,
            seed: self.seed,
            ledger: self.ledger,
            calls,
            calls_not_listed: self.not_listed,
        }
    }

    fn admit_due_calls(&mut self) {
        loop {
            let next_frame = self.next_origin().map(|(at, _)| at);
            let start = self.start;
            let due = |(offset, _): &(Nanos, CallPlan)| next_frame.is_none_or(|at| start + *offset <= at);
            let Some((offset, plan)) = self.planned.next_if(due) else { return };
            let index = self.next_index;
            self.next_index += 1;
            let random = Random::derive(self.mixed_seed, u64::from(index));
            let script = write_script(plan, index, start + offset, random);
            let call = ActiveCall::new(script, &mut self.shop);
            let slot = self.free.pop().unwrap_or_else(|| {
                self.active.push(None);
                self.active.len() - 1
            });
            self.active[slot] = Some(call);
            self.reschedule(slot);
        }
    }

    fn next_origin(&self) -> Option<(Nanos, Origin)> {
        let call = self.due.peek().map(|Reverse((at, ..))| (*at, Origin::Call));
        let later = self.later.peek().map(|Reverse((at, ..))| (*at, Origin::Later));
        let noise = self.noise.as_ref().and_then(Noise::next_at).map(|at| (at, Origin::Noise));
        [call, later, noise].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn send_of_call(&mut self, out: &mut Frame) {
        let Some(Reverse((_, _, slot))) = self.due.pop() else { return };
        let Some(call) = &mut self.active[slot] else { return };
        let first = !call.has_begun();
        call.send(&mut self.shop, out, &mut self.scratch);
        if first {
            call.note_capture(*self.began.get_or_insert(out.at));
        }
        if first && let Some(notices) = &mut self.notices {
            notices.push(Notice::Started(call.expected().clone()));
        }
        self.reschedule(slot);
        for frame in self.scratch.drain(..) {
            let at = frame.at;
            let place = match self.later_free.pop() {
                Some(place) => {
                    self.later_frames[place] = frame;
                    place
                }
                None => {
                    self.later_frames.push(frame);
                    self.later_frames.len() - 1
                }
            };
            self.later.push(Reverse((at, self.later_made, place)));
            self.later_made += 1;
        }
    }

    fn send_later(&mut self, out: &mut Frame) {
        let Some(Reverse((_, _, place))) = self.later.pop() else { return };
        *out = std::mem::replace(&mut self.later_frames[place], Frame::empty());
        self.later_free.push(place);
    }

    /// Puts a call back into the heap, or takes its account when it is done.
    fn reschedule(&mut self, slot: usize) {
        let Some(call) = &self.active[slot] else { return };
        if let Some(at) = call.next_at() {
            self.due.push(Reverse((at, call.expected().index, slot)));
            return;
        }
        self.free.push(slot);
        let finished = self.active[slot].take().and_then(ActiveCall::finish);
        let Some(expected) = finished else { return };
        if let Some(notices) = &mut self.notices {
            notices.push(Notice::Ended(expected.clone()));
        }
        self.finished.push_back(expected);
        if self.finished.len() > MAX_LISTED_CALLS {
            self.finished.pop_front();
            self.not_listed += 1;
        }
    }
}

/// FNV-1a of a name.
fn fingerprint(name: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

impl Iterator for FrameStream {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let mut frame = Frame::empty();
        self.next_into(&mut frame).then_some(frame)
    }
}
