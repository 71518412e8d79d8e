//! What is known of every node of a mesh, and whether they agree.

use std::collections::BTreeSet;
use std::fmt;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hedgerow::admin::wire::{Firewall, NodeState, Status};
use serde::{Deserialize, Serialize};

use crate::plan::{BackendKind, Plan};

/// A mesh at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MeshReport {
    /// What runs the nodes.
    pub(crate) backend: BackendKind,
    /// How far it is.
    pub(crate) phase: Phase,
    /// Until the supervisor takes it down.
    pub(crate) ends_in_s: u64,
    /// In the order of the plan; none while starting.
    pub(crate) nodes: Vec<NodeReport>,
}

/// How far a mesh is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub(crate) enum Phase {
    /// Its nodes are starting or do not agree yet.
    Starting,
    /// It was ready once; its nodes say how they are.
    Up,
    /// It did not come up. Nothing runs any more.
    Failed {
        /// Every cause.
        why: String,
    },
}

/// A node of a testnet as seen from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeReport {
    /// `n1` and so on.
    pub(crate) name: String,
    /// The name of its region.
    pub(crate) region: String,
    /// Whether its process or container runs.
    pub(crate) running: bool,
    /// Its REST interface from this machine.
    pub(crate) rest: Option<String>,
    /// What it says itself, if it answers.
    pub(crate) status: Option<Status>,
}

/// Why a mesh is not ready yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// These have ended.
    Ended(Vec<String>),
    /// These give no answer or do not call themselves ready.
    NotReady(Vec<String>),
    /// This one counts too few or too many members.
    Members {
        /// The node.
        name: String,
        /// The members that it believes alive.
        alive: u64,
        /// The nodes there are.
        expected: u16,
    },
    /// This one does not know one aggregator in every region, or others than its fellows.
    Aggregators {
        /// The node.
        name: String,
    },
}

/// Whether all nodes are ready, count each other and name the same aggregator for each region.
pub(crate) fn agreement(plan: Plan, nodes: &[NodeReport]) -> Result<(), Disagreement> {
    let names = |is_bad: &dyn Fn(&NodeReport) -> bool| -> Vec<String> {
        nodes.iter().filter(|node| is_bad(node)).map(|node| node.name.clone()).collect()
    };
    let ended = names(&|node| !node.running);
    if !ended.is_empty() {
        return Err(Disagreement::Ended(ended));
    }
    let not_ready = names(&|node| node.status.as_ref().is_none_or(|status| status.state != NodeState::Ready));
    if !not_ready.is_empty() {
        return Err(Disagreement::NotReady(not_ready));
    }
    let statuses = || nodes.iter().filter_map(|node| Some((node, node.status.as_ref()?)));
    for (node, status) in statuses() {
        if status.members.alive != u64::from(plan.node_count()) {
            let (alive, expected) = (status.members.alive, plan.node_count());
            return Err(Disagreement::Members { name: node.name.clone(), alive, expected });
        }
    }
    let named = |status: &Status| status.aggregators.iter().cloned().collect::<BTreeSet<_>>();
    let first = statuses().next().map(|(_, status)| named(status)).unwrap_or_default();
    for (node, status) in statuses() {
        let regions: BTreeSet<_> = status.aggregators.iter().map(|aggregator| aggregator.region.as_str()).collect();
        if regions.len() != usize::from(plan.region_count()) || named(status) != first {
            return Err(Disagreement::Aggregators { name: node.name.clone() });
        }
    }
    Ok(())
}

impl Disagreement {
    /// The nodes whose logs may say more.
    pub(crate) fn nodes(&self) -> Vec<String> {
        match self {
            Self::Ended(names) | Self::NotReady(names) => names.clone(),
            Self::Members { name, .. } | Self::Aggregators { name } => vec![name.clone()],
        }
    }
}

impl MeshReport {
    /// A table with a line per node, its name first.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["NAME", "REGION", "STATE", "ALIVE", "AGGREGATES", "EMULATES", "NODE", "REST"]);
        for node in &self.nodes {
            table.add_row(node.row());
        }
        let phase = match &self.phase {
            Phase::Starting => "starting",
            Phase::Up => "up",
            Phase::Failed { why } => why,
        };
        let rows = table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n");
        format!("{:?} mesh, {phase}; ends by itself in {} min\n{rows}", self.backend, self.ends_in_s.div_ceil(60))
    }
}

impl NodeReport {
    fn row(&self) -> [String; 8] {
        let status = self.status.as_ref();
        let state = match status {
            _ if !self.running => "ended".to_owned(),
            None => "silent".to_owned(),
            Some(status) => format!("{:?}", status.state).to_lowercase(),
        };
        let holds = |status: &Status| {
            let held = status.aggregators.iter().find(|aggregator| aggregator.holder == status.node)?;
            Some(format!("{}@{}", held.region, held.term))
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            self.name.clone(),
            self.region.clone(),
            state,
            or_dash(status.map(|status| status.members.alive.to_string())),
            or_dash(status.and_then(holds)),
            or_dash(status.and_then(emulates)),
            or_dash(status.map(|status| status.node.chars().take(8).collect())),
            or_dash(self.rest.clone()),
        ]
    }
}

/// The rules and the firewall of a node, if there are any.
fn emulates(status: &Status) -> Option<String> {
    let emulation = status.emulation.as_ref()?;
    let rules = match emulation.rules.len() {
        0 => None,
        1 => Some("1 rule".to_owned()),
        count => Some(format!("{count} rules")),
    };
    let firewall = (emulation.firewall == Firewall::Stateful).then(|| "firewall".to_owned());
    let parts: Vec<_> = [rules, firewall].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(names) => write!(f, "{} ended", names.join(", ")),
            Self::NotReady(names) => write!(f, "{} not ready", names.join(", ")),
            Self::Members { name, alive, expected } => {
                write!(f, "{name} believes {alive} of {expected} nodes alive")
            }
            Self::Aggregators { name } => write!(f, "{name} does not name the same aggregator in every region"),
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
