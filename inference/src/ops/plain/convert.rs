//! Conversions of element types.

use super::{ALL, Outcome, one};
use crate::{
    array::Array,
    data::Data,
    ops::{
        attributes::{AttributeSpec, Fallback},
        operator::{Call, Inference, Made, Operator, Product, Shapes, attribute, input, like},
        shape::{ShapeError, unchanged},
    },
    tensor::DType,
};

const TO: &[Product] = &[Product { name: "output", dtype: Made::Chosen(target) }];
/// Only conversions to eight-bit floats look at the two others, and those are not taken.
const CONVERSION: &[AttributeSpec] = &[
    attribute("round_mode", Fallback::Text("up")),
    attribute("saturate", Fallback::Int(1)),
    attribute("to", Fallback::RequiredInt),
];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Cast", 6, &[input("input", "T1", ALL)], TO, unchanged, convert).with(CONVERSION),
    Operator::new(
        "CastLike",
        15,
        &[input("input", "T1", ALL), input("target_type", "T2", ALL)],
        &[like("output", "T2")],
        unchanged,
        convert,
    )
    .with(&[attribute("round_mode", Fallback::Text("up")), attribute("saturate", Fallback::Int(1))]),
    Operator::new("BitCast", 26, &[input("input", "T1", ALL)], TO, infer_bits, |call| {
        let x = call.input(0);
        one(Array::new(x.shape().to_vec(), Data::read(call.dtype(), &x.data().write())))
    })
    .with(&[attribute("to", Fallback::RequiredInt)]),
];

/// The element type that the attribute `to` asks for.
fn target(context: &Inference<'_>) -> Option<DType> {
    u8::try_from(context.attributes.int("to")).ok().and_then(DType::from_code)
}

fn infer_bits(context: &Inference<'_>) -> Shapes {
    let same_width = |dtype: DType| dtype.size_bytes() == context.fact(0).dtype.size_bytes();
    if !target(context).is_some_and(same_width) {
        return Err(ShapeError::Value { name: "to" });
    }
    unchanged(context)
}

/// Floats round to floats and lose their fraction to integers, where they stop at the bounds;
/// integers keep their lowest bits.
fn convert(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    if x.dtype() == call.dtype() {
        return one(x.clone());
    }
    if x.dtype().is_float() {
        return one(call.floats(x.floats()));
    }
    one(call.ints(x.ints()))
}
