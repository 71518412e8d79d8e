//! One request on its way through the plan.

use std::{cell::Cell, collections::BTreeMap, rc::Rc, sync::Arc};

use burn::backend::{Backend, TensorMetadata};

use super::{
    host::HostStep,
    limits::ExecLimits,
    measure::{Size, charge, size, within},
    plan::{Kernel, Plan, PlannedStep, Target},
    program::Program,
    reading::bytes,
    request::RunError,
    value::Value,
};
use crate::{
    array::Array,
    ir::{Dim, ValueInfo},
    ops::{
        Attributes, Bindings, Call, Extent, Fact, Inference, Operator, ShapeError,
        backend::{BackendCall, BackendKernel},
        host::{Packed, Team},
    },
    tensor::{DType, Tensor},
};

/// Values by slot, and how much memory they take together.
#[derive(Debug)]
pub(super) struct Run<'a, B: Backend> {
    pub(super) plan: &'a Plan<B>,
    pub(super) crew: &'a Crew<'a, B>,
    pub(super) values: Vec<Option<Value<B>>>,
    pub(super) live_bytes: u64,
    /// Iterations of all loops so far, nested ones included.
    iterations: Rc<Cell<u64>>,
    /// What is known of the extents, with the memory in which planned values lie; bodies have none.
    pub(super) planned: Option<Planned<'a>>,
}

/// What all parts of a run share.
#[derive(Debug)]
pub(super) struct Crew<'a, B: Backend> {
    pub(super) limits: &'a ExecLimits,
    pub(super) device: &'a B::Device,
    /// Weights in panels, by their numbers.
    pub(super) packed: &'a [Packed],
    pub(super) team: &'a Team,
}

/// A program and its arena.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    pub(super) program: &'a Program,
    pub(super) arena: &'a mut [u8],
}

/// Element type and extents of an output, the largest possible ones.
pub(super) type Spec = (DType, Vec<usize>);

impl<'a, B: Backend> Run<'a, B> {
    /// Begins with the resident values and the inputs.
    pub(super) fn new(
        plan: &'a Plan<B>,
        crew: &'a Crew<'a, B>,
        resident: Vec<Option<Value<B>>>,
        resident_bytes: u64,
        planned: Planned<'a>,
        inputs: impl Iterator<Item = Tensor>,
    ) -> Self {
        let Planned { program, arena } = planned;
        let live_bytes = resident_bytes.saturating_add(arena.len() as u64).saturating_add(program.known_bytes);
        let mut values = resident;
        for (slot, tensor) in plan.entry.iter().zip(inputs) {
            match &program.places[*slot] {
                Some(place) => {
                    let place = &mut arena[place.clone()];
                    place.copy_from_slice(tensor.data());
                    if tensor.dtype() == DType::Bool {
                        // Any bit is a truth, and kernels that move bytes pass them on.
                        place.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
                    }
                }
                None => values[*slot] = Some(Value::Host(Arc::new(Array::of_tensor(&tensor)))),
            }
        }
        for (slot, content) in &program.known {
            values[*slot] = Some(Value::Host(Arc::clone(content)));
        }
        let planned = Some(Planned { program, arena });
        Self { plan, crew, values, live_bytes, iterations: Rc::default(), planned }
    }

    /// A run of a body, while this one waits.
    pub(super) fn inside<'b>(
        &'b self,
        plan: &'b Plan<B>,
        values: Vec<Option<Value<B>>>,
        live_bytes: u64,
    ) -> Run<'b, B> {
        Run { plan, crew: self.crew, values, live_bytes, iterations: Rc::clone(&self.iterations), planned: None }
    }

    /// Counts an iteration and returns how many there were.
    pub(super) fn iterated(&self) -> u64 {
        let count = self.iterations.get() + 1;
        self.iterations.set(count);
        count
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Charges again for operands that were taken since so much was live, and says how much that is.
    pub(super) fn hold_back(&mut self, before: u64) -> u64 {
        let taken = before.saturating_sub(self.live_bytes);
        self.live_bytes = before;
        taken
    }

    /// Ends a charge.
    pub(super) fn let_go(&mut self, taken: u64) {
        self.live_bytes = self.live_bytes.saturating_sub(taken);
    }

    pub(super) fn limits(&self) -> &'a ExecLimits {
        self.crew.limits
    }

    #[cfg(test)]
    pub(super) fn is_on_backend(&self, slot: usize) -> bool {
        matches!(self.values[slot], Some(Value::Backend(_)))
    }

    /// What the plan wants, once its steps have run.
    pub(super) fn wanted(&self) -> Vec<Value<B>> {
        self.plan.outputs.iter().map(|slot| self.value(*slot)).collect()
    }

    /// Runs one operator of which not everything was known: sizes first, then the kernel.
    pub(super) fn step(&mut self, step: &PlannedStep<B>) -> Result<(), RunError> {
        if self.crew.team.is_over() {
            return Err(RunError::Deadline { node: step.node.clone() });
        }
        if let Some(control) = step.operator.control {
            let made = self.control(step, control)?;
            for (target, value) in step.outputs.iter().zip(made) {
                self.hold(*target, value);
            }
            return within(self.live_bytes, 0, self.crew.limits);
        }
        let attributes = Attributes::checked(step.operator.attributes, &step.attributes);
        let read: Vec<_> =
            step.inputs.iter().map(|operand| self.size_of(operand.as_ref())).collect::<Result<_, _>>()?;
        let mut facts: Vec<_> = step.inputs.iter().map(|operand| self.fact(operand.as_ref())).collect();
        let asked = step.outputs.len();
        let mut shapes = (step.operator.infer)(&Inference { attributes, inputs: &facts, asked });
        if is_open(&shapes) {
            // Elements decide the extents, so they have to be on the host.
            for operand in step.inputs.iter().flatten() {
                self.fetch(operand.slot)?;
            }
            facts = step.inputs.iter().map(|operand| self.fact(operand.as_ref())).collect();
            shapes = (step.operator.infer)(&Inference { attributes, inputs: &facts, asked });
        }
        let shapes = shapes.map_err(|source| RunError::Fit { node: step.node.clone(), source })?;
        let inference = Inference { attributes, inputs: &facts, asked };
        let dtypes = made_types(step.operator, &inference, shapes.len());
        let (specs, sizes) = self.specs(dtypes, &shapes)?;
        let is_exact = !shapes.iter().flatten().any(|extent| matches!(extent, Extent::AtMost(_)));
        let host = if is_exact { HostStep::of(step, &facts, specs.clone(), self.crew.team.threads()) } else { None };
        let backend = match &step.kernel {
            Kernel::Backend(kernel) if is_for_backend(&facts, &specs) && (kernel.fits)(&inference) => Some(kernel),
            Kernel::Plain | Kernel::Host(..) | Kernel::Backend(_) => None,
        };
        let is_plain = host.is_none() && backend.is_none();
        let numbers = host.as_ref().map_or(0, |host| host.scratch_numbers as u64);
        let scratch = numbers.saturating_mul(size_of::<f32>() as u64);
        let more = charge(is_plain.then_some(step.operator.scratch_bytes), &read, &sizes).saturating_add(scratch);
        within(self.live_bytes, more, self.crew.limits)?;
        drop(facts);
        let made = match (host, backend) {
            (Some(host), _) => self.host_kernel(step, &host)?,
            (None, Some(kernel)) => vec![self.backend_kernel(step, kernel, attributes, &specs)?],
            (None, None) => self.plain_kernel(step, attributes, &specs)?,
        };
        if self.crew.team.is_over() {
            return Err(RunError::Deadline { node: step.node.clone() });
        }
        self.keep(step, made, &specs, &shapes)
    }

    /// The signature's outputs, compared with what it says of them.
    pub(super) fn outputs(
        &self,
        infos: &[ValueInfo],
        bindings: &Bindings,
    ) -> Result<BTreeMap<String, Tensor>, RunError> {
        let (mut outputs, mut copied) = (BTreeMap::new(), 0_u64);
        for (info, slot) in infos.iter().zip(&self.plan.outputs) {
            copied = copied.saturating_add(self.bytes_of(*slot));
            within(self.live_bytes, copied, self.crew.limits)?;
            let made = self.tensor(*slot)?;
            let fits = |(dim, extent): (&Dim, &u64)| match dim {
                Dim::Fixed(stated) => stated == extent,
                Dim::Symbol(symbol) => bindings.get(symbol).is_none_or(|bound| bound == extent),
            };
            if made.shape().len() != info.shape.len() || !info.shape.iter().zip(made.shape()).all(fits) {
                let (output, stated, got) = (info.name.clone(), info.shape.clone(), made.shape().to_vec());
                return Err(RunError::Output { output, stated, got });
            }
            outputs.insert(info.name.clone(), made);
        }
        Ok(outputs)
    }

    fn specs(&self, dtypes: Vec<DType>, shapes: &[Vec<Extent>]) -> Result<(Vec<Spec>, Vec<Size>), RunError> {
        let most = self.crew.limits.elements_max;
        let mut specs = Vec::with_capacity(shapes.len());
        let mut sizes = Vec::with_capacity(shapes.len());
        for (dtype, shape) in dtypes.into_iter().zip(shapes) {
            let extents = shape.iter().map(|extent| extent.evaluate(&Bindings::new()));
            let extents: Vec<u64> = extents.collect::<Option<_>>().ok_or(RunError::Elements { most })?;
            sizes.push(size(dtype, &extents, self.crew.limits)?);
            let host = extents.iter().map(|extent| usize::try_from(*extent)).collect::<Result<_, _>>();
            specs.push((dtype, host.map_err(|_wide| RunError::Elements { most })?));
        }
        Ok((specs, sizes))
    }

    fn backend_kernel(
        &mut self,
        step: &PlannedStep<B>,
        kernel: &BackendKernel<B>,
        attributes: Attributes<'_>,
        specs: &[Spec],
    ) -> Result<Value<B>, RunError> {
        let values = self.operands(step);
        let device = self.crew.device;
        let inputs = values.into_iter().map(|value| value?.into_backend(device)).collect();
        let call = BackendCall { attributes, shape: &specs[0].1 };
        let made = (kernel.run)(&call, inputs);
        let (expected, got) = (specs[0].1.clone(), made.shape().to_vec());
        if expected != got {
            return Err(RunError::Kernel { node: step.node.clone(), expected, got });
        }
        Ok(Value::Backend(made))
    }

    fn plain_kernel(
        &mut self,
        step: &PlannedStep<B>,
        attributes: Attributes<'_>,
        specs: &[Spec],
    ) -> Result<Vec<Value<B>>, RunError> {
        assert!(step.bounds.is_none(), "only host kernels, which always fit there, are given bounds");
        let values = self.operands(step).into_iter().map(|value| value.map(Value::into_host).transpose());
        let inputs: Vec<_> = values.collect::<Result<_, _>>().map_err(RunError::Backend)?;
        let call = Call { attributes, inputs: &inputs, outputs: specs };
        let made = (step.operator.kernel)(&call);
        let made = made.map_err(|source| RunError::Refused { node: step.node.clone(), source })?;
        Ok(made.into_iter().map(|array| Value::Host(Arc::new(array))).collect())
    }

    /// Compares what a kernel made with what the shape function said, and keeps what is read later.
    fn keep(
        &mut self,
        step: &PlannedStep<B>,
        made: Vec<Value<B>>,
        specs: &[Spec],
        shapes: &[Vec<Extent>],
    ) -> Result<(), RunError> {
        assert_eq!(made.len(), specs.len(), "a kernel makes what its shape function has extents for");
        for (position, value) in made.into_iter().enumerate() {
            let (dtype, expected) = &specs[position];
            let got = value.shape();
            let fits = got.len() == expected.len()
                && got.iter().zip(expected).zip(&shapes[position]).all(|((got, expected), extent)| match extent {
                    Extent::AtMost(_) => got <= expected,
                    Extent::Product { .. } | Extent::Unknown => got == expected,
                });
            if !fits || value.dtype() != *dtype {
                return Err(RunError::Kernel { node: step.node.clone(), expected: expected.clone(), got });
            }
            self.hold(step.outputs.get(position).copied().flatten(), value);
        }
        Ok(())
    }

    /// Keeps a value if anything reads it later.
    pub(super) fn hold(&mut self, target: Target, value: Value<B>) {
        if let Some(slot) = target {
            self.live_bytes = self.live_bytes.saturating_add(bytes(&value));
            self.values[slot] = Some(value);
        }
    }
}

/// Whether extents depend on elements that are not at hand.
fn is_open(shapes: &Result<Vec<Vec<Extent>>, ShapeError>) -> bool {
    match shapes {
        Ok(shapes) => shapes.iter().flatten().any(|extent| *extent == Extent::Unknown),
        Err(error) => *error == ShapeError::Unknown,
    }
}

/// Element types of the outputs.
fn made_types(operator: &Operator, inference: &Inference<'_>, count: usize) -> Vec<DType> {
    operator.dtypes(inference, count).expect("the check of the graph decided them with the same table")
}

/// Backend kernels take and make no other floats than `FP32`, and no empty tensors.
fn is_for_backend(facts: &[Option<Fact>], specs: &[Spec]) -> bool {
    let [(DType::F32, made)] = specs else { return false };
    let is_fit = |fact: &Fact| {
        let is_filled = fact.shape.as_ref().is_some_and(|shape| !shape.contains(&Extent::counted(0)));
        is_filled && (fact.dtype == DType::F32 || !fact.dtype.is_float())
    };
    !made.contains(&0)
        && facts.iter().flatten().all(is_fit)
        && facts.first().is_some_and(|fact| fact.as_ref().is_some_and(|fact| fact.dtype == DType::F32))
}
