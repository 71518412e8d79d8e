//! Reading and writing at computed places.

use super::{ALL, INDICES, Outcome, PLACES, greater, lesser, one};
use crate::{
    array::{Array, indices, place, strides},
    ops::{
        attributes::{AttributeSpec, Fallback},
        operator::{Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, optional},
        shape::{ShapeError, axis, checked_axis, fixed, same, unchanged},
    },
    tensor::RANK_MAX,
};

const DATA: Parameter = input("data", "T", ALL);
const AT: Parameter = input("indices", "Tind", INDICES);
const UPDATES: Parameter = input("updates", "T", ALL);
const MADE: &[Product] = &[like("output", "T")];
const AXIS: AttributeSpec = attribute("axis", Fallback::Int(0));
const REDUCTION: AttributeSpec = attribute("reduction", Fallback::Text("none"));

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Gather", 1, &[DATA, AT], MADE, infer_gather, gather).with(&[AXIS]),
    Operator::new("GatherElements", 11, &[DATA, AT], MADE, infer_gather_elements, gather_elements).with(&[AXIS]),
    Operator::new("GatherND", 11, &[DATA, input("indices", "Tind", PLACES)], MADE, infer_gather_nd, gather_nd)
        .with(&[attribute("batch_dims", Fallback::Int(0))]),
    Operator::new("Scatter", 9, &[DATA, AT, UPDATES], MADE, infer_scatter_elements, scatter_elements).with(&[AXIS]),
    Operator::new("ScatterElements", 11, &[DATA, AT, UPDATES], MADE, infer_scatter_elements, scatter_elements)
        .with(&[AXIS, REDUCTION]),
    Operator::new(
        "ScatterND",
        11,
        &[DATA, input("indices", "Tind", PLACES), UPDATES],
        MADE,
        infer_scatter_nd,
        scatter_nd,
    )
    .with(&[REDUCTION]),
    Operator::new(
        "TensorScatter",
        24,
        &[input("past_cache", "T", ALL), input("update", "T", ALL), optional("write_indices", "I", PLACES)],
        &[like("present_cache", "T")],
        infer_cache,
        write_cache,
    )
    .with(&[attribute("axis", Fallback::Int(-2)), attribute("mode", Fallback::Text("linear"))]),
];

/// A place along an axis that may count from the end.
fn inside(at: i64, extent: usize) -> Result<usize, Fault> {
    axis(at, extent).map_err(|_outside| Fault::Index)
}

fn infer_gather(context: &Inference<'_>) -> Shapes {
    let (data, at) = (context.shape(0)?, context.shape(1)?);
    let along = axis(context.attributes.int("axis"), data.len())?;
    if data.len() + at.len() > RANK_MAX + 1 {
        return Err(ShapeError::Rank { input: 1, expected: "fewer", got: at.len() });
    }
    Ok(vec![[&data[..along], at, &data[along + 1..]].concat()])
}

fn gather(call: &Call<'_>) -> Outcome {
    let (data, at) = (call.input(0), call.input(1));
    let along = checked_axis(&call.attributes, data.rank());
    let extent = data.shape()[along];
    let chosen: Vec<_> = at.places().into_iter().map(|at| inside(at, extent)).collect::<Result<_, _>>()?;
    let inner: usize = data.shape()[along + 1..].iter().product();
    let outer: usize = data.shape()[..along].iter().product();
    let rows = (0..outer).flat_map(|row| chosen.iter().map(move |at| (row * extent + at) * inner));
    one(data.pick(call.shape().to_vec(), rows.flat_map(|start| start..start + inner)))
}

fn infer_gather_elements(context: &Inference<'_>) -> Shapes {
    let (data, at) = (context.shape(0)?, context.shape(1)?);
    axis(context.attributes.int("axis"), data.len())?;
    if data.len() != at.len() {
        return Err(ShapeError::Rank { input: 1, expected: "as many as data", got: at.len() });
    }
    Ok(vec![at.to_vec()])
}

/// For each index over `at`, the place in the data that it names along the axis.
fn element_places(data: &Array, at: &Array, along: usize) -> Result<Vec<usize>, Fault> {
    let steps = strides(data.shape());
    let named = indices(at.shape()).zip(at.places()).map(|(mut index, at)| {
        index[along] = inside(at, data.shape()[along])?;
        let is_inside = index.iter().zip(data.shape()).all(|(at, extent)| at < extent);
        if is_inside { Ok(place(&index, &steps)) } else { Err(Fault::Index) }
    });
    named.collect()
}

fn gather_elements(call: &Call<'_>) -> Outcome {
    let (data, at) = (call.input(0), call.input(1));
    let places = element_places(data, at, checked_axis(&call.attributes, data.rank()))?;
    one(data.pick(call.shape().to_vec(), places.into_iter()))
}

/// Number of leading dimensions that indices and data share, and of those that an index names.
fn gathered(context: &Inference<'_>) -> Result<(usize, usize), ShapeError> {
    let (data, at) = (context.shape(0)?, context.shape(1)?);
    let batch = usize::try_from(context.attributes.int("batch_dims")).map_err(|_negative| NAMED)?;
    let depth = at.last().map(fixed).transpose()?.and_then(|depth| usize::try_from(depth).ok());
    match depth {
        Some(depth) if batch < at.len() && depth > 0 && batch + depth <= data.len() => Ok((batch, depth)),
        _ => Err(NAMED),
    }
}

const NAMED: ShapeError = ShapeError::Value { name: "indices" };

fn infer_gather_nd(context: &Inference<'_>) -> Shapes {
    let (data, at) = (context.shape(0)?, context.shape(1)?);
    let (batch, depth) = gathered(context)?;
    for (data, at) in data[..batch].iter().zip(at) {
        same("batch extent", data, at)?;
    }
    let made = [&at[..at.len() - 1], &data[batch + depth..]].concat();
    if made.len() > RANK_MAX { Err(NAMED) } else { Ok(vec![made]) }
}

/// The place in the data where each index tuple points to; `batch` dimensions are walked along.
fn tuple_places(data: &[usize], at: &Array, batch: usize) -> Result<Vec<usize>, Fault> {
    let depth = at.shape().last().copied().unwrap_or(0);
    let steps = strides(data);
    let outer = &at.shape()[..at.rank() - 1];
    let values = at.places();
    let tuples = indices(outer).zip(values.chunks_exact(depth.max(1))).map(|(index, tuple)| {
        let mut to = place(&index[..batch], &steps[..batch]);
        for (axis, at) in tuple.iter().enumerate() {
            to += inside(*at, data[batch + axis])? * steps[batch + axis];
        }
        Ok(to)
    });
    tuples.collect()
}

fn gather_nd(call: &Call<'_>) -> Outcome {
    let (data, at) = (call.input(0), call.input(1));
    let batch = call.attributes.int("batch_dims").unsigned_abs() as usize;
    let depth = at.shape().last().copied().unwrap_or(0);
    let inner: usize = data.shape()[batch + depth..].iter().product();
    let starts = tuple_places(data.shape(), at, batch)?;
    one(data.pick(call.shape().to_vec(), starts.into_iter().flat_map(|start| start..start + inner)))
}

fn reduces(context: &Inference<'_>) -> Result<(), ShapeError> {
    let known = !context.attributes.has("reduction")
        || matches!(context.attributes.text("reduction"), "none" | "add" | "mul" | "max" | "min");
    if known { Ok(()) } else { Err(ShapeError::Value { name: "reduction" }) }
}

fn infer_scatter_elements(context: &Inference<'_>) -> Shapes {
    reduces(context)?;
    let (data, at, updates) = (context.shape(0)?, context.shape(1)?, context.shape(2)?);
    axis(context.attributes.int("axis"), data.len())?;
    for (input, shape) in [(1, at), (2, updates)] {
        if shape.len() != data.len() {
            return Err(ShapeError::Rank { input, expected: "as many as data", got: shape.len() });
        }
    }
    for (at, update) in at.iter().zip(updates) {
        same("extent of updates", at, update)?;
    }
    unchanged(context)
}

fn scatter_elements(call: &Call<'_>) -> Outcome {
    let (data, at, updates) = (call.input(0), call.input(1), call.input(2));
    let places = element_places(data, at, checked_axis(&call.attributes, data.rank()))?;
    let reduction = if call.attributes.has("reduction") { call.attributes.text("reduction") } else { "none" };
    one(written(data, updates, &places, reduction))
}

fn infer_scatter_nd(context: &Inference<'_>) -> Shapes {
    reduces(context)?;
    let (data, at, updates) = (context.shape(0)?, context.shape(1)?, context.shape(2)?);
    let depth = at.last().map(fixed).transpose()?.and_then(|depth| usize::try_from(depth).ok());
    // An index of no numbers would name all of data; ONNX does not say which update then wins.
    let depth = depth.filter(|depth| (1..=data.len()).contains(depth)).ok_or(NAMED)?;
    let expected = [&at[..at.len() - 1], &data[depth..]].concat();
    if expected.len() != updates.len() {
        return Err(ShapeError::Rank { input: 2, expected: "those of indices and data", got: updates.len() });
    }
    for (expected, got) in expected.iter().zip(updates) {
        same("extent of updates", expected, got)?;
    }
    unchanged(context)
}

fn scatter_nd(call: &Call<'_>) -> Outcome {
    let (data, at, updates) = (call.input(0), call.input(1), call.input(2));
    let depth = at.shape().last().copied().unwrap_or(0);
    let inner: usize = data.shape()[depth..].iter().product();
    let starts = tuple_places(data.shape(), at, 0)?;
    let places: Vec<_> = starts.into_iter().flat_map(|start| start..start + inner).collect();
    one(written(data, updates, &places, call.attributes.text("reduction")))
}

/// Writes updates one after the other, each alone or combined with what is there.
fn written(data: &Array, updates: &Array, places: &[usize], reduction: &str) -> Array {
    if reduction == "none" {
        // The last writer of a place wins.
        let mut sources: Vec<_> = (0..data.len()).collect();
        places.iter().enumerate().for_each(|(update, place)| sources[*place] = data.len() + update);
        let mut both = data.data().clone();
        both.extend(updates.data());
        return Array::new(data.shape().to_vec(), both.pick(sources.into_iter()));
    }
    if data.dtype().is_float() {
        let mut made = data.floats();
        for (place, update) in places.iter().zip(updates.floats()) {
            let old = made[*place];
            made[*place] = match reduction {
                "add" => old + update,
                "mul" => old * update,
                "max" => greater(old, update),
                "min" => lesser(old, update),
                _ => update,
            };
        }
        return Array::of_floats(data.dtype(), data.shape().to_vec(), made);
    }
    let mut made = data.ints();
    for (place, update) in places.iter().zip(updates.ints()) {
        let old = made[*place];
        made[*place] = match reduction {
            "add" => old.wrapping_add(update),
            "mul" => old.wrapping_mul(update),
            "max" => old.max(update),
            _ => old.min(update),
        };
    }
    Array::of_ints(data.dtype(), data.shape().to_vec(), made)
}

fn infer_cache(context: &Inference<'_>) -> Shapes {
    let (cache, update) = (context.shape(0)?, context.shape(1)?);
    let along = axis(context.attributes.int("axis"), cache.len())?;
    if !matches!(context.attributes.text("mode"), "linear" | "circular") || along == 0 {
        return Err(ShapeError::Value { name: "mode" });
    }
    if cache.len() != update.len() {
        return Err(ShapeError::Rank { input: 1, expected: "as many as the cache", got: update.len() });
    }
    for (position, (cache, update)) in cache.iter().zip(update).enumerate() {
        if position != along {
            same("extent of the update", cache, update)?;
        }
    }
    if let Some(starts) = context.optional_shape(2)? {
        let [batch] = starts else { return Err(ShapeError::Rank { input: 2, expected: "1", got: starts.len() }) };
        same("number of starts", &cache[0], batch)?;
    }
    unchanged(context)
}

/// Writes the update into each sequence of the batch from its own start on.
fn write_cache(call: &Call<'_>) -> Outcome {
    let (cache, update) = (call.input(0), call.input(1));
    let along = checked_axis(&call.attributes, cache.rank());
    let is_circular = call.attributes.text("mode") == "circular";
    let starts = call.places(2).unwrap_or_else(|| vec![0; cache.shape()[0]]);
    let extent = cache.shape()[along];
    let steps = strides(cache.shape());
    let places = indices(update.shape()).map(|mut index| {
        let start = usize::try_from(starts[index[0]]).map_err(|_negative| Fault::Index)?;
        let at = start.checked_add(index[along]).ok_or(Fault::Index)?;
        index[along] = if is_circular && extent > 0 { at % extent } else { at };
        if index[along] < extent { Ok(place(&index, &steps)) } else { Err(Fault::Index) }
    });
    let places: Vec<_> = places.collect::<Result<_, _>>()?;
    one(written(cache, update, &places, "none"))
}
