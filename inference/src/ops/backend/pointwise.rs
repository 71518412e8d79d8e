//! Functions of single elements, those that normalise along an axis, and changes of extents.

use burn::backend::{Backend, Shape, TensorMetadata, tensor::FloatTensor};

use super::{BackendCall, take};
use crate::ops::{operator::Inference, plain::layout::permutation, shape::checked_axis};

type Inputs<B> = Vec<Option<FloatTensor<B>>>;

pub(super) fn relu<B: Backend>(_: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    B::relu(take::<B>(&mut inputs, 0))
}

pub(super) fn sigmoid<B: Backend>(_: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    B::sigmoid(take::<B>(&mut inputs, 0))
}

pub(super) fn tanh<B: Backend>(_: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    B::float_tanh(take::<B>(&mut inputs, 0))
}

pub(super) fn softmax<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    B::softmax(take::<B>(&mut inputs, 0), checked_axis(&call.attributes, call.shape.len()))
}

pub(super) fn log_softmax<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    B::log_softmax(take::<B>(&mut inputs, 0), checked_axis(&call.attributes, call.shape.len()))
}

pub(super) fn add<B: Backend>(_: &BackendCall<'_>, inputs: Inputs<B>) -> FloatTensor<B> {
    zip::<B>(inputs, B::float_add)
}

pub(super) fn sub<B: Backend>(_: &BackendCall<'_>, inputs: Inputs<B>) -> FloatTensor<B> {
    zip::<B>(inputs, B::float_sub)
}

pub(super) fn mul<B: Backend>(_: &BackendCall<'_>, inputs: Inputs<B>) -> FloatTensor<B> {
    zip::<B>(inputs, B::float_mul)
}

pub(super) fn div<B: Backend>(_: &BackendCall<'_>, inputs: Inputs<B>) -> FloatTensor<B> {
    zip::<B>(inputs, B::float_div)
}

pub(super) fn identity<B: Backend>(_: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    take::<B>(&mut inputs, 0)
}

pub(super) fn reshape<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    B::float_reshape(take::<B>(&mut inputs, 0), Shape::from(call.shape.to_vec()))
}

pub(super) fn transpose<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let axes = permutation(&call.attributes, call.shape.len()).expect("accepted by the shape function");
    B::float_permute(take::<B>(&mut inputs, 0), &axes)
}

/// With the recorded statistics; in training mode those of the batch count.
pub(super) fn batch_normalization_fits(context: &Inference<'_>) -> bool {
    !context.attributes.flag("training_mode")
}

/// `(x − mean) / √(variance + epsilon) · scale + bias`, equation of the ONNX operator.
pub(super) fn batch_normalization<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let mut per_channel = vec![1; call.shape.len()];
    per_channel[1] = call.shape[1];
    let x = take::<B>(&mut inputs, 0);
    let mut channels = |position| B::float_reshape(take::<B>(&mut inputs, position), Shape::from(per_channel.clone()));
    let (scale, bias, mean, variance) = (channels(1), channels(2), channels(3), channels(4));
    let deviation = B::float_sqrt(B::float_add_scalar(variance, call.attributes.float("epsilon").into()));
    let factor = B::float_div(scale, deviation);
    B::float_add(B::float_mul(B::float_sub(x, mean), factor), bias)
}

fn zip<B: Backend>(mut inputs: Inputs<B>, f: fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>) -> FloatTensor<B> {
    let (left, right) = (take::<B>(&mut inputs, 0), take::<B>(&mut inputs, 1));
    let rank = left.shape().len().max(right.shape().len());
    f(align::<B>(left, rank), align::<B>(right, rank))
}

/// Prefixes extents of 1 until there are `rank` dimensions.
pub(super) fn align<B: Backend>(tensor: FloatTensor<B>, rank: usize) -> FloatTensor<B> {
    let own = tensor.shape().to_vec();
    if own.len() >= rank {
        return tensor;
    }
    B::float_reshape(tensor, Shape::from([vec![1; rank - own.len()], own].concat()))
}
