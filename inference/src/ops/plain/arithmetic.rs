//! Arithmetic on operands that broadcast.

use super::{FLOATS, INTEGERS, NUMBERS, Outcome, greater, lesser, one};
use crate::{
    array::Places,
    ops::{
        attributes::Fallback,
        operator::{
            Call, Fault, Inference, Kernel, Operator, Parameter, Product, Shapes, attribute, input, like, optional,
        },
        shape::{ShapeError, broadcast_all, unchanged},
    },
};

const NUMBER: &[Parameter] = &[input("A", "T", NUMBERS), input("B", "T", NUMBERS)];
const INTEGER: &[Parameter] = &[input("A", "T", INTEGERS), input("B", "T", INTEGERS)];
const C: &[Product] = &[like("C", "T")];

/// Since opset 7 with broadcasting of both operands.
const fn binary(name: &'static str, kernel: Kernel) -> Operator {
    Operator::new(name, 7, NUMBER, C, broadcast_all, kernel)
}

const fn bitwise(name: &'static str, kernel: Kernel) -> Operator {
    Operator::new(name, 18, INTEGER, C, broadcast_all, kernel)
}

/// Since opset 8 with broadcasting.
const fn many(name: &'static str, inputs: &'static [Parameter], kernel: Kernel) -> Operator {
    Operator::new(name, 8, inputs, C, broadcast_all, kernel).variadic()
}

pub(crate) const OPERATORS: &[Operator] = &[
    binary("Add", |call| zip(call, |a, b| a + b, |a, b| Ok(a.wrapping_add(b)))),
    binary("Sub", |call| zip(call, |a, b| a - b, |a, b| Ok(a.wrapping_sub(b)))),
    binary("Mul", |call| zip(call, |a, b| a * b, |a, b| Ok(a.wrapping_mul(b)))),
    binary("Div", |call| zip(call, |a, b| a / b, |a, b| a.checked_div(b).ok_or(Fault::Division))),
    Operator::new(
        "Pow",
        7,
        &[input("X", "T", NUMBERS), input("Y", "T1", NUMBERS)],
        &[like("Z", "T")],
        broadcast_all,
        power,
    ),
    Operator::new("Mod", 10, NUMBER, C, broadcast_all, remainder).with(&[attribute("fmod", Fallback::Int(0))]),
    bitwise("BitwiseAnd", |call| zip(call, |a, _| a, |a, b| Ok(a & b))),
    bitwise("BitwiseOr", |call| zip(call, |a, _| a, |a, b| Ok(a | b))),
    bitwise("BitwiseXor", |call| zip(call, |a, _| a, |a, b| Ok(a ^ b))),
    Operator::new("BitShift", 11, INTEGER, C, infer_shift, shift)
        .with(&[attribute("direction", Fallback::RequiredText)]),
    many("Max", &[input("data_0", "T", NUMBERS)], |call| fold(call, greater, i128::max)),
    many("Min", &[input("data_0", "T", NUMBERS)], |call| fold(call, lesser, i128::min)),
    many("Sum", &[input("data_0", "T", FLOATS)], |call| fold(call, |a, b| a + b, |a, _| a)),
    many("Mean", &[input("data_0", "T", FLOATS)], |call| {
        let sum = sums(call, |a, b| a + b);
        let count = call.inputs.len() as f64;
        one(call.floats(sum.into_iter().map(|sum| sum / count)))
    }),
    Operator::new("Clip", 6, &[input("input", "T", FLOATS)], &[like("output", "T")], unchanged, |call| {
        let (least, most) = (call.attributes.float("min"), call.attributes.float("max"));
        one(call.floats(call.input(0).floats().into_iter().map(|x| bounded(x, Some(least), Some(most)))))
    })
    .with(&[attribute("max", Fallback::Float(f32::MAX)), attribute("min", Fallback::Float(f32::MIN))]),
    Operator::new(
        "Clip",
        11,
        &[input("input", "T", NUMBERS), optional("min", "T", NUMBERS), optional("max", "T", NUMBERS)],
        &[like("output", "T")],
        infer_clip,
        clip,
    ),
];

/// Applies a function to two operands as they broadcast.
fn zip(call: &Call<'_>, float: fn(f64, f64) -> f64, int: fn(i128, i128) -> Result<i128, Fault>) -> Outcome {
    let (left, right) = (call.input(0), call.input(1));
    let places = Places::spread(left.shape(), call.shape()).zip(Places::spread(right.shape(), call.shape()));
    if left.dtype().is_float() {
        let (a, b) = (left.floats(), right.floats());
        return one(call.floats(places.map(|(left, right)| float(a[left], b[right]))));
    }
    let (a, b) = (left.ints(), right.ints());
    let made: Vec<_> = places.map(|(left, right)| int(a[left], b[right])).collect::<Result<_, _>>()?;
    one(call.ints(made))
}

/// The result has the type of the base, whatever the exponent is.
fn power(call: &Call<'_>) -> Outcome {
    let (base, exponent) = (call.input(0), call.input(1));
    let places = Places::spread(base.shape(), call.shape()).zip(Places::spread(exponent.shape(), call.shape()));
    if base.dtype().is_float() || exponent.dtype().is_float() {
        let (a, b) = (base.floats(), exponent.floats());
        return one(call.floats(places.map(|(base, exponent)| a[base].powf(b[exponent]))));
    }
    let (a, b) = (base.ints(), exponent.ints());
    one(call.ints(places.map(|(base, exponent)| whole_power(a[base], b[exponent]))))
}

/// Wraps like repeated multiplication; 1 / base for negative exponents, without its fraction.
fn whole_power(base: i128, exponent: i128) -> i128 {
    let Ok(mut left) = u128::try_from(exponent) else {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    };
    let (mut result, mut square) = (1_i128, base);
    while left > 0 {
        if left & 1 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        left >>= 1;
    }
    result
}

fn remainder(call: &Call<'_>) -> Outcome {
    if call.attributes.flag("fmod") {
        return zip(call, |a, b| a % b, |a, b| a.checked_rem(b).ok_or(Fault::Division));
    }
    zip(call, floored_remainder, |a, b| {
        let rest = a.checked_rem(b).ok_or(Fault::Division)?;
        Ok(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
    })
}

/// `a − ⌊a / b⌋ · b` with the sign of `b`, and the special cases that the operator lists.
fn floored_remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0.0_f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

fn infer_shift(context: &Inference<'_>) -> Shapes {
    if !matches!(context.attributes.text("direction"), "LEFT" | "RIGHT") {
        return Err(ShapeError::Value { name: "direction" });
    }
    broadcast_all(context)
}

/// An amount that is negative or no smaller than the width leaves only the sign.
fn shift(call: &Call<'_>) -> Outcome {
    const WIDEST: u32 = 64;
    let amount = |by: i128| u32::try_from(by).unwrap_or(WIDEST).min(WIDEST);
    if call.attributes.text("direction") == "RIGHT" {
        // Elements wider than the shift keep their sign in the wide word.
        return widths(call, |a, by, _| a >> amount(by));
    }
    widths(call, |a, by, bits| if (0..bits).contains(&by) { a.wrapping_shl(amount(by)) } else { 0 })
}

fn widths(call: &Call<'_>, f: impl Fn(i128, i128, i128) -> i128) -> Outcome {
    let (left, right) = (call.input(0), call.input(1));
    let bits = i128::from(left.dtype().size_bytes() * 8);
    let (a, b) = (left.ints(), right.ints());
    let places = Places::spread(left.shape(), call.shape()).zip(Places::spread(right.shape(), call.shape()));
    one(call.ints(places.map(|(left, right)| f(a[left], b[right], bits))))
}

fn sums(call: &Call<'_>, f: fn(f64, f64) -> f64) -> Vec<f64> {
    let mut inputs = call.inputs.iter().flatten().map(|array| {
        let values = array.floats();
        Places::spread(array.shape(), call.shape()).map(move |place| values[place])
    });
    let mut result: Vec<f64> = inputs.next().map(Iterator::collect).unwrap_or_default();
    for more in inputs {
        result.iter_mut().zip(more).for_each(|(sum, value)| *sum = f(*sum, value));
    }
    result
}

fn fold(call: &Call<'_>, float: fn(f64, f64) -> f64, int: fn(i128, i128) -> i128) -> Outcome {
    if call.dtype().is_float() {
        return one(call.floats(sums(call, float)));
    }
    let mut result: Option<Vec<i128>> = None;
    for array in call.inputs.iter().flatten() {
        let values = array.ints();
        let spread = Places::spread(array.shape(), call.shape()).map(|place| values[place]);
        result = Some(match result {
            None => spread.collect(),
            Some(so_far) => so_far.into_iter().zip(spread).map(|(a, b)| int(a, b)).collect(),
        });
    }
    one(call.ints(result.unwrap_or_default()))
}

fn infer_clip(context: &Inference<'_>) -> Shapes {
    for (position, name) in [(1, "min"), (2, "max")] {
        let shape = context.optional_shape(position)?.unwrap_or_default();
        if shape.iter().any(|extent| extent.as_fixed().is_some_and(|extent| extent != 1)) {
            return Err(ShapeError::Value { name });
        }
    }
    unchanged(context)
}

/// What is no number stays what it is.
fn bounded(x: f64, least: Option<f64>, most: Option<f64>) -> f64 {
    let x = least.map_or(x, |least| if x < least { least } else { x });
    most.map_or(x, |most| if x > most { most } else { x })
}

/// `min(max, max(x, min))`: with bounds that cross, everything becomes `max`.
fn clip(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    if x.dtype().is_float() {
        let (least, most) = (call.scalar(1), call.scalar(2));
        return one(call.floats(x.floats().into_iter().map(|x| bounded(x, least, most))));
    }
    let bound = |position| call.optional(position).and_then(|array| array.ints().first().copied());
    let (least, most) = (bound(1).unwrap_or(i128::MIN), bound(2).unwrap_or(i128::MAX));
    one(call.ints(x.ints().into_iter().map(|x| x.max(least).min(most))))
}
