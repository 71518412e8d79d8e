//! A dense tensor as it crosses the borders of this crate: type, shape and bytes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use crate::dtype::DType;
use crate::narrow;

/// Most dimensions that a tensor may have here.
pub const RANK_MAX: usize = 8;

/// A dense tensor in row-major order, elements little-endian and those of less than a byte packed,
/// the first in the lowest bits; its length always fits its shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Tensor {
    dtype: DType,
    shape: Vec<u64>,
    data: Vec<u8>,
}

/// Why bytes are not the tensor that they are said to be. Nothing was changed; a retry with the
/// same bytes fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// More dimensions than [`RANK_MAX`].
    #[error("shape has {rank} dimensions, at most {RANK_MAX} are possible")]
    Rank {
        /// Dimensions found.
        rank: usize,
    },
    /// The product of the dimensions does not fit a machine word.
    #[error("shape {shape:?} overflows")]
    Overflow {
        /// The shape that was given.
        shape: Vec<u64>,
    },
    /// The data is shorter or longer than the shape says.
    #[error("shape {shape:?} of {dtype} needs {expected} bytes, got {got}")]
    Length {
        /// The element type that was given.
        dtype: DType,
        /// The shape that was given.
        shape: Vec<u64>,
        /// Bytes that shape and type need.
        expected: u64,
        /// Bytes that were given.
        got: u64,
    },
    /// A typed view was asked of a tensor of another type.
    #[error("tensor is {got}, not {expected}")]
    Type {
        /// The type of the view.
        expected: DType,
        /// The type of the tensor.
        got: DType,
    },
}

impl Tensor {
    /// A tensor of raw little-endian bytes.
    pub fn new(dtype: DType, shape: Vec<u64>, data: Vec<u8>) -> Result<Self, TensorError> {
        let expected = size_bytes(dtype, &shape)?;
        let got = data.len() as u64;
        if expected != got {
            return Err(TensorError::Length { dtype, shape, expected, got });
        }
        Ok(Self { dtype, shape, data })
    }

    /// An `FP32` tensor.
    pub fn from_f32(shape: Vec<u64>, values: &[f32]) -> Result<Self, TensorError> {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(DType::F32, shape, data)
    }

    /// An `INT64` tensor.
    pub fn from_i64(shape: Vec<u64>, values: &[i64]) -> Result<Self, TensorError> {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(DType::I64, shape, data)
    }

    /// A `BOOL` tensor.
    pub fn from_bool(shape: Vec<u64>, values: &[bool]) -> Result<Self, TensorError> {
        let data = values.iter().map(|v| u8::from(*v)).collect();
        Self::new(DType::Bool, shape, data)
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents, outermost first; empty for a scalar.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The elements, row-major, little-endian.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The elements without a copy.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Number of elements; 1 for a scalar.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The same of elements that are not packed: those of less than a byte have one each, in its
    /// lowest bits.
    pub fn of_unpacked(dtype: DType, shape: Vec<u64>, data: Vec<u8>) -> Result<Self, TensorError> {
        if !dtype.is_packed() {
            return Self::new(dtype, shape, data);
        }
        let (expected, got) = (elements(&shape)?, data.len() as u64);
        if expected != got {
            return Err(TensorError::Length { dtype, shape, expected, got });
        }
        Self::new(dtype, shape, narrow::pack(dtype, &data))
    }

    /// The elements, those of less than a byte in the lowest bits of one each.
    pub fn unpacked(&self) -> Cow<'_, [u8]> {
        if self.dtype.is_packed() {
            let count = usize::try_from(self.elements()).expect("elements are in memory");
            return narrow::unpack(self.dtype, count, &self.data).into();
        }
        self.data.as_slice().into()
    }

    /// Copy of the elements of an `FP32` tensor.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        self.expect_type(DType::F32)?;
        Ok(self.words().map(f32::from_le_bytes).collect())
    }

    /// Copy of the elements of an `INT64` tensor.
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        self.expect_type(DType::I64)?;
        Ok(self.words().map(i64::from_le_bytes).collect())
    }

    /// Copy of the elements of a `BOOL` tensor; every byte other than 0 is true.
    pub fn to_bool(&self) -> Result<Vec<bool>, TensorError> {
        self.expect_type(DType::Bool)?;
        Ok(self.data.iter().map(|byte| *byte != 0).collect())
    }

    fn expect_type(&self, expected: DType) -> Result<(), TensorError> {
        let got = self.dtype;
        if got == expected { Ok(()) } else { Err(TensorError::Type { expected, got }) }
    }

    fn words<const N: usize>(&self) -> impl Iterator<Item = [u8; N]> {
        let (words, rest) = self.data.as_chunks::<N>();
        debug_assert!(rest.is_empty(), "length was checked against the type");
        words.iter().copied()
    }
}

/// Bytes that a tensor of this type and shape takes.
pub(crate) fn size_bytes(dtype: DType, shape: &[u64]) -> Result<u64, TensorError> {
    if shape.len() > RANK_MAX {
        return Err(TensorError::Rank { rank: shape.len() });
    }
    let whole = elements(shape)?.checked_mul(dtype.size_bytes()).filter(|size| i64::try_from(*size).is_ok());
    let stored = whole.and_then(|_| dtype.stored_bytes(elements(shape).ok()?));
    stored.ok_or_else(|| TensorError::Overflow { shape: shape.to_vec() })
}

fn elements(shape: &[u64]) -> Result<u64, TensorError> {
    let elements = shape.iter().try_fold(1_u64, |elements, extent| elements.checked_mul(*extent));
    elements.ok_or_else(|| TensorError::Overflow { shape: shape.to_vec() })
}

/// What serde sees of a tensor, so that decoding goes through [`Tensor::new`].
#[derive(Serialize, Deserialize)]
struct Parts {
    dtype: DType,
    shape: Vec<u64>,
    data: Vec<u8>,
}

impl From<Tensor> for Parts {
    fn from(tensor: Tensor) -> Self {
        let Tensor { dtype, shape, data } = tensor;
        Self { dtype, shape, data }
    }
}

impl TryFrom<Parts> for Tensor {
    type Error = TensorError;

    fn try_from(parts: Parts) -> Result<Self, TensorError> {
        Self::new(parts.dtype, parts.shape, parts.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_must_fit_type_and_shape() {
        assert_eq!(
            Tensor::new(DType::F32, vec![2, 3], vec![0; 23]),
            Err(TensorError::Length { dtype: DType::F32, shape: vec![2, 3], expected: 24, got: 23 })
        );
        assert_eq!(
            Tensor::new(DType::F32, vec![u64::MAX, 2], Vec::new()),
            Err(TensorError::Overflow { shape: vec![u64::MAX, 2] })
        );
        assert_eq!(Tensor::new(DType::F32, vec![1; 9], vec![0; 4]), Err(TensorError::Rank { rank: 9 }));
    }

    #[test]
    fn typed_views_return_what_was_put_in() {
        let floats = Tensor::from_f32(vec![2], &[1.5, -0.0]).unwrap();
        assert_eq!(floats.data(), [0, 0, 0xc0, 0x3f, 0, 0, 0, 0x80]);
        assert_eq!(floats.to_f32().unwrap(), [1.5, -0.0]);
        assert_eq!(floats.elements(), 2);
        let ints = Tensor::from_i64(vec![], &[-2]).unwrap();
        assert_eq!(ints.to_i64().unwrap(), [-2]);
        assert_eq!(ints.elements(), 1);
        let bools = Tensor::from_bool(vec![2], &[true, false]).unwrap();
        assert_eq!(bools.to_bool().unwrap(), [true, false]);
        assert_eq!(bools.to_f32(), Err(TensorError::Type { expected: DType::F32, got: DType::Bool }));
    }

    #[test]
    fn elements_of_less_than_a_byte_share_them() {
        let quanta = Tensor::of_unpacked(DType::U4, vec![3], vec![1, 2, 0xf3]).unwrap();
        assert_eq!((quanta.data(), quanta.elements()), ([0x21, 0x03].as_slice(), 3));
        assert_eq!(*quanta.unpacked(), [1, 2, 3]);
        assert_eq!(quanta, Tensor::new(DType::U4, vec![3], vec![0x21, 0x03]).unwrap());
        let length = |expected, got| TensorError::Length { dtype: DType::U4, shape: vec![3], expected, got };
        assert_eq!(Tensor::new(DType::U4, vec![3], vec![0; 3]), Err(length(2, 3)));
        assert_eq!(Tensor::of_unpacked(DType::U4, vec![3], vec![0; 2]), Err(length(3, 2)));
        assert_eq!(Tensor::new(DType::I2, vec![5, 0], vec![]).unwrap().elements(), 0);
        let vast = vec![1 << 62, 4];
        assert_eq!(Tensor::new(DType::I2, vast.clone(), vec![]), Err(TensorError::Overflow { shape: vast }));
    }

    #[test]
    fn decoding_checks_the_length() {
        let tensor = Tensor::from_i64(vec![1], &[7]).unwrap();
        let mut bytes = postcard::to_stdvec(&tensor).unwrap();
        assert_eq!(postcard::from_bytes::<Tensor>(&bytes).unwrap(), tensor);
        // The second byte counts dimensions, the third is the only extent.
        bytes[2] = 2;
        assert!(postcard::from_bytes::<Tensor>(&bytes).is_err());
    }
}
