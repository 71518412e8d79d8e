//! What a slot of the register holds, and how a voter says that it accepted it.

use super::configuration::Configuration;
use super::succession::{Absorb, Inherited, MergeInto, Split, Takeover};
use crate::id::{Generation, PlacementEpoch, Slot, Term};
use crate::placement::PlacementTable;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};

/// The value of one slot. It names no term: proposed again by a later holder it is the same value with the same digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Value {
    /// The cell whose register it is.
    pub cell: CellId,
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The place in the register.
    pub slot: Slot,
    /// The digest of the value in the slot before, which ties the register into one chain.
    pub previous: Sha256Digest,
    /// What is decided.
    pub content: Content,
}

/// What a slot can decide. Later releases append variants; a node that meets one it does not know refuses the value as
/// malformed and neither accepts nor adopts it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Content {
    /// Another voter set, in force from the next slot on.
    Configuration(Configuration),
    /// Another placement of groups and models.
    Placement(PlacementTable),
    /// That placement and all before it no longer count: a replica by one of them may drop a group once a quorum of its
    /// present holders have, durably, all that it has. It permits and never forces.
    Retirement(PlacementEpoch),
    /// Two cells take the place of this one, whose register ends with it.
    Split(Split),
    /// This cell takes in another.
    Absorb(Absorb),
    /// Another takes in this one, whose register ends with it.
    MergeInto(MergeInto),
    /// Another placement, which also places what lived in cells that ended.
    Takeover(Takeover),
}

/// The end of the chain as one node knows it: the last slot that is certified, and the digest of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The last certified slot; 0 is the genesis.
    pub slot: Slot,
    /// The digest of its value; for slot 0 that of the genesis' payload, which is the cell id.
    pub digest: Sha256Digest,
}

/// A place in the registers of all generations of a cell: every slot of a later one comes after those of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Point {
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The slot.
    pub slot: Slot,
}

/// The signed statement of one voter that it accepted a value under a term. A quorum of them over one value and one term
/// is the certificate of the slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acceptance {
    /// The cell.
    pub cell: CellId,
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The slot.
    pub slot: Slot,
    /// The digest of the accepted value.
    pub value: Sha256Digest,
    /// The term under which it was proposed to this voter.
    pub term: Term,
    /// The voter, who signs.
    pub voter: NodeId,
}

impl Domain for Acceptance {
    const DOMAIN: &'static str = "hedgerow/acceptance/1";
    const PAYLOAD_MAX: usize = 160;
}

impl Content {
    /// The voter set that it puts in force.
    #[must_use]
    pub fn next_voters(&self) -> Option<&Configuration> {
        match self {
            Self::Configuration(next) => Some(next),
            Self::Placement(_)
            | Self::Takeover(_)
            | Self::Retirement(_)
            | Self::Split(_)
            | Self::Absorb(_)
            | Self::MergeInto(_) => None,
        }
    }

    /// The table of a placement.
    #[must_use]
    pub fn table(&self) -> Option<&PlacementTable> {
        match self {
            Self::Placement(table) | Self::Takeover(Takeover { table, .. }) => Some(table),
            Self::Configuration(_) | Self::Retirement(_) | Self::Split(_) | Self::Absorb(_) | Self::MergeInto(_) => {
                None
            }
        }
    }

    /// The cells that ended and whose groups its table places.
    #[must_use]
    pub fn inherits(&self) -> &[Inherited] {
        match self {
            Self::Takeover(takeover) => &takeover.inherits,
            Self::Configuration(_)
            | Self::Placement(_)
            | Self::Retirement(_)
            | Self::Split(_)
            | Self::Absorb(_)
            | Self::MergeInto(_) => &[],
        }
    }

    /// The placement that it retires, with all before it.
    #[must_use]
    pub fn retires(&self) -> Option<PlacementEpoch> {
        match self {
            Self::Retirement(epoch) => Some(*epoch),
            Self::Configuration(_)
            | Self::Placement(_)
            | Self::Takeover(_)
            | Self::Split(_)
            | Self::Absorb(_)
            | Self::MergeInto(_) => None,
        }
    }
}

impl Value {
    /// The name of the value: sha-256 of its postcard encoding.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&postcard::to_stdvec(self).expect("postcard writes every value into memory"))
    }

    /// Where it stands in the register.
    #[must_use]
    pub const fn point(&self) -> Point {
        Point { generation: self.generation, slot: self.slot }
    }

    /// The head of a register whose last slot is this.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { generation: self.generation, slot: self.slot, digest: self.digest() }
    }
}

impl Head {
    /// The head of a cell's register before anything was decided.
    #[must_use]
    pub fn genesis(cell: CellId) -> Self {
        Self { generation: Generation(0), slot: Slot(0), digest: Sha256Digest::from_bytes(*cell.as_bytes()) }
    }

    /// Its place.
    #[must_use]
    pub const fn point(&self) -> Point {
        Point { generation: self.generation, slot: self.slot }
    }

    /// The place that comes next.
    #[must_use]
    pub const fn next(&self) -> Point {
        Point { generation: self.generation, slot: self.slot.next() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConfigEpoch;

    #[test]
    fn the_digest_of_a_value_is_frozen() {
        let cell = CellId::from_bytes([1; 32]);
        let content = Content::Configuration(Configuration { epoch: ConfigEpoch(2), voters: vec![], quorum: 1 });
        let head = Head::genesis(cell);
        let value = Value { cell, generation: Generation(0), slot: Slot(1), previous: head.digest, content };
        let bytes = postcard::to_stdvec(&value).unwrap();
        let expected = [vec![1; 32], vec![0, 1], vec![1; 32], vec![0, 2, 0, 1]].concat();
        assert_eq!(bytes, expected);
        assert_eq!(value.digest(), Sha256Digest::of(&expected));
        let retirement = Value { content: Content::Retirement(PlacementEpoch(5)), ..value };
        let bytes = postcard::to_stdvec(&retirement).unwrap();
        assert_eq!(bytes, [vec![1; 32], vec![0, 1], vec![1; 32], vec![2, 5]].concat());
        assert_eq!(value.head(), Head { generation: Generation(0), slot: Slot(1), digest: value.digest() });
    }
}
