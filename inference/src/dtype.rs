//! Element types, as the Open Inference Protocol names them and ONNX numbers them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Element type of a tensor.
///
/// Formats know all of these, and operators name what they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// One byte per element, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Four bits of exponent and three of mantissa, no infinity.
    F8E4M3FN,
    /// The same with another bias, no infinity and no negative zero.
    F8E4M3FNUZ,
    /// Five bits of exponent and two of mantissa.
    F8E5M2,
    /// The same with another bias, no infinity and no negative zero.
    F8E5M2FNUZ,
    /// A power of two.
    F8E8M0,
    /// Two bits of exponent and one of mantissa; neither infinity nor what is no number.
    F4E2M1,
    /// Unsigned, 4 bits.
    U4,
    /// Signed, 4 bits.
    I4,
    /// Unsigned, 2 bits.
    U2,
    /// Signed, 2 bits.
    I2,
}

impl DType {
    /// Every element type, in the order of the declaration.
    pub const ALL: [Self; 23] = [
        Self::Bool,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F16,
        Self::BF16,
        Self::F32,
        Self::F64,
        Self::F8E4M3FN,
        Self::F8E4M3FNUZ,
        Self::F8E5M2,
        Self::F8E5M2FNUZ,
        Self::F8E8M0,
        Self::F4E2M1,
        Self::U4,
        Self::I4,
        Self::U2,
        Self::I2,
    ];

    /// `datatype` of the Open Inference Protocol v2, for example `FP32`; in its manner where the
    /// protocol has no name, for example `FP8E5M2`.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// `TensorProto.DataType` of ONNX; also the byte that stands for the type in the graph IR.
    pub fn code(self) -> u8 {
        self.row().1
    }

    /// Bits of one element.
    pub fn size_bits(self) -> u32 {
        self.row().2
    }

    /// Bytes of one element where it stands alone, as it does while a model runs. Where tensors are
    /// stored, smaller ones are packed: see [`DType::stored_bytes`].
    pub fn size_bytes(self) -> u64 {
        u64::from(self.size_bits().div_ceil(8))
    }

    /// Bytes of so many elements as a tensor stores them; `None` when that overflows.
    pub fn stored_bytes(self, elements: u64) -> Option<u64> {
        elements.checked_mul(u64::from(self.size_bits())).map(|bits| bits.div_ceil(8))
    }

    /// Whether several elements share a byte of a tensor, the first in its lowest bits.
    pub fn is_packed(self) -> bool {
        self.size_bits() < 8
    }

    /// Whether elements are only stored and converted: floats of eight bits, and all of fewer.
    pub fn is_narrow(self) -> bool {
        self.is_packed() || (self.is_float() && self.size_bits() == 8)
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        match self {
            Self::F16 | Self::BF16 | Self::F32 | Self::F64 | Self::F4E2M1 => true,
            Self::F8E4M3FN | Self::F8E4M3FNUZ | Self::F8E5M2 | Self::F8E5M2FNUZ | Self::F8E8M0 => true,
            Self::Bool | Self::U8 | Self::U16 | Self::U32 | Self::U64 | Self::U4 | Self::U2 => false,
            Self::I8 | Self::I16 | Self::I32 | Self::I64 | Self::I4 | Self::I2 => false,
        }
    }

    /// The type with that Open Inference Protocol name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// The type with that ONNX number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.code() == code)
    }

    fn row(self) -> (&'static str, u8, u32) {
        match self {
            Self::Bool => ("BOOL", 9, 8),
            Self::U8 => ("UINT8", 2, 8),
            Self::U16 => ("UINT16", 4, 16),
            Self::U32 => ("UINT32", 12, 32),
            Self::U64 => ("UINT64", 13, 64),
            Self::I8 => ("INT8", 3, 8),
            Self::I16 => ("INT16", 5, 16),
            Self::I32 => ("INT32", 6, 32),
            Self::I64 => ("INT64", 7, 64),
            Self::F16 => ("FP16", 10, 16),
            Self::BF16 => ("BF16", 16, 16),
            Self::F32 => ("FP32", 1, 32),
            Self::F64 => ("FP64", 11, 64),
            Self::F8E4M3FN => ("FP8E4M3FN", 17, 8),
            Self::F8E4M3FNUZ => ("FP8E4M3FNUZ", 18, 8),
            Self::F8E5M2 => ("FP8E5M2", 19, 8),
            Self::F8E5M2FNUZ => ("FP8E5M2FNUZ", 20, 8),
            Self::F8E8M0 => ("FP8E8M0", 24, 8),
            Self::F4E2M1 => ("FP4E2M1", 23, 4),
            Self::U4 => ("UINT4", 21, 4),
            Self::I4 => ("INT4", 22, 4),
            Self::U2 => ("UINT2", 25, 2),
            Self::I2 => ("INT2", 26, 2),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for DType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.name())
        } else {
            serializer.serialize_u8(self.code())
        }
    }
}

impl<'de> Deserialize<'de> for DType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let name = String::deserialize(deserializer)?;
            Self::from_name(&name)
                .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&name), &"a datatype such as FP32"))
        } else {
            let code = u8::deserialize(deserializer)?;
            Self::from_code(code).ok_or_else(|| {
                de::Error::invalid_value(de::Unexpected::Unsigned(code.into()), &"an ONNX data type number")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_the_published_ones_and_unique() {
        let table: Vec<_> = DType::ALL.map(|dtype| (dtype.name(), dtype.code(), dtype.size_bits())).to_vec();
        assert_eq!(
            table,
            [
                ("BOOL", 9, 8),
                ("UINT8", 2, 8),
                ("UINT16", 4, 16),
                ("UINT32", 12, 32),
                ("UINT64", 13, 64),
                ("INT8", 3, 8),
                ("INT16", 5, 16),
                ("INT32", 6, 32),
                ("INT64", 7, 64),
                ("FP16", 10, 16),
                ("BF16", 16, 16),
                ("FP32", 1, 32),
                ("FP64", 11, 64),
                ("FP8E4M3FN", 17, 8),
                ("FP8E4M3FNUZ", 18, 8),
                ("FP8E5M2", 19, 8),
                ("FP8E5M2FNUZ", 20, 8),
                ("FP8E8M0", 24, 8),
                ("FP4E2M1", 23, 4),
                ("UINT4", 21, 4),
                ("INT4", 22, 4),
                ("UINT2", 25, 2),
                ("INT2", 26, 2),
            ]
        );
        for dtype in DType::ALL {
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
            assert_eq!(DType::from_code(dtype.code()), Some(dtype));
        }
        assert_eq!(DType::from_name("BYTES"), None);
        assert_eq!(DType::from_code(8), None);
    }

    #[test]
    fn json_has_the_name_and_postcard_the_code() {
        assert_eq!(serde_json::to_string(&DType::F32).unwrap(), "\"FP32\"");
        assert_eq!(postcard::to_stdvec(&DType::F32).unwrap(), [1]);
        assert_eq!(postcard::from_bytes::<DType>(&[7]).unwrap(), DType::I64);
        assert!(postcard::from_bytes::<DType>(&[8]).is_err());
        assert!(serde_json::from_str::<DType>("\"BYTES\"").is_err());
    }
}
