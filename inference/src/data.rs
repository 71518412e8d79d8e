//! Elements of a host tensor, by type.
//!
//! Kernels compute with two number types only: `f64` for floats, which holds every other float
//! exactly, and whole machine words for integers. What they make is rounded once, or wraps, when
//! it becomes an element again. For the four basic operations and the square root of `FP32` that
//! is the correctly rounded result, because 53 bits are at least twice 24 and two more
//! (S. A. Figueroa, "When is double rounding innocuous?", 1995).

use bytemuck::cast_slice;
use half::{bf16, f16};

use crate::{dtype::DType, element::Element, narrow};

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
    F8E4M3FN(Vec<narrow::F8E4M3FN>),
    F8E4M3FNUZ(Vec<narrow::F8E4M3FNUZ>),
    F8E5M2(Vec<narrow::F8E5M2>),
    F8E5M2FNUZ(Vec<narrow::F8E5M2FNUZ>),
    F8E8M0(Vec<narrow::F8E8M0>),
    F4E2M1(Vec<narrow::F4E2M1>),
    U4(Vec<narrow::U4>),
    I4(Vec<narrow::I4>),
    U2(Vec<narrow::U2>),
    I2(Vec<narrow::I2>),
}

/// An expression over the elements, whatever their type.
macro_rules! each_data {
    ($data:expr, $values:ident => $body:expr) => {
        each_data!(
            @[
                Bool U8 U16 U32 U64 I8 I16 I32 I64 F16 BF16 F32 F64 F8E4M3FN F8E4M3FNUZ F8E5M2
                F8E5M2FNUZ F8E8M0 F4E2M1 U4 I4 U2 I2
            ]
            $data, $values => $body
        )
    };
    (@[$($kind:ident)*] $data:expr, $values:ident => $body:expr) => {
        match $data {
            $(Data::$kind($values) => $body,)*
        }
    };
}

/// Elements of the same type made from elements.
macro_rules! map_data {
    ($data:expr, $values:ident => $body:expr) => {
        map_data!(
            @[
                Bool U8 U16 U32 U64 I8 I16 I32 I64 F16 BF16 F32 F64 F8E4M3FN F8E4M3FNUZ F8E5M2
                F8E5M2FNUZ F8E8M0 F4E2M1 U4 I4 U2 I2
            ]
            $data, $values => $body
        )
    };
    (@[$($kind:ident)*] $data:expr, $values:ident => $body:expr) => {
        match $data {
            $(Data::$kind($values) => Data::$kind($body),)*
        }
    };
}

/// Elements of a type, each made by `$body` from nothing but its Rust type.
macro_rules! make_data {
    ($dtype:expr, $element:ident => $body:expr) => {
        make_data!(
            @[
                [Bool bool] [U8 u8] [U16 u16] [U32 u32] [U64 u64] [I8 i8] [I16 i16] [I32 i32]
                [I64 i64] [F16 f16] [BF16 bf16] [F32 f32] [F64 f64] [F8E4M3FN narrow::F8E4M3FN]
                [F8E4M3FNUZ narrow::F8E4M3FNUZ] [F8E5M2 narrow::F8E5M2]
                [F8E5M2FNUZ narrow::F8E5M2FNUZ] [F8E8M0 narrow::F8E8M0] [F4E2M1 narrow::F4E2M1]
                [U4 narrow::U4] [I4 narrow::I4] [U2 narrow::U2] [I2 narrow::I2]
            ]
            $dtype, $element => $body
        )
    };
    (@[$([$kind:ident $rust:ty])*] $dtype:expr, $element:ident => $body:expr) => {
        match $dtype {
            $(DType::$kind => {
                type $element = $rust;
                Data::$kind($body)
            })*
        }
    };
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
            Self::F8E4M3FN(_) => DType::F8E4M3FN,
            Self::F8E4M3FNUZ(_) => DType::F8E4M3FNUZ,
            Self::F8E5M2(_) => DType::F8E5M2,
            Self::F8E5M2FNUZ(_) => DType::F8E5M2FNUZ,
            Self::F8E8M0(_) => DType::F8E8M0,
            Self::F4E2M1(_) => DType::F4E2M1,
            Self::U4(_) => DType::U4,
            Self::I4(_) => DType::I4,
            Self::U2(_) => DType::U2,
            Self::I2(_) => DType::I2,
        }
    }

    pub(crate) fn len(&self) -> usize {
        each_data!(self, values => values.len())
    }

    /// So many elements from little-endian bytes, those of less than a byte packed.
    pub(crate) fn read(dtype: DType, count: usize, bytes: &[u8]) -> Self {
        let read = |bytes: &[u8]| make_data!(dtype, T => bytes.chunks_exact(size_of::<T>()).map(T::read).collect());
        if dtype.is_packed() { read(&narrow::unpack(dtype, count, bytes)) } else { read(bytes) }
    }

    /// Little-endian bytes, as the elements lie in memory; of types narrower than a byte and of floats of
    /// eight bits, which kernels for the processor never read, there are none to see.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bool(values) => cast_slice(values),
            Self::U8(values) => values,
            Self::U16(values) => cast_slice(values),
            Self::U32(values) => cast_slice(values),
            Self::U64(values) => cast_slice(values),
            Self::I8(values) => cast_slice(values),
            Self::I16(values) => cast_slice(values),
            Self::I32(values) => cast_slice(values),
            Self::I64(values) => cast_slice(values),
            Self::F16(values) => cast_slice(values),
            Self::BF16(values) => cast_slice(values),
            Self::F32(values) => cast_slice(values),
            Self::F64(values) => cast_slice(values),
            Self::F8E4M3FN(_)
            | Self::F8E4M3FNUZ(_)
            | Self::F8E5M2(_)
            | Self::F8E5M2FNUZ(_)
            | Self::F8E8M0(_)
            | Self::F4E2M1(_)
            | Self::U4(_)
            | Self::I4(_)
            | Self::U2(_)
            | Self::I2(_) => &[],
        }
    }

    /// Elements of eight bits or fewer from their bits.
    pub(crate) fn of_bits(dtype: DType, bits: impl Iterator<Item = u8>) -> Self {
        debug_assert!(dtype.size_bytes() == 1, "others have more bits");
        make_data!(dtype, T => bits.map(|bits| T::read(&[bits])).collect())
    }

    /// Little-endian bytes, elements of less than a byte packed.
    pub(crate) fn write(&self) -> Vec<u8> {
        let dtype = self.dtype();
        let mut bytes = Vec::with_capacity(self.len() * dtype.size_bytes() as usize);
        each_data!(self, values => values.iter().for_each(|value| value.write(&mut bytes)));
        if dtype.is_packed() { narrow::pack(dtype, &bytes) } else { bytes }
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
            (Self::F8E4M3FN(all), Self::F8E4M3FN(more)) => all.extend(more),
            (Self::F8E4M3FNUZ(all), Self::F8E4M3FNUZ(more)) => all.extend(more),
            (Self::F8E5M2(all), Self::F8E5M2(more)) => all.extend(more),
            (Self::F8E5M2FNUZ(all), Self::F8E5M2FNUZ(more)) => all.extend(more),
            (Self::F8E8M0(all), Self::F8E8M0(more)) => all.extend(more),
            (Self::F4E2M1(all), Self::F4E2M1(more)) => all.extend(more),
            (Self::U4(all), Self::U4(more)) => all.extend(more),
            (Self::I4(all), Self::I4(more)) => all.extend(more),
            (Self::U2(all), Self::U2(more)) => all.extend(more),
            (Self::I2(all), Self::I2(more)) => all.extend(more),
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
            assert_eq!(Data::read(dtype, 2, &data.write()), data);
            // The one type without a zero has its smallest power.
            let zero = if dtype == DType::F8E8M0 { f64::powi(2.0, -127) } else { 0.0 };
            assert_eq!(data.to_floats(), [zero, 1.0]);
        }
    }

    #[test]
    fn integers_wrap_and_floats_stop() {
        assert_eq!(Data::of_ints(DType::U8, [-1, 256, 257].into_iter()), Data::U8(vec![255, 0, 1]));
        assert_eq!(Data::of_floats(DType::I8, [-1e9, f64::NAN, 200.0].into_iter()), Data::I8(vec![-128, 0, 127]));
    }
}
