//! Which call a flow belongs to, by what signalling has said of its endpoints (DESIGN, "Who owns a
//! call"): the advertised destination first, then the advertised source. The reverse of a bound
//! flow needs no rule of its own: one of its ends is named, and the entry that the flow has
//! claimed fits it best.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use nightjar_wire::{Binding, CallKey, Endpoint, FlowKey, Format, MediaKind, Nanos};

use crate::stream::Membership;

/// A binding that ended still explains streams that begin this late.
const AFTERMATH: Nanos = Nanos::from_secs(2);

/// Whose a flow is.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The call, dialog and legs.
    pub membership: Membership,
    /// What signalling says of the payload types on this flow.
    pub formats: Vec<Format>,
    /// What the media line carries.
    pub kind: MediaKind,
}

#[derive(Debug)]
struct Entry {
    binding: Binding,
    /// When signalling withdrew it.
    until: Option<Nanos>,
    /// The source that speaks for the named speaker although nobody advertised it (behind NAT).
    claimed_by: Option<Endpoint>,
}

impl Entry {
    fn is_valid(&self, at: Nanos) -> bool {
        self.until.is_none_or(|until| at <= until)
    }

    fn is_aftermath(&self, at: Nanos) -> bool {
        self.until.is_some_and(|until| at > until && at - until <= AFTERMATH)
    }

    /// How well a source fits: the advertised one, one that has spoken before, one at the same
    /// address, any other.
    fn fit(&self, source: Endpoint) -> u8 {
        match self.binding.remote {
            Some(remote) if remote == source => 3,
            _ if self.claimed_by == Some(source) => 3,
            Some(remote) if remote.realm == source.realm && remote.addr == source.addr => 2,
            _ => 1,
        }
    }
}

/// All endpoints that signalling has named and not forgotten.
#[derive(Debug, Default)]
pub struct BindingTable {
    entries: HashMap<Endpoint, Vec<Entry>, RandomState>,
    /// The endpoints of each call, for forgetting them.
    of_call: HashMap<CallKey, Vec<Endpoint>, RandomState>,
    /// Where a named party was seen sending to: who sends from there is the leg that it talks to,
    /// whatever SDP says (symmetric RTP behind NAT).
    learned: HashMap<Endpoint, (CallKey, u16), RandomState>,
}

impl BindingTable {
    /// Adds a binding, or replaces the one of the same endpoint, call and dialog; true when that had been
    /// withdrawn.
    pub fn bind(&mut self, binding: Binding) -> bool {
        let endpoints = self.of_call.entry(binding.call).or_default();
        if !endpoints.contains(&binding.endpoint) {
            endpoints.push(binding.endpoint);
        }
        let entries = self.entries.entry(binding.endpoint).or_default();
        let same = entries.iter_mut().find(|entry| {
            entry.binding.call == binding.call
                && entry.binding.dialog == binding.dialog
                && entry.binding.receiver == binding.receiver
        });
        match same {
            Some(entry) => {
                if entry.binding.remote != binding.remote {
                    entry.claimed_by = None;
                }
                entry.binding = binding;
                entry.until.take().is_some()
            }
            None => {
                entries.push(Entry { binding, until: None, claimed_by: None });
                false
            }
        }
    }

    /// Ends the bindings of one endpoint for a dialog.
    pub fn unbind(&mut self, call: CallKey, dialog: u16, endpoint: Endpoint, until: Nanos) {
        for entry in self.entries.get_mut(&endpoint).into_iter().flatten() {
            if entry.binding.call == call && entry.binding.dialog == dialog && entry.until.is_none() {
                entry.until = Some(until);
            }
        }
    }

    /// Forgets a call's bindings.
    pub fn forget(&mut self, call: CallKey) {
        for endpoint in self.of_call.remove(&call).unwrap_or_default() {
            if self.learned.get(&endpoint).is_some_and(|(owner, _)| *owner == call) {
                self.learned.remove(&endpoint);
            }
            if let Some(entries) = self.entries.get_mut(&endpoint) {
                entries.retain(|entry| entry.binding.call != call);
                if entries.is_empty() {
                    self.entries.remove(&endpoint);
                }
            }
        }
    }

    /// How many endpoints are named.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True while nothing is named.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True when signalling has named the endpoint, as RTP's or RTCP's.
    pub fn names(&self, endpoint: Endpoint) -> bool {
        self.entries.contains_key(&endpoint)
    }

    /// The call that an RTCP datagram belongs to: its endpoints are named themselves (`rtcp-mux`,
    /// RFC 5761) or stand one port above a named one (RFC 3550, 11).
    pub fn rtcp_call(&self, flow: FlowKey, at: Nanos) -> Option<CallKey> {
        [flow.destination(), flow.source()].into_iter().find_map(|endpoint| {
            let below = endpoint.port.checked_sub(1).map(|port| endpoint.with_port(port));
            [Some(endpoint), below].into_iter().flatten().find_map(|named| {
                let entries = self.entries.get(&named)?;
                let fits = |entry: &&Entry| {
                    (entry.binding.rtcp == endpoint || named == endpoint)
                        && (entry.is_valid(at) || entry.is_aftermath(at))
                };
                entries.iter().filter(fits).max_by_key(|entry| entry.binding.from).map(|e| e.binding.call)
            })
        })
    }

    /// Explains a flow that begins at `at`. A source that is taken for the named speaker although
    /// it was not advertised keeps that place.
    pub fn resolve(&mut self, flow: FlowKey, at: Nanos) -> Option<Resolved> {
        self.by_destination(flow, at).or_else(|| self.by_source(flow, at))
    }

    fn by_destination(&mut self, flow: FlowKey, at: Nanos) -> Option<Resolved> {
        let source = flow.source();
        let entry = best(self.entries.get_mut(&flow.destination())?, source, at)?;
        let binding = &entry.binding;
        let named = entry.fit(source) >= 2;
        let learned = self.learned.get(&source).filter(|(call, _)| *call == binding.call);
        let speaker = if named {
            binding.speaker
        } else if let Some((_, leg)) = learned {
            let receiver = if *leg == binding.receiver { binding.speaker } else { Some(binding.receiver) };
            return Some(resolved(binding, Some(*leg), receiver));
        } else if entry.claimed_by.is_none() {
            entry.claimed_by = Some(source);
            binding.speaker
        } else {
            None
        };
        if named && entry.claimed_by.is_none() {
            entry.claimed_by = Some(source);
        }
        Some(resolved(&entry.binding, speaker, Some(entry.binding.receiver)))
    }

    /// The flow's source listens there, so it speaks from there (symmetric RTP, RFC 4961).
    fn by_source(&mut self, flow: FlowKey, at: Nanos) -> Option<Resolved> {
        let entry = best(self.entries.get_mut(&flow.source())?, flow.destination(), at)?;
        let (speaker, receiver) = (Some(entry.binding.receiver), entry.binding.speaker);
        if let Some(leg) = receiver {
            let call = entry.binding.call;
            if self.learned.insert(flow.destination(), (call, leg)).is_none() {
                self.of_call.entry(call).or_default().push(flow.destination());
            }
        }
        Some(resolved(&entry.binding, speaker, receiver))
    }
}

/// The entry that fits the far side best; among equals the newest.
fn best(entries: &mut [Entry], far_side: Endpoint, at: Nanos) -> Option<&mut Entry> {
    let usable = entries.iter_mut().filter(|entry| entry.is_valid(at) || entry.is_aftermath(at));
    usable.max_by_key(|entry| (entry.is_valid(at), entry.fit(far_side), entry.binding.from))
}

fn resolved(binding: &Binding, speaker: Option<u16>, receiver: Option<u16>) -> Resolved {
    Resolved {
        membership: Membership { call: binding.call, dialog: Some(binding.dialog), speaker, receiver },
        formats: binding.formats.clone(),
        kind: binding.kind,
    }
}
