//! Tensors made of little: constants, ranges, identities, and triangles of others.

use super::{ALL, Outcome, PLACES, PRECISE, computed_type, one};
use crate::{
    array::{Array, indices, strides},
    data::Data,
    ops::{
        attributes::Fallback,
        extent::Extent,
        operator::{
            Call, Fault, Inference, Made, Operator, Parameter, Product, Shapes, attribute, input, like, optional,
        },
        shape::{ShapeError, axis, fixed, unchanged},
    },
    tensor::{DType, RANK_MAX},
};

const DATA: Parameter = input("data", "T", ALL);
const MADE: &[Product] = &[like("output", "T")];
const RANGED: &[DType] = &[DType::F16, DType::BF16, DType::F32, DType::F64, DType::I16, DType::I32, DType::I64];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Trilu", 14, &[DATA, optional("k", "I", PLACES)], MADE, infer_triangle, triangle)
        .with(&[attribute("upper", Fallback::Int(1))]),
    Operator::new("EyeLike", 9, &[DATA], &[Product { name: "output", dtype: Made::Chosen(eye_type) }], infer_eye, eye)
        .with(&[attribute("dtype", Fallback::NoInt), attribute("k", Fallback::Int(0))]),
    Operator::new(
        "ConstantOfShape",
        9,
        &[input("input", "I", PLACES)],
        &[Product { name: "output", dtype: Made::Chosen(fill_type) }],
        infer_fill,
        fill,
    )
    .with(&[attribute("value", Fallback::NoTensor)]),
    Operator::new(
        "Range",
        11,
        &[input("start", "T", RANGED), input("limit", "T", RANGED), input("delta", "T", RANGED)],
        MADE,
        infer_range,
        range,
    )
    .with(&[attribute("stash_type", Fallback::Int(1))]),
    Operator::new(
        "OneHot",
        11,
        &[input("indices", "T1", PRECISE), input("depth", "T2", PRECISE), input("values", "T3", ALL)],
        &[like("output", "T3")],
        infer_one_hot,
        one_hot,
    )
    .with(&[attribute("axis", Fallback::Int(-1))]),
];

fn infer_triangle(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    if shape.len() < 2 {
        return Err(ShapeError::Rank { input: 0, expected: "at least 2", got: shape.len() });
    }
    unchanged(context)
}

fn triangle(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let k = call.places(1).and_then(|k| k.first().copied()).unwrap_or(0);
    let is_upper = call.attributes.flag("upper");
    let mut data = x.data().clone();
    data.extend(&Data::of_floats(x.dtype(), std::iter::once(0.0)));
    let rank = x.rank();
    let places = indices(x.shape()).enumerate().map(|(flat, index)| {
        let diagonal = (index[rank - 1] as i64).saturating_sub(index[rank - 2] as i64);
        if (is_upper && diagonal >= k) || (!is_upper && diagonal <= k) { flat } else { x.len() }
    });
    one(Array::new(x.shape().to_vec(), data.pick(places)))
}

fn eye_type(context: &Inference<'_>) -> Option<DType> {
    match context.attributes.optional_int("dtype") {
        Some(code) => computed_type(code),
        None => Some(context.fact(0).dtype),
    }
}

fn infer_eye(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    if shape.len() != 2 {
        return Err(ShapeError::Rank { input: 0, expected: "2", got: shape.len() });
    }
    unchanged(context)
}

fn eye(call: &Call<'_>) -> Outcome {
    let k = call.attributes.int("k");
    let on_diagonal = |index: Vec<usize>| (index[1] as i64).saturating_sub(index[0] as i64) == k;
    one(call.ints(indices(call.shape()).map(|index| i128::from(on_diagonal(index)))))
}

/// The type of the value, or `FP32` without one.
fn fill_type(context: &Inference<'_>) -> Option<DType> {
    Some(context.attributes.tensor("value").map_or(DType::F32, crate::tensor::Tensor::dtype))
}

fn infer_fill(context: &Inference<'_>) -> Shapes {
    const NAME: ShapeError = ShapeError::Value { name: "input" };
    if context.attributes.tensor("value").is_some_and(|value| value.elements() != 1) {
        return Err(ShapeError::Value { name: "value" });
    }
    let wanted = context.places(0)?.unwrap_or_default();
    if wanted.len() > RANK_MAX {
        return Err(NAME);
    }
    let extents = wanted.into_iter().map(|extent| u64::try_from(extent).ok().and_then(Extent::fixed).ok_or(NAME));
    Ok(vec![extents.collect::<Result<_, _>>()?])
}

fn fill(call: &Call<'_>) -> Outcome {
    let value = match call.attributes.tensor("value") {
        Some(tensor) => Array::of_tensor(tensor),
        None => Array::of_floats(DType::F32, Vec::new(), [0.0]),
    };
    let count = call.shape().iter().product();
    one(Array::new(call.shape().to_vec(), value.data().pick(std::iter::repeat_n(0, count))))
}

/// `max(⌈(limit − start) / delta⌉, 0)` elements.
fn infer_range(context: &Inference<'_>) -> Shapes {
    let ends = [context.content(0)?, context.content(1)?, context.content(2)?];
    let [Some(start), Some(limit), Some(delta)] = ends else { return Err(ShapeError::Unknown) };
    if [start, limit, delta].iter().any(|end| end.len() != 1) {
        return Err(ShapeError::Value { name: "start" });
    }
    let count = if start.dtype().is_float() {
        let count = ((limit.floats()[0] - start.floats()[0]) / delta.floats()[0]).ceil();
        if count.is_nan() || count.is_infinite() {
            return Err(ShapeError::Value { name: "delta" });
        }
        count.max(0.0) as u64
    } else {
        let (span, step) = (limit.ints()[0] - start.ints()[0], delta.ints()[0]);
        let whole = span.checked_div(step).ok_or(ShapeError::Value { name: "delta" })?;
        let count = if span % step != 0 && (span < 0) == (step < 0) { whole + 1 } else { whole };
        u64::try_from(count.max(0)).unwrap_or(u64::MAX)
    };
    Ok(vec![vec![Extent::fixed(count).ok_or(ShapeError::Size)?]])
}

fn range(call: &Call<'_>) -> Outcome {
    let (start, delta) = (call.input(0), call.input(2));
    let count = call.shape()[0];
    if start.dtype().is_float() {
        let (start, delta) = (start.floats()[0], delta.floats()[0]);
        return one(call.floats((0..count).map(|step| start + step as f64 * delta)));
    }
    let (start, delta) = (start.ints()[0], delta.ints()[0]);
    one(call.ints((0..count).map(|step| start + step as i128 * delta)))
}

fn infer_one_hot(context: &Inference<'_>) -> Shapes {
    let mut shape = context.shape(0)?.to_vec();
    if shape.len() >= RANK_MAX {
        return Err(ShapeError::Rank { input: 0, expected: "at most 7", got: shape.len() });
    }
    let at = axis(context.attributes.int("axis"), shape.len() + 1)?;
    let depth = context.places(1)?.unwrap_or_default();
    let [depth] = depth.as_slice() else { return Err(ShapeError::Value { name: "depth" }) };
    let depth = u64::try_from(*depth).ok().and_then(Extent::fixed);
    if let [pair] = context.shape(2)? {
        if fixed(pair).is_ok_and(|pair| pair != 2) {
            return Err(ShapeError::Value { name: "values" });
        }
    } else {
        return Err(ShapeError::Value { name: "values" });
    }
    shape.insert(at, depth.ok_or(ShapeError::Value { name: "depth" })?);
    Ok(vec![shape])
}

/// Indices outside the depth are off everywhere; since opset 11 negative ones count from the end.
fn one_hot(call: &Call<'_>) -> Outcome {
    let hot = call.input(0);
    let at = axis(call.attributes.int("axis"), call.shape().len()).map_err(|_refused| Fault::Input("indices"))?;
    let depth = call.shape()[at] as i128;
    let chosen = hot.ints();
    let steps = strides(hot.shape());
    let places = indices(call.shape()).map(|mut index| {
        let level = index.remove(at) as i128;
        let wanted = chosen[index.iter().zip(&steps).map(|(at, step)| at * step).sum::<usize>()];
        let wanted = if wanted < 0 { wanted + depth } else { wanted };
        usize::from(wanted == level)
    });
    one(call.input(2).pick(call.shape().to_vec(), places))
}
