//! `Resize` and `Upsample`: separable interpolation, one axis after the other.

use super::{ALL, F32, IEEE, Outcome, PLACES, one};
use crate::{
    array::{Array, indices, strides},
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, optional},
        shape::{ShapeError, axes},
    },
    tensor::{DType, RANK_MAX},
};

const X: Parameter = input("X", "T1", ALL);
const SCALES: &[DType] = &[F32];
const SCALED: &[Parameter] = &[X, input("scales", "S", SCALES)];
const Y: &[Product] = &[like("Y", "T1")];
const MODE: AttributeSpec = attribute("mode", Fallback::Text("nearest"));

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Upsample", 9, SCALED, Y, infer, resize).with(&[MODE]),
    Operator::new("Resize", 10, SCALED, Y, infer, resize).with(&[MODE]),
    Operator::new(
        "Resize",
        11,
        &[X, optional("roi", "T2", IEEE), optional("scales", "S", SCALES), optional("sizes", "I", PLACES)],
        Y,
        infer,
        resize,
    )
    .with(&[
        attribute("antialias", Fallback::Int(0)),
        attribute("axes", Fallback::NoInts),
        attribute("coordinate_transformation_mode", Fallback::Text("half_pixel")),
        attribute("cubic_coeff_a", Fallback::Float(-0.75)),
        attribute("exclude_outside", Fallback::Int(0)),
        attribute("extrapolation_value", Fallback::Float(0.0)),
        attribute("keep_aspect_ratio_policy", Fallback::Text("stretch")),
        MODE,
        attribute("nearest_mode", Fallback::Text("round_prefer_floor")),
    ]),
];

/// Farthest place that is told apart from others; far outside of any input.
const PLACE_MAX: f64 = 1e15;

/// Farthest that an element of the result looks for others when it smooths. A guess far above what
/// pictures are shrunk by; without a bound the publisher decides how long each element takes.
const REACH_MAX: f64 = 65_536.0;

/// How one axis is resized.
#[derive(Clone, Copy, Debug)]
struct Along {
    from: usize,
    to: usize,
    scale: f64,
    /// Part of the input that is looked at, for one of the transformations.
    region: (f64, f64),
}

/// Elements of an axis and the weights with which they enter.
type Taps = Vec<(usize, f64)>;

/// What the operator is told, by its inputs: region, scales and sizes.
type Told = [Option<Vec<f64>>; 3];

/// The older versions have scales as their second input and no attributes but the mode.
fn told<E>(attributes: &Attributes<'_>, read: impl Fn(usize) -> Result<Option<Vec<f64>>, E>) -> Result<Told, E> {
    let given = |values: Option<Vec<f64>>| values.filter(|values| !values.is_empty());
    if !attributes.has("antialias") {
        return Ok([None, given(read(1)?), None]);
    }
    let region = if transformation(attributes) == "tf_crop_and_resize" { given(read(1)?) } else { None };
    Ok([region, given(read(2)?), given(read(3)?)])
}

fn transformation<'a>(attributes: &Attributes<'a>) -> &'a str {
    if attributes.has("antialias") { attributes.text("coordinate_transformation_mode") } else { "asymmetric" }
}

/// The plan for each axis of the input.
fn plan(attributes: &Attributes<'_>, shape: &[usize], told: &Told) -> Result<Vec<Along>, ShapeError> {
    const SIZES: ShapeError = ShapeError::Value { name: "sizes" };
    const SCALE: ShapeError = ShapeError::Value { name: "scales" };
    let [region, scales, sizes] = told;
    let rank = shape.len();
    let named = if attributes.has("axes") { attributes.ints("axes") } else { None };
    let named = named.map_or_else(|| Ok((0..rank).collect()), |given| axes(given, rank))?;
    let mut plan: Vec<_> =
        shape.iter().map(|extent| Along { from: *extent, to: *extent, scale: 1.0, region: (0.0, 1.0) }).collect();
    if let Some(region) = region {
        if region.len() != named.len() * 2 {
            return Err(ShapeError::Value { name: "roi" });
        }
        for (position, axis) in named.iter().enumerate() {
            plan[*axis].region = (region[position], region[position + named.len()]);
        }
    }
    match (scales, sizes) {
        (Some(scales), None) if scales.len() == named.len() => {
            for (axis, scale) in named.iter().zip(scales) {
                let along = &mut plan[*axis];
                if !(scale.is_finite() && *scale > 0.0) {
                    return Err(SCALE);
                }
                along.scale = *scale;
                let part = along.region.1 - along.region.0;
                along.to = (along.from as f64 * if region.is_some() { part } else { 1.0 } * scale).floor() as usize;
            }
        }
        (None, Some(sizes)) if sizes.len() == named.len() => {
            let ratios: Vec<_> = named.iter().zip(sizes).map(|(axis, size)| size / shape[*axis] as f64).collect();
            let shared = match attributes.text("keep_aspect_ratio_policy") {
                "stretch" => None,
                "not_larger" => Some(ratios.iter().copied().fold(f64::INFINITY, f64::min)),
                "not_smaller" => Some(ratios.iter().copied().fold(0.0, f64::max)),
                _ => return Err(ShapeError::Value { name: "keep_aspect_ratio_policy" }),
            };
            for ((axis, size), ratio) in named.iter().zip(sizes).zip(ratios) {
                let along = &mut plan[*axis];
                along.scale = shared.unwrap_or(ratio);
                let size = shared.map_or(*size, |scale| (scale * along.from as f64 + 0.5).floor());
                if !(size >= 0.0 && along.scale.is_finite()) {
                    return Err(SIZES);
                }
                along.to = size as usize;
            }
        }
        _ => return Err(SCALE),
    }
    let is_far = |along: &Along| {
        let (reach, stretch) = reach(attributes, along.scale);
        reach / stretch > REACH_MAX
    };
    if plan.iter().any(|along| along.to > 0 && is_far(along)) {
        return Err(if scales.is_some() { SCALE } else { SIZES });
    }
    Ok(plan)
}

fn infer(context: &Inference<'_>) -> Shapes {
    let attributes = &context.attributes;
    let known = |name: &'static str, values: &[&str]| {
        let is_known = !attributes.has(name) || values.contains(&attributes.text(name));
        if is_known { Ok(()) } else { Err(ShapeError::Value { name }) }
    };
    known("mode", if attributes.has("antialias") { &["nearest", "linear", "cubic"] } else { &["nearest", "linear"] })?;
    known("nearest_mode", &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])?;
    known(
        "coordinate_transformation_mode",
        &[
            "align_corners",
            "asymmetric",
            "half_pixel",
            "half_pixel_symmetric",
            "pytorch_half_pixel",
            "tf_crop_and_resize",
        ],
    )?;
    if attributes.text("mode") != "nearest" && !context.fact(0).dtype.is_float() {
        return Err(ShapeError::Value { name: "mode" });
    }
    let told = told(attributes, |position| match context.content(position)? {
        Some(array) if array.len() > 2 * RANK_MAX => Err(ShapeError::Long { input: position, most: 2 * RANK_MAX }),
        content => Ok(content.map(Array::floats)),
    })?;
    let extents =
        context.shape(0)?.iter().map(|extent| extent.as_fixed().and_then(|extent| usize::try_from(extent).ok()));
    let extents: Vec<_> = extents.collect::<Option<_>>().ok_or(ShapeError::Unknown)?;
    let plan = plan(attributes, &extents, &told)?;
    if plan.iter().any(|along| along.from == 0 && along.to != 0) {
        return Err(ShapeError::Size);
    }
    let made = plan.iter().map(|along| Extent::fixed(along.to as u64).ok_or(ShapeError::Size));
    Ok(vec![made.collect::<Result<_, _>>()?])
}

/// Where an element of the result lies in the input; `None` outside the region.
fn origin(attributes: &Attributes<'_>, along: &Along, at: usize) -> Option<f64> {
    let (from, to, at) = (along.from as f64, along.from as f64 * along.scale, at as f64);
    let half_pixel = (at + 0.5) / along.scale - 0.5;
    Some(match transformation(attributes) {
        "align_corners" if to == 1.0 => 0.0,
        "align_corners" => at * (from - 1.0) / (to - 1.0),
        "asymmetric" => at / along.scale,
        "pytorch_half_pixel" if to == 1.0 => -0.5,
        "half_pixel_symmetric" => from / 2.0 * (1.0 - along.to as f64 / to) + half_pixel,
        "tf_crop_and_resize" => {
            let (start, end) = along.region;
            let step = if to == 1.0 { 0.5 } else { at / (to - 1.0) };
            let place = step * (end - start) * (from - 1.0) + start * (from - 1.0);
            return (0.0..=from - 1.0).contains(&place).then_some(place);
        }
        _ => half_pixel,
    })
}

/// Elements of the input under one element of the result, with their weights.
fn taps(attributes: &Attributes<'_>, along: &Along, place: f64) -> Taps {
    let last = along.from as i64 - 1;
    let inside = |at: i64| at.clamp(0, last) as usize;
    // Scales beside which the input is nothing give places that no integer holds.
    let place = place.clamp(-PLACE_MAX, PLACE_MAX);
    // The neighbour before, which for a whole place is one less: its distance is in (0, 1].
    let base = place.ceil() - 1.0;
    let ratio = place - base;
    let base = base as i64;
    let mode = attributes.text("mode");
    if mode == "nearest" {
        let name = if attributes.has("nearest_mode") { attributes.text("nearest_mode") } else { "floor" };
        let takes_next = ratio == 1.0
            || match name {
                "round_prefer_floor" => ratio > 0.5,
                "round_prefer_ceil" => ratio >= 0.5,
                "ceil" => true,
                _ => false,
            };
        return vec![(inside(base + i64::from(takes_next)), 1.0)];
    }
    let narrows = attributes.has("antialias") && attributes.flag("antialias");
    let (reach, stretch) = reach(attributes, along.scale);
    let first = (-reach / stretch).floor() as i64 + 1;
    let weight = |at: i64| {
        let distance = (stretch * (at as f64 - ratio)).abs();
        if mode == "linear" { (1.0 - distance).max(0.0) } else { cubic(distance, attributes.float("cubic_coeff_a")) }
    };
    let excludes = attributes.has("exclude_outside") && attributes.flag("exclude_outside");
    let mut taps = Taps::new();
    let mut sum = 0.0;
    for at in first..2 - first {
        let from = base + at;
        let weight = if excludes && !(0..=last).contains(&from) { 0.0 } else { weight(at) };
        sum += weight;
        // All that lies outside reads the element at the edge, which is kept once.
        match taps.last_mut() {
            Some((place, whole)) if *place == inside(from) => *whole += weight,
            _ => taps.push((inside(from), weight)),
        }
    }
    if excludes || narrows {
        taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
    }
    taps
}

/// How far an element of the result looks for others, and by how much that is widened.
fn reach(attributes: &Attributes<'_>, scale: f64) -> (f64, f64) {
    let mode = attributes.text("mode");
    let narrows = mode != "nearest" && attributes.has("antialias") && attributes.flag("antialias");
    let stretch = if narrows { scale.min(1.0) } else { 1.0 };
    (if mode == "linear" { 1.0 } else { 2.0 }, stretch)
}

/// Cubic convolution, equation (4) of R. Keys, "Cubic convolution interpolation for digital image
/// processing", 1981.
pub(super) fn cubic(distance: f64, a: f64) -> f64 {
    if distance <= 1.0 {
        ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0
    } else if distance < 2.0 {
        ((a * distance - 5.0 * a) * distance + 8.0 * a) * distance - 4.0 * a
    } else {
        0.0
    }
}

fn resize(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let attributes = &call.attributes;
    let read = |position| Ok::<_, Fault>(call.optional(position).map(Array::floats));
    let plan = plan(attributes, x.shape(), &told(attributes, read)?).map_err(|_refused| Fault::Input("sizes"))?;
    if call.shape().contains(&0) {
        return one(x.pick(call.shape().to_vec(), std::iter::empty()));
    }
    let mut views: Vec<Vec<Option<Taps>>> = Vec::with_capacity(plan.len());
    for along in &plan {
        let view = |at| origin(attributes, along, at).map(|place| taps(attributes, along, place));
        views.push((0..along.to).map(view).collect());
    }
    if attributes.text("mode") == "nearest" && views.iter().flatten().all(Option::is_some) {
        let steps = strides(x.shape());
        let nearest =
            |axis: usize, at: usize| views[axis][at].as_ref().and_then(|taps| taps.first()).map_or(0, |tap| tap.0);
        let places = indices(call.shape())
            .map(|index| index.iter().enumerate().map(|(axis, at)| nearest(axis, *at) * steps[axis]).sum());
        return one(x.pick(call.shape().to_vec(), places));
    }
    let mut shape = x.shape().to_vec();
    let mut values = x.floats();
    // Axes that shrink first, so that nothing between is larger than input or result.
    let mut order: Vec<_> =
        (0..plan.len()).filter(|axis| plan[*axis].scale != 1.0 || plan[*axis].from != plan[*axis].to).collect();
    if transformation(attributes) == "tf_crop_and_resize" {
        order = (0..plan.len()).collect();
    }
    order.sort_by_key(|axis| plan[*axis].to >= plan[*axis].from);
    for axis in order {
        values = resized(&values, &shape, axis, &views[axis]);
        shape[axis] = plan[axis].to;
    }
    let outside = if attributes.has("extrapolation_value") { attributes.float("extrapolation_value") } else { 0.0 };
    let is_outside = |index: &[usize]| index.iter().enumerate().any(|(axis, at)| views[axis][*at].is_none());
    let made = values.into_iter().zip(indices(call.shape()));
    one(call.floats(made.map(|(value, index)| if is_outside(&index) { outside } else { value }).collect::<Vec<_>>()))
}

fn resized(values: &[f64], shape: &[usize], axis: usize, views: &[Option<Taps>]) -> Vec<f64> {
    let step = strides(shape)[axis];
    let outer: usize = shape[..axis].iter().product();
    let mut made = Vec::with_capacity(outer * views.len() * step);
    for block in 0..outer {
        for view in views {
            let start = block * shape[axis] * step;
            for inner in 0..step {
                let taps = view.as_deref().unwrap_or_default();
                made.push(taps.iter().map(|(at, weight)| values[start + at * step + inner] * weight).sum());
            }
        }
    }
    made
}
