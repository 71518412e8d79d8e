//! What a kernel for the host is, and what it is given.

use bytemuck::{Pod, cast_slice, cast_slice_mut};

use super::{Bounds, Isa, Packed, Team};
use crate::{
    ops::{attributes::Attributes, operator::Inference},
    tensor::DType,
};

/// A kernel that writes into memory that is given to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostKernel {
    /// Whether it computes what the plain kernel computes; asked with what is known at load and again
    /// with everything known, and never taken back.
    pub(crate) fits: fn(&Inference<'_>) -> bool,
    /// The input that it reads from panels when that is constant.
    pub(crate) packs: fn(&Attributes<'_>) -> Option<Panels>,
    /// Numbers that it works with beside inputs and outputs.
    pub(crate) scratch: fn(&Geometry<'_>) -> usize,
    pub(crate) run: fn(&mut HostCall<'_>),
}

/// Which input a kernel wants in panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panels {
    pub(crate) input: usize,
    pub(crate) is_transposed: bool,
}

/// Element types and extents of a step, all known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// By position; `None` is left out.
    pub(crate) inputs: &'a [Option<(DType, Vec<usize>)>],
    pub(crate) outputs: &'a [(DType, Vec<usize>)],
    pub(crate) isa: Isa,
    pub(crate) threads: usize,
    /// The input that the kernel wants in panels is there already.
    pub(crate) is_packed: bool,
}

/// An input: extents and elements in row-major order, in the byte order of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a [u8],
}

/// Memory for an output.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a mut [u8],
}

/// One call of a kernel.
#[derive(Debug)]
pub(crate) struct HostCall<'a> {
    pub(crate) isa: Isa,
    pub(crate) team: &'a Team,
    pub(crate) attributes: Attributes<'a>,
    /// By position; `None` is left out.
    pub(crate) inputs: &'a [Option<View<'a>>],
    /// The constant input that is read from panels; its view then has no elements.
    pub(crate) packed: Option<&'a Packed>,
    /// What becomes of results at the end; products and convolutions are given some.
    pub(crate) bounds: Option<Bounds>,
    pub(crate) outputs: &'a mut [Target<'a>],
    /// As many numbers as [`HostKernel::scratch`] said, of any value.
    pub(crate) scratch: &'a mut [f32],
}

impl HostKernel {
    /// One that needs nothing beside inputs and outputs.
    pub(super) const fn new(fits: fn(&Inference<'_>) -> bool, run: fn(&mut HostCall<'_>)) -> Self {
        Self { fits, packs: |_| None, scratch: |_| 0, run }
    }
}

impl Geometry<'_> {
    /// Extents of a required input.
    pub(super) fn shape(&self, position: usize) -> &[usize] {
        &self.inputs[position].as_ref().expect("presence was checked against the table").1
    }
}

impl<'a> View<'a> {
    pub(super) fn floats(&self) -> &'a [f32] {
        self.elements()
    }

    /// The elements, in the Rust type of their element type.
    pub(crate) fn elements<T: Pod>(&self) -> &'a [T] {
        // Nothing may lie anywhere.
        if self.bytes.is_empty() { &[] } else { cast_slice(self.bytes) }
    }
}

impl Target<'_> {
    pub(super) fn floats(&mut self) -> &mut [f32] {
        elements_mut(self.bytes)
    }
}

/// Memory as elements of a type.
pub(crate) fn elements_mut<T: Pod>(bytes: &mut [u8]) -> &mut [T] {
    if bytes.is_empty() { &mut [] } else { cast_slice_mut(bytes) }
}

impl<'a> HostCall<'a> {
    pub(super) fn input(&self, position: usize) -> View<'a> {
        self.optional(position).expect("presence was checked against the table")
    }

    pub(super) fn optional(&self, position: usize) -> Option<View<'a>> {
        self.inputs.get(position).copied().flatten()
    }
}

/// Whether all inputs that are there are of `FP32` and have a known number of dimensions, and there
/// is one output.
pub(super) fn is_simple(context: &Inference<'_>) -> bool {
    context.asked == 1 && context.inputs.iter().flatten().all(|fact| fact.dtype == DType::F32 && fact.shape.is_some())
}
