//! ONNX's tensors.

use super::{
    error::{LowerError, ReadError, Unread},
    proto::TensorProto,
};
use crate::tensor::{DType, Tensor};

/// Reads a tensor; `name` is for messages.
pub(super) fn read(name: &str, proto: &TensorProto) -> Result<Tensor, LowerError> {
    let unread = |feature| LowerError::Unread { feature, place: format!("tensor \"{name}\"") };
    if !proto.external_data.is_empty() || proto.data_location.unwrap_or(0) != 0 {
        return Err(unread(Unread::ExternalData));
    }
    if proto.segment.is_some() {
        return Err(unread(Unread::Segments));
    }
    dense(proto).map_err(|source| LowerError::Tensor { name: name.to_owned(), source })
}

fn dense(proto: &TensorProto) -> Result<Tensor, ReadError> {
    let code = proto.data_type.unwrap_or(0);
    let dtype = u8::try_from(code).ok().and_then(DType::from_code).ok_or(ReadError::Type { code })?;
    let extents = proto.dims.iter().map(|extent| u64::try_from(*extent));
    let shape = extents.collect::<Result<Vec<_>, _>>().map_err(|_negative| ReadError::Dimension)?;
    let typed = [
        proto.float_data.len(),
        proto.int32_data.len(),
        proto.string_data.len(),
        proto.int64_data.len(),
        proto.double_data.len(),
        proto.uint64_data.len(),
    ];
    let filled: usize = typed.iter().sum();
    let data = match &proto.raw_data {
        Some(raw) if filled == 0 => raw.clone(),
        Some(_) => return Err(ReadError::Storage),
        None => typed_data(dtype, proto, filled).ok_or(ReadError::Storage)?,
    };
    Tensor::new(dtype, shape, data).map_err(ReadError::Data)
}

/// The elements from the one field that holds their type; the fields of 32-bit integers and 64-bit
/// unsigned ones hold narrower types too, and halves by their bits.
fn typed_data(dtype: DType, proto: &TensorProto, filled: usize) -> Option<Vec<u8>> {
    let narrow = |size: usize| proto.int32_data.iter().flat_map(|value| value.to_le_bytes()[..size].to_vec()).collect();
    let (held, data) = match dtype {
        DType::F32 => (proto.float_data.len(), bytes(&proto.float_data, |value| value.to_le_bytes())),
        DType::F64 => (proto.double_data.len(), bytes(&proto.double_data, |value| value.to_le_bytes())),
        DType::I64 => (proto.int64_data.len(), bytes(&proto.int64_data, |value| value.to_le_bytes())),
        DType::U64 => (proto.uint64_data.len(), bytes(&proto.uint64_data, |value| value.to_le_bytes())),
        DType::U32 => (proto.uint64_data.len(), bytes(&proto.uint64_data, |value| (*value as u32).to_le_bytes())),
        DType::Bool => (proto.int32_data.len(), bytes(&proto.int32_data, |value| [u8::from(*value != 0)])),
        DType::I32 => (proto.int32_data.len(), narrow(4)),
        DType::I16 | DType::U16 | DType::F16 | DType::BF16 => (proto.int32_data.len(), narrow(2)),
        // Of elements that share a byte there are as many as bytes.
        DType::I8 | DType::U8 | DType::I4 | DType::U4 | DType::I2 | DType::U2 => (proto.int32_data.len(), narrow(1)),
        DType::F8E4M3FN | DType::F8E4M3FNUZ | DType::F8E5M2 | DType::F8E5M2FNUZ => (proto.int32_data.len(), narrow(1)),
        DType::F8E8M0 | DType::F4E2M1 => (proto.int32_data.len(), narrow(1)),
    };
    (held == filled).then_some(data)
}

fn bytes<T, const N: usize>(values: &[T], encode: fn(&T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::Present;

    fn floats() -> TensorProto {
        TensorProto { dims: vec![2], data_type: Some(1), float_data: vec![1.0, -2.0], ..TensorProto::default() }
    }

    fn raw() -> TensorProto {
        let raw_data = Some([1.0_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect());
        TensorProto { float_data: vec![], raw_data, ..floats() }
    }

    #[test]
    fn raw_and_typed_data_mean_the_same() {
        let expected = Tensor::from_f32(vec![2], &[1.0, -2.0]).unwrap();
        assert_eq!(read("t", &floats()).unwrap(), expected);
        assert_eq!(read("t", &raw()).unwrap(), expected);
        let ints = TensorProto { dims: vec![], data_type: Some(7), int64_data: vec![-3], ..TensorProto::default() };
        assert_eq!(read("t", &ints).unwrap(), Tensor::from_i64(vec![], &[-3]).unwrap());
        let bools = TensorProto { dims: vec![2], data_type: Some(9), int32_data: vec![0, 5], ..TensorProto::default() };
        assert_eq!(read("t", &bools).unwrap(), Tensor::from_bool(vec![2], &[false, true]).unwrap());
    }

    #[test]
    fn each_refusal_is_named() {
        let text = |proto: TensorProto| {
            let error = read("t", &proto).unwrap_err();
            let source = std::error::Error::source(&error);
            source.map_or_else(|| error.to_string(), |source| format!("t: {source}"))
        };
        let external = TensorProto { external_data: vec![Present {}], ..floats() };
        assert_eq!(text(external), "tensor \"t\" uses external data, which is not supported");
        let elsewhere = TensorProto { data_location: Some(1), ..floats() };
        assert_eq!(text(elsewhere), "tensor \"t\" uses external data, which is not supported");
        let segment = TensorProto { segment: Some(Present {}), ..floats() };
        assert_eq!(text(segment), "tensor \"t\" uses tensor segments, which is not supported");
        let twice = TensorProto { float_data: vec![1.0, -2.0], ..raw() };
        assert_eq!(text(twice), "t: data is not stored as its element type demands");
        let texts = TensorProto { data_type: Some(8), ..floats() };
        assert_eq!(text(texts), "t: element type 8 is not supported");
        let negative = TensorProto { dims: vec![-2], ..floats() };
        assert_eq!(text(negative), "t: a dimension is negative");
        let short = TensorProto { dims: vec![3], ..floats() };
        assert_eq!(text(short), "t: data does not fit the shape");
    }
}
