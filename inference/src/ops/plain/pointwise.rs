//! Functions of one element without attributes.

use super::{BOOL, Bool, FLOATS, INTEGERS, NUMBERS, Outcome, SIGNED, STORED, one};
use crate::{
    array::Array,
    ops::{
        attributes::Fallback,
        operator::{
            Call, Inference, Kernel, Operator, Parameter, Product, Shapes, attribute, input, like, of, optional,
        },
        shape::{ShapeError, unchanged},
    },
};

const FLOAT: &[Parameter] = &[input("X", "T", FLOATS)];
const NUMBER: &[Parameter] = &[input("X", "T", NUMBERS)];
const NEGATABLE: &[Parameter] = &[input("X", "T", SIGNED)];
const DROPPED: &[Parameter] = &[input("data", "T", FLOATS)];
const DROPPED_LATER: &[Parameter] =
    &[input("data", "T", FLOATS), optional("ratio", "T1", FLOATS), optional("training_mode", "T2", BOOL)];
const Y: &[Product] = &[like("Y", "T")];

const fn floating(name: &'static str, since: u32, kernel: Kernel) -> Operator {
    Operator::new(name, since, FLOAT, Y, unchanged, kernel)
}

pub(crate) const OPERATORS: &[Operator] = &[
    floating("Acos", 7, |call| map(call, f64::acos)),
    floating("Acosh", 9, |call| map(call, f64::acosh)),
    floating("Asin", 7, |call| map(call, f64::asin)),
    floating("Asinh", 9, |call| map(call, f64::asinh)),
    floating("Atan", 7, |call| map(call, f64::atan)),
    floating("Atanh", 9, |call| map(call, f64::atanh)),
    floating("Ceil", 6, |call| map(call, f64::ceil)),
    floating("Cos", 7, |call| map(call, f64::cos)),
    floating("Cosh", 9, |call| map(call, f64::cosh)),
    floating("Erf", 9, |call| map(call, libm::erf)),
    floating("Exp", 6, |call| map(call, f64::exp)),
    floating("Floor", 6, |call| map(call, f64::floor)),
    floating("HardSwish", 14, |call| map(call, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0))),
    floating("Log", 6, |call| map(call, f64::ln)),
    floating("Mish", 18, |call| map(call, |x| x * softplus(x).tanh())),
    floating("Reciprocal", 6, |call| map(call, f64::recip)),
    floating("Round", 11, |call| map(call, f64::round_ties_even)),
    floating("Sigmoid", 6, |call| map(call, sigmoid)),
    floating("Sin", 7, |call| map(call, f64::sin)),
    floating("Sinh", 9, |call| map(call, f64::sinh)),
    floating("Softplus", 1, |call| map(call, softplus)),
    floating("Softsign", 1, |call| map(call, |x| x / (1.0 + x.abs()))),
    floating("Sqrt", 6, |call| map(call, f64::sqrt)),
    floating("Tan", 7, |call| map(call, f64::tan)),
    floating("Tanh", 6, |call| map(call, f64::tanh)),
    Operator::new("Abs", 6, NUMBER, Y, unchanged, |call| map_number(call, f64::abs, i128::abs)),
    Operator::new("Neg", 6, NEGATABLE, Y, unchanged, |call| map_number(call, |x| -x, |x| -x)),
    Operator::new("Relu", 6, NEGATABLE, Y, unchanged, |call| {
        // What is no number stays what it is.
        map_number(call, |x| if x > 0.0 || x.is_nan() { x } else { 0.0 }, |x| x.max(0))
    }),
    Operator::new("Sign", 9, NUMBER, Y, unchanged, |call| map_number(call, sign, i128::signum)),
    Operator::new("IsNaN", 9, FLOAT, &[of("Y", Bool)], unchanged, |call| {
        let x = call.input(0);
        one(call.floats(x.floats().into_iter().map(|x| f64::from(x.is_nan()))))
    }),
    Operator::new("IsInf", 10, FLOAT, &[of("Y", Bool)], unchanged, is_infinite)
        .with(&[attribute("detect_negative", Fallback::Int(1)), attribute("detect_positive", Fallback::Int(1))]),
    Operator::new("Not", 1, &[input("X", "T", BOOL)], Y, unchanged, |call| {
        one(call.ints(call.input(0).truths().into_iter().map(|x| i128::from(!x))))
    }),
    Operator::new("BitwiseNot", 18, &[input("X", "T", INTEGERS)], Y, unchanged, |call| {
        one(call.ints(call.input(0).ints().into_iter().map(|x| !x)))
    }),
    // Graphs of the first release call the operator of every opset by this version, so that it takes
    // the inputs and the attribute of the later ones too.
    Operator::new("Dropout", 7, DROPPED_LATER, &[like("output", "T"), like("mask", "T")], infer_dropout, dropout)
        .with(&[attribute("ratio", Fallback::Float(0.5)), attribute("seed", Fallback::NoInt)]),
    Operator::new("Dropout", 10, DROPPED, &[like("output", "T"), of("mask", Bool)], infer_dropout, dropout)
        .with(&[attribute("ratio", Fallback::Float(0.5))]),
    Operator::new("Dropout", 12, DROPPED_LATER, &[like("output", "T"), of("mask", Bool)], infer_dropout, dropout)
        .with(&[attribute("seed", Fallback::NoInt)]),
    Operator::new("Identity", 1, &[input("input", "V", STORED)], &[like("output", "V")], unchanged, |call| {
        one(call.input(0).clone())
    }),
];

/// Applies a function to every float.
pub(super) fn map(call: &Call<'_>, f: impl Fn(f64) -> f64) -> Outcome {
    one(call.floats(call.input(0).floats().into_iter().map(f)))
}

fn map_number(call: &Call<'_>, float: fn(f64) -> f64, int: fn(i128) -> i128) -> Outcome {
    let x: &Array = call.input(0);
    if x.dtype().is_float() {
        return map(call, float);
    }
    one(call.ints(x.ints().into_iter().map(int)))
}

fn is_infinite(call: &Call<'_>) -> Outcome {
    let (negative, positive) = (call.attributes.flag("detect_negative"), call.attributes.flag("detect_positive"));
    map(call, |x| f64::from((x == f64::INFINITY && positive) || (x == f64::NEG_INFINITY && negative)))
}

/// As inference sees it: nothing is dropped. Training is taken only where the ratio is the
/// constant 0, for what is dropped otherwise would be random.
fn infer_dropout(context: &Inference<'_>) -> Shapes {
    let constant = |position: usize| context.content(position).ok().flatten().map(|array| array.floats());
    let trains = match (context.optional(2), constant(2)) {
        (None, _) => false,
        (Some(_), Some(mode)) => mode.iter().any(|mode| *mode != 0.0),
        (Some(_), None) => true,
    };
    let drops = constant(1).is_none_or(|ratio| ratio.iter().any(|ratio| *ratio != 0.0));
    if trains && drops {
        return Err(ShapeError::Value { name: "training_mode" });
    }
    let shape = context.shape(0)?.to_vec();
    Ok(if context.asked > 1 { vec![shape.clone(), shape] } else { vec![shape] })
}

fn dropout(call: &Call<'_>) -> Outcome {
    let data = call.input(0);
    let mut outputs = vec![data.clone()];
    if call.outputs.len() > 1 {
        outputs.push(call.output(1, std::iter::repeat_n(1.0, data.len())));
    }
    Ok(outputs)
}

/// Of the two forms of `1 / (1 + e⁻ˣ)`, the one whose exponential cannot overflow.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        (1.0 + (-x).exp()).recip()
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(1 + eˣ)` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}
