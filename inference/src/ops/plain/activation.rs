//! Activations with attributes, and those that normalise along an axis.

use half::f16;

use super::{
    F16, FLOATS, NUMBERS, Outcome, PRECISE, one,
    pointwise::{map, sigmoid},
};
use crate::{
    array::strides,
    element::Element as _,
    ops::{
        attributes::{AttributeSpec, Fallback},
        operator::{Call, Inference, Kernel, Operator, Parameter, Product, Shapes, attribute, input, like},
        shape::{ShapeError, axis, broadcast_pair, checked_axis, same, unchanged},
    },
};

const X: &[Parameter] = &[input("X", "T", FLOATS)];
const Y: &[Product] = &[like("Y", "T")];
const AXIS: &[AttributeSpec] = &[attribute("axis", Fallback::Int(-1))];
const FROM_AXIS: &[AttributeSpec] = &[attribute("axis", Fallback::Int(1))];

const fn alpha(name: &'static str, since: u32, default: &'static [AttributeSpec], kernel: Kernel) -> Operator {
    Operator::new(name, since, X, Y, unchanged, kernel).with(default)
}

/// Before opset 13 over all dimensions from the axis on at once.
const fn flattened(name: &'static str, kernel: Kernel) -> Operator {
    Operator::new(name, 1, X, Y, along_axis, kernel).with(FROM_AXIS)
}

/// Since opset 13 along one axis.
const fn along(name: &'static str, kernel: Kernel) -> Operator {
    Operator::new(name, 13, X, Y, along_axis, kernel).with(AXIS)
}

pub(crate) const OPERATORS: &[Operator] = &[
    alpha("Celu", 12, &[attribute("alpha", Fallback::Float(1.0))], |call| {
        let alpha = call.attributes.float("alpha");
        map(call, |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
    }),
    alpha("Elu", 6, &[attribute("alpha", Fallback::Float(1.0))], |call| {
        let alpha = call.attributes.float("alpha");
        map(call, |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
    }),
    alpha("Gelu", 20, &[attribute("approximate", Fallback::Text("none"))], gelu),
    alpha(
        "HardSigmoid",
        6,
        &[attribute("alpha", Fallback::Float(0.2)), attribute("beta", Fallback::Float(0.5))],
        |call| {
            let (alpha, beta) = (call.attributes.float("alpha"), call.attributes.float("beta"));
            map(call, |x| (alpha * x + beta).clamp(0.0, 1.0))
        },
    ),
    alpha("LeakyRelu", 6, &[attribute("alpha", Fallback::Float(0.01))], |call| {
        let alpha = call.attributes.float("alpha");
        map(call, |x| if x < 0.0 { alpha * x } else { x })
    }),
    alpha(
        "Selu",
        6,
        &[attribute("alpha", Fallback::Float(1.673_263_2)), attribute("gamma", Fallback::Float(1.050_701))],
        |call| {
            let (alpha, gamma) = (call.attributes.float("alpha"), call.attributes.float("gamma"));
            map(call, |x| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x })
        },
    ),
    Operator::new("Shrink", 9, &[input("input", "T", PRECISE)], Y, unchanged, |call| {
        let (bias, bound) = (call.attributes.float("bias"), call.attributes.float("lambd"));
        map(call, |x| {
            if x < -bound {
                x + bias
            } else if x > bound {
                x - bias
            } else {
                0.0
            }
        })
    })
    .with(&[attribute("bias", Fallback::Float(0.0)), attribute("lambd", Fallback::Float(0.5))]),
    alpha("Swish", 24, &[attribute("alpha", Fallback::Float(1.0))], |call| {
        let alpha = call.attributes.float("alpha");
        map(call, |x| x * sigmoid(alpha * x))
    }),
    Operator::new("SwiGLU", 28, &[input("A", "T", FLOATS), input("B", "T", FLOATS)], Y, infer_gated, gated)
        .with(&[attribute("alpha", Fallback::Float(1.0))]),
    alpha("ThresholdedRelu", 10, &[attribute("alpha", Fallback::Float(1.0))], |call| {
        let alpha = call.attributes.float("alpha");
        map(call, |x| if x > alpha { x } else { 0.0 })
    }),
    Operator::new("PRelu", 7, &[input("X", "T", NUMBERS), input("slope", "T", NUMBERS)], Y, infer_sloped, sloped),
    flattened("Hardmax", |call| rows(call, hardmax)),
    along("Hardmax", |call| lanes(call, hardmax)),
    flattened("LogSoftmax", |call| rows(call, log_softmax)),
    along("LogSoftmax", |call| lanes(call, log_softmax)),
    flattened("Softmax", |call| rows(call, softmax)),
    along("Softmax", |call| if call.dtype() == F16 { lanes(call, softmax_by_steps) } else { lanes(call, softmax) }),
];

fn gelu(call: &Call<'_>) -> Outcome {
    if call.attributes.text("approximate") == "tanh" {
        let scale = (2.0 / std::f64::consts::PI).sqrt();
        return map(call, |x| 0.5 * x * (1.0 + (scale * (x + 0.044_715 * x * x * x)).tanh()));
    }
    // The complementary function keeps its digits where 1 + erf would cancel.
    map(call, |x| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2))
}

fn along_axis(context: &Inference<'_>) -> Shapes {
    axis(context.attributes.int("axis"), context.shape(0)?.len())?;
    unchanged(context)
}

fn infer_gated(context: &Inference<'_>) -> Shapes {
    let (a, b) = (context.shape(0)?, context.shape(1)?);
    if a.len() != b.len() {
        return Err(ShapeError::Rank { input: 1, expected: "as many as A", got: b.len() });
    }
    for (a, b) in a.iter().zip(b) {
        same("extent of B", a, b)?;
    }
    unchanged(context)
}

fn gated(call: &Call<'_>) -> Outcome {
    let alpha = call.attributes.float("alpha");
    let (a, b) = (call.input(0).floats(), call.input(1).floats());
    one(call.floats(a.into_iter().zip(b).map(|(a, b)| a * sigmoid(alpha * a) * b)))
}

/// The slope may not enlarge the result.
fn infer_sloped(context: &Inference<'_>) -> Shapes {
    let (x, slope) = (context.shape(0)?, context.shape(1)?);
    let whole = broadcast_pair(x, slope)?;
    if whole.len() != x.len() || whole.iter().zip(x).any(|(whole, own)| whole.differs(own)) {
        return Err(ShapeError::Value { name: "slope" });
    }
    unchanged(context)
}

fn sloped(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let slope = call.input(1);
    let places = crate::array::Places::spread(slope.shape(), x.shape());
    if x.dtype().is_float() {
        let factors = slope.floats();
        let values = x.floats().into_iter().zip(places);
        return one(call.floats(values.map(|(x, at)| if x < 0.0 { x * factors[at] } else { x })));
    }
    let factors = slope.ints();
    let values = x.ints().into_iter().zip(places);
    one(call.ints(values.map(|(x, at)| if x < 0 { x * factors[at] } else { x })))
}

/// Applies a function to every run of elements along the attribute's axis.
fn lanes(call: &Call<'_>, f: impl Fn(&mut [f64])) -> Outcome {
    let x = call.input(0);
    let at = checked_axis(&call.attributes, x.rank());
    let mut values = x.floats();
    each_lane(&mut values, x.shape(), at, f);
    one(call.floats(values))
}

/// Applies a function to the elements of all dimensions from the attribute's axis on.
fn rows(call: &Call<'_>, f: fn(&mut [f64])) -> Outcome {
    let x = call.input(0);
    let at = checked_axis(&call.attributes, x.rank());
    let mut values = x.floats();
    let size: usize = x.shape()[at..].iter().product();
    values.chunks_exact_mut(size.max(1)).for_each(f);
    one(call.floats(values))
}

/// 1 at the first of the largest elements, 0 elsewhere.
fn hardmax(lane: &mut [f64]) {
    let first = largest(lane);
    lane.iter_mut().enumerate().for_each(|(at, x)| *x = f64::from(at == first));
}

/// Applies a function in place to every run of elements along one axis.
pub(super) fn each_lane(values: &mut [f64], shape: &[usize], axis: usize, f: impl Fn(&mut [f64])) {
    let (extent, step) = (shape[axis], strides(shape)[axis]);
    if values.is_empty() {
        return;
    }
    let mut lane = vec![0.0; extent];
    for outer in (0..values.len()).step_by(extent * step) {
        for start in outer..outer + step {
            for (at, slot) in lane.iter_mut().enumerate() {
                *slot = values[start + at * step];
            }
            f(&mut lane);
            for (at, value) in lane.iter().enumerate() {
                values[start + at * step] = *value;
            }
        }
    }
}

/// `eˣ⁻ᵐ / Σ eˣ⁻ᵐ` with the largest element as `m`, so that nothing overflows.
pub(super) fn softmax(lane: &mut [f64]) {
    let most = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lane.iter_mut().for_each(|x| *x = (*x - most).exp());
    let sum: f64 = lane.iter().sum();
    lane.iter_mut().for_each(|x| *x /= sum);
}

/// The same for `FP16`, rounded after each operator of the body that the specification gives
/// `Softmax`: models in halves are compared with what their exporter's runtime made, and that is it.
fn softmax_by_steps(lane: &mut [f64]) {
    let round = |x: f64| f16::of_float(x).to_f64();
    let most = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lane.iter_mut().for_each(|x| *x = round(round(*x - most).exp()));
    let sum = round(lane.iter().sum());
    lane.iter_mut().for_each(|x| *x /= sum);
}

/// `x − m − ln Σ eˣ⁻ᵐ`.
pub(super) fn log_softmax(lane: &mut [f64]) {
    let most = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = lane.iter().map(|x| (x - most).exp()).sum();
    lane.iter_mut().for_each(|x| *x = *x - most - sum.ln());
}

/// Position of the largest element, of several equal ones the first.
fn largest(lane: &[f64]) -> usize {
    let mut first = 0;
    for (at, x) in lane.iter().enumerate() {
        if *x > lane[first] {
            first = at;
        }
    }
    first
}
