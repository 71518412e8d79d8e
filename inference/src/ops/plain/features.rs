//! The domain `ai.onnx.ml`: features filled in, normalised and joined.

use super::{F32, F64, I32, I64, Outcome, one};
use crate::{
    ops::{
        attributes::{Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, like, of},
        shape::{ShapeError, same, unchanged},
    },
    tensor::DType,
};

pub(super) const FEATURES: &[DType] = &[F32, F64, I32, I64];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Imputer", 1, &[input("X", "T", FEATURES)], &[like("Y", "T")], infer_imputer, impute)
        .with(&[
            attribute("imputed_value_floats", Fallback::NoFloats),
            attribute("imputed_value_int64s", Fallback::NoInts),
            attribute("replaced_value_float", Fallback::Float(0.0)),
            attribute("replaced_value_int64", Fallback::Int(0)),
        ])
        .learnt(),
    Operator::new("Normalizer", 1, &[input("X", "T", FEATURES)], &[of("Y", F32)], infer_normalizer, normalize)
        .with(&[attribute("norm", Fallback::Text("MAX"))])
        .learnt(),
    Operator::new("FeatureVectorizer", 1, &[input("X", "T1", FEATURES)], &[of("Y", F32)], infer_vector, join)
        .with(&[attribute("inputdimensions", Fallback::NoInts)])
        .variadic()
        .learnt(),
];

/// What takes the place of missing elements: floats of floats, integers of integers.
enum Imputed<'a> {
    Floats(&'a [f32]),
    Ints(&'a [i64]),
}

impl<'a> Imputed<'a> {
    /// `None` when nothing fits the element type.
    fn read(attributes: &Attributes<'a>, dtype: DType) -> Option<Self> {
        let fits = |value: &i64| dtype == I64 || i32::try_from(*value).is_ok();
        if dtype.is_float() {
            return attributes.floats("imputed_value_floats").map(Self::Floats);
        }
        attributes.ints("imputed_value_int64s").filter(|values| values.iter().all(fits)).map(Self::Ints)
    }

    fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }
}

fn imputed_name(dtype: DType) -> &'static str {
    if dtype.is_float() { "imputed_value_floats" } else { "imputed_value_int64s" }
}

/// One value for all features, or one for each.
fn infer_imputer(context: &Inference<'_>) -> Shapes {
    let dtype = context.fact(0).dtype;
    let refused = ShapeError::Value { name: imputed_name(dtype) };
    let Some(imputed) = Imputed::read(&context.attributes, dtype) else { return Err(refused) };
    let features = context.shape(0)?.last().map_or(Some(1), Extent::as_fixed);
    if imputed.len() != 1 && features.is_some_and(|features| features != imputed.len() as u64) {
        return Err(refused);
    }
    unchanged(context)
}

fn impute(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let features = x.shape().last().copied().unwrap_or(1);
    let imputed = Imputed::read(&call.attributes, x.dtype()).ok_or(Fault::Input("X"))?;
    let count = imputed.len();
    if count != 1 && count != features {
        return Err(Fault::Input("X"));
    }
    // Without features there is no element to ask for one.
    let own = |at: usize| at % features.max(1) % count.max(1);
    one(match imputed {
        Imputed::Floats(values) => {
            let replaced = call.attributes.float("replaced_value_float");
            let is_missing = |x: f64| x == replaced || (x.is_nan() && replaced.is_nan());
            let made = x.floats().into_iter().enumerate();
            call.floats(made.map(|(at, x)| if is_missing(x) { f64::from(values[own(at)]) } else { x }))
        }
        Imputed::Ints(values) => {
            let replaced = i128::from(call.attributes.int("replaced_value_int64"));
            let made = x.ints().into_iter().enumerate();
            call.ints(made.map(|(at, x)| if x == replaced { i128::from(values[own(at)]) } else { x }))
        }
    })
}

/// Rows of features, or a single row.
pub(super) fn rows(context: &Inference<'_>, position: usize) -> Result<(Extent, Extent), ShapeError> {
    match context.shape(position)? {
        [features] => Ok((Extent::ONE, features.clone())),
        [rows, features] => Ok((rows.clone(), features.clone())),
        shape => Err(ShapeError::Rank { input: position, expected: "1 or 2 (rows, features)", got: shape.len() }),
    }
}

fn infer_normalizer(context: &Inference<'_>) -> Shapes {
    rows(context, 0)?;
    match context.attributes.text("norm") {
        "MAX" | "L1" | "L2" => unchanged(context),
        _ => Err(ShapeError::Value { name: "norm" }),
    }
}

/// Each row divided by its largest element, the sum of its magnitudes or its length; by nothing
/// where that is 0.
fn normalize(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let features = x.shape().last().copied().unwrap_or(1).max(1);
    let mut values = x.floats();
    for row in values.chunks_mut(features) {
        let divisor = match call.attributes.text("norm") {
            "MAX" => row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "L1" => row.iter().map(|x| x.abs()).sum(),
            _ => row.iter().map(|x| x * x).sum::<f64>().sqrt(),
        };
        if divisor != 0.0 {
            row.iter_mut().for_each(|x| *x /= divisor);
        }
    }
    one(call.floats(values))
}

/// Rows of all inputs beside each other; the attribute says again how wide each is.
fn infer_vector(context: &Inference<'_>) -> Shapes {
    let stated = context.attributes.ints("inputdimensions");
    if stated.is_some_and(|stated| stated.len() != context.inputs.len()) {
        return Err(ShapeError::Value { name: "inputdimensions" });
    }
    let (mut count, mut width) = (Extent::ONE, Some(0_u64));
    for position in 0..context.inputs.len() {
        let (own, features) = rows(context, position)?;
        if position == 0 {
            count = own;
        } else {
            same("number of rows", &count, &own)?;
        }
        let features = features.as_fixed();
        let says_other = |stated: &[i64]| features.is_some_and(|own| u64::try_from(stated[position]) != Ok(own));
        if stated.is_some_and(says_other) {
            return Err(ShapeError::Value { name: "inputdimensions" });
        }
        width = width.zip(features).map(|(width, own)| width.saturating_add(own));
    }
    let width = width.map_or(Ok(Extent::Unknown), |width| Extent::fixed(width).ok_or(ShapeError::Size))?;
    Ok(vec![vec![count, width]])
}

fn join(call: &Call<'_>) -> Outcome {
    let inputs: Vec<_> = call.inputs.iter().flatten().map(|x| (x.floats(), x.shape()[x.rank() - 1])).collect();
    let joined = (0..call.shape()[0]).flat_map(|row| {
        inputs.iter().flat_map(move |(values, width)| values[row * width..(row + 1) * width].iter().copied())
    });
    one(call.floats(joined))
}
