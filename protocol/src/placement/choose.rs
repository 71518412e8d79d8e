//! Computing the table of one cell.
//!
//! One node more or less moves its own share and nothing else: see [`super::field`]. Who holds a group keeps it until the
//! demands of its class change, and a node that holds nothing gets something only when it has settled.

use super::deployment::Deployment;
use super::ground::Ground;
use super::policy::Policy;
use super::table::{ClassRow, MODELS_MAX, ModelRow, NodeList, PlacementTable};
use crate::id::{ConfigEpoch, PlacementEpoch};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use std::collections::BTreeSet;

/// Everything on which a table depends.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) ground: Ground<'a>,
    pub(crate) policy: Option<(&'a Policy, Sha256Digest)>,
    pub(crate) deployments: &'a [&'a Deployment],
    /// The number of the table before.
    pub(crate) previous: PlacementEpoch,
    pub(crate) config_epoch: ConfigEpoch,
}

/// The table that follows from these inputs; numbered as the one after the previous.
pub(crate) fn choose(inputs: &Inputs<'_>) -> PlacementTable {
    let ground = inputs.ground;
    let established = ground.held.holders();
    let mut used = BTreeSet::new();
    let mut groups = Vec::new();
    for class in inputs.policy.iter().flat_map(|(policy, _)| &policy.classes) {
        if !class.allows(ground.region) {
            continue;
        }
        let choices = ground.survey_class(class, &established).choices;
        let rows: Vec<Vec<NodeId>> = choices.into_iter().map(|choice| choice.nodes).collect();
        if rows.iter().all(|row| !row.is_empty()) {
            used.extend(rows.iter().flatten().copied());
            groups.push((class.name.clone(), rows));
        }
    }
    let mut models = Vec::new();
    for deployment in inputs.deployments.iter().filter(|deployment| deployment.wants(ground.region)).take(MODELS_MAX) {
        let choices = ground.survey_model(deployment, &established).choices;
        let nodes: Vec<NodeId> = choices.into_iter().flat_map(|choice| choice.nodes).collect();
        if !nodes.is_empty() {
            used.extend(nodes.iter().copied());
            models.push((deployment.model_ref(), deployment.manifest, nodes));
        }
    }
    let members: Vec<NodeId> = used.into_iter().collect();
    let list = |nodes: Vec<NodeId>| NodeList(nodes.iter().filter_map(|node| index(&members, node)).collect());
    let class_row = |rows: Vec<Vec<NodeId>>| rows.into_iter().map(list).collect();
    PlacementTable {
        epoch: inputs.previous.next(),
        config_epoch: inputs.config_epoch,
        policy: inputs.policy.map(|(policy, digest)| (policy.version, digest)),
        classes: groups.into_iter().map(|(class, rows)| ClassRow { class, groups: class_row(rows) }).collect(),
        models: models
            .into_iter()
            .map(|(model, manifest, nodes)| ModelRow { model, manifest, nodes: list(nodes) })
            .collect(),
        members,
    }
}

impl PlacementTable {
    /// Whether the other table places everything alike under the same rules; numbers aside.
    pub(crate) fn places_like(&self, other: &Self) -> bool {
        (&self.policy, &self.members, &self.classes, &self.models)
            == (&other.policy, &other.members, &other.classes, &other.models)
    }

    /// Whether it places nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.classes.is_empty() && self.models.is_empty()
    }
}

fn index(members: &[NodeId], node: &NodeId) -> Option<u8> {
    members.binary_search(node).ok().and_then(|index| u8::try_from(index).ok())
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
