//! How large a request is, from shapes alone and before anything is allocated.

use super::{limits::ExecLimits, request::RunError};
use crate::tensor::DType;

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
