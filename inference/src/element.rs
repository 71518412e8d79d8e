//! What an element of a tensor can become and can be made of.

use half::{bf16, f16};

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
