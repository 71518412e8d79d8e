//! Matrix products and determinants.

use std::{
    num::Wrapping,
    ops::{Add, Mul},
};

use super::{FLOATS, NUMBERS, Outcome, layout::permuted, one};
use crate::{
    array::{Array, Places, indices, place, spread},
    ops::{
        attributes::Fallback,
        extent::{Extent, list},
        operator::{Call, Inference, Operator, Shapes, attribute, input, like, optional},
        shape::{ShapeError, at_least, broadcast_pair, ranked, same},
    },
};

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new(
        "Gemm",
        7,
        &[input("A", "T", NUMBERS), input("B", "T", NUMBERS), optional("C", "T", NUMBERS)],
        &[like("Y", "T")],
        infer_gemm,
        gemm,
    )
    .with(&[
        attribute("alpha", Fallback::Float(1.0)),
        attribute("beta", Fallback::Float(1.0)),
        attribute("transA", Fallback::Int(0)),
        attribute("transB", Fallback::Int(0)),
    ]),
    Operator::new(
        "MatMul",
        1,
        &[input("A", "T", NUMBERS), input("B", "T", NUMBERS)],
        &[like("Y", "T")],
        infer_matmul,
        |call| {
            let (a, b) = (call.input(0), call.input(1));
            if call.dtype().is_float() {
                return one(call.floats(multiplied(&a.floats(), a.shape(), &b.floats(), b.shape())));
            }
            let made = multiplied(&wrapping(a), a.shape(), &wrapping(b), b.shape());
            one(call.ints(made.into_iter().map(|Wrapping(value)| value)))
        },
    ),
    Operator::new("Det", 11, &[input("X", "T", FLOATS)], &[like("Y", "T")], infer_det, det),
];

fn infer_gemm(context: &Inference<'_>) -> Shapes {
    let flag = |name| context.attributes.flag(name);
    let a = ranked(context, 0, 2, "2")?;
    let b = ranked(context, 1, 2, "2")?;
    let (rows, inner) = if flag("transA") { (&a[1], &a[0]) } else { (&a[0], &a[1]) };
    let (depth, columns) = if flag("transB") { (&b[1], &b[0]) } else { (&b[0], &b[1]) };
    same("inner extent of B", inner, depth)?;
    let shape = vec![rows.clone(), columns.clone()];
    if let Some(c) = context.optional_shape(2)? {
        // Broadcasting goes one way: C may not enlarge the product.
        let whole = broadcast_pair(&shape, c)?;
        if whole.len() != 2 || whole.iter().zip(&shape).any(|(whole, own)| whole.differs(own)) {
            return Err(ShapeError::Broadcast { left: list(&shape), right: list(c) });
        }
    }
    Ok(vec![shape])
}

/// `alpha · A' · B' + beta · C`. Integers wrap, as in `MatMul`, unless a factor is a fraction.
fn gemm(call: &Call<'_>) -> Outcome {
    let turned = |position: usize, name: &str| {
        let array = call.input(position);
        if call.attributes.flag(name) { permuted(array, &[1, 0]) } else { array.clone() }
    };
    let (a, b) = (turned(0, "transA"), turned(1, "transB"));
    let (alpha, beta) = (call.attributes.float("alpha"), call.attributes.float("beta"));
    if !call.dtype().is_float() && alpha.fract() == 0.0 && beta.fract() == 0.0 {
        let (alpha, beta) = (Wrapping(alpha as i128), Wrapping(beta as i128));
        let mut made = multiplied(&wrapping(&a), a.shape(), &wrapping(&b), b.shape());
        made.iter_mut().for_each(|value| *value *= alpha);
        if let Some(c) = call.optional(2) {
            let values = wrapping(c);
            let places = Places::spread(c.shape(), call.shape());
            made.iter_mut().zip(places).for_each(|(sum, place)| *sum += beta * values[place]);
        }
        return one(call.ints(made.into_iter().map(|Wrapping(value)| value)));
    }
    let mut made = multiplied(&a.floats(), a.shape(), &b.floats(), b.shape());
    made.iter_mut().for_each(|value| *value *= alpha);
    if let Some(c) = call.optional(2) {
        let values = c.floats();
        let places = Places::spread(c.shape(), call.shape());
        made.iter_mut().zip(places).for_each(|(sum, place)| *sum += beta * values[place]);
    }
    one(call.floats(made))
}

pub(super) fn infer_matmul(context: &Inference<'_>) -> Shapes {
    Ok(vec![product_shape(context.shape(0)?, context.shape(1)?)?])
}

/// Extents of the matrix product of numpy: batches broadcast, vectors count as rows or columns.
pub(super) fn product_shape(a: &[Extent], b: &[Extent]) -> Result<Vec<Extent>, ShapeError> {
    for (input, shape) in [(0, a), (1, b)] {
        if shape.is_empty() {
            return Err(ShapeError::Rank { input, expected: "at least 1", got: 0 });
        }
    }
    let (left, inner) = a.split_at(a.len() - 1);
    same("inner extent of B", &inner[0], &b[b.len().saturating_sub(2)])?;
    let rows = left.last();
    let columns = (b.len() > 1).then(|| &b[b.len() - 1]);
    let mut shape = broadcast_pair(&left[..left.len().saturating_sub(1)], &b[..b.len().saturating_sub(2)])?;
    shape.extend(rows.into_iter().chain(columns).cloned());
    Ok(shape)
}

/// Integers that wrap when they are added and multiplied.
fn wrapping(array: &Array) -> Vec<Wrapping<i128>> {
    array.ints().into_iter().map(Wrapping).collect()
}

/// The elements of a matrix product whose extents fit.
pub(super) fn multiplied<T>(a: &[T], a_shape: &[usize], b: &[T], b_shape: &[usize]) -> Vec<T>
where
    T: Copy + Default + Add<Output = T> + Mul<Output = T>,
{
    let (a_batch, [rows, inner]) = matrices(a_shape, [1, a_shape[a_shape.len() - 1]]);
    let (b_batch, [_, columns]) = matrices(b_shape, [b_shape[0], 1]);
    let rank = a_batch.len().max(b_batch.len());
    let extent = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |own| shape[own]);
    let batch: Vec<_> = (0..rank)
        .map(|axis| match (extent(a_batch, axis), extent(b_batch, axis)) {
            (1, right) => right,
            (left, _) => left,
        })
        .collect();
    let (a_steps, b_steps) = (spread(a_batch, &batch), spread(b_batch, &batch));
    let mut made = Vec::with_capacity(batch.iter().product::<usize>() * rows * columns);
    for index in indices(&batch) {
        let a = &a[place(&index, &a_steps) * rows * inner..];
        let b = &b[place(&index, &b_steps) * inner * columns..];
        for row in 0..rows {
            let start = made.len();
            made.resize(start + columns, T::default());
            for depth in 0..inner {
                let factor = a[row * inner + depth];
                for column in 0..columns {
                    made[start + column] = made[start + column] + factor * b[depth * columns + column];
                }
            }
        }
    }
    made
}

fn matrices(shape: &[usize], vector: [usize; 2]) -> (&[usize], [usize; 2]) {
    match shape.split_last_chunk::<2>() {
        Some((batch, matrix)) => (batch, *matrix),
        None => (&[], vector),
    }
}

fn infer_det(context: &Inference<'_>) -> Shapes {
    let shape = at_least(context, 0, 2, "at least 2")?;
    let (batch, matrix) = shape.split_at(shape.len() - 2);
    same("number of columns", &matrix[0], &matrix[1])?;
    Ok(vec![batch.to_vec()])
}

fn det(call: &Call<'_>) -> Outcome {
    let x: &Array = call.input(0);
    let extent = x.shape()[x.rank() - 1];
    let mut values = x.floats();
    if extent == 0 {
        let count = call.shape().iter().product();
        return one(call.floats(std::iter::repeat_n(1.0, count)));
    }
    one(call
        .floats(values.chunks_exact_mut(extent * extent).map(|matrix| eliminated(matrix, extent)).collect::<Vec<_>>()))
}

/// Determinant by elimination with partial pivoting.
fn eliminated(matrix: &mut [f64], extent: usize) -> f64 {
    let mut determinant = 1.0;
    for column in 0..extent {
        let magnitude = |row: &usize| matrix[row * extent + column].abs();
        let pivot = (column..extent).max_by(|a, b| magnitude(a).total_cmp(&magnitude(b))).unwrap_or(column);
        if matrix[pivot * extent + column] == 0.0 {
            return 0.0;
        }
        if pivot != column {
            for across in 0..extent {
                matrix.swap(pivot * extent + across, column * extent + across);
            }
            determinant = -determinant;
        }
        let head = matrix[column * extent + column];
        determinant *= head;
        for row in column + 1..extent {
            let factor = matrix[row * extent + column] / head;
            for across in column..extent {
                matrix[row * extent + across] -= factor * matrix[column * extent + across];
            }
        }
    }
    determinant
}
