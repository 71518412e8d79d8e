//! The policies of a mesh and what holds among them.
//!
//! A policy names the one that it replaces. Two operators that change the same one make concurrent children, and neither may
//! undo what the other forbade: their meet holds until a successor names both. A mesh takes that in without a vote, in
//! whatever order the policies arrive, because the meet depends on their set only.

use super::policy::Policy;
use crate::id::PolicyVersion;
use hedgerow_attest::digest::Sha256Digest;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Every policy that was taken in, by version and payload digest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policies {
    known: BTreeMap<PolicyName, Policy>,
    /// Those of which no successor is known, ascending.
    heads: Vec<PolicyName>,
}

/// Version and payload digest, by which tables and successors name a policy.
pub type PolicyName = (PolicyVersion, Sha256Digest);

/// Concurrent policies among which those that a successor or a table means are looked for: of `n` there are `2^n` sets.
const CONCURRENT_MAX: usize = 8;

/// Hashed before the digests of several parents, so that the digest means nothing elsewhere.
const PARENTS_CONTEXT: &[u8] = b"hedgerow/policy-parents/1\0";

/// What a successor of these policies writes as its parent: the digest of the one there is, or that of all their digests in
/// ascending order. Nothing if there is none.
#[must_use]
pub fn parent_of(heads: &[Sha256Digest]) -> Option<Sha256Digest> {
    match heads {
        [] => None,
        [sole] => Some(*sole),
        several => {
            let ascending: BTreeSet<&Sha256Digest> = several.iter().collect();
            let digests: Vec<u8> = ascending.into_iter().flat_map(|digest| *digest.as_bytes()).collect();
            Some(Sha256Digest::of(&[PARENTS_CONTEXT, &digests].concat()))
        }
    }
}

impl Policies {
    /// Takes in a policy.
    pub(crate) fn insert(&mut self, policy: Policy, digest: Sha256Digest) {
        self.known.insert((policy.version, digest), policy);
        self.heads = self.heads_until(PolicyVersion(u64::MAX));
    }

    /// Forgets a policy.
    pub(crate) fn remove(&mut self, name: &PolicyName) {
        self.known.remove(name);
        self.heads = self.heads_until(PolicyVersion(u64::MAX));
    }

    /// The oldest policy before a version that others replaced, of those that begin anew or of those that do not: every node
    /// that has to forget one forgets the same.
    pub(crate) fn oldest_replaced(&self, before: PolicyVersion, begins: bool) -> Option<PolicyName> {
        let of_kind = self.known.iter().filter(|(_, policy)| policy.parent.is_none() == begins).map(|(name, _)| *name);
        of_kind.take_while(|name| name.0 < before).find(|name| !self.heads.contains(name))
    }

    /// The policies of which no successor is known.
    pub(crate) fn heads(&self) -> &[PolicyName] {
        &self.heads
    }

    /// What holds: the meet of all heads, and the name that a table gives it.
    pub(crate) fn in_force(&self) -> Option<(Cow<'_, Policy>, PolicyName)> {
        self.meet(&self.heads)
    }

    /// The policy, or the meet of concurrent ones, that a table names.
    pub(crate) fn named(&self, name: &PolicyName) -> Option<Cow<'_, Policy>> {
        if let Some(policy) = self.known.get(name) {
            return Some(Cow::Borrowed(policy));
        }
        let several = subsets(&self.heads_until(name.0)).find(|set| self.name(set).as_ref() == Some(name))?;
        self.meet(&several).map(|(policy, _)| policy)
    }

    fn meet(&self, names: &[PolicyName]) -> Option<(Cow<'_, Policy>, PolicyName)> {
        let name = self.name(names)?;
        let mut policies = names.iter().filter_map(|name| self.known.get(name));
        let first = Cow::Borrowed(policies.next()?);
        let met = policies.fold(first, |met, policy| Cow::Owned(met.meet(policy)));
        Some((met, name))
    }

    fn name(&self, names: &[PolicyName]) -> Option<PolicyName> {
        let version = names.iter().map(|(version, _)| *version).max()?;
        let digests: Vec<Sha256Digest> = names.iter().map(|(_, digest)| *digest).collect();
        Some((version, parent_of(&digests)?))
    }

    /// The policies up to that version that no other one up to it replaces.
    fn heads_until(&self, last: PolicyVersion) -> Vec<PolicyName> {
        let mut replaced: BTreeSet<PolicyName> = BTreeSet::new();
        for (name, policy) in self.known.range(..=(last, Sha256Digest::from_bytes([0xff; 32]))) {
            let earlier: Vec<PolicyName> = self.known.keys().take_while(|other| other.0 < name.0).copied().collect();
            match policy.parent {
                // The first one, or a new beginning.
                None => replaced.extend(earlier),
                Some(parent) => {
                    let standing: Vec<PolicyName> =
                        earlier.iter().filter(|other| !replaced.contains(*other)).copied().collect();
                    let sole = earlier.iter().find(|(_, digest)| *digest == parent).map(|sole| vec![*sole]);
                    let several =
                        || subsets(&standing).find(|set| self.name(set).is_some_and(|(_, digest)| digest == parent));
                    replaced.extend(sole.or_else(several).unwrap_or_default());
                }
            }
        }
        let names = self.known.keys().filter(|name| name.0 <= last && !replaced.contains(*name));
        names.copied().collect()
    }
}

/// Every choice of two or more.
fn subsets(names: &[PolicyName]) -> impl Iterator<Item = Vec<PolicyName>> + use<> {
    let names: Vec<PolicyName> = names.iter().rev().take(CONCURRENT_MAX).copied().collect();
    (0..1_u32 << names.len()).filter(|chosen| chosen.count_ones() > 1).map(move |chosen| {
        let bit = |at: usize| chosen >> at & 1 == 1;
        names.iter().enumerate().filter(|(at, _)| bit(*at)).map(|(_, name)| *name).collect()
    })
}

#[cfg(test)]
#[path = "policies_tests.rs"]
mod tests;
