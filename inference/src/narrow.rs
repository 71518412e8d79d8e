//! Elements of eight bits or fewer that no machine computes with: quantised weights as they are
//! stored. Each is kept in a byte of its own while a model runs and packed where bytes leave it.
//!
//! Floats are those of the OCP 8-bit Floating Point and Microscaling Formats specifications (2023),
//! and the variants `FNUZ` of B. Noune et al., "8-bit numerical formats for deep neural networks"
//! (2022), that ONNX has beside them.

use std::iter;

use crate::{dtype::DType, element::Element};

/// An element, by ONNX's number of its type; its bits are the lowest of the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Narrow<const CODE: u8>(u8);

pub(crate) type F8E4M3FN = Narrow<17>;
pub(crate) type F8E4M3FNUZ = Narrow<18>;
pub(crate) type F8E5M2 = Narrow<19>;
pub(crate) type F8E5M2FNUZ = Narrow<20>;
pub(crate) type U4 = Narrow<21>;
pub(crate) type I4 = Narrow<22>;
pub(crate) type F4E2M1 = Narrow<23>;
pub(crate) type F8E8M0 = Narrow<24>;
pub(crate) type U2 = Narrow<25>;
pub(crate) type I2 = Narrow<26>;

/// How a number becomes one of few bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rounding {
    /// What is too large becomes the largest, not infinite or no number.
    pub(crate) saturates: bool,
    /// Of powers of two alone, which lie far apart.
    pub(crate) powers: Powers,
}

/// Which power of two a number becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Powers {
    /// The next one up.
    Up,
    /// The next one down.
    Down,
    /// The nearest, up when there are two.
    Nearest,
}

impl Rounding {
    /// What ONNX does unless told otherwise.
    pub(crate) const USUAL: Self = Self { saturates: true, powers: Powers::Up };
}

/// What the bits of a type mean.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Unsigned {
        bits: u32,
    },
    Signed {
        bits: u32,
    },
    Float(Format),
    /// A power of two without sign; all ones are no number.
    Power,
}

/// A float with a sign.
#[derive(Clone, Copy, Debug)]
struct Format {
    exponent_bits: u32,
    mantissa_bits: u32,
    bias: i32,
    /// Bits of the largest number.
    largest: u8,
    /// Bits of what is no number, without the sign; in `FNUZ` formats the sign alone.
    nan: Nan,
    /// Bits of infinity.
    infinity: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nan {
    /// These bits and, with infinities, those above them.
    Of(u8),
    /// The bits of the negative zero, which there is not.
    NegativeZero,
    /// There is none.
    Missing,
}

fn kind(code: u8) -> Kind {
    let float = |exponent_bits, mantissa_bits, bias, largest, nan, infinity| {
        Kind::Float(Format { exponent_bits, mantissa_bits, bias, largest, nan, infinity })
    };
    match code {
        17 => float(4, 3, 7, 0x7e, Nan::Of(0x7f), None),
        18 => float(4, 3, 8, 0x7f, Nan::NegativeZero, None),
        19 => float(5, 2, 15, 0x7b, Nan::Of(0x7e), Some(0x7c)),
        20 => float(5, 2, 16, 0x7f, Nan::NegativeZero, None),
        21 => Kind::Unsigned { bits: 4 },
        22 => Kind::Signed { bits: 4 },
        23 => float(2, 1, 1, 0x7, Nan::Missing, None),
        25 => Kind::Unsigned { bits: 2 },
        26 => Kind::Signed { bits: 2 },
        _ => Kind::Power,
    }
}

impl Kind {
    fn number(self, bits: u8) -> f64 {
        match self {
            Self::Unsigned { .. } | Self::Signed { .. } => self.integer(bits) as f64,
            Self::Float(format) => format.number(bits),
            Self::Power if bits == 0xff => f64::NAN,
            Self::Power => power(i32::from(bits) - POWER_BIAS),
        }
    }

    /// Only of integers.
    fn integer(self, bits: u8) -> i128 {
        match self {
            Self::Signed { bits: width } => {
                let unused = 8 - width;
                i128::from((bits << unused).cast_signed() >> unused)
            }
            Self::Unsigned { .. } | Self::Float(_) | Self::Power => i128::from(bits),
        }
    }

    fn bits(self, value: f64, rounding: Rounding) -> u8 {
        match self {
            Self::Unsigned { bits } => value.clamp(0.0, f64::from((1_u32 << bits) - 1)) as u8,
            Self::Signed { bits } => {
                let half = f64::from(1_u32 << (bits - 1));
                (value.clamp(-half, half - 1.0) as i8).cast_unsigned() & mask(bits)
            }
            Self::Float(format) => format.bits(value, rounding.saturates),
            Self::Power => power_bits(value, rounding),
        }
    }
}

impl Format {
    fn sign(self) -> u8 {
        1 << (self.exponent_bits + self.mantissa_bits)
    }

    fn number(self, bits: u8) -> f64 {
        let (sign, magnitude) = (bits & self.sign(), bits & (self.sign() - 1));
        let signed = |value: f64| if sign == 0 { value } else { -value };
        let is_nan = match self.nan {
            Nan::Of(_) => magnitude > self.infinity.unwrap_or(self.largest),
            Nan::NegativeZero => sign != 0 && magnitude == 0,
            Nan::Missing => false,
        };
        if is_nan {
            return signed(f64::NAN);
        }
        if Some(magnitude) == self.infinity {
            return signed(f64::INFINITY);
        }
        let exponent = i32::from(magnitude >> self.mantissa_bits);
        let fraction = f64::from(magnitude & mask(self.mantissa_bits)) * power(-self.mantissa_bits.cast_signed());
        let is_normal = f64::from(u8::from(exponent > 0));
        signed((is_normal + fraction) * power(exponent.max(1) - self.bias))
    }

    /// The nearest number, ties to even.
    fn bits(self, value: f64, saturates: bool) -> u8 {
        let sign = if value.is_sign_negative() { self.sign() } else { 0 };
        let nan = match self.nan {
            Nan::Of(bits) => sign | bits,
            Nan::NegativeZero => self.sign(),
            Nan::Missing => self.sign(),
        };
        if value.is_nan() {
            return nan;
        }
        let magnitude = self.rounded(value.abs());
        let is_whole = self.nan == Nan::Missing;
        match u8::try_from(magnitude).ok().filter(|magnitude| *magnitude <= self.largest) {
            Some(0) if self.nan == Nan::NegativeZero => 0,
            Some(magnitude) => sign | magnitude,
            None if saturates || is_whole => sign | self.largest,
            None => self.infinity.map_or(nan, |infinity| sign | infinity),
        }
    }

    /// Position among the numbers from 0 up, as if there were no largest.
    fn rounded(self, value: f64) -> u32 {
        if value.is_infinite() {
            return u32::MAX;
        }
        let exponent = exponent(value).max(1 - self.bias);
        let mantissa = self.mantissa_bits.cast_signed();
        let steps = libm::scalbn(value, mantissa - exponent).round_ties_even() as u32;
        // The bit in front of the mantissa counts as one more exponent.
        (((exponent + self.bias - 1) as u32) << self.mantissa_bits) + steps
    }
}

const POWER_BIAS: i32 = 127;

fn power_bits(value: f64, rounding: Rounding) -> u8 {
    const NAN: u8 = 0xff;
    if value.is_nan() {
        return NAN;
    }
    let value = value.abs();
    let below = exponent(value);
    let at = match rounding.powers {
        _ if value.is_infinite() => POWER_BIAS + 1,
        Powers::Down => below,
        Powers::Up => below + i32::from(value > power(below)),
        Powers::Nearest => below + i32::from(value >= 1.5 * power(below)),
    };
    match u8::try_from(at + POWER_BIAS) {
        Ok(bits) if bits < NAN && value > 0.0 => bits,
        _ if !rounding.saturates => NAN,
        _ if at > 0 => NAN - 1,
        _ => 0,
    }
}

fn mask(bits: u32) -> u8 {
    ((1_u32 << bits) - 1) as u8
}

fn power(exponent: i32) -> f64 {
    libm::scalbn(1.0, exponent)
}

/// Exponent of the largest power of two not above; that of all numbers too small for a full
/// mantissa is one that is below every format's.
fn exponent(value: f64) -> i32 {
    ((value.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

impl<const CODE: u8> Element for Narrow<CODE> {
    fn to_float(self) -> f64 {
        kind(CODE).number(self.0)
    }

    fn of_float(value: f64) -> Self {
        Self(kind(CODE).bits(value, Rounding::USUAL))
    }

    fn to_int(self) -> i128 {
        match kind(CODE) {
            own @ (Kind::Unsigned { .. } | Kind::Signed { .. }) => own.integer(self.0),
            Kind::Float(_) | Kind::Power => self.to_float() as i128,
        }
    }

    fn of_int(value: i128) -> Self {
        match kind(CODE) {
            Kind::Unsigned { bits } | Kind::Signed { bits } => Self(value as u8 & mask(bits)),
            Kind::Float(_) | Kind::Power => Self::of_float(value as f64),
        }
    }

    fn read(bytes: &[u8]) -> Self {
        Self(bytes.iter().copied().fold(0, |all, byte| all | byte))
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.push(self.0);
    }
}

/// The bits of a number of a type of eight bits or fewer.
pub(crate) fn bits(dtype: DType, value: f64, rounding: Rounding) -> u8 {
    kind(dtype.code()).bits(value, rounding)
}

/// Elements of less than a byte, one in each byte, side by side; the first is in the lowest bits
/// and what is left of the last byte is 0, as ONNX packs them.
pub(crate) fn pack(dtype: DType, elements: &[u8]) -> Vec<u8> {
    let (width, each) = layout(dtype);
    let packed = |elements: &[u8]| {
        elements.iter().rev().fold(0_u8, |byte, element| byte.unbounded_shl(width) | (element & mask(width)))
    };
    elements.chunks(each).map(packed).collect()
}

/// The first so many packed elements, one in each byte.
pub(crate) fn unpack(dtype: DType, count: usize, bytes: &[u8]) -> Vec<u8> {
    let (width, each) = layout(dtype);
    let elements = bytes
        .iter()
        .flat_map(|byte| iter::successors(Some(*byte), move |rest| Some(rest.unbounded_shr(width))).take(each));
    elements.map(|element| element & mask(width)).take(count).collect()
}

/// Bits of an element, and elements of a byte.
fn layout(dtype: DType) -> (u32, usize) {
    let bits = dtype.size_bits();
    (bits, (8 / bits.clamp(1, 8)) as usize)
}

#[cfg(test)]
#[path = "narrow_tests.rs"]
mod tests;
