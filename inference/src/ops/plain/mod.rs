//! Entries of the table with their plain kernels, by family.
//!
//! Floats are computed in `f64` and rounded once, integers in words wide enough for every
//! element type and wrapped once.

mod activation;
mod arithmetic;
mod attention;
mod comparison;
mod control;
mod convert;
mod convolution;
mod deformable;
mod detection;
mod einsum;
mod features;
mod generation;
mod indexing;
mod labels;
pub(crate) mod layout;
mod learning;
mod linear;
mod losses;
mod ngrams;
mod normalization;
mod pointwise;
mod pooling;
mod products;
mod quantization;
mod recurrent;
mod reduction;
mod resize;
mod rotation;
mod sampling;
mod selection;
mod slicing;
mod spectral;
mod stateful;
pub(crate) mod window;

use super::operator::{Fault, Operator};
use crate::{array::Array, tensor::DType};

pub(super) use DType::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};

/// Every family of the table.
pub(super) const FAMILIES: &[&[Operator]] = &[
    activation::OPERATORS,
    arithmetic::OPERATORS,
    attention::OPERATORS,
    comparison::OPERATORS,
    control::OPERATORS,
    convert::OPERATORS,
    convolution::OPERATORS,
    deformable::OPERATORS,
    detection::OPERATORS,
    einsum::OPERATORS,
    features::OPERATORS,
    generation::OPERATORS,
    indexing::OPERATORS,
    labels::OPERATORS,
    layout::OPERATORS,
    learning::OPERATORS,
    linear::OPERATORS,
    losses::OPERATORS,
    ngrams::OPERATORS,
    normalization::OPERATORS,
    pointwise::OPERATORS,
    pooling::OPERATORS,
    products::OPERATORS,
    quantization::OPERATORS,
    recurrent::OPERATORS,
    reduction::OPERATORS,
    resize::OPERATORS,
    rotation::OPERATORS,
    sampling::OPERATORS,
    selection::OPERATORS,
    slicing::OPERATORS,
    spectral::OPERATORS,
    stateful::OPERATORS,
];

/// Whatever is stored, also what is only moved whole and converted.
const STORED: &[DType] = &DType::ALL;
/// Every type to compute with.
const ALL: &[DType] = &[Bool, U8, U16, U32, U64, I8, I16, I32, I64, F16, BF16, F32, F64];
const FLOATS: &[DType] = &[F16, BF16, F32, F64];
/// Floats where the specification leaves out `BF16`.
const IEEE: &[DType] = &[F16, F32, F64];
const INTEGERS: &[DType] = &[I8, I16, I32, I64, U8, U16, U32, U64];
const NUMBERS: &[DType] = &[F16, BF16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64];
/// Numbers where the specification leaves out `BF16`.
const PRECISE: &[DType] = &[F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64];
/// Numbers that can be negative.
const SIGNED: &[DType] = &[F16, BF16, F32, F64, I8, I16, I32, I64];
const BOOL: &[DType] = &[Bool];
const PLACES: &[DType] = &[I64];
const INDICES: &[DType] = &[I32, I64];

/// The larger number, or the one that is none.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The smaller number, or the one that is none.
fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || a < b { a } else { b }
}

/// The type of that ONNX number, if it is one to compute with.
fn computed_type(code: i64) -> Option<DType> {
    u8::try_from(code).ok().and_then(DType::from_code).filter(|dtype| ALL.contains(dtype))
}

/// What a kernel returns.
type Outcome = Result<Vec<Array>, Fault>;

/// A single output.
fn one(array: Array) -> Outcome {
    Ok(vec![array])
}
