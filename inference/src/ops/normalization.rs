//! `BatchNormalization` as inference sees it: with the recorded mean and variance.

use burn::backend::{Backend, tensor::FloatTensor};

use crate::{
    ops::{
        entry::{Call, Operator, take},
        extent::ValueType,
        schema::{AttributeSpec, Fallback, Inference, Parameter, Presence, Schema},
        shape::{ShapeError, only, same},
        value::Value,
    },
    tensor::DType,
};

const fn parameter(name: &'static str) -> Parameter {
    Parameter { name, dtypes: &[DType::F32], presence: Presence::Required }
}

const INPUTS: &[Parameter] =
    &[parameter("X"), parameter("scale"), parameter("B"), parameter("input_mean"), parameter("input_var")];

/// Since opset 9, without `spatial`; training is refused.
pub(super) const fn batch_normalization<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "BatchNormalization",
            since: 9,
            inputs: INPUTS,
            variadic: false,
            attributes: &[
                AttributeSpec { name: "epsilon", fallback: Fallback::Float(1e-5) },
                // Weighs running statistics against those of the batch, in training only.
                AttributeSpec { name: "momentum", fallback: Fallback::Float(0.9) },
                AttributeSpec { name: "training_mode", fallback: Fallback::Int(0) },
            ],
            infer,
        },
        kernel,
    }
}

fn infer(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    only(context, "training_mode", 0)?;
    let x = context.input(0);
    if x.rank() < 2 {
        return Err(ShapeError::Rank { input: 0, expected: "at least 2", got: x.rank() });
    }
    for input in 1..5 {
        let value = context.input(input);
        if value.rank() != 1 {
            return Err(ShapeError::Rank { input, expected: "1", got: value.rank() });
        }
        same("number of channels", &x.shape[1], &value.shape[0])?;
    }
    Ok(x.clone())
}

/// `(x − mean) / √(variance + epsilon) · scale + bias`, equation of the ONNX operator.
fn kernel<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    let mut per_channel = vec![1; call.shape.len()];
    per_channel[1] = call.shape[1];
    let x = take(&mut inputs, 0).float();
    let mut channels = |position| -> FloatTensor<B> { take(&mut inputs, position).reshape(&per_channel).float() };
    let (scale, bias, mean, variance) = (channels(1), channels(2), channels(3), channels(4));
    let deviation = B::float_sqrt(B::float_add_scalar(variance, call.attributes.float("epsilon").into()));
    let factor = B::float_div(scale, deviation);
    let centred = B::float_sub(x, mean);
    Value::Float(B::float_add(B::float_mul(centred, factor), bias))
}
