//! `GridSample` and `AffineGrid`.

use super::{F32, FLOATS, Outcome, PLACES, one, resize::cubic};
use crate::{
    array::{indices, place, strides},
    ops::{
        attributes::{Attributes, Fallback},
        extent::Extent,
        operator::{Call, Inference, Operator, Parameter, Product, Shapes, attribute, input, like},
        shape::{ShapeError, at_least, ranked, same},
    },
};

const SAMPLED: &[Parameter] = &[input("X", "T1", FLOATS), input("grid", "T2", FLOATS)];
const Y: &[Product] = &[like("Y", "T1")];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("GridSample", 16, SAMPLED, Y, infer_sample, sample).with(&[
        attribute("align_corners", Fallback::Int(0)),
        attribute("mode", Fallback::Text("bilinear")),
        attribute("padding_mode", Fallback::Text("zeros")),
    ]),
    Operator::new("GridSample", 20, SAMPLED, Y, infer_sample, sample).with(&[
        attribute("align_corners", Fallback::Int(0)),
        attribute("mode", Fallback::Text("linear")),
        attribute("padding_mode", Fallback::Text("zeros")),
    ]),
    Operator::new(
        "AffineGrid",
        20,
        &[input("theta", "T1", FLOATS), input("size", "I", PLACES)],
        &[like("grid", "T1")],
        infer_affine,
        affine,
    )
    .with(&[attribute("align_corners", Fallback::Int(0))]),
];

fn infer_sample(context: &Inference<'_>) -> Shapes {
    let x = at_least(context, 0, 3, "at least 3 (batch, channels, spatial)")?;
    let grid = ranked(context, 1, x.len(), "as many as X")?;
    let mode = context.attributes.text("mode");
    if !matches!(mode, "linear" | "bilinear" | "nearest" | "cubic" | "bicubic") {
        return Err(ShapeError::Value { name: "mode" });
    }
    if !matches!(context.attributes.text("padding_mode"), "zeros" | "border" | "reflection") {
        return Err(ShapeError::Value { name: "padding_mode" });
    }
    same("batch of the grid", &x[0], &grid[0])?;
    same("coordinates of the grid", &Extent::counted(x.len() - 2), &grid[grid.len() - 1])?;
    if x[2..].iter().any(|extent| extent.as_fixed() == Some(0)) {
        return Err(ShapeError::Size);
    }
    Ok(vec![[&x[..2], &grid[1..grid.len() - 1]].concat()])
}

/// Edges between which coordinates are reflected: centres of the outermost elements or their
/// borders.
fn edges(attributes: &Attributes<'_>, extent: usize) -> (f64, f64) {
    if attributes.flag("align_corners") { (0.0, extent as f64 - 1.0) } else { (-0.5, extent as f64 - 0.5) }
}

/// Back and forth between the edges.
fn reflected(at: f64, (low, high): (f64, f64)) -> f64 {
    let span = high - low;
    if span <= 0.0 || !at.is_finite() {
        return low.max(0.0);
    }
    let along = (at - low).rem_euclid(2.0 * span);
    low + if along > span { 2.0 * span - along } else { along }
}

/// From −1 to 1 to a place among the elements. That of an `FP32` grid is rounded to its precision,
/// because a tie decides which element is nearest.
fn denormalised(call: &Call<'_>, at: f64, extent: usize) -> f64 {
    let extent = extent as f64;
    let is_single = call.input(1).dtype() == F32;
    let round = |value: f64| if is_single { f64::from(value as f32) } else { value };
    if call.attributes.flag("align_corners") {
        round(round(at + 1.0) / 2.0 * (extent - 1.0))
    } else {
        round(round(round(at + 1.0) * extent) - 1.0) / 2.0
    }
}

/// The element at a place, or none where zeros surround the input.
fn element(attributes: &Attributes<'_>, at: f64, extent: usize) -> Option<usize> {
    let last = extent as f64 - 1.0;
    let inside = match attributes.text("padding_mode") {
        "zeros" => (0.0..=last).contains(&at).then_some(at)?,
        "border" => at.clamp(0.0, last),
        _ => reflected(at, edges(attributes, extent)).clamp(0.0, last),
    };
    Some(inside as usize)
}

/// Elements along one axis under a coordinate, with their weights.
fn taps(call: &Call<'_>, coordinate: f64, extent: usize) -> Vec<(usize, f64)> {
    let attributes = &call.attributes;
    let mode = attributes.text("mode");
    let mut at = denormalised(call, coordinate, extent);
    if mode == "nearest" {
        at = at.round_ties_even();
    }
    let (low, high) = edges(attributes, extent);
    if at < low || at > high {
        at = match attributes.text("padding_mode") {
            "border" => at.clamp(0.0, extent as f64 - 1.0),
            "reflection" => reflected(at, (low, high)),
            _ => at,
        };
    }
    let base = at.floor();
    let (first, last) = match mode {
        "nearest" => return element(attributes, at.trunc(), extent).map(|at| (at, 1.0)).into_iter().collect(),
        "cubic" | "bicubic" => (-1, 2),
        _ => (0, 1),
    };
    let tap = |offset: i32| {
        let place = base + f64::from(offset);
        let distance = (at - place).abs();
        let weight = if last == 2 { cubic(distance, -0.75) } else { 1.0 - distance };
        element(attributes, place, extent).map(|at| (at, weight))
    };
    (first..=last).filter_map(tap).collect()
}

fn sample(call: &Call<'_>) -> Outcome {
    let (x, grid) = (call.input(0), call.input(1));
    let (values, coordinates) = (x.floats(), grid.floats());
    let plane = &x.shape()[2..];
    let rank = plane.len();
    let (batch, channels, size) = (x.shape()[0], x.shape()[1], plane.iter().product::<usize>());
    let places: usize = call.shape()[2..].iter().product();
    let steps = strides(plane);
    let mut made = vec![0.0; batch * channels * places];
    for sequence in 0..batch {
        for at in 0..places {
            let point = &coordinates[(sequence * places + at) * rank..][..rank];
            // Coordinates are given with the innermost axis first.
            let mut window = vec![(0, 1.0)];
            for (axis, extent) in plane.iter().enumerate() {
                let taps = taps(call, point[rank - 1 - axis], *extent);
                let step = steps[axis];
                let wider = window
                    .iter()
                    .flat_map(|(place, weight)| taps.iter().map(move |(at, own)| (place + at * step, weight * own)));
                window = wider.collect();
            }
            for channel in 0..channels {
                let start = (sequence * channels + channel) * size;
                made[(sequence * channels + channel) * places + at] =
                    window.iter().map(|(place, weight)| values[start + place] * weight).sum();
            }
        }
    }
    one(call.floats(made))
}

/// `[batch, spatial extents, number of spatial dimensions]`.
fn infer_affine(context: &Inference<'_>) -> Shapes {
    let theta = ranked(context, 0, 3, "3 (batch, coordinates, homogeneous)")?;
    let size = context.places(1)?.unwrap_or_default();
    let rank = size.len().saturating_sub(2);
    if !matches!(rank, 2 | 3) {
        return Err(ShapeError::Value { name: "size" });
    }
    let extents = size.iter().map(|extent| u64::try_from(*extent).ok().and_then(Extent::fixed));
    let extents: Vec<_> = extents.collect::<Option<_>>().ok_or(ShapeError::Value { name: "size" })?;
    for (what, expected, got) in [
        ("batch of theta", &extents[0], &theta[0]),
        ("coordinates of theta", &Extent::counted(rank), &theta[1]),
        ("columns of theta", &Extent::counted(rank + 1), &theta[2]),
    ] {
        same(what, expected, got)?;
    }
    let mut made = vec![extents[0].clone()];
    made.extend_from_slice(&extents[2..]);
    made.push(Extent::counted(rank));
    Ok(vec![made])
}

/// Each element's coordinates between −1 and 1, transformed.
fn affine(call: &Call<'_>) -> Outcome {
    let theta = call.input(0).floats();
    let aligns = call.attributes.flag("align_corners");
    let shape = call.shape();
    let rank = shape.len() - 2;
    let extents = &shape[1..=rank];
    let normal = |at: usize, extent: usize| {
        let (at, extent) = (at as f64, extent as f64);
        if aligns { -1.0 + 2.0 * at / (extent - 1.0) } else { (2.0 * at + 1.0) / extent - 1.0 }
    };
    let steps = [rank * (rank + 1), rank + 1, 1];
    let made = indices(shape).map(|index| {
        let row = |column: usize| theta[place(&[index[0], index[rank + 1], column], &steps)];
        // The innermost axis is the first coordinate.
        let turned: f64 =
            (0..rank).map(|column| row(column) * normal(index[rank - column], extents[rank - 1 - column])).sum();
        turned + row(rank)
    });
    one(call.floats(made.collect::<Vec<_>>()))
}
