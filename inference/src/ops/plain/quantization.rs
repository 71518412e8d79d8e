//! Quantised operators.

use super::{F32, FLOATS, I8, I32, Outcome, U8, convert::narrowed, convolution, one, products};
use crate::{
    array::{Array, Places},
    narrow::Rounding,
    ops::{
        attributes::{AttributeSpec, Fallback},
        extent::Extent,
        operator::{
            Call, Fault, Inference, Made, Operator, Parameter, Product, Shapes, attribute, input, like, of, optional,
        },
        shape::{ShapeError, axis, is_single, unchanged},
    },
    tensor::DType,
};

const BYTES: &[DType] = &[I8, U8];
/// Quantised elements, and in front sums of products.
const QUANTISED: &[DType] = &[
    I32,
    I8,
    U8,
    DType::I16,
    DType::U16,
    DType::I4,
    DType::U4,
    DType::I2,
    DType::U2,
    DType::F8E4M3FN,
    DType::F8E4M3FNUZ,
    DType::F8E5M2,
    DType::F8E5M2FNUZ,
    DType::F4E2M1,
];
const QUANTA: &[DType] = QUANTISED.split_at(1).1;
const SCALES: &[DType] = &[DType::F16, DType::BF16, F32, DType::F8E8M0];
/// What quantised elements become again.
const RESTORED: &[DType] = &[DType::F16, DType::BF16, F32];
const ONLY_F32: &[DType] = &[F32];

/// The attributes of the latest version; `saturate` matters to eight-bit floats and `precision` to
/// wider intermediate results alone.
const QUANTISING: &[AttributeSpec] = &[
    attribute("axis", Fallback::Int(1)),
    attribute("block_size", Fallback::Int(0)),
    attribute("output_dtype", Fallback::Int(0)),
    attribute("precision", Fallback::Int(0)),
    attribute("saturate", Fallback::Int(1)),
];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new(
        "QuantizeLinear",
        10,
        &[
            input("x", "T1", &[F32, DType::F16, DType::BF16, I32]),
            input("y_scale", "T2", SCALES),
            optional("y_zero_point", "T3", QUANTA),
        ],
        &[Product { name: "y", dtype: Made::Chosen(quantised_type) }],
        infer_quantise,
        quantise,
    )
    .with(QUANTISING),
    Operator::new(
        "DequantizeLinear",
        10,
        &[input("x", "T1", QUANTISED), input("x_scale", "T2", SCALES), optional("x_zero_point", "T1", QUANTISED)],
        &[Product { name: "y", dtype: Made::Chosen(dequantised_type) }],
        infer_quantise,
        dequantise,
    )
    .with(&[
        attribute("axis", Fallback::Int(1)),
        attribute("block_size", Fallback::Int(0)),
        attribute("output_dtype", Fallback::Int(0)),
    ]),
    Operator::new(
        "DynamicQuantizeLinear",
        11,
        &[input("x", "T1", ONLY_F32)],
        &[of("y", U8), of("y_scale", F32), of("y_zero_point", U8)],
        |context| Ok(vec![context.shape(0)?.to_vec(), Vec::new(), Vec::new()]),
        quantise_dynamically,
    ),
    Operator::new(
        "MatMulInteger",
        10,
        &[
            input("A", "T1", BYTES),
            input("B", "T2", BYTES),
            optional("a_zero_point", "T1", BYTES),
            optional("b_zero_point", "T2", BYTES),
        ],
        &[of("Y", I32)],
        products::infer_matmul,
        |call| {
            let (a, b) = (call.input(0), call.input(1));
            let (left, right) = (centred(a, call.optional(2), -1)?, centred(b, call.optional(3), 1)?);
            let made = products::multiplied(&left, a.shape(), &right, b.shape());
            // Sums of products of eight bits are exact in 64-bit numbers.
            one(call.ints(made.into_iter().map(|value| value as i128)))
        },
    ),
    Operator::new(
        "ConvInteger",
        10,
        &[
            input("x", "T1", BYTES),
            input("w", "T2", BYTES),
            optional("x_zero_point", "T1", BYTES),
            optional("w_zero_point", "T2", BYTES),
        ],
        &[of("y", I32)],
        |context| convolution::infer(context, 1, None),
        |call| {
            let x = centred(call.input(0), call.optional(2), 1)?;
            let w = centred_filters(call.input(1), call.optional(3))?;
            let made = convolution::convolved(call, &x, &w, 1)?;
            one(call.ints(made.into_iter().map(|value| value as i128)))
        },
    )
    .with(convolution::ATTRIBUTES),
    Operator::new("QLinearMatMul", 10, PRODUCT, &[like("y", "T3")], infer_linear_product, linear_product),
    Operator::new(
        "QLinearConv",
        10,
        CONVOLUTION,
        &[like("y", "T3")],
        |context| convolution::infer(context, 3, Some(8)),
        linear_conv,
    )
    .with(convolution::ATTRIBUTES),
];

const PRODUCT: &[Parameter] = &[
    input("a", "T1", BYTES),
    input("a_scale", "TS", FLOATS),
    input("a_zero_point", "T1", BYTES),
    input("b", "T2", BYTES),
    input("b_scale", "TS", FLOATS),
    input("b_zero_point", "T2", BYTES),
    input("y_scale", "TS", FLOATS),
    input("y_zero_point", "T3", BYTES),
];
const CONVOLUTION: &[Parameter] = &[
    input("x", "T1", BYTES),
    input("x_scale", "TS", ONLY_F32),
    input("x_zero_point", "T1", BYTES),
    input("w", "T2", BYTES),
    input("w_scale", "TS", ONLY_F32),
    input("w_zero_point", "T2", BYTES),
    input("y_scale", "TS", ONLY_F32),
    input("y_zero_point", "T3", BYTES),
    optional("B", "T4", &[I32]),
];

/// The type of the zero point, or the one asked for; `UINT8` without either.
fn quantised_type(context: &Inference<'_>) -> Option<DType> {
    let asked = context.attributes.int("output_dtype");
    let point = context.optional(2).map(|fact| fact.dtype);
    let stated = u8::try_from(asked).ok().and_then(DType::from_code).filter(|dtype| QUANTA.contains(dtype));
    match (asked, point) {
        (0, point) => Some(point.unwrap_or(U8)),
        (_, None) => stated,
        (_, Some(point)) => stated.filter(|stated| *stated == point),
    }
}

/// The type asked for, or that of the scale.
fn dequantised_type(context: &Inference<'_>) -> Option<DType> {
    let dtype = match context.attributes.int("output_dtype") {
        0 => Some(context.fact(1).dtype),
        asked => u8::try_from(asked).ok().and_then(DType::from_code),
    };
    dtype.filter(|dtype| RESTORED.contains(dtype))
}

fn infer_quantise(context: &Inference<'_>) -> Shapes {
    let (x, scale) = (context.shape(0)?, context.shape(1)?);
    if context.attributes.has("precision") && context.attributes.int("precision") != 0 {
        return Err(ShapeError::Value { name: "precision" });
    }
    if let Some(point) = context.optional_shape(2)? {
        let differs = point.iter().zip(scale).any(|(point, scale)| point.differs(scale));
        // A single one may be a scalar beside a list of one.
        let both_single = is_single(point) && is_single(scale);
        if !both_single && (point.len() != scale.len() || differs) {
            return Err(ShapeError::Value { name: "zero_point" });
        }
    }
    let extents = x.iter().chain(scale).map(Extent::as_fixed).collect::<Option<Vec<_>>>();
    let Some(extents) = extents else { return unchanged(context) };
    let (x, scale) = extents.split_at(x.len());
    if scales(x, scale, context.attributes.int("axis"), context.attributes.int("block_size")).is_none() {
        return Err(ShapeError::Value { name: "scale" });
    }
    unchanged(context)
}

/// For an axis and the elements per scale along it: one scale for all, one per slice, or one per
/// block of a slice.
fn scales(x: &[u64], scale: &[u64], given: i64, block: i64) -> Option<(usize, u64)> {
    if block == 0 && scale.iter().product::<u64>() == 1 && scale.len() <= 1 {
        return Some((0, u64::MAX));
    }
    let at = axis(given, x.len()).ok()?;
    if block == 0 {
        return (scale == [x[at]]).then_some((at, 1));
    }
    let block = u64::try_from(block).ok()?;
    let fits = |(position, (x, scale)): (usize, (&u64, &u64))| {
        if position == at { x.div_ceil(block) == *scale } else { x == scale }
    };
    (x.len() == scale.len() && x.iter().zip(scale).enumerate().all(fits)).then_some((at, block))
}

/// For each element of x the place of its scale.
fn scale_places(call: &Call<'_>) -> Result<Vec<usize>, Fault> {
    let (x, scale) = (call.input(0), call.input(1));
    let wide = |shape: &[usize]| shape.iter().map(|extent| *extent as u64).collect::<Vec<_>>();
    let (given, block) = (call.attributes.int("axis"), call.attributes.int("block_size"));
    let found = scales(&wide(x.shape()), &wide(scale.shape()), given, block);
    let (at, width) = found.ok_or(Fault::Input("scale"))?;
    if width == u64::MAX {
        return Ok(vec![0; x.len()]);
    }
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let (along, behind) = (x.shape()[at], x.shape()[at + 1..].iter().product::<usize>());
    let place = |flat: usize| {
        let block = flat / behind % along / width;
        if scale.rank() == 1 {
            return block;
        }
        (flat / behind / along * scale.shape()[at] + block) * behind + flat % behind
    };
    Ok((0..x.len()).map(place).collect())
}

/// `saturate(round(x / scale) + zero point)`, halves to even, in the precision of the scale.
fn quantise(call: &Call<'_>) -> Outcome {
    let (x, scale) = (call.input(0), call.input(1));
    let places = scale_places(call)?;
    let factors = scale.floats();
    let points = call.optional(2).map_or_else(|| vec![0.0; factors.len()], Array::floats);
    let quotients = x.floats().into_iter().zip(&places).map(|(x, place)| x / factors[*place]);
    // The quotient is rounded as the operator computes it: a tie decides the result.
    let quotients = Array::of_floats(F32, x.shape().to_vec(), quotients).floats();
    let quotients = quotients.into_iter().zip(&places);
    if call.dtype().is_float() {
        let made = quotients.map(|(quotient, place)| quotient + points[*place]);
        let rounding = Rounding { saturates: call.attributes.flag("saturate"), ..Rounding::USUAL };
        return one(narrowed(call, made, rounding));
    }
    one(call.floats(quotients.map(|(quotient, place)| quotient.round_ties_even() + points[*place])))
}

fn dequantise(call: &Call<'_>) -> Outcome {
    let places = scale_places(call)?;
    let factors = call.input(1).floats();
    let points = call.optional(2).map_or_else(|| vec![0.0; factors.len()], Array::floats);
    let made = call.input(0).floats().into_iter().zip(places).map(|(x, place)| (x - points[place]) * factors[place]);
    one(call.floats(made.collect::<Vec<_>>()))
}

/// Scale and zero point from the range of the elements, which is made to hold 0.
fn quantise_dynamically(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let values = x.floats();
    let least = values.iter().copied().fold(0.0, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let range = most as f32 - least as f32;
    let scale = if range > 0.0 { range / 255.0 } else { 1.0 };
    let rounded = |value: f32| value.round_ties_even();
    let point = rounded((-(least as f32) / scale).clamp(0.0, 255.0));
    let quantised = values.iter().map(|x| f64::from(rounded(*x as f32 / scale)) + f64::from(point));
    Ok(vec![
        call.floats(quantised.collect::<Vec<_>>()),
        call.output(1, [f64::from(scale)]),
        call.output(2, [f64::from(point)]),
    ])
}

/// Elements without their zero point: one for all, or one per row (−1) or column (1) of matrices.
fn centred(x: &Array, point: Option<&Array>, side: i64) -> Result<Vec<f64>, Fault> {
    let mut values = x.floats();
    let Some(point) = point else { return Ok(values) };
    let points = spread_over(point, "zero_point", x.shape(), side)?;
    values.iter_mut().zip(points).for_each(|(value, point)| *value -= point);
    Ok(values)
}

/// Filters without their zero point: one for all, or one per filter.
fn centred_filters(w: &Array, point: Option<&Array>) -> Result<Vec<f64>, Fault> {
    let mut values = w.floats();
    let Some(point) = point else { return Ok(values) };
    let points = point.floats();
    if points.len() != 1 && points.len() != w.shape()[0] {
        return Err(Fault::Input("w_zero_point"));
    }
    let size = w.shape()[1..].iter().product::<usize>().max(1);
    values.iter_mut().enumerate().for_each(|(at, value)| *value -= points[at / size % points.len()]);
    Ok(values)
}

fn infer_linear_product(context: &Inference<'_>) -> Shapes {
    Ok(vec![products::product_shape(context.shape(0)?, context.shape(3)?)?])
}

fn linear_product(call: &Call<'_>) -> Outcome {
    let (a, b) = (call.input(0), call.input(3));
    let (left, right) = (centred(a, call.optional(2), -1)?, centred(b, call.optional(5), 1)?);
    let sums = products::multiplied(&left, a.shape(), &right, b.shape());
    let spread = |position, name, side| spread_over(call.input(position), name, call.shape(), side);
    let (a_scales, b_scales) = (spread(1, "a_scale", -1)?, spread(4, "b_scale", 1)?);
    let (y_scales, points) = (spread(6, "y_scale", -1)?, spread(7, "y_zero_point", -1)?);
    let made = sums.into_iter().enumerate().map(|(at, sum)| {
        let scaled = sum * (a_scales[at] * b_scales[at] / y_scales[at]);
        scaled.round_ties_even() + points[at]
    });
    one(call.floats(made.collect::<Vec<_>>()))
}

/// A parameter of a product for each of its elements: one for all, per row (−1) or per column (1).
fn spread_over(array: &Array, name: &'static str, shape: &[usize], side: i64) -> Result<Vec<f64>, Fault> {
    let values = array.floats();
    let mut own = array.shape().to_vec();
    if values.len() == 1 {
        own.clear();
    } else if array.rank() == 1 && side < 0 {
        own.push(1);
    }
    let fits = own.len() <= shape.len()
        && own.iter().rev().zip(shape.iter().rev()).all(|(own, whole)| *own == 1 || own == whole);
    if !fits {
        return Err(Fault::Input(name));
    }
    Ok(Places::spread(&own, shape).map(|place| values[place]).collect())
}

fn linear_conv(call: &Call<'_>) -> Outcome {
    let x = centred(call.input(0), call.optional(2), 1)?;
    let w = centred_filters(call.input(3), call.optional(5))?;
    let sums = convolution::convolved(call, &x, &w, 3)?;
    let filters = call.input(3).shape()[0];
    let single = |position: usize| call.scalar(position).ok_or(Fault::Input("scale"));
    let (x_scale, y_scale, point) = (single(1)?, single(6)?, single(7)?);
    let w_scales = call.input(4).floats();
    if w_scales.len() != 1 && w_scales.len() != filters {
        return Err(Fault::Input("w_scale"));
    }
    let bias = call.optional(8).map_or_else(|| vec![0.0; filters], Array::floats);
    let plane = call.shape()[2..].iter().product::<usize>().max(1);
    let made = sums.into_iter().enumerate().map(|(at, sum)| {
        let filter = at / plane % filters;
        let factor = x_scale * w_scales[filter % w_scales.len()] / y_scale;
        ((sum + bias[filter]) * factor).round_ties_even() + point
    });
    one(call.floats(made.collect::<Vec<_>>()))
}
