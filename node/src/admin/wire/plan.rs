//! What a model does for requests of certain extents, and what that costs.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use hedgerow_inference::exec::{ExplainedStep, Explanation, Fusion, Isa};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `batch=8`: the extent of a named dimension for which work is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedExtent {
    /// The dimension, as the publisher named it.
    pub symbol: String,
    /// How many elements it has.
    pub extent: u64,
}

/// Why a text is no [`NamedExtent`].
#[derive(Debug, Error)]
pub enum NamedExtentError {
    /// There is no `=`.
    #[error("write the name of a dimension and a number: batch=8")]
    Form,
    /// Behind it stands something else.
    #[error("`{0}` is no number of elements")]
    Extent(String, #[source] ParseIntError),
}

/// The work of a model, with `?plan=batch=8,steps=64` of `GET /admin/v1/models/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPlan {
    /// Instruction set for which the kernels are chosen.
    pub isa: String,
    /// In the order in which they run.
    pub steps: Vec<PlanStep>,
    /// What was made one step of several.
    pub fusions: Vec<PlanFusion>,
    /// Bytes of the weights.
    pub resident_bytes: u64,
    /// Bytes of the values between kernels.
    pub planned_bytes: u64,
    /// Bytes of everything at the peak, as far as extents tell it.
    pub peak_bytes: u64,
}

/// One operator application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// The node's name.
    pub node: String,
    /// The operator's name.
    pub operator: String,
    /// `host`, `plain`, `backend`, `control`, `open` (decided at a run); `known` and `alias` cost nothing.
    pub kernel: String,
    /// Element type and extents of each result.
    pub results: Vec<String>,
    /// Multiply-adds, or elements made.
    pub multiply_adds: u64,
    /// Bytes read and written.
    pub bytes: u64,
    /// Bytes worked with besides.
    pub scratch_bytes: u64,
}

/// Nodes that one step stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFusion {
    /// What the step does.
    pub made: String,
    /// The nodes.
    pub nodes: Vec<String>,
}

impl FromStr for NamedExtent {
    type Err = NamedExtentError;

    fn from_str(text: &str) -> Result<Self, NamedExtentError> {
        // Names may have the sign too.
        let (symbol, extent) = text.rsplit_once('=').ok_or(NamedExtentError::Form)?;
        let extent = extent.parse().map_err(|source| NamedExtentError::Extent(extent.to_owned(), source))?;
        Ok(Self { symbol: symbol.to_owned(), extent })
    }
}

impl fmt::Display for NamedExtent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.symbol, self.extent)
    }
}

impl ModelPlan {
    /// An explanation for the instruction set of a model.
    pub fn new(isa: Isa, explained: Explanation) -> Self {
        let step = |step: ExplainedStep| PlanStep {
            node: step.node,
            operator: step.operator,
            kernel: step.kernel.name().to_owned(),
            results: step.results,
            multiply_adds: step.multiply_adds,
            bytes: step.bytes,
            scratch_bytes: step.scratch_bytes,
        };
        let fusion = |fusion: Fusion| PlanFusion { made: fusion.made, nodes: fusion.nodes };
        Self {
            isa: isa.name().to_owned(),
            steps: explained.steps.into_iter().map(step).collect(),
            fusions: explained.fusions.into_iter().map(fusion).collect(),
            resident_bytes: explained.resident_bytes,
            planned_bytes: explained.planned_bytes,
            peak_bytes: explained.peak_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_extents_are_read_as_they_are_written() {
        for (symbol, extent) in [("batch", 8), ("a=b", 0)] {
            let named = NamedExtent { symbol: symbol.to_owned(), extent };
            assert_eq!(named.to_string().parse::<NamedExtent>().unwrap(), named);
        }
        let refused = |text: &str| text.parse::<NamedExtent>().unwrap_err().to_string();
        assert_eq!(refused("batch"), "write the name of a dimension and a number: batch=8");
        assert_eq!(refused("batch=-1"), "`-1` is no number of elements");
    }
}
