//! Arithmetic on two operands that broadcast, and the conversion of element types.

use burn::backend::{
    Backend, FloatDType, IntDType,
    tensor::{FloatTensor, IntTensor},
};

use crate::{
    ops::{
        entry::{Call, Operator, take},
        extent::{Extent, ValueType, broadcast},
        schema::{AttributeSpec, Fallback, Inference, Parameter, Presence, Schema},
        shape::ShapeError,
        value::Value,
    },
    tensor::DType,
};

const FLOAT: &[DType] = &[DType::F32];
const NUMBER: &[DType] = &[DType::F32, DType::I64];

pub(super) const fn add<B: Backend>() -> Operator<B> {
    Operator { schema: binary("Add", TWO_NUMBERS), kernel: |_, inputs| zip(inputs, B::float_add, B::int_add) }
}

pub(super) const fn sub<B: Backend>() -> Operator<B> {
    Operator { schema: binary("Sub", TWO_NUMBERS), kernel: |_, inputs| zip(inputs, B::float_sub, B::int_sub) }
}

pub(super) const fn mul<B: Backend>() -> Operator<B> {
    Operator { schema: binary("Mul", TWO_NUMBERS), kernel: |_, inputs| zip(inputs, B::float_mul, B::int_mul) }
}

/// Only of floats: dividing an integer by 0 has no answer.
pub(super) const fn div<B: Backend>() -> Operator<B> {
    Operator { schema: binary("Div", TWO_FLOATS), kernel: |_, inputs| zip(inputs, B::float_div, B::int_div) }
}

/// Between `FP32` and `INT64`; floats lose their fraction.
pub(super) const fn cast<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Cast",
            since: 6,
            inputs: &[Parameter { name: "input", dtypes: NUMBER, presence: Presence::Required }],
            variadic: false,
            attributes: &[
                // Only conversions to eight-bit floats look at it, and those are not taken.
                AttributeSpec { name: "saturate", fallback: Fallback::Int(1) },
                AttributeSpec { name: "to", fallback: Fallback::RequiredInt },
            ],
            infer: infer_cast,
        },
        kernel: convert,
    }
}

const TWO_NUMBERS: &[Parameter] = &[
    Parameter { name: "A", dtypes: NUMBER, presence: Presence::Required },
    Parameter { name: "B", dtypes: NUMBER, presence: Presence::Required },
];
const TWO_FLOATS: &[Parameter] = &[
    Parameter { name: "A", dtypes: FLOAT, presence: Presence::Required },
    Parameter { name: "B", dtypes: FLOAT, presence: Presence::Required },
];

/// Since opset 7 with broadcasting of both operands.
const fn binary(name: &'static str, inputs: &'static [Parameter]) -> Schema {
    Schema { name, since: 7, inputs, variadic: false, attributes: &[], infer: infer_binary }
}

fn infer_binary(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let (left, right) = (context.input(0), context.input(1));
    let shape = broadcast(&left.shape, &right.shape)
        .ok_or_else(|| ShapeError::Broadcast { left: left.to_string(), right: right.to_string() })?;
    Ok(ValueType { dtype: left.dtype, shape })
}

fn zip<B: Backend>(
    mut inputs: Vec<Option<Value<B>>>,
    floats: fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
    ints: fn(IntTensor<B>, IntTensor<B>) -> IntTensor<B>,
) -> Value<B> {
    let (left, right) = (take(&mut inputs, 0), take(&mut inputs, 1));
    let rank = left.shape().len().max(right.shape().len());
    match (left.align(rank), right.align(rank)) {
        (Value::Float(left), Value::Float(right)) => Value::Float(floats(left, right)),
        (Value::Int(left), Value::Int(right)) => Value::Int(ints(left, right)),
        _ => unreachable!("element types were checked against the schema"),
    }
}

fn infer_cast(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let target = u8::try_from(context.attributes.int("to")).ok().and_then(DType::from_code);
    let dtype = target.filter(|dtype| NUMBER.contains(dtype)).ok_or(ShapeError::Value { name: "to" })?;
    let shape: Vec<Extent> = context.input(0).shape.clone();
    Ok(ValueType { dtype, shape })
}

fn convert<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    match (take(&mut inputs, 0), call.dtype) {
        (Value::Float(tensor), DType::I64) => Value::Int(B::float_into_int(tensor, IntDType::I64)),
        (Value::Int(tensor), DType::F32) => Value::Float(B::int_into_float(tensor, FloatDType::F32)),
        (same, _) => same,
    }
}
