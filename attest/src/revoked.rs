//! Who is out of a mesh, by all revocations that are known.

use crate::id::NodeId;
use crate::member::Member;
use crate::revocation::{RevokedBy, VerifiedRevocation};
use std::collections::BTreeMap;

/// The nodes that are out, and what issuers among them issued that is void. Grows only; the order in which it learns makes no
/// difference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// By operators, with the lowest serial up to which what the node issued holds.
    by_operators: BTreeMap<NodeId, u64>,
    /// By issuers, with the lowest number of each one's withdrawals: it outlives the most revocations of the issuer.
    by_issuers: BTreeMap<NodeId, BTreeMap<NodeId, u64>>,
}

/// Why somebody is no member although the certificate verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcast {
    /// The node is out for good.
    Node,
    /// Its issuer is out, and issued the certificate after what still holds: the node needs one of another issuer.
    Certificate,
}

impl Revoked {
    /// Learns of a revocation. True when anything changed.
    pub fn insert(&mut self, revocation: &VerifiedRevocation) -> bool {
        let (lowest, key, number) = match revocation.by() {
            RevokedBy::Operators { holds_up_to } => (&mut self.by_operators, revocation.node(), holds_up_to),
            RevokedBy::Issuer { issuer, serial } => {
                (self.by_issuers.entry(revocation.node()).or_default(), issuer, serial)
            }
        };
        lower(lowest, key, number)
    }

    /// Whether [`Self::insert`] would change anything.
    #[must_use]
    pub fn is_news(&self, revocation: &VerifiedRevocation) -> bool {
        let (known, number) = match revocation.by() {
            RevokedBy::Operators { holds_up_to } => (self.by_operators.get(&revocation.node()), holds_up_to),
            RevokedBy::Issuer { issuer, serial } => {
                (self.by_issuers.get(&revocation.node()).and_then(|by| by.get(&issuer)), serial)
            }
        };
        known.is_none_or(|lowest| number < *lowest)
    }

    /// Learns all that another set knows. True when anything changed.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (node, holds_up_to) in &other.by_operators {
            changed |= lower(&mut self.by_operators, *node, *holds_up_to);
        }
        for (node, by) in &other.by_issuers {
            let known = self.by_issuers.entry(*node).or_default();
            for (issuer, number) in by {
                changed |= lower(known, *issuer, *number);
            }
        }
        changed
    }

    /// The highest number of an issuer's withdrawals that is known.
    #[must_use]
    pub fn withdrawn_up_to(&self, issuer: &NodeId) -> Option<u64> {
        self.by_issuers.values().filter_map(|by| by.get(issuer).copied()).max()
    }

    /// Whether a node is out for good.
    #[must_use]
    pub fn contains(&self, node: &NodeId) -> bool {
        let withdrawn = self.by_issuers.get(node).into_iter().flatten();
        self.by_operators.contains_key(node)
            || withdrawn.into_iter().any(|(issuer, number)| !self.voids(issuer, *number))
    }

    /// Whether what an issuer issued with that serial counts no more.
    #[must_use]
    pub fn voids(&self, issuer: &NodeId, serial: u64) -> bool {
        self.by_operators.get(issuer).is_some_and(|holds_up_to| serial > *holds_up_to)
    }

    /// Why a member is none, if so.
    #[must_use]
    pub fn judge(&self, member: &Member) -> Option<Outcast> {
        if self.contains(&member.node()) {
            Some(Outcast::Node)
        } else {
            self.voids(&member.issuer(), member.serial()).then_some(Outcast::Certificate)
        }
    }

    /// The nodes that are out, by id.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        let named = self.by_operators.keys().chain(self.by_issuers.keys());
        let mut nodes: Vec<NodeId> = named.copied().filter(|node| self.contains(node)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.into_iter()
    }
}

/// Keeps the lowest number. True when anything changed.
fn lower(numbers: &mut BTreeMap<NodeId, u64>, key: NodeId, number: u64) -> bool {
    let is_lower = numbers.get(&key).is_none_or(|lowest| number < *lowest);
    if is_lower {
        numbers.insert(key, number);
    }
    is_lower
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ISSUER, SampleMesh};
    use proptest::prelude::*;

    fn set(revocations: &[&VerifiedRevocation]) -> Revoked {
        let mut revoked = Revoked::default();
        for revocation in revocations {
            revoked.insert(revocation);
        }
        revoked
    }

    #[test]
    fn a_revoked_issuer_takes_with_it_what_it_issued_after_the_named_serial() {
        let mesh = SampleMesh::new(1);
        let (early, late) = (mesh.member_of(&mesh.keys(5), "eu", 7), mesh.member_of(&mesh.keys(6), "eu", 8));
        let issuer = mesh.revocation(ISSUER, 7);
        let revoked = set(&[&issuer]);
        assert_eq!(revoked.judge(&mesh.member(ISSUER, "eu")), Some(Outcast::Node));
        assert_eq!([&early, &late].map(|member| revoked.judge(member)), [None, Some(Outcast::Certificate)]);
        // Of two the one that leaves less standing counts.
        let narrower = set(&[&mesh.revocation(ISSUER, 6), &issuer]);
        assert_eq!(narrower.judge(&early), Some(Outcast::Certificate));

        let (before, after) = (mesh.withdrawal(9, 3, 7), mesh.withdrawal(9, 3, 8));
        let node = mesh.keys(9).chain.node();
        assert!(set(&[&after]).contains(&node));
        assert!(!set(&[&after, &issuer]).contains(&node), "what a stolen issuer withdrew counts no more");
        assert!(set(&[&after, &issuer, &before]).contains(&node));
        assert_eq!(set(&[&after, &issuer]).nodes().collect::<Vec<_>>(), [mesh.keys(ISSUER).chain.node()]);
        let mut revoked = Revoked::default();
        assert!(revoked.is_news(&issuer));
        assert_eq!([&issuer, &issuer].map(|revocation| revoked.insert(revocation)), [true, false]);
        assert!(!revoked.is_news(&issuer));
        let by = mesh.keys(ISSUER).chain.node();
        assert_eq!(set(&[&after, &before]).withdrawn_up_to(&by), Some(7), "the lowest of one node");
        assert_eq!(revoked.withdrawn_up_to(&by), None);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_makes_no_difference(
            mut picks in proptest::collection::vec((0_u32..4, 0_u64..6, any::<bool>()), 0..8),
            turn in any::<prop::sample::Index>(),
        ) {
            let mesh = SampleMesh::new(1);
            let made = |picks: &[(u32, u64, bool)]| {
                let revocation = |(node, number, by_operators): &(u32, u64, bool)| {
                    if *by_operators { mesh.revocation(*node, *number) } else { mesh.withdrawal(*node, 1, *number) }
                };
                set(&picks.iter().map(revocation).collect::<Vec<_>>().iter().collect::<Vec<_>>())
            };
            let before = made(&picks);
            if !picks.is_empty() {
                let turn = turn.index(picks.len());
                picks.rotate_left(turn);
            }
            picks.reverse();
            prop_assert_eq!(&made(&picks), &before);
            let (one, other) = picks.split_at(picks.len() / 2);
            let mut merged = made(one);
            let news = merged.merge(&made(other));
            prop_assert_eq!((news, &merged), (merged != made(one), &before));
            prop_assert!(!merged.merge(&before));
        }
    }
}
