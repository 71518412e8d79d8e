//! Which nodes hold a session, as far as one node knows.

use super::policy::DataClass;
use crate::id::PlacementEpoch;
use crate::name::ClassName;
use crate::session_id::{GROUP_PREFIXES, GroupId, SessionId};
use crate::view::{MemberState, MeshView};
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
    /// Nodes on which a write must be durable.
    pub write_quorum: u8,
    /// Time after its last write at which a session may be forgotten, if ever.
    pub ttl: Option<Duration>,
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
    let class = rule(view, group)?;
    let placement = view.placements.get(&group.cell).ok_or_else(|| PlacementError::NotPlaced(class.name.clone()))?;
    // What either the rules of the placement or those in force forbid is forbidden: the tighter ones count on receipt, the
    // looser ones with the placement that keeps them.
    let committed = placement.policy.as_deref().and_then(|policy| policy.class(&class.name)).unwrap_or(class);
    let class = &class.meet(committed).ok_or_else(|| PlacementError::Forbidden(class.name.clone()))?;
    if !class.allows(&placement.region) {
        return Err(PlacementError::Forbidden(class.name.clone()));
    }
    let placed = placement.groups.get(&(group.class.clone(), group.prefix));
    let placed = placed.ok_or_else(|| PlacementError::NotPlaced(class.name.clone()))?;
    let allowed = |node: &&NodeId| view.members.get(node).is_some_and(|member| class.allows(&member.region));
    Ok(ReplicaSet {
        epoch: placement.epoch,
        nodes: placed.iter().filter(allowed).copied().collect(),
        write_quorum: class.write_quorum,
        ttl: (class.ttl_s > 0).then(|| Duration::from_secs(class.ttl_s)),
        group: group.clone(),
    })
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
    /// It would hold it if a replica were gone for long.
    Reserve,
    /// It is not in the session's home cell.
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
    let class = rule(view, &set.group)?;
    let mut members: Vec<(NodeId, PlacementReason)> = Vec::new();
    for member in view.members.values() {
        let place = set.nodes.iter().position(|node| *node == member.node);
        let reason = match (place, member.state) {
            (Some(place), MemberState::Alive | MemberState::Draining) => PlacementReason::Holds { place },
            (Some(place), state) => PlacementReason::HoldsUnreached { place, state },
            (None, _) if !class.allows(&member.region) => PlacementReason::Forbidden,
            (None, _) if member.cell != Some(set.group.cell) => PlacementReason::OtherCell,
            (None, MemberState::Alive) => PlacementReason::Reserve,
            (None, state) => PlacementReason::Unavailable { state },
        };
        members.push((member.node, reason));
    }
    let place = |reason: &PlacementReason| match reason {
        PlacementReason::Holds { place } | PlacementReason::HoldsUnreached { place, .. } => *place,
        PlacementReason::Reserve
        | PlacementReason::OtherCell
        | PlacementReason::Forbidden
        | PlacementReason::Unavailable { .. } => usize::MAX,
    };
    members.sort_by_key(|(node, reason)| (place(reason), *node));
    Ok(Explanation { set, members })
}

fn rule<'a>(view: &'a MeshView, group: &GroupId) -> Result<&'a DataClass, PlacementError> {
    let known =
        view.placements.contains_key(&group.cell) || view.aggregators.values().any(|row| row.cell == group.cell);
    if !known && view.cell != Some(group.cell) {
        return Err(PlacementError::UnknownCell(group.cell));
    }
    let policy = view.policy.as_deref().ok_or(PlacementError::NoPolicy)?;
    policy.class(&group.class).ok_or_else(|| PlacementError::UnknownClass(group.class.clone()))
}

#[cfg(test)]
#[path = "replica_set_tests.rs"]
mod tests;
