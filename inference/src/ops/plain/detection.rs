//! Boxes, regions and patches of images.

use super::{
    F32, FLOATS, I64, Outcome, PLACES, one,
    window::{DILATIONS, PADS, STRIDES, Window},
};
use crate::{
    array::Array,
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Parameter, Shapes, attribute, input, like, of, optional},
        shape::{ShapeError, computed, numbers, ranked, same},
    },
    tensor::DType,
};

/// Most samples of one bin along one dimension; a region that asks for more would only keep a node
/// busy.
const SAMPLES_MAX: f64 = 256.0;

const SINGLE: &[DType] = &[F32];
const REGIONS: &[Parameter] =
    &[input("X", "T1", FLOATS), input("rois", "T1", FLOATS), input("batch_indices", "T2", PLACES)];
const POOL_MODE: AttributeSpec = attribute("mode", Fallback::Text("avg"));
const HEIGHT: AttributeSpec = attribute("output_height", Fallback::Int(1));
const WIDTH: AttributeSpec = attribute("output_width", Fallback::Int(1));
const SAMPLING: AttributeSpec = attribute("sampling_ratio", Fallback::Int(0));
const SCALE: AttributeSpec = attribute("spatial_scale", Fallback::Float(1.0));

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("RoiAlign", 10, REGIONS, &[like("Y", "T1")], infer_regions, align)
        .with(&[POOL_MODE, HEIGHT, WIDTH, SAMPLING, SCALE]),
    Operator::new("RoiAlign", 16, REGIONS, &[like("Y", "T1")], infer_regions, align).with(&[
        attribute("coordinate_transformation_mode", Fallback::Text("half_pixel")),
        POOL_MODE,
        HEIGHT,
        WIDTH,
        SAMPLING,
        SCALE,
    ]),
    Operator::new(
        "NonMaxSuppression",
        10,
        &[
            input("boxes", "B", SINGLE),
            input("scores", "S", SINGLE),
            optional("max_output_boxes_per_class", "M", PLACES),
            optional("iou_threshold", "I", SINGLE),
            optional("score_threshold", "H", SINGLE),
        ],
        &[of("selected_indices", I64)],
        infer_suppression,
        suppress,
    )
    .with(&[attribute("center_point_box", Fallback::Int(0))]),
    Operator::new(
        "Col2Im",
        18,
        &[input("input", "T", FLOATS), input("image_shape", "I", PLACES), input("block_shape", "I", PLACES)],
        &[like("output", "T")],
        infer_image,
        image,
    )
    .with(&[DILATIONS, PADS, STRIDES]),
];

fn infer_regions(context: &Inference<'_>) -> Shapes {
    let x = ranked(context, 0, 4, "4 (batch, channels, rows, columns)")?;
    let rois = ranked(context, 1, 2, "2 (regions, corners)")?;
    let [count] = context.shape(2)? else {
        return Err(ShapeError::Rank { input: 2, expected: "1", got: context.shape(2)?.len() });
    };
    same("number of regions", &rois[0], count)?;
    same("corners of a region", &Extent::counted(4), &rois[1])?;
    if !matches!(context.attributes.text("mode"), "avg" | "max") {
        return Err(ShapeError::Value { name: "mode" });
    }
    let name = "coordinate_transformation_mode";
    if context.attributes.has(name) && !matches!(context.attributes.text(name), "half_pixel" | "output_half_pixel") {
        return Err(ShapeError::Value { name });
    }
    let size = |name: &'static str| {
        u64::try_from(context.attributes.int(name)).ok().filter(|size| *size > 0).ok_or(ShapeError::Value { name })
    };
    let bins = numbers(&[size("output_height")?, size("output_width")?])?;
    Ok(vec![[vec![rois[0].clone(), x[1].clone()], bins].concat()])
}

/// The four elements around a point with their weights, none where it lies far outside.
fn corners(y: f64, x: f64, rows: usize, columns: usize) -> Option<[(usize, f64); 4]> {
    let (height, width) = (rows as f64, columns as f64);
    if !(-1.0..=height).contains(&y) || !(-1.0..=width).contains(&x) {
        return None;
    }
    let along = |at: f64, extent: usize| {
        let low = (at.max(0.0) as usize).min(extent - 1);
        let high = (low + 1).min(extent - 1);
        let part = if low == high { 0.0 } else { at.max(0.0) - low as f64 };
        (low, high, part)
    };
    let ((top, bottom, down), (left, right, across)) = (along(y, rows), along(x, columns));
    Some([
        (top * columns + left, (1.0 - down) * (1.0 - across)),
        (top * columns + right, (1.0 - down) * across),
        (bottom * columns + left, down * (1.0 - across)),
        (bottom * columns + right, down * across),
    ])
}

/// Start, extent of a bin and number of samples in it, along one dimension.
fn bins(attributes: &Attributes<'_>, low: f64, high: f64, count: usize) -> Result<(f64, f64, usize), Fault> {
    let name = "coordinate_transformation_mode";
    let is_centred = attributes.has(name) && attributes.text(name) == "half_pixel";
    let (scale, shift) = (attributes.float("spatial_scale"), if is_centred { 0.5 } else { 0.0 });
    let (start, end) = (low * scale - shift, high * scale - shift);
    let span = if is_centred { end - start } else { (end - start).max(1.0) };
    let asked = attributes.int("sampling_ratio");
    let samples = if asked > 0 { asked as f64 } else { (span / count as f64).ceil() };
    if !samples.is_finite() || samples > SAMPLES_MAX {
        return Err(Fault::Input("rois"));
    }
    Ok((start, span / count as f64, samples.max(0.0) as usize))
}

fn align(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let (rows, columns) = (x.shape()[2], x.shape()[3]);
    let [_, channels, height, width] = call.shape()[..] else { unreachable!("the shape function makes four") };
    if rows * columns == 0 {
        return Err(Fault::Input("X"));
    }
    let (values, rois) = (x.floats(), call.input(1).floats());
    let takes_most = call.attributes.text("mode") == "max";
    let mut made = Vec::with_capacity(call.shape().iter().product());
    for (region, batch) in call.places(2).unwrap_or_default().into_iter().enumerate() {
        let batch = usize::try_from(batch).ok().filter(|batch| *batch < x.shape()[0]).ok_or(Fault::Index)?;
        let corner = &rois[region * 4..][..4];
        let (left, wide, across) = bins(&call.attributes, corner[0], corner[2], width)?;
        let (top, tall, down) = bins(&call.attributes, corner[1], corner[3], height)?;
        let point = |bin: usize, sample: usize| {
            let (row, column) = ((bin / width) as f64, (bin % width) as f64);
            let y = top + row * tall + ((sample / across) as f64 + 0.5) * tall / down as f64;
            let x = left + column * wide + ((sample % across) as f64 + 0.5) * wide / across as f64;
            corners(y, x, rows, columns)
        };
        for channel in 0..channels {
            let plane = &values[(batch * channels + channel) * rows * columns..][..rows * columns];
            let weighted = |four: [(usize, f64); 4]| four.map(|(at, weight)| weight * plane[at]);
            for bin in 0..height * width {
                let samples = (0..down * across).map(|sample| point(bin, sample).map_or([0.0; 4], weighted));
                made.push(if takes_most {
                    samples.flatten().fold(f64::NEG_INFINITY, f64::max)
                } else {
                    samples.flatten().sum::<f64>() / (down * across).max(1) as f64
                });
            }
        }
    }
    one(call.floats(made))
}

/// At most so many boxes as are asked for per class, or as there are.
fn infer_suppression(context: &Inference<'_>) -> Shapes {
    let boxes = ranked(context, 0, 3, "3 (batch, boxes, corners)")?;
    let scores = ranked(context, 1, 3, "3 (batch, classes, boxes)")?;
    same("batch of the scores", &boxes[0], &scores[0])?;
    same("boxes of the scores", &boxes[1], &scores[2])?;
    same("corners of a box", &Extent::counted(4), &boxes[2])?;
    let most = match context.places(2) {
        Ok(given) => given.and_then(|given| given.first().copied()).unwrap_or(0),
        Err(_) => i64::MAX,
    };
    let bound = match (boxes[0].as_fixed(), scores[1].as_fixed(), boxes[1].as_fixed()) {
        (Some(batch), Some(classes), Some(count)) => {
            let per_class = count.min(u64::try_from(most).unwrap_or(0));
            let all = batch.checked_mul(classes).and_then(|all| all.checked_mul(per_class));
            Extent::AtMost(all.ok_or(ShapeError::Size)?)
        }
        _ => Extent::Unknown,
    };
    Ok(vec![vec![bound, Extent::counted(3)]])
}

/// Top, left, bottom, right.
fn edges(corner: &[f64], is_centred: bool) -> [f64; 4] {
    let [a, b, c, d] = [corner[0], corner[1], corner[2], corner[3]];
    if is_centred {
        [b - d / 2.0, a - c / 2.0, b + d / 2.0, a + c / 2.0]
    } else {
        [a.min(c), b.min(d), a.max(c), b.max(d)]
    }
}

/// Intersection over union.
fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let area = |edges: &[f64; 4]| (edges[2] - edges[0]) * (edges[3] - edges[1]);
    let (tall, wide) = (a[2].min(b[2]) - a[0].max(b[0]), a[3].min(b[3]) - a[1].max(b[1]));
    if tall <= 0.0 || wide <= 0.0 {
        return 0.0;
    }
    let shared = tall * wide;
    shared / (area(a) + area(b) - shared)
}

fn suppress(call: &Call<'_>) -> Outcome {
    let (boxes, scores) = (call.input(0), call.input(1));
    let (batch, count, classes) = (boxes.shape()[0], boxes.shape()[1], scores.shape()[1]);
    let most = call.places(2).and_then(|given| given.first().copied()).unwrap_or(0);
    let most = usize::try_from(most).unwrap_or(0);
    let (threshold, least) = (call.scalar(3).unwrap_or(0.0), call.scalar(4));
    let is_centred = call.attributes.flag("center_point_box");
    let (corner, values) = (boxes.floats(), scores.floats());
    let edges: Vec<_> = corner.chunks_exact(4).map(|corner| edges(corner, is_centred)).collect();
    let mut found = Vec::new();
    for row in 0..batch * classes {
        let own = &values[row * count..(row + 1) * count];
        let edges = &edges[row / classes * count..][..count];
        let mut order: Vec<_> = (0..count).filter(|at| least.is_none_or(|least| own[*at] > least)).collect();
        order.sort_by(|a, b| own[*b].total_cmp(&own[*a]));
        let mut kept: Vec<usize> = Vec::new();
        for candidate in order {
            if kept.len() == most {
                break;
            }
            if kept.iter().all(|kept| overlap(&edges[*kept], &edges[candidate]) <= threshold) {
                kept.push(candidate);
            }
        }
        found.extend(kept.into_iter().flat_map(|at| [(row / classes) as i64, (row % classes) as i64, at as i64]));
    }
    one(Array::of_places(vec![found.len() / 3, 3], found))
}

fn sizes(places: Option<Vec<i64>>) -> Option<Vec<u64>> {
    places?.into_iter().map(|size| u64::try_from(size).ok().filter(|size| *size > 0)).collect()
}

fn infer_image(context: &Inference<'_>) -> Shapes {
    let x = ranked(context, 0, 3, "3 (batch, patches, places)")?;
    let plane = sizes(context.places(1)?).ok_or(ShapeError::Value { name: "image_shape" })?;
    let kernel = sizes(context.places(2)?).ok_or(ShapeError::Value { name: "block_shape" })?;
    let taps: u64 = kernel.iter().try_fold(1_u64, |taps, extent| taps.checked_mul(*extent)).ok_or(ShapeError::Size)?;
    let window = Window::read(&context.attributes, kernel)?;
    let plane = numbers(&plane)?;
    let places = super::super::extent::product(&window.extents(&plane)?).ok_or(ShapeError::Size)?;
    same("number of places", &places, &x[2])?;
    let channels = computed(&x[1], |patches| patches.is_multiple_of(taps).then(|| patches / taps))?;
    Ok(vec![[vec![x[0].clone(), channels], plane].concat()])
}

/// Adds each patch where the window lay when it was taken.
fn image(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let kernel = sizes(call.places(2)).ok_or(Fault::Input("block_shape"))?;
    let taps: usize = kernel.iter().product::<u64>() as usize;
    let window = Window::read(&call.attributes, kernel).map_err(|_refused| Fault::Input("block_shape"))?;
    let (batch, plane) = call.shape().split_at(2);
    let size: usize = plane.iter().product();
    let (values, places) = (x.floats(), x.shape()[2]);
    let mut made = vec![0.0; batch.iter().product::<usize>() * size];
    for (at, view) in window.views(plane).ok_or(Fault::Input("image_shape"))?.enumerate() {
        for row in 0..batch.iter().product::<usize>() {
            for (tap, place) in &view.taps {
                made[row * size + place] += values[(row * taps + tap) * places + at];
            }
        }
    }
    one(call.floats(made))
}
