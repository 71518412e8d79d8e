//! Conversions of element types.

use super::{Outcome, STORED, one};
use crate::{
    array::Array,
    data::Data,
    narrow::{self, Powers, Rounding},
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        operator::{Call, Fault, Inference, Made, Operator, Product, Shapes, attribute, input, like},
        shape::{ShapeError, unchanged},
    },
    tensor::DType,
};

const TO: &[Product] = &[Product { name: "output", dtype: Made::Chosen(target) }];
/// Only conversions to eight-bit floats look at the two others.
const CONVERSION: &[AttributeSpec] = &[
    attribute("round_mode", Fallback::Text("up")),
    attribute("saturate", Fallback::Int(1)),
    attribute("to", Fallback::RequiredInt),
];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Cast", 6, &[input("input", "T1", STORED)], TO, infer, convert).with(CONVERSION),
    Operator::new(
        "CastLike",
        15,
        &[input("input", "T1", STORED), input("target_type", "T2", STORED)],
        &[like("output", "T2")],
        infer,
        convert,
    )
    .with(&[attribute("round_mode", Fallback::Text("up")), attribute("saturate", Fallback::Int(1))]),
    Operator::new("BitCast", 26, &[input("input", "T1", STORED)], TO, infer_bits, |call| {
        let x = call.input(0);
        one(Array::new(x.shape().to_vec(), Data::read(call.dtype(), x.len(), &x.data().write())))
    })
    .with(&[attribute("to", Fallback::RequiredInt)]),
];

/// The element type that the attribute `to` asks for.
fn target(context: &Inference<'_>) -> Option<DType> {
    u8::try_from(context.attributes.int("to")).ok().and_then(DType::from_code)
}

fn infer_bits(context: &Inference<'_>) -> Shapes {
    let same_width = |dtype: DType| dtype.size_bits() == context.fact(0).dtype.size_bits();
    if !target(context).is_some_and(same_width) {
        return Err(ShapeError::Value { name: "to" });
    }
    unchanged(context)
}

fn infer(context: &Inference<'_>) -> Shapes {
    rounding(&context.attributes).ok_or(ShapeError::Value { name: "round_mode" })?;
    unchanged(context)
}

fn rounding(attributes: &Attributes<'_>) -> Option<Rounding> {
    let powers = match attributes.text("round_mode") {
        "up" => Powers::Up,
        "down" => Powers::Down,
        "nearest" => Powers::Nearest,
        _ => return None,
    };
    Some(Rounding { saturates: attributes.flag("saturate"), powers })
}

/// Numbers as elements of the output, which are floats of eight bits or fewer.
pub(super) fn narrowed(call: &Call<'_>, values: impl Iterator<Item = f64>, rounding: Rounding) -> Array {
    let bits = values.map(|value| narrow::bits(call.dtype(), value, rounding));
    Array::new(call.shape().to_vec(), Data::of_bits(call.dtype(), bits))
}

/// Floats round to floats and lose their fraction to integers, where they stop at the bounds, save
/// that those of less than a byte keep their lowest bits, as all integers do of integers.
fn convert(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    if x.dtype() == call.dtype() {
        return one(x.clone());
    }
    if call.dtype().is_narrow() && call.dtype().is_float() {
        let rounding = rounding(&call.attributes).ok_or(Fault::Input("input"))?;
        return one(narrowed(call, x.floats().into_iter(), rounding));
    }
    if x.dtype().is_float() && !call.dtype().is_packed() {
        return one(call.floats(x.floats()));
    }
    one(call.ints(x.ints()))
}
