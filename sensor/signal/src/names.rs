//! Calls by their names on the wire: Call-ID and the caller's tag, of calls in the directory and,
//! for a while, of those that are closed.

use std::collections::{BTreeMap, VecDeque};

use nightjar_schema::EndCause;
use nightjar_wire::{CallKey, Nanos, Realm};

use crate::arrival::Arrival;
use crate::call::Call;
use crate::message::Method;
use crate::text::fnv1a;

/// Most closed calls that are remembered.
const MAX_CLOSED: usize = 65_536;
/// How long an INVITE may still be repeated (64 × T1).
const REPETITION: Nanos = Nanos::from_secs(32);

/// The calls in the directory by Call-ID. Ordered maps: a peer that chooses Call-IDs with malice
/// gains nothing.
#[derive(Default)]
pub(crate) struct Names {
    calls: BTreeMap<Box<[u8]>, Vec<CallKey>>,
}

fn name(realm: Realm, call_id: &[u8]) -> Vec<u8> {
    [&realm.0.to_be_bytes(), call_id].concat()
}

impl Names {
    /// Calls under a Call-ID, the latest first.
    pub(crate) fn find(&self, realm: Realm, call_id: &[u8]) -> impl Iterator<Item = CallKey> {
        self.calls.get(name(realm, call_id).as_slice()).into_iter().flatten().rev().copied()
    }

    pub(crate) fn add(&mut self, call: &Call) {
        self.calls.entry(name(call.realm, &call.call_id).into()).or_default().push(call.key);
    }

    pub(crate) fn remove(&mut self, call: &Call) {
        let name = name(call.realm, &call.call_id);
        if let Some(calls) = self.calls.get_mut(name.as_slice()) {
            calls.retain(|key| *key != call.key);
            if calls.is_empty() {
                self.calls.remove(name.as_slice());
            }
        }
    }
}

/// What is remembered of a closed call.
#[derive(Clone, Copy)]
struct Closed {
    /// Tells it from an earlier one of the same name.
    number: u64,
    at: Nanos,
    /// The INVITE that made it.
    cseq: Option<u32>,
    branch: Option<u64>,
    /// It was taken for over because nothing was heard.
    unheard: bool,
}

/// Calls that are closed, so that a late BYE or a repeated INVITE makes no new one.
#[derive(Default)]
pub(crate) struct ClosedCalls {
    known: BTreeMap<u64, Closed>,
    order: VecDeque<(u64, u64)>,
    next: u64,
}

fn hashed(realm: Realm, call_id: &[u8], tag: &[u8]) -> u64 {
    fnv1a(&[&realm.0.to_be_bytes(), call_id, tag])
}

impl ClosedCalls {
    pub(crate) fn add(&mut self, call: &Call, at: Nanos) {
        let name = hashed(call.realm, &call.call_id, &call.caller_tag);
        let unheard = call.ending.as_ref().is_some_and(|ending| {
            matches!(ending.cause, EndCause::MediaTimeout | EndCause::SessionTimer | EndCause::Evicted)
        });
        let closed = Closed {
            number: self.next,
            at,
            cseq: call.invite.cseq(),
            branch: call.invite.first_branch(),
            unheard,
        };
        self.known.insert(name, closed);
        self.order.push_back((name, self.next));
        self.next += 1;
        if self.order.len() > MAX_CLOSED
            && let Some((oldest, number)) = self.order.pop_front()
            && self.known.get(&oldest).is_some_and(|closed| closed.number == number)
        {
            self.known.remove(&oldest);
        }
    }

    /// A message that belongs to a closed call and makes no new one.
    pub(crate) fn explains(&self, arrival: &Arrival<'_>) -> bool {
        let named = |tag: &[u8]| self.known.get(&hashed(arrival.src.realm, arrival.message.call_id, tag));
        if arrival.is_fresh_invite() {
            return named(arrival.from_tag).is_some_and(|closed| {
                closed.cseq == Some(arrival.message.cseq)
                    && closed.branch == Some(arrival.branch)
                    && arrival.now - closed.at <= REPETITION
            });
        }
        let Some(closed) = named(arrival.from_tag).or_else(|| named(arrival.to_tag)) else { return false };
        // A dialog that is renegotiated was not over after all.
        let alive = arrival.is_request(Method::Invite) || arrival.is_request(Method::Update);
        !(closed.unheard && alive)
    }
}
