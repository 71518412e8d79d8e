//! Tensors and requests of the Open Inference Protocol v2 in JSON, and what they are to the executor.
//!
//! Specification: kserve/open-inference-protocol, `inference_rest.md`. Data may be flat or nested; it is answered flat.

use std::collections::BTreeMap;

use hedgerow_inference::tensor::{DType, Tensor, TensorError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// Most inputs or outputs that a request may name.
const TENSORS_MAX: usize = 64;
/// Deepest nesting of a tensor's data that is followed.
const NESTING_MAX: usize = 16;

/// The body of `POST /v2/models/M/infer`.
#[derive(Debug, Deserialize)]
pub(super) struct InferBody {
    /// The caller's name for the request, given back unchanged.
    #[serde(default)]
    pub(super) id: Option<String>,
    /// `timeout` is in microseconds; what is not known is ignored, as the specification asks.
    #[serde(default)]
    pub(super) parameters: Map<String, Value>,
    /// The inputs.
    pub(super) inputs: Vec<InputTensor>,
    /// The outputs that are wanted; all of them where this is absent or empty.
    #[serde(default)]
    pub(super) outputs: Vec<WantedOutput>,
}

/// One input as it is sent.
#[derive(Debug, Deserialize)]
pub(super) struct InputTensor {
    /// Name in the model's signature.
    pub(super) name: String,
    /// Sizes of the dimensions.
    pub(super) shape: Vec<u64>,
    /// `FP32`, `INT64`, …
    pub(super) datatype: String,
    /// Elements in row-major order.
    pub(super) data: Value,
}

/// One output that is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct WantedOutput {
    /// Name in the model's signature.
    pub(super) name: String,
}

/// One output as it is answered.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct OutputTensor {
    name: String,
    datatype: &'static str,
    shape: Vec<u64>,
    data: Vec<Value>,
}

/// What is wrong with a tensor of a request.
#[derive(Debug, Error)]
pub(super) enum OipError {
    /// More inputs than a request may hold.
    #[error("the request names {count} tensors, at most {TENSORS_MAX} are taken")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// One name twice.
    #[error("input '{name}' is given twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A datatype that no model here takes.
    #[error("input '{name}' has the unknown datatype '{datatype}'")]
    Datatype {
        /// The input.
        name: String,
        /// What was given.
        datatype: String,
    },
    /// An element that is not of the datatype.
    #[error("input '{name}' holds {found}, which is not a value of {datatype}")]
    Element {
        /// The input.
        name: String,
        /// The datatype.
        datatype: DType,
        /// What was found in its data.
        found: String,
    },
    /// The data does not fill the shape, or overfills it.
    #[error("input '{name}'")]
    Shape {
        /// The input.
        name: String,
        /// What does not fit.
        #[source]
        source: TensorError,
    },
}

/// The inputs of a request by name.
pub(super) fn inputs(tensors: Vec<InputTensor>) -> Result<BTreeMap<String, Tensor>, OipError> {
    if tensors.len() > TENSORS_MAX {
        return Err(OipError::TooMany { count: tensors.len() });
    }
    let mut inputs = BTreeMap::new();
    for input in tensors {
        let name = input.name.clone();
        if inputs.insert(name.clone(), tensor(input)?).is_some() {
            return Err(OipError::Twice { name });
        }
    }
    Ok(inputs)
}

/// An output in the form in which it is answered.
pub(super) fn output(name: String, tensor: &Tensor) -> OutputTensor {
    let width = usize::try_from(tensor.dtype().size_bytes()).expect("an element is at most eight bytes");
    let data = tensor.unpacked().chunks_exact(width).map(|bytes| decode(tensor.dtype(), bytes)).collect();
    OutputTensor { name, datatype: tensor.dtype().name(), shape: tensor.shape().to_vec(), data }
}

fn tensor(input: InputTensor) -> Result<Tensor, OipError> {
    let InputTensor { name, shape, datatype, data } = input;
    let Some(dtype) = DType::from_name(&datatype) else {
        return Err(OipError::Datatype { name, datatype });
    };
    let mut bytes = Vec::new();
    collect(&data, dtype, NESTING_MAX, &mut bytes).map_err(|found| OipError::Element {
        name: name.clone(),
        datatype: dtype,
        found,
    })?;
    Tensor::of_unpacked(dtype, shape, bytes).map_err(|source| OipError::Shape { name, source })
}

/// Appends the elements of nested lists in row-major order; the error is what was found in place of an element.
fn collect(value: &Value, dtype: DType, depth: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Array(_) if depth == 0 => Err(format!("lists nested deeper than {NESTING_MAX}")),
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, dtype, depth - 1, bytes)),
        element => encode(element, dtype, bytes).ok_or_else(|| shorten(element)),
    }
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { text.chars().take(40).chain(['…']).collect() }
}

/// Appends one element; `None` where the value is not of the type. JSON has no floats of 16 bits or fewer and no NaN, so neither
/// is taken.
fn encode(value: &Value, dtype: DType, bytes: &mut Vec<u8>) -> Option<()> {
    fn integer<T: TryFrom<i128>>(value: &Value) -> Option<T> {
        let wide = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))?;
        T::try_from(wide).ok()
    }
    match dtype {
        DType::Bool => bytes.push(u8::from(value.as_bool()?)),
        DType::U8 => bytes.push(integer(value)?),
        DType::U16 => bytes.extend(integer::<u16>(value)?.to_le_bytes()),
        DType::U32 => bytes.extend(integer::<u32>(value)?.to_le_bytes()),
        DType::U64 => bytes.extend(integer::<u64>(value)?.to_le_bytes()),
        DType::I8 => bytes.extend(integer::<i8>(value)?.to_le_bytes()),
        DType::I16 => bytes.extend(integer::<i16>(value)?.to_le_bytes()),
        DType::I32 => bytes.extend(integer::<i32>(value)?.to_le_bytes()),
        DType::I64 => bytes.extend(integer::<i64>(value)?.to_le_bytes()),
        DType::F32 => bytes.extend(single(value.as_f64()?)?.to_le_bytes()),
        DType::F64 => bytes.extend(value.as_f64()?.to_le_bytes()),
        DType::I4 => bytes.push(few_bits(value, -8..=7)?),
        DType::U4 => bytes.push(few_bits(value, 0..=15)?),
        DType::I2 => bytes.push(few_bits(value, -2..=1)?),
        DType::U2 => bytes.push(few_bits(value, 0..=3)?),
        DType::F16 | DType::BF16 | DType::F4E2M1 | DType::F8E8M0 => return None,
        DType::F8E4M3FN | DType::F8E4M3FNUZ | DType::F8E5M2 | DType::F8E5M2FNUZ => return None,
    }
    Some(())
}

/// The lowest bits of an integer of less than a byte; which of them count the tensor knows.
fn few_bits(value: &Value, range: std::ops::RangeInclusive<i8>) -> Option<u8> {
    let given = i8::try_from(value.as_i64()?).ok()?;
    range.contains(&given).then(|| given.cast_unsigned())
}

/// The nearest single-precision number; `None` where that would be infinite.
fn single(value: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is what is asked for")]
    let rounded = value as f32;
    rounded.is_finite().then_some(rounded)
}

/// One element as JSON; a float that JSON cannot hold is null, one of 16 bits or fewer its bits.
fn decode(dtype: DType, bytes: &[u8]) -> Value {
    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().expect("chunks are one element long")
    }
    match dtype {
        DType::Bool => Value::from(bytes.first().is_some_and(|byte| *byte != 0)),
        DType::U8 | DType::U4 | DType::U2 => Value::from(u8::from_le_bytes(array(bytes))),
        DType::F4E2M1 | DType::F8E8M0 => Value::from(u8::from_le_bytes(array(bytes))),
        DType::F8E4M3FN | DType::F8E4M3FNUZ | DType::F8E5M2 | DType::F8E5M2FNUZ => {
            Value::from(u8::from_le_bytes(array(bytes)))
        }
        // The sign is the highest of the bits.
        DType::I4 => Value::from(i8::from_le_bytes(array(bytes)) << 4 >> 4),
        DType::I2 => Value::from(i8::from_le_bytes(array(bytes)) << 6 >> 6),
        DType::U16 | DType::F16 | DType::BF16 => Value::from(u16::from_le_bytes(array(bytes))),
        DType::U32 => Value::from(u32::from_le_bytes(array(bytes))),
        DType::U64 => Value::from(u64::from_le_bytes(array(bytes))),
        DType::I8 => Value::from(i8::from_le_bytes(array(bytes))),
        DType::I16 => Value::from(i16::from_le_bytes(array(bytes))),
        DType::I32 => Value::from(i32::from_le_bytes(array(bytes))),
        DType::I64 => Value::from(i64::from_le_bytes(array(bytes))),
        DType::F32 => Value::from(f32::from_le_bytes(array(bytes))),
        DType::F64 => Value::from(f64::from_le_bytes(array(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(datatype: &str, shape: &[u64], data: Value) -> InputTensor {
        InputTensor { name: "x".to_owned(), shape: shape.to_vec(), datatype: datatype.to_owned(), data }
    }

    #[test]
    fn nested_and_flat_data_are_the_same_tensor() {
        let flat = tensor(input("FP32", &[2, 2], json!([1, 2.5, 3, 4]))).unwrap();
        let nested = tensor(input("FP32", &[2, 2], json!([[1, 2.5], [3, 4]]))).unwrap();
        assert_eq!(flat, nested);
        assert_eq!(
            output("x".to_owned(), &flat),
            OutputTensor {
                name: "x".to_owned(),
                datatype: "FP32",
                shape: vec![2, 2],
                data: vec![json!(1.0), json!(2.5), json!(3.0), json!(4.0)]
            }
        );
    }

    #[test]
    fn integers_of_less_than_a_byte_are_numbers_here_and_packed_there() {
        let quanta = tensor(input("INT4", &[3], json!([-8, 7, -1]))).unwrap();
        assert_eq!(quanta.data(), [0x78, 0x0f]);
        assert_eq!(output("x".to_owned(), &quanta).data, [json!(-8), json!(7), json!(-1)]);
        let pairs = tensor(input("UINT2", &[2], json!([3, 1]))).unwrap();
        assert_eq!(pairs.data(), [0b0111]);
        assert_eq!(output("x".to_owned(), &pairs).data, [json!(3), json!(1)]);
        assert!(matches!(tensor(input("INT2", &[2], json!([1]))), Err(OipError::Shape { .. })));
        let bits = Tensor::new(DType::F8E5M2, vec![1], vec![0x3c]).unwrap();
        assert_eq!(output("x".to_owned(), &bits).data, [json!(0x3c)]);
    }

    #[test]
    fn elements_outside_the_datatype_are_named() {
        for (datatype, data) in [
            ("INT4", json!([8])),
            ("UINT4", json!([-1])),
            ("INT2", json!([-3])),
            ("UINT2", json!([4])),
            ("FP8E4M3FN", json!([1])),
            ("UINT8", json!([256])),
            ("INT64", json!([1.5])),
            ("FP32", json!(["one"])),
            ("FP32", json!([1e300])),
            ("BOOL", json!([1])),
        ] {
            let error = tensor(input(datatype, &[1], data)).unwrap_err();
            assert!(matches!(error, OipError::Element { .. }), "{error}");
        }
        assert!(matches!(tensor(input("FP99", &[1], json!([1]))), Err(OipError::Datatype { .. })));
        assert!(matches!(tensor(input("FP32", &[3], json!([1]))), Err(OipError::Shape { .. })));
    }

    #[test]
    fn deep_nesting_and_repeated_names_are_refused() {
        let mut deep = json!(1);
        for _ in 0..=NESTING_MAX {
            deep = json!([deep]);
        }
        assert!(matches!(tensor(input("INT8", &[1], deep)), Err(OipError::Element { .. })));
        let twice = vec![input("INT8", &[1], json!([1])), input("INT8", &[1], json!([1]))];
        assert!(matches!(inputs(twice), Err(OipError::Twice { .. })));
    }
}
