//! The flow table: streams by flow and SSRC, bound once and staying with their call.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use foldhash::fast::RandomState;
use nightjar_wire::{Binding, CallKey, Endpoint, FlowKey, MediaKind, Nanos, Realm, RtpView};

use crate::bindings::{BindingTable, Resolved};
use crate::figures::Sequence;
use crate::packed_key::PackedKey;
use crate::recent_datagrams::RecentDatagrams;
use crate::stream::{Membership, Stream, StreamKey};
use crate::streams::{Slot, Sought, Streams};

mod earlier_run;
mod senders;

/// How often a stream says that media flows.
const REPORT_INTERVAL: Nanos = Nanos::from_secs(1);

/// How large the table may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most streams at a time, bound and waiting together.
    pub streams: usize,
    /// Consecutive packets that unexplained traffic must show to be taken for RTP.
    pub plausible_after: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { streams: 400_000, plausible_after: 1 }
    }
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// To a stream of a call.
    Bound {
        /// The stream's id.
        stream: u32,
        /// Its call.
        call: CallKey,
        /// It is the first packet of a stream that was bound right away.
        opened: bool,
        /// Media flows, and that was not said for a second.
        active: bool,
        /// The stream was away until now: of the numbers missing before this packet so many are lost,
        /// right behind its last one, and the others went elsewhere.
        returned: Option<u16>,
    },
    /// To a stream that nothing explains yet.
    Waiting {
        /// The stream's id.
        stream: u32,
        /// Its first packet.
        opened: bool,
    },
    /// The mirror showed it before.
    MirrorCopy,
    /// No room for another stream.
    TableFull,
}

/// Where an RTCP datagram belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPlacement {
    /// To a call.
    Bound(CallKey),
    /// The mirror showed it before.
    MirrorCopy,
    /// To no known call.
    Unknown,
}

/// Streams by key and by call, and the bindings that explain them.
#[derive(Debug)]
pub struct FlowTable {
    limits: Limits,
    bindings: BindingTable,
    streams: Streams,
    of_call: HashMap<CallKey, Vec<u32>, RandomState>,
    /// Waiting streams by either endpoint.
    waiting: HashMap<Endpoint, Vec<u32>, RandomState>,
    next_id: u32,
    rtcp: RecentDatagrams,
}

impl FlowTable {
    /// An empty table.
    pub fn new(limits: Limits) -> FlowTable {
        FlowTable {
            limits,
            bindings: BindingTable::default(),
            streams: Streams::default(),
            of_call: HashMap::default(),
            waiting: HashMap::default(),
            next_id: 0,
            rtcp: RecentDatagrams::default(),
        }
    }

    /// A stream by its id.
    pub fn stream(&self, id: u32) -> Option<&Stream> {
        self.streams.get(id)
    }

    /// What signalling has named.
    pub fn bindings(&self) -> &BindingTable {
        &self.bindings
    }

    /// Streams at present.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// True while there is no stream.
    pub fn is_empty(&self) -> bool {
        self.streams.len() == 0
    }

    /// Places one RTP packet and counts it in its stream's figures.
    pub fn handle_rtp(
        &mut self,
        at: Nanos,
        flow: FlowKey,
        rtp: &RtpView<'_>,
        ip_id: Option<u16>,
    ) -> Placement {
        self.handle_sought(at, &self.seek(flow, rtp.ssrc()), rtp, ip_id)
    }

    /// What identifies a packet's stream, ready to be looked for.
    pub fn seek(&self, flow: FlowKey, ssrc: u32) -> Sought {
        self.streams.seek(StreamKey { flow, ssrc }.into())
    }

    /// As [`FlowTable::seek`] for IPv4: senders and receivers come in this order.
    #[inline]
    pub fn seek_ipv4(&self, realm: Realm, addrs: [Ipv4Addr; 2], ports: [u16; 2], ssrc: u32) -> Sought {
        self.streams.seek(PackedKey::of_ipv4(realm, addrs, ports, ssrc))
    }

    /// Looks for the streams of packets that come next and lets `ask` ask memory for them, a place in each
    /// line of the cache. It changes nothing but how long [`FlowTable::handle_sought`] takes.
    #[inline]
    pub fn fetch(&self, sought: &mut [Sought], ask: impl Fn(*const u8)) {
        self.streams.fetch(sought, ask);
    }

    /// As [`FlowTable::handle_rtp`], for a packet whose stream was sought before.
    pub fn handle_sought(
        &mut self,
        at: Nanos,
        sought: &Sought,
        rtp: &RtpView<'_>,
        ip_id: Option<u16>,
    ) -> Placement {
        let Some((slot, stream)) = self.found(sought) else { return self.open(at, sought.key(), rtp, ip_id) };
        let is_gap = stream.figures.missing_before(rtp.sequence()) > 0;
        if stream.call_ended && self.is_new_call(slot, at, rtp) {
            self.streams.supersede(slot);
            return self.open(at, sought.key(), rtp, ip_id);
        }
        let returned = if is_gap { self.note_return(slot, at, rtp.sequence()) } else { None };
        let Some(stream) = self.streams.at_mut(slot) else { return Placement::TableFull };
        if count(stream, at, rtp, ip_id) == Sequence::MirrorCopy {
            return Placement::MirrorCopy;
        }
        let id = stream.id;
        let Some(membership) = stream.membership else {
            return Placement::Waiting { stream: id, opened: false };
        };
        let active = at - stream.reported_at >= REPORT_INTERVAL;
        if active {
            stream.reported_at = at;
        }
        stream.away = false;
        Placement::Bound { stream: id, call: membership.call, opened: false, active, returned }
    }

    #[inline]
    fn found(&self, sought: &Sought) -> Option<(Slot, &Stream)> {
        let slot = self.streams.find(sought)?;
        Some((slot, self.streams.at(slot)?))
    }

    /// Places one RTCP datagram.
    pub fn handle_rtcp(
        &mut self,
        at: Nanos,
        flow: FlowKey,
        datagram: &[u8],
        ip_id: Option<u16>,
    ) -> RtcpPlacement {
        let Some(call) = self.bindings.rtcp_call(flow, at) else { return RtcpPlacement::Unknown };
        if self.rtcp.has_come(at, flow, datagram, ip_id) {
            return RtcpPlacement::MirrorCopy;
        }
        RtcpPlacement::Bound(call)
    }

    /// The stream's call is over and the packet does not continue its numbers: a new binding of
    /// the same endpoints owns it, although the sender kept its SSRC.
    fn is_new_call(&mut self, slot: Slot, at: Nanos, rtp: &RtpView<'_>) -> bool {
        let Some(stream) = self.streams.at(slot) else { return true };
        let numbers = i32::from(rtp.sequence().since(stream.figures.newest())).abs();
        let ticks = rtp.timestamp().since(stream.figures.newest_time()).unsigned_abs();
        let ended_call = stream.membership.map(|membership| membership.call);
        if numbers <= 100 && ticks <= 10 * stream.clock_rate {
            return false;
        }
        let key = stream.key;
        self.bindings.resolve(key.flow, at).is_none_or(|found| Some(found.membership.call) != ended_call)
    }

    fn open(&mut self, at: Nanos, key: StreamKey, rtp: &RtpView<'_>, ip_id: Option<u16>) -> Placement {
        if self.streams.len() >= self.limits.streams {
            return Placement::TableFull;
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let mut stream = Stream::new(id, key, at);
        count(&mut stream, at, rtp, ip_id);
        self.streams.insert(stream);
        match self.bindings.resolve(key.flow, at) {
            Some(resolved) => {
                let call = resolved.membership.call;
                self.join(id, &resolved);
                Placement::Bound { stream: id, call, opened: true, active: true, returned: None }
            }
            None => {
                self.wait(id, key.flow);
                Placement::Waiting { stream: id, opened: true }
            }
        }
    }

    /// Adds a binding. Waiting streams that it explains join its call; streams that already belong
    /// to the call take over its legs and formats. Returns both, in order of opening.
    pub fn bind(&mut self, binding: Binding) -> Rebound {
        let (call, endpoint) = (binding.call, binding.endpoint);
        if self.bindings.bind(binding) {
            self.note_rebound(call, endpoint);
        }
        let mut joined = Vec::new();
        for id in self.waiting.get(&endpoint).cloned().unwrap_or_default() {
            let Some(stream) = self.streams.get(id) else { continue };
            let (flow, at) = (stream.key.flow, stream.figures.last_at);
            if let Some(resolved) = self.bindings.resolve(flow, at) {
                self.stop_waiting(id, flow);
                self.join(id, &resolved);
                joined.push(id);
            }
        }
        joined.sort_unstable();
        Rebound { joined, changed: self.refresh(call, endpoint) }
    }

    /// Streams of the call at the endpoint learn what has become known since they joined.
    fn refresh(&mut self, call: CallKey, endpoint: Endpoint) -> Vec<u32> {
        let mut changed = Vec::new();
        for id in self.of_call.get(&call).into_iter().flatten().copied() {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            let flow = stream.key.flow;
            if flow.destination() != endpoint && flow.source() != endpoint {
                continue;
            }
            let Some(found) = self.bindings.resolve(flow, stream.figures.last_at) else { continue };
            let Some(membership) = stream.membership.as_mut() else { continue };
            if found.membership.call != call {
                continue;
            }
            let unsignalled = membership.dialog.is_none();
            if unsignalled && *membership != found.membership {
                *membership = found.membership;
                changed.push(id);
            }
            if stream.formats != found.formats && membership.dialog == found.membership.dialog {
                stream.set_formats(&found.formats);
                changed.push(id);
            }
        }
        changed.dedup();
        changed
    }

    /// Ends the bindings of an endpoint for a dialog; its streams stay with their call.
    pub fn unbind(&mut self, call: CallKey, dialog: u16, endpoint: Endpoint, until: Nanos) {
        self.bindings.unbind(call, dialog, endpoint, until);
    }

    /// Puts a waiting stream into a call without signalling, as the leg that sends it.
    pub fn join_unsignalled(&mut self, id: u32, call: CallKey, speaker: Option<u16>) {
        let Some(stream) = self.streams.get(id) else { return };
        let flow = stream.key.flow;
        let kind = if stream.is_static_video() { MediaKind::Video } else { MediaKind::Audio };
        let receiver = speaker.map(|leg| 1 - leg.min(1));
        let membership = Membership { call, dialog: None, speaker, receiver };
        self.stop_waiting(id, flow);
        self.join(id, &Resolved { membership, formats: Vec::new(), kind });
    }

    /// A call without signalling got its signalling: the flow's streams take their place in the
    /// dialog. Returns those whose place changed.
    pub fn relabel(&mut self, call: CallKey, flow: FlowKey, dialog: u16, speaker: Option<u16>) -> Vec<u32> {
        let mut changed = Vec::new();
        for id in self.of_call.get(&call).into_iter().flatten().copied() {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            if stream.key.flow != flow {
                continue;
            }
            let receiver = speaker.map(|leg| 1 - leg.min(1));
            stream.membership = Some(Membership { call, dialog: Some(dialog), speaker, receiver });
            changed.push(id);
        }
        changed
    }

    /// True when a stream has behaved like RTP: consecutive numbers, often enough.
    pub fn is_plausible(&self, id: u32) -> bool {
        self.streams.get(id).is_some_and(|stream| {
            stream.in_sequence >= self.limits.plausible_after
                && u64::from(stream.in_sequence) * 2 + 1 >= stream.figures.packets
        })
    }

    /// Forgets a waiting stream: its next packet opens it anew.
    pub fn remove_waiting(&mut self, id: u32) {
        if let Some(stream) = self.streams.remove(id) {
            self.stop_waiting(id, stream.key.flow);
        }
    }

    /// Marks a call as over: a later packet that does not continue its streams is another call's.
    pub fn end_call(&mut self, call: CallKey) {
        for id in self.of_call.get(&call).into_iter().flatten().copied() {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.call_ended = true;
            }
        }
    }

    /// Takes a call's streams out, in order of opening, and forgets its bindings.
    pub fn close_call(&mut self, call: CallKey) -> Vec<Stream> {
        self.bindings.forget(call);
        let mut ids = self.of_call.remove(&call).unwrap_or_default();
        ids.sort_unstable();
        let mut closed = Vec::with_capacity(ids.len());
        for id in ids {
            closed.extend(self.streams.remove(id));
        }
        closed
    }

    /// The streams of an open call, in order of opening.
    pub fn streams_of(&self, call: CallKey) -> impl Iterator<Item = &Stream> {
        self.of_call.get(&call).into_iter().flatten().filter_map(|id| self.stream(*id))
    }

    fn join(&mut self, id: u32, resolved: &Resolved) {
        let Resolved { membership, formats, kind } = resolved;
        let (copy_of, continues) = self.relatives(id, *membership);
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.membership = Some(*membership);
        stream.kind = *kind;
        stream.set_formats(formats);
        (stream.copy_of, stream.continues) = (copy_of, continues);
        let first = stream.figures.first_sequence();
        self.of_call.entry(membership.call).or_default().push(id);
        self.note_arrival(id, first);
    }

    fn wait(&mut self, id: u32, flow: FlowKey) {
        for endpoint in [flow.source(), flow.destination()] {
            self.waiting.entry(endpoint).or_default().push(id);
        }
    }

    fn stop_waiting(&mut self, id: u32, flow: FlowKey) {
        for endpoint in [flow.source(), flow.destination()] {
            if let Some(ids) = self.waiting.get_mut(&endpoint) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.waiting.remove(&endpoint);
                }
            }
        }
    }
}

/// What a binding did to the streams that were there before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebound {
    /// Streams that waited and now belong to the call.
    pub joined: Vec<u32>,
    /// Streams of the call whose legs or formats changed.
    pub changed: Vec<u32>,
}

#[inline]
fn count(stream: &mut Stream, at: Nanos, rtp: &RtpView<'_>, ip_id: Option<u16>) -> Sequence {
    let (sequence, before) = (rtp.sequence(), stream.figures.newest());
    let figures = &mut stream.figures;
    let first = figures.packets == 0;
    let len = rtp.bytes().len();
    let place = figures.handle_packet(at, sequence, rtp.timestamp(), ip_id, len, stream.clock_rate);
    if place != Sequence::MirrorCopy {
        stream.uses.handle_packet(at, rtp.payload_type(), rtp.payload());
        let follows = !first && sequence.since(before) == 1;
        stream.in_sequence = stream.in_sequence.saturating_add(u32::from(follows));
    }
    place
}

#[cfg(test)]
mod tests;
