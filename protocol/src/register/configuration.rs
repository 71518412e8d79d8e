//! Who votes in a cell.

use crate::id::ConfigEpoch;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Voters that a cell may have.
pub const VOTERS_MAX: usize = 7;

/// One voter set of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Numbers the voter sets of a cell; the genesis is 1.
    pub epoch: ConfigEpoch,
    /// The voters, by node, each once.
    #[serde(deserialize_with = "bounded_vec::<_, _, VOTERS_MAX>")]
    pub voters: Vec<Voter>,
    /// Votes that decide: more than half of the voters, or more where operators do not trust each other.
    pub quorum: u8,
}

/// A voter and the key with which it signs. A voter that changes its key changes the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Voter {
    /// The node.
    pub node: NodeId,
    /// Its statement key.
    pub key: PublicKey,
}

impl Configuration {
    /// The configuration in which each of these voters counts once and more than half decide.
    #[must_use]
    pub fn majority(epoch: ConfigEpoch, mut voters: Vec<Voter>) -> Self {
        voters.sort_unstable();
        voters.dedup_by_key(|voter| voter.node);
        voters.truncate(VOTERS_MAX);
        let quorum = u8::try_from(voters.len() / 2 + 1).expect("at most seven voters");
        Self { epoch, voters, quorum }
    }

    /// Whether the node votes.
    #[must_use]
    pub fn has(&self, node: &NodeId) -> bool {
        self.key_of(node).is_some()
    }

    /// The key with which that voter signs.
    #[must_use]
    pub fn key_of(&self, node: &NodeId) -> Option<PublicKey> {
        self.voters.iter().find(|voter| &voter.node == node).map(|voter| voter.key)
    }

    /// Whether so many of these nodes vote here that they decide.
    #[must_use]
    pub fn is_quorum(&self, nodes: &BTreeSet<NodeId>) -> bool {
        let votes = self.voters.iter().filter(|voter| nodes.contains(&voter.node)).count();
        votes >= usize::from(self.quorum)
    }

    /// Whether any two quorums meet and the voters are sorted and distinct.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let count = self.voters.len();
        let quorum = usize::from(self.quorum);
        let sorted = self.voters.is_sorted_by(|a, b| a.node < b.node);
        sorted && (1..=VOTERS_MAX).contains(&count) && quorum <= count && quorum * 2 > count
    }

    /// Whether `next` may follow this one: a voter added, removed or given another key, or the step from one voter to
    /// three (two would survive no loss).
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        if !next.is_well_formed() || next.epoch != self.epoch.next() {
            return false;
        }
        let added = next.voters.iter().filter(|voter| !self.voters.contains(voter)).count();
        let removed = self.voters.iter().filter(|voter| !next.voters.contains(voter)).count();
        let rekeyed = added == 1 && removed == 1 && self.voters.iter().all(|voter| next.has(&voter.node));
        let birth = self.voters.len() == 1 && removed == 0 && added == 2;
        birth || rekeyed || added + removed == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hedgerow_attest::key::SecretKey;

    fn voter(n: u8) -> Voter {
        Voter { node: NodeId::from_bytes([n; 32]), key: SecretKey::from_seed([n; 32]).public() }
    }

    fn set(epoch: u64, voters: &[u8]) -> Configuration {
        Configuration::majority(ConfigEpoch(epoch), voters.iter().map(|&n| voter(n)).collect())
    }

    #[test]
    fn more_than_half_decide_and_strangers_do_not_count() {
        let three = set(2, &[1, 2, 3]);
        let nodes = |ids: &[u8]| ids.iter().map(|&n| NodeId::from_bytes([n; 32])).collect::<BTreeSet<_>>();
        assert_eq!(three.quorum, 2);
        assert!(three.is_quorum(&nodes(&[1, 3])));
        assert!(!three.is_quorum(&nodes(&[1, 8, 9])));
        assert!(!Configuration { quorum: 1, ..three.clone() }.is_well_formed());
        assert!(Configuration { quorum: 3, ..three }.is_well_formed());
    }

    #[test]
    fn voters_change_one_at_a_time_but_for_the_step_to_three() {
        let one = set(1, &[1]);
        assert!(one.may_become(&set(2, &[1, 2, 3])));
        assert!(one.may_become(&set(2, &[1, 2])));
        assert!(!one.may_become(&set(3, &[1, 2, 3])));
        assert!(!one.may_become(&set(2, &[2, 3, 4])));
        let three = set(2, &[1, 2, 3]);
        assert!(three.may_become(&set(3, &[1, 2, 3, 4])));
        assert!(three.may_become(&set(3, &[1, 2])));
        assert!(!three.may_become(&set(3, &[1, 2, 4])));
        assert!(!three.may_become(&set(3, &[1, 2, 3, 4, 5])));
        let mut rekeyed = set(3, &[1, 2, 3]);
        rekeyed.voters[0].key = voter(9).key;
        assert!(three.may_become(&rekeyed));
    }
}
