//! Parts of tensors, and borders around them.

use super::{ALL, INDICES, Outcome, PLACES, STORED, one};
use crate::{
    array::{Array, indices, place, strides},
    data::Data,
    ops::{
        attributes::{Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, optional},
        shape::{ShapeError, axes, axis, checked_axis, computed, fixed, unchanged},
    },
};

const DATA: Parameter = input("data", "T", ALL);
const PADDED: Parameter = input("data", "T", STORED);
const MADE: &[Product] = &[like("output", "T")];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Slice", 1, &[DATA], MADE, infer_slice, slice).with(&[
        attribute("axes", Fallback::NoInts),
        attribute("ends", Fallback::RequiredInts),
        attribute("starts", Fallback::RequiredInts),
    ]),
    Operator::new(
        "Slice",
        10,
        &[
            DATA,
            input("starts", "I", INDICES),
            input("ends", "I", INDICES),
            optional("axes", "I", INDICES),
            optional("steps", "I", INDICES),
        ],
        MADE,
        infer_slice,
        slice,
    ),
    Operator::new("Split", 2, &[DATA], MADE, infer_split, split)
        .spreading()
        .with(&[attribute("axis", Fallback::Int(0)), attribute("split", Fallback::NoInts)]),
    Operator::new("Split", 13, &[DATA, optional("split", "I", PLACES)], MADE, infer_split, split)
        .spreading()
        .with(&[attribute("axis", Fallback::Int(0))]),
    Operator::new("Split", 18, &[DATA, optional("split", "I", PLACES)], MADE, infer_split, split)
        .spreading()
        .with(&[attribute("axis", Fallback::Int(0)), attribute("num_outputs", Fallback::NoInt)]),
    Operator::new("Pad", 2, &[PADDED], MADE, infer_pad, pad).with(&[
        attribute("mode", Fallback::Text("constant")),
        attribute("pads", Fallback::RequiredInts),
        attribute("value", Fallback::Float(0.0)),
    ]),
    Operator::new(
        "Pad",
        11,
        &[PADDED, input("pads", "P", PLACES), optional("constant_value", "T", STORED), optional("axes", "I", INDICES)],
        MADE,
        infer_pad,
        pad,
    )
    .with(&[attribute("mode", Fallback::Text("constant"))]),
    Operator::new("CenterCropPad", 18, &[DATA, input("shape", "I", INDICES)], MADE, infer_centre, centre)
        .with(&[attribute("axes", Fallback::NoInts)]),
    Operator::new("ReverseSequence", 10, &[DATA, input("sequence_lens", "I", PLACES)], MADE, infer_reverse, reverse)
        .with(&[attribute("batch_axis", Fallback::Int(1)), attribute("time_axis", Fallback::Int(0))]),
];

/// Start, step and number of what a slice takes along one axis.
#[derive(Clone, Copy)]
struct Cut {
    start: i64,
    step: i64,
    count: u64,
}

/// Clamps as the operator says: for negative steps one place further to the front.
fn cut(extent: u64, start: i64, end: i64, step: i64) -> Option<Cut> {
    let extent = i64::try_from(extent).ok()?;
    let from_start = |at: i64| if at < 0 { at.saturating_add(extent) } else { at };
    let (low, high) = if step < 0 { (-1, extent - 1) } else { (0, extent) };
    let start = from_start(start).clamp(low.max(0).min(high.max(0)), high.max(0));
    let end = from_start(end).clamp(low, high);
    let span = if step < 0 { start.checked_sub(end)? } else { end.checked_sub(start)? };
    let count = if span <= 0 || extent == 0 { 0 } else { (span.unsigned_abs() - 1) / step.unsigned_abs() + 1 };
    (step != 0).then_some(Cut { start, step, count })
}

/// One cut per axis of the input, for the values of the last four inputs.
fn cuts(extents: &[Option<u64>], given: [Option<Vec<i64>>; 4]) -> Result<Vec<Option<Cut>>, ShapeError> {
    let [starts, ends, given_axes, steps] = given;
    let (starts, ends) = (starts.unwrap_or_default(), ends.unwrap_or_default());
    let rank = extents.len();
    let named = match given_axes {
        Some(given) => axes(&given, rank)?,
        None => (0..starts.len()).collect(),
    };
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    let lengths = [ends.len(), named.len(), steps.len()];
    if lengths != [starts.len(); 3] || starts.len() > rank {
        return Err(ShapeError::Value { name: "starts" });
    }
    let mut cuts: Vec<_> = extents.iter().map(|extent| cut((*extent)?, 0, i64::MAX, 1)).collect();
    for (position, axis) in named.into_iter().enumerate() {
        if steps[position] == 0 {
            return Err(ShapeError::Value { name: "steps" });
        }
        cuts[axis] = extents[axis].and_then(|extent| cut(extent, starts[position], ends[position], steps[position]));
    }
    Ok(cuts)
}

/// Starts, ends, axes and steps; before opset 10 they are attributes without steps.
fn bounds(
    attributes: &Attributes<'_>,
    read: impl Fn(usize) -> Result<Option<Vec<i64>>, ShapeError>,
) -> Result<[Option<Vec<i64>>; 4], ShapeError> {
    if !attributes.has("starts") {
        return Ok([read(1)?, read(2)?, read(3)?, read(4)?]);
    }
    let list = |name: &str| attributes.ints(name).map(<[_]>::to_vec);
    Ok([list("starts"), list("ends"), list("axes"), None])
}

fn infer_slice(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let given = bounds(&context.attributes, |position| context.places(position))?;
    let touched: Vec<_> = match &given[2] {
        Some(given) => axes(given, shape.len())?,
        None => (0..given[0].as_ref().map_or(0, Vec::len)).collect(),
    };
    let extents: Vec<_> = shape.iter().map(Extent::as_fixed).collect();
    let made = cuts(&extents, given)?.into_iter().enumerate().map(|(axis, cut)| match cut {
        Some(cut) => Extent::fixed(cut.count).ok_or(ShapeError::Size),
        None if touched.contains(&axis) => Ok(Extent::Unknown),
        None => Ok(shape[axis].clone()),
    });
    Ok(vec![made.collect::<Result<_, _>>()?])
}

fn slice(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let extents: Vec<_> = x.shape().iter().map(|extent| Some(*extent as u64)).collect();
    let given = bounds(&call.attributes, |position| Ok(call.places(position)));
    let given = given.map_err(|_unknown| Fault::Input("starts"))?;
    let cuts = cuts(&extents, given).map_err(|_refused| Fault::Input("starts"))?;
    let steps = strides(x.shape());
    let places = indices(call.shape()).map(|index| {
        let along = index.iter().zip(&cuts).zip(&steps).map(|((at, cut), step)| {
            let (start, stride) = cut.map_or((0, 1), |cut| (cut.start, cut.step));
            (start + stride * *at as i64) as usize * step
        });
        along.sum()
    });
    one(x.pick(call.shape().to_vec(), places))
}

/// Extents along the axis, from the attribute or input, or in equal parts.
fn infer_split(context: &Inference<'_>) -> Shapes {
    const NAME: ShapeError = ShapeError::Value { name: "split" };
    let shape = context.shape(0)?;
    let at = axis(context.attributes.int("axis"), shape.len())?;
    let given = if context.attributes.has("split") {
        context.attributes.ints("split").map(<[_]>::to_vec)
    } else {
        context.places(1)?
    };
    let extent = fixed(&shape[at])?;
    let parts: Vec<u64> = match given {
        Some(parts) => {
            let parts = parts.into_iter().map(u64::try_from).collect::<Result<Vec<_>, _>>();
            parts.map_err(|_negative| NAME)?
        }
        None => {
            let count = context.asked as u64;
            let stated = if context.attributes.has("num_outputs") {
                context.attributes.optional_int("num_outputs")
            } else {
                None
            };
            if count == 0 || stated.is_some_and(|stated| u64::try_from(stated) != Ok(count)) {
                return Err(NAME);
            }
            // The last part takes what is left, which since opset 18 may be less.
            let part = extent.div_ceil(count);
            if part * (count - 1) > extent || (!context.attributes.has("num_outputs") && !extent.is_multiple_of(count))
            {
                return Err(NAME);
            }
            (0..count).map(|index| if index + 1 == count { extent - part * index } else { part }).collect()
        }
    };
    if parts.len() != context.asked || parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part)) != Some(extent)
    {
        return Err(NAME);
    }
    let part = |part: &u64| {
        let mut own = shape.to_vec();
        own[at] = Extent::fixed(*part).ok_or(ShapeError::Size)?;
        Ok(own)
    };
    parts.iter().map(part).collect()
}

fn split(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let at = checked_axis(&call.attributes, x.rank());
    let steps = strides(x.shape());
    let mut start = 0;
    let parts = call.outputs.iter().map(|(_, shape)| {
        let from = start * steps[at];
        start += shape[at];
        x.pick(shape.clone(), crate::array::Places::new(shape, steps.clone()).map(|place| from + place))
    });
    Ok(parts.collect())
}

/// Elements before and behind each axis; negative ones are cut off.
fn pads(rank: usize, given: &[i64], given_axes: Option<&[i64]>) -> Result<Vec<(i64, i64)>, ShapeError> {
    let named = match given_axes {
        Some(given) => axes(given, rank)?,
        None => (0..rank).collect(),
    };
    if given.len() != named.len() * 2 {
        return Err(ShapeError::Value { name: "pads" });
    }
    let mut pads = vec![(0, 0); rank];
    for (position, axis) in named.iter().enumerate() {
        pads[*axis] = (given[position], given[position + named.len()]);
    }
    Ok(pads)
}

fn infer_pad(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let mode = context.attributes.text("mode");
    if !matches!(mode, "constant" | "reflect" | "edge" | "wrap") {
        return Err(ShapeError::Value { name: "mode" });
    }
    let given = match context.attributes.ints("pads") {
        Some(given) => given.to_vec(),
        None => context.places(1)?.unwrap_or_default(),
    };
    let given_axes = context.places(3)?;
    let pads = pads(shape.len(), &given, given_axes.as_deref())?;
    let padded = shape.iter().zip(pads).map(|(extent, (before, after))| {
        computed(extent, |extent| {
            let grown = i64::try_from(extent).ok()?.checked_add(before)?.checked_add(after)?;
            // Nothing can be repeated where there is nothing.
            let has_source = mode == "constant" || extent > 0 || grown == 0;
            u64::try_from(grown).ok().filter(|_| has_source)
        })
    });
    Ok(vec![padded.collect::<Result<_, _>>()?])
}

fn pad(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let mode = call.attributes.text("mode");
    let given = call.attributes.ints("pads").map(<[_]>::to_vec).or_else(|| call.places(1)).unwrap_or_default();
    let pads = pads(x.rank(), &given, call.places(3).as_deref());
    let pads = pads.map_err(|_refused| Fault::Input("pads"))?;
    let steps = strides(x.shape());
    let mut data = x.data().clone();
    match call.optional(2) {
        Some(value) if value.len() == 1 => data.extend(value.data()),
        Some(_) => return Err(Fault::Input("constant_value")),
        None => {
            let value = if call.attributes.has("value") { call.attributes.float("value") } else { 0.0 };
            data.extend(&Data::of_floats(x.dtype(), std::iter::once(value)));
        }
    }
    let outside = x.len();
    let places = indices(call.shape()).map(|index| {
        let along = index
            .iter()
            .zip(&pads)
            .zip(x.shape())
            .map(|((at, (before, _)), extent)| source((*at as i64).saturating_sub(*before), *extent as i64, mode));
        along.zip(&steps).try_fold(0, |sum, (at, step)| Some(sum + at? * step)).unwrap_or(outside)
    });
    one(Array::new(call.shape().to_vec(), data.pick(places)))
}

/// Where an element beside a tensor comes from; `None` for the constant.
fn source(at: i64, extent: i64, mode: &str) -> Option<usize> {
    let inside = match mode {
        "edge" => at.clamp(0, extent - 1),
        "wrap" => at.rem_euclid(extent),
        // Back and forth between the first and the last element, neither twice.
        "reflect" if extent > 1 => {
            let period = 2 * (extent - 1);
            let along = at.rem_euclid(period);
            along.min(period - along)
        }
        "reflect" => 0,
        _ => at,
    };
    usize::try_from(inside).ok().filter(|_| inside < extent)
}

/// Extents that the operator asks for, along the axes that it names.
fn infer_centre(context: &Inference<'_>) -> Shapes {
    const NAME: ShapeError = ShapeError::Value { name: "shape" };
    let mut made = context.shape(0)?.to_vec();
    let wanted = context.places(1)?.unwrap_or_default();
    let named = match context.attributes.ints("axes") {
        Some(given) => axes(given, made.len())?,
        None => (0..made.len()).collect(),
    };
    if named.len() != wanted.len() {
        return Err(NAME);
    }
    for (axis, extent) in named.into_iter().zip(wanted) {
        made[axis] = u64::try_from(extent).ok().and_then(Extent::fixed).ok_or(NAME)?;
    }
    Ok(vec![made])
}

fn centre(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let steps = strides(x.shape());
    let mut data = x.data().clone();
    data.extend(&Data::of_floats(x.dtype(), std::iter::once(0.0)));
    let shift = |own: usize, made: usize| {
        // Both halves are rounded down, so the larger one lies behind.
        if own >= made { ((own - made) / 2) as i64 } else { -(((made - own) / 2) as i64) }
    };
    let shifts: Vec<_> = x.shape().iter().zip(call.shape()).map(|(own, made)| shift(*own, *made)).collect();
    let places = indices(call.shape()).map(|index| {
        let along = index.iter().zip(&shifts).zip(x.shape());
        let along = along.map(|((at, shift), extent)| source(*at as i64 + shift, *extent as i64, "constant"));
        along.zip(&steps).try_fold(0, |sum, (at, step)| Some(sum + at? * step)).unwrap_or(x.len())
    });
    one(Array::new(call.shape().to_vec(), data.pick(places)))
}

fn infer_reverse(context: &Inference<'_>) -> Shapes {
    let (batch, time) = (context.attributes.int("batch_axis"), context.attributes.int("time_axis"));
    if !matches!((batch, time), (0, 1) | (1, 0)) || context.shape(0)?.len() < 2 {
        return Err(ShapeError::Value { name: "batch_axis" });
    }
    unchanged(context)
}

fn reverse(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let (batch, time) = if call.attributes.int("batch_axis") == 0 { (0, 1) } else { (1, 0) };
    let lengths = call.places(1).unwrap_or_default();
    let most = x.shape()[time];
    let lengths: Vec<_> = lengths.into_iter().map(|length| usize::try_from(length).ok()).collect();
    if lengths.len() != x.shape()[batch] || lengths.iter().any(|length| length.is_none_or(|length| length > most)) {
        return Err(Fault::Input("sequence_lens"));
    }
    let steps = strides(x.shape());
    let places = indices(x.shape()).map(|mut index| {
        let length = lengths[index[batch]].unwrap_or(0);
        if index[time] < length {
            index[time] = length - 1 - index[time];
        }
        place(&index, &steps)
    });
    one(x.pick(x.shape().to_vec(), places))
}
