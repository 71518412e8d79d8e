//! Elements of a host tensor, by type.
//!
//! Kernels compute with two number types only: `f64` for floats, which holds every other float
//! exactly, and whole machine words for integers. What they make is rounded once, or wraps, when
//! it becomes an element again. For the four basic operations and the square root of `FP32` that
//! is the correctly rounded result, because 53 bits are at least twice 24 and two more
//! (S. A. Figueroa, "When is double rounding innocuous?", 1995).

use half::{bf16, f16};

use crate::dtype::DType;

/// Elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Bool(Vec<bool>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F16(Vec<f16>),
    BF16(Vec<bf16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// An expression over the elements, whatever their type.
macro_rules! each_data {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            Data::Bool($values) => $body,
            Data::U8($values) => $body,
            Data::U16($values) => $body,
            Data::U32($values) => $body,
            Data::U64($values) => $body,
            Data::I8($values) => $body,
            Data::I16($values) => $body,
            Data::I32($values) => $body,
            Data::I64($values) => $body,
            Data::F16($values) => $body,
            Data::BF16($values) => $body,
            Data::F32($values) => $body,
            Data::F64($values) => $body,
        }
    };
}

/// Elements of the same type made from elements.
macro_rules! map_data {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            Data::Bool($values) => Data::Bool($body),
            Data::U8($values) => Data::U8($body),
            Data::U16($values) => Data::U16($body),
            Data::U32($values) => Data::U32($body),
            Data::U64($values) => Data::U64($body),
            Data::I8($values) => Data::I8($body),
            Data::I16($values) => Data::I16($body),
            Data::I32($values) => Data::I32($body),
            Data::I64($values) => Data::I64($body),
            Data::F16($values) => Data::F16($body),
            Data::BF16($values) => Data::BF16($body),
            Data::F32($values) => Data::F32($body),
            Data::F64($values) => Data::F64($body),
        }
    };
}

/// Elements of a type, each made by `$make` from nothing but its Rust type.
macro_rules! make_data {
    ($dtype:expr, $element:ident => $body:expr) => {
        match $dtype {
            DType::Bool => {
                type $element = bool;
                Data::Bool($body)
            }
            DType::U8 => {
                type $element = u8;
                Data::U8($body)
            }
            DType::U16 => {
                type $element = u16;
                Data::U16($body)
            }
            DType::U32 => {
                type $element = u32;
                Data::U32($body)
            }
            DType::U64 => {
                type $element = u64;
                Data::U64($body)
            }
            DType::I8 => {
                type $element = i8;
                Data::I8($body)
            }
            DType::I16 => {
                type $element = i16;
                Data::I16($body)
            }
            DType::I32 => {
                type $element = i32;
                Data::I32($body)
            }
            DType::I64 => {
                type $element = i64;
                Data::I64($body)
            }
            DType::F16 => {
                type $element = f16;
                Data::F16($body)
            }
            DType::BF16 => {
                type $element = bf16;
                Data::BF16($body)
            }
            DType::F32 => {
                type $element = f32;
                Data::F32($body)
            }
            DType::F64 => {
                type $element = f64;
                Data::F64($body)
            }
        }
    };
}

/// What an element can become and can be made of.
pub(crate) trait Element: Copy + PartialEq {
    /// The number; a truth value is 1 or 0. Integers beyond 2⁵³ are rounded.
    fn to_float(self) -> f64;
    /// The nearest element, ties to even; integers lose the fraction and stop at their bounds.
    fn of_float(value: f64) -> Self;
    /// The integer; floats lose the fraction.
    fn to_int(self) -> i128;
    /// The element with the lowest bits; a truth value is whether there is any bit.
    fn of_int(value: i128) -> Self;
    /// From little-endian bytes of exactly one element.
    fn read(bytes: &[u8]) -> Self;
    /// Appends little-endian bytes.
    fn write(self, bytes: &mut Vec<u8>);
}

macro_rules! integers {
    ($($kind:ty)*) => {$(
        impl Element for $kind {
            fn to_float(self) -> f64 { i128::from(self) as f64 }
            fn of_float(value: f64) -> Self { value as Self }
            fn to_int(self) -> i128 { i128::from(self) }
            fn of_int(value: i128) -> Self { value as Self }
            fn read(bytes: &[u8]) -> Self { Self::from_le_bytes(bytes.try_into().expect(EXACT)) }
            fn write(self, bytes: &mut Vec<u8>) { bytes.extend(self.to_le_bytes()) }
        }
    )*};
}

macro_rules! floats {
    ($($kind:ty, $to:expr, $of:expr, $of_int:expr);*) => {$(
        impl Element for $kind {
            fn to_float(self) -> f64 { $to(self) }
            fn of_float(value: f64) -> Self { $of(value) }
            fn to_int(self) -> i128 { self.to_float() as i128 }
            fn of_int(value: i128) -> Self { $of_int(value) }
            fn read(bytes: &[u8]) -> Self { Self::from_le_bytes(bytes.try_into().expect(EXACT)) }
            fn write(self, bytes: &mut Vec<u8>) { bytes.extend(self.to_le_bytes()) }
        }
    )*};
}

const EXACT: &str = "bytes are cut into elements by their size";

integers!(u8 u16 u32 u64 i8 i16 i32 i64);
floats!(
    f16, f16::to_f64, |value| f16::from_f32(to_odd(value)), |value| f16::from_f32(to_odd(value as f64));
    bf16, bf16::to_f64, |value| bf16::from_f32(to_odd(value)), |value| bf16::from_f32(to_odd(value as f64));
    f32, f64::from, |value| value as f32, |value| value as f32;
    f64, |value| value, |value| value, |value| value as f64
);

impl Element for bool {
    fn to_float(self) -> f64 {
        f64::from(u8::from(self))
    }

    fn of_float(value: f64) -> Self {
        value != 0.0
    }

    fn to_int(self) -> i128 {
        i128::from(self)
    }

    fn of_int(value: i128) -> Self {
        value != 0
    }

    fn read(bytes: &[u8]) -> Self {
        bytes.iter().any(|byte| *byte != 0)
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
}

/// Rounds to odd, so that rounding the result once more to at most 22 bits is rounding once
/// (S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
fn to_odd(value: f64) -> f32 {
    let near = value as f32;
    if value.is_nan() || f64::from(near) == value {
        return near;
    }
    let beyond = f64::from(near).abs() > value.abs();
    f32::from_bits((near.to_bits() - u32::from(beyond)) | 1)
}

impl Data {
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Bool(_) => DType::Bool,
            Self::U8(_) => DType::U8,
            Self::U16(_) => DType::U16,
            Self::U32(_) => DType::U32,
            Self::U64(_) => DType::U64,
            Self::I8(_) => DType::I8,
            Self::I16(_) => DType::I16,
            Self::I32(_) => DType::I32,
            Self::I64(_) => DType::I64,
            Self::F16(_) => DType::F16,
            Self::BF16(_) => DType::BF16,
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    pub(crate) fn len(&self) -> usize {
        each_data!(self, values => values.len())
    }

    /// Elements from little-endian bytes.
    pub(crate) fn read(dtype: DType, bytes: &[u8]) -> Self {
        make_data!(dtype, T => bytes.chunks_exact(size_of::<T>()).map(T::read).collect())
    }

    /// Little-endian bytes, as the elements lie in memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        each_data!(self, values => bytemuck::cast_slice(values))
    }

    /// Little-endian bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * self.dtype().size_bytes() as usize);
        each_data!(self, values => values.iter().for_each(|value| value.write(&mut bytes)));
        bytes
    }

    /// Elements as numbers.
    pub(crate) fn to_floats(&self) -> Vec<f64> {
        each_data!(self, values => values.iter().map(|value| value.to_float()).collect())
    }

    /// Elements as integers.
    pub(crate) fn to_ints(&self) -> Vec<i128> {
        each_data!(self, values => values.iter().map(|value| value.to_int()).collect())
    }

    /// Elements of a type from numbers.
    pub(crate) fn of_floats(dtype: DType, values: impl Iterator<Item = f64>) -> Self {
        make_data!(dtype, T => values.map(T::of_float).collect())
    }

    /// Elements of a type from integers.
    pub(crate) fn of_ints(dtype: DType, values: impl Iterator<Item = i128>) -> Self {
        make_data!(dtype, T => values.map(T::of_int).collect())
    }

    /// The elements at these places, in this order.
    ///
    /// # Panics
    /// For a place outside.
    pub(crate) fn pick(&self, places: impl Iterator<Item = usize>) -> Self {
        map_data!(self, values => places.map(|place| values[place]).collect())
    }

    /// Joins elements of one type.
    ///
    /// # Panics
    /// When the types differ, which the check of the graph refuses.
    pub(crate) fn extend(&mut self, other: &Self) {
        match (self, other) {
            (Self::Bool(all), Self::Bool(more)) => all.extend(more),
            (Self::U8(all), Self::U8(more)) => all.extend(more),
            (Self::U16(all), Self::U16(more)) => all.extend(more),
            (Self::U32(all), Self::U32(more)) => all.extend(more),
            (Self::U64(all), Self::U64(more)) => all.extend(more),
            (Self::I8(all), Self::I8(more)) => all.extend(more),
            (Self::I16(all), Self::I16(more)) => all.extend(more),
            (Self::I32(all), Self::I32(more)) => all.extend(more),
            (Self::I64(all), Self::I64(more)) => all.extend(more),
            (Self::F16(all), Self::F16(more)) => all.extend(more),
            (Self::BF16(all), Self::BF16(more)) => all.extend(more),
            (Self::F32(all), Self::F32(more)) => all.extend(more),
            (Self::F64(all), Self::F64(more)) => all.extend(more),
            (all, more) => unreachable!("{} and {} were checked to be one type", all.dtype(), more.dtype()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_once() {
        // 1 + 2⁻¹¹ lies between two halves; a little more must go up, though an FP32 between does not see it.
        let tie = 1.0 + f64::powi(2.0, -11);
        assert_eq!(f16::of_float(tie), f16::from_f32(1.0));
        assert_eq!(f16::of_float(tie + f64::powi(2.0, -40)), f16::from_f32(1.0 + 0.000_976_562_5));
        assert_eq!(f16::of_float(1e300), f16::INFINITY);
        assert!(f16::of_float(f64::NAN).is_nan());
        assert_eq!(bf16::of_float(-0.0).to_bits(), 0x8000);
    }

    #[test]
    fn bytes_and_elements_are_the_same() {
        for dtype in DType::ALL {
            let data = Data::of_ints(dtype, [0, 1].into_iter());
            assert_eq!(data.dtype(), dtype);
            assert_eq!(Data::read(dtype, &data.write()), data);
            assert_eq!(data.to_floats(), [0.0, 1.0]);
        }
    }

    #[test]
    fn integers_wrap_and_floats_stop() {
        assert_eq!(Data::of_ints(DType::U8, [-1, 256, 257].into_iter()), Data::U8(vec![255, 0, 1]));
        assert_eq!(Data::of_floats(DType::I8, [-1e9, f64::NAN, 200.0].into_iter()), Data::I8(vec![-128, 0, 127]));
    }
}
