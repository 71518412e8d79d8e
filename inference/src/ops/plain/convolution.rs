//! Convolutions over any number of spatial dimensions.

use super::{
    FLOATS, Outcome, one,
    window::{AUTO_PAD, DILATIONS, GROUP, KERNEL_SHAPE, PADS, STRIDES, Window, steps},
};
use crate::{
    array::{indices, place, strides},
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Parameter, Shapes, attribute, input, like, optional},
        shape::{ShapeError, at_least, computed, fixed, same},
    },
};

const INPUTS: &[Parameter] = &[input("X", "T", FLOATS), input("W", "T", FLOATS), optional("B", "T", FLOATS)];
pub(super) const ATTRIBUTES: &[AttributeSpec] = &[AUTO_PAD, DILATIONS, GROUP, KERNEL_SHAPE, PADS, STRIDES];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Conv", 1, INPUTS, &[like("Y", "T")], |context| infer(context, 1, Some(2)), conv).with(ATTRIBUTES),
    Operator::new("ConvTranspose", 11, INPUTS, &[like("Y", "T")], infer_transposed, transposed).with(&[
        AUTO_PAD,
        DILATIONS,
        GROUP,
        KERNEL_SHAPE,
        attribute("output_padding", Fallback::NoInts),
        attribute("output_shape", Fallback::NoInts),
        PADS,
        STRIDES,
    ]),
];

/// Extents of a convolution whose filter and bias stand at the given positions.
pub(super) fn infer(context: &Inference<'_>, filter: usize, bias: Option<usize>) -> Shapes {
    let x = at_least(context, 0, 3, "at least 3 (batch, channels, spatial)")?;
    let w = at_least(context, filter, 3, "at least 3 (filters, channels per group, spatial)")?;
    let groups = groups(&context.attributes)?;
    if w[0].as_fixed().is_some_and(|filters| filters % groups != 0) {
        return Err(ShapeError::Value { name: "group" });
    }
    let expected = computed(&w[1], |channels| channels.checked_mul(groups))?;
    same("number of input channels", &expected, &x[1])?;
    if let Some(position) = bias
        && let Some(bias) = context.optional_shape(position)?
    {
        let [bias] = bias else {
            return Err(ShapeError::Rank { input: position, expected: "1", got: bias.len() });
        };
        same("length of the bias", &w[0], bias)?;
    }
    let kernel = w[2..].iter().map(fixed).collect::<Result<Vec<_>, _>>()?;
    let window = Window::of_filter(&context.attributes, kernel)?;
    let plane = window.extents(&x[2..])?;
    Ok(vec![[vec![x[0].clone(), w[0].clone()], plane].concat()])
}

fn groups(attributes: &Attributes<'_>) -> Result<u64, ShapeError> {
    let groups = u64::try_from(attributes.int("group")).unwrap_or(0);
    if groups == 0 { Err(ShapeError::Value { name: "group" }) } else { Ok(groups) }
}

fn conv(call: &Call<'_>) -> Outcome {
    let (x, w) = (call.input(0), call.input(1));
    let mut made = convolved(call, &x.floats(), &w.floats(), 1)?;
    if let Some(bias) = call.optional(2) {
        let bias = bias.floats();
        let plane: usize = call.shape()[2..].iter().product();
        made.iter_mut().enumerate().for_each(|(at, sum)| *sum += bias[at / plane % bias.len()]);
    }
    one(call.floats(made))
}

/// Sums of products under the window. Inputs are given by their numbers, extents by their position.
pub(super) fn convolved(call: &Call<'_>, x: &[f64], w: &[f64], filter: usize) -> Result<Vec<f64>, Fault> {
    let (x_shape, w_shape) = (call.input(0).shape(), call.input(filter).shape());
    let kernel: Vec<_> = w_shape[2..].iter().map(|extent| *extent as u64).collect();
    let window = Window::of_filter(&call.attributes, kernel).map_err(|_refused| Fault::Input("W"))?;
    let plane = &x_shape[2..];
    let (size, taps): (usize, usize) = (plane.iter().product(), w_shape[2..].iter().product());
    let (filters, depth) = (w_shape[0], w_shape[1]);
    let per_group = filters / groups(&call.attributes).map_or(1, |groups| groups as usize).max(1);
    let places: usize = call.shape()[2..].iter().product();
    let mut made = vec![0.0; x_shape[0] * filters * places];
    let views = window.views(plane).ok_or(Fault::Input("X"))?;
    for (at, view) in views.enumerate() {
        for batch in 0..x_shape[0] {
            for to in 0..filters {
                let first = to / per_group * depth;
                let mut sum = 0.0;
                for from in 0..depth {
                    let x = &x[(batch * x_shape[1] + first + from) * size..][..size];
                    let w = &w[(to * depth + from) * taps..][..taps];
                    sum += view.taps.iter().map(|(tap, place)| w[*tap] * x[*place]).sum::<f64>();
                }
                made[(batch * filters + to) * places + at] = sum;
            }
        }
    }
    Ok(made)
}

/// Since opset 11; before, the odd element of padding that follows from the extents was on the
/// other side.
///
/// Padding before, extent of the result, along one dimension of a transposed convolution.
fn unslide(attributes: &Attributes<'_>, window: &Window, axis: usize, extent: u64) -> Option<(u64, u64)> {
    let rank = window.kernel.len();
    let list = |name: &'static str, length| steps(name, attributes.ints(name), length, 0, 0).ok();
    let more = list("output_padding", rank)?[axis];
    let full = window.strides[axis].checked_mul(extent.checked_sub(1)?)?.checked_add(window.reach(axis) + more)?;
    let asked = match attributes.ints("output_shape") {
        // Some exporters also list batch and channels.
        Some(given) => Some(u64::try_from(*given[given.len().checked_sub(rank)?..].get(axis)?).ok()?),
        None => None,
    };
    let mode = attributes.text("auto_pad");
    let wanted = match asked {
        Some(asked) => asked,
        None if mode.starts_with("SAME") => extent.checked_mul(window.strides[axis])?,
        None if mode == "VALID" => full,
        None => {
            let pads = list("pads", rank * 2)?;
            return Some((pads[axis], full.checked_sub(pads[axis] + pads[axis + rank])?));
        }
    };
    let total = full.saturating_sub(wanted);
    let before =
        if mode == "SAME_LOWER" || (mode == "NOTSET" && asked.is_some()) { total - total / 2 } else { total / 2 };
    Some((before, wanted))
}

fn infer_transposed(context: &Inference<'_>) -> Shapes {
    let x = at_least(context, 0, 3, "at least 3 (batch, channels, spatial)")?;
    let w = at_least(context, 1, 3, "at least 3 (channels, filters per group, spatial)")?;
    let groups = groups(&context.attributes)?;
    same("number of input channels", &w[0], &x[1])?;
    if x[1].as_fixed().is_some_and(|channels| channels % groups != 0) || x.len() != w.len() {
        return Err(ShapeError::Value { name: "group" });
    }
    let filters = computed(&w[1], |filters| filters.checked_mul(groups))?;
    if let Some(bias) = context.optional_shape(2)? {
        let [bias] = bias else { return Err(ShapeError::Rank { input: 2, expected: "1", got: bias.len() }) };
        same("length of the bias", &filters, bias)?;
    }
    let kernel = w[2..].iter().map(fixed).collect::<Result<Vec<_>, _>>()?;
    let window = Window::of_filter(&context.attributes, kernel)?;
    let along = |(axis, extent): (usize, &Extent)| {
        computed(extent, |extent| unslide(&context.attributes, &window, axis, extent).map(|(_, made)| made))
    };
    let plane = x[2..].iter().enumerate().map(along).collect::<Result<Vec<_>, _>>()?;
    Ok(vec![[vec![x[0].clone(), filters], plane].concat()])
}

/// Each element of the input adds its multiple of the filter to the result.
fn transposed(call: &Call<'_>) -> Outcome {
    let (x, w) = (call.input(0), call.input(1));
    let kernel: Vec<_> = w.shape()[2..].iter().map(|extent| *extent as u64).collect();
    let window = Window::of_filter(&call.attributes, kernel).map_err(|_refused| Fault::Input("W"))?;
    let (plane, made_plane) = (&x.shape()[2..], &call.shape()[2..]);
    let before =
        plane.iter().enumerate().map(|(axis, extent)| unslide(&call.attributes, &window, axis, *extent as u64));
    let before: Vec<u64> =
        before.map(|found| found.map(|(before, _)| before)).collect::<Option<_>>().ok_or(Fault::Input("X"))?;
    let (values, filter) = (x.floats(), w.floats());
    let steps = strides(made_plane);
    let (size, taps, places): (usize, usize, usize) =
        (plane.iter().product(), w.shape()[2..].iter().product(), made_plane.iter().product());
    let (channels, per_group, filters) = (x.shape()[1], w.shape()[1], call.shape()[1]);
    let groups = groups(&call.attributes).map_or(1, |groups| groups as usize);
    let mut made = match call.optional(2) {
        Some(bias) => {
            let bias = bias.floats();
            (0..x.shape()[0] * filters * places).map(|at| bias[at / places % filters]).collect()
        }
        None => vec![0.0; x.shape()[0] * filters * places],
    };
    let offsets: Vec<_> = indices(&w.shape()[2..]).collect();
    for (at, index) in indices(plane).enumerate() {
        for (tap, offset) in offsets.iter().enumerate() {
            let to: Option<Vec<usize>> = (0..plane.len())
                .map(|axis| {
                    let along =
                        index[axis] as u64 * window.strides[axis] + offset[axis] as u64 * window.dilations[axis];
                    let inside = along.checked_sub(before[axis])? as usize;
                    (inside < made_plane[axis]).then_some(inside)
                })
                .collect();
            let Some(to) = to.map(|to| place(&to, &steps)) else { continue };
            for batch in 0..x.shape()[0] {
                for channel in 0..channels {
                    let group = channel / (channels / groups).max(1);
                    let value = values[(batch * channels + channel) * size + at];
                    for own in 0..per_group {
                        let plane = (batch * filters + group * per_group + own) * places;
                        made[plane + to] += value * filter[(channel * per_group + own) * taps + tap];
                    }
                }
            }
        }
    }
    one(call.floats(made))
}
