//! Who is out of the mesh for good.

use super::Roster;
use crate::fact::VerifiedFact;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::revoked::{Outcast, Revoked};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All revocations that are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Revocations {
    revoked: Revoked,
    /// One for each node that is named, to show to whoever has not heard.
    shown: BTreeMap<NodeId, VerifiedFact>,
}

impl Roster {
    /// Who is out, and what issued certificates are void.
    #[must_use]
    pub fn revoked(&self) -> &Revoked {
        &self.revocations.revoked
    }

    /// The fact by which a node is out.
    #[must_use]
    pub fn revocation_of(&self, node: &NodeId) -> Option<&VerifiedFact> {
        self.revocations.shown.get(node).filter(|_| self.revoked().contains(node))
    }

    /// Takes in a revocation. Returns the members that are none any more by it, and why; they stay known as authors.
    pub(crate) fn revoke(&mut self, fact: &VerifiedFact) -> Vec<(Member, Outcast)> {
        let Some(revocation) = fact.revoked() else { return Vec::new() };
        let revocations = Arc::make_mut(&mut self.revocations);
        if !revocations.revoked.insert(revocation) {
            return Vec::new();
        }
        let by_operators = |fact: &VerifiedFact| matches!(fact.key(), crate::fact::FactKey::Revocation(_));
        let shown = revocations.shown.entry(revocation.node()).or_insert_with(|| fact.clone());
        if by_operators(fact) || !by_operators(shown) {
            shown.clone_from(fact);
        }
        let out: Vec<(Member, Outcast)> =
            self.members().filter_map(|member| Some((member.clone(), self.revoked().judge(member)?))).collect();
        for (member, _) in &out {
            self.retire(&member.node());
        }
        out
    }

    /// Whether a revocation says more than is known.
    pub(super) fn is_revocation_news(&self, fact: &VerifiedFact) -> bool {
        fact.revoked().is_some_and(|revocation| self.revoked().is_news(revocation))
    }
}
