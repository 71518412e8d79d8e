//! Functions of one element, and the two that normalise along an axis.

use burn::backend::{Backend, tensor::FloatTensor};

use crate::{
    ops::{
        entry::{Call, Operator, take},
        extent::ValueType,
        schema::{AttributeSpec, Fallback, Inference, Parameter, Presence, Schema},
        shape::{ShapeError, axis, unchanged},
        value::{DTYPES, Value},
    },
    tensor::{DType, Tensor},
};

const FLOAT: &[DType] = &[DType::F32];
const X: &[Parameter] = &[Parameter { name: "X", dtypes: FLOAT, presence: Presence::Required }];
const AXIS: &[AttributeSpec] = &[AttributeSpec { name: "axis", fallback: Fallback::Int(-1) }];

pub(super) const fn relu<B: Backend>() -> Operator<B> {
    Operator { schema: unary("Relu"), kernel: |_, inputs| map(inputs, B::relu) }
}

pub(super) const fn sigmoid<B: Backend>() -> Operator<B> {
    Operator { schema: unary("Sigmoid"), kernel: |_, inputs| map(inputs, B::sigmoid) }
}

pub(super) const fn tanh<B: Backend>() -> Operator<B> {
    Operator { schema: unary("Tanh"), kernel: |_, inputs| map(inputs, B::float_tanh) }
}

/// Since opset 13 along one axis; before, over a flattened matrix.
pub(super) const fn softmax<B: Backend>() -> Operator<B> {
    Operator { schema: along_axis("Softmax"), kernel: |call, inputs| map_axis(call, inputs, B::softmax) }
}

/// Since opset 13 along one axis; before, over a flattened matrix.
pub(super) const fn log_softmax<B: Backend>() -> Operator<B> {
    Operator { schema: along_axis("LogSoftmax"), kernel: |call, inputs| map_axis(call, inputs, B::log_softmax) }
}

/// Since opset 11 with bounds as inputs; here they must be weights.
pub(super) const fn clip<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Clip",
            since: 11,
            inputs: &[
                Parameter { name: "input", dtypes: FLOAT, presence: Presence::Required },
                Parameter { name: "min", dtypes: FLOAT, presence: Presence::OptionalConstant },
                Parameter { name: "max", dtypes: FLOAT, presence: Presence::OptionalConstant },
            ],
            variadic: false,
            attributes: &[],
            infer: infer_clip,
        },
        kernel: clamp,
    }
}

pub(super) const fn identity<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Identity",
            since: 1,
            inputs: &[Parameter { name: "input", dtypes: DTYPES, presence: Presence::Required }],
            variadic: false,
            attributes: &[],
            infer: unchanged,
        },
        kernel: |_, mut inputs| take(&mut inputs, 0),
    }
}

/// As inference sees it: nothing is dropped, and there is no mask.
pub(super) const fn dropout<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Dropout",
            since: 7,
            inputs: &[
                Parameter { name: "data", dtypes: FLOAT, presence: Presence::Required },
                Parameter { name: "ratio", dtypes: FLOAT, presence: Presence::OptionalConstant },
                Parameter { name: "training_mode", dtypes: &[DType::Bool], presence: Presence::OptionalConstant },
            ],
            variadic: false,
            attributes: &[
                AttributeSpec { name: "ratio", fallback: Fallback::Float(0.5) },
                AttributeSpec { name: "seed", fallback: Fallback::Int(0) },
            ],
            infer: |context| match context.constant(2) {
                Some(training) if training.data().iter().any(|byte| *byte != 0) => {
                    Err(ShapeError::Value { name: "training_mode" })
                }
                _ => unchanged(context),
            },
        },
        kernel: |_, mut inputs| take(&mut inputs, 0),
    }
}

const fn unary(name: &'static str) -> Schema {
    Schema { name, since: 6, inputs: X, variadic: false, attributes: &[], infer: unchanged }
}

const fn along_axis(name: &'static str) -> Schema {
    Schema {
        name,
        since: 13,
        inputs: X,
        variadic: false,
        attributes: AXIS,
        infer: |context| {
            axis(context.attributes.int("axis"), context.input(0).rank())?;
            unchanged(context)
        },
    }
}

fn map<B: Backend>(mut inputs: Vec<Option<Value<B>>>, f: fn(FloatTensor<B>) -> FloatTensor<B>) -> Value<B> {
    Value::Float(f(take(&mut inputs, 0).float()))
}

fn map_axis<B: Backend>(
    call: &Call<'_>,
    mut inputs: Vec<Option<Value<B>>>,
    f: fn(FloatTensor<B>, usize) -> FloatTensor<B>,
) -> Value<B> {
    let at = axis(call.attributes.int("axis"), call.shape.len()).expect("read by the shape function");
    Value::Float(f(take(&mut inputs, 0).float(), at))
}

fn infer_clip(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    for (position, name) in [(1, "min"), (2, "max")] {
        if context.constant(position).is_some_and(|bound| bound.elements() != 1) {
            return Err(ShapeError::Value { name });
        }
    }
    unchanged(context)
}

/// `min(max, max(x, min))`: with bounds that cross, everything becomes `max`.
fn clamp<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    let mut x = take(&mut inputs, 0).float();
    if let Some(min) = scalar(call.constants, 1) {
        x = B::float_clamp_min(x, min.into());
    }
    if let Some(max) = scalar(call.constants, 2) {
        x = B::float_clamp_max(x, max.into());
    }
    Value::Float(x)
}

fn scalar(constants: &[Option<Tensor>], position: usize) -> Option<f32> {
    let bound = constants.get(position)?.as_ref()?;
    bound.to_f32().expect("the element type was checked").first().copied()
}
