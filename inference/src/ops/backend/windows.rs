//! Convolution and pooling over two spatial dimensions with explicit padding.

use burn::backend::{Backend, Shape, TensorMetadata, ops::ConvOptions, tensor::FloatTensor};

use super::{BackendCall, optional, take};
use crate::ops::{attributes::Attributes, operator::Inference};

type Inputs<B> = Vec<Option<FloatTensor<B>>>;

/// The attributes of a window over rows and columns.
struct Window {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Zeros before and after, per dimension.
    pads: [(usize, usize); 2],
}

impl Window {
    /// `None` for other than two dimensions, and for padding that follows from the input.
    fn read(attributes: &Attributes<'_>, kernel: [usize; 2]) -> Option<Self> {
        if attributes.text("auto_pad") != "NOTSET" {
            return None;
        }
        let [top, left, bottom, right] = list(attributes, "pads", [0; 4])?;
        Some(Self {
            kernel,
            strides: list(attributes, "strides", [1; 2])?,
            dilations: list(attributes, "dilations", [1; 2])?,
            pads: [(top, bottom), (left, right)],
        })
    }

    fn of_pool(attributes: &Attributes<'_>) -> Option<Self> {
        let kernel = list(attributes, "kernel_shape", [0; 2])?;
        Self::read(attributes, kernel)
    }
}

fn list<const N: usize>(attributes: &Attributes<'_>, name: &str, default: [usize; N]) -> Option<[usize; N]> {
    let Some(values) = attributes.ints(name) else { return Some(default) };
    let values: Vec<_> = values.iter().map(|value| usize::try_from(*value)).collect::<Result<_, _>>().ok()?;
    values.try_into().ok()
}

pub(super) fn conv_fits(context: &Inference<'_>) -> bool {
    let is_flat = context.shape(1).is_ok_and(|shape| shape.len() == 4);
    is_flat && Window::read(&context.attributes, [1, 1]).is_some()
}

pub(super) fn conv<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let x = take::<B>(&mut inputs, 0);
    let w = take::<B>(&mut inputs, 1);
    let bias = optional::<B>(&mut inputs, 2);
    let filter = w.shape().to_vec();
    let window = Window::read(&call.attributes, [filter[2], filter[3]]).expect("`conv_fits` read it");
    let groups = usize::try_from(call.attributes.int("group")).expect("bounded by the shape function");
    B::conv2d(x, w, bias, ConvOptions::new_with_padding(window.strides, window.pads, window.dilations, groups))
}

/// One output, windows that never reach into uneven padding, no rounding up.
pub(super) fn pool_fits(context: &Inference<'_>) -> bool {
    let Some(window) = Window::of_pool(&context.attributes) else { return false };
    let is_even =
        window.pads.iter().zip(window.kernel).all(|((before, after), kernel)| before == after && *before < kernel);
    let is_dense = !context.attributes.has("count_include_pad") || window.dilations == [1, 1];
    let is_plain = !context.attributes.flag("ceil_mode") && context.asked == 1;
    context.shape(0).is_ok_and(|shape| shape.len() == 4) && is_even && is_dense && is_plain
}

pub(super) fn max_pool<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let window = Window::of_pool(&call.attributes).expect("`pool_fits` read it");
    let pads = window.pads.map(|(before, _)| before);
    B::max_pool2d(take::<B>(&mut inputs, 0), window.kernel, window.strides, pads, window.dilations, false)
}

pub(super) fn average_pool<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let window = Window::of_pool(&call.attributes).expect("`pool_fits` read it");
    let pads = window.pads.map(|(before, _)| before);
    let counts_pads = call.attributes.flag("count_include_pad");
    B::avg_pool2d(take::<B>(&mut inputs, 0), window.kernel, window.strides, pads, counts_pads, false)
}

pub(super) fn global_average_pool<B: Backend>(call: &BackendCall<'_>, mut inputs: Inputs<B>) -> FloatTensor<B> {
    let x = take::<B>(&mut inputs, 0);
    let own = x.shape().to_vec();
    let planes = Shape::from(vec![own[0], own[1], own[2..].iter().product()]);
    let mean = B::float_mean_dim(B::float_reshape(x, planes), 2);
    B::float_reshape(mean, Shape::from(call.shape.to_vec()))
}
