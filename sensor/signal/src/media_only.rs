//! Calls without signalling: which flows belong together, and which call a description explains.
//!
//! Signalling that is silent so far joins the media that it explains, told of or not. Two calls that have
//! media each stay two, also when a description later names both of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nightjar_schema::{CallSeed, LegRole, Party, Protocol};
use nightjar_wire::{CallKey, Endpoint, FlowKey, Nanos, Realm};

use crate::arrival::{Arrival, Side};
use crate::call::{Call, Flow, Leg, MAX_FLOWS};
use crate::config::SignalConfig;
use crate::ids::CallIds;
use crate::invite::Invite;
use crate::message::Method;
use crate::output::AdoptedFlow;
use crate::parties::Parties;
use crate::sdp::SessionDescription;
use crate::timers::Clocks;

/// How recent the media must be for an INVITE outside of every dialog, or for a call that was told of
/// already, to explain it.
const FLOWING: Nanos = Nanos::from_secs(2);

/// Media whose first packet comes so soon after the capture's first frame was running before it: as
/// long as media waits for its signalling, and longer than a talker's pauses.
const RUNNING_WITHIN: Nanos = Nanos::from_secs(2);

/// Where calls without signalling are found again.
#[derive(Default)]
pub(crate) struct MediaOnly {
    /// Both endpoints, in order. An adopted call stays here until it ends.
    pairs: BTreeMap<(Endpoint, Endpoint), CallKey>,
    /// Calls with media from the first host to the second and none back.
    one_way: BTreeMap<(Realm, IpAddr, IpAddr), BTreeSet<CallKey>>,
    /// Each endpoint's calls, as long as they have no signalling.
    endpoints: BTreeSet<(Endpoint, CallKey)>,
    /// The calls between two hosts, in order, as long as they have no signalling.
    hosts: BTreeMap<(Realm, IpAddr, IpAddr), BTreeSet<CallKey>>,
}

fn pair(flow: FlowKey) -> (Endpoint, Endpoint) {
    let (src, dst) = (flow.source(), flow.destination());
    (src.min(dst), src.max(dst))
}

fn hosts(realm: Realm, a: IpAddr, b: IpAddr) -> (Realm, IpAddr, IpAddr) {
    (realm, a.min(b), a.max(b))
}

/// Takes a call out of a set, and an empty set out of the map.
fn forget(
    map: &mut BTreeMap<(Realm, IpAddr, IpAddr), BTreeSet<CallKey>>,
    at: (Realm, IpAddr, IpAddr),
    call: CallKey,
) {
    if let Some(calls) = map.get_mut(&at) {
        calls.remove(&call);
        if calls.is_empty() {
            map.remove(&at);
        }
    }
}

fn only(calls: &BTreeSet<CallKey>) -> Option<CallKey> {
    calls.first().copied().filter(|_| calls.len() == 1)
}

impl MediaOnly {
    /// The call that a flow belongs to: the one between the same endpoints, or else, where the
    /// ports differ by direction, the only one between the hosts that lacks this direction.
    pub(crate) fn find(&self, flow: FlowKey) -> Option<CallKey> {
        self.pairs.get(&pair(flow)).copied().or_else(|| {
            let back = (flow.realm, flow.dst, flow.src);
            self.one_way.get(&back).filter(|_| flow.src != flow.dst).and_then(only)
        })
    }

    /// Takes a call's flow in.
    pub(crate) fn add(&mut self, call: &Call, flow: FlowKey) {
        self.pairs.entry(pair(flow)).or_insert(call.key);
        if call.protocol != Protocol::None {
            return;
        }
        self.endpoints.insert((flow.source(), call.key));
        self.endpoints.insert((flow.destination(), call.key));
        self.hosts.entry(hosts(flow.realm, flow.src, flow.dst)).or_default().insert(call.key);
        let back = call.flows.iter().any(|known| known.key.src == flow.dst && known.key.dst == flow.src);
        if back {
            forget(&mut self.one_way, (flow.realm, flow.dst, flow.src), call.key);
        } else {
            self.one_way.entry((flow.realm, flow.src, flow.dst)).or_default().insert(call.key);
        }
    }

    /// The call has its signalling: only its own endpoint pairs lead to it from now on.
    pub(crate) fn adopted(&mut self, call: &Call) {
        for Flow { key, .. } in &call.flows {
            self.endpoints.remove(&(key.source(), call.key));
            self.endpoints.remove(&(key.destination(), call.key));
            forget(&mut self.hosts, hosts(key.realm, key.src, key.dst), call.key);
            forget(&mut self.one_way, (key.realm, key.src, key.dst), call.key);
            forget(&mut self.one_way, (key.realm, key.dst, key.src), call.key);
        }
    }

    /// The call is over.
    pub(crate) fn remove(&mut self, call: &Call) {
        self.adopted(call);
        for flow in &call.flows {
            if self.pairs.get(&pair(flow.key)) == Some(&call.key) {
                self.pairs.remove(&pair(flow.key));
            }
        }
    }

    /// The call without signalling that this message explains, if it is one only. Media is known
    /// by the endpoints of the description; a BYE or a refresh has none, and goes by its hosts.
    pub(crate) fn explained_by(
        &self,
        arrival: &Arrival<'_>,
        announced: bool,
        last_media: impl Fn(CallKey) -> Option<Nanos>,
    ) -> Option<CallKey> {
        let realm = arrival.src.realm;
        let Some(session) = &arrival.session else {
            let by_hosts = arrival.is_request(Method::Bye) || arrival.is_request(Method::Update);
            let hosts = hosts(realm, arrival.src.addr, arrival.dst.addr);
            return self.hosts.get(&hosts).filter(|_| by_hosts).and_then(only);
        };
        let mut calls = BTreeSet::new();
        for endpoint in described(session, realm) {
            let all = (endpoint, CallKey(0))..=(endpoint, CallKey(u32::MAX));
            // Two are too many already.
            calls.extend(self.endpoints.range(all).map(|(_, call)| *call).take(2));
        }
        // The next call on the same ports is another call.
        if announced || arrival.is_fresh_invite() {
            calls.retain(|call| last_media(*call).is_some_and(|last| arrival.now - last <= FLOWING));
        }
        only(&calls)
    }
}

/// The endpoints that a description names.
fn described(session: &SessionDescription, realm: Realm) -> impl Iterator<Item = Endpoint> {
    let lines = session.media.iter().filter(|line| line.port != 0 && line.udp);
    lines.filter_map(move |line| line.addr.map(|addr| Endpoint::new(realm, addr, line.port)))
}

impl Call {
    /// A call of which there is media only: `flow` is its first.
    pub(crate) fn unsignalled(
        key: CallKey,
        at: Nanos,
        now: Nanos,
        flow: FlowKey,
        config: &SignalConfig,
        ids: &mut CallIds,
    ) -> Call {
        let first_dialog = format!("{}>{}", flow.source().socket_addr(), flow.destination().socket_addr());
        let leg = |address: IpAddr| Leg {
            address: Some(address),
            joined_at: Some(at),
            ..Leg::new(Party::default(), LegRole::Unknown)
        };
        Call {
            key,
            id: ids.give(&CallSeed {
                sensor: &config.sensor,
                realm: flow.realm.0,
                source: &config.source,
                first_dialog: first_dialog.as_bytes(),
                first_packet_nanos: at.0,
            }),
            realm: flow.realm,
            protocol: Protocol::None,
            call_id: Box::default(),
            caller_tag: Box::default(),
            parties: Parties::default(),
            legs: vec![leg(flow.src), leg(flow.dst)],
            dialogs: Vec::new(),
            invite: Invite::default(),
            status: None,
            phrase: None,
            started_at: at,
            answered_at: None,
            answered_by: None,
            refused_at: None,
            cancelled_at: None,
            cancel_reason: None,
            last_sign: at,
            ending: None,
            begun_before_capture: false,
            beginning_unseen: true,
            clock_jumped: false,
            happenings: Vec::new(),
            flows: Vec::new(),
            clocks: Clocks { media: Some(now), ..Clocks::starting(now) },
            revision: 1,
            announced: false,
            changed: false,
            scheduled: None,
        }
    }

    /// One of its flows began at `at`; the capture began at `capture_began`.
    pub(crate) fn began_with(&mut self, at: Nanos, capture_began: Nanos) {
        self.started_at = self.started_at.min(at);
        self.begun_before_capture |= at - capture_began <= RUNNING_WITHIN;
    }

    /// Takes a flow in; `false` when it was known or there is no room.
    pub(crate) fn take_flow(&mut self, flow: FlowKey, ssrc: u32) -> bool {
        if self.flows.len() >= MAX_FLOWS || self.flows.iter().any(|known| known.key == flow) {
            return false;
        }
        let speaker = self.sender_like_known(flow);
        self.flows.push(Flow { key: flow, ssrc, speaker });
        true
    }

    /// The leg that sends a flow, by the flows that are known: the same endpoint, the other one,
    /// or else the same host. The first flow's sender is the first leg.
    fn sender_like_known(&self, flow: FlowKey) -> Option<u16> {
        let Some(first) = self.flows.first() else { return Some(0) };
        let other = |leg: u16| u16::from(leg == 0);
        let by_endpoint = self.flows.iter().find_map(|known| match known.speaker {
            Some(leg) if flow.source() == known.key.source() => Some(leg),
            Some(leg) if flow.source() == known.key.destination() => Some(other(leg)),
            _ => None,
        });
        by_endpoint.or_else(|| match first.speaker {
            _ if first.key.src == first.key.dst => None,
            Some(leg) if flow.src == first.key.src => Some(leg),
            Some(leg) if flow.src == first.key.dst => Some(other(leg)),
            _ => None,
        })
    }

    /// A signalled call takes the place of `media_only`: its handle, id, age and flows.
    pub(crate) fn take_over(&mut self, media_only: Call, arrival: &Arrival<'_>) -> Vec<AdoptedFlow> {
        self.key = media_only.key;
        self.id = media_only.id;
        self.started_at = media_only.started_at.min(self.started_at);
        self.last_sign = media_only.last_sign.max(self.last_sign);
        // Its media tells when it began better than a message from its middle.
        self.begun_before_capture = media_only.begun_before_capture;
        self.clock_jumped |= media_only.clock_jumped;
        self.clocks.media = media_only.clocks.media;
        self.clocks.unannounced = None;
        self.revision = media_only.revision;
        self.announced = true;
        self.changed = true;
        self.scheduled = media_only.scheduled;
        self.flows = media_only.flows;
        for leg in &mut self.legs {
            leg.joined_at = Some(self.started_at);
        }
        self.name_speakers(arrival);
        self.flows
            .iter()
            .map(|flow| AdoptedFlow { flow: flow.key, ssrc: flow.ssrc, speaker: flow.speaker })
            .collect()
    }

    /// Who sends each flow, now that one side has said where it receives.
    fn name_speakers(&mut self, arrival: &Arrival<'_>) {
        let requester = self.requester(arrival);
        let sender = if arrival.message.status().is_some() { requester.other() } else { requester };
        let own: Vec<Endpoint> =
            arrival.session.iter().flat_map(|session| described(session, self.realm)).collect();
        let by_endpoint = |flow: FlowKey| {
            if own.contains(&flow.destination()) {
                Some(sender.other())
            } else {
                own.contains(&flow.source()).then_some(sender)
            }
        };
        let known: Option<(FlowKey, Side)> =
            self.flows.iter().find_map(|flow| Some((flow.key, by_endpoint(flow.key)?)));
        // Where no endpoint tells, the host does: of a flow that is known, else of the message.
        let (host, peer, side) = match known {
            Some((flow, side)) => (flow.src, flow.dst, side),
            None => (arrival.src.addr, arrival.dst.addr, sender),
        };
        let by_host = |flow: FlowKey| {
            if host == peer {
                None
            } else if flow.src == host {
                Some(side)
            } else {
                (flow.src == peer).then_some(side.other())
            }
        };
        let legs = self.dialogs[0].legs;
        for flow in &mut self.flows {
            flow.speaker = by_endpoint(flow.key).or_else(|| by_host(flow.key)).map(|side| legs[side.index()]);
        }
    }
}
