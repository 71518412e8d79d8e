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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Configuration {
    /// Numbers the voter sets of a cell; the genesis is 1.
    pub epoch: ConfigEpoch,
    /// The voters, by node, each once.
    #[serde(deserialize_with = "bounded_vec::<_, _, VOTERS_MAX>")]
    pub voters: Vec<Voter>,
    /// Votes that decide: more than half of the voters, or more where operators do not trust each other.
    pub quorum: u8,
}

/// How many voters have to be honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// One operator runs them all: they fail, and do not lie. More than half decide.
    #[default]
    Shared,
    /// Operators do not trust each other: of `n` voters `f = (n - 1) / 3` may lie, and any two quorums of `(n + f) / 2 + 1`
    /// share a voter that does not (Malkhi, Reiter: "Byzantine quorum systems", Distributed Computing 11, 1998, section 4).
    Divided,
}

impl Trust {
    /// Votes that decide among so many voters: 2 of 3, 3 of 4 and of 5 where trust is shared; 4 of 5 and 5 of 7 where not.
    #[must_use]
    pub const fn quorum(self, voters: usize) -> usize {
        match self {
            Self::Shared => voters / 2 + 1,
            Self::Divided => (voters + voters.saturating_sub(1) / 3) / 2 + 1,
        }
    }

    /// Voters that a cell of so many members should have. Fewer than three would survive no loss, two not even that of
    /// the vote of one.
    #[must_use]
    pub const fn voters(self, members: usize) -> usize {
        match members {
            0..3 => 1,
            3..5 => 3,
            5..7 => 5,
            _ => match self {
                Self::Shared => 5,
                Self::Divided => 7,
            },
        }
    }
}

/// A voter and the key with which it signs. A voter that changes its key changes the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voter {
    /// The node.
    pub node: NodeId,
    /// Its statement key.
    pub key: PublicKey,
}

impl Configuration {
    /// The configuration in which each of these voters counts once and more than half decide.
    #[must_use]
    pub fn majority(epoch: ConfigEpoch, voters: Vec<Voter>) -> Self {
        Self::trusting(Trust::Shared, epoch, voters)
    }

    /// The configuration in which each of these voters counts once and as many decide as that trust asks for.
    #[must_use]
    pub fn trusting(trust: Trust, epoch: ConfigEpoch, mut voters: Vec<Voter>) -> Self {
        voters.sort_unstable();
        voters.dedup_by_key(|voter| voter.node);
        voters.truncate(VOTERS_MAX);
        let quorum = u8::try_from(trust.quorum(voters.len())).expect("at most seven voters");
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

    /// Whether every quorum of this set meets every quorum of the other.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let all: BTreeSet<NodeId> = self.voters.iter().chain(&other.voters).map(|voter| voter.node).collect();
        usize::from(self.quorum) + usize::from(other.quorum) > all.len()
    }

    /// Whether `next` may follow this one: a voter added, removed or given another key, so that quorums of the two meet,
    /// or the step from one voter to three (two would survive no loss), which the sole voter decides with one of the others.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        if !next.is_well_formed() || next.epoch != self.epoch.next() {
            return false;
        }
        let added = next.voters.iter().filter(|voter| !self.voters.contains(voter)).count();
        let removed = self.voters.iter().filter(|voter| !next.voters.contains(voter)).count();
        let rekeyed = added == 1 && removed == 1 && self.voters.iter().all(|voter| next.has(&voter.node));
        let birth = self.voters.len() == 1 && removed == 0 && added == 2;
        birth || ((rekeyed || added + removed == 1) && self.meets(next))
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

    #[test]
    fn quorums_of_sets_that_follow_each_other_meet() {
        let nodes = [1, 2, 3, 4, 5, 6, 7];
        for trust in [Trust::Shared, Trust::Divided] {
            let first = |epoch, count: usize| {
                let voters = nodes[..count].iter().map(|&n| voter(n)).collect();
                Configuration::trusting(trust, ConfigEpoch(epoch), voters)
            };
            for count in 1..7 {
                assert!(first(1, count).meets(&first(2, count + 1)), "{trust:?} {count}");
                assert!(first(1, count).may_become(&first(2, count + 1)), "{trust:?} {count}");
                assert!(first(1, count + 1).may_become(&first(2, count)), "{trust:?} {count}");
            }
        }
        let apart =
            Configuration { quorum: 2, ..Configuration::majority(ConfigEpoch(2), vec![voter(1), voter(4), voter(5)]) };
        assert!(!set(1, &[1, 2, 3]).meets(&apart));
        assert_eq!([3, 5, 7].map(|count| Trust::Shared.quorum(count)), [2, 3, 4]);
        assert_eq!([1, 2, 3, 4, 5, 6, 7].map(|count| Trust::Divided.quorum(count)), [1, 2, 2, 3, 4, 4, 5]);
        assert_eq!([1, 2, 3, 4, 5, 9].map(|count| Trust::Shared.voters(count)), [1, 1, 3, 3, 5, 5]);
        assert_eq!([2, 4, 6, 7].map(|count| Trust::Divided.voters(count)), [1, 3, 5, 7]);
    }
}
