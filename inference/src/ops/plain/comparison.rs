//! Comparisons, logic and selection on operands that broadcast.

use super::{ALL, BOOL, Bool, NUMBERS, Outcome, one};
use crate::{
    array::Places,
    ops::{
        operator::{Call, Kernel, Operator, Parameter, Product, input, like, of},
        shape::broadcast_all,
    },
};

const NUMBER: &[Parameter] = &[input("A", "T", NUMBERS), input("B", "T", NUMBERS)];
const ANY: &[Parameter] = &[input("A", "T", ALL), input("B", "T", ALL)];
const TRUTH: &[Parameter] = &[input("A", "T", BOOL), input("B", "T", BOOL)];
const C: &[Product] = &[of("C", Bool)];

/// Since opset 7 with broadcasting of both operands.
const fn logic(name: &'static str, kernel: Kernel) -> Operator {
    Operator::new(name, 7, TRUTH, C, broadcast_all, kernel)
}

const fn order(name: &'static str, since: u32, kernel: Kernel) -> Operator {
    Operator::new(name, since, NUMBER, C, broadcast_all, kernel)
}

pub(crate) const OPERATORS: &[Operator] = &[
    logic("And", |call| compare(call, |a, b| a != 0.0 && b != 0.0, |a, b| a & b != 0)),
    logic("Or", |call| compare(call, |a, b| a != 0.0 || b != 0.0, |a, b| a | b != 0)),
    logic("Xor", |call| compare(call, |a, b| (a != 0.0) != (b != 0.0), |a, b| a ^ b != 0)),
    Operator::new("Equal", 7, ANY, C, broadcast_all, |call| compare(call, |a, b| a == b, |a, b| a == b)),
    order("Greater", 7, |call| compare(call, |a, b| a > b, |a, b| a > b)),
    order("GreaterOrEqual", 12, |call| compare(call, |a, b| a >= b, |a, b| a >= b)),
    order("Less", 7, |call| compare(call, |a, b| a < b, |a, b| a < b)),
    order("LessOrEqual", 12, |call| compare(call, |a, b| a <= b, |a, b| a <= b)),
    Operator::new(
        "Where",
        9,
        &[input("condition", "B", BOOL), input("X", "T", ALL), input("Y", "T", ALL)],
        &[like("output", "T")],
        broadcast_all,
        select,
    ),
];

fn compare(call: &Call<'_>, float: fn(f64, f64) -> bool, int: fn(i128, i128) -> bool) -> Outcome {
    let (left, right) = (call.input(0), call.input(1));
    let places = Places::spread(left.shape(), call.shape()).zip(Places::spread(right.shape(), call.shape()));
    if left.dtype().is_float() {
        let (a, b) = (left.floats(), right.floats());
        return one(call.ints(places.map(|(left, right)| i128::from(float(a[left], b[right])))));
    }
    let (a, b) = (left.ints(), right.ints());
    one(call.ints(places.map(|(left, right)| i128::from(int(a[left], b[right])))))
}

fn select(call: &Call<'_>) -> Outcome {
    let (condition, x, y) = (call.input(0), call.input(1), call.input(2));
    let chosen = condition.truths();
    // One list of elements to pick from: those of X, then those of Y.
    let mut both = x.data().clone();
    both.extend(y.data());
    let spread = |shape: &[usize]| Places::spread(shape, call.shape());
    let places = spread(condition.shape()).zip(spread(x.shape())).zip(spread(y.shape()));
    let places = places.map(|((at, x_place), y_place)| if chosen[at] { x_place } else { x.len() + y_place });
    one(crate::array::Array::new(call.shape().to_vec(), both.pick(places)))
}
