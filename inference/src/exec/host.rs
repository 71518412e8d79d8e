//! Steps that host kernels run: in the arena where extents are known before, else in memory of their own.

use std::sync::Arc;

use burn::backend::Backend;
use bytemuck::cast_slice_mut;
use smallvec::SmallVec;

use super::{
    arena::Carved,
    engine::Engine,
    plan::{Kernel, PlannedStep},
    program::HostStep,
    request::RunError,
    run::{Planned, Run, Spec},
    value::Value,
};
use crate::{
    array::Array,
    data::Data,
    ops::{
        Attributes,
        host::{Geometry, HostCall, HostKernel, Isa, Target, View, elements_mut},
    },
    tensor::DType,
};

/// Most results of a host kernel.
pub(super) const RESULTS_MAX: usize = 3;

impl<B: Backend> Run<'_, B> {
    /// Runs a step whose extents are known, from the arena into the arena.
    pub(super) fn host_step(&mut self, isa: Isa, step: &PlannedStep<B>, known: &HostStep) -> Result<(), RunError> {
        self.write_planned(isa, step, known);
        if self.crew.team.is_over() {
            return Err(RunError::Deadline { node: step.node.clone() });
        }
        self.pass(step);
        Ok(())
    }

    fn write_planned(&mut self, isa: Isa, step: &PlannedStep<B>, known: &HostStep) {
        let Kernel::Host(kernel) = &step.kernel else { unreachable!("a program plans host kernels only") };
        let Some(Planned { program, arena }) = &mut self.planned else { unreachable!("bodies have no program") };
        let places = step.outputs.iter().flatten().filter_map(|slot| program.places[*slot].as_ref());
        let mut carved = Carved::new(arena, places.chain([&known.scratch]));
        let views: SmallVec<[_; 6]> = step
            .inputs
            .iter()
            .zip(&known.inputs)
            .map(|(operand, spec)| {
                let (operand, (dtype, shape)) = (operand.as_ref()?, spec.as_ref()?);
                let bytes = match (&self.values[operand.slot], &program.places[operand.slot]) {
                    (Some(Value::Host(array)), _) => array.data().bytes(),
                    (None, Some(place)) => carved.read(place),
                    // Read from panels.
                    _ => &[],
                };
                Some(View { dtype: *dtype, shape, bytes })
            })
            .collect();
        let scratch = carved.written.pop().unwrap_or_default();
        let mut outputs: [_; RESULTS_MAX] = std::array::from_fn(|_| Target { shape: &[], bytes: &mut [] });
        for ((output, (_, shape)), bytes) in outputs.iter_mut().zip(&known.outputs).zip(carved.written) {
            *output = Target { shape, bytes };
        }
        (kernel.run)(&mut HostCall {
            isa,
            team: self.crew.team,
            attributes: Attributes::checked(step.operator.attributes, &step.attributes),
            inputs: &views,
            packed: step.packed.map(|(_, number)| &self.crew.packed[number]),
            bounds: step.bounds,
            outputs: &mut outputs[..known.outputs.len()],
            scratch: elements_mut(scratch),
        });
    }

    /// Bytes that a host kernel works with, of a step that runs outside the arena.
    pub(super) fn host_scratch_bytes(&self, step: &PlannedStep<B>, attributes: Attributes<'_>, specs: &[Spec]) -> u64 {
        let (Kernel::Host(kernel), Engine::Host(isa)) = (&step.kernel, self.engine()) else { return 0 };
        let inputs: Vec<_> = step.inputs.iter().map(|operand| self.spec(operand.as_ref())).collect();
        let (threads, is_packed) = (self.crew.team.threads(), step.packed.is_some());
        let geometry = Geometry { attributes, inputs: &inputs, outputs: specs, isa, threads, is_packed };
        ((kernel.scratch)(&geometry) as u64).saturating_mul(size_of::<f32>() as u64)
    }

    /// Runs a host kernel on values outside the arena.
    pub(super) fn host_kernel(
        &mut self,
        step: &PlannedStep<B>,
        kernel: &HostKernel,
        attributes: Attributes<'_>,
        specs: &[Spec],
    ) -> Result<Vec<Value<B>>, RunError> {
        let Engine::Host(isa) = self.engine() else { unreachable!("only this engine has host kernels") };
        let packed = step.packed.map(|(input, number)| (input, &self.crew.packed[number]));
        let mut shapes: Vec<_> = step.inputs.iter().map(|operand| self.spec(operand.as_ref())).collect();
        let values = self.operands(step).into_iter().map(|value| value.map(Value::into_host).transpose());
        let arrays: Vec<_> = values.collect::<Result<_, _>>().map_err(RunError::Backend)?;
        for (shape, array) in shapes.iter_mut().zip(&arrays) {
            if let Some(array) = array {
                *shape = Some((array.dtype(), array.shape().to_vec()));
            }
        }
        let views: Vec<_> = shapes
            .iter()
            .zip(&arrays)
            .map(|(spec, array)| {
                let (dtype, shape) = spec.as_ref()?;
                Some(View { dtype: *dtype, shape, bytes: array.as_ref().map_or(&[], |array| array.data().bytes()) })
            })
            .collect();
        let team = self.crew.team;
        let (threads, is_packed) = (team.threads(), step.packed.is_some());
        let geometry = Geometry { attributes, inputs: &shapes, outputs: specs, isa, threads, is_packed };
        let mut scratch = vec![0.0; (kernel.scratch)(&geometry)];
        let mut made: Vec<_> = specs.iter().map(|(dtype, shape)| Made::new(*dtype, shape.iter().product())).collect();
        let written = specs.iter().zip(&mut made);
        let mut outputs: Vec<_> = written.map(|((_, shape), made)| Target { shape, bytes: made.bytes() }).collect();
        (kernel.run)(&mut HostCall {
            isa,
            team,
            attributes,
            inputs: &views,
            packed: packed.map(|(_, packed)| packed),
            bounds: step.bounds,
            outputs: &mut outputs,
            scratch: &mut scratch,
        });
        let value = |((_, shape), made): (&Spec, Made)| Value::Host(Arc::new(Array::new(shape.clone(), made.data())));
        Ok(specs.iter().zip(made).map(value).collect())
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
