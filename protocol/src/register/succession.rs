//! How a cell ends: two take its place, or another takes it in. See `docs/rfd/0005-split-and-merge.md`.

use super::configuration::Configuration;
use super::decision::VerifiedDecision;
use super::value::{Content, Value};
use crate::fact::hash64;
use crate::id::{ConfigEpoch, PlacementEpoch};
use crate::name::ClassName;
use crate::placement::PlacementTable;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use serde::{Deserialize, Serialize};

/// Members that a split names for one of the two cells; others fall to either by the hash of their name.
pub const HALF_MEMBERS_MAX: usize = 512;

/// Ended cells that a table names at most. Of more those that were named first are left out: their placements count as retired.
pub const INHERITED_MAX: usize = 64;

/// Hashed before the digest of a split's value, so that the digest of a child means nothing elsewhere.
const CHILD_CONTEXT: &[u8] = b"hedgerow/child-cell/1\0";

/// The last slot of a cell that grew too large.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Split {
    /// The cells that take its place.
    pub halves: [Half; 2],
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Half {
    /// Its first voters, of epoch 1.
    pub voters: Configuration,
    /// Its members, in ascending order.
    #[serde(deserialize_with = "bounded_vec::<_, _, HALF_MEMBERS_MAX>")]
    pub members: Vec<NodeId>,
}

/// A cell takes in another, which must then end by [`MergeInto`]. The one with the lower id takes in: no two cells ever end
/// in each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Absorb {
    /// The other cell.
    pub source: CellId,
}

/// The last slot of a cell that another takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MergeInto {
    /// The cell to which its members belong from here on.
    pub target: CellId,
    /// The digest of the value by which that one took it in.
    pub absorbed: Sha256Digest,
}

/// A placement of a cell to which others led. Its row for a class and a prefix is that of the groups of this class and prefix
/// of every birth cell that it names, so that it is no larger than one of a cell to which none did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Takeover {
    /// The table.
    pub table: PlacementTable,
    /// Those cells, in ascending order.
    #[serde(deserialize_with = "bounded_vec::<_, _, INHERITED_MAX>")]
    pub inherits: Vec<Inherited>,
}

/// A cell that ended and whose groups another places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Inherited {
    /// The ended cell.
    pub cell: CellId,
    /// The first placement that names it: what the ended cell placed counts until the one before that is retired.
    pub since: PlacementEpoch,
}

/// Where what belonged to a cell that ended belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession<'a> {
    /// With one of two.
    Split([CellId; 2], &'a Split),
    /// With another.
    Merged(CellId),
}

impl Split {
    /// Whether each half begins at epoch 1 with voters of its own members, and nobody is a member of both.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let [one, other] = &self.halves;
        let apart = one.members.iter().all(|node| other.members.binary_search(node).is_err());
        apart && self.halves.iter().all(Half::is_well_formed)
    }

    /// The half of a member: the one that names it, else the one that the hash of its name gives, so that whoever joins
    /// later has a place that all nodes agree on without asking it.
    #[must_use]
    pub fn half_of(&self, node: &NodeId, children: &[CellId; 2]) -> usize {
        let named = self.halves.iter().position(|half| half.members.binary_search(node).is_ok());
        named.unwrap_or_else(|| drawn(children, node.as_bytes()))
    }
}

impl Half {
    fn is_well_formed(&self) -> bool {
        let voters = &self.voters;
        voters.epoch == ConfigEpoch(1)
            && voters.is_well_formed()
            && self.members.is_sorted_by(|a, b| a < b)
            && voters.voters.iter().all(|voter| self.members.binary_search(&voter.node).is_ok())
    }
}

impl Takeover {
    fn is_well_formed(&self) -> bool {
        let in_time = |inherited: &Inherited| inherited.since <= self.table.epoch;
        let in_order = self.inherits.is_sorted_by(|a, b| a.cell < b.cell);
        !self.inherits.is_empty() && in_order && self.inherits.iter().all(in_time)
    }
}

impl Value {
    /// Whether nothing follows this value in its register.
    #[must_use]
    pub fn is_last(&self) -> bool {
        match &self.content {
            Content::Split(_) | Content::MergeInto(_) => true,
            Content::Configuration(_)
            | Content::Placement(_)
            | Content::Takeover(_)
            | Content::Retirement(_)
            | Content::Absorb(_) => false,
        }
    }

    /// Whether what it says of succession keeps the rules of form.
    pub(crate) fn succeeds_well(&self) -> bool {
        match &self.content {
            Content::Split(split) => split.is_well_formed(),
            Content::Absorb(absorb) => self.cell < absorb.source,
            Content::MergeInto(merge) => merge.target < self.cell,
            Content::Takeover(takeover) => takeover.is_well_formed(),
            Content::Configuration(_) | Content::Placement(_) | Content::Retirement(_) => true,
        }
    }
}

impl VerifiedDecision {
    /// What takes the place of the cell, where this is the last slot of its register.
    #[must_use]
    pub fn succession(&self) -> Option<Succession<'_>> {
        match &self.value.content {
            Content::Split(split) => Some(Succession::Split(*self.children()?, split)),
            Content::MergeInto(merge) => Some(Succession::Merged(merge.target)),
            Content::Configuration(_)
            | Content::Placement(_)
            | Content::Takeover(_)
            | Content::Retirement(_)
            | Content::Absorb(_) => None,
        }
    }
}

impl Succession<'_> {
    /// The cell to which a member belongs next.
    #[must_use]
    pub fn of_member(&self, node: &NodeId) -> CellId {
        match self {
            Self::Split([one, other], split) if split.half_of(node, &[*one, *other]) == 0 => *one,
            Self::Split([_, other], _) => *other,
            Self::Merged(target) => *target,
        }
    }

    /// Every cell that it names.
    pub fn cells(self) -> impl Iterator<Item = CellId> + use<> {
        let (first, second) = match self {
            Self::Split([one, other], _) => (one, Some(other)),
            Self::Merged(target) => (target, None),
        };
        [Some(first), second].into_iter().flatten()
    }
}

/// The ids of the cells that a split makes: of the digest of its value and their places in it.
pub(super) fn children_of(value: &Value, digest: &Sha256Digest) -> Option<[CellId; 2]> {
    let child = |place: u8| {
        let named = Sha256Digest::of(&[CHILD_CONTEXT, digest.as_bytes(), &[place]].concat());
        CellId::from_bytes(*named.as_bytes())
    };
    matches!(value.content, Content::Split(_)).then(|| [child(0), child(1)])
}

/// The cell of a split to which the groups of that class and prefix belong.
pub(crate) fn half_of_group(halves: &[CellId; 2], class: &ClassName, prefix: u8) -> CellId {
    let [one, other] = halves;
    let key = [class.as_str().as_bytes(), &[prefix]].concat();
    if drawn(halves, &key) == 0 { *one } else { *other }
}

/// One of two places, by a hash that differs from split to split.
fn drawn(children: &[CellId; 2], key: &[u8]) -> usize {
    let [one, other] = children;
    usize::from(hash64(&[one.as_bytes(), other.as_bytes(), key].concat()) >> 63 == 1)
}

#[cfg(test)]
#[path = "succession_tests.rs"]
mod tests;
