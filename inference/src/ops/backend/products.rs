//! `Gemm` and `MatMul`.

use burn::backend::{Backend, Shape, TensorMetadata, tensor::FloatTensor};

use super::{BackendCall, optional, pointwise::align, take};
use crate::ops::operator::Inference;

type Inputs<B> = Vec<Option<FloatTensor<B>>>;

/// `alpha · A' · B' + beta · C`.
pub(super) fn gemm<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let operand = |tensor: FloatTensor<B>, transposed: &str| {
        if call.attributes.flag(transposed) { B::float_transpose(tensor) } else { tensor }
    };
    let a = operand(take::<B>(&mut inputs, 0), "transA");
    let b = operand(take::<B>(&mut inputs, 1), "transB");
    let product = scaled::<B>(B::float_matmul(a, b), call.attributes.float("alpha"));
    match optional::<B>(&mut inputs, 2) {
        Some(c) => B::float_add(product, scaled::<B>(align::<B>(c, 2), call.attributes.float("beta"))),
        None => product,
    }
}

fn scaled<B: Backend>(tensor: FloatTensor<B>, factor: f64) -> FloatTensor<B> {
    // Multiplying by exactly 1 changes nothing and would copy.
    if factor.to_bits() == 1.0_f64.to_bits() { tensor } else { B::float_mul_scalar(tensor, factor.into()) }
}

/// A backend multiplies matrices; two vectors make a scalar, which is cheaper plainly.
pub(super) fn matmul_fits(context: &Inference<'_>) -> bool {
    let rank = |position: usize| context.shape(position).map_or(0, <[_]>::len);
    rank(0) > 1 || rank(1) > 1
}

/// The matrix product of numpy: batches broadcast, vectors count as rows or columns.
pub(super) fn matmul<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let (a, b) = (take::<B>(&mut inputs, 0), take::<B>(&mut inputs, 1));
    let b = if b.shape().len() == 1 {
        let column = Shape::from(vec![b.shape()[0], 1]);
        B::float_reshape(b, column)
    } else {
        b
    };
    let rank = a.shape().len().max(b.shape().len());
    let (a, b) = (align::<B>(a, rank), align::<B>(b, rank));
    let (left, right) = (a.shape().to_vec(), b.shape().to_vec());
    let batch: Vec<usize> = left.iter().zip(&right).take(rank - 2).map(|(l, r)| (*l).max(*r)).collect();
    let spread = |tensor: FloatTensor<B>, own: Vec<usize>| {
        let whole = [batch.as_slice(), &own[rank - 2..]].concat();
        if own == whole { tensor } else { B::float_expand(tensor, Shape::from(whole)) }
    };
    let product = B::float_matmul(spread(a, left), spread(b, right));
    B::float_reshape(product, Shape::from(call.shape.to_vec()))
}
