//! `ArgMax`.

use burn::backend::{Backend, IntDType};

use crate::{
    ops::{
        entry::{Operator, take},
        extent::{Extent, ValueType},
        schema::{AttributeSpec, Fallback, Inference, Parameter, Presence, Schema},
        shape::{ShapeError, axis, only},
        value::Value,
    },
    tensor::DType,
};

/// Position of the largest element, of several equal ones the first.
pub(super) const fn arg_max<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "ArgMax",
            since: 1,
            inputs: &[Parameter { name: "data", dtypes: &[DType::F32], presence: Presence::Required }],
            variadic: false,
            attributes: &[
                AttributeSpec { name: "axis", fallback: Fallback::Int(0) },
                AttributeSpec { name: "keepdims", fallback: Fallback::Int(1) },
                AttributeSpec { name: "select_last_index", fallback: Fallback::Int(0) },
            ],
            infer,
        },
        kernel: |call, mut inputs| {
            let data = take(&mut inputs, 0);
            let at = axis(call.attributes.int("axis"), data.shape().len()).expect("read by the shape function");
            Value::Int(B::float_argmax(data.float(), at, IntDType::I64)).reshape(call.shape)
        },
    }
}

fn infer(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    only(context, "select_last_index", 0)?;
    let data = context.input(0);
    let at = axis(context.attributes.int("axis"), data.rank())?;
    let mut shape = data.shape.clone();
    if context.attributes.int("keepdims") == 0 {
        shape.remove(at);
    } else {
        shape[at] = Extent::ONE;
    }
    Ok(ValueType { dtype: DType::I64, shape })
}
