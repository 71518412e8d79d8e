//! Where a session is, by the view of one node, and why.

use super::policy::DataClass;
use super::replica_set::{ReplicaSet, same_nodes};
use super::tenure::{Tenure, tenure};
use crate::defect::{Defect, Defects, Sound};
use crate::name::ClassName;
use crate::session_id::{GROUP_PREFIXES, GroupId, SessionId};
use crate::view::{MemberState, MeshView, PlacementView};
use hedgerow_attest::id::{CellId, NodeId};
use std::time::Duration;
use thiserror::Error;

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
    group_set_with(Sound, view, group)
}

/// The same without one of the rules.
///
/// # Errors
/// [`PlacementError`].
pub fn group_set_with<D: Defects>(defects: D, view: &MeshView, group: &GroupId) -> Result<ReplicaSet, PlacementError> {
    let tenure = tenure(&view.lineage, &view.placements, group);
    let placement = placement_of(view, group, tenure.as_ref());
    let class = class_by(defects, view, group, placement)?;
    let not_placed = || PlacementError::NotPlaced(class.name.clone());
    let placement = placement.ok_or_else(not_placed)?;
    if !class.allows(&placement.region) {
        return Err(PlacementError::Forbidden(class.name.clone()));
    }
    let tenure = tenure.ok_or_else(not_placed)?;
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
    let tenure = tenure(&view.lineage, &view.placements, group);
    class_by(Sound, view, group, placement_of(view, group, tenure.as_ref()))
}

fn class_by<D: Defects>(
    defects: D,
    view: &MeshView,
    group: &GroupId,
    placement: Option<&PlacementView>,
) -> Result<DataClass, PlacementError> {
    let class = rule(view, group)?;
    let committed = placement.and_then(|placement| placement.policy.as_deref()?.class(&class.name)).unwrap_or(class);
    if defects.has(Defect::TighteningWaits) {
        return Ok(committed.clone());
    }
    class.meet(committed).ok_or_else(|| PlacementError::Forbidden(class.name.clone()))
}

/// The placement by which a group goes, else that of the cell in which it lives.
fn placement_of<'a>(view: &'a MeshView, group: &GroupId, tenure: Option<&Tenure<'_>>) -> Option<&'a PlacementView> {
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
#[path = "whereabouts_tests.rs"]
mod tests;
