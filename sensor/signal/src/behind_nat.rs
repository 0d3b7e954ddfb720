//! Media between the hosts that signalling passes between, where no description names either: with
//! a NAT before each side, SDP tells the inside's addresses only; a host name tells none.

use std::net::IpAddr;

use nightjar_wire::{CallKey, FlowKey, Nanos};

use crate::arrival::Side;
use crate::call::{Call, Effects};
use crate::directory::Directory;

/// Most calls between the same two hosts that are looked at, the newest first.
const MAX_CANDIDATES: usize = 64;

/// A dialog that a flow may belong to.
#[derive(Clone, Copy)]
struct Candidate {
    call: CallKey,
    dialog: usize,
    /// Who sends the flow.
    sender: Side,
    /// The flow has a port that its side named: the NAT kept it.
    same_port: bool,
}

impl Directory {
    /// The call of a flow that nothing names: the only one between its hosts whose descriptions are
    /// of no use and of which no media was seen; among several the only one that named one of the
    /// flow's ports. Its endpoints are bound from `at` on.
    pub(crate) fn find_behind_nat(&mut self, at: Nanos, flow: FlowKey) -> Option<CallKey> {
        let candidates: Vec<Candidate> = self
            .names
            .between(flow.realm, flow.src, flow.dst)
            .take(MAX_CANDIDATES)
            .filter_map(|key| Candidate::of(self.calls.get(&key)?, flow))
            .collect();
        let named: Vec<Candidate> = candidates.iter().copied().filter(|known| known.same_port).collect();
        let [found] = *(if named.is_empty() { candidates } else { named }).as_slice() else { return None };
        let Directory { calls, outputs, statistics, .. } = self;
        let call = calls.get_mut(&found.call)?;
        let ends = match found.sender {
            Side::Caller => [flow.source(), flow.destination()],
            Side::Callee => [flow.destination(), flow.source()],
        };
        call.dialogs[found.dialog].sessions.set_behind_nat(ends);
        call.rebind(found.dialog, at, &mut Effects { outputs, statistics });
        self.settle(found.call);
        Some(found.call)
    }
}

impl Candidate {
    fn of(call: &Call, flow: FlowKey) -> Option<Candidate> {
        if call.ending.is_some() || call.clocks.media.is_some() || flow.src == flow.dst {
            return None;
        }
        let index = usize::from(call.answered_by.unwrap_or(0));
        let dialog = call.dialogs.get(index).filter(|dialog| dialog.live())?;
        let hosts = [dialog.src.addr, dialog.dst.addr];
        let sender = match [flow.src, flow.dst] {
            forth if forth == hosts => Side::Caller,
            [src, dst] if [dst, src] == hosts => Side::Callee,
            _ => return None,
        };
        let hidden = |side: Side| dialog.sessions.hidden_port(side, &hosts);
        let (from, to) = (hidden(sender)?, hidden(sender.other())?);
        let same_port = from == flow.src_port || to == flow.dst_port;
        Some(Candidate { call: call.key, dialog: index, sender, same_port })
    }
}

/// An address that means something on the inside of a NAT only (RFC 1918, RFC 6598, RFC 4193 and
/// those of a link or a host).
pub(crate) fn is_inside(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
