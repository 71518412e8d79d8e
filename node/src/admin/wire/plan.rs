//! What a model does for requests of certain extents, and what that costs.

use hedgerow_inference::exec::{ExplainedStep, Explanation, Fusion, Isa};
use serde::{Deserialize, Serialize};

/// The work of a model, with `?plan` of `GET /admin/v1/models/NAME`.
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
    /// `host`, `plain`, `backend`, `control`; `known` and `alias` cost nothing.
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
