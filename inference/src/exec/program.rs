//! A plan for inputs of known extents: what each step does, and where each value lies.
//!
//! Shape functions run once for all requests of the same extents, with the same table as at load.
//! What depends on elements stays open and is decided by each request. Values between host kernels lie
//! in one arena; a value takes the tightest gap that is free while it lives.

use std::{ops::Range, sync::Arc};

use burn::backend::Backend;

use super::{
    arena::Arena,
    host::HostStep,
    limits::ExecLimits,
    measure::{Size, charge, size, within},
    plan::{Kernel, Plan, PlannedStep},
    request::RunError,
};
use crate::{
    array::Array,
    check::NodeFault,
    folding,
    ops::{Attributes, Extent, Fact, Inference, ShapeError},
    tensor::DType,
};

/// Most work that folding does for the extents of a request, counted as at load.
const FOLDING_MAX: u64 = 1 << 20;

/// What a plan does for requests of the same extents.
#[derive(Debug)]
pub(super) struct Program {
    /// By slot, as far as it is known.
    pub(super) facts: Vec<Fact>,
    /// By slot, for values that lie in the arena.
    pub(super) places: Vec<Option<Range<usize>>>,
    /// By step of the plan.
    pub(super) actions: Vec<Action>,
    /// Values that follow from extents alone, by slot, and their bytes.
    pub(super) known: Vec<(usize, Arc<Array>)>,
    pub(super) known_bytes: u64,
    /// Bytes of the arena.
    pub(super) arena_bytes: usize,
    /// Bytes at the peak, what is resident included, as far as it is known before a request runs.
    pub(super) peak_bytes: u64,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Action {
    /// Its results follow from extents alone, or nothing reads them.
    Known,
    /// Its result is its first input with other extents.
    Alias,
    /// A host kernel writes the results into the arena, where it has memory to work with.
    Host { call: Box<HostStep>, scratch: Range<usize> },
    /// Decided when it runs.
    Open,
}

/// Operators whose result has the elements of the first input in the same order.
const ALIASES: &[&str] = &["Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];

impl Program {
    /// Resolves a plan for the extents of its inputs.
    pub(super) fn of<B: Backend>(
        plan: &Plan<B>,
        given: &[Vec<u64>],
        limits: &ExecLimits,
        resident_bytes: u64,
        threads: usize,
    ) -> Result<Self, RunError> {
        let facts = resolve(plan, given, limits)?;
        let mut build = Builder {
            arena: Arena::default(),
            places: vec![None; facts.len()],
            readers: readers(plan),
            roots: (0..facts.len()).collect(),
            facts,
            threads,
        };
        for slot in &plan.entry {
            build.place(*slot);
        }
        let actions: Vec<_> = plan.steps.iter().map(|step| build.action(step)).collect();
        let Builder { arena, places, facts, .. } = build;
        let made = |slot: &usize| plan.facts[*slot].content.is_none();
        let known: Vec<_> = (0..facts.len())
            .filter(made)
            .filter_map(|slot| Some((slot, Arc::clone(facts[slot].content.as_ref()?))))
            .collect();
        let known_bytes = known.iter().map(|(_, array)| array.len() as u64 * array.dtype().size_bytes()).sum();
        let arena_bytes = arena.bytes();
        let mut program = Self { facts, places, actions, known, known_bytes, arena_bytes, peak_bytes: 0 };
        program.peak_bytes = program.peak(plan, limits, resident_bytes)?;
        Ok(program)
    }

    /// Adds up what lies outside the arena at each step, as the run will, and refuses what exceeds the
    /// bound. What only the run can tell is compared then, each time before it is allocated.
    fn peak<B: Backend>(&self, plan: &Plan<B>, limits: &ExecLimits, resident_bytes: u64) -> Result<u64, RunError> {
        let held = resident_bytes.saturating_add(self.arena_bytes as u64).saturating_add(self.known_bytes);
        let mut live = held;
        within(live, 0, limits)?;
        let mut most = live;
        let sizes: Vec<_> = self.facts.iter().map(|fact| known_size(fact, limits)).collect::<Result<_, _>>()?;
        let outside = |slot: usize| if self.places[slot].is_some() { 0 } else { sizes[slot].bytes };
        for (step, action) in plan.steps.iter().zip(&self.actions) {
            if !matches!(action, Action::Open) {
                continue;
            }
            let made: Vec<_> = step.outputs.iter().flatten().map(|slot| sizes[*slot]).collect();
            let read: Vec<_> = step.inputs.iter().flatten().map(|operand| sizes[operand.slot]).collect();
            let makes_floats = step.outputs.iter().flatten().all(|slot| self.facts[*slot].dtype == DType::F32);
            // Which kernel it will be is known when it runs; then the plain one is charged for itself.
            let is_plain = match &step.kernel {
                Kernel::Plain => true,
                Kernel::Backend(_) => !makes_floats,
                Kernel::Host(..) => false,
            };
            let scratch = is_plain.then_some(step.operator.scratch_bytes);
            let more = charge(scratch, &read, &made);
            within(live, more, limits)?;
            most = most.max(live.saturating_add(more));
            live = step.outputs.iter().flatten().fold(live, |live, slot| live.saturating_add(outside(*slot)));
            for operand in step.inputs.iter().flatten().filter(|operand| operand.is_last) {
                live = live.saturating_sub(outside(operand.slot)).max(held);
            }
        }
        // Results leave as copies.
        let copies = plan.outputs.iter().fold(0_u64, |sum, slot| sum.saturating_add(sizes[*slot].bytes));
        within(live, copies, limits)?;
        Ok(most.max(live.saturating_add(copies)))
    }
}

/// What is known of every slot, once the inputs have extents.
fn resolve<B: Backend>(plan: &Plan<B>, given: &[Vec<u64>], limits: &ExecLimits) -> Result<Vec<Fact>, RunError> {
    let most = limits.elements_max;
    let mut facts = plan.facts.clone();
    for (slot, extents) in plan.entry.iter().zip(given) {
        let known = extents.iter().map(|extent| Extent::fixed(*extent)).collect::<Option<_>>();
        facts[*slot].shape = Some(known.ok_or(RunError::Elements { most })?);
        known_size(&facts[*slot], limits)?;
    }
    let mut folding_left = FOLDING_MAX;
    for step in &plan.steps {
        if step.operator.control.is_some() {
            continue;
        }
        let attributes = Attributes::checked(step.operator.attributes, &step.attributes);
        let inputs: Vec<_> = step.inputs.iter().map(|operand| operand.map(|at| facts[at.slot].clone())).collect();
        let inference = Inference { attributes, inputs: &inputs, asked: step.outputs.len() };
        let made = folding::infer(step.operator, &inference, &mut folding_left);
        let made = made.map_err(|fault| refusal(&step.node, fault))?;
        for (slot, fact) in step.outputs.iter().zip(made) {
            known_size(&fact, limits)?;
            if let Some(slot) = slot {
                facts[*slot] = fact;
            }
        }
    }
    Ok(facts)
}

/// Everything else than extents was decided at load, where a fault is a refusal of the model.
fn refusal(node: &str, fault: NodeFault) -> RunError {
    let node = node.to_owned();
    match fault {
        NodeFault::Shape(source) => RunError::Fit { node, source },
        NodeFault::Undefined { .. }
        | NodeFault::TooManyInputs { .. }
        | NodeFault::MissingInput { .. }
        | NodeFault::InputType { .. }
        | NodeFault::Outputs { .. }
        | NodeFault::OutputType { .. }
        | NodeFault::Body { .. }
        | NodeFault::Attribute(_) => RunError::Fit { node, source: ShapeError::Size },
    }
}

/// How many steps read a slot, outputs of the whole plan counted as read for ever.
fn readers<B: Backend>(plan: &Plan<B>) -> Vec<usize> {
    let mut readers = vec![0; plan.facts.len()];
    for step in &plan.steps {
        for operand in step.inputs.iter().flatten() {
            readers[operand.slot] += 1;
        }
    }
    for slot in &plan.outputs {
        readers[*slot] += 1;
    }
    readers
}

/// Elements and bytes of a value whose extents are all known; nothing of others.
pub(super) fn known_size(fact: &Fact, limits: &ExecLimits) -> Result<Size, RunError> {
    match fact.extents() {
        Some(shape) => size(fact.dtype, &shape.iter().map(|extent| *extent as u64).collect::<Vec<_>>(), limits),
        None => Ok(Size::default()),
    }
}

/// A program in the making.
struct Builder {
    arena: Arena,
    places: Vec<Option<Range<usize>>>,
    /// Readings still to come of what lies at a root.
    readers: Vec<usize>,
    /// The slot whose memory a slot shares; most often itself.
    roots: Vec<usize>,
    facts: Vec<Fact>,
    threads: usize,
}

impl Builder {
    /// Gives a value memory, if its extents are known and its elements lie there as they are written.
    fn place(&mut self, slot: usize) {
        let fact = &self.facts[slot];
        let Some(shape) = fact.extents().filter(|_| !fact.dtype.is_narrow()) else { return };
        let bytes = shape.iter().product::<usize>() * fact.dtype.size_bytes() as usize;
        self.places[slot] = Some(self.arena.take(bytes));
        self.release(slot, 0);
    }

    /// Counts readings of a slot and takes its memory back after the last.
    fn release(&mut self, slot: usize, readings: usize) {
        let root = self.roots[slot];
        self.readers[root] = self.readers[root].saturating_sub(readings);
        if self.readers[root] == 0
            && let Some(place) = &self.places[root]
        {
            self.arena.give(place);
        }
    }

    fn action<B: Backend>(&mut self, step: &PlannedStep<B>) -> Action {
        let action = self.decide(step);
        for operand in step.inputs.iter().flatten() {
            self.release(operand.slot, 1);
        }
        action
    }

    fn decide<B: Backend>(&mut self, step: &PlannedStep<B>) -> Action {
        let wanted = || step.outputs.iter().flatten();
        if step.operator.control.is_none() && wanted().all(|slot| self.facts[*slot].content.is_some()) {
            return Action::Known;
        }
        if let (&[Some(output)], Some(Some(input))) = (&step.outputs[..], step.inputs.first())
            && self.is_alias(step, input.slot, output)
        {
            let root = self.roots[input.slot];
            self.roots[output] = root;
            self.readers[root] += self.readers[output];
            self.places[output] = self.places[root].clone();
            return Action::Alias;
        }
        self.host(step).unwrap_or(Action::Open)
    }

    fn is_alias<B: Backend>(&self, step: &PlannedStep<B>, input: usize, output: usize) -> bool {
        step.operator.domain.is_empty()
            && ALIASES.contains(&step.operator.name)
            && self.places[input].is_some()
            && self.facts[output].extents().is_some()
    }

    fn host<B: Backend>(&mut self, step: &PlannedStep<B>) -> Option<Action> {
        let slots: Vec<_> = step.outputs.iter().copied().collect::<Option<_>>()?;
        let facts: Vec<_> = step.inputs.iter().map(|operand| operand.map(|at| self.facts[at.slot].clone())).collect();
        let made = |slot: &usize| Some((self.facts[*slot].dtype, self.facts[*slot].extents()?));
        let outputs = slots.iter().map(made).collect::<Option<_>>()?;
        let call = Box::new(HostStep::of(step, &facts, outputs, self.threads)?);
        let scratch = self.arena.take(call.scratch_numbers * size_of::<f32>());
        slots.iter().for_each(|slot| self.place(*slot));
        self.arena.give(&scratch);
        Some(Action::Host { call, scratch })
    }
}
