//! What a fact is about, and which of two facts about it holds.

use crate::id::{ConfigEpoch, PolicyVersion};
use crate::name::ModelName;
use hedgerow_attest::id::{CellId, NodeId};
use serde::{Deserialize, Serialize};

/// What a fact is about: a node keeps one fact per key. The order is that of dependence: a fact can be verified once the
/// facts before it are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FactKey {
    /// The certificate of a member.
    Member(NodeId),
    /// The birth of a cell.
    Genesis(CellId),
    /// One voter set of a cell.
    Configuration(CellId, ConfigEpoch),
    /// One version of the rules for data.
    Policy(PolicyVersion),
    /// What a node says about itself.
    Record(NodeId),
    /// That a node did not answer.
    Accusation(NodeId),
    /// The deployment of a model.
    Deployment(ModelName),
    /// The placement of a cell.
    Placement(CellId),
    /// The state of a cell.
    Rollup(CellId),
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
    /// The hash by which digests name the key.
    #[must_use]
    pub fn hash(&self) -> u64 {
        hash64(&postcard::to_stdvec(self).expect("postcard writes every key into memory"))
    }

    /// The key as stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("postcard writes every key into memory")
    }
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
            FactKey::Placement(cell),
            FactKey::Record(node),
            FactKey::Configuration(cell, ConfigEpoch(2)),
            FactKey::Genesis(cell),
            FactKey::Member(node),
        ];
        keys.sort();
        assert_eq!(keys.first(), Some(&FactKey::Member(node)));
        assert_eq!(keys.last(), Some(&FactKey::Rollup(cell)));
        assert_ne!(FactKey::Member(node).hash(), FactKey::Record(node).hash());
    }
}
