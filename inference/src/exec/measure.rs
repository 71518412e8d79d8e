//! How large a request is, from shapes alone and before anything is allocated.

use burn::backend::Backend;

use super::{limits::ExecLimits, plan::Plan, request::RunError};
use crate::ops::{Bindings, ValueType};

/// Shapes of every value for one binding of the symbols.
#[derive(Debug)]
pub(super) struct Measured {
    /// By slot.
    pub(super) shapes: Vec<Vec<usize>>,
}

impl Measured {
    /// Evaluates shapes and walks the plan, adding and dropping what the run will. Each step is
    /// charged a copy of its operands and its result.
    pub(super) fn of<B: Backend>(
        plan: &Plan<B>,
        bindings: &Bindings,
        limits: &ExecLimits,
        resident_bytes: u64,
    ) -> Result<Self, RunError> {
        let mut shapes = Vec::with_capacity(plan.types.len());
        let mut sizes = Vec::with_capacity(plan.types.len());
        for value in &plan.types {
            let (shape, elements) = evaluate(value, bindings, limits)?;
            shapes.push(shape);
            sizes.push(elements.saturating_mul(value.dtype.size_bytes()));
        }
        let mut live = resident_bytes;
        for size in &sizes[..plan.inputs] {
            live = live.saturating_add(*size);
        }
        let mut peak = live;
        for step in &plan.steps {
            let made = sizes[step.output];
            let operands = step.inputs.iter().flatten();
            let copied = operands.clone().fold(made, |sum, operand| sum.saturating_add(sizes[operand.slot]));
            live = live.saturating_add(made);
            peak = peak.max(live.saturating_add(copied));
            for operand in operands.filter(|operand| operand.is_last) {
                live -= sizes[operand.slot];
            }
            if step.is_unused {
                live -= made;
            }
        }
        let most = limits.memory_bytes_max;
        if peak > most {
            return Err(RunError::Memory { needed: peak, most });
        }
        Ok(Self { shapes })
    }
}

fn evaluate(value: &ValueType, bindings: &Bindings, limits: &ExecLimits) -> Result<(Vec<usize>, u64), RunError> {
    let most = limits.elements_max;
    let too_large = || RunError::Elements { most };
    let mut elements = 1_u64;
    let mut shape = Vec::with_capacity(value.rank());
    for extent in &value.shape {
        let extent = extent.evaluate(bindings).ok_or_else(too_large)?;
        elements = elements.checked_mul(extent).filter(|elements| *elements <= most).ok_or_else(too_large)?;
        shape.push(usize::try_from(extent).map_err(|_wide| too_large())?);
    }
    Ok((shape, elements))
}
