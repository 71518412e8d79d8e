//! `DeformConv`: a convolution whose window is bent by offsets.

use super::{
    FLOATS, Outcome, one,
    window::{DILATIONS, GROUP, KERNEL_SHAPE, PADS, Padding, STRIDES, Window},
};
use crate::ops::{
    attributes::Fallback,
    extent::Extent,
    operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, like, optional},
    shape::{ShapeError, computed, fixed, ranked, same},
};

pub(crate) const OPERATORS: &[Operator] = &[Operator::new(
    "DeformConv",
    19,
    &[
        input("X", "T", FLOATS),
        input("W", "T", FLOATS),
        input("offset", "T", FLOATS),
        optional("B", "T", FLOATS),
        optional("mask", "T", FLOATS),
    ],
    &[like("Y", "T")],
    infer,
    conv,
)
.with(&[DILATIONS, GROUP, KERNEL_SHAPE, attribute("offset_group", Fallback::Int(1)), PADS, STRIDES])];

fn infer(context: &Inference<'_>) -> Shapes {
    let x = ranked(context, 0, 4, "4 (batch, channels, rows, columns)")?;
    let w = ranked(context, 1, 4, "4 (filters, channels per group, rows, columns)")?;
    let count = |name: &'static str| {
        u64::try_from(context.attributes.int(name)).ok().filter(|count| *count > 0).ok_or(ShapeError::Value { name })
    };
    let (groups, bends) = (count("group")?, count("offset_group")?);
    same("number of input channels", &computed(&w[1], |own| own.checked_mul(groups))?, &x[1])?;
    computed(&w[0], |filters| filters.is_multiple_of(groups).then_some(filters))?;
    computed(&x[1], |channels| channels.is_multiple_of(bends).then_some(channels))?;
    let kernel = w[2..].iter().map(fixed).collect::<Result<Vec<_>, _>>()?;
    let taps = bends.checked_mul(kernel.iter().product()).ok_or(ShapeError::Size)?;
    let plane = Window::of_filter(&context.attributes, kernel)?.extents(&x[2..])?;
    let sides = [(2, taps.checked_mul(2).and_then(Extent::fixed)), (4, Extent::fixed(taps))];
    for (position, channels) in sides {
        let Some(shape) = context.optional_shape(position)? else { continue };
        let expected = [x[0].clone(), channels.ok_or(ShapeError::Size)?, plane[0].clone(), plane[1].clone()];
        if shape.len() != 4 {
            return Err(ShapeError::Rank { input: position, expected: "4", got: shape.len() });
        }
        for (expected, got) in expected.iter().zip(shape) {
            same("extent of offsets or mask", expected, got)?;
        }
    }
    if let Some(bias) = context.optional_shape(3)? {
        let [bias] = bias else { return Err(ShapeError::Rank { input: 3, expected: "1", got: bias.len() }) };
        same("length of the bias", &w[0], bias)?;
    }
    Ok(vec![[vec![x[0].clone(), w[0].clone()], plane].concat()])
}

/// The value between four elements; zeros surround the plane.
fn between(plane: &[f64], rows: usize, columns: usize, y: f64, x: f64) -> f64 {
    let (top, left) = (y.floor(), x.floor());
    let (down, across) = (y - top, x - left);
    let element = |row: f64, column: f64| {
        let is_inside = row >= 0.0 && column >= 0.0 && row < rows as f64 && column < columns as f64;
        if is_inside { plane[row as usize * columns + column as usize] } else { 0.0 }
    };
    (1.0 - down) * ((1.0 - across) * element(top, left) + across * element(top, left + 1.0))
        + down * ((1.0 - across) * element(top + 1.0, left) + across * element(top + 1.0, left + 1.0))
}

fn conv(call: &Call<'_>) -> Outcome {
    let (x, w) = (call.input(0), call.input(1));
    let [batch, channels, rows, columns] = x.shape()[..] else { return Err(Fault::Input("X")) };
    let [filters, depth, tall, wide] = w.shape()[..] else { return Err(Fault::Input("W")) };
    let (made_rows, made_columns) = (call.shape()[2], call.shape()[3]);
    let window = Window::of_filter(&call.attributes, vec![tall as u64, wide as u64]);
    let window = window.map_err(|_refused| Fault::Input("W"))?;
    let Padding::Explicit(pads) = &window.padding else { return Err(Fault::Input("W")) };
    let groups = call.attributes.int("group").unsigned_abs() as usize;
    let bends = call.attributes.int("offset_group").unsigned_abs() as usize;
    let (values, weights, offsets) = (x.floats(), w.floats(), call.input(2).floats());
    let (bias, mask) = (call.optional(3).map(|bias| bias.floats()), call.optional(4).map(|mask| mask.floats()));
    let (taps, places) = (tall * wide, made_rows * made_columns);
    let mut made = Vec::with_capacity(batch * filters * places);
    for at in 0..batch * filters * places {
        let (sequence, filter, place) = (at / places / filters, at / places % filters, at % places);
        let (row, column) = (place / made_columns, place % made_columns);
        let mut sum = bias.as_ref().map_or(0.0, |bias| bias[filter]);
        for from in 0..depth {
            let channel = filter / (filters / groups) * depth + from;
            let bend = sequence * bends + channel / (channels / bends);
            let plane = &values[(sequence * channels + channel) * rows * columns..][..rows * columns];
            for tap in 0..taps {
                let offset = |axis: usize| offsets[((bend * taps + tap) * 2 + axis) * places + place];
                let along = |axis: usize, at: usize, within: usize| {
                    let rigid = at as u64 * window.strides[axis] + within as u64 * window.dilations[axis];
                    rigid as f64 - pads[axis].0 as f64 + offset(axis)
                };
                let (y, x) = (along(0, row, tap / wide), along(1, column, tap % wide));
                let weight = weights[(filter * depth + from) * taps + tap];
                let shown = mask.as_ref().map_or(1.0, |mask| mask[(bend * taps + tap) * places + place]);
                sum += weight * shown * between(plane, rows, columns, y, x);
            }
        }
        made.push(sum);
    }
    one(call.floats(made))
}
