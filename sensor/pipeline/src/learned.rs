//! Endpoints of calls, as a source that chooses what it hands up is told of them: learnt with a binding,
//! forgotten when the last call that named them is closed. One that only calls name which are refused or
//! cut is unwanted; what comes up from or to it all the same is known by it here.

use std::collections::{BTreeMap, HashMap};

use nightjar_wire::{Binding, CallKey, Endpoint, FlowKey};

use crate::admission::Shed;

/// What is new about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Media of a call goes there, or comes from there.
    Wanted(Endpoint),
    /// Only calls that are refused or cut name it: what goes there or comes from there is not kept.
    Unwanted(Endpoint),
    /// No open call names it any more.
    Forgotten(Endpoint),
}

/// What a call has to do with endpoints.
#[derive(Debug, Default)]
struct OfCall {
    /// Without repetition.
    endpoints: Vec<Endpoint>,
    /// It is refused or cut.
    shed: Option<Shed>,
}

/// How many calls name an endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    /// Those that are kept.
    kept: u32,
    /// Those that are not.
    shed: u32,
    /// What became of the last one that is not.
    why: Option<Shed>,
}

impl Named {
    /// What is told of the endpoint.
    fn news(&self, endpoint: Endpoint) -> Learned {
        match (self.kept, self.shed) {
            (0, 0) => Learned::Forgotten(endpoint),
            (0, _) => Learned::Unwanted(endpoint),
            _ => Learned::Wanted(endpoint),
        }
    }
}

/// The endpoints of the open calls.
#[derive(Debug, Default)]
pub(crate) struct LearnedEndpoints {
    of_calls: BTreeMap<CallKey, OfCall>,
    named: HashMap<Endpoint, Named>,
    /// Calls that are refused or cut: while there are none, no packet asks.
    shed: usize,
    /// What has not been told yet. Emptied after each batch.
    news: Vec<Learned>,
}

impl LearnedEndpoints {
    /// Signalling has named where media is received, RTCP too.
    pub(crate) fn bind(&mut self, binding: &Binding) {
        self.add(binding.call, [binding.endpoint, binding.rtcp]);
    }

    /// A call that nobody keeps has a flow that no signalling names.
    pub(crate) fn add_flow(&mut self, call: CallKey, flow: FlowKey) {
        self.add(call, [flow.source(), flow.destination()]);
    }

    fn add(&mut self, call: CallKey, endpoints: [Endpoint; 2]) {
        let its = self.of_calls.entry(call).or_default();
        let shed = its.shed;
        for endpoint in endpoints {
            if !its.endpoints.contains(&endpoint) {
                its.endpoints.push(endpoint);
                change(&mut self.named, &mut self.news, endpoint, |named| match shed {
                    Some(_) => (named.shed, named.why) = (named.shed + 1, shed),
                    None => named.kept += 1,
                });
            }
        }
    }

    /// A call is refused or cut.
    pub(crate) fn shed(&mut self, call: CallKey, shed: Shed) {
        let its = self.of_calls.entry(call).or_default();
        if its.shed.replace(shed).is_some() {
            return;
        }
        self.shed += 1;
        for endpoint in &its.endpoints {
            change(&mut self.named, &mut self.news, *endpoint, |named| {
                (named.kept, named.shed, named.why) = (named.kept - 1, named.shed + 1, Some(shed));
            });
        }
    }

    /// Whether any call is refused or cut.
    #[inline]
    pub(crate) fn has_shed(&self) -> bool {
        self.shed > 0
    }

    /// What became of the only calls that name one of these endpoints, if they are not kept: as the XDP
    /// program decides.
    #[inline]
    pub(crate) fn shed_between(&self, src: Endpoint, dst: Endpoint) -> Option<Shed> {
        if self.shed == 0 {
            return None;
        }
        let named = |endpoint: &Endpoint| self.named.get(endpoint).filter(|named| named.kept == 0);
        named(&dst).or_else(|| named(&src)).and_then(|named| named.why)
    }

    /// What became of a call that is not kept.
    #[inline]
    pub(crate) fn shed_of(&self, call: CallKey) -> Option<Shed> {
        if self.shed == 0 {
            return None;
        }
        self.of_calls.get(&call).and_then(|its| its.shed)
    }

    /// A call is closed.
    pub(crate) fn forget(&mut self, call: CallKey) {
        let OfCall { endpoints, shed } = self.of_calls.remove(&call).unwrap_or_default();
        self.shed -= usize::from(shed.is_some());
        for endpoint in endpoints {
            change(&mut self.named, &mut self.news, endpoint, |named| match shed {
                Some(_) => named.shed -= 1,
                None => named.kept -= 1,
            });
        }
    }

    /// What is new since the last call, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Learned> {
        self.news.drain(..)
    }
}

/// Counts, and tells what that changes.
fn change(
    named: &mut HashMap<Endpoint, Named>,
    news: &mut Vec<Learned>,
    endpoint: Endpoint,
    count: impl FnOnce(&mut Named),
) {
    let entry = named.entry(endpoint).or_default();
    let before = entry.news(endpoint);
    count(entry);
    let after = entry.news(endpoint);
    if matches!(after, Learned::Forgotten(_)) {
        named.remove(&endpoint);
    }
    if after != before {
        news.push(after);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use nightjar_wire::{MediaKind, Nanos, Realm};

    use super::*;
    use crate::admission::Spent;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::new(Realm(0), IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    }

    fn binding(call: u32, port: u16) -> Binding {
        Binding {
            endpoint: endpoint(port),
            from: Nanos::ZERO,
            call: CallKey(call),
            dialog: 0,
            receiver: 0,
            speaker: None,
            media_line: 0,
            kind: MediaKind::Audio,
            remote: None,
            rtcp: endpoint(port + 1),
            formats: Vec::new(),
        }
    }

    #[test]
    fn an_endpoint_is_told_once_and_forgotten_with_its_last_call() {
        let mut learned = LearnedEndpoints::default();
        let news = |learned: &mut LearnedEndpoints| learned.drain().collect::<Vec<_>>();
        learned.bind(&binding(1, 4000));
        learned.bind(&binding(1, 4000));
        learned.bind(&binding(2, 4000));
        assert_eq!(news(&mut learned), [Learned::Wanted(endpoint(4000)), Learned::Wanted(endpoint(4001))]);
        learned.forget(CallKey(1));
        assert_eq!(news(&mut learned), []);
        learned.forget(CallKey(2));
        learned.forget(CallKey(2));
        assert_eq!(
            news(&mut learned),
            [Learned::Forgotten(endpoint(4000)), Learned::Forgotten(endpoint(4001))]
        );
        assert!(learned.of_calls.is_empty() && learned.named.is_empty());
    }

    #[test]
    fn an_endpoint_is_unwanted_while_only_calls_that_are_not_kept_name_it() {
        let mut learned = LearnedEndpoints::default();
        let news = |learned: &mut LearnedEndpoints| learned.drain().collect::<Vec<_>>();
        let (one, two) = (Shed::Refused(Spent::Promised), Shed::Cut(Spent::Ring));
        learned.shed(CallKey(1), one);
        learned.bind(&binding(1, 4000));
        assert_eq!(
            news(&mut learned),
            [Learned::Unwanted(endpoint(4000)), Learned::Unwanted(endpoint(4001))]
        );
        assert_eq!(learned.shed_between(endpoint(9), endpoint(4000)), Some(one));
        // Another call shares an endpoint: its media must come.
        learned.bind(&binding(2, 4000));
        assert_eq!(news(&mut learned), [Learned::Wanted(endpoint(4000)), Learned::Wanted(endpoint(4001))]);
        assert_eq!(learned.shed_between(endpoint(4000), endpoint(9)), None);
        assert_eq!((learned.shed_of(CallKey(1)), learned.shed_of(CallKey(2))), (Some(one), None));
        learned.shed(CallKey(2), two);
        assert_eq!(learned.shed_between(endpoint(4000), endpoint(9)), Some(two));
        learned.forget(CallKey(2));
        learned.forget(CallKey(1));
        let unwanted = [Learned::Unwanted(endpoint(4000)), Learned::Unwanted(endpoint(4001))];
        let forgotten = [Learned::Forgotten(endpoint(4000)), Learned::Forgotten(endpoint(4001))];
        assert_eq!(news(&mut learned), [unwanted, forgotten].concat());
        assert_eq!((learned.shed, learned.shed_between(endpoint(4000), endpoint(9))), (0, None));
    }
}
