//! How large a request is, from shapes alone and before anything is allocated.

use burn::backend::Backend;

use super::{limits::ExecLimits, plan::Plan, request::RunError};
use crate::{
    ops::{Bindings, Extent, Fact},
    tensor::DType,
};

/// Elements and bytes of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) elements: u64,
    pub(super) bytes: u64,
}

impl Size {
    fn of(dtype: DType, elements: u64) -> Self {
        Self { elements, bytes: elements.saturating_mul(dtype.size_bytes()) }
    }
}

/// Adds up what is known before a run, walking the plan as the run will. What only the run can
/// tell is compared with the bound then, each time before it is allocated.
pub(super) fn known<B: Backend>(
    plan: &Plan<B>,
    bindings: &Bindings,
    limits: &ExecLimits,
    resident_bytes: u64,
) -> Result<(), RunError> {
    let mut sizes = Vec::with_capacity(plan.facts.len());
    for fact in &plan.facts {
        sizes.push(evaluate(fact, bindings, limits)?);
    }
    let mut live = resident_bytes;
    for slot in &plan.entry {
        live = live.saturating_add(sizes[*slot].bytes);
    }
    for step in &plan.steps {
        let operands = step.inputs.iter().flatten();
        let made: Vec<_> = step.outputs.iter().flatten().map(|slot| sizes[*slot]).collect();
        let read: Vec<_> = operands.clone().map(|operand| sizes[operand.slot]).collect();
        let is_plain =
            step.kernel.is_none() || step.outputs.iter().flatten().any(|slot| plan.facts[*slot].dtype != DType::F32);
        within(live, charge(is_plain.then_some(step.operator.scratch_bytes), &read, &made), limits)?;
        live = made.iter().fold(live, |live, size| live.saturating_add(size.bytes));
        for operand in operands.filter(|operand| operand.is_last) {
            live = live.saturating_sub(sizes[operand.slot].bytes);
        }
    }
    within(live, 0, limits)
}

/// Bytes that a step takes beside what lives: its results, and a copy of operands and results, for
/// which a plain kernel has so many bytes an element.
pub(super) fn charge(scratch_bytes: Option<u64>, read: &[Size], made: &[Size]) -> u64 {
    let copy = |size: &Size| scratch_bytes.map_or(size.bytes, |bytes| size.elements.saturating_mul(bytes));
    let results = made.iter().fold(0_u64, |sum, size| sum.saturating_add(size.bytes));
    read.iter().chain(made).fold(results, |sum, size| sum.saturating_add(copy(size)))
}

/// Refuses what would exceed the bound.
pub(super) fn within(live: u64, more: u64, limits: &ExecLimits) -> Result<(), RunError> {
    let (needed, most) = (live.saturating_add(more), limits.memory_bytes_max);
    if needed > most { Err(RunError::Memory { needed, most }) } else { Ok(()) }
}

/// Size of a value of these extents. Those of 0 count as 1, so that no product of the others can
/// overflow unseen.
pub(super) fn size(dtype: DType, shape: &[u64], limits: &ExecLimits) -> Result<Size, RunError> {
    let most = limits.elements_max;
    let grown = shape.iter().try_fold(1_u64, |elements, extent| elements.checked_mul((*extent).max(1)));
    if grown.is_none_or(|elements| elements > most) {
        return Err(RunError::Elements { most });
    }
    Ok(Size::of(dtype, shape.iter().product()))
}

fn evaluate(fact: &Fact, bindings: &Bindings, limits: &ExecLimits) -> Result<Size, RunError> {
    let Some(shape) = &fact.shape else { return Ok(Size::default()) };
    let mut extents = Vec::with_capacity(shape.len());
    for extent in shape {
        match extent {
            Extent::Unknown | Extent::AtMost(_) => return Ok(Size::default()),
            Extent::Product { .. } => {
                let most = limits.elements_max;
                extents.push(extent.evaluate(bindings).ok_or(RunError::Elements { most })?);
            }
        }
    }
    size(fact.dtype, &extents, limits)
}
