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
}

impl DType {
    /// Every element type, in the order of the declaration.
    pub const ALL: [Self; 13] = [
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
    ];

    /// `datatype` of the Open Inference Protocol v2, for example `FP32`.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// `TensorProto.DataType` of ONNX; also the byte that stands for the type in the graph IR.
    pub fn code(self) -> u8 {
        self.row().1
    }

    /// Bytes of one element.
    pub fn size_bytes(self) -> u64 {
        self.row().2
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// The type with that Open Inference Protocol name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// The type with that ONNX number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.code() == code)
    }

    fn row(self) -> (&'static str, u8, u64) {
        match self {
            Self::Bool => ("BOOL", 9, 1),
            Self::U8 => ("UINT8", 2, 1),
            Self::U16 => ("UINT16", 4, 2),
            Self::U32 => ("UINT32", 12, 4),
            Self::U64 => ("UINT64", 13, 8),
            Self::I8 => ("INT8", 3, 1),
            Self::I16 => ("INT16", 5, 2),
            Self::I32 => ("INT32", 6, 4),
            Self::I64 => ("INT64", 7, 8),
            Self::F16 => ("FP16", 10, 2),
            Self::BF16 => ("BF16", 16, 2),
            Self::F32 => ("FP32", 1, 4),
            Self::F64 => ("FP64", 11, 8),
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
        let table: Vec<_> = DType::ALL.map(|dtype| (dtype.name(), dtype.code(), dtype.size_bytes())).to_vec();
        assert_eq!(
            table,
            [
                ("BOOL", 9, 1),
                ("UINT8", 2, 1),
                ("UINT16", 4, 2),
                ("UINT32", 12, 4),
                ("UINT64", 13, 8),
                ("INT8", 3, 1),
                ("INT16", 5, 2),
                ("INT32", 6, 4),
                ("INT64", 7, 8),
                ("FP16", 10, 2),
                ("BF16", 16, 2),
                ("FP32", 1, 4),
                ("FP64", 11, 8),
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
