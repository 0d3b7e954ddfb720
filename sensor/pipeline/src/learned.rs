//! Endpoints of calls, as a source that chooses what it hands up is told of them: learnt with a binding,
//! forgotten when the last call that named them is closed.

use std::collections::{BTreeMap, HashMap};

use nightjar_wire::{Binding, CallKey, Endpoint};

/// What is new about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Media of a call goes there, or comes from there.
    Wanted(Endpoint),
    /// No open call names it any more.
    Forgotten(Endpoint),
}

/// The endpoints of the open calls.
#[derive(Debug, Default)]
pub(crate) struct LearnedEndpoints {
    /// Each call's, without repetition.
    of_calls: BTreeMap<CallKey, Vec<Endpoint>>,
    /// How many calls name an endpoint.
    calls: HashMap<Endpoint, u32>,
    /// What has not been told yet. Emptied after each batch.
    news: Vec<Learned>,
}

impl LearnedEndpoints {
    /// Signalling has named where media is received, RTCP too.
    pub(crate) fn bind(&mut self, binding: &Binding) {
        let its = self.of_calls.entry(binding.call).or_default();
        for endpoint in [binding.endpoint, binding.rtcp] {
            if its.contains(&endpoint) {
                continue;
            }
            its.push(endpoint);
            let calls = self.calls.entry(endpoint).or_default();
            *calls += 1;
            if *calls == 1 {
                self.news.push(Learned::Wanted(endpoint));
            }
        }
    }

    /// A call is closed.
    pub(crate) fn forget(&mut self, call: CallKey) {
        for endpoint in self.of_calls.remove(&call).unwrap_or_default() {
            let Some(calls) = self.calls.get_mut(&endpoint) else { continue };
            *calls -= 1;
            if *calls == 0 {
                self.calls.remove(&endpoint);
                self.news.push(Learned::Forgotten(endpoint));
            }
        }
    }

    /// What is new since the last call, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Learned> {
        self.news.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use nightjar_wire::{MediaKind, Nanos, Realm};

    use super::*;

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
        assert!(learned.of_calls.is_empty() && learned.calls.is_empty());
    }
}
