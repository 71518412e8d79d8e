//! `Gemm` and `MatMul`.

use burn::backend::{Backend, Shape, tensor::FloatTensor};

use crate::{
    ops::{
        entry::{Call, Operator, optional, take},
        extent::{ValueType, broadcast},
        schema::{AttributeSpec, Fallback, Inference, Parameter, Presence, Schema},
        shape::{ShapeError, ranked, same},
        value::Value,
    },
    tensor::DType,
};

const FLOAT: &[DType] = &[DType::F32];

/// `alpha · A' · B' + beta · C`, since opset 7 with a broadcasting `C`.
pub(super) const fn gemm<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "Gemm",
            since: 7,
            inputs: &[
                Parameter { name: "A", dtypes: FLOAT, presence: Presence::Required },
                Parameter { name: "B", dtypes: FLOAT, presence: Presence::Required },
                Parameter { name: "C", dtypes: FLOAT, presence: Presence::Optional },
            ],
            variadic: false,
            attributes: &[
                AttributeSpec { name: "alpha", fallback: Fallback::Float(1.0) },
                AttributeSpec { name: "beta", fallback: Fallback::Float(1.0) },
                AttributeSpec { name: "transA", fallback: Fallback::Int(0) },
                AttributeSpec { name: "transB", fallback: Fallback::Int(0) },
            ],
            infer: infer_gemm,
        },
        kernel: multiply_add,
    }
}

/// The matrix product of numpy: batches broadcast, vectors count as rows or columns.
pub(super) const fn matmul<B: Backend>() -> Operator<B> {
    Operator {
        schema: Schema {
            name: "MatMul",
            since: 1,
            inputs: &[
                Parameter { name: "A", dtypes: FLOAT, presence: Presence::Required },
                Parameter { name: "B", dtypes: FLOAT, presence: Presence::Required },
            ],
            variadic: false,
            attributes: &[],
            infer: infer_matmul,
        },
        kernel: multiply,
    }
}

fn infer_gemm(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let flag = |name| context.attributes.int(name) != 0;
    let a = ranked(context, 0, 2, "2")?;
    let b = ranked(context, 1, 2, "2")?;
    let (rows, inner) = if flag("transA") { (&a.shape[1], &a.shape[0]) } else { (&a.shape[0], &a.shape[1]) };
    let (depth, columns) = if flag("transB") { (&b.shape[1], &b.shape[0]) } else { (&b.shape[0], &b.shape[1]) };
    same("inner extent of B", inner, depth)?;
    let shape = vec![rows.clone(), columns.clone()];
    if let Some(c) = context.optional(2) {
        // Broadcasting goes one way: C may not enlarge the product.
        if broadcast(&shape, &c.shape).as_ref() != Some(&shape) {
            let left = ValueType { dtype: a.dtype, shape }.to_string();
            return Err(ShapeError::Broadcast { left, right: c.to_string() });
        }
    }
    Ok(ValueType { dtype: a.dtype, shape })
}

fn multiply_add<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    let operand = |value: Value<B>, transposed: &str| {
        let tensor = value.float();
        if call.attributes.int(transposed) != 0 { B::float_transpose(tensor) } else { tensor }
    };
    let a = operand(take(&mut inputs, 0), "transA");
    let b = operand(take(&mut inputs, 1), "transB");
    let product = scaled::<B>(B::float_matmul(a, b), call.attributes.float("alpha"));
    match optional(&mut inputs, 2) {
        Some(c) => {
            let addend = scaled::<B>(c.align(2).float(), call.attributes.float("beta"));
            Value::Float(B::float_add(product, addend))
        }
        None => Value::Float(product),
    }
}

fn scaled<B: Backend>(tensor: FloatTensor<B>, factor: f32) -> FloatTensor<B> {
    // Multiplying by exactly 1 changes nothing and would copy.
    if factor.to_bits() == 1.0_f32.to_bits() { tensor } else { B::float_mul_scalar(tensor, factor.into()) }
}

fn infer_matmul(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    let (a, b) = (context.input(0), context.input(1));
    for (input, value) in [(0, a), (1, b)] {
        if value.rank() == 0 {
            return Err(ShapeError::Rank { input, expected: "at least 1", got: 0 });
        }
    }
    let (left, inner) = a.shape.split_at(a.rank() - 1);
    let depth = &b.shape[b.rank().saturating_sub(2)];
    same("inner extent of B", &inner[0], depth)?;
    let rows = left.last();
    let columns = (b.rank() > 1).then(|| &b.shape[b.rank() - 1]);
    let left_batch = &left[..left.len().saturating_sub(1)];
    let right_batch = &b.shape[..b.rank().saturating_sub(2)];
    let mut shape = broadcast(left_batch, right_batch)
        .ok_or_else(|| ShapeError::Broadcast { left: a.to_string(), right: b.to_string() })?;
    shape.extend(rows.into_iter().chain(columns).cloned());
    Ok(ValueType { dtype: a.dtype, shape })
}

fn multiply<B: Backend>(call: &Call<'_>, mut inputs: Vec<Option<Value<B>>>) -> Value<B> {
    let (a, b) = (take(&mut inputs, 0), take(&mut inputs, 1));
    let b = if b.shape().len() == 1 {
        let column = [b.shape()[0], 1];
        b.reshape(&column)
    } else {
        b
    };
    let rank = a.shape().len().max(b.shape().len());
    let (a, b) = (a.align(rank), b.align(rank));
    let (left, right) = (a.shape(), b.shape());
    let batch: Vec<usize> = left.iter().zip(&right).take(rank - 2).map(|(l, r)| (*l).max(*r)).collect();
    let spread = |value: Value<B>, own: Vec<usize>| {
        let whole = [batch.as_slice(), &own[rank - 2..]].concat();
        let tensor = value.float();
        if own == whole { tensor } else { B::float_expand(tensor, Shape::from(whole)) }
    };
    let product = B::float_matmul(spread(a, left), spread(b, right));
    Value::Float(product).reshape(call.shape)
}
