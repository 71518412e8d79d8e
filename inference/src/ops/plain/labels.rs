//! The domain `ai.onnx.ml`: labels and categories as other numbers.
//!
//! Text never gets here: lowering resolves what is constant and refuses the rest.

use std::collections::BTreeMap;

use super::{F32, F64, I16, I32, I64, Outcome, one};
use crate::{
    array::Array,
    data::Data,
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Made, Operator, Product, Shapes, attribute, input, of},
        shape::{ShapeError, unchanged},
    },
    tensor::DType,
};

/// Keys and values of opset 4 on, given as tensors.
const LABELS: &[DType] = &[F32, F64, I16, I32, I64];
const FEATURES: &[DType] = &[F32, F64, I32, I64];
const MAPPED: &[Product] = &[Product { name: "Y", dtype: Made::Chosen(mapped_type) }];

const DEFAULT_FLOAT: AttributeSpec = attribute("default_float", Fallback::Float(-0.0));
const DEFAULT_INT: AttributeSpec = attribute("default_int64", Fallback::Int(-1));
/// Exporters write it whatever the values are.
const DEFAULT_TEXT: AttributeSpec = attribute("default_string", Fallback::Text("_Unused"));
const KEYS_FLOATS: AttributeSpec = attribute("keys_floats", Fallback::NoFloats);
const KEYS_INTS: AttributeSpec = attribute("keys_int64s", Fallback::NoInts);
const VALUES_FLOATS: AttributeSpec = attribute("values_floats", Fallback::NoFloats);
const VALUES_INTS: AttributeSpec = attribute("values_int64s", Fallback::NoInts);

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("LabelEncoder", 2, &[input("X", "T1", &[F32, I64])], MAPPED, infer_mapping, map)
        .with(&[DEFAULT_FLOAT, DEFAULT_INT, DEFAULT_TEXT, KEYS_FLOATS, KEYS_INTS, VALUES_FLOATS, VALUES_INTS])
        .learnt(),
    Operator::new("LabelEncoder", 4, &[input("X", "T1", LABELS)], MAPPED, infer_mapping, map)
        .with(&[
            DEFAULT_FLOAT,
            DEFAULT_INT,
            DEFAULT_TEXT,
            attribute("default_tensor", Fallback::NoTensor),
            KEYS_FLOATS,
            KEYS_INTS,
            attribute("keys_tensor", Fallback::NoTensor),
            VALUES_FLOATS,
            VALUES_INTS,
            attribute("values_tensor", Fallback::NoTensor),
        ])
        .learnt(),
    Operator::new("OneHotEncoder", 1, &[input("X", "T", FEATURES)], &[of("Y", F32)], infer_categories, encode)
        .with(&[attribute("cats_int64s", Fallback::NoInts), attribute("zeros", Fallback::Int(1))])
        .learnt(),
];

/// The one list of several that is given, with its element type.
fn listed(attributes: &Attributes<'_>, [floats, ints, tensor]: [&str; 3]) -> Option<Array> {
    let floats = attributes.floats(floats).map(|list| Array::new(vec![list.len()], Data::F32(list.to_vec())));
    let ints = attributes.ints(ints).map(|list| Array::of_places(vec![list.len()], list.to_vec()));
    let tensor = attributes.tensor(tensor).map(Array::of_tensor);
    let mut given = [floats, ints, tensor].into_iter().flatten();
    given.next().filter(|_| given.next().is_none())
}

fn keys(attributes: &Attributes<'_>) -> Option<Array> {
    listed(attributes, ["keys_floats", "keys_int64s", "keys_tensor"])
}

fn values(attributes: &Attributes<'_>) -> Option<Array> {
    listed(attributes, ["values_floats", "values_int64s", "values_tensor"])
}

fn mapped_type(context: &Inference<'_>) -> Option<DType> {
    values(&context.attributes).map(|values| values.dtype()).filter(|dtype| LABELS.contains(dtype))
}

/// What keys that are not listed become; a tensor has to be one element of the type of the values.
fn otherwise(attributes: &Attributes<'_>, dtype: DType) -> Option<Array> {
    match attributes.tensor("default_tensor") {
        Some(tensor) => Some(Array::of_tensor(tensor)).filter(|one| one.dtype() == dtype && one.len() == 1),
        None if dtype == F32 => Some(Array::of_floats(dtype, vec![1], [attributes.float("default_float")])),
        None if dtype.is_float() => Some(Array::of_floats(dtype, vec![1], [-0.0])),
        None if dtype == I64 => Some(Array::of_places(vec![1], vec![attributes.int("default_int64")])),
        None => Some(Array::of_ints(dtype, vec![1], [-1])),
    }
}

fn infer_mapping(context: &Inference<'_>) -> Shapes {
    let refused = |name| ShapeError::Value { name };
    let keys = keys(&context.attributes).ok_or(refused("keys"))?;
    let values = values(&context.attributes).ok_or(refused("values"))?;
    if keys.dtype() != context.fact(0).dtype {
        return Err(refused("keys"));
    }
    if keys.len() != values.len() {
        return Err(refused("values"));
    }
    otherwise(&context.attributes, values.dtype()).ok_or(refused("default_tensor"))?;
    unchanged(context)
}

/// Each element as what keys are compared by. Opset 4 compares numbers, and whatever is none is
/// one key; opset 2 compares bits.
fn compared(array: &Array, by_bits: bool) -> Vec<i128> {
    if !array.dtype().is_float() {
        return array.ints();
    }
    let bits = |value: f64| match value {
        _ if by_bits => value.to_bits(),
        _ if value.is_nan() => f64::NAN.to_bits(),
        // Both zeros.
        _ => (value + 0.0).to_bits(),
    };
    array.floats().into_iter().map(|value| i128::from(bits(value))).collect()
}

/// Of keys that are listed twice the last holds.
fn map(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let by_bits = !call.attributes.has("keys_tensor");
    let lists = keys(&call.attributes).zip(values(&call.attributes));
    let (keys, values) = lists.ok_or(Fault::Input("X"))?;
    let otherwise = otherwise(&call.attributes, values.dtype()).ok_or(Fault::Input("X"))?;
    let places: BTreeMap<_, _> = compared(&keys, by_bits).into_iter().zip(0_usize..).collect();
    let mut made = values.data().clone();
    made.extend(otherwise.data());
    let found = compared(x, by_bits).into_iter().map(|key| places.get(&key).copied().unwrap_or(values.len()));
    one(Array::new(vec![values.len() + 1], made).pick(call.shape().to_vec(), found))
}

fn infer_categories(context: &Inference<'_>) -> Shapes {
    let categories = context.attributes.ints("cats_int64s").ok_or(ShapeError::Value { name: "cats_int64s" })?;
    let mut shape = context.shape(0)?.to_vec();
    shape.push(Extent::counted(categories.len()));
    Ok(vec![shape])
}

/// A one at the place of the category that an element, without its fraction, is; of categories
/// that are listed twice it stands at the last.
fn encode(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let categories = call.attributes.ints("cats_int64s").unwrap_or_default();
    let places: BTreeMap<i128, usize> = categories.iter().map(|category| i128::from(*category)).zip(0..).collect();
    // What is no number is of no category.
    let is_number = x.floats().into_iter().map(f64::is_finite);
    let found: Vec<_> =
        x.ints().iter().zip(is_number).map(|(category, is)| places.get(category).filter(|_| is)).collect();
    if !call.attributes.flag("zeros") && found.contains(&None) {
        return Err(Fault::Input("X"));
    }
    let width = 0..categories.len();
    one(call.floats(found.into_iter().flat_map(|place| width.clone().map(move |at| f64::from(place == Some(&at))))))
}
