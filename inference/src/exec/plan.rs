//! The order of work for a checked graph, with the moment at which each buffer is no longer needed.

use std::sync::Arc;

use burn::backend::Backend;

use crate::{
    array::Array,
    check::{GraphError, Trace},
    ir::{Graph, NamedAttribute},
    ops::{
        Fact, Operator,
        backend::{self, BackendKernel},
    },
    weights::Weights,
};

/// What to compute, in order. Slots number values: inputs, then weights, then results.
#[derive(Debug)]
pub(super) struct Plan<B: Backend> {
    pub(super) steps: Vec<PlannedStep<B>>,
    /// What is known by slot before a request.
    pub(super) facts: Vec<Fact>,
    /// Number of inputs; they have the first slots.
    pub(super) inputs: usize,
    /// Values that stay between requests.
    pub(super) resident: Vec<Resident>,
    /// Slots of the signature's outputs.
    pub(super) outputs: Vec<usize>,
}

/// A value that does not depend on requests.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) slot: usize,
    pub(super) source: Source,
    /// Some backend kernel reads it, so it lives on the backend.
    pub(super) on_backend: bool,
}

/// Where a resident value comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A weight, by name.
    Weight(String),
    /// Computed from weights when the graph was checked.
    Folded(Arc<Array>),
}

/// One operator application.
#[derive(Debug)]
pub(super) struct PlannedStep<B: Backend> {
    /// The node's name, for messages.
    pub(super) node: String,
    pub(super) operator: &'static Operator,
    pub(super) kernel: Option<BackendKernel<B>>,
    pub(super) attributes: Vec<NamedAttribute>,
    pub(super) inputs: Vec<Option<Operand>>,
    pub(super) outputs: Vec<Target>,
}

/// A value that a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) slot: usize,
    /// No later step reads it and the caller does not want it: its buffer goes to the kernel.
    pub(super) is_last: bool,
}

/// Where an output goes; `None` when nothing reads it and it is dropped at once.
pub(super) type Target = Option<usize>;

impl<B: Backend> Plan<B> {
    /// Checks a graph as if nobody had, and plans it.
    pub(super) fn of(graph: &Graph, weights: &Weights) -> Result<Self, GraphError> {
        let trace = Trace::of(graph, weights)?;
        let outputs = trace.outputs(&graph.signature.outputs)?;
        let inputs = graph.signature.inputs.len();
        let first_result = inputs + graph.weights.len();
        let Trace { facts, steps, .. } = trace;
        // Weights, and what follows from weights alone.
        let is_resident = |slot: usize| (inputs..first_result).contains(&slot) || facts[slot].content.is_some();
        let mut read_later = vec![false; facts.len()];
        let mut on_backend = vec![false; facts.len()];
        for slot in &outputs {
            read_later[*slot] = true;
        }
        let mut planned = Vec::with_capacity(steps.len());
        // Backwards: the first reader met is the last to run.
        for (step, node) in steps.into_iter().zip(&graph.nodes).rev() {
            if !step.outputs.is_empty() && step.outputs.iter().flatten().all(|slot| is_resident(*slot)) {
                continue;
            }
            let targets = step.outputs.iter().map(|slot| slot.filter(|slot| read_later[*slot])).collect();
            let kernel = backend::kernel::<B>(step.operator);
            let mut operands = vec![None; step.inputs.len()];
            for (operand, slot) in operands.iter_mut().zip(step.inputs).rev() {
                let Some(slot) = slot else { continue };
                let is_last = !read_later[slot] && !is_resident(slot);
                read_later[slot] = true;
                on_backend[slot] |= kernel.is_some();
                *operand = Some(Operand { slot, is_last });
            }
            planned.push(PlannedStep {
                node: node.name.clone(),
                operator: step.operator,
                kernel,
                attributes: node.attributes.clone(),
                inputs: operands,
                outputs: targets,
            });
        }
        planned.reverse();
        let mut resident = Vec::new();
        for slot in (inputs..facts.len()).filter(|slot| read_later[*slot] && is_resident(*slot)) {
            let source = match (graph.weights.get(slot - inputs), &facts[slot].content) {
                (Some(weight), _) => Source::Weight(weight.name.clone()),
                (None, Some(content)) => Source::Folded(Arc::clone(content)),
                (None, None) => unreachable!("what is resident is a weight or has content"),
            };
            resident.push(Resident { slot, source, on_backend: on_backend[slot] });
        }
        Ok(Self { steps: planned, facts, inputs, resident, outputs })
    }
}
