//! Making a failing scenario smaller, as long as it fails.

use super::mesh::MeshPlan;
use super::oracle::Invariant;
use super::scenario::{Case, WeatherSpec, play};
use super::time::MINUTE;
use hedgerow_protocol::defect::Defects;
use std::sync::Arc;

/// Runs that may be spent on it.
const ATTEMPTS: usize = 60;

/// The smallest case that was found to break the same promise with the same seed, in words.
pub(crate) fn shrink<D: Defects>(case: &Case, seed: u64, defects: D) -> String {
    let broken = |case: &Case| -> Option<Invariant> {
        let plan = Arc::new(MeshPlan::new(&case.mesh.regions()));
        play(plan, case, seed, defects).violations.first().map(|violation| violation.invariant)
    };
    let Some(promise) = broken(case) else { return "it does not fail when it is played again".to_owned() };
    let (mut smallest, mut left) = (case.clone(), ATTEMPTS);
    while let Some(smaller) = candidates(&smallest).into_iter().find(|candidate| {
        left = left.saturating_sub(1);
        left > 0 && broken(candidate) == Some(promise)
    }) {
        smallest = smaller;
    }
    let shown = toml::to_string(&smallest).unwrap_or_else(|error| error.to_string());
    format!("with seed {seed} this breaks {promise:?} too, as the one case of a scenario file:\n[[case]]\n{shown}")
}

/// Cases with one thing less.
fn candidates(case: &Case) -> Vec<Case> {
    let mut smaller: Vec<Case> = Vec::new();
    for left_out in 0..case.faults.len() {
        let mut fewer = case.clone();
        fewer.faults.remove(left_out);
        smaller.push(fewer);
    }
    if case.weather != WeatherSpec::default() {
        smaller.push(Case { weather: WeatherSpec::default(), ..case.clone() });
    }
    if case.mesh.regions > 1 {
        let mut fewer = case.clone();
        fewer.mesh.regions = 1;
        smaller.push(fewer);
    }
    if case.span > MINUTE {
        smaller.push(Case { span: case.span / 2, ..case.clone() });
    }
    if case.mesh.nodes > 3 {
        let mut fewer = case.clone();
        fewer.mesh.nodes = (case.mesh.nodes / 2).max(3);
        smaller.push(fewer);
    }
    smaller
}
