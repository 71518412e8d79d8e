//! Operators that choose elements; of most the number of results depends on the elements.

use std::cmp::Ordering;

use super::{ALL, BOOL, I64, NUMBERS, Outcome, PLACES, one};
use crate::{
    array::{Array, indices, place, strides},
    ops::{
        attributes::Fallback,
        extent::{Extent, product},
        operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, like, of},
        shape::{ShapeError, axis, checked_axis, fixed},
    },
};

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new(
        "TopK",
        10,
        &[input("X", "T", NUMBERS), input("K", "I", PLACES)],
        &[like("Values", "T"), of("Indices", I64)],
        infer_top,
        top,
    )
    .with(&[attribute("axis", Fallback::Int(-1))]),
    Operator::new(
        "TopK",
        11,
        &[input("X", "T", NUMBERS), input("K", "I", PLACES)],
        &[like("Values", "T"), of("Indices", I64)],
        infer_top,
        top,
    )
    .with(&[
        attribute("axis", Fallback::Int(-1)),
        attribute("largest", Fallback::Int(1)),
        attribute("sorted", Fallback::Int(1)),
    ]),
    Operator::new("NonZero", 9, &[input("X", "T", ALL)], &[of("Y", I64)], infer_non_zero, non_zero),
    Operator::new(
        "Compress",
        9,
        &[input("input", "T", ALL), input("condition", "T1", BOOL)],
        &[like("output", "T")],
        infer_compress,
        compress,
    )
    .with(&[attribute("axis", Fallback::NoInt)]),
    Operator::new(
        "Unique",
        11,
        &[input("X", "T", ALL)],
        &[like("Y", "T"), of("indices", I64), of("inverse_indices", I64), of("counts", I64)],
        infer_unique,
        unique,
    )
    .with(&[attribute("axis", Fallback::NoInt), attribute("sorted", Fallback::Int(1))])
    .scratching(UNIQUE_BYTES),
];

/// Of each element `Unique` keeps a list of ranks of its own, its place in an order, and an entry of a
/// tree. Added up by hand.
const UNIQUE_BYTES: u64 = 96;

fn infer_top(context: &Inference<'_>) -> Shapes {
    let mut shape = context.shape(0)?.to_vec();
    let at = axis(context.attributes.int("axis"), shape.len())?;
    let k = context.places(1)?.unwrap_or_default();
    let [k] = k.as_slice() else { return Err(ShapeError::Value { name: "K" }) };
    let k = u64::try_from(*k).map_err(|_negative| ShapeError::Value { name: "K" })?;
    if shape[at].as_fixed().is_some_and(|extent| extent < k) {
        return Err(ShapeError::Value { name: "K" });
    }
    shape[at] = Extent::fixed(k).ok_or(ShapeError::Size)?;
    Ok(vec![shape.clone(), shape])
}

/// Of equal elements the first comes first; what is no number counts as the largest.
fn top(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let at = checked_axis(&call.attributes, x.rank());
    let takes_largest = !call.attributes.has("largest") || call.attributes.flag("largest");
    let order = ranks(x);
    let (extent, kept) = (x.shape()[at], call.shape()[at]);
    let steps = strides(x.shape());
    let made_steps = strides(call.shape());
    let count = call.shape().iter().product();
    let (mut sources, mut found) = (vec![0; count], vec![0; count]);
    let mut lanes = call.shape().to_vec();
    lanes[at] = lanes[at].min(1);
    for index in indices(&lanes) {
        let (from, to) = (place(&index, &steps), place(&index, &made_steps));
        let rank = |along: &usize| order[from + along * steps[at]];
        let mut lane: Vec<_> = (0..extent).collect();
        lane.sort_by(|a, b| if takes_largest { rank(b).cmp(&rank(a)) } else { rank(a).cmp(&rank(b)) });
        for (position, along) in lane.into_iter().take(kept).enumerate() {
            sources[to + position * made_steps[at]] = from + along * steps[at];
            found[to + position * made_steps[at]] = along as i64;
        }
    }
    let values = x.pick(call.shape().to_vec(), sources.into_iter());
    Ok(vec![values, Array::of_places(call.shape().to_vec(), found)])
}

/// Position of each element in the order of all distinct ones.
fn ranks(x: &Array) -> Vec<usize> {
    let mut order: Vec<_> = (0..x.len()).collect();
    let mut rank = vec![0; x.len()];
    let compare: Box<dyn Fn(usize, usize) -> Ordering> = if x.dtype().is_float() {
        let values = x.floats();
        Box::new(move |a, b| number_order(values[a], values[b]))
    } else {
        let values = x.ints();
        Box::new(move |a, b| values[a].cmp(&values[b]))
    };
    order.sort_by(|a, b| compare(*a, *b));
    let mut current = 0;
    for pair in order.windows(2) {
        current += usize::from(compare(pair[0], pair[1]) != Ordering::Equal);
        rank[pair[1]] = current;
    }
    rank
}

/// Both zeros are equal, and so is all that is no number, behind everything else.
fn number_order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The count when the elements are known, else a bound.
fn counted(count: Option<usize>, most: Option<Extent>) -> Result<Extent, ShapeError> {
    match (count, most.and_then(|most| most.as_fixed())) {
        (Some(count), _) => Ok(Extent::counted(count)),
        (None, Some(most)) => Ok(Extent::AtMost(most)),
        (None, None) => Ok(Extent::Unknown),
    }
}

fn infer_non_zero(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let count = context.content(0).ok().flatten().map(|x| x.truths().into_iter().filter(|truth| *truth).count());
    Ok(vec![vec![Extent::counted(shape.len()), counted(count, product(shape))?]])
}

fn non_zero(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let found: Vec<_> = x.truths().into_iter().enumerate().filter(|(_, truth)| *truth).map(|(at, _)| at).collect();
    let steps = strides(x.shape());
    let rows = steps.iter().zip(x.shape()).flat_map(|(step, extent)| found.iter().map(move |at| at / step % extent));
    let rows = rows.map(|at| at as i64).collect();
    one(Array::of_places(vec![x.rank(), found.len()], rows))
}

fn infer_compress(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let [length] = context.shape(1)? else {
        return Err(ShapeError::Rank { input: 1, expected: "1", got: context.shape(1)?.len() });
    };
    let count =
        context.content(1).ok().flatten().map(|truth| truth.truths().into_iter().filter(|truth| *truth).count());
    match context.attributes.optional_int("axis") {
        Some(given) => {
            let at = axis(given, shape.len())?;
            fits(length, &shape[at])?;
            let mut made = shape.to_vec();
            made[at] = counted(count, Some(length.clone()))?;
            Ok(vec![made])
        }
        None => {
            fits(length, &product(shape).ok_or(ShapeError::Size)?)?;
            Ok(vec![vec![counted(count, Some(length.clone()))?]])
        }
    }
}

/// A condition may be shorter than what it chooses from, not longer.
fn fits(length: &Extent, extent: &Extent) -> Result<(), ShapeError> {
    let exceeds = fixed(length).ok().zip(fixed(extent).ok()).is_some_and(|(length, extent)| length > extent);
    if exceeds { Err(ShapeError::Value { name: "condition" }) } else { Ok(()) }
}

fn compress(call: &Call<'_>) -> Outcome {
    let (x, condition) = (call.input(0), call.input(1).truths());
    let chosen: Vec<_> = (0..condition.len()).filter(|at| condition[*at]).collect();
    let Some(given) = call.attributes.optional_int("axis") else {
        return one(x.pick(vec![chosen.len()], chosen.iter().copied()));
    };
    let at = axis(given, x.rank()).map_err(|_refused| Fault::Input("input"))?;
    let mut shape = x.shape().to_vec();
    shape[at] = chosen.len();
    let steps = strides(x.shape());
    let places = indices(&shape).map(|mut index| {
        index[at] = chosen[index[at]];
        place(&index, &steps)
    });
    one(x.pick(shape.clone(), places))
}

fn infer_unique(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let (whole, made) = match context.attributes.optional_int("axis") {
        Some(given) => {
            let at = axis(given, shape.len())?;
            let mut made = shape.to_vec();
            made[at] = counted(None, Some(shape[at].clone()))?;
            (shape[at].clone(), made)
        }
        None => {
            let all = product(shape).ok_or(ShapeError::Size)?;
            (all.clone(), vec![counted(None, Some(all))?])
        }
    };
    let few = counted(None, Some(whole.clone()))?;
    let mut shapes = vec![made, vec![few.clone()], vec![whole], vec![few]];
    shapes.truncate(context.asked.clamp(1, 4));
    Ok(shapes)
}

/// Distinct elements, or distinct slices along an axis, sorted or as they first stand.
fn unique(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let at = call.attributes.optional_int("axis").map(|given| axis(given, x.rank())).transpose();
    let at = at.map_err(|_refused| Fault::Input("X"))?;
    let order = ranks(x);
    // Each slice as the ranks of its elements, which compare as the elements do.
    let slices: Vec<Vec<usize>> = match at {
        None => order.iter().map(|rank| vec![*rank]).collect(),
        Some(at) => {
            let steps = strides(x.shape());
            let mut rest = x.shape().to_vec();
            rest[at] = 1;
            let slice =
                |along: usize| indices(&rest).map(|index| order[place(&index, &steps) + along * steps[at]]).collect();
            (0..x.shape()[at]).map(slice).collect()
        }
    };
    let mut sorted: Vec<_> = (0..slices.len()).collect();
    sorted.sort_by(|a, b| slices[*a].cmp(&slices[*b]));
    let mut firsts: Vec<usize> = Vec::new();
    for slice in sorted {
        if firsts.last().is_none_or(|last| slices[*last] != slices[slice]) {
            firsts.push(slice);
        }
    }
    if !call.attributes.flag("sorted") {
        firsts.sort_unstable();
    }
    let mut inverse = vec![0; slices.len()];
    let mut counts = vec![0_i64; firsts.len()];
    let by_slice: std::collections::BTreeMap<_, _> =
        firsts.iter().enumerate().map(|(position, first)| (&slices[*first], position)).collect();
    for (slice, ranks) in slices.iter().enumerate() {
        let position = by_slice[ranks];
        inverse[slice] = position as i64;
        counts[position] += 1;
    }
    let values = match at {
        None => x.pick(vec![firsts.len()], firsts.iter().copied()),
        Some(at) => {
            let mut shape = x.shape().to_vec();
            shape[at] = firsts.len();
            let steps = strides(x.shape());
            let places = indices(&shape).map(|mut index| {
                index[at] = firsts[index[at]];
                place(&index, &steps)
            });
            x.pick(shape.clone(), places)
        }
    };
    let list = |places: Vec<i64>| Array::of_places(vec![places.len()], places);
    let firsts = firsts.into_iter().map(|first| first as i64).collect();
    let mut outputs = vec![values, list(firsts), list(inverse), list(counts)];
    outputs.truncate(call.outputs.len());
    Ok(outputs)
}
