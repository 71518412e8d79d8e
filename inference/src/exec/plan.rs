//! The order of work for a checked graph, with the moment at which each buffer is no longer needed.

use burn::backend::Backend;

use crate::{
    check::{GraphError, Trace},
    ir::{Graph, NamedAttribute},
    ops::{self, Operator, ValueType},
    tensor::Tensor,
    weights::Weights,
};

/// What to compute, in order. Slots number values: inputs, then weights, then results.
#[derive(Debug)]
pub(super) struct Plan<B: Backend> {
    pub(super) steps: Vec<PlannedStep<B>>,
    /// Types by slot.
    pub(super) types: Vec<ValueType>,
    /// Number of inputs; they have the first slots.
    pub(super) inputs: usize,
    /// Slots and names of the weights that some step reads from the backend.
    pub(super) resident: Vec<(usize, String)>,
    /// Slots of the signature's outputs.
    pub(super) outputs: Vec<usize>,
}

/// One operator application.
#[derive(Debug)]
pub(super) struct PlannedStep<B: Backend> {
    /// The node's name, for messages.
    pub(super) node: String,
    pub(super) operator: &'static Operator<B>,
    pub(super) attributes: Vec<NamedAttribute>,
    pub(super) constants: Vec<Option<Tensor>>,
    pub(super) inputs: Vec<Option<Operand>>,
    pub(super) output: usize,
    /// Nothing reads the output: it is dropped at once.
    pub(super) is_unused: bool,
}

/// A value that a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) slot: usize,
    /// No later step reads it and the caller does not want it: its buffer goes to the kernel.
    pub(super) is_last: bool,
}

impl<B: Backend> Plan<B> {
    /// Checks a graph as if nobody had, and plans it.
    pub(super) fn of(graph: &Graph, weights: &Weights) -> Result<Self, GraphError> {
        let trace = Trace::of(graph, weights)?;
        let outputs = trace.outputs(&graph.signature.outputs)?;
        let inputs = graph.signature.inputs.len();
        let weight_slots = inputs..inputs + graph.weights.len();
        let mut read_later = vec![false; trace.types.len()];
        for slot in &outputs {
            read_later[*slot] = true;
        }
        let Trace { types, steps, .. } = trace;
        let mut planned = Vec::with_capacity(steps.len());
        // Backwards: the first reader met is the last to run.
        for (step, node) in steps.into_iter().zip(&graph.nodes).rev() {
            let is_unused = !read_later[step.output];
            let mut operands = vec![None; step.inputs.len()];
            for (operand, slot) in operands.iter_mut().zip(step.inputs).rev() {
                let Some(slot) = slot else { continue };
                let is_last = !read_later[slot] && !weight_slots.contains(&slot);
                read_later[slot] = true;
                *operand = Some(Operand { slot, is_last });
            }
            planned.push(PlannedStep {
                node: node.name.clone(),
                operator: ops::by_id(&node.operator).expect("tracing found it in the same table"),
                attributes: node.attributes.clone(),
                constants: step.constants,
                inputs: operands,
                output: step.output,
                is_unused,
            });
        }
        planned.reverse();
        let resident = weight_slots
            .zip(&graph.weights)
            .filter(|(slot, _)| read_later[*slot])
            .map(|(slot, weight)| (slot, weight.name.clone()))
            .collect();
        Ok(Self { steps: planned, types, inputs, resident, outputs })
    }
}
