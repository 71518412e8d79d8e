//! The order of work for a checked graph, with the moment at which each buffer is no longer needed.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use burn::backend::Backend;

use super::{
    engine::Engine,
    fusion::{Bounds, Fused, Fusion},
};
use crate::{
    array::Array,
    bodies::Body,
    check::GraphError,
    ir::{Graph, NamedAttribute},
    ops::{
        Attributes, Fact, Inference, Operator,
        backend::{self, BackendKernel},
        host::{self, HostKernel, Isa},
    },
    tensor::DType,
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
    /// Weights that host kernels read from panels.
    pub(super) packings: Vec<Packing>,
    /// Slots of what is wanted.
    pub(super) outputs: Vec<usize>,
    pub(super) fusions: Vec<Fusion>,
}

/// A constant right factor that is kept in panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packing {
    pub(super) slot: usize,
    pub(super) isa: Isa,
    pub(super) inner: usize,
    pub(super) columns: usize,
    /// What lies at the slot are columns.
    pub(super) is_transposed: bool,
}

/// What may take the place of the plain kernel.
#[derive(Debug)]
pub(super) enum Kernel<B: Backend> {
    Plain,
    Host(Isa, HostKernel),
    Backend(BackendKernel<B>),
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
    pub(super) home: Home,
}

/// Where a resident value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Host,
    /// Some backend kernel reads it.
    Backend,
    /// All that read it read its panels.
    Panels,
}

/// Where a resident value comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A weight, by name.
    Weight(String),
    /// Known since the graph was checked: a small weight, or computed from such.
    Known(Arc<Array>),
}

/// One operator application.
#[derive(Debug)]
pub(super) struct PlannedStep<B: Backend> {
    /// The node's name, for messages.
    pub(super) node: String,
    pub(super) operator: &'static Operator,
    pub(super) kernel: Kernel<B>,
    /// The input that is read from panels, and its number among those of the plan.
    pub(super) packed: Option<(usize, usize)>,
    /// What the kernel does with its results at the end; only host kernels are given any.
    pub(super) bounds: Option<Bounds>,
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
    pub(super) fn of(graph: &Graph, weights: &Weights, engine: Engine) -> Result<Self, GraphError> {
        let trace = Trace::of(graph, weights)?;
        let outputs = trace.outputs(&graph.signature.outputs)?;
        let inputs = graph.signature.inputs.len();
        let weights = graph.weights.iter().enumerate().map(|(at, weight)| (inputs + at, weight.name.clone())).collect();
        Ok(Self::of_trace(trace, (0..inputs).collect(), outputs, Some(&weights), engine))
    }

    /// Plans a checked graph or body; `weights` are the slots of a graph whose values come from the file.
    fn of_trace(
        mut trace: Trace,
        entry: Vec<usize>,
        outputs: Vec<usize>,
        weights: Option<&BTreeMap<usize, String>>,
        engine: Engine,
    ) -> Self {
        let Fused { steps, fusions } = match engine {
            Engine::Host(_) => Fused::of(&mut trace, &outputs),
            Engine::Backend => Fused::none(std::mem::take(&mut trace.steps)),
        };
        let facts = trace.facts;
        let is_weight = |slot: usize| weights.is_some_and(|weights| weights.contains_key(&slot));
        let mut readings = Readings {
            is_resident: (0..facts.len())
                .map(|slot| is_weight(slot) || (facts[slot].content.is_some() && !entry.contains(&slot)))
                .collect(),
            read_later: vec![false; facts.len()],
            as_is: vec![false; facts.len()],
            on_backend: vec![false; facts.len()],
            // Panels have numbers of the whole model, and bodies no weights of their own.
            packings: weights.map(|_| Vec::new()),
            facts,
        };
        for slot in &outputs {
            readings.read_later[*slot] = true;
            readings.as_is[*slot] = true;
        }
        let mut planned = Vec::with_capacity(steps.len());
        // Backwards: the first reader met is the last to run.
        for (step, bounds) in steps.into_iter().rev() {
            let is_resident = |slot: &usize| readings.is_resident[*slot];
            if step.outputs.is_empty() || !step.outputs.iter().flatten().all(is_resident) {
                planned.push(PlannedStep { bounds, ..readings.step(step, engine) });
            }
        }
        planned.reverse();
        let resident = readings.resident(weights);
        let Readings { facts, packings, .. } = readings;
        let packings = packings.unwrap_or_default();
        // The elements of what requests make are not needed again.
        let kept: Vec<_> = resident.iter().map(|resident| resident.slot).collect();
        let forget = |(slot, fact): (usize, Fact)| match kept.binary_search(&slot) {
            Ok(_) => fact,
            Err(_) => Fact { content: None, ..fact },
        };
        let facts = facts.into_iter().enumerate().map(forget).collect();
        Self { steps: planned, facts, entry, resident, packings, outputs, fusions }
    }
}

/// Who reads which slot, while a plan is made from its end.
struct Readings {
    is_resident: Vec<bool>,
    read_later: Vec<bool>,
    /// Some reader wants the elements themselves, not panels of them.
    as_is: Vec<bool>,
    on_backend: Vec<bool>,
    /// `None` where nothing is packed.
    packings: Option<Vec<Packing>>,
    facts: Vec<Fact>,
}

impl Readings {
    fn step<B: Backend>(&mut self, step: Step, engine: Engine) -> PlannedStep<B> {
        let Step { node, operator, attributes, inputs, outputs, bodies } = step;
        let targets: Vec<_> = outputs.iter().map(|slot| slot.filter(|slot| self.read_later[*slot])).collect();
        let kernel = match engine {
            Engine::Host(isa) => host::kernel(operator).map_or(Kernel::Plain, |kernel| Kernel::Host(isa, kernel)),
            Engine::Backend => backend::kernel::<B>(operator).map_or(Kernel::Plain, Kernel::Backend),
        };
        let packed = match &kernel {
            Kernel::Host(isa, kernel) => self.packed(*isa, kernel, operator, &attributes, &inputs, outputs.len()),
            Kernel::Plain | Kernel::Backend(_) => None,
        };
        let mut operands = vec![None; inputs.len()];
        for (position, (operand, slot)) in operands.iter_mut().zip(&inputs).enumerate().rev() {
            let Some(slot) = *slot else { continue };
            let is_last = !self.read_later[slot] && !self.is_resident[slot];
            self.read_later[slot] = true;
            self.as_is[slot] |= packed.is_none_or(|(input, _)| input != position);
            self.on_backend[slot] |= matches!(kernel, Kernel::Backend(_));
            *operand = Some(Operand { slot, is_last });
        }
        let bodies = planned_bodies(bodies, inputs.len(), engine);
        PlannedStep {
            node,
            operator,
            kernel,
            packed,
            bounds: None,
            attributes,
            inputs: operands,
            outputs: targets,
            bodies,
        }
    }

    /// The number of the panels from which a step reads an input, if that is a constant matrix and the
    /// kernel will run whatever a request brings.
    fn packed(
        &mut self,
        isa: Isa,
        kernel: &HostKernel,
        operator: &'static Operator,
        given: &[NamedAttribute],
        inputs: &[Option<usize>],
        asked: usize,
    ) -> Option<(usize, usize)> {
        let attributes = Attributes::checked(operator.attributes, given);
        let panels = (kernel.packs)(&attributes)?;
        let slot = (*inputs.get(panels.input)?)?;
        let fact = &self.facts[slot];
        let (inner, columns) = match fact.extents()?[..] {
            [columns, inner] if panels.is_transposed => (inner, columns),
            [inner, columns] => (inner, columns),
            _ => return None,
        };
        let facts: Vec<_> = inputs.iter().map(|slot| slot.map(|slot| self.facts[slot].clone())).collect();
        let fits = (kernel.fits)(&Inference { attributes, inputs: &facts, asked });
        if !self.is_resident[slot] || fact.dtype != DType::F32 || !fits {
            return None;
        }
        let packing = Packing { slot, isa, inner, columns, is_transposed: panels.is_transposed };
        let packings = self.packings.as_mut()?;
        let number = packings.iter().position(|other| *other == packing).unwrap_or_else(|| {
            packings.push(packing);
            packings.len() - 1
        });
        Some((panels.input, number))
    }

    /// What stays between requests.
    fn resident(&self, weights: Option<&BTreeMap<usize, String>>) -> Vec<Resident> {
        let mut resident = Vec::new();
        for slot in (0..self.facts.len()).filter(|slot| self.read_later[*slot] && self.is_resident[*slot]) {
            let source = match (&self.facts[slot].content, weights.and_then(|weights| weights.get(&slot))) {
                (Some(content), _) => Source::Known(Arc::clone(content)),
                (None, Some(weight)) => Source::Weight(weight.clone()),
                (None, None) => unreachable!("what is resident is a weight or has content"),
            };
            let home = match (self.on_backend[slot], self.as_is[slot]) {
                (true, _) => Home::Backend,
                (false, true) => Home::Host,
                (false, false) => Home::Panels,
            };
            resident.push(Resident { slot, source, home });
        }
        resident
    }
}

/// Bodies, whose captured values are the last inputs of their step.
fn planned_bodies<B: Backend>(bodies: Vec<Body>, inputs: usize, engine: Engine) -> Vec<PlannedBody<B>> {
    let all: usize = bodies.iter().map(|body| body.trace.captures.len()).sum();
    let mut first = inputs - all;
    let plan = |body: Body| {
        let Body { index: _, trace, inputs, outputs } = body;
        let captured = first..first + trace.captures.len();
        first = captured.end;
        let entry = inputs.into_iter().chain(trace.captures.iter().map(|(_, inner)| *inner)).collect();
        PlannedBody { plan: Plan::of_trace(trace, entry, outputs, None, engine), captured }
    };
    bodies.into_iter().map(plan).collect()
}
