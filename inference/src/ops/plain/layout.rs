//! Operators that move or join elements without changing them, and those that tell extents.

use super::{ALL, I64, Outcome, PLACES, STORED, one};
use crate::{
    array::{Array, Places, strides},
    ops::{
        attributes::{Attributes, Fallback},
        extent::{Extent, product},
        operator::{
            Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, of, optional,
        },
        shape::{ShapeError, axes, axis, broadcast_pair, checked_axis, computed, fixed, numbers, same},
    },
    tensor::RANK_MAX,
};

const DATA: &[Parameter] = &[input("data", "T", ALL)];
/// Operators that do not look at elements take what is only stored, too.
const WHOLE: &[Parameter] = &[input("data", "T", STORED)];
const WITH_AXES: &[Parameter] = &[input("data", "T", STORED), input("axes", "I", PLACES)];
const RESHAPED: &[Parameter] = &[input("data", "T", STORED), input("shape", "I", PLACES)];
const WITH_SHAPE: &[Parameter] = &[input("data", "T", ALL), input("shape", "I", PLACES)];
const MOVED: &[Product] = &[like("output", "T")];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Flatten", 1, WHOLE, MOVED, infer_flatten, to_shape).with(&[attribute("axis", Fallback::Int(1))]),
    Operator::new("Reshape", 5, RESHAPED, MOVED, infer_reshape, to_shape)
        .with(&[attribute("allowzero", Fallback::Int(0))]),
    Operator::new("Squeeze", 1, WHOLE, MOVED, infer_squeeze, to_shape).with(&[attribute("axes", Fallback::NoInts)]),
    Operator::new(
        "Squeeze",
        13,
        &[input("data", "T", STORED), optional("axes", "I", PLACES)],
        MOVED,
        infer_squeeze,
        to_shape,
    ),
    Operator::new("Unsqueeze", 1, WHOLE, MOVED, infer_unsqueeze, to_shape)
        .with(&[attribute("axes", Fallback::RequiredInts)]),
    Operator::new("Unsqueeze", 13, WITH_AXES, MOVED, infer_unsqueeze, to_shape),
    Operator::new("Transpose", 1, WHOLE, MOVED, infer_transpose, transpose)
        .with(&[attribute("perm", Fallback::NoInts)]),
    Operator::new("Concat", 4, DATA, MOVED, infer_concat, concat)
        .variadic()
        .with(&[attribute("axis", Fallback::RequiredInt)]),
    Operator::new("Expand", 8, WITH_SHAPE, MOVED, infer_expand, |call| {
        let x = call.input(0);
        one(x.pick(call.shape().to_vec(), Places::spread(x.shape(), call.shape())))
    }),
    Operator::new("Tile", 6, &[input("input", "T", ALL), input("repeats", "I", PLACES)], MOVED, infer_tile, tile),
    Operator::new("Shape", 1, WHOLE, &[of("shape", I64)], infer_shape, shape)
        .with(&[attribute("end", Fallback::NoInt), attribute("start", Fallback::Int(0))])
        .told_by(|context| {
            let shape = context.shape(0).ok()?;
            let extents = shape[told(&context.attributes, shape.len())].iter().map(Extent::as_fixed);
            let places = extents.map(|extent| i64::try_from(extent?).ok()).collect::<Option<Vec<_>>>()?;
            Some(Array::of_places(vec![places.len()], places))
        }),
    Operator::new(
        "Size",
        1,
        WHOLE,
        &[of("size", I64)],
        |_| Ok(vec![Vec::new()]),
        |call| one(Array::of_places(Vec::new(), vec![i64::try_from(call.input(0).len()).unwrap_or(i64::MAX)])),
    )
    .told_by(|context| {
        let count = product(context.shape(0).ok()?)?.as_fixed()?;
        Some(Array::of_places(Vec::new(), vec![i64::try_from(count).ok()?]))
    }),
    Operator::new("DepthToSpace", 1, DATA, MOVED, infer_depth_to_space, depth_to_space)
        .with(&[attribute("blocksize", Fallback::RequiredInt), attribute("mode", Fallback::Text("DCR"))]),
    Operator::new("SpaceToDepth", 1, DATA, MOVED, infer_space_to_depth, space_to_depth)
        .with(&[attribute("blocksize", Fallback::RequiredInt), attribute("mode", Fallback::Text("DCR"))]),
];

fn to_shape(call: &Call<'_>) -> Outcome {
    one(call.input(0).reshaped(call.shape().to_vec()))
}

fn infer_flatten(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    // The axis may also be the rank itself, with nothing behind it.
    let at = match context.attributes.int("axis") {
        end if usize::try_from(end) == Ok(shape.len()) => shape.len(),
        inside => axis(inside, shape.len())?,
    };
    let (outer, inner) = shape.split_at(at);
    let both = [outer, inner].map(product).into_iter().collect::<Option<_>>().ok_or(ShapeError::Size)?;
    Ok(vec![both])
}

/// 0 copies the extent at its place, one −1 takes what is left.
fn infer_reshape(context: &Inference<'_>) -> Shapes {
    const NAME: ShapeError = ShapeError::Value { name: "shape" };
    let shape = context.shape(0)?;
    let Ok(wanted) = context.places(1) else { return open_reshape(context) };
    let wanted = wanted.unwrap_or_default();
    if wanted.len() > RANK_MAX {
        return Err(NAME);
    }
    let copies = !context.attributes.flag("allowzero");
    if !copies && wanted.contains(&0) && wanted.contains(&-1) {
        return Err(NAME);
    }
    let mut made = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (position, extent) in wanted.iter().enumerate() {
        made.push(match *extent {
            -1 if open.is_none() => {
                open = Some(position);
                Extent::ONE
            }
            0 if copies => shape.get(position).cloned().ok_or(NAME)?,
            given => u64::try_from(given).ok().and_then(Extent::fixed).ok_or(NAME)?,
        });
    }
    let elements = product(shape).ok_or(ShapeError::Size)?;
    let known = product(&made).ok_or(ShapeError::Size)?;
    match open {
        Some(position) => {
            let rest = elements.divided_by(&known);
            made[position] = rest.ok_or_else(|| ShapeError::Extent {
                what: "number of elements",
                expected: format!("a multiple of {known}"),
                got: elements.to_string(),
            })?;
        }
        None => same("number of elements", &known, &elements)?,
    }
    Ok(vec![made])
}

/// Of a shape that is computed, the length tells the rank of the result.
fn open_reshape(context: &Inference<'_>) -> Shapes {
    let [length] = context.shape(1)? else { return Err(ShapeError::Value { name: "shape" }) };
    let rank = usize::try_from(fixed(length)?).ok().filter(|rank| *rank <= RANK_MAX);
    Ok(vec![vec![Extent::Unknown; rank.ok_or(ShapeError::Value { name: "shape" })?]])
}

/// Axes as an attribute or, since opset 13, as an input.
fn given_axes(context: &Inference<'_>) -> Result<Option<Vec<i64>>, ShapeError> {
    if context.attributes.has("axes") {
        return Ok(context.attributes.ints("axes").map(<[_]>::to_vec));
    }
    context.places(1)
}

fn infer_squeeze(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let gone = match given_axes(context)? {
        Some(given) => axes(&given, shape.len())?,
        None => {
            // Which extents are 1 must be known of all of them.
            let ones: Vec<_> = shape.iter().map(|extent| Ok(fixed(extent)? == 1)).collect::<Result<_, ShapeError>>()?;
            (0..shape.len()).filter(|axis| ones[*axis]).collect()
        }
    };
    for axis in &gone {
        same("squeezed extent", &Extent::ONE, &shape[*axis])?;
    }
    let left = shape.iter().enumerate().filter(|(axis, _)| !gone.contains(axis));
    Ok(vec![left.map(|(_, extent)| extent.clone()).collect()])
}

fn infer_unsqueeze(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let given = given_axes(context)?.unwrap_or_default();
    let rank = shape.len() + given.len();
    if rank > RANK_MAX {
        return Err(ShapeError::Value { name: "axes" });
    }
    let inserted = axes(&given, rank)?;
    let mut own = shape.iter().cloned();
    let made =
        (0..rank).map(|axis| if inserted.contains(&axis) { Extent::ONE } else { own.next().unwrap_or(Extent::ONE) });
    Ok(vec![made.collect()])
}

/// Where each axis of the result comes from; without `perm` the axes are reversed.
pub(crate) fn permutation(attributes: &Attributes<'_>, rank: usize) -> Result<Vec<usize>, ShapeError> {
    let Some(given) = attributes.ints("perm") else { return Ok((0..rank).rev().collect()) };
    match axes(given, rank) {
        Ok(found) if found.len() == rank => Ok(found),
        _ => Err(ShapeError::Value { name: "perm" }),
    }
}

fn infer_transpose(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let order = permutation(&context.attributes, shape.len())?;
    Ok(vec![order.iter().map(|axis| shape[*axis].clone()).collect()])
}

fn transpose(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let order = permutation(&call.attributes, x.rank()).map_err(|_refused| Fault::Input("data"))?;
    one(permuted(x, &order))
}

/// A tensor with its axes in another order.
pub(crate) fn permuted(x: &Array, order: &[usize]) -> Array {
    let steps = strides(x.shape());
    let shape: Vec<_> = order.iter().map(|axis| x.shape()[*axis]).collect();
    let places = Places::new(&shape, order.iter().map(|axis| steps[*axis]).collect());
    x.pick(shape, places)
}

fn infer_concat(context: &Inference<'_>) -> Shapes {
    let first = context.shape(0)?;
    let at = axis(context.attributes.int("axis"), first.len())?;
    let mut made = first.to_vec();
    let mut joined = Some(0_u64);
    for (input, fact) in context.inputs.iter().flatten().enumerate() {
        let shape = fact.shape.as_deref().ok_or(ShapeError::Unknown)?;
        if shape.len() != first.len() {
            return Err(ShapeError::Rank { input, expected: "as many as the first input", got: shape.len() });
        }
        for (position, (made, got)) in made.iter_mut().zip(shape).enumerate() {
            if position != at {
                same("extent beside the joined axis", made, got)?;
                if made.as_fixed().is_none() && got.as_fixed().is_some() {
                    *made = got.clone();
                }
            }
        }
        joined = match (joined, shape[at].as_fixed()) {
            (Some(sum), Some(more)) => Some(sum.checked_add(more).ok_or(ShapeError::Size)?),
            _ => None,
        };
    }
    made[at] = joined.map_or(Ok(Extent::Unknown), |sum| Extent::fixed(sum).ok_or(ShapeError::Size))?;
    Ok(vec![made])
}

fn concat(call: &Call<'_>) -> Outcome {
    let at = checked_axis(&call.attributes, call.shape().len());
    let inputs: Vec<_> = call.inputs.iter().flatten().collect();
    let inner: usize = call.shape()[at + 1..].iter().product();
    let outer: usize = call.shape()[..at].iter().product();
    // All elements one input after the other, then picked by rows.
    let mut all = inputs[0].data().clone();
    inputs[1..].iter().for_each(|array| all.extend(array.data()));
    let mut places = Vec::with_capacity(all.len());
    for row in 0..outer {
        let mut start = 0;
        for array in &inputs {
            let width = array.shape()[at] * inner;
            places.extend(start + row * width..start + (row + 1) * width);
            start += array.len();
        }
    }
    one(Array::new(call.shape().to_vec(), all.pick(places.into_iter())))
}

fn infer_expand(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let wanted = context.places(1)?.unwrap_or_default();
    let wanted = wanted.into_iter().map(|extent| u64::try_from(extent).ok().and_then(Extent::fixed));
    let wanted: Vec<_> = wanted.collect::<Option<_>>().ok_or(ShapeError::Value { name: "shape" })?;
    let made = broadcast_pair(shape, &wanted)?;
    if made.len() > RANK_MAX {
        return Err(ShapeError::Value { name: "shape" });
    }
    Ok(vec![made])
}

fn infer_tile(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let repeats = context.places(1)?.unwrap_or_default();
    if repeats.len() != shape.len() {
        return Err(ShapeError::Value { name: "repeats" });
    }
    let tiled = shape.iter().zip(repeats).map(|(extent, times)| {
        let times = u64::try_from(times).map_err(|_negative| ShapeError::Value { name: "repeats" })?;
        computed(extent, |extent| extent.checked_mul(times))
    });
    Ok(vec![tiled.collect::<Result<_, _>>()?])
}

fn tile(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let steps = strides(x.shape());
    let places = crate::array::indices(call.shape()).map(|index| {
        let wrapped = index.iter().zip(x.shape()).map(|(at, extent)| at % extent);
        wrapped.zip(&steps).map(|(at, step)| at * step).sum()
    });
    one(x.pick(call.shape().to_vec(), places))
}

/// The part of the extents between two attributes, clamped as a slice is.
fn told(attributes: &Attributes<'_>, rank: usize) -> std::ops::Range<usize> {
    let clamp = |at: i64| {
        let rank = i64::try_from(rank).unwrap_or(i64::MAX);
        let from_start = if at < 0 { at.saturating_add(rank) } else { at };
        usize::try_from(from_start.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (clamp(attributes.int("start")), attributes.optional_int("end").map_or(rank, clamp));
    start..end.max(start)
}

fn infer_shape(context: &Inference<'_>) -> Shapes {
    let range = told(&context.attributes, context.shape(0)?.len());
    Ok(vec![numbers(&[range.len() as u64])?])
}

fn shape(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let extents = &x.shape()[told(&call.attributes, x.rank())];
    let places = extents.iter().map(|extent| i64::try_from(*extent).unwrap_or(i64::MAX)).collect();
    one(Array::of_places(call.shape().to_vec(), places))
}

fn blocks(context: &Inference<'_>) -> Result<([Extent; 4], u64), ShapeError> {
    let shape: &[Extent; 4] = context.shape(0)?.try_into().map_err(|_other| ShapeError::Rank {
        input: 0,
        expected: "4 (batch, channels, rows, columns)",
        got: context.shape(0).map_or(0, <[_]>::len),
    })?;
    let block = u64::try_from(context.attributes.int("blocksize")).ok().filter(|block| (1..=1 << 16).contains(block));
    if !matches!(context.attributes.text("mode"), "DCR" | "CRD") {
        return Err(ShapeError::Value { name: "mode" });
    }
    Ok((shape.clone(), block.ok_or(ShapeError::Value { name: "blocksize" })?))
}

fn infer_depth_to_space(context: &Inference<'_>) -> Shapes {
    let ([batch, channels, rows, columns], block) = blocks(context)?;
    let fewer = computed(&channels, |extent| extent.is_multiple_of(block * block).then(|| extent / (block * block)))?;
    let wider = |extent: &Extent| computed(extent, |extent| extent.checked_mul(block));
    Ok(vec![vec![batch, fewer, wider(&rows)?, wider(&columns)?]])
}

fn infer_space_to_depth(context: &Inference<'_>) -> Shapes {
    let ([batch, channels, rows, columns], block) = blocks(context)?;
    let narrower = |extent: &Extent| computed(extent, |extent| extent.is_multiple_of(block).then(|| extent / block));
    let more = computed(&channels, |extent| extent.checked_mul(block * block))?;
    Ok(vec![vec![batch, more, narrower(&rows)?, narrower(&columns)?]])
}

fn depth_to_space(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let [batch, channels, rows, columns] = call.shape() else { unreachable!("the shape function makes four") };
    let block = call.attributes.int("blocksize").unsigned_abs() as usize;
    let (tall, wide) = (rows / block, columns / block);
    // The depth is split in (block, block, channel) or (channel, block, block).
    let (split, order): ([usize; 6], [usize; 6]) = if call.attributes.text("mode") == "DCR" {
        ([*batch, block, block, *channels, tall, wide], [0, 3, 4, 1, 5, 2])
    } else {
        ([*batch, *channels, block, block, tall, wide], [0, 1, 4, 2, 5, 3])
    };
    one(permuted(&x.reshaped(split.to_vec()), &order).reshaped(call.shape().to_vec()))
}

fn space_to_depth(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let [batch, channels, rows, columns] = x.shape() else { unreachable!("the shape function takes four") };
    let block = call.attributes.int("blocksize").unsigned_abs() as usize;
    let split = vec![*batch, *channels, rows / block, block, columns / block, block];
    let order = if call.attributes.text("mode") == "DCR" { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    one(permuted(&x.reshaped(split), &order).reshaped(call.shape().to_vec()))
}
