//! Computing the table of one cell.
//!
//! Draws do not depend on who drew before, so one node more or less moves its own share and nothing else. What is sticky
//! is the list of candidates: whoever holds something stays on it through a short absence, and whoever holds nothing
//! comes on it only when it has settled.

use super::deployment::Deployment;
use super::policy::Policy;
use super::rendezvous::draw;
use super::table::{ClassRow, MODELS_MAX, ModelRow, NODES_MAX, NodeList, PlacementTable};
use crate::id::{ConfigEpoch, PlacementEpoch};
use crate::session_id::GROUP_PREFIXES;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::region::Region;
use std::collections::BTreeSet;

/// A member among whom is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    /// Its share relative to others.
    pub(crate) weight: u32,
    /// Whether it holds sessions.
    pub(crate) replica: bool,
    /// Whether it runs models.
    pub(crate) worker: bool,
}

/// Everything on which a table depends.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) region: &'a Region,
    pub(crate) policy: Option<(&'a Policy, Sha256Digest)>,
    pub(crate) deployments: &'a [&'a Deployment],
    pub(crate) candidates: &'a [Candidate],
    pub(crate) previous: Option<&'a PlacementTable>,
    pub(crate) config_epoch: ConfigEpoch,
}

/// The table that follows from these inputs; numbered as the one after the previous.
pub(crate) fn choose(inputs: &Inputs<'_>) -> PlacementTable {
    let mut used = BTreeSet::new();
    let mut groups = Vec::new();
    for class in inputs.policy.iter().flat_map(|(policy, _)| &policy.classes) {
        if !class.allows(inputs.region) {
            continue;
        }
        let mut rows = Vec::new();
        for prefix in 0..GROUP_PREFIXES {
            let key = [b"group\0", class.name.as_str().as_bytes(), b"\0", &prefix.to_be_bytes()].concat();
            rows.push(pick(inputs, &key, class.replicas, |candidate| candidate.replica));
        }
        if rows.iter().all(|row| !row.is_empty()) {
            used.extend(rows.iter().flatten().copied());
            groups.push((class.name.clone(), rows));
        }
    }
    let mut models = Vec::new();
    for deployment in inputs.deployments.iter().filter(|deployment| deployment.wants(inputs.region)).take(MODELS_MAX) {
        // Versions of one model share a key, so that an update finds its nodes warm.
        let key = [b"model\0", deployment.model.as_str().as_bytes()].concat();
        let model = deployment.model_ref();
        let nodes = pick(inputs, &key, deployment.replicas, |candidate| candidate.worker);
        if !nodes.is_empty() {
            used.extend(nodes.iter().copied());
            models.push((model, deployment.manifest, nodes));
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

/// The candidates with the lowest draws, best first.
fn pick(inputs: &Inputs<'_>, key: &[u8], wanted: u8, fit: fn(&Candidate) -> bool) -> Vec<NodeId> {
    let mut ranked: Vec<(u64, NodeId)> =
        inputs.candidates.iter().filter(|c| fit(c)).map(|c| (draw(key, &c.node, c.weight), c.node)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(usize::from(wanted).min(NODES_MAX)).map(|(_, node)| node).collect()
}

fn index(members: &[NodeId], node: &NodeId) -> Option<u8> {
    members.binary_search(node).ok().and_then(|index| u8::try_from(index).ok())
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
