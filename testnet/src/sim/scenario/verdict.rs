//! Whether what was measured is what was expected.

use super::spec::Case;
use crate::sim::oracle::Measures;
use serde::Serialize;

/// One expectation and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    /// The case.
    pub(crate) case: String,
    /// What was measured.
    pub(crate) measure: &'static str,
    /// The bound.
    pub(crate) at_most: f64,
    /// The value; nothing when there was nothing to measure.
    pub(crate) value: Option<f64>,
    /// What stands behind it.
    pub(crate) behind: String,
    /// Whether it holds.
    pub(crate) holds: bool,
}

/// Compares every expectation of a case with what all its runs measured.
pub(crate) fn judge(case: &Case, measures: &Measures) -> Vec<Row> {
    let row = |expectation: &super::Expectation| {
        let (value, samples, behind) = expectation.measure.of(measures);
        let enough = samples >= expectation.samples;
        Row {
            case: case.name.clone(),
            measure: expectation.measure.title(),
            at_most: expectation.at_most,
            holds: enough && value.is_some_and(|value| value <= expectation.at_most),
            behind: if enough { behind } else { format!("{behind}, {} are needed", expectation.samples) },
            value,
        }
    };
    case.expectations.iter().map(row).collect()
}
