//! What both sides of a dialog have said of their media, per hop, and the bindings that follow.

use std::net::IpAddr;

use nightjar_wire::{Binding, CallKey, Endpoint, MediaKind, Nanos, Realm};
use serde::{Deserialize, Serialize};

use crate::arrival::{Hop, Side};
use crate::behind_nat::is_inside;
use crate::output::Output;
use crate::sdp::{MediaLine, RtcpPlace};

/// Most descriptions of one dialog: two sides, a few hops, what is proposed beside what is in use.
const MAX_DESCRIPTIONS: usize = 16;

/// One side's description, as it was seen on one hop.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Described {
    hop: Hop,
    side: Side,
    /// The exchange that it came from; an older one is forgotten once two newer are through.
    round: u32,
    /// The CSeq of the request that proposes it, until that request is answered.
    proposed_by: Option<u32>,
    media: Vec<MediaLine>,
}

/// Whose bindings these are.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) call: CallKey,
    pub(crate) realm: Realm,
    pub(crate) dialog: u16,
    /// The caller's and the callee's leg.
    pub(crate) legs: [u16; 2],
}

/// A dialog's descriptions and the bindings that were made of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sessions {
    described: Vec<Described>,
    bound: Vec<Binding>,
    /// Number of the last completed exchange.
    round: u32,
    /// The request that completed it.
    completed: Option<(Side, u32)>,
    /// Where the caller and the callee were seen to send and receive, as their descriptions do not
    /// tell it.
    behind_nat: Option<[Endpoint; 2]>,
}

impl Sessions {
    /// A fork begins with the offer that all forks share.
    pub(crate) fn forked(&self) -> Sessions {
        let described = self.described.iter().filter(|d| d.side == Side::Caller).cloned().collect();
        Sessions { described, ..Sessions::default() }
    }

    /// Forgets the called side: the INVITE is sent again, to be answered by somebody else.
    pub(crate) fn forget_callee(&mut self) {
        self.described.retain(|d| d.side == Side::Caller);
    }

    /// A request proposes a description; until it is answered both that and the one in use hold.
    pub(crate) fn propose(&mut self, side: Side, hop: Hop, cseq: u32, media: &[MediaLine]) {
        // A copy of a request that is answered already, on another hop.
        let proposed_by = Some(cseq).filter(|_| self.completed != Some((side, cseq)));
        self.put(side, hop, proposed_by, media);
    }

    /// An answer, or a late offer, takes effect at once.
    pub(crate) fn accept(&mut self, side: Side, hop: Hop, media: &[MediaLine]) {
        self.put(side, hop, None, media);
    }

    /// The request with this CSeq was accepted: what it proposed replaces what was in use.
    pub(crate) fn commit(&mut self, side: Side, cseq: u32) {
        if self.completed == Some((side, cseq)) {
            return;
        }
        self.completed = Some((side, cseq));
        self.round = self.round.saturating_add(1);
        let hops: Vec<Hop> = self.proposals(side, cseq).map(|d| d.hop).collect();
        let round = self.round;
        self.described.retain(|d| d.side != side || d.proposed_by.is_some() || !hops.contains(&d.hop));
        for described in &mut self.described {
            if described.side == side && described.proposed_by == Some(cseq) {
                described.proposed_by = None;
                described.round = round;
            }
        }
        // A hop that later exchanges no longer pass, as after a proxy that leaves the route.
        let newest = |side: Side| self.described.iter().filter(|d| d.side == side).map(|d| d.round).max();
        let newest = [newest(Side::Caller), newest(Side::Callee)];
        self.described.retain(|d| newest[d.side.index()].is_none_or(|newest| newest - d.round < 2));
    }

    /// The request with this CSeq was refused: what it proposed never holds.
    pub(crate) fn roll_back(&mut self, side: Side, cseq: u32) {
        self.described.retain(|d| d.side != side || d.proposed_by != Some(cseq));
    }

    fn proposals(&self, side: Side, cseq: u32) -> impl Iterator<Item = &Described> {
        self.described.iter().filter(move |d| d.side == side && d.proposed_by == Some(cseq))
    }

    fn put(&mut self, side: Side, hop: Hop, proposed_by: Option<u32>, media: &[MediaLine]) {
        let mut media = media.to_vec();
        self.keep_held_endpoints(side, hop, &mut media);
        let same = |d: &Described| {
            d.side == side && d.hop == hop && d.proposed_by.is_some() == proposed_by.is_some()
        };
        let described = Described { hop, side, round: self.round, proposed_by, media };
        match self.described.iter_mut().find(|d| same(d)) {
            Some(known) => *known = described,
            None => {
                if self.described.len() == MAX_DESCRIPTIONS {
                    self.described.remove(0);
                }
                self.described.push(described);
            }
        }
    }

    /// `c=0.0.0.0` is a hold of old (RFC 2543, B.5): the endpoint goes on being the side's.
    fn keep_held_endpoints(&self, side: Side, hop: Hop, media: &mut [MediaLine]) {
        for line in media.iter_mut().filter(|line| line.addr.is_some_and(|addr| addr.is_unspecified())) {
            let known = |same_hop: bool| {
                self.described.iter().rev().filter(|d| d.side == side && (d.hop == hop) == same_hop).find_map(
                    |d| d.media.iter().find(|old| old.index == line.index && receives(old).is_some()),
                )
            };
            if let Some(old) = known(true).or_else(|| known(false)) {
                (line.addr, line.port, line.rtcp) = (old.addr, old.port, old.rtcp);
            }
        }
    }

    /// The port of a side's first audio line whose address is of no use: a host name, or an inside
    /// one that is neither of the hosts that the dialog's messages came from.
    pub(crate) fn hidden_port(&self, side: Side, hosts: &[IpAddr]) -> Option<u16> {
        let line = self.audio_of(side)?.1;
        let hidden = line.addr.is_none_or(|addr| is_inside(addr) && !hosts.contains(&addr));
        Some(line.port).filter(|port| hidden && line.udp && *port != 0)
    }

    /// Media flows between these endpoints, the caller's and the callee's, whatever was described.
    pub(crate) fn set_behind_nat(&mut self, ends: [Endpoint; 2]) {
        self.behind_nat = Some(ends);
    }

    /// A side's newest description and its first audio line.
    fn audio_of(&self, side: Side) -> Option<(&Described, &MediaLine)> {
        let own = self.described.iter().rev().filter(|d| d.side == side).max_by_key(|d| d.round)?;
        let line = own.media.iter().find(|line| line.kind == MediaKind::Audio)?;
        Some((own, line))
    }

    /// The label of a side's media line.
    pub(crate) fn label(&self, side: Side, index: u8) -> Option<&str> {
        let lines = self.described.iter().rev().filter(|d| d.side == side).flat_map(|d| &d.media);
        lines.filter(|line| line.index == index).find_map(|line| line.label.as_deref())
    }

    /// Brings the bindings in line with the descriptions, or takes all back when the dialog is
    /// over, and says what has changed.
    pub(crate) fn rebind(&mut self, owner: Owner, at: Nanos, live: bool, tell: &mut impl FnMut(Output)) {
        let wanted = if live { self.wanted(owner, at) } else { Vec::new() };
        for old in std::mem::take(&mut self.bound) {
            if !wanted.iter().any(|new| new.endpoint == old.endpoint) {
                tell(Output::Unbind {
                    call: owner.call,
                    dialog: owner.dialog,
                    endpoint: old.endpoint,
                    until: at,
                });
            } else {
                self.bound.push(old);
            }
        }
        for mut new in wanted {
            match self.bound.iter_mut().find(|old| old.endpoint == new.endpoint) {
                Some(old) => {
                    new.from = old.from;
                    if *old != new {
                        *old = new.clone();
                        tell(Output::Bind(new));
                    }
                }
                None => {
                    self.bound.push(new.clone());
                    tell(Output::Bind(new));
                }
            }
        }
    }

    /// The bindings in force.
    pub(crate) fn bound(&self) -> &[Binding] {
        &self.bound
    }

    fn wanted(&self, owner: Owner, at: Nanos) -> Vec<Binding> {
        let mut wanted: Vec<Binding> = Vec::new();
        for described in &self.described {
            for line in &described.media {
                let Some(endpoint) = endpoint(line, owner.realm) else { continue };
                let binding = self.binding(owner, at, described, line, endpoint);
                match wanted.iter_mut().find(|known| known.endpoint == endpoint) {
                    // The same endpoint on a second hop: what is known more stands.
                    Some(known) if known.receiver == binding.receiver && known.remote.is_none() => {
                        *known = binding;
                    }
                    Some(_) => {}
                    None => wanted.push(binding),
                }
            }
        }
        let Some(ends) = self.behind_nat else { return wanted };
        for side in Side::BOTH {
            let endpoint = ends[side.index()];
            if let Some((own, line)) = self.audio_of(side)
                && wanted.iter().all(|known| known.endpoint != endpoint)
            {
                let remote = Some(ends[side.other().index()]);
                wanted.push(Binding { remote, ..self.binding(owner, at, own, line, endpoint) });
            }
        }
        wanted
    }

    fn binding(
        &self,
        owner: Owner,
        at: Nanos,
        own: &Described,
        line: &MediaLine,
        endpoint: Endpoint,
    ) -> Binding {
        let peer = self.peer(own, line);
        let mut formats = line.formats.clone();
        for format in peer.map(|peer| peer.formats.as_slice()).unwrap_or_default() {
            if formats.iter().all(|known| known.payload_type != format.payload_type) {
                formats.push(format.clone());
            }
        }
        let muxed = peer.is_none_or(|peer| peer.rtcp == RtcpPlace::Mux);
        let rtcp = match line.rtcp {
            RtcpPlace::Mux if muxed => endpoint,
            RtcpPlace::Mux | RtcpPlace::NextPort => {
                endpoint.with_port(endpoint.port.checked_add(1).unwrap_or(endpoint.port))
            }
            RtcpPlace::At(addr, port) => Endpoint { addr: addr.unwrap_or(endpoint.addr), port, ..endpoint },
        };
        Binding {
            endpoint,
            from: at,
            call: owner.call,
            dialog: owner.dialog,
            receiver: owner.legs[own.side.index()],
            speaker: Some(owner.legs[own.side.other().index()]),
            media_line: line.index,
            kind: line.kind,
            remote: peer.and_then(|peer| self::endpoint(peer, owner.realm)),
            rtcp,
            formats,
        }
    }

    /// The other side's line that belongs to this one: on the same hop if it was seen there, in
    /// use rather than proposed, the newest.
    fn peer(&self, own: &Described, line: &MediaLine) -> Option<&MediaLine> {
        let others = || self.described.iter().filter(|d| d.side != own.side);
        let best = others().max_by_key(|d| (d.hop == own.hop, d.proposed_by.is_none(), d.round))?;
        best.media.iter().find(|peer| peer.index == line.index)
    }
}

/// Where a line's writer receives, if it does so by UDP at a known address.
fn receives(line: &MediaLine) -> Option<IpAddr> {
    line.addr.filter(|addr| line.port != 0 && line.udp && !addr.is_unspecified())
}

fn endpoint(line: &MediaLine, realm: Realm) -> Option<Endpoint> {
    receives(line).map(|addr| Endpoint::new(realm, addr, line.port))
}
