//! One round of asking for votes, and one proposal.

use crate::defect::{Defect, Defects};
use crate::id::Term;
use crate::register::{Acceptance, Configuration, Content, Value};
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
        let pending = next.and_then(|value| match &value.content {
            Content::Configuration(pending) => Some(pending.clone()),
            Content::Placement(_) => None,
        });
        Self { in_force: in_force.clone(), pending }
    }

    pub(super) fn decides<D: Defects>(&self, defects: D, votes: &BTreeSet<NodeId>) -> bool {
        match &self.pending {
            Some(pending) if defects.has(Defect::VotersReplaced) => pending.is_quorum(votes),
            Some(pending) => self.in_force.is_quorum(votes) && pending.is_quorum(votes),
            None => self.in_force.is_quorum(votes),
        }
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
    /// When it is given up.
    pub(super) ends: Mono,
    pub(super) votes: BTreeSet<NodeId>,
    /// The accepted value of the highest term among the grants.
    pub(super) accepted: Option<(Term, Value)>,
}

impl Round {
    pub(super) fn new(term: Term, nonce: u64, asked: Mono, ends: Mono) -> Self {
        Self { term, nonce, asked, ends, votes: BTreeSet::new(), accepted: None }
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
}
