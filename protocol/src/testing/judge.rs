//! What really happened, in true time. Nodes never see it.

use super::node::TestNode;
use crate::core::MeshCore;
use crate::election::Grant;
use crate::id::{BootId, Term};
use hedgerow_attest::id::NodeId;
use std::collections::BTreeMap;

/// One node's belief to hold a lease, in true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) node: usize,
    pub(crate) term: Term,
    pub(crate) from: u64,
    pub(crate) until: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// By region: every lease that anybody believed to hold.
    pub(crate) leases: BTreeMap<String, Vec<Lease>>,
    /// By voter: the last term that it granted anyone and to whom, across its runs.
    grants: BTreeMap<NodeId, (Term, NodeId, BootId)>,
}

impl Judge {
    /// After every step of a node: what it believes, judged against all others.
    pub(crate) fn look(&mut self, seed: u64, now: u64, index: usize, node: &TestNode) {
        let Some((term, until)) = held(&node.core, node, now) else {
            self.ended(now, index);
            return;
        };
        let leases = self.leases.entry(node.member.region().to_string()).or_default();
        for other in leases.iter().rev().take(64) {
            let overlaps = other.node != index && other.until > now;
            assert!(!overlaps, "seed {seed}: at {now} node {index} holds term {term} beside {other:?}");
            let doubled = other.term == term && other.node != index;
            assert!(!doubled, "seed {seed}: term {term} was held by {other:?} and by node {index}");
        }
        match leases.iter_mut().rev().find(|lease| lease.node == index && lease.term == term && lease.until >= now) {
            Some(lease) => lease.until = until,
            None => leases.push(Lease { node: index, term, from: now, until }),
        }
    }

    /// A grant left its voter: terms never go back, and one term is granted once.
    pub(crate) fn granted(&mut self, seed: u64, grant: &Grant) {
        let said = (grant.term, grant.candidate, grant.boot);
        if let Some(last) = self.grants.insert(grant.voter, said) {
            let kept = said == last || grant.term > last.0;
            assert!(kept, "seed {seed}: {} granted {said:?} after {last:?}", grant.voter);
        }
    }

    /// A node stopped believing, or was killed: its lease ended here.
    pub(crate) fn ended(&mut self, now: u64, index: usize) {
        for lease in self.leases.values_mut().flatten().rev().take(64) {
            if lease.node == index && lease.until > now {
                lease.until = now;
            }
        }
    }

    /// The lease that runs in a region.
    pub(crate) fn holder(&self, region: &str, now: u64) -> Option<Lease> {
        self.leases.get(region)?.iter().rev().find(|lease| lease.from <= now && lease.until > now).copied()
    }
}

fn held(core: &MeshCore, node: &TestNode, now: u64) -> Option<(Term, u64)> {
    core.held_lease(node.mono(now)).map(|(term, until)| (term, node.true_time(until)))
}
