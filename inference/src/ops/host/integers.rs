//! Products of matrices of integers of eight bits, exact.
//!
//! A product of two numbers between −255 and 255 is at most 65,025, so a sum of 256 of them is below 2²⁴
//! and every partial sum of `FP32` is exact. Blocks of so many terms are multiplied as floats, which
//! every vector unit does fastest, and added up as 32-bit integers. Nothing saturates.

use pulp::{Simd, WithSimd};

use super::{
    HostCall, HostKernel, Team,
    kernel::Geometry,
    matrix::{Finish, Product},
    panels::{Matrix, pack, panel_columns},
    quantization::{convert, zero_point},
};
use crate::{
    ops::{operator::Inference, shape},
    tensor::DType,
};

pub(super) const MATMUL: HostKernel = HostKernel { fits, packs: |_| None, scratch, run };

/// Terms of a sum that is exact in `FP32`.
const EXACT_TERMS: usize = 256;
/// Columns that are multiplied at a time.
const CHUNK_COLUMNS: usize = 256;

/// A matrix on the right, one zero point at most for the left factor, and one or one per column for it.
fn fits(context: &Inference<'_>) -> bool {
    let is_single = |position| context.optional_shape(position).is_ok_and(|shape| shape.is_none_or(shape::is_single));
    let rank = |position| context.shape(position).map_or(0, <[_]>::len);
    let is_per_column = match (context.shape(1), context.optional_shape(3)) {
        (Ok([_, columns]), Ok(Some([points]))) => columns == points && points.as_fixed().is_some(),
        _ => false,
    };
    context.asked == 1 && rank(0) >= 1 && rank(1) == 2 && is_single(2) && (is_single(3) || is_per_column)
}

/// Sizes of the parts of the scratch memory: the left factor, a block of the right one in rows and
/// in panels, and the sums of a block.
fn parts(rows: usize, inner: usize, columns: usize, width: usize) -> [usize; 4] {
    let (terms, chunk) = (inner.min(EXACT_TERMS), columns.min(CHUNK_COLUMNS));
    [rows * inner, terms * chunk, terms * chunk.next_multiple_of(width), rows * chunk]
}

fn scratch(geometry: &Geometry<'_>) -> usize {
    let [inner, columns] = *geometry.shape(1) else { return 0 };
    let rows = geometry.shape(0).iter().product::<usize>().checked_div(inner).unwrap_or(0);
    parts(rows, inner, columns, panel_columns(geometry.isa)).iter().sum()
}

fn run(call: &mut HostCall<'_>) {
    let (a, b) = (call.input(0), call.input(1));
    let (a_point, b_points) = (zero_point(call.optional(2), 0), call.optional(3));
    let is_per_column = b_points.is_some_and(|points| points.bytes.len() > 1);
    let b_point = if is_per_column { 0.0 } else { zero_point(b_points, 0) };
    let (isa, team) = (call.isa, call.team);
    let ([target], &[inner, columns]) = (&mut *call.outputs, b.shape) else { return };
    let sums: &mut [i32] = super::elements_mut(target.bytes);
    sums.fill(0);
    if inner == 0 || sums.is_empty() {
        return;
    }
    let rows = sums.len() / columns;
    let sizes = parts(rows, inner, columns, panel_columns(isa));
    let (left, rest) = call.scratch.split_at_mut(sizes[0]);
    let (right, rest) = rest.split_at_mut(sizes[1]);
    let (panels, floats) = rest.split_at_mut(sizes[2]);
    let asks = team.asks(sums.len().saturating_mul(inner));
    // Block by block of the inner dimension, each with its rows one after the other.
    for from in (0..inner).step_by(EXACT_TERMS) {
        let terms = EXACT_TERMS.min(inner - from);
        for (row, left) in left[..rows * terms].chunks_exact_mut(terms).enumerate() {
            convert(isa, &a.bytes[row * inner + from..][..terms], a.dtype == DType::I8, a_point, left);
        }
        for first in (0..columns).step_by(CHUNK_COLUMNS) {
            if asks.is_some_and(Team::is_over) {
                return;
            }
            let count = CHUNK_COLUMNS.min(columns - first);
            for (row, right) in right[..terms * count].chunks_exact_mut(count).enumerate() {
                let start = (from + row) * columns + first;
                convert(isa, &b.bytes[start..start + count], b.dtype == DType::I8, b_point, right);
                if is_per_column {
                    let columns = right.iter_mut().enumerate();
                    columns.for_each(|(column, number)| *number -= zero_point(b_points, first + column));
                }
            }
            let panels = &mut panels[..terms * count.next_multiple_of(panel_columns(isa))];
            pack(isa, team, Matrix { numbers: right, stride: count, is_transposed: false }, terms, count, panels);
            let finish = Finish::default();
            let product = Product { a: &left[..rows * terms], panels, inner: terms, columns: count, finish };
            product.write(isa, team, &mut floats[..rows * count], count);
            for (sums, floats) in sums.chunks_exact_mut(columns).zip(floats.chunks_exact(count)) {
                isa.run(Add { sums: &mut sums[first..first + count], floats });
            }
        }
    }
}

/// Adds whole numbers that are stored as floats.
struct Add<'a> {
    sums: &'a mut [i32],
    floats: &'a [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (sum, float) in self.sums.iter_mut().zip(self.floats) {
            *sum = sum.wrapping_add(*float as i32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{
        attributes::Attributes,
        host::{Isa, Target, View},
    };

    fn bytes(count: usize, seed: usize) -> Vec<u8> {
        // The extremes are frequent.
        let extremes = [0, 127, 128, 255];
        (0..count)
            .map(|at| (at * 31 + seed * 7) % 11)
            .map(|at| *extremes.get(at).unwrap_or(&((at * 53 % 256) as u8)))
            .collect()
    }

    fn value(byte: u8, is_signed: bool) -> i32 {
        if is_signed { i32::from(byte.cast_signed()) } else { i32::from(byte) }
    }

    #[test]
    fn sums_are_those_of_integers() {
        for isa in Isa::all() {
            for (rows, inner, columns, signs) in [
                (1, 1, 1, [false, true]),
                (1, 300, 17, [true, true]),
                (2, 255, 33, [false, false]),
                (7, 513, 300, [false, true]),
                (70, 31, 5, [true, false]),
                (3, 0, 4, [false, true]),
            ] {
                let (a, b) = (bytes(rows * inner, 1), bytes(inner * columns, 2));
                // One for the left factor, one per column for the right one.
                let points: Vec<_> = (0..=columns).map(|at| [255, 128, 3][at % 3]).collect();
                let dtype = |is_signed| if is_signed { DType::I8 } else { DType::U8 };
                let view = |at: usize, shape, bytes| Some(View { dtype: dtype(signs[at]), shape, bytes });
                let shapes = [[rows, inner], [inner, columns], [rows, columns]];
                let inputs = [
                    view(0, &shapes[0], &a),
                    view(1, &shapes[1], &b),
                    view(0, &[], &points[..1]),
                    view(1, &shapes[1][1..], &points[1..]),
                ];
                let mut made = vec![0_i32; rows * columns];
                let mut scratch = vec![f32::NAN; parts(rows, inner, columns, panel_columns(isa)).iter().sum()];
                run(&mut HostCall {
                    isa,
                    team: &Team::new(1, None),
                    attributes: Attributes::checked(&[], &[]),
                    inputs: &inputs,
                    packed: None,
                    bounds: None,
                    outputs: &mut [Target { shape: &shapes[2], bytes: bytemuck::cast_slice_mut(&mut made) }],
                    scratch: &mut scratch,
                });
                let term = |row: usize, column: usize, k: usize| {
                    let left = value(a[row * inner + k], signs[0]) - value(points[0], signs[0]);
                    left * (value(b[k * columns + column], signs[1]) - value(points[1 + column], signs[1]))
                };
                let sum = |at: usize| (0..inner).map(|k| term(at / columns, at % columns, k)).sum::<i32>();
                let expected: Vec<_> = (0..rows * columns).map(sum).collect();
                assert_eq!(made, expected, "{isa:?} {rows}×{inner}×{columns}");
            }
        }
    }
}
