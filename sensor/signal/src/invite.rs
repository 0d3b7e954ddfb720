//! The INVITE that makes a call: its transactions on every hop and fork, and which of their
//! answers decides.

use serde::{Deserialize, Serialize};

/// Most transactions of one INVITE that are followed.
const MAX_BRANCHES: usize = 32;

/// One transaction: the INVITE on one hop to one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Branch {
    id: u64,
    refused: Option<u16>,
}

/// How an INVITE outside of every dialog fares. The first transaction that was seen is the one
/// nearest to the caller: a proxy's later ones may be refused or cancelled, one after the other,
/// while the caller still waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invite {
    /// `None` while no such INVITE was seen: the call began before the capture.
    cseq: Option<u32>,
    branches: Vec<Branch>,
}

/// What a refusal means for the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The caller has its answer.
    Decides,
    /// One target less; others are still asked.
    OneOfSeveral,
    /// Every target that was seen has refused, the caller's own answer is not there yet.
    LastOfSeveral,
    /// It was known.
    Repeated,
}

impl Invite {
    pub(crate) fn new(cseq: u32, branch: u64) -> Invite {
        Invite { cseq: Some(cseq), branches: vec![Branch { id: branch, refused: None }] }
    }

    pub(crate) fn cseq(&self) -> Option<u32> {
        self.cseq
    }

    pub(crate) fn has(&self, branch: u64) -> bool {
        self.branches.iter().any(|known| known.id == branch)
    }

    /// The transaction nearest to the caller, or one that is not known: then there is none nearer.
    pub(crate) fn is_callers(&self, branch: u64) -> bool {
        self.branches.first().is_none_or(|first| first.id == branch) || !self.has(branch)
    }

    pub(crate) fn first_branch(&self) -> Option<u64> {
        self.branches.first().map(|first| first.id)
    }

    pub(crate) fn add(&mut self, branch: u64) {
        if self.branches.len() < MAX_BRANCHES {
            self.branches.push(Branch { id: branch, refused: None });
        }
    }

    /// A final answer other than 2xx.
    pub(crate) fn refuse(&mut self, branch: u64, status: u16) -> Refusal {
        let Some(at) = self.branches.iter().position(|known| known.id == branch) else {
            // A transaction whose request was not seen: of several it is one, alone it is the one.
            return if self.branches.len() > 1 { Refusal::OneOfSeveral } else { Refusal::Decides };
        };
        if self.branches[at].refused.replace(status).is_some() {
            return Refusal::Repeated;
        }
        if at == 0 {
            Refusal::Decides
        } else if self.branches[1..].iter().all(|branch| branch.refused.is_some()) {
            Refusal::LastOfSeveral
        } else {
            Refusal::OneOfSeveral
        }
    }

    /// A refusal is on record.
    pub(crate) fn refused(&self) -> bool {
        self.branches.iter().any(|branch| branch.refused.is_some())
    }
}

/// After these answers a caller sends the INVITE again under the same Call-ID: redirected,
/// challenged, asked for other terms (RFC 3261, 8.1.3.4 and 8.1.3.5; RFC 4028, 7.3; RFC 3578).
pub(crate) fn invites_retry(status: u16) -> bool {
    matches!(status, 300..=399 | 401 | 407 | 413 | 415 | 416 | 420 | 421 | 422 | 428 | 429 | 436..=439 | 484 | 494)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_own_answer_decides() {
        let mut invite = Invite::new(1, 10);
        invite.add(20);
        invite.add(30);
        assert_eq!(invite.refuse(20, 486), Refusal::OneOfSeveral);
        assert_eq!(invite.refuse(20, 486), Refusal::Repeated);
        assert_eq!(invite.refuse(30, 404), Refusal::LastOfSeveral);
        assert_eq!(invite.refuse(10, 486), Refusal::Decides);
    }

    #[test]
    fn an_unknown_transaction_decides_only_alone() {
        let mut invite = Invite::new(1, 10);
        assert_eq!(invite.refuse(99, 404), Refusal::Decides);
        invite.add(20);
        assert_eq!(invite.refuse(99, 404), Refusal::OneOfSeveral);
    }

    #[test]
    fn transactions_are_bounded() {
        let mut invite = Invite::new(1, 0);
        (1..1_000).for_each(|branch| invite.add(branch));
        assert_eq!(invite.branches.len(), MAX_BRANCHES);
    }
}
