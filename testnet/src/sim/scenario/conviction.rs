//! Cases that a mesh passes only because of a rule: without the rule it must break the promise that the case names.

use super::play::play;
use super::spec::Case;
use crate::sim::bugs::Planted;
use crate::sim::mesh::MeshPlan;
use crate::sim::oracle::Invariant;
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;

/// What a case made of nodes that are built without a rule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Conviction {
    /// The case.
    pub(crate) case: String,
    /// The rule that is missing.
    pub(crate) without: String,
    /// The promise that is then broken.
    pub(crate) breaks: Invariant,
    /// The first seed with which it was.
    pub(crate) seed: Option<u64>,
    /// What else was broken, where that promise was not.
    pub(crate) instead: Vec<Invariant>,
}

/// Plays a case with every seed on nodes that are built without a rule, until they break the promise.
pub(crate) fn convict(
    plan: &Arc<MeshPlan>,
    case: &Case,
    seeds: Range<u64>,
    planted: Planted,
    breaks: Invariant,
) -> Conviction {
    let (case_name, without) = (case.name.clone(), format!("{:?}", planted.0));
    let mut instead = Vec::new();
    for seed in seeds {
        let broken = play(Arc::clone(plan), case, seed, planted).violations;
        if broken.iter().any(|violation| violation.invariant == breaks) {
            return Conviction { case: case_name, without, breaks, seed: Some(seed), instead: Vec::new() };
        }
        instead.extend(broken.into_iter().map(|violation| violation.invariant));
    }
    instead.sort_unstable();
    instead.dedup();
    Conviction { case: case_name, without, breaks, seed: None, instead }
}

impl Conviction {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let Self { case, without, breaks, seed, instead } = self;
        match seed {
            Some(seed) => format!("{case}: without the rule of {without}, seed {seed} breaks {breaks:?}"),
            None => format!("{case}: NOTHING BREAKS {breaks:?} without the rule of {without}; broken was {instead:?}"),
        }
    }
}
