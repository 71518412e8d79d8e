//! The order of work for a checked graph, with the moment at which each buffer is no longer needed.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use burn::backend::Backend;

use crate::{
    array::Array,
    bodies::Body,
    check::GraphError,
    ir::{Graph, NamedAttribute},
    ops::{
        Fact, Operator,
        backend::{self, BackendKernel},
    },
    trace::{Step, Trace},
    weights::Weights,
};

/// What to compute, in order. Slots number values: inputs, then weights, then results.
#[derive(Debug)]
pub(super) struct Plan<B: Backend> {
    pub(super) steps: Vec<PlannedStep<B>>,
    /// What is known by slot before a request.
    pub(super) facts: Vec<Fact>,
    /// Slots of what comes from outside, in order.
    pub(super) entry: Vec<usize>,
    /// Values that stay between requests.
    pub(super) resident: Vec<Resident>,
    /// Slots of what is wanted.
    pub(super) outputs: Vec<usize>,
}

/// A body of a control-flow operator.
#[derive(Debug)]
pub(super) struct PlannedBody<B: Backend> {
    /// Enters with what the operator gives it, then with what it captures.
    pub(super) plan: Plan<B>,
    /// Where among the inputs of the step the captured values stand.
    pub(super) captured: Range<usize>,
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
    pub(super) bodies: Vec<PlannedBody<B>>,
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
    /// What stays between requests, in bodies too.
    pub(super) fn all_resident(&self) -> impl Iterator<Item = &Resident> {
        let mut plans = vec![self];
        let mut at = 0;
        while let Some(plan) = plans.get(at) {
            let bodies = plan.steps.iter().flat_map(|step| &step.bodies);
            plans.extend(bodies.map(|body| &body.plan).collect::<Vec<_>>());
            at += 1;
        }
        plans.into_iter().flat_map(|plan| &plan.resident)
    }

    /// Checks a graph as if nobody had, and plans it.
    pub(super) fn of(graph: &Graph, weights: &Weights) -> Result<Self, GraphError> {
        let trace = Trace::of(graph, weights)?;
        let outputs = trace.outputs(&graph.signature.outputs)?;
        let inputs = graph.signature.inputs.len();
        let weights = graph.weights.iter().enumerate().map(|(at, weight)| (inputs + at, weight.name.clone())).collect();
        Ok(Self::of_trace(trace, (0..inputs).collect(), outputs, &weights))
    }

    /// Plans a checked graph or body; `weights` are the slots whose values come from the file.
    fn of_trace(trace: Trace, entry: Vec<usize>, outputs: Vec<usize>, weights: &BTreeMap<usize, String>) -> Self {
        let Trace { facts, steps, .. } = trace;
        let is_resident =
            |slot: usize| weights.contains_key(&slot) || (facts[slot].content.is_some() && !entry.contains(&slot));
        let mut read_later = vec![false; facts.len()];
        let mut on_backend = vec![false; facts.len()];
        for slot in &outputs {
            read_later[*slot] = true;
        }
        let mut planned = Vec::with_capacity(steps.len());
        // Backwards: the first reader met is the last to run.
        for step in steps.into_iter().rev() {
            if !step.outputs.is_empty() && step.outputs.iter().flatten().all(|slot| is_resident(*slot)) {
                continue;
            }
            let Step { node, operator, attributes, inputs, outputs, bodies } = step;
            let targets = outputs.iter().map(|slot| slot.filter(|slot| read_later[*slot])).collect();
            let kernel = backend::kernel::<B>(operator);
            let mut operands = vec![None; inputs.len()];
            for (operand, slot) in operands.iter_mut().zip(&inputs).rev() {
                let Some(slot) = *slot else { continue };
                let is_last = !read_later[slot] && !is_resident(slot);
                read_later[slot] = true;
                on_backend[slot] |= kernel.is_some();
                *operand = Some(Operand { slot, is_last });
            }
            let bodies = planned_bodies(bodies, inputs.len());
            planned.push(PlannedStep {
                node,
                operator,
                kernel,
                attributes,
                inputs: operands,
                outputs: targets,
                bodies,
            });
        }
        planned.reverse();
        let mut resident = Vec::new();
        for slot in (0..facts.len()).filter(|slot| read_later[*slot] && is_resident(*slot)) {
            let source = match (weights.get(&slot), &facts[slot].content) {
                (Some(weight), _) => Source::Weight(weight.clone()),
                (None, Some(content)) => Source::Folded(Arc::clone(content)),
                (None, None) => unreachable!("what is resident is a weight or has content"),
            };
            resident.push(Resident { slot, source, on_backend: on_backend[slot] });
        }
        // What is resident holds its elements; those of other constants are not needed again.
        let facts = facts.into_iter().map(|fact| Fact { content: None, ..fact }).collect();
        Self { steps: planned, facts, entry, resident, outputs }
    }
}

/// Bodies, whose captured values are the last inputs of their step.
fn planned_bodies<B: Backend>(bodies: Vec<Body>, inputs: usize) -> Vec<PlannedBody<B>> {
    let all: usize = bodies.iter().map(|body| body.trace.captures.len()).sum();
    let mut first = inputs - all;
    let plan = |body: Body| {
        let Body { index: _, trace, inputs, outputs } = body;
        let captured = first..first + trace.captures.len();
        first = captured.end;
        let entry = inputs.into_iter().chain(trace.captures.iter().map(|(_, inner)| *inner)).collect();
        PlannedBody { plan: Plan::of_trace(trace, entry, outputs, &BTreeMap::new()), captured }
    };
    bodies.into_iter().map(plan).collect()
}
