//! What a change of policy, deployments or nodes would move, before anybody moves it.
//!
//! A plan is a pure function of the same ground as a table and makes the same choice. It also says what holds while the move
//! runs: what the tighter rule forbids ends at once, and what only the looser rule allows begins with the committed epoch, so
//! that the nodes of before and after together never break either rule.

use super::deployment::Deployment;
use super::field::Note;
use super::ground::{Ground, Survey, prefixes};
use super::policy::{DataClass, Policy};
use super::rule::{Refusal, Rule};
use super::table::MODELS_MAX;
use crate::name::{ClassName, ModelRef};
use hedgerow_attest::id::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// What would change in one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Every class of the old and of the proposed policy, by name.
    pub classes: Vec<ClassPlan>,
    /// Every model that is placed or wanted, by name and version.
    pub models: Vec<ModelPlan>,
}

/// What would become of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassPlan {
    /// The class.
    pub class: ClassName,
    /// Whether it is placed in this cell afterwards.
    pub fate: ClassFate,
    /// The nodes that may not hold it or may be given none of it, with every rule that says so.
    pub refusals: BTreeMap<NodeId, Vec<Refusal>>,
    /// Its groups by hash prefix, those that stay as they are included.
    pub groups: Vec<Move>,
}

/// Whether a class is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassFate {
    /// It is.
    Placed,
    /// The policy has it no longer: nothing is read or written, and nothing is deleted.
    Removed,
    /// The policy does not allow it in this region.
    Forbidden,
    /// No node may hold it.
    Nobody,
}

/// What would become of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPlan {
    /// The model and its version.
    pub model: ModelRef,
    /// The nodes that may not hold it, with every rule that says so.
    pub refusals: BTreeMap<NodeId, Vec<Refusal>>,
    /// Its nodes.
    pub nodes: Move,
}

/// The nodes of one group or model before and after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Move {
    /// Who holds it, home first.
    pub from: Vec<NodeId>,
    /// Who will, home first.
    pub to: Vec<NodeId>,
    /// Of those who hold it, whom the new rule forbids it: they serve nothing of it from the moment at which they hear of
    /// the rule, and only hand off what they have.
    pub stops: Vec<NodeId>,
    /// Of those who will hold it, whom the old rule forbade it: they get nothing of it before the epoch is committed.
    pub waits: Vec<NodeId>,
    /// Bytes that one copy has, where they are known.
    pub bytes: Option<u64>,
    /// What the choice could not keep to.
    pub notes: Vec<Note>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The nodes, and what they hold.
    pub ground: Ground<'a>,
    /// The policy that would hold.
    pub policy: Option<&'a Policy>,
    /// The deployments that would hold.
    pub deployments: &'a [&'a Deployment],
    /// Bytes of one copy of a group, where they are known.
    pub bytes: &'a BTreeMap<(ClassName, u8), u64>,
}

/// What the change would move.
#[must_use]
pub fn plan(change: &Change<'_>) -> Plan {
    let ground = change.ground;
    let established = ground.held.holders();
    let held = ground.held.groups.keys().map(|(class, _)| class);
    let wanted = change.policy.iter().flat_map(|policy| &policy.classes).map(|class| &class.name);
    let classes: BTreeSet<&ClassName> = held.chain(wanted).collect();
    let deployments = change.deployments.iter().filter(|deployment| deployment.wants(ground.region));
    let deployments: BTreeMap<ModelRef, &Deployment> =
        deployments.take(MODELS_MAX).map(|deployment| (deployment.model_ref(), *deployment)).collect();
    let models: BTreeSet<&ModelRef> = ground.held.models.keys().chain(deployments.keys()).collect();
    Plan {
        classes: classes.into_iter().map(|class| class_plan(change, class, &established)).collect(),
        models: models
            .into_iter()
            .map(|model| model_plan(change, model, deployments.get(model).copied(), &established))
            .collect(),
    }
}

impl Plan {
    /// Copies that would be made; of a group that nobody holds yet there is nothing to copy.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.copied().map(|moved| moved.gains().count()).sum()
    }

    /// Bytes that these copies have, and how many of the copies are of unknown size.
    #[must_use]
    pub fn bytes(&self) -> (u64, usize) {
        self.copied().fold((0, 0), |(bytes, unknown), moved| {
            let copies = moved.gains().count();
            match moved.bytes {
                Some(each) => (each.saturating_mul(copies as u64).saturating_add(bytes), unknown),
                None => (bytes, unknown + copies),
            }
        })
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moves().all(Move::stays)
    }

    fn copied(&self) -> impl Iterator<Item = &Move> {
        let groups = self.classes.iter().flat_map(|class| &class.groups).filter(|group| !group.from.is_empty());
        groups.chain(self.models.iter().map(|model| &model.nodes))
    }

    fn moves(&self) -> impl Iterator<Item = &Move> {
        let groups = self.classes.iter().flat_map(|class| &class.groups);
        groups.chain(self.models.iter().map(|model| &model.nodes))
    }
}

impl Move {
    /// The nodes to which a copy is made.
    pub fn gains(&self) -> impl Iterator<Item = &NodeId> {
        self.to.iter().filter(|node| !self.from.contains(node))
    }

    /// The nodes that are released once the others hold everything.
    pub fn losses(&self) -> impl Iterator<Item = &NodeId> {
        self.from.iter().filter(|node| !self.to.contains(node))
    }

    /// Whether the same nodes hold it afterwards; in another order they do.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.gains().next().is_none() && self.losses().next().is_none()
    }

    /// Who may serve it from the moment at which the rule is known until the epoch is committed: those who hold it and whom
    /// neither rule forbids it.
    pub fn before_commit(&self) -> impl Iterator<Item = &NodeId> {
        self.from.iter().filter(|node| !self.stops.contains(node))
    }

    /// Who may hold it from the commit until the losses are released.
    pub fn after_commit(&self) -> impl Iterator<Item = &NodeId> {
        self.before_commit().chain(self.gains())
    }
}

fn class_plan(change: &Change<'_>, name: &ClassName, established: &BTreeSet<NodeId>) -> ClassPlan {
    let ground = change.ground;
    let class = change.policy.and_then(|policy| policy.class(name));
    let former = ground.former.and_then(|policy| policy.class(name)).map(Rule::of_class);
    let forbids = |class: &&DataClass| !class.allows(ground.region);
    let survey = class.filter(|class| !forbids(class)).map(|class| ground.survey_class(class, established));
    let nobody = survey.as_ref().is_some_and(|survey| survey.choices.iter().any(|choice| choice.nodes.is_empty()));
    let fate = match class {
        None => ClassFate::Removed,
        Some(class) if forbids(&class) => ClassFate::Forbidden,
        Some(_) if nobody => ClassFate::Nobody,
        Some(_) => ClassFate::Placed,
    };
    let refusals = match (class, &survey) {
        (_, Some(survey)) => survey.refusals.clone(),
        (Some(class), None) => refused(&Rule::of_class(class), ground),
        (None, None) => BTreeMap::new(),
    };
    // A class is placed with all of its groups or not at all.
    let placed = survey.as_ref().filter(|_| fate == ClassFate::Placed);
    let group = |prefix: u8| {
        let from = ground.held.group(name, prefix).to_vec();
        let choice = placed.and_then(|survey| survey.choices.get(usize::from(prefix)));
        let (to, notes) = choice.map_or_else(Default::default, |choice| (choice.nodes.clone(), choice.notes.clone()));
        let ends = |node: &NodeId| class.is_none() || forbidden(refusals.get(node));
        let stops = from.iter().filter(|node| ends(node)).copied().collect();
        let waits = waiting(former.as_ref(), ground, &to);
        Move { from, to, stops, waits, bytes: change.bytes.get(&(name.clone(), prefix)).copied(), notes }
    };
    let groups = prefixes().map(group).collect();
    ClassPlan { class: name.clone(), fate, groups, refusals }
}

fn model_plan(
    change: &Change<'_>,
    model: &ModelRef,
    deployment: Option<&Deployment>,
    established: &BTreeSet<NodeId>,
) -> ModelPlan {
    let survey = deployment.map(|deployment| change.ground.survey_model(deployment, established));
    let Survey { choices, refusals } = survey.unwrap_or(Survey { choices: vec![], refusals: BTreeMap::new() });
    let (to, notes) = choices.into_iter().next().map_or_else(Default::default, |choice| (choice.nodes, choice.notes));
    let from = change.ground.held.models.get(model).cloned().unwrap_or_default();
    ModelPlan { model: model.clone(), refusals, nodes: Move { from, to, notes, ..Move::default() } }
}

fn refused(rule: &Rule, ground: Ground<'_>) -> BTreeMap<NodeId, Vec<Refusal>> {
    let judged = ground.hosts.iter().map(|host| (host.node, rule.refusals(host)));
    judged.filter(|(_, refusals)| !refusals.is_empty()).collect()
}

fn forbidden(refusals: Option<&Vec<Refusal>>) -> bool {
    refusals.into_iter().flatten().any(Refusal::forbids)
}

fn waiting(former: Option<&Rule>, ground: Ground<'_>, to: &[NodeId]) -> Vec<NodeId> {
    let Some(former) = former else { return vec![] };
    let forbade = |node: &&NodeId| {
        let host = ground.hosts.iter().find(|host| host.node == **node);
        host.is_some_and(|host| forbidden(Some(&former.refusals(host))))
    };
    to.iter().filter(forbade).copied().collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
