//! ONNX's attributes, and the node `Constant`, which is all attribute.

use super::{
    error::{LowerError, Unread},
    proto::{AttributeProto, NodeProto},
    tensor,
};
use crate::{
    ir::{Attribute, NamedAttribute, ValueName},
    tensor::Tensor,
};

// `AttributeProto.AttributeType`.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const TENSOR: i32 = 4;
const FLOATS: i32 = 6;
const INTS: i32 = 7;
const STRINGS: i32 = 8;

/// The attributes of a node, sorted by name. Two of one name stay two, for the check to refuse.
pub(super) fn read_all(node: &str, protos: &[&AttributeProto]) -> Result<Vec<NamedAttribute>, LowerError> {
    let mut attributes = protos.iter().map(|proto| read(node, proto)).collect::<Result<Vec<_>, _>>()?;
    attributes.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(attributes)
}

fn read(node: &str, proto: &AttributeProto) -> Result<NamedAttribute, LowerError> {
    let name = proto.name.clone().unwrap_or_default();
    if proto.ref_attr_name.as_ref().is_some_and(|reference| !reference.is_empty()) {
        return Err(LowerError::Unread { feature: Unread::AttributeReference, place: format!("node \"{node}\"") });
    }
    let unreadable = || LowerError::Attribute { attribute: name.clone(), node: node.to_owned() };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_invalid| unreadable());
    // Protobuf leaves a field out when it has the default value, so absence is that value.
    let value = match proto.kind.unwrap_or(0) {
        FLOAT => Attribute::Float(proto.f.unwrap_or(0.0)),
        INT => Attribute::Int(proto.i.unwrap_or(0)),
        STRING => Attribute::Text(text(proto.s.as_deref().unwrap_or_default())?),
        TENSOR => Attribute::Tensor(tensor::read(node, proto.t.as_ref().ok_or_else(unreadable)?)?),
        FLOATS => Attribute::Floats(proto.floats.clone()),
        INTS => Attribute::Ints(proto.ints.clone()),
        STRINGS => {
            let texts = proto.strings.iter().map(|bytes| text(bytes).map(ValueName));
            Attribute::Texts(texts.collect::<Result<_, _>>()?)
        }
        _ => return Err(unreadable()),
    };
    Ok(NamedAttribute { name, value })
}

/// The value of a `Constant` node: exactly one of its numeric attributes.
pub(super) fn constant(node: &str, proto: &NodeProto) -> Result<Tensor, LowerError> {
    let attributes = read_all(node, &proto.attribute.iter().collect::<Vec<_>>())?;
    let unreadable = |attribute: &str| LowerError::Attribute { attribute: attribute.to_owned(), node: node.to_owned() };
    let [NamedAttribute { name, value }] = attributes.as_slice() else { return Err(unreadable("value")) };
    let made = match (name.as_str(), value) {
        ("value", Attribute::Tensor(value)) => Ok(value.clone()),
        ("value_float", Attribute::Float(value)) => Tensor::from_f32(vec![], &[*value]),
        ("value_floats", Attribute::Floats(values)) => Tensor::from_f32(vec![values.len() as u64], values),
        ("value_int", Attribute::Int(value)) => Tensor::from_i64(vec![], &[*value]),
        ("value_ints", Attribute::Ints(values)) => Tensor::from_i64(vec![values.len() as u64], values),
        _ => return Err(unreadable(name)),
    };
    made.map_err(|_overflow| unreadable(name))
}
