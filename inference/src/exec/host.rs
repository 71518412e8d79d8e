//! Steps that host kernels run: in the arena where extents are known before, else in memory of their own.

use std::{ops::Range, sync::Arc};

use burn::backend::Backend;
use bytemuck::cast_slice_mut;
use smallvec::SmallVec;

use super::{
    arena::Carved,
    plan::{Kernel, Operand, PlannedStep},
    request::RunError,
    run::{Crew, Planned, Run, Spec},
    value::Value,
};
use crate::{
    array::Array,
    data::Data,
    ops::{
        Attributes, Fact, Inference,
        host::{Geometry, HostCall, HostKernel, Isa, Target, View, elements_mut},
    },
    tensor::DType,
};

/// Most results of a host kernel.
const RESULTS_MAX: usize = 3;

/// A call of a host kernel of which everything but the memory is known.
#[derive(Debug)]
pub(super) struct HostStep {
    kernel: HostKernel,
    isa: Isa,
    inputs: Vec<Option<Spec>>,
    outputs: Vec<Spec>,
    /// Numbers that it works with besides.
    pub(super) scratch_numbers: usize,
}

impl HostStep {
    /// `None` where a step has no host kernel, or it does not fit, or not everything is known.
    pub(super) fn of<B: Backend>(
        step: &PlannedStep<B>,
        facts: &[Option<Fact>],
        outputs: Vec<Spec>,
        threads: usize,
    ) -> Option<Self> {
        let Kernel::Host(isa, kernel) = step.kernel else { return None };
        let attributes = Attributes::checked(step.operator.attributes, &step.attributes);
        let fits = (kernel.fits)(&Inference { attributes, inputs: facts, asked: step.outputs.len() });
        if !fits || outputs.len() > RESULTS_MAX {
            return None;
        }
        let spec = |fact: &Fact| Some((fact.dtype, fact.extents()?));
        let inputs = facts.iter().map(|fact| fact.as_ref().map_or(Some(None), |fact| spec(fact).map(Some)));
        let inputs: Vec<_> = inputs.collect::<Option<_>>()?;
        let is_packed = step.packed.is_some();
        let geometry = Geometry { attributes, inputs: &inputs, outputs: &outputs, isa, threads, is_packed };
        let scratch_numbers = (kernel.scratch)(&geometry);
        Some(Self { kernel, isa, inputs, outputs, scratch_numbers })
    }

    fn run<'r, B: Backend>(
        &self,
        step: &PlannedStep<B>,
        crew: &Crew<'_, B>,
        elements: &[&[u8]],
        results: impl IntoIterator<Item = &'r mut [u8]>,
        scratch: &mut [f32],
    ) {
        let views: SmallVec<[_; 6]> = self
            .inputs
            .iter()
            .zip(elements)
            .map(|(spec, bytes)| spec.as_ref().map(|(dtype, shape)| View { dtype: *dtype, shape, bytes }))
            .collect();
        let mut outputs: [_; RESULTS_MAX] = std::array::from_fn(|_| Target { shape: &[], bytes: &mut [] });
        for ((output, (_, shape)), bytes) in outputs.iter_mut().zip(&self.outputs).zip(results) {
            *output = Target { shape, bytes };
        }
        (self.kernel.run)(&mut HostCall {
            isa: self.isa,
            team: crew.team,
            attributes: Attributes::checked(step.operator.attributes, &step.attributes),
            inputs: &views,
            packed: step.packed.map(|(_, number)| &crew.packed[number]),
            bounds: step.bounds,
            outputs: &mut outputs[..self.outputs.len()],
            scratch,
        });
    }
}

impl<B: Backend> Run<'_, B> {
    /// Runs a step whose extents are known, from the arena into the arena.
    pub(super) fn host_step(
        &mut self,
        step: &PlannedStep<B>,
        call: &HostStep,
        scratch: &Range<usize>,
    ) -> Result<(), RunError> {
        self.write_planned(step, call, scratch);
        if self.crew.team.is_over() {
            return Err(RunError::Deadline { node: step.node.clone() });
        }
        self.pass(step);
        Ok(())
    }

    fn write_planned(&mut self, step: &PlannedStep<B>, call: &HostStep, scratch: &Range<usize>) {
        let Some(Planned { program, arena }) = &mut self.planned else { unreachable!("bodies have no program") };
        let places = step.outputs.iter().flatten().filter_map(|slot| program.places[*slot].as_ref());
        let mut carved = Carved::new(arena, places.chain([scratch]));
        let bytes = |operand: &Operand| match (&self.values[operand.slot], &program.places[operand.slot]) {
            (Some(Value::Host(array)), _) => array.data().bytes(),
            (None, Some(place)) => carved.read(place),
            // Read from panels.
            (None, None) | (Some(Value::Backend(_)), _) => &[],
        };
        let elements: SmallVec<[_; 6]> =
            step.inputs.iter().map(|operand| operand.as_ref().map_or(&[][..], bytes)).collect();
        let scratch = carved.written.pop().expect("the range named last");
        call.run(step, self.crew, &elements, carved.written, elements_mut(scratch));
    }

    /// Runs a host kernel on values outside the arena.
    pub(super) fn host_kernel(&mut self, step: &PlannedStep<B>, call: &HostStep) -> Result<Vec<Value<B>>, RunError> {
        let values = self.operands(step).into_iter().map(|value| value.map(Value::into_host).transpose());
        let arrays: Vec<_> = values.collect::<Result<_, _>>().map_err(RunError::Backend)?;
        // What is left out, or read from panels, has no elements.
        let elements: Vec<_> =
            arrays.iter().map(|array| array.as_ref().map_or(&[][..], |array| array.data().bytes())).collect();
        let mut scratch = vec![0.0; call.scratch_numbers];
        let made = |(dtype, shape): &Spec| Made::new(*dtype, shape.iter().product());
        let mut made: Vec<_> = call.outputs.iter().map(made).collect();
        call.run(step, self.crew, &elements, made.iter_mut().map(Made::bytes), &mut scratch);
        let value = |((_, shape), made): (&Spec, Made)| Value::Host(Arc::new(Array::new(shape.clone(), made.data())));
        Ok(call.outputs.iter().zip(made).map(value).collect())
    }
}

/// Memory for a result that becomes elements.
enum Made {
    Floats(Vec<f32>),
    /// Type, whole words, bytes and number of the elements.
    Other(DType, Vec<u64>, usize, usize),
}

impl Made {
    fn new(dtype: DType, count: usize) -> Self {
        if dtype == DType::F32 {
            return Self::Floats(vec![0.0; count]);
        }
        let bytes = count * dtype.size_bytes() as usize;
        // Whole words, so that elements of every type may lie there.
        Self::Other(dtype, vec![0; bytes.div_ceil(8)], bytes, count)
    }

    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Floats(values) => cast_slice_mut(values),
            Self::Other(_, words, bytes, _) => &mut cast_slice_mut(words)[..*bytes],
        }
    }

    fn data(mut self) -> Data {
        match self {
            Self::Floats(values) => Data::F32(values),
            Self::Other(dtype, _, _, count) => Data::read(dtype, count, self.bytes()),
        }
    }
}
