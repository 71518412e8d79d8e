//! Which nodes hold a session, as far as one node knows.

use super::policy::DataClass;
use super::tenure::tenure;
use super::transition::{Retained, has_quorum, reached, same_nodes};
use crate::id::PlacementEpoch;
use crate::name::ClassName;
use crate::session_id::{GROUP_PREFIXES, GroupId, SessionId};
use crate::view::{MemberState, MeshView, PlacementView};
use hedgerow_attest::id::{CellId, NodeId};
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

    /// On how many nodes a write counts as durable that these have: the fewest in any set that counts.
    #[must_use]
    pub fn reached(&self, has: impl Fn(&NodeId) -> bool) -> u8 {
        reached(&self.nodes, self.formers.iter().map(Vec::as_slice), has)
    }

    /// Whether so many answers as these give miss nothing that was done: in each set they leave out fewer than a quorum.
    #[must_use]
    pub fn covers(&self, answers: impl Fn(&NodeId) -> bool) -> bool {
        let quorum = usize::from(self.write_quorum);
        let silent = |set: &Vec<NodeId>| set.iter().filter(|node| !answers(node)).count();
        self.formers.iter().chain([&self.nodes]).all(|set| silent(set) < quorum.min(set.len()))
    }

    /// Whether a quorum of the holders of today has everything.
    ///
    /// # Errors
    /// [`Retained::Unacknowledged`].
    pub fn has_quorum(&self, has: impl Fn(&NodeId) -> bool) -> Result<(), Retained> {
        has_quorum(&self.nodes, self.write_quorum, has)
    }

    /// Whether a node may drop the group, of which these nodes have, durably, all that it has; as [`Transition::may_drop`]
    /// for nodes that may not know every placement before this one.
    ///
    /// # Errors
    /// [`Retained`] while it may not.
    ///
    /// [`Transition::may_drop`]: super::Transition::may_drop
    pub fn may_drop(&self, me: &NodeId, has: impl Fn(&NodeId) -> bool) -> Result<(), Retained> {
        if self.nodes.contains(me) {
            return Err(Retained::Current);
        }
        if !self.is_settled {
            return Err(Retained::NotRetired(PlacementEpoch(self.epoch.0.saturating_sub(1))));
        }
        self.has_quorum(has)
    }
}

/// Why nobody holds a session, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// The cell of the session's birth is not known here: its genesis may still arrive.
    #[error("session of cell {0}, which is not known")]
    UnknownCell(CellId),
    /// The mesh has no policy yet: an operator has to sign one.
    #[error("session in a mesh without a policy")]
    NoPolicy,
    /// The policy has no such class: use one that it has, or have it added.
    #[error("session of class {0}, which the policy does not have")]
    UnknownClass(ClassName),
    /// The policy does not let data of that class be in the cell's region: create it in a cell of another one.
    #[error("session of class {0} in a region where the policy forbids it")]
    Forbidden(ClassName),
    /// The cell has not placed the class yet: its aggregator will, once it has one.
    #[error("session of class {0}, which its cell has not placed yet")]
    NotPlaced(ClassName),
}

/// The replicas of a session. Nodes in regions that the policy has since forbidden are not among them, whatever the table
/// says: tightening counts at once.
///
/// # Errors
/// [`PlacementError`].
pub fn replica_set(view: &MeshView, session: &SessionId) -> Result<ReplicaSet, PlacementError> {
    group_set(view, &session.group(GROUP_PREFIXES))
}

/// The replicas of a placement group, by the same rules.
///
/// # Errors
/// [`PlacementError`].
pub fn group_set(view: &MeshView, group: &GroupId) -> Result<ReplicaSet, PlacementError> {
    let class = class_rule(view, group)?;
    let not_placed = || PlacementError::NotPlaced(class.name.clone());
    let placement = placement_of(view, group).ok_or_else(not_placed)?;
    if !class.allows(&placement.region) {
        return Err(PlacementError::Forbidden(class.name.clone()));
    }
    let tenure = tenure(&view.lineage, &view.placements, group).ok_or_else(not_placed)?;
    // A node that has just started is not a member in its own view, and holds what it holds all the same.
    let region =
        |node: &NodeId| if *node == view.me { Some(&view.region) } else { Some(&view.members.get(node)?.region) };
    let allowed = |node: &&NodeId| region(node).is_some_and(|region| class.allows(region));
    let nodes: Vec<NodeId> = tenure.nodes.iter().filter(allowed).copied().collect();
    let mut formers: Vec<Vec<NodeId>> = Vec::new();
    for former in &tenure.formers {
        let set: Vec<NodeId> = former.nodes.iter().filter(allowed).copied().collect();
        if !set.is_empty() && !formers.iter().chain([&nodes]).any(|known| same_nodes(known, &set)) {
            formers.push(set);
        }
    }
    Ok(ReplicaSet {
        epoch: tenure.epoch,
        is_settled: tenure.is_settled,
        nodes,
        formers,
        write_quorum: class.write_quorum,
        ttl: (class.ttl_s > 0).then(|| Duration::from_secs(class.ttl_s)),
        group: group.clone(),
    })
}

/// The rule for the data of a group: what the policy in force and the one that its cell's placement keeps have in common. The
/// tighter ones of their rules count on receipt, the looser ones with the placement that keeps them.
///
/// # Errors
/// [`PlacementError`]; but for [`PlacementError::NotPlaced`], which is for those who ask who holds it.
pub fn class_rule(view: &MeshView, group: &GroupId) -> Result<DataClass, PlacementError> {
    let class = rule(view, group)?;
    let committed = placement_of(view, group)
        .and_then(|placement| placement.policy.as_deref()?.class(&class.name))
        .unwrap_or(class);
    class.meet(committed).ok_or_else(|| PlacementError::Forbidden(class.name.clone()))
}

/// The placement by which a group goes, else that of the cell in which it lives.
fn placement_of<'a>(view: &'a MeshView, group: &GroupId) -> Option<&'a PlacementView> {
    let tenure = tenure(&view.lineage, &view.placements, group);
    view.placements.get(&tenure.map_or_else(|| view.lineage.home(group), |tenure| tenure.cell))
}

/// Why a node holds a session, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementReason {
    /// It holds it; 0 is home.
    Holds {
        /// Its place among the replicas.
        place: usize,
    },
    /// It holds it by the table, and cannot be reached.
    HoldsUnreached {
        /// Its place among the replicas.
        place: usize,
        /// How it is seen.
        state: MemberState,
    },
    /// It holds it by a former placement, and hands it over.
    HandsOver {
        /// How it is seen.
        state: MemberState,
    },
    /// It would hold it if a replica were gone for long.
    Reserve,
    /// It is not in the cell in which the session lives.
    OtherCell,
    /// The policy does not let the data be in its region.
    Forbidden,
    /// It is not eligible.
    Unavailable {
        /// How it is seen.
        state: MemberState,
    },
}

/// Where a session is and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub set: ReplicaSet,
    /// Every member with its reason, holders first.
    pub members: Vec<(NodeId, PlacementReason)>,
}

/// Explains where a session is.
///
/// # Errors
/// [`PlacementError`].
pub fn explain(view: &MeshView, session: &SessionId) -> Result<Explanation, PlacementError> {
    let set = replica_set(view, session)?;
    let class = class_rule(view, &set.group)?;
    let home = view.lineage.home(&set.group);
    let mut members: Vec<(NodeId, PlacementReason)> = Vec::new();
    for member in view.members.values() {
        let place = set.nodes.iter().position(|node| *node == member.node);
        let reason = match (place, member.state) {
            (Some(place), MemberState::Alive | MemberState::Draining) => PlacementReason::Holds { place },
            (Some(place), state) => PlacementReason::HoldsUnreached { place, state },
            (None, state) if set.counts(&member.node) => PlacementReason::HandsOver { state },
            (None, _) if !class.allows(&member.region) => PlacementReason::Forbidden,
            (None, _) if member.cell != Some(home) => PlacementReason::OtherCell,
            (None, MemberState::Alive) => PlacementReason::Reserve,
            (None, state) => PlacementReason::Unavailable { state },
        };
        members.push((member.node, reason));
    }
    let place = |reason: &PlacementReason| match reason {
        PlacementReason::Holds { place } | PlacementReason::HoldsUnreached { place, .. } => *place,
        PlacementReason::HandsOver { .. } => usize::MAX - 1,
        PlacementReason::Reserve
        | PlacementReason::OtherCell
        | PlacementReason::Forbidden
        | PlacementReason::Unavailable { .. } => usize::MAX,
    };
    members.sort_by_key(|(node, reason)| (place(reason), *node));
    Ok(Explanation { set, members })
}

fn rule<'a>(view: &'a MeshView, group: &GroupId) -> Result<&'a DataClass, PlacementError> {
    let cell = view.lineage.home(group);
    let is_led = view.aggregators.values().any(|row| row.cell == cell);
    if !view.placements.contains_key(&cell) && !is_led && view.cell != Some(cell) {
        return Err(PlacementError::UnknownCell(group.cell));
    }
    let policy = view.policy.as_deref().ok_or(PlacementError::NoPolicy)?;
    policy.class(&group.class).ok_or_else(|| PlacementError::UnknownClass(group.class.clone()))
}

#[cfg(test)]
#[path = "replica_set_tests.rs"]
mod tests;
