//! Calls by their names on the wire: Call-ID and the caller's tag, of calls in the directory and,
//! for a while, of those that are closed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

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

/// The calls in the directory by Call-ID and the caller's tag. An ordered map: a peer that chooses
/// its Call-IDs with malice gains nothing.
#[derive(Default)]
pub(crate) struct Names {
    calls: BTreeMap<Box<[u8]>, Vec<CallKey>>,
    /// The same calls by the two hosts, in order, that their first message passed between.
    hosts: BTreeSet<(Realm, IpAddr, IpAddr, CallKey)>,
}

/// The key of a call among those between its hosts.
fn between_hosts(call: &Call) -> Option<(Realm, IpAddr, IpAddr, CallKey)> {
    let dialog = call.dialogs.first()?;
    let (a, b) = (dialog.src.addr, dialog.dst.addr);
    Some((call.realm, a.min(b), a.max(b), call.key))
}

fn name(realm: Realm, call_id: &[u8], tag: &[u8]) -> Vec<u8> {
    // No line end stands in a header's value, so the parts cannot run into each other.
    [&realm.0.to_be_bytes(), call_id, b"\n", tag].concat()
}

impl Names {
    /// The latest call of a message: the one that its sender began, else its receiver.
    pub(crate) fn find(&self, arrival: &Arrival<'_>) -> Option<CallKey> {
        let latest = |tag: &[u8]| {
            let name = name(arrival.src.realm, arrival.message.call_id, tag);
            self.calls.get(name.as_slice())?.last().copied()
        };
        latest(arrival.from_tag).or_else(|| latest(arrival.to_tag))
    }

    pub(crate) fn add(&mut self, call: &Call) {
        let name = name(call.realm, &call.call_id, &call.caller_tag);
        self.calls.entry(name.into()).or_default().push(call.key);
        self.hosts.extend(between_hosts(call));
    }

    /// The calls whose first message passed between two hosts, the newest first.
    pub(crate) fn between(&self, realm: Realm, a: IpAddr, b: IpAddr) -> impl Iterator<Item = CallKey> {
        let (low, high) = (a.min(b), a.max(b));
        let all = (realm, low, high, CallKey(0))..=(realm, low, high, CallKey(u32::MAX));
        self.hosts.range(all).rev().map(|(.., call)| *call)
    }

    pub(crate) fn remove(&mut self, call: &Call) {
        if let Some(known) = between_hosts(call) {
            self.hosts.remove(&known);
        }
        let name = name(call.realm, &call.call_id, &call.caller_tag);
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
