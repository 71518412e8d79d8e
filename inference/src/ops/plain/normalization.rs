//! Normalisations over channels, axes and neighbourhoods.

use super::{F32, FLOATS, Outcome, activation::each_lane, one};
use crate::{
    array::{Places, strides},
    ops::{
        attributes::{AttributeSpec, Fallback},
        extent::{Extent, product},
        operator::{
            Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, of, optional,
        },
        shape::{ShapeError, at_least, axes, axis, broadcast_pair, checked_axis, computed, only, same, unchanged},
    },
};

const EPSILON: AttributeSpec = attribute("epsilon", Fallback::Float(1e-5));
const STASH_TYPE: AttributeSpec = attribute("stash_type", Fallback::Int(1));
const X: Parameter = input("X", "T", FLOATS);
const Y: &[Product] = &[like("Y", "T")];
const AFFINE: &[Parameter] = &[X, input("scale", "T", FLOATS), input("bias", "T", FLOATS)];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new(
        "BatchNormalization",
        9,
        &[
            X,
            input("scale", "T1", FLOATS),
            input("B", "T1", FLOATS),
            input("input_mean", "T2", FLOATS),
            input("input_var", "T2", FLOATS),
        ],
        &[like("Y", "T"), like("running_mean", "T2"), like("running_var", "T2")],
        infer_batch,
        batch,
    )
    .with(&[EPSILON, attribute("momentum", Fallback::Float(0.9)), attribute("training_mode", Fallback::Int(0))]),
    Operator::new(
        "InstanceNormalization",
        6,
        AFFINE,
        Y,
        |context| infer_channels(context, 1),
        |call| grouped(call, call.input(0).shape()[1]),
    )
    .with(&[EPSILON]),
    Operator::new("GroupNormalization", 21, AFFINE, Y, infer_groups, |call| {
        grouped(call, usize::try_from(call.attributes.int("num_groups")).map_err(|_negative| Fault::Input("X"))?)
    })
    .with(&[EPSILON, attribute("num_groups", Fallback::RequiredInt), STASH_TYPE]),
    Operator::new(
        "LayerNormalization",
        17,
        &[X, input("Scale", "T", FLOATS), optional("B", "T", FLOATS)],
        &[like("Y", "T"), of("Mean", F32), of("InvStdDev", F32)],
        infer_layer,
        layer,
    )
    .with(&[attribute("axis", Fallback::Int(-1)), EPSILON, STASH_TYPE]),
    Operator::new(
        "RMSNormalization",
        23,
        &[X, input("scale", "V", FLOATS)],
        &[like("Y", "V")],
        infer_layer,
        root_mean_square,
    )
    .with(&[attribute("axis", Fallback::Int(-1)), EPSILON, STASH_TYPE]),
    Operator::new("MeanVarianceNormalization", 9, &[X], Y, infer_mean_variance, mean_variance)
        .with(&[attribute("axes", Fallback::NoInts)]),
    Operator::new("LpNormalization", 1, &[X], Y, infer_lp, lp)
        .with(&[attribute("axis", Fallback::Int(-1)), attribute("p", Fallback::Int(2))]),
    Operator::new("LRN", 1, &[X], Y, infer_local, local).with(&[
        attribute("alpha", Fallback::Float(0.0001)),
        attribute("beta", Fallback::Float(0.75)),
        attribute("bias", Fallback::Float(1.0)),
        attribute("size", Fallback::RequiredInt),
    ]),
];

/// `inputs` one-dimensional tensors behind X with an element per channel.
fn infer_channels(context: &Inference<'_>, first: usize) -> Shapes {
    let x = at_least(context, 0, 2, "at least 2")?;
    for input in first..context.inputs.len() {
        let Some([extent]) = context.optional_shape(input)? else {
            let got = context.optional_shape(input)?.map_or(0, <[_]>::len);
            return Err(ShapeError::Rank { input, expected: "1", got });
        };
        same("number of channels", &x[1], extent)?;
    }
    unchanged(context)
}

fn infer_batch(context: &Inference<'_>) -> Shapes {
    let mut shapes = infer_channels(context, 1)?;
    if context.attributes.flag("training_mode") {
        let channels = vec![shapes[0][1].clone()];
        shapes.resize(context.asked.clamp(1, 3), channels);
    }
    Ok(shapes)
}

/// `(x − mean) / √(variance + epsilon) · scale + bias`, with the recorded statistics or, in
/// training mode, with those of the batch.
fn batch(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let values = x.floats();
    let (channels, plane) = (x.shape()[1], x.shape()[2..].iter().product::<usize>());
    let channel = |at: usize| at / plane.max(1) % channels.max(1);
    let [scale, bias, mut mean, mut variance] = [1, 2, 3, 4].map(|position| call.input(position).floats());
    let mut running = Vec::new();
    if call.attributes.flag("training_mode") {
        let momentum = call.attributes.float("momentum");
        let count = (values.len() / channels.max(1)) as f64;
        let mut own = vec![0.0; channels];
        values.iter().enumerate().for_each(|(at, x)| own[channel(at)] += x / count);
        let mut spread = vec![0.0; channels];
        values.iter().enumerate().for_each(|(at, x)| spread[channel(at)] += (x - own[channel(at)]).powi(2) / count);
        let blend = |old: &[f64], new: &[f64]| -> Vec<f64> {
            old.iter().zip(new).map(|(old, new)| old * momentum + new * (1.0 - momentum)).collect()
        };
        running = vec![blend(&mean, &own), blend(&variance, &spread)];
        (mean, variance) = (own, spread);
    }
    let epsilon = call.attributes.float("epsilon");
    let normal = |(at, x): (usize, f64)| {
        let channel = channel(at);
        (x - mean[channel]) / (variance[channel] + epsilon).sqrt() * scale[channel] + bias[channel]
    };
    let mut outputs = vec![call.floats(values.into_iter().enumerate().map(normal))];
    for position in 1..call.outputs.len() {
        outputs.push(call.output(position, running[position - 1].iter().copied()));
    }
    Ok(outputs)
}

fn infer_groups(context: &Inference<'_>) -> Shapes {
    let x = at_least(context, 0, 2, "at least 2")?;
    let groups = u64::try_from(context.attributes.int("num_groups")).unwrap_or(0);
    only(context, "stash_type", 1)?;
    computed(&x[1], |channels| (groups > 0 && channels % groups == 0).then_some(channels))?;
    infer_channels(context, 1)
}

/// Normalises groups of channels, then scales and shifts each channel.
fn grouped(call: &Call<'_>, groups: usize) -> Outcome {
    let x = call.input(0);
    let (channels, plane) = (x.shape()[1], x.shape()[2..].iter().product::<usize>());
    let (scale, bias) = (call.input(1).floats(), call.input(2).floats());
    let mut values = x.floats();
    let size = channels.checked_div(groups).ok_or(Fault::Input("X"))? * plane;
    if size > 0 {
        let epsilon = call.attributes.float("epsilon");
        values.chunks_exact_mut(size).for_each(|group| {
            standardise(group, epsilon);
        });
    }
    let affine = |(at, x): (usize, f64)| x * scale[at / plane % channels] + bias[at / plane % channels];
    one(call.floats(values.into_iter().enumerate().map(affine)))
}

/// Mean 0 and variance 1; returns the mean and the factor that it applied.
fn standardise(values: &mut [f64], epsilon: f64) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let factor = (variance + epsilon).sqrt().recip();
    values.iter_mut().for_each(|x| *x = (*x - mean) * factor);
    (mean, factor)
}

/// Normalised are all axes from the attribute's on; scale and bias broadcast to them.
fn infer_layer(context: &Inference<'_>) -> Shapes {
    only(context, "stash_type", 1)?;
    let x = context.shape(0)?;
    let at = axis(context.attributes.int("axis"), x.len())?;
    for position in [1, 2] {
        if let Some(shape) = context.optional_shape(position)? {
            let whole = broadcast_pair(x, shape)?;
            if whole.len() != x.len() || whole.iter().zip(x).any(|(whole, own)| whole.differs(own)) {
                return Err(ShapeError::Value { name: "scale" });
            }
        }
    }
    product(&x[at..]).ok_or(ShapeError::Size)?;
    let mut statistics = x.to_vec();
    statistics[at..].fill(Extent::ONE);
    let mut shapes = vec![x.to_vec()];
    shapes.resize(context.asked.clamp(1, 3), statistics);
    Ok(shapes)
}

fn rows(call: &Call<'_>) -> (Vec<f64>, usize) {
    let x = call.input(0);
    let at = checked_axis(&call.attributes, x.rank());
    (x.floats(), x.shape()[at..].iter().product())
}

fn scaled(call: &Call<'_>, values: Vec<f64>) -> Vec<f64> {
    let factors = call.input(1);
    let scale = factors.floats();
    let places = Places::spread(factors.shape(), call.shape());
    let mut made: Vec<_> = values.into_iter().zip(places).map(|(x, place)| x * scale[place]).collect();
    if let Some(bias) = call.optional(2) {
        let shift = bias.floats();
        made.iter_mut().zip(Places::spread(bias.shape(), call.shape())).for_each(|(x, place)| *x += shift[place]);
    }
    made
}

fn layer(call: &Call<'_>) -> Outcome {
    let (mut values, size) = rows(call);
    let epsilon = call.attributes.float("epsilon");
    let (mut means, mut factors): (Vec<_>, Vec<_>) =
        values.chunks_exact_mut(size.max(1)).map(|row| standardise(row, epsilon)).unzip();
    if size == 0 {
        // Rows without elements have neither a mean nor a deviation.
        let at = checked_axis(&call.attributes, call.shape().len());
        means = vec![f64::NAN; call.shape()[..at].iter().product()];
        factors.clone_from(&means);
    }
    let mut outputs = vec![call.floats(scaled(call, values))];
    for (position, statistics) in [(1, means), (2, factors)] {
        if position < call.outputs.len() {
            outputs.push(call.output(position, statistics));
        }
    }
    Ok(outputs)
}

fn root_mean_square(call: &Call<'_>) -> Outcome {
    let (mut values, size) = rows(call);
    let epsilon = call.attributes.float("epsilon");
    for row in values.chunks_exact_mut(size.max(1)) {
        let square = row.iter().map(|x| x * x).sum::<f64>() / size as f64;
        row.iter_mut().for_each(|x| *x /= (square + epsilon).sqrt());
    }
    one(call.floats(scaled(call, values)))
}

fn normalised_axes(context: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, ShapeError> {
    axes(context.unwrap_or(&[0, 2, 3]), rank)
}

fn infer_mean_variance(context: &Inference<'_>) -> Shapes {
    normalised_axes(context.attributes.ints("axes"), context.shape(0)?.len())?;
    unchanged(context)
}

/// `(x − mean) / (√variance + 1e-9)`, as the operator's own body has it.
fn mean_variance(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let gone = normalised_axes(call.attributes.ints("axes"), x.rank()).map_err(|_refused| Fault::Input("X"))?;
    let kept: Vec<_> =
        x.shape().iter().enumerate().map(|(axis, extent)| if gone.contains(&axis) { 1 } else { *extent }).collect();
    let values = x.floats();
    let groups: usize = kept.iter().product();
    let count = (values.len() / groups.max(1)) as f64;
    // Two walks: the difference of two means of squares can be less than nothing.
    let (mut means, mut variances) = (vec![0.0; groups], vec![0.0; groups]);
    for (x, place) in values.iter().zip(Places::spread(&kept, x.shape())) {
        means[place] += x / count;
    }
    for (x, place) in values.iter().zip(Places::spread(&kept, x.shape())) {
        variances[place] += (x - means[place]).powi(2) / count;
    }
    let normal = values
        .into_iter()
        .zip(Places::spread(&kept, x.shape()))
        .map(|(x, place)| (x - means[place]) / (variances[place].sqrt() + 1e-9));
    one(call.floats(normal))
}

fn infer_lp(context: &Inference<'_>) -> Shapes {
    if !matches!(context.attributes.int("p"), 1 | 2) {
        return Err(ShapeError::Value { name: "p" });
    }
    axis(context.attributes.int("axis"), context.shape(0)?.len())?;
    unchanged(context)
}

/// Runs of zeros stay zero.
fn lp(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let at = checked_axis(&call.attributes, x.rank());
    let is_square = call.attributes.int("p") == 2;
    let mut values = x.floats();
    each_lane(&mut values, x.shape(), at, |lane| {
        let norm = if is_square {
            lane.iter().map(|x| x * x).sum::<f64>().sqrt()
        } else {
            lane.iter().map(|x| x.abs()).sum::<f64>()
        };
        if norm != 0.0 {
            lane.iter_mut().for_each(|x| *x /= norm);
        }
    });
    one(call.floats(values))
}

fn infer_local(context: &Inference<'_>) -> Shapes {
    at_least(context, 0, 2, "at least 2")?;
    if context.attributes.int("size") < 1 {
        return Err(ShapeError::Value { name: "size" });
    }
    unchanged(context)
}

/// `x / (bias + alpha / size · Σ x²)^beta` over neighbouring channels.
fn local(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let (alpha, beta, bias) =
        (call.attributes.float("alpha"), call.attributes.float("beta"), call.attributes.float("bias"));
    let size = call.attributes.int("size");
    let values = x.floats();
    let (channels, step) = (x.shape()[1] as i64, strides(x.shape())[1]);
    let normal = values.iter().enumerate().map(|(at, x)| {
        let channel = (at / step % channels as usize) as i64;
        let first = (channel - (size - 1) / 2).max(0);
        let last = channel.saturating_add(size / 2).min(channels - 1);
        let neighbour = |other: i64| values[at - channel as usize * step + other as usize * step];
        let square: f64 = (first..=last).map(|other| neighbour(other).powi(2)).sum();
        x / (bias + alpha / size as f64 * square).powf(beta)
    });
    one(call.floats(normal.collect::<Vec<_>>()))
}
