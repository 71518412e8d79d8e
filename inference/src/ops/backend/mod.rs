//! Kernels for `FP32` on a burn backend, beside the plain ones of the table.
//!
//! Each says for which inputs it computes what the plain kernel computes; all others run plainly.
//! None is called with an empty tensor.

mod pointwise;
mod products;
mod windows;

use burn::backend::{Backend, tensor::FloatTensor};

use crate::ops::{
    attributes::Attributes,
    operator::{Inference, Operator},
};

/// A kernel for a backend, with the condition under which it may be used.
#[derive(Debug)]
pub(crate) struct BackendKernel<B: Backend> {
    pub(crate) fits: fn(&Inference<'_>) -> bool,
    pub(crate) run: BackendRun<B>,
}

/// Computes the single output.
pub(crate) type BackendRun<B> = fn(&BackendCall<'_>, Vec<Option<FloatTensor<B>>>) -> FloatTensor<B>;

/// What a backend kernel may look at beside its inputs.
#[derive(Debug)]
pub(crate) struct BackendCall<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// Extents of the output.
    pub(crate) shape: &'a [usize],
}

/// The kernel for an entry of the table, if there is one.
pub(crate) fn kernel<B: Backend>(operator: &Operator) -> Option<BackendKernel<B>> {
    let always: fn(&Inference<'_>) -> bool = |_| true;
    let (fits, run): (_, BackendRun<B>) = match operator.name {
        "Relu" => (always, pointwise::relu::<B>),
        "Sigmoid" => (always, pointwise::sigmoid::<B>),
        "Tanh" => (always, pointwise::tanh::<B>),
        "Softmax" if operator.since >= 13 => (always, pointwise::softmax::<B>),
        "LogSoftmax" if operator.since >= 13 => (always, pointwise::log_softmax::<B>),
        "Add" => (always, pointwise::add::<B>),
        "Sub" => (always, pointwise::sub::<B>),
        "Mul" => (always, pointwise::mul::<B>),
        "Div" => (always, pointwise::div::<B>),
        "Identity" => (always, pointwise::identity::<B>),
        "Flatten" | "Reshape" => (always, pointwise::reshape::<B>),
        "Transpose" => (always, pointwise::transpose::<B>),
        "BatchNormalization" => (pointwise::batch_normalization_fits, pointwise::batch_normalization::<B>),
        "Gemm" => (always, products::gemm::<B>),
        "MatMul" => (products::matmul_fits, products::matmul::<B>),
        "Conv" => (windows::conv_fits, windows::conv::<B>),
        "MaxPool" => (windows::pool_fits, windows::max_pool::<B>),
        "AveragePool" => (windows::pool_fits, windows::average_pool::<B>),
        "GlobalAveragePool" => (always, windows::global_average_pool::<B>),
        _ => return None,
    };
    Some(BackendKernel { fits, run })
}

/// The required input at a position.
fn take<B: Backend>(inputs: &mut [Option<FloatTensor<B>>], position: usize) -> FloatTensor<B> {
    optional::<B>(inputs, position).expect("presence and element type were checked against the table")
}

/// The optional input at a position.
fn optional<B: Backend>(inputs: &mut [Option<FloatTensor<B>>], position: usize) -> Option<FloatTensor<B>> {
    inputs.get_mut(position).and_then(Option::take)
}
