//! Moving elements, whatever their type.

use bytemuck::Pod;

use super::{HostCall, HostKernel, View, elements_mut};
use crate::{
    array::strides,
    ops::{Fact, operator::Inference, plain::layout::permutation, shape::checked_axis},
    tensor::DType,
};

pub(super) const TRANSPOSE: HostKernel = HostKernel::new(is_known, transpose);
pub(super) const CONCAT: HostKernel = HostKernel::new(is_known, concat);
pub(super) const GATHER: HostKernel = HostKernel::new(fits_gather, gather);

fn is_known(context: &Inference<'_>) -> bool {
    let is_known = |fact: &Fact| fact.shape.is_some() && !fact.dtype.is_narrow();
    context.asked == 1 && context.inputs.iter().flatten().all(is_known)
}

fn transpose(call: &mut HostCall<'_>) {
    let x = call.input(0);
    let axes = permutation(&call.attributes, x.shape.len()).expect("accepted by the shape function");
    let [target] = &mut *call.outputs else { return };
    if target.bytes.is_empty() {
        return;
    }
    let own = strides(x.shape);
    let mut steps: Vec<_> = axes.iter().map(|axis| own[*axis]).collect();
    let mut shape = target.shape.to_vec();
    let width = usize::try_from(x.dtype.size_bytes()).expect("an element has a few bytes");
    // Axes that stay the last ones move as one.
    let mut unit = 1;
    while shape.last().is_some_and(|extent| steps.last() == Some(&unit) || *extent == 1) {
        unit *= shape.pop().unwrap_or(1);
        steps.pop();
    }
    let steps: Vec<_> = steps.into_iter().map(|step| step / unit).collect();
    let moved = (x, &mut *target.bytes);
    match (unit, width) {
        (1, 1) => rearrange::<u8>(moved, &shape, &steps),
        (1, 2) => rearrange::<u16>(moved, &shape, &steps),
        (1, 4) => rearrange::<u32>(moved, &shape, &steps),
        (1, 8) => rearrange::<u64>(moved, &shape, &steps),
        _ => rearrange_runs(moved, width * unit, &shape, &steps),
    }
}

/// Single elements.
fn rearrange<T: Pod>((source, target): (View<'_>, &mut [u8]), shape: &[usize], steps: &[usize]) {
    let (source, target): (&[T], &mut [T]) = (source.elements(), elements_mut(target));
    let [outer @ .., columns] = shape else {
        target.copy_from_slice(source);
        return;
    };
    let [outer_steps @ .., step] = steps else { return };
    for (row, target) in target.chunks_exact_mut((*columns).max(1)).enumerate() {
        let start = place(row, outer, outer_steps);
        for (at, element) in target.iter_mut().enumerate() {
            *element = source[start + at * step];
        }
    }
}

/// Runs of bytes.
fn rearrange_runs((source, target): (View<'_>, &mut [u8]), width: usize, shape: &[usize], steps: &[usize]) {
    if width == 0 {
        return;
    }
    for (at, run) in target.chunks_exact_mut(width).enumerate() {
        run.copy_from_slice(&source.bytes[place(at, shape, steps) * width..][..width]);
    }
}

/// The place of the `at`-th index over a shape.
fn place(mut at: usize, shape: &[usize], steps: &[usize]) -> usize {
    let mut place = 0;
    for (extent, step) in shape.iter().zip(steps).rev() {
        place += at % extent * step;
        at /= extent;
    }
    place
}

fn concat(call: &mut HostCall<'_>) {
    let (inputs, attributes) = (call.inputs, call.attributes);
    let [target] = &mut *call.outputs else { return };
    let axis = checked_axis(&attributes, target.shape.len());
    let outer: usize = target.shape[..axis].iter().product();
    let row = target.bytes.len().checked_div(outer).unwrap_or(0);
    if row == 0 {
        return;
    }
    let mut begin = 0;
    for input in inputs.iter().flatten() {
        let part = input.bytes.len() / outer;
        if part > 0 {
            let rows = target.bytes.chunks_exact_mut(row).zip(input.bytes.chunks_exact(part));
            rows.for_each(|(target, source)| target[begin..begin + part].copy_from_slice(source));
        }
        begin += part;
    }
}

/// With indices that are known and inside: what lies outside is told by the plain kernel.
fn fits_gather(context: &Inference<'_>) -> bool {
    let (Ok(shape), Ok(Some(indices))) = (context.shape(0), context.content(1)) else { return false };
    let Ok(axis) = crate::ops::axis(context.attributes.int("axis"), shape.len()) else { return false };
    let Some(extent) = shape[axis].as_fixed().and_then(|extent| i64::try_from(extent).ok()) else { return false };
    is_known(context)
        && indices.dtype() == DType::I64
        && indices.places().iter().all(|index| (-extent..extent).contains(index))
}

fn gather(call: &mut HostCall<'_>) {
    let (x, indices) = (call.input(0), call.input(1));
    let axis = checked_axis(&call.attributes, x.shape.len());
    let [target] = &mut *call.outputs else { return };
    let indices: &[i64] = indices.elements();
    let extent = x.shape[axis];
    let outer: usize = x.shape[..axis].iter().product();
    let run = x.bytes.len().checked_div(outer * extent).unwrap_or(0);
    if run == 0 || indices.is_empty() {
        return;
    }
    for (row, target) in target.bytes.chunks_exact_mut(run * indices.len()).enumerate() {
        for (target, index) in target.chunks_exact_mut(run).zip(indices) {
            let back = if *index < 0 { extent } else { 0 };
            let at = back.wrapping_add_signed(*index as isize);
            target.copy_from_slice(&x.bytes[(row * extent + at) * run..][..run]);
        }
    }
}
