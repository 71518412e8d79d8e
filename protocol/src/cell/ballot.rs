//! One round of asking for votes, and one proposal.

use crate::defect::{Defect, Defects};
use crate::id::Term;
use crate::register::{Acceptance, Configuration, Value};
use crate::time::Mono;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::signed::Verified;
use std::collections::{BTreeMap, BTreeSet};

/// Whose votes decide: the voters in force, and those of a change that this node accepted and nobody certified yet.
#[derive(Debug, Clone)]
pub(super) struct Electorate {
    pub(super) in_force: Configuration,
    pub(super) pending: Option<Configuration>,
}

impl Electorate {
    /// Those who decide while this value may become the next one.
    pub(super) fn over(in_force: &Configuration, next: Option<&Value>) -> Self {
        let pending = next.and_then(|value| value.content.next_voters()).cloned();
        Self { in_force: in_force.clone(), pending }
    }

    pub(super) fn decides<D: Defects>(&self, defects: D, votes: &BTreeSet<NodeId>) -> bool {
        match &self.pending {
            Some(pending) if defects.has(Defect::VotersReplaced) => pending.is_quorum(votes),
            Some(pending) => self.in_force.is_quorum(votes) && pending.is_quorum(votes),
            None => self.in_force.is_quorum(votes),
        }
    }

    /// Whether the voters would decide if these did not vote.
    pub(super) fn may_decide_without(&self, absent: impl Fn(&NodeId) -> bool) -> bool {
        let sets = std::iter::once(&self.in_force).chain(&self.pending);
        sets.into_iter().all(|set| {
            let present = set.voters.iter().map(|voter| voter.node).filter(|node| !absent(node)).collect();
            set.is_quorum(&present)
        })
    }

    pub(super) fn has(&self, node: &NodeId) -> bool {
        self.key_of(node).is_some()
    }

    pub(super) fn key_of(&self, node: &NodeId) -> Option<PublicKey> {
        let pending = || self.pending.as_ref().and_then(|pending| pending.key_of(node));
        self.in_force.key_of(node).or_else(pending)
    }

    /// Every voter but `me`, once.
    pub(super) fn others(&self, me: &NodeId) -> BTreeSet<NodeId> {
        let all = self.in_force.voters.iter().chain(self.pending.iter().flat_map(|pending| &pending.voters));
        all.map(|voter| voter.node).filter(|node| node != me).collect()
    }
}

/// One round of asking: for a lease, or for its renewal.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) term: Term,
    pub(super) nonce: u64,
    /// Read before anything was sent: the lease is counted from here.
    pub(super) asked: Mono,
    /// When those who have not answered are asked once more.
    pub(super) retry: Mono,
    /// When it is given up.
    pub(super) ends: Mono,
    /// How many rounds it is without a pause, itself counted.
    pub(super) rounds: u8,
    /// Whether the last holder asked for it.
    pub(super) handed: bool,
    /// Whether the others alone have to elect this node, so that what it accepted itself, and they did not, binds it no more.
    pub(super) rid: bool,
    pub(super) votes: BTreeSet<NodeId>,
    /// Who refused, and when it is free by its own word.
    pub(super) refused: BTreeMap<NodeId, Mono>,
    /// The accepted value of the highest term among the grants.
    pub(super) accepted: Option<(Term, Value)>,
}

impl Round {
    pub(super) fn new(term: Term, nonce: u64, asked: Mono, ends: Mono) -> Self {
        let (votes, refused) = (BTreeSet::new(), BTreeMap::new());
        Self {
            term,
            nonce,
            asked,
            retry: ends,
            ends,
            rounds: 1,
            handed: false,
            rid: false,
            votes,
            refused,
            accepted: None,
        }
    }

    /// If those who refused leave no quorum: from when on enough of them are free.
    pub(super) fn hopeless_until(&self, electorate: &Electorate) -> Option<Mono> {
        let remain =
            |at: Mono| electorate.may_decide_without(|node| self.refused.get(node).is_some_and(|free| *free > at));
        if electorate.may_decide_without(|node| self.refused.contains_key(node)) {
            return None;
        }
        let mut times: Vec<Mono> = self.refused.values().copied().collect();
        times.sort_unstable();
        times.into_iter().find(|at| remain(*at))
    }

    /// Notes what a voter had accepted.
    pub(super) fn note(&mut self, term: Term, value: Value) {
        if self.accepted.as_ref().is_none_or(|(known, _)| *known < term) {
            self.accepted = Some((term, value));
        }
    }
}

/// A proposal and who accepted it.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    pub(super) value: Value,
    pub(super) digest: Sha256Digest,
    pub(super) acceptances: BTreeMap<NodeId, Verified<Acceptance>>,
    /// Who refused it as unfit.
    pub(super) unfit: BTreeSet<NodeId>,
}

impl Proposal {
    /// Whether too many refused it as unfit for the others to decide it.
    pub(super) fn is_hopeless(&self, in_force: &Configuration) -> bool {
        !Electorate::over(in_force, Some(&self.value)).may_decide_without(|node| self.unfit.contains(node))
    }
}
