//! Computing the table of one cell.
//!
//! One node more or less moves its own share and nothing else: see [`super::field`]. Who holds a group keeps it until the
//! demands of its class change, and a node that holds nothing gets something only when it has settled.

use super::deployment::Deployment;
use super::field::{Field, Incumbents};
use super::policy::{DataClass, Policy};
use super::rule::{Host, Rule};
use super::table::{ClassRow, MODELS_MAX, ModelRow, NodeList, PlacementTable};
use crate::id::{ConfigEpoch, PlacementEpoch};
use crate::name::ClassName;
use crate::session_id::GROUP_PREFIXES;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::region::Region;
use std::collections::BTreeSet;

/// Everything on which a table depends.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) region: &'a Region,
    pub(crate) policy: Option<(&'a Policy, Sha256Digest)>,
    pub(crate) deployments: &'a [&'a Deployment],
    /// The members of the cell.
    pub(crate) hosts: &'a [Host],
    pub(crate) previous: Option<&'a PlacementTable>,
    /// The policy of the previous table, where it is still known.
    pub(crate) former: Option<&'a Policy>,
    pub(crate) config_epoch: ConfigEpoch,
}

/// The table that follows from these inputs; numbered as the one after the previous.
pub(crate) fn choose(inputs: &Inputs<'_>) -> PlacementTable {
    let established: BTreeSet<NodeId> =
        inputs.previous.into_iter().flat_map(|table| table.members.iter().copied()).collect();
    let mut used = BTreeSet::new();
    let mut groups = Vec::new();
    for class in inputs.policy.iter().flat_map(|(policy, _)| &policy.classes) {
        if !class.allows(inputs.region) {
            continue;
        }
        let field = Field::new(&Rule::of_class(class), inputs.hosts);
        let row = |prefix: u8| {
            let holders = inputs.holders(class, prefix);
            field
                .choose(&group_key(&class.name, prefix), Incumbents { holders: &holders, established: &established })
                .nodes
        };
        let rows: Vec<Vec<NodeId>> = prefixes().map(row).collect();
        if rows.iter().all(|row| !row.is_empty()) {
            used.extend(rows.iter().flatten().copied());
            groups.push((class.name.clone(), rows));
        }
    }
    let mut models = Vec::new();
    for deployment in inputs.deployments.iter().filter(|deployment| deployment.wants(inputs.region)).take(MODELS_MAX) {
        let holders = inputs.warm(deployment);
        let field = Field::new(&Rule::of_deployment(deployment), inputs.hosts);
        let key = model_key(deployment);
        let nodes = field.choose(&key, Incumbents { holders: &holders, established: &established }).nodes;
        if !nodes.is_empty() {
            used.extend(nodes.iter().copied());
            models.push((deployment.model_ref(), deployment.manifest, nodes));
        }
    }
    let members: Vec<NodeId> = used.into_iter().collect();
    let list = |nodes: Vec<NodeId>| NodeList(nodes.iter().filter_map(|node| index(&members, node)).collect());
    let class_row = |rows: Vec<Vec<NodeId>>| rows.into_iter().map(list).collect();
    PlacementTable {
        epoch: inputs.previous.map_or(PlacementEpoch(0), |table| table.epoch).next(),
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

impl Inputs<'_> {
    /// Who holds a group, unless what its class demands has changed since: then nobody has a claim.
    fn holders(&self, class: &DataClass, prefix: u8) -> Vec<NodeId> {
        let former = self.former.and_then(|policy| policy.class(&class.name));
        let changed = former.is_some_and(|former| !Rule::of_class(former).demands_like(&Rule::of_class(class)));
        let previous = self.previous.filter(|_| !changed);
        previous.and_then(|table| table.group(&class.name, prefix)).unwrap_or_default()
    }

    /// Who holds the model in whatever version: an update finds its nodes warm.
    fn warm(&self, deployment: &Deployment) -> Vec<NodeId> {
        let row = self.previous.and_then(|table| {
            let row = table.models.iter().find(|row| row.model.model == deployment.model)?;
            Some(table.nodes(&row.nodes).collect())
        });
        row.unwrap_or_default()
    }
}

/// What nodes draw for a group.
pub(super) fn group_key(class: &ClassName, prefix: u8) -> Vec<u8> {
    [b"group\0", class.as_str().as_bytes(), b"\0", &u16::from(prefix).to_be_bytes()].concat()
}

/// What nodes draw for a model; its versions share it.
fn model_key(deployment: &Deployment) -> Vec<u8> {
    [b"model\0", deployment.model.as_str().as_bytes()].concat()
}

/// The prefixes of the groups of one class.
pub(super) fn prefixes() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).take(usize::from(GROUP_PREFIXES))
}

fn index(members: &[NodeId], node: &NodeId) -> Option<u8> {
    members.binary_search(node).ok().and_then(|index| u8::try_from(index).ok())
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
