//! `Conv` over two spatial dimensions.

use burn::backend::{Backend, ops::ConvOptions};

use crate::{
    ops::{
        entry::{Call, Operator, optional, take},
        extent::{Extent, ValueType},
        schema::{AttributeSpec, Fallback, Inference, Parameter, Presence, Schema},
        shape::{ShapeError, fixed, ranked, same},
        value::Value,
        window::{AUTO_PAD, DILATIONS, PADS, STRIDES, Window},
    },
    tensor::DType,
};

const FLOAT: &[DType] = &[DType::F32];

pub(super) const fn conv<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Conv",
            since: 1,
            inputs: &[
                Parameter { name: "X", dtypes: FLOAT, presence: Presence::Required },
                Parameter { name: "W", dtypes: FLOAT, presence: Presence::Required },
                Parameter { name: "B", dtypes: FLOAT, presence: Presence::Optional },
            ],
            variadic: false,
            attributes: &[
                AUTO_PAD,
                DILATIONS,
                AttributeSpec { name: "group", fallback: Fallback::Int(1) },
                AttributeSpec { name: "kernel_shape", fallback: Fallback::NoInts },
                PADS,
                STRIDES,
            ],
            infer,
        },
        kernel,
    }
}

fn infer(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let x = ranked(context, 0, 4, "4 (batch, channels, rows, columns)")?;
    let w = ranked(context, 1, 4, "4 (filters, channels per group, rows, columns)")?;
    let [filters, channels, rows, columns] = four("filter extent", &w.shape)?;
    let groups = u64::try_from(context.attributes.int("group")).unwrap_or(0);
    if groups == 0 || filters % groups != 0 {
        return Err(ShapeError::Value { name: "group" });
    }
    let expected = channels.checked_mul(groups).and_then(Extent::fixed).ok_or(ShapeError::Size)?;
    same("number of input channels", &expected, &x.shape[1])?;
    if let Some(bias) = context.optional(2) {
        let bias_extents = ranked(context, 2, 1, "1")?;
        debug_assert_eq!(bias, bias_extents, "the same input");
        same("length of the bias", &w.shape[0], &bias.shape[0])?;
    }
    let kernel = [rows, columns].map(|extent| usize::try_from(extent).unwrap_or(usize::MAX));
    if Window::kernel_shape(&context.attributes)?.is_some_and(|stated| stated != kernel) {
        return Err(ShapeError::Value { name: "kernel_shape" });
    }
    let [height, width] = Window::read(&context.attributes, kernel)?.slide(&x.shape[2..])?;
    Ok(ValueType { dtype: x.dtype, shape: vec![x.shape[0].clone(), w.shape[0].clone(), height, width] })
}

fn kernel<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    let x = take(&mut inputs, 0).float();
    let w = take(&mut inputs, 1);
    let bias = optional(&mut inputs, 2).map(Value::float);
    let filter = w.shape();
    let window = Window::read(&call.attributes, [filter[2], filter[3]]).expect("read by the shape function");
    let groups = usize::try_from(call.attributes.int("group")).expect("bounded by the shape function");
    let options = ConvOptions::new_with_padding(window.strides, window.pads, window.dilations, groups);
    Value::Float(B::conv2d(x, w.float(), bias, options))
}

fn four(what: &'static str, shape: &[Extent]) -> Result<[u64; 4], ShapeError> {
    let mut extents = [0; 4];
    for (slot, extent) in extents.iter_mut().zip(shape) {
        *slot = fixed(what, extent)?;
    }
    Ok(extents)
}
