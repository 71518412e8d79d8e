//! Operators that move elements without changing them.

use burn::backend::Backend;

use crate::{
    ops::{
        entry::{Call, Operator, take},
        extent::{Extent, ValueType, product},
        schema::{AttributeSpec, Fallback, Inference, Parameter, Presence, Schema},
        shape::{ShapeError, axis, fixed, same},
        value::{DTYPES, Value},
    },
    tensor::{DType, RANK_MAX},
};

const DATA: Parameter = Parameter { name: "data", dtypes: DTYPES, presence: Presence::Required };

/// A matrix of the extents before and from `axis`.
pub(super) const fn flatten<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Flatten",
            since: 1,
            inputs: &[DATA],
            variadic: false,
            attributes: &[AttributeSpec { name: "axis", fallback: Fallback::Int(1) }],
            infer: infer_flatten,
        },
        kernel: to_shape,
    }
}

/// Since opset 5 with the shape as an input; here it must be a weight.
pub(super) const fn reshape<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Reshape",
            since: 5,
            inputs: &[DATA, Parameter { name: "shape", dtypes: &[DType::I64], presence: Presence::Constant }],
            variadic: false,
            attributes: &[AttributeSpec { name: "allowzero", fallback: Fallback::Int(0) }],
            infer: infer_reshape,
        },
        kernel: to_shape,
    }
}

/// Without `perm` the axes are reversed.
pub(super) const fn transpose<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Transpose",
            since: 1,
            inputs: &[DATA],
            variadic: false,
            attributes: &[AttributeSpec { name: "perm", fallback: Fallback::NoInts }],
            infer: |context| {
                let data = context.input(0);
                let axes = permutation(context.attributes.ints("perm"), data.rank())?;
                let shape = axes.iter().map(|axis| data.shape[*axis].clone()).collect();
                Ok(ValueType { dtype: data.dtype, shape })
            },
        },
        kernel: |call, mut inputs| {
            let axes = permutation(call.attributes.ints("perm"), call.shape.len());
            take(&mut inputs, 0).permute(&axes.expect("read by the shape function"))
        },
    }
}

/// Along an axis whose extents are numbers.
pub(super) const fn concat<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Concat",
            since: 4,
            inputs: &[DATA],
            variadic: true,
            attributes: &[AttributeSpec { name: "axis", fallback: Fallback::RequiredInt }],
            infer: infer_concat,
        },
        kernel: |call, inputs| {
            let at = axis(call.attributes.int("axis"), call.shape.len()).expect("read by the shape function");
            Value::concat(inputs.into_iter().flatten().collect(), at)
        },
    }
}

fn to_shape<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    take(&mut inputs, 0).reshape(call.shape)
}

fn infer_flatten(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let data = context.input(0);
    // The axis may also be the rank itself, with nothing behind it.
    let at = match context.attributes.int("axis") {
        end if usize::try_from(end) == Ok(data.rank()) => data.rank(),
        inside => axis(inside, data.rank())?,
    };
    let (outer, inner) = data.shape.split_at(at);
    let shape = [outer, inner].map(product).into_iter().collect::<Option<_>>().ok_or(ShapeError::Size)?;
    Ok(ValueType { dtype: data.dtype, shape })
}

/// 0 copies the extent at its place, one −1 takes what is left.
fn infer_reshape(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    const NAME: ShapeError = ShapeError::Value { name: "shape" };
    let data = context.input(0);
    let wanted = context.integers(1);
    if wanted.len() > RANK_MAX {
        return Err(NAME);
    }
    let copies = context.attributes.int("allowzero") == 0;
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (position, extent) in wanted.iter().enumerate() {
        shape.push(match *extent {
            -1 if open.is_none() => {
                open = Some(position);
                Extent::ONE
            }
            0 if copies => data.shape.get(position).cloned().ok_or(NAME)?,
            given => u64::try_from(given).ok().and_then(Extent::fixed).ok_or(NAME)?,
        });
    }
    let elements = data.elements().ok_or(ShapeError::Size)?;
    let known = product(&shape).ok_or(ShapeError::Size)?;
    match open {
        Some(position) => {
            let rest = elements.divided_by(&known);
            shape[position] = rest.ok_or_else(|| ShapeError::Extent {
                what: "number of elements",
                expected: format!("a multiple of {known}"),
                got: elements.to_string(),
            })?;
        }
        None => same("number of elements", &known, &elements)?,
    }
    Ok(ValueType { dtype: data.dtype, shape })
}

fn permutation(given: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, ShapeError> {
    let Some(given) = given else { return Ok((0..rank).rev().collect()) };
    let axes = given.iter().map(|at| axis(*at, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted.into_iter().eq(0..rank) { Ok(axes) } else { Err(ShapeError::Value { name: "perm" }) }
}

fn infer_concat(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let first = context.input(0);
    let at = axis(context.attributes.int("axis"), first.rank())?;
    let mut joined = 0_u64;
    for (input, value) in context.inputs.iter().flatten().enumerate() {
        if value.rank() != first.rank() {
            return Err(ShapeError::Rank { input, expected: "as many as the first input", got: value.rank() });
        }
        for (position, (expected, got)) in first.shape.iter().zip(&value.shape).enumerate() {
            if position == at {
                joined = joined.checked_add(fixed("joined extent", got)?).ok_or(ShapeError::Size)?;
            } else {
                same("extent beside the joined axis", expected, got)?;
            }
        }
    }
    let mut shape = first.shape.clone();
    shape[at] = Extent::fixed(joined).ok_or(ShapeError::Size)?;
    Ok(ValueType { dtype: first.dtype, shape })
}
