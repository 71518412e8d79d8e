//! `MaxPool`, `AveragePool` and `GlobalAveragePool`.

use burn::backend::{Backend, Shape};

use crate::{
    ops::{
        entry::{Call, Operator, take},
        extent::{Extent, ValueType},
        schema::{AttributeSpec, Attributes, Fallback, Inference, Parameter, Presence, Schema},
        shape::{ShapeError, only, ranked},
        value::Value,
        window::{AUTO_PAD, DILATIONS, PADS, STRIDES, Window},
    },
    tensor::DType,
};

const X: &[Parameter] = &[Parameter { name: "X", dtypes: &[DType::F32], presence: Presence::Required }];
const CEIL_MODE: AttributeSpec = AttributeSpec { name: "ceil_mode", fallback: Fallback::Int(0) };
const KERNEL_SHAPE: AttributeSpec = AttributeSpec { name: "kernel_shape", fallback: Fallback::RequiredInts };

/// Without the second output, the indices.
pub(super) const fn max_pool<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "MaxPool",
            since: 1,
            inputs: X,
            variadic: false,
            attributes: &[
                AUTO_PAD,
                CEIL_MODE,
                DILATIONS,
                KERNEL_SHAPE,
                PADS,
                AttributeSpec { name: "storage_order", fallback: Fallback::Int(0) },
                STRIDES,
            ],
            infer: |context| {
                only(context, "storage_order", 0)?;
                infer_pool(context)
            },
        },
        kernel: |call, mut inputs| {
            let window = window(&call.attributes).expect("read by the shape function");
            let x = take(&mut inputs, 0).float();
            let pads = window.pads.map(|(before, _)| before);
            Value::Float(B::max_pool2d(x, window.kernel, window.strides, pads, window.dilations, false))
        },
    }
}

pub(super) const fn average_pool<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "AveragePool",
            since: 7,
            inputs: X,
            variadic: false,
            attributes: &[
                AUTO_PAD,
                CEIL_MODE,
                AttributeSpec { name: "count_include_pad", fallback: Fallback::Int(0) },
                DILATIONS,
                KERNEL_SHAPE,
                PADS,
                STRIDES,
            ],
            infer: |context| {
                if window(&context.attributes)?.dilations != [1, 1] {
                    return Err(ShapeError::Value { name: "dilations" });
                }
                infer_pool(context)
            },
        },
        kernel: |call, mut inputs| {
            let window = window(&call.attributes).expect("read by the shape function");
            let x = take(&mut inputs, 0).float();
            let pads = window.pads.map(|(before, _)| before);
            let count_pads = call.attributes.int("count_include_pad") != 0;
            Value::Float(B::avg_pool2d(x, window.kernel, window.strides, pads, count_pads, false))
        },
    }
}

/// The mean over all dimensions behind the second.
pub(super) const fn global_average_pool<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "GlobalAveragePool",
            since: 1,
            inputs: X,
            variadic: false,
            attributes: &[],
            infer: |context| {
                let x = context.input(0);
                if x.rank() < 3 {
                    return Err(ShapeError::Rank { input: 0, expected: "at least 3", got: x.rank() });
                }
                let mut shape = vec![Extent::ONE; x.rank()];
                shape[..2].clone_from_slice(&x.shape[..2]);
                Ok(ValueType { dtype: x.dtype, shape })
            },
        },
        kernel: global_average,
    }
}

fn global_average<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    let x = take(&mut inputs, 0);
    let own = x.shape();
    let planes = Shape::from(vec![own[0], own[1], own[2..].iter().product()]);
    let mean = B::float_mean_dim(B::float_reshape(x.float(), planes), 2);
    Value::Float(mean).reshape(call.shape)
}

fn infer_pool(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let x = ranked(context, 0, 4, "4 (batch, channels, rows, columns)")?;
    only(context, "ceil_mode", 0)?;
    let window = window(&context.attributes)?;
    // A window that lies in the padding has no element to take the maximum or the mean of.
    let symmetric = window.pads.iter().all(|(before, after)| before == after);
    let covered = window.pads.iter().zip(window.kernel).all(|((before, _), kernel)| *before < kernel);
    if !symmetric || !covered {
        return Err(ShapeError::Value { name: "pads" });
    }
    let [height, width] = window.slide(&x.shape[2..])?;
    Ok(ValueType { dtype: x.dtype, shape: vec![x.shape[0].clone(), x.shape[1].clone(), height, width] })
}

fn window(attributes: &Attributes<'_>) -> Result<Window, ShapeError> {
    let kernel = Window::kernel_shape(attributes)?.ok_or(ShapeError::Value { name: "kernel_shape" })?;
    Window::read(attributes, kernel)
}
