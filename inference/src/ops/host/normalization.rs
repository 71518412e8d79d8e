//! Softmax and normalisations.

use pulp::{Simd, WithSimd};

use super::{HostCall, HostKernel, kernel::is_simple, math::exp, reduction::sum_of};
use crate::ops::{operator::Inference, shape};

pub(super) const SOFTMAX: HostKernel = HostKernel::new(fits_last_axis, softmax);
pub(super) const LAYER: HostKernel = HostKernel::new(fits_layer, layer);
pub(super) const BATCH: HostKernel =
    HostKernel::new(|context| is_simple(context) && !context.attributes.flag("training_mode"), batch);

fn fits_last_axis(context: &Inference<'_>) -> bool {
    let rank = context.shape(0).map_or(0, <[_]>::len);
    is_simple(context) && shape::axis(context.attributes.int("axis"), rank).is_ok_and(|axis| axis + 1 == rank)
}

/// `exp(x − max) / Σ exp(x − max)` along the last axis.
fn softmax(call: &mut HostCall<'_>) {
    let x = call.input(0);
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let count = target.shape.last().copied().unwrap_or(1);
    let (x, y) = (x.floats(), target.floats());
    // An exponential takes some ten operations.
    let work = x.len() * 16;
    team.pieces(y, count, work, &|at, y| isa.run(Softmax { x: &x[at * count..][..count], y }));
}

struct Softmax<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, y } = self;
        let most = most_of(x);
        for (y, x) in y.iter_mut().zip(x) {
            *y = exp(x - most);
        }
        let scale = 1.0 / sum_of(y, |y| y);
        y.iter_mut().for_each(|y| *y *= scale);
    }
}

/// The largest number. A NaN need not win here: it makes itself and the sum one.
#[inline(always)]
fn most_of(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<16>();
    let mut most = [f32::NEG_INFINITY; 16];
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    for chunk in whole {
        for (most, x) in most.iter_mut().zip(chunk) {
            *most = greater(*most, *x);
        }
    }
    most.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, greater)
}

/// Not where mean and deviation are wanted too.
fn fits_layer(context: &Inference<'_>) -> bool {
    let rank = context.shape(0).map_or(0, <[_]>::len);
    let Ok(axis) = shape::axis(context.attributes.int("axis"), rank) else { return false };
    let is_whole = |position: usize| {
        let (Ok(x), Ok(given)) = (context.shape(0), context.optional_shape(position)) else { return false };
        given.is_none_or(|given| given == &x[axis..])
    };
    is_simple(context) && is_whole(1) && is_whole(2)
}

/// `(x − mean) / √(variance + epsilon) · scale + bias` over the axes from one on.
fn layer(call: &mut HostCall<'_>) {
    let (x, scale) = (call.input(0), call.input(1).floats());
    let bias = call.optional(2).map(|bias| bias.floats());
    let epsilon = call.attributes.float("epsilon") as f32;
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let (x, y) = (x.floats(), target.floats());
    let count = scale.len();
    team.pieces(y, count, x.len() * 4, &|at, y| {
        isa.run(Layer { x: &x[at * count..][..count], scale, bias, epsilon, y });
    });
}

struct Layer<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    bias: Option<&'a [f32]>,
    epsilon: f32,
    y: &'a mut [f32],
}

impl WithSimd for Layer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, scale, bias, epsilon, y } = self;
        let count = x.len() as f32;
        let mean = sum_of(x, |x| x) / count;
        let variance = sum_of(x, |x| (x - mean) * (x - mean)) / count;
        if !variance.is_finite() {
            wide_layer(x, scale, bias, epsilon, y);
            return;
        }
        let factor = 1.0 / (variance + epsilon).sqrt();
        for ((y, x), scale) in y.iter_mut().zip(x).zip(scale) {
            *y = (x - mean) * factor * scale;
        }
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
    }
}

/// The same where squares of `FP32` are infinite.
#[cold]
fn wide_layer(x: &[f32], scale: &[f32], bias: Option<&[f32]>, epsilon: f32, y: &mut [f32]) {
    let count = x.len() as f64;
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    let deviation = (variance + f64::from(epsilon)).sqrt();
    for (at, (y, x)) in y.iter_mut().zip(x).enumerate() {
        let bias = bias.map_or(0.0, |bias| f64::from(bias[at]));
        *y = ((f64::from(*x) - mean) / deviation * f64::from(scale[at]) + bias) as f32;
    }
}

/// `(x − mean) / √(variance + epsilon) · scale + bias`, with recorded statistics for each channel.
fn batch(call: &mut HostCall<'_>) {
    let x = call.input(0);
    let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|position| call.input(position).floats());
    let epsilon = call.attributes.float("epsilon") as f32;
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let (channels, plane) = (x.shape[1], x.shape[2..].iter().product::<usize>());
    let (x, y) = (x.floats(), target.floats());
    team.pieces(y, plane, x.len(), &|at, y| {
        let channel = at % channels;
        let factor = scale[channel] / (variance[channel] + epsilon).sqrt();
        let (mean, bias) = (mean[channel], bias[channel]);
        isa.run(Affine { x: &x[at * plane..][..plane], mean, factor, bias, y });
    });
}

struct Affine<'a> {
    x: &'a [f32],
    mean: f32,
    factor: f32,
    bias: f32,
    y: &'a mut [f32],
}

impl WithSimd for Affine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, mean, factor, bias, y } = self;
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean).mul_add(factor, bias));
    }
}
