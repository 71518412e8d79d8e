//! What a fact is about, and which of two facts about it holds.

use crate::id::{ConfigEpoch, Generation, PlacementEpoch, PolicyVersion};
use crate::name::ModelName;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use serde::{Deserialize, Serialize};

/// What a fact is about: a node keeps one fact per key. The order of those up to the rollup is that of dependence: a fact can
/// be verified once the facts before it are known. [`super::VerifiedFact::turn`] has the order of all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FactKey {
    /// The certificate of a member.
    Member(NodeId),
    /// The birth of a cell.
    Genesis(CellId),
    /// One voter set of a cell.
    Configuration(CellId, ConfigEpoch),
    /// The first rules for data, and later ones that begin anew.
    Policy(PolicyVersion),
    /// What a node says about itself.
    Record(NodeId),
    /// That a node did not answer.
    Accusation(NodeId),
    /// The deployment of a model.
    Deployment(ModelName),
    /// One placement of a cell. Those that are not retired all count.
    Placement(CellId, PlacementEpoch),
    /// The state of a cell.
    Rollup(CellId),
    /// A policy that names the ones it replaces. Two operators may give two of them one version, and both count.
    PolicyChild(PolicyVersion, Sha256Digest),
    /// The shares of node classes.
    NodeClasses,
    /// The retirement of placements of a cell.
    Retirement(CellId),
    /// The last slot of a cell's register.
    End(CellId),
    /// That the first cell takes in the second.
    Absorb(CellId, CellId),
    /// That a cell goes on in that generation.
    Recovery(CellId, Generation),
    /// That a node is out for good, by the operators.
    Revocation(NodeId),
    /// That the first node is out for good, by the issuer that the second one is.
    Withdrawal(NodeId, NodeId),
}

/// Which of two facts with one key holds: the one with the higher version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FactVersion {
    /// What its author counts first: incarnation, term, generation, version.
    pub major: u64,
    /// What its author counts next: sequence number, window, slot.
    pub minor: u64,
    /// Bits of a digest, so that all nodes choose alike between two facts that their author should not have signed both.
    pub tie: u64,
}

impl FactKey {
    /// The hash by which digests name the key. Nodes and cells are named by digests already, so that eight bytes of the name
    /// and the kind of the key are hash enough: a summary is compared every few seconds, and records are looked up all the
    /// time. Keys of other kinds are hashed.
    #[must_use]
    pub fn hash(&self) -> u64 {
        match self {
            Self::Member(node) => of_kind(0, node.as_bytes()),
            Self::Genesis(cell) => of_kind(1, cell.as_bytes()),
            Self::Record(node) => of_kind(4, node.as_bytes()),
            Self::Accusation(node) => of_kind(5, node.as_bytes()),
            Self::Rollup(cell) => of_kind(8, cell.as_bytes()),
            Self::Retirement(cell) => of_kind(11, cell.as_bytes()),
            Self::End(cell) => of_kind(12, cell.as_bytes()),
            Self::Configuration(..)
            | Self::Placement(..)
            | Self::Policy(_)
            | Self::PolicyChild(..)
            | Self::Deployment(_)
            | Self::Absorb(..)
            | Self::Recovery(..)
            | Self::Revocation(_)
            | Self::Withdrawal(..)
            | Self::NodeClasses => hash64(&self.to_bytes()),
        }
    }

    /// The member of which it is the certificate, the record, or the charge.
    #[must_use]
    pub fn member(&self) -> Option<&NodeId> {
        match self {
            Self::Member(node) | Self::Record(node) | Self::Accusation(node) => Some(node),
            Self::Genesis(_)
            | Self::Configuration(..)
            | Self::Policy(_)
            | Self::PolicyChild(..)
            | Self::Deployment(_)
            | Self::NodeClasses
            | Self::Placement(..)
            | Self::Retirement(_)
            | Self::End(_)
            | Self::Absorb(..)
            | Self::Recovery(..)
            | Self::Revocation(_)
            | Self::Withdrawal(..)
            | Self::Rollup(_) => None,
        }
    }

    /// The cell of which it is the genesis, a voter set, a recovery, or the end.
    #[must_use]
    pub fn chartered(&self) -> Option<&CellId> {
        match self {
            Self::Genesis(cell) | Self::Configuration(cell, _) | Self::Recovery(cell, _) | Self::End(cell) => {
                Some(cell)
            }
            Self::Member(_)
            | Self::Policy(_)
            | Self::PolicyChild(..)
            | Self::Record(_)
            | Self::Accusation(_)
            | Self::Deployment(_)
            | Self::NodeClasses
            | Self::Placement(..)
            | Self::Retirement(_)
            | Self::Absorb(..)
            | Self::Revocation(_)
            | Self::Withdrawal(..)
            | Self::Rollup(_) => None,
        }
    }

    /// Whether signatures of other facts are checked against such a fact.
    #[must_use]
    pub fn is_checked_against(&self) -> bool {
        matches!(self, Self::Member(_)) || self.is_revocation() || self.chartered().is_some()
    }

    /// Whether such a fact puts a node out.
    #[must_use]
    pub fn is_revocation(&self) -> bool {
        matches!(self, Self::Revocation(_) | Self::Withdrawal(..))
    }

    /// The key as stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("postcard writes every key into memory")
    }
}

/// Odd, and far from any pattern: 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4).
const KIND_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn of_kind(kind: u64, name: &[u8; 32]) -> u64 {
    let first = name.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
    first ^ KIND_STEP.wrapping_mul(kind + 1)
}

/// The first 64 bits of a blake3 digest.
pub(crate) fn hash64(bytes: &[u8]) -> u64 {
    let digest = blake3::hash(bytes);
    digest.as_bytes().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_depend_on_comes_first() {
        let (node, cell) = (NodeId::from_bytes([9; 32]), CellId::from_bytes([1; 32]));
        let mut keys = [
            FactKey::Rollup(cell),
            FactKey::Placement(cell, PlacementEpoch(1)),
            FactKey::Record(node),
            FactKey::Configuration(cell, ConfigEpoch(2)),
            FactKey::Genesis(cell),
            FactKey::Member(node),
        ];
        keys.sort();
        assert_eq!(keys.first(), Some(&FactKey::Member(node)));
        assert_eq!(keys.last(), Some(&FactKey::Rollup(cell)));
    }

    #[test]
    fn the_hashes_of_keys_are_frozen_and_differ_by_kind() {
        let (node, cell) = (NodeId::from_bytes([0xab; 32]), CellId::from_bytes([0xab; 32]));
        let keys = [
            FactKey::Member(node),
            FactKey::Genesis(cell),
            FactKey::Configuration(cell, ConfigEpoch(2)),
            FactKey::Policy(PolicyVersion(1)),
            FactKey::Record(node),
            FactKey::Accusation(node),
            FactKey::Deployment(ModelName::new("digits").unwrap()),
            FactKey::Placement(cell, PlacementEpoch(3)),
            FactKey::Rollup(cell),
            FactKey::PolicyChild(PolicyVersion(2), Sha256Digest::from_bytes([0xab; 32])),
            FactKey::NodeClasses,
            FactKey::Retirement(cell),
            FactKey::End(cell),
            FactKey::Absorb(cell, cell),
            FactKey::Recovery(cell, Generation(1)),
            FactKey::Revocation(node),
            FactKey::Withdrawal(node, node),
        ];
        assert_eq!(keys.map(|key| format!("{:016x}", key.hash())), FROZEN);
    }

    const FROZEN: [&str; 17] = [
        "359cd212d4e1d7be",
        "97c558d9553f5381",
        "0a763fb75016d450",
        "07ebe7a47eaab849",
        "bcbecb34d7dfc7c2",
        "1ee771f3501543d5",
        "63968f2fc9a29583",
        "ec9dfdfca18e844b",
        "2458ec2ed235f716",
        "94edb554dd07831d",
        "295192ea1ec8566d",
        "c1321f1a5cd67b57",
        "a37a85c0dd63e6ba",
        "e65ad83f48960ab3",
        "ade82ef260c6f1bd",
        "3bba70bc0882b33d",
        "c4353de01b704bdf",
    ];
}
