//! Reductions over axes, and what else looks at whole runs of elements.

use super::{I64, INDICES, NUMBERS, Outcome, PLACES, greater, lesser, one};
use crate::{
    array::{Array, Places, indices, place, strides},
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{
            Call, Fault, Inference, Kernel, Operator, Parameter, Product, Shapes, attribute, input, like, of, optional,
        },
        shape::{ShapeError, axes, axis, checked_axis, unchanged},
    },
    tensor::DType,
};

const REDUCED: &[Product] = &[like("reduced", "T")];
const ONLY_DATA: &[Parameter] = &[input("data", "T", TOTALLED)];
const AND_AXES: &[Parameter] = &[input("data", "T", TOTALLED), optional("axes", "I", PLACES)];
const LISTED: &[AttributeSpec] = &[attribute("axes", Fallback::NoInts), attribute("keepdims", Fallback::Int(1))];
const FED: &[AttributeSpec] =
    &[attribute("keepdims", Fallback::Int(1)), attribute("noop_with_empty_axes", Fallback::Int(0))];
const ARGUMENT: &[AttributeSpec] = &[
    attribute("axis", Fallback::Int(0)),
    attribute("keepdims", Fallback::Int(1)),
    attribute("select_last_index", Fallback::Int(0)),
];
const RUNNING: &[AttributeSpec] = &[attribute("exclusive", Fallback::Int(0)), attribute("reverse", Fallback::Int(0))];
const ALONG: &[Parameter] = &[input("x", "T", NUMBERS), input("axis", "I", INDICES)];
/// Maxima and minima also take truth values.
const TOTALLED: &[DType] = super::ALL;

/// Axes as an attribute, until the opset that makes them an input.
const fn listed(name: &'static str, kernel: Kernel) -> Operator {
    Operator::new(name, 1, ONLY_DATA, REDUCED, infer, kernel).with(LISTED)
}

const fn fed(name: &'static str, since: u32, kernel: Kernel) -> Operator {
    Operator::new(name, since, AND_AXES, REDUCED, infer, kernel).with(FED)
}

pub(crate) const OPERATORS: &[Operator] = &[
    listed("ReduceL1", l1),
    fed("ReduceL1", 18, l1),
    listed("ReduceL2", l2),
    fed("ReduceL2", 18, l2),
    listed("ReduceLogSum", log_sum),
    fed("ReduceLogSum", 18, log_sum),
    listed("ReduceLogSumExp", log_sum_exp),
    fed("ReduceLogSumExp", 18, log_sum_exp),
    listed("ReduceMax", max),
    fed("ReduceMax", 18, max),
    listed("ReduceMean", mean),
    fed("ReduceMean", 18, mean),
    listed("ReduceMin", min),
    fed("ReduceMin", 18, min),
    listed("ReduceProd", prod),
    fed("ReduceProd", 18, prod),
    listed("ReduceSum", sum),
    fed("ReduceSum", 13, sum),
    listed("ReduceSumSquare", sum_square),
    fed("ReduceSumSquare", 18, sum_square),
    Operator::new("ArgMax", 1, &[input("data", "T", NUMBERS)], &[of("reduced", I64)], infer_argument, |call| {
        argument(call, |candidate, best| candidate > best)
    })
    .with(ARGUMENT),
    Operator::new("ArgMin", 1, &[input("data", "T", NUMBERS)], &[of("reduced", I64)], infer_argument, |call| {
        argument(call, |candidate, best| candidate < best)
    })
    .with(ARGUMENT),
    Operator::new("CumSum", 11, ALONG, &[like("y", "T")], infer_running, |call| {
        running(call, (0.0, |a, b| a + b), (0, i128::wrapping_add))
    })
    .with(RUNNING),
    Operator::new("CumProd", 26, ALONG, &[like("y", "T")], infer_running, |call| {
        running(call, (1.0, |a, b| a * b), (1, i128::wrapping_mul))
    })
    .with(RUNNING),
];

/// Which axes go: none named means all, unless the operator is told to do nothing then.
fn reduced(attributes: &Attributes<'_>, given: Option<Vec<i64>>, rank: usize) -> Result<Vec<usize>, ShapeError> {
    match given {
        Some(given) if !given.is_empty() => axes(&given, rank),
        _ if attributes.has("noop_with_empty_axes") && attributes.flag("noop_with_empty_axes") => Ok(Vec::new()),
        _ => Ok((0..rank).collect()),
    }
}

fn infer(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let given = if context.attributes.has("axes") {
        context.attributes.ints("axes").map(<[_]>::to_vec)
    } else {
        context.places(1)?
    };
    let gone = reduced(&context.attributes, given, shape.len())?;
    Ok(vec![without(shape, &gone, context.attributes.flag("keepdims"))])
}

fn without(shape: &[Extent], gone: &[usize], keeps: bool) -> Vec<Extent> {
    let left = shape.iter().enumerate().filter(|(axis, _)| keeps || !gone.contains(axis));
    left.map(|(axis, extent)| if gone.contains(&axis) { Extent::ONE } else { extent.clone() }).collect()
}

/// For each element of the input, the place in the result that it goes to; and how many go to each.
fn groups(call: &Call<'_>) -> Result<(Vec<usize>, usize, usize), Fault> {
    let x = call.input(0);
    let given = match call.attributes.ints("axes") {
        Some(given) => Some(given.to_vec()),
        None => call.places(1),
    };
    let gone = reduced(&call.attributes, given, x.rank()).map_err(|_refused| Fault::Input("axes"))?;
    let kept: Vec<_> =
        x.shape().iter().enumerate().map(|(axis, extent)| if gone.contains(&axis) { 1 } else { *extent }).collect();
    let count = gone.iter().map(|axis| x.shape()[*axis]).product();
    Ok((Places::spread(&kept, x.shape()).collect(), kept.iter().product(), count))
}

/// Folds floats of each group, then finishes with the number of elements in it.
fn fold(
    call: &Call<'_>,
    start: f64,
    step: impl Fn(f64, f64) -> f64,
    finish: impl Fn(f64, f64) -> f64,
) -> Result<Vec<f64>, Fault> {
    let (places, results, count) = groups(call)?;
    let mut folded = vec![start; results];
    for (value, place) in call.input(0).floats().into_iter().zip(places) {
        folded[place] = step(folded[place], value);
    }
    folded.iter_mut().for_each(|value| *value = finish(*value, count as f64));
    Ok(folded)
}

fn fold_ints(call: &Call<'_>, start: i128, step: impl Fn(i128, i128) -> i128) -> Outcome {
    let (places, results, _) = groups(call)?;
    let mut folded = vec![start; results];
    for (value, place) in call.input(0).ints().into_iter().zip(places) {
        folded[place] = step(folded[place], value);
    }
    one(call.ints(folded))
}

fn floats(call: &Call<'_>, start: f64, step: fn(f64, f64) -> f64, finish: fn(f64, f64) -> f64) -> Outcome {
    one(call.floats(fold(call, start, step, finish)?))
}

fn sum(call: &Call<'_>) -> Outcome {
    if call.dtype().is_float() {
        return floats(call, 0.0, |sum, x| sum + x, |sum, _| sum);
    }
    fold_ints(call, 0, i128::wrapping_add)
}

fn prod(call: &Call<'_>) -> Outcome {
    if call.dtype().is_float() {
        return floats(call, 1.0, |product, x| product * x, |product, _| product);
    }
    fold_ints(call, 1, i128::wrapping_mul)
}

fn sum_square(call: &Call<'_>) -> Outcome {
    if call.dtype().is_float() {
        return floats(call, 0.0, |sum, x| sum + x * x, |sum, _| sum);
    }
    fold_ints(call, 0, |sum, x| sum.wrapping_add(x.wrapping_mul(x)))
}

fn l1(call: &Call<'_>) -> Outcome {
    if call.dtype().is_float() {
        return floats(call, 0.0, |sum, x| sum + x.abs(), |sum, _| sum);
    }
    fold_ints(call, 0, |sum, x| sum.wrapping_add(x.abs()))
}

fn l2(call: &Call<'_>) -> Outcome {
    floats(call, 0.0, |sum, x| sum + x * x, |sum, _| sum.sqrt())
}

fn mean(call: &Call<'_>) -> Outcome {
    floats(call, 0.0, |sum, x| sum + x, |sum, count| sum / count)
}

fn log_sum(call: &Call<'_>) -> Outcome {
    floats(call, 0.0, |sum, x| sum + x, |sum, _| sum.ln())
}

/// `m + ln Σ eˣ⁻ᵐ` with the largest element of the group as `m`.
fn log_sum_exp(call: &Call<'_>) -> Outcome {
    let most = fold(call, f64::NEG_INFINITY, f64::max, |most, _| most)?;
    let (places, results, _) = groups(call)?;
    let mut sums = vec![0.0; results];
    for (value, place) in call.input(0).floats().into_iter().zip(places) {
        let shift = if most[place].is_finite() { most[place] } else { 0.0 };
        sums[place] += (value - shift).exp();
    }
    let shifted =
        sums.into_iter().zip(most).map(|(sum, most)| if most.is_finite() { most + sum.ln() } else { sum.ln() });
    one(call.floats(shifted.collect::<Vec<_>>()))
}

fn max(call: &Call<'_>) -> Outcome {
    if call.dtype().is_float() {
        return floats(call, f64::NEG_INFINITY, greater, |most, _| most);
    }
    fold_ints(call, least(call.dtype()), i128::max)
}

fn min(call: &Call<'_>) -> Outcome {
    if call.dtype().is_float() {
        return floats(call, f64::INFINITY, lesser, |least, _| least);
    }
    let widest = if call.dtype() == DType::Bool { 1 } else { (1 << bits(call.dtype())) - 1 + least(call.dtype()) };
    fold_ints(call, widest, i128::min)
}

fn bits(dtype: DType) -> u32 {
    u32::try_from(dtype.size_bytes() * 8).unwrap_or(0)
}

/// The smallest integer of a type.
fn least(dtype: DType) -> i128 {
    let signed = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | I64);
    if signed { -(1 << (bits(dtype) - 1)) } else { 0 }
}

fn infer_argument(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let at = axis(context.attributes.int("axis"), shape.len())?;
    if shape[at].as_fixed() == Some(0) {
        return Err(ShapeError::Value { name: "data" });
    }
    Ok(vec![without(shape, &[at], context.attributes.flag("keepdims"))])
}

/// Position of the best element, of several equal ones the first or the last. What is no number is
/// best, as numpy has it.
fn argument(call: &Call<'_>, better: fn(&f64, &f64) -> bool) -> Outcome {
    let x = call.input(0);
    let at = checked_axis(&call.attributes, x.rank());
    let takes_last = call.attributes.flag("select_last_index");
    let values = ordered(x);
    let steps = strides(x.shape());
    let mut kept = x.shape().to_vec();
    kept[at] = 1;
    let found = indices(&kept).map(|index| {
        let start = place(&index, &steps);
        let value = |along: usize| values[start + along * steps[at]];
        let mut best = 0;
        for along in 1..x.shape()[at] {
            let (candidate, current) = (value(along), value(best));
            let wins = better(&candidate, &current) || (candidate.is_nan() && !current.is_nan());
            if (wins && !current.is_nan()) || (takes_last && candidate == current) {
                best = along;
            }
        }
        best as i64
    });
    one(Array::of_places(call.shape().to_vec(), found.collect()))
}

/// Numbers whose order is that of the elements, also of integers that `f64` cannot tell apart.
fn ordered(x: &Array) -> Vec<f64> {
    if x.dtype().is_float() || x.dtype().size_bytes() < 8 {
        return x.floats();
    }
    let ints = x.ints();
    let mut sorted = ints.clone();
    sorted.sort_unstable();
    sorted.dedup();
    ints.iter().map(|value| sorted.partition_point(|other| other < value) as f64).collect()
}

fn infer_running(context: &Inference<'_>) -> Shapes {
    let rank = context.shape(0)?.len();
    if let Ok(Some(given)) = context.places(1) {
        let [given] = given.as_slice() else { return Err(ShapeError::Value { name: "axis" }) };
        axis(*given, rank)?;
    }
    unchanged(context)
}

/// Start and step of a running total, over floats and over integers.
type Total<T> = (T, fn(T, T) -> T);

fn running(call: &Call<'_>, float: Total<f64>, int: Total<i128>) -> Outcome {
    let x = call.input(0);
    let given = call.places(1).and_then(|given| given.first().copied()).ok_or(Fault::Input("axis"))?;
    let at = axis(given, x.rank()).map_err(|_refused| Fault::Input("axis"))?;
    if x.dtype().is_float() {
        return one(call.floats(totals(call, &x.floats(), x.shape(), at, float)));
    }
    one(call.ints(totals(call, &x.ints(), x.shape(), at, int)))
}

fn totals<T: Copy>(call: &Call<'_>, values: &[T], shape: &[usize], at: usize, total: Total<T>) -> Vec<T> {
    let (start, step) = total;
    let (exclusive, reverse) = (call.attributes.flag("exclusive"), call.attributes.flag("reverse"));
    let steps = strides(shape);
    let mut made = values.to_vec();
    let mut kept = shape.to_vec();
    kept[at] = kept[at].min(1);
    for index in indices(&kept) {
        let first = place(&index, &steps);
        let mut sum = start;
        for along in 0..shape[at] {
            let along = if reverse { shape[at] - 1 - along } else { along };
            let here = first + along * steps[at];
            let next = step(sum, values[here]);
            made[here] = if exclusive { sum } else { next };
            sum = next;
        }
    }
    made
}
