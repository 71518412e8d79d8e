//! What a table of one cell grows from, and the choice for one class or model on it.

use super::deployment::Deployment;
use super::field::{Choice, Field, Incumbents};
use super::policy::{DataClass, Policy};
use super::rule::{Host, Refusal, Rule};
use super::table::PlacementTable;
use crate::name::{ClassName, ModelRef};
use crate::session_id::GROUP_PREFIXES;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::region::Region;
use std::collections::{BTreeMap, BTreeSet};

/// Who holds what in one cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Nodes by class and hash prefix.
    pub groups: BTreeMap<(ClassName, u8), Vec<NodeId>>,
    /// Nodes by model and version.
    pub models: BTreeMap<ModelRef, Vec<NodeId>>,
}

/// The nodes of a cell and what they hold so far.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The region in which the cell lies.
    pub region: &'a Region,
    /// Its members.
    pub hosts: &'a [Host],
    /// What is held.
    pub held: &'a Holdings,
    /// The policy under which that was placed, where it is still known.
    pub former: Option<&'a Policy>,
}

/// The nodes for every group of a class, or for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Survey {
    /// By hash prefix; one for a model.
    pub(super) choices: Vec<Choice>,
    /// Why nodes are not let in.
    pub(super) refusals: BTreeMap<NodeId, Vec<Refusal>>,
}

impl Holdings {
    /// What a table says.
    #[must_use]
    pub fn of_table(table: &PlacementTable) -> Self {
        let groups = table.classes.iter().flat_map(|row| {
            let lists = prefixes().zip(&row.groups);
            lists.map(|(prefix, list)| ((row.class.clone(), prefix), table.nodes(list).collect()))
        });
        let models = table.models.iter().map(|row| (row.model.clone(), table.nodes(&row.nodes).collect()));
        Self { groups: groups.collect(), models: models.collect() }
    }

    /// All that hold anything.
    pub(super) fn holders(&self) -> BTreeSet<NodeId> {
        self.groups.values().chain(self.models.values()).flatten().copied().collect()
    }

    /// Who holds a group.
    pub(crate) fn group(&self, class: &ClassName, prefix: u8) -> &[NodeId] {
        self.groups.get(&(class.clone(), prefix)).map_or(&[], Vec::as_slice)
    }
}

impl Ground<'_> {
    /// The nodes of a class. Who holds a group keeps it, unless what the class demands has changed since: then nobody has a
    /// claim.
    pub(super) fn survey_class(&self, class: &DataClass, established: &BTreeSet<NodeId>) -> Survey {
        let rule = Rule::of_class(class);
        let former = self.former.and_then(|policy| policy.class(&class.name));
        let changed = former.is_some_and(|former| !Rule::of_class(former).demands_like(&rule));
        let field = Field::new(&rule, self.hosts);
        let choose = |prefix: u8| {
            let holders = if changed { &[] } else { self.held.group(&class.name, prefix) };
            field.choose(&group_key(&class.name, prefix), Incumbents { holders, established })
        };
        Survey { choices: prefixes().map(choose).collect(), refusals: field.refusals().clone() }
    }

    /// The nodes of a model. Who holds it in another version has a claim: an update finds its nodes warm.
    pub(super) fn survey_model(&self, deployment: &Deployment, established: &BTreeSet<NodeId>) -> Survey {
        let field = Field::new(&Rule::of_deployment(deployment), self.hosts);
        let holders = self.held.models.iter().find(|(held, _)| held.model == deployment.model);
        let holders = holders.map_or(&[][..], |(_, nodes)| nodes);
        let choice = field.choose(&model_key(deployment), Incumbents { holders, established });
        Survey { choices: vec![choice], refusals: field.refusals().clone() }
    }
}

/// What nodes draw for a group.
fn group_key(class: &ClassName, prefix: u8) -> Vec<u8> {
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
