//! A plan from what one node sees.

use super::bucket::RttBucket;
use super::deployment::Deployment;
use super::ground::{Ground, Holdings};
use super::node_class::NodeClasses;
use super::plan::{Change, Plan, plan};
use super::policy::Policy;
use super::rule::{Availability, Host, TrustClass};
use crate::name::ClassName;
use crate::view::{MemberState, MemberView, MeshView};
use hedgerow_attest::id::CellId;
use hedgerow_attest::name::NodeClass;
use std::collections::BTreeMap;
use thiserror::Error;

/// The cell is not known, or its members are not known one by one. Ask a node of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("plan for cell {0}, whose members are not known here")]
pub struct CellUnknown(pub CellId);

/// What would be in force.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// The rules for data.
    pub policy: Option<&'a Policy>,
    /// The shares of node classes.
    pub node_classes: &'a NodeClasses,
}

/// What a proposal would move in a cell, as one node sees it at this moment. The aggregator of the cell decides, and may see
/// somebody as settled or down a little earlier or later. A member that is down is taken to stay so.
///
/// # Errors
/// [`CellUnknown`].
pub fn preview(
    view: &MeshView,
    cell: CellId,
    proposal: Proposal<'_>,
    bytes: &BTreeMap<(ClassName, u8), u64>,
) -> Result<Plan, CellUnknown> {
    let book = view.cells.get(&cell).filter(|book| book.detail).ok_or(CellUnknown(cell))?;
    let members = view.members.values().filter(|member| member.region == book.region);
    let hosts: Vec<Host> = members.filter_map(|member| host(member, proposal.node_classes)).collect();
    let placement = view.placements.get(&cell);
    let held = placement.map(|placement| Holdings {
        groups: placement.groups.clone(),
        models: placement.models.iter().map(|(model, placed)| (model.clone(), placed.nodes.clone())).collect(),
    });
    let ground = Ground {
        region: &book.region,
        hosts: &hosts,
        held: &held.unwrap_or_default(),
        former: placement.and_then(|placement| placement.policy.as_deref()),
    };
    let deployments: Vec<&Deployment> = view.deployments.iter().map(|wanted| &wanted.deployment).collect();
    Ok(plan(&Change { ground, policy: proposal.policy, deployments: &deployments, bytes }))
}

/// A member as placement sees it. Those whose class is no name are of a release that this one does not know.
fn host(member: &MemberView, classes: &NodeClasses) -> Option<Host> {
    let class = NodeClass::new(&member.class).ok()?;
    Some(Host {
        node: member.node,
        region: member.region.clone(),
        weight: classes.weight(&class),
        class,
        roles: member.roles,
        trust: TrustClass::SelfAsserted,
        availability: availability(member.state),
        free_mib: Some(member.health.free_memory_mib).filter(|free_mib| *free_mib > 0),
        bucket: RttBucket::NEAREST,
        domain: member.domain.clone(),
    })
}

const fn availability(state: MemberState) -> Availability {
    match state {
        MemberState::Alive => Availability::Available,
        MemberState::Suspect | MemberState::Stopping => Availability::Settling,
        MemberState::Draining | MemberState::Left => Availability::Draining,
        MemberState::Down => Availability::Down,
    }
}
