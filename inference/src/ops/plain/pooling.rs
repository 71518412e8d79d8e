//! Pools over any number of spatial dimensions.

use super::{
    FLOATS, I64, Outcome, PLACES, greater, one,
    window::{AUTO_PAD, CEIL_MODE, DILATIONS, KERNEL_SHAPE, PADS, STRIDES, View, Window, planes},
};
use crate::{
    array::Array,
    ops::{
        attributes::Fallback,
        extent::Extent,
        operator::{
            Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, of, optional,
        },
        shape::{ShapeError, at_least, computed},
    },
    tensor::DType,
};

const X: &[Parameter] = &[input("X", "T", FLOATS)];
const Y: &[Product] = &[like("Y", "T")];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new(
        "MaxPool",
        1,
        &[input("X", "T", &[DType::F16, DType::F32, DType::F64, DType::I8, DType::U8])],
        &[like("Y", "T"), of("Indices", I64)],
        infer_max,
        max_pool,
    )
    .with(&[
        AUTO_PAD,
        CEIL_MODE,
        DILATIONS,
        KERNEL_SHAPE,
        PADS,
        attribute("storage_order", Fallback::Int(0)),
        STRIDES,
    ]),
    Operator::new("AveragePool", 7, X, Y, infer, average_pool).with(&[
        AUTO_PAD,
        CEIL_MODE,
        attribute("count_include_pad", Fallback::Int(0)),
        DILATIONS,
        KERNEL_SHAPE,
        PADS,
        STRIDES,
    ]),
    Operator::new("LpPool", 2, X, Y, infer, lp_pool).with(&[
        AUTO_PAD,
        CEIL_MODE,
        DILATIONS,
        KERNEL_SHAPE,
        attribute("p", Fallback::Int(2)),
        PADS,
        STRIDES,
    ]),
    Operator::new("GlobalAveragePool", 1, X, Y, infer_global, |call| {
        global(call, |plane| plane.iter().sum::<f64>() / plane.len() as f64)
    }),
    Operator::new("GlobalMaxPool", 1, X, Y, infer_global, |call| {
        global(call, |plane| plane.iter().copied().fold(f64::NEG_INFINITY, greater))
    }),
    Operator::new(
        "MaxUnpool",
        9,
        &[input("X", "T", FLOATS), input("I", "I", PLACES), optional("output_shape", "I", PLACES)],
        Y,
        infer_unpool,
        unpool,
    )
    .with(&[KERNEL_SHAPE, PADS, STRIDES]),
];

fn infer(context: &Inference<'_>) -> Shapes {
    let x = at_least(context, 0, 3, "at least 3 (batch, channels, spatial)")?;
    let plane = Window::of_pool(&context.attributes)?.extents(&x[2..])?;
    Ok(vec![[x[..2].to_vec(), plane].concat()])
}

fn infer_max(context: &Inference<'_>) -> Shapes {
    let mut shapes = infer(context)?;
    if context.asked > 1 {
        shapes.push(shapes[0].clone());
    }
    Ok(shapes)
}

/// Calls a function for each plane and each place of the window over it, with the elements of the
/// plane, what lies under the window, where the plane begins, and the place of the result.
fn each_view(call: &Call<'_>, mut f: impl FnMut(&[f64], &View, usize, usize)) -> Result<(), Fault> {
    let x = call.input(0);
    let values = x.floats();
    let (batch, plane) = x.shape().split_at(2);
    let (size, places) = (plane.iter().product::<usize>(), call.shape()[2..].iter().product::<usize>());
    let window = Window::of_pool(&call.attributes).map_err(|_refused| Fault::Input("X"))?;
    for (at, view) in window.views(plane).ok_or(Fault::Input("X"))?.enumerate() {
        for (index, start) in planes(batch, plane).enumerate() {
            f(&values[start..start + size], &view, start, index * places + at);
        }
    }
    Ok(())
}

/// Applies a function to what lies under each place of the window.
fn pooled(call: &Call<'_>, f: impl Fn(&[f64], &View) -> f64) -> Outcome {
    let mut made = vec![0.0; call.shape().iter().product()];
    each_view(call, |plane, view, _, to| made[to] = f(plane, view))?;
    one(call.floats(made))
}

fn max_pool(call: &Call<'_>) -> Outcome {
    let count = call.shape().iter().product();
    let is_column_major = call.attributes.int("storage_order") == 1;
    let extents = &call.input(0).shape()[2..];
    // A window over padding alone has no element.
    let (mut made, mut found) = (vec![f64::NEG_INFINITY; count], vec![-1; count]);
    each_view(call, |plane, view, start, to| {
        let mut best: Option<usize> = None;
        for (_, place) in &view.taps {
            if best.is_none_or(|best| plane[*place] > plane[best] || (plane[*place].is_nan() && !plane[best].is_nan()))
            {
                best = Some(*place);
            }
        }
        let Some(best) = best else { return };
        made[to] = plane[best];
        found[to] = (start + if is_column_major { column_major(best, extents) } else { best }) as i64;
    })?;
    let mut outputs = vec![call.floats(made)];
    if let Some((_, shape)) = call.outputs.get(1) {
        outputs.push(Array::of_places(shape.clone(), found));
    }
    Ok(outputs)
}

/// The place that an element would have if the first dimension ran fastest.
fn column_major(mut place: usize, plane: &[usize]) -> usize {
    let mut index = vec![0; plane.len()];
    for axis in (0..plane.len()).rev() {
        index[axis] = place % plane[axis];
        place /= plane[axis];
    }
    index.iter().zip(plane).rev().fold(0, |sum, (at, extent)| sum * extent + at)
}

fn average_pool(call: &Call<'_>) -> Outcome {
    let counts_pads = call.attributes.flag("count_include_pad");
    pooled(call, |plane, view| {
        let sum: f64 = view.taps.iter().map(|(_, place)| plane[*place]).sum();
        sum / if counts_pads { view.padded } else { view.taps.len() } as f64
    })
}

fn lp_pool(call: &Call<'_>) -> Outcome {
    let p = call.attributes.int("p") as f64;
    pooled(call, |plane, view| {
        view.taps.iter().map(|(_, place)| plane[*place].abs().powf(p)).sum::<f64>().powf(p.recip())
    })
}

fn infer_global(context: &Inference<'_>) -> Shapes {
    let x = at_least(context, 0, 3, "at least 3")?;
    let mut shape = vec![Extent::ONE; x.len()];
    shape[..2].clone_from_slice(&x[..2]);
    Ok(vec![shape])
}

/// Applies a function to all spatial dimensions at once.
fn global(call: &Call<'_>, f: impl Fn(&[f64]) -> f64) -> Outcome {
    let x = call.input(0);
    let (batch, plane) = x.shape().split_at(2);
    let (values, size) = (x.floats(), plane.iter().product::<usize>());
    one(call.floats(planes(batch, plane).map(|start| f(&values[start..start + size]))))
}

/// Undoes the extents of a pool: `(in − 1) · stride − pads + kernel`.
fn infer_unpool(context: &Inference<'_>) -> Shapes {
    let x = at_least(context, 0, 3, "at least 3 (batch, channels, spatial)")?;
    if let Some(given) = context.places(2)? {
        let extents = given.into_iter().map(|extent| u64::try_from(extent).ok().and_then(Extent::fixed));
        let extents: Vec<_> = extents.collect::<Option<_>>().ok_or(ShapeError::Value { name: "output_shape" })?;
        if extents.len() != x.len() {
            return Err(ShapeError::Value { name: "output_shape" });
        }
        return Ok(vec![extents]);
    }
    let rank = x.len() - 2;
    let list = |name: &'static str, length, default, least| {
        super::window::steps(name, context.attributes.ints(name), length, default, least)
    };
    let (kernel, strides, pads) =
        (list("kernel_shape", rank, 1, 1)?, list("strides", rank, 1, 1)?, list("pads", rank * 2, 0, 0)?);
    let mut shape = x.to_vec();
    for axis in 0..rank {
        shape[axis + 2] = computed(&x[axis + 2], |extent| {
            let full = extent.checked_sub(1)?.checked_mul(strides[axis])?.checked_add(kernel[axis])?;
            full.checked_sub(pads[axis] + pads[axis + rank])
        })?;
    }
    Ok(vec![shape])
}

fn unpool(call: &Call<'_>) -> Outcome {
    let (x, found) = (call.input(0), call.input(1));
    if x.shape() != found.shape() {
        return Err(Fault::Input("I"));
    }
    // Indices count in the tensor that was pooled, whose planes may be smaller than the result's.
    let rank = x.rank() - 2;
    let inferred: usize = call.shape()[2..].iter().product();
    let pooled = if call.optional(2).is_some() {
        unpooled_plane(call, rank).ok_or(Fault::Input("X"))?
    } else {
        call.shape()[2..].to_vec()
    };
    let (size, steps) = (pooled.iter().product::<usize>(), crate::array::strides(&pooled));
    let made_steps = crate::array::strides(&call.shape()[2..]);
    let mut made = vec![0.0; call.shape().iter().product()];
    for (value, at) in x.floats().into_iter().zip(found.places()) {
        let at = usize::try_from(at).map_err(|_negative| Fault::Index)?;
        let (plane, inside) = (at.checked_div(size).ok_or(Fault::Index)?, at % size);
        let place: usize = steps
            .iter()
            .zip(&pooled)
            .zip(&made_steps)
            .map(|((step, extent), made)| inside / step % extent * made)
            .sum();
        let to = plane.checked_mul(inferred).and_then(|start| start.checked_add(place));
        *to.and_then(|to| made.get_mut(to)).ok_or(Fault::Index)? = value;
    }
    one(call.floats(made))
}

fn unpooled_plane(call: &Call<'_>, rank: usize) -> Option<Vec<usize>> {
    let list = |name: &'static str, length, default| {
        super::window::steps(name, call.attributes.ints(name), length, default, 0).ok()
    };
    let (kernel, strides, pads) =
        (list("kernel_shape", rank, 1)?, list("strides", rank, 1)?, list("pads", rank * 2, 0)?);
    let along = |(axis, extent): (usize, &usize)| {
        let full = (*extent as u64).checked_sub(1)?.checked_mul(strides[axis])?.checked_add(kernel[axis])?;
        usize::try_from(full.checked_sub(pads[axis] + pads[axis + rank])?).ok()
    };
    call.input(0).shape()[2..].iter().enumerate().map(along).collect()
}
