//! Reading the values of a run, wherever they lie, and counting their memory.

use std::sync::Arc;

use burn::backend::Backend;

use super::{
    measure::Size,
    plan::{Operand, PlannedStep},
    program::known_size,
    request::RunError,
    run::{Planned, Run, Spec},
    value::Value,
};
use crate::{
    array::Array,
    data::Data,
    ops::Fact,
    tensor::{DType, Tensor},
};

impl<B: Backend> Run<'_, B> {
    /// A value to give away; one that is planned is copied.
    pub(super) fn value(&self, slot: usize) -> Value<B> {
        match &self.values[slot] {
            Some(value) => value.clone(),
            None => {
                let ((dtype, shape), bytes) = self.lying(slot).expect("a value is made before it is read");
                let data = Data::read(dtype, shape.iter().product(), bytes);
                Value::Host(Arc::new(Array::new(shape, data)))
            }
        }
    }

    /// Element type, extents and bytes of a value that lies in the arena.
    pub(super) fn lying(&self, slot: usize) -> Option<(Spec, &[u8])> {
        let Planned { program, arena } = self.planned.as_ref()?;
        let place = program.places[slot].clone()?;
        let fact = &program.facts[slot];
        Some(((fact.dtype, fact.extents()?), &arena[place]))
    }

    /// Bytes that the elements of a value take.
    pub(super) fn bytes_of(&self, slot: usize) -> u64 {
        match &self.values[slot] {
            Some(value) => bytes(value),
            None => self.lying(slot).map_or(0, |(_, bytes)| bytes.len() as u64),
        }
    }

    pub(super) fn tensor(&self, slot: usize) -> Result<Tensor, RunError> {
        if let (None, Some(((dtype, shape), bytes))) = (&self.values[slot], self.lying(slot)) {
            let shape = shape.iter().map(|extent| *extent as u64).collect();
            return Ok(tensor_of(dtype, shape, bytes));
        }
        Ok(self.value(slot).into_host().map_err(RunError::Backend)?.to_tensor())
    }

    pub(super) fn fact(&self, operand: Option<&Operand>) -> Option<Fact> {
        let slot = operand?.slot;
        Some(match (&self.values[slot], &self.planned) {
            (Some(value), _) => value.fact(),
            (None, Some(Planned { program, .. })) => program.facts[slot].clone(),
            // Read from panels only.
            (None, None) => self.plan.facts[slot].clone(),
        })
    }

    pub(super) fn size_of(&self, operand: Option<&Operand>) -> Result<Size, RunError> {
        match self.fact(operand) {
            Some(fact) => known_size(&fact, self.crew.limits),
            None => Ok(Size::default()),
        }
    }

    /// Brings a value to the host for good.
    pub(super) fn fetch(&mut self, slot: usize) -> Result<(), RunError> {
        if matches!(self.values[slot], Some(Value::Host(_))) {
            return Ok(());
        }
        if self.values[slot].is_none() && self.lying(slot).is_none() {
            // Read from panels only, and of no use to a shape function.
            return Ok(());
        }
        let is_copied = self.values[slot].is_none();
        let value = Value::Host(self.value(slot).into_host().map_err(RunError::Backend)?);
        if is_copied {
            self.live_bytes = self.live_bytes.saturating_add(bytes(&value));
        }
        self.values[slot] = Some(value);
        Ok(())
    }

    /// Drops what a step that does nothing would have read last.
    pub(super) fn pass(&mut self, step: &PlannedStep<B>) {
        for operand in step.inputs.iter().flatten().filter(|operand| operand.is_last) {
            self.forget(operand.slot);
        }
    }

    /// Drops a value outside the arena.
    pub(super) fn forget(&mut self, slot: usize) {
        if let Some(value) = self.values[slot].take() {
            self.live_bytes = self.live_bytes.saturating_sub(bytes(&value));
        }
    }

    /// Takes an operand out of its slot when this is its last reading.
    pub(super) fn operand(&mut self, operand: Operand) -> Value<B> {
        if !operand.is_last || self.values[operand.slot].is_none() {
            return self.value(operand.slot);
        }
        let value = self.values[operand.slot].take().expect("looked at just above");
        self.live_bytes = self.live_bytes.saturating_sub(bytes(&value));
        value
    }

    /// Inputs of a step by position, without the one that is read from panels.
    pub(super) fn operands(&mut self, step: &PlannedStep<B>) -> Vec<Option<Value<B>>> {
        let panels = step.packed.map(|(input, _)| input);
        let given = |(position, operand): (usize, &Option<Operand>)| {
            // A value read twice by one step is marked at the last of its places only.
            operand.filter(|_| Some(position) != panels).map(|operand| self.operand(operand))
        };
        step.inputs.iter().enumerate().map(given).collect()
    }

    /// Charges for operands that were copied out of the arena, and says how much that is.
    pub(super) fn copied(&mut self, step: &PlannedStep<B>) -> u64 {
        let slots = step.inputs.iter().flatten().map(|operand| operand.slot);
        let lying = slots.filter(|slot| self.values[*slot].is_none()).filter_map(|slot| self.lying(slot));
        let copied = lying.map(|(_, bytes)| bytes.len() as u64).sum();
        self.live_bytes = self.live_bytes.saturating_add(copied);
        copied
    }
}

fn tensor_of(dtype: DType, shape: Vec<u64>, bytes: &[u8]) -> Tensor {
    Tensor::new(dtype, shape, bytes.to_vec()).expect("the length follows from the extents")
}

/// Bytes that the elements of a value take.
pub(super) fn bytes<B: Backend>(value: &Value<B>) -> u64 {
    let elements = value.shape().iter().fold(1_u64, |elements, extent| elements.saturating_mul(*extent as u64));
    elements.saturating_mul(value.dtype().size_bytes())
}
