//! The replicas of a group by the placements that count, and what they allow.
//!
//! Placements overlap. From the moment at which a node knows placement n+1 until the retirement of n is certified, the
//! holders of both count: a write is durable with a quorum in each, and both are read. A retirement permits and never forces:
//! a replica drops a group only when a quorum of its holders said that they have, durably, everything that this one has.

use crate::defect::{Defect, Defects, Sound};
use crate::id::PlacementEpoch;
use crate::session_id::GroupId;
use hedgerow_attest::id::NodeId;
use std::time::Duration;
use thiserror::Error;

/// The replicas of one placement group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSet {
    /// The group.
    pub group: GroupId,
    /// The placement from which this follows.
    pub epoch: PlacementEpoch,
    /// The nodes that hold it, home first. There may be fewer than the class asks for, and fewer than `write_quorum`:
    /// then no write can reach it, which has to be said and not hidden.
    pub nodes: Vec<NodeId>,
    /// The holders by former placements that still count, oldest first, where they are others than those of today: a write
    /// needs its quorum among them too, and they are asked for what is missing.
    pub formers: Vec<Vec<NodeId>>,
    /// Whether every placement before this one is retired. Only then may a node that is in no set drop what it holds.
    pub is_settled: bool,
    /// Nodes on which a write must be durable.
    pub write_quorum: u8,
    /// Time after its last write at which a session may be forgotten, if ever.
    pub ttl: Option<Duration>,
}

/// Why a replica keeps a group that it might drop one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Retained {
    /// It holds it by the current placement.
    #[error("drop a group that the current placement gives to this node")]
    Current,
    /// A placement before the current one still counts, whether or not this node knows who held the group by it.
    #[error("drop a group before placement {0} is retired")]
    NotRetired(PlacementEpoch),
    /// Too few holders have what it has.
    #[error("drop a group of which {by} of {wanted} holders have everything")]
    Unacknowledged {
        /// Holders by the current placement that said so.
        by: usize,
        /// The quorum.
        wanted: u8,
    },
}

impl ReplicaSet {
    /// All that hold the group by a placement that counts, those of today first.
    #[must_use]
    pub fn holders(&self) -> Vec<NodeId> {
        let mut holders = self.nodes.clone();
        for node in self.formers.iter().rev().flatten() {
            if !holders.contains(node) {
                holders.push(*node);
            }
        }
        holders
    }

    /// Whether the node holds the group by a placement that counts.
    #[must_use]
    pub fn counts(&self, node: &NodeId) -> bool {
        self.formers.iter().chain([&self.nodes]).any(|set| set.contains(node))
    }

    /// On how many nodes a write counts as durable that these have: in each set as many as have it there, and the fewest of
    /// these. All of a former set are enough, however few they are: its own rule may have asked for no more.
    #[must_use]
    pub fn reached(&self, has: impl Fn(&NodeId) -> bool) -> u8 {
        let among = |set: &Vec<NodeId>| set.iter().filter(|node| has(node)).count();
        let incomplete = self.formers.iter().map(|set| (among(set), set.len())).filter(|(durable, all)| durable < all);
        let fewest = incomplete.map(|(durable, _)| durable).chain([among(&self.nodes)]).min().unwrap_or_default();
        u8::try_from(fewest).unwrap_or(u8::MAX)
    }

    /// Whether so many answers as these give miss nothing that was done: in each set they leave out fewer than a quorum.
    #[must_use]
    pub fn covers(&self, answers: impl Fn(&NodeId) -> bool) -> bool {
        self.covers_with(Sound, answers)
    }

    /// The same without one of the rules.
    #[must_use]
    pub fn covers_with<D: Defects>(&self, defects: D, answers: impl Fn(&NodeId) -> bool) -> bool {
        let quorum = usize::from(self.write_quorum);
        let silent = |set: &Vec<NodeId>| set.iter().filter(|node| !answers(node)).count();
        let formers = if defects.has(Defect::TransitionReadsNewOnly) { &[][..] } else { &self.formers };
        formers.iter().chain([&self.nodes]).all(|set| silent(set) < quorum.min(set.len()))
    }

    /// Whether a quorum of the holders of today has everything.
    ///
    /// # Errors
    /// [`Retained::Unacknowledged`].
    pub fn has_quorum(&self, has: impl Fn(&NodeId) -> bool) -> Result<(), Retained> {
        let by = self.nodes.iter().filter(|node| has(node)).count();
        let wanted = self.write_quorum;
        if by < usize::from(wanted) { Err(Retained::Unacknowledged { by, wanted }) } else { Ok(()) }
    }

    /// Whether a node may drop the group, of which these nodes have, durably, all that it has.
    ///
    /// # Errors
    /// [`Retained`] while it may not. Dropping is never due: what is kept too long costs room.
    pub fn may_drop(&self, me: &NodeId, has: impl Fn(&NodeId) -> bool) -> Result<(), Retained> {
        self.may_drop_with(Sound, me, has)
    }

    /// The same without one of the rules.
    ///
    /// # Errors
    /// [`Retained`] while it may not.
    pub fn may_drop_with<D: Defects>(
        &self,
        defects: D,
        me: &NodeId,
        has: impl Fn(&NodeId) -> bool,
    ) -> Result<(), Retained> {
        if self.nodes.contains(me) {
            return Err(Retained::Current);
        }
        if !self.is_settled {
            return Err(Retained::NotRetired(PlacementEpoch(self.epoch.0.saturating_sub(1))));
        }
        if defects.has(Defect::RetireForces) {
            return Ok(());
        }
        self.has_quorum(has)
    }
}

/// Whether two sets of holders are of the same nodes, whoever is home.
pub(crate) fn same_nodes(one: &[NodeId], other: &[NodeId]) -> bool {
    one.len() == other.len() && one.iter().all(|node| other.contains(node))
}

#[cfg(test)]
#[path = "replica_set_tests.rs"]
mod tests;
