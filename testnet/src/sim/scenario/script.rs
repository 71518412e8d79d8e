//! From the faults of a case to the lines of one run's script.

use super::action::Action;
use super::spec::{Case, Fault};
use crate::sim::dice::Dice as _;
use crate::sim::time::Micros;
use rand_chacha::ChaCha8Rng;

/// The moments at which the case's faults begin in each region, from `start` on.
pub(crate) fn lines(case: &Case, start: Micros, rng: &mut ChaCha8Rng) -> Vec<(Micros, Action)> {
    let mut lines = Vec::new();
    let end = start + case.span;
    for region in 0..case.mesh.regions as usize {
        for fault in &case.faults {
            let mut at = start + fault.at;
            loop {
                lines.push((at, begin(fault, region, rng)));
                let Some(every) = fault.every else { break };
                // Between half and three halves of the mean, so that nothing marches in step.
                at += every / 2 + rng.below(every + 1);
                if at >= end {
                    break;
                }
            }
        }
    }
    lines
}

fn begin(fault: &Fault, region: usize, rng: &mut ChaCha8Rng) -> Action {
    let span = match (fault.span, fault.up_to) {
        (Some(least), Some(most)) => Some(rng.within((least, most.max(least)))),
        (Some(span), None) | (None, Some(span)) => Some(span),
        (None, None) => None,
    };
    Action::Begin { kind: fault.kind, region, who: fault.who, span, ppm: fault.ppm }
}
