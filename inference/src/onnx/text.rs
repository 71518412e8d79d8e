//! Text in a model: resolved where it is constant, refused by name where it would be there at a run.
//!
//! Nodes know no text. What exporters write are labels and categories: constants that
//! `LabelEncoder` makes into numbers, which is done here once and for all.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    attribute::read_all,
    error::{LowerError, ReadError},
    lower::{ONNX, domain},
    proto::{AttributeProto, NodeProto, TensorProto},
    tensor,
};
use crate::{
    ir::{Attribute, NamedAttribute},
    ops::LEARNING,
    tensor::{DType, Tensor},
};

/// `STRING` of `TensorProto.DataType`.
pub(super) const STRING: i32 = 8;
/// Attributes of the domain for classical learning by which an operator takes or makes text.
const TEXTS: [&str; 5] = ["cats_strings", "classes_strings", "classlabels_strings", "keys_strings", "values_strings"];

/// A constant whose elements are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    shape: Vec<u64>,
    /// Shared, so that neither copies of a node's result nor repeated labels take room.
    values: Arc<[Element]>,
}

/// The bytes of a text, or of a number.
type Element = Arc<[u8]>;

impl Text {
    fn of(shape: Vec<u64>, values: &[Vec<u8>]) -> Self {
        Self { shape, values: values.iter().map(|value| value.as_slice().into()).collect() }
    }
}

/// A constant of either kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Numbers(Tensor),
    Text(Text),
}

impl Constant {
    pub(super) fn read(name: &str, proto: &TensorProto) -> Result<Self, LowerError> {
        if proto.data_type != Some(STRING) {
            return Ok(Self::Numbers(tensor::read(name, proto)?));
        }
        let refused = |source| LowerError::Tensor { name: name.to_owned(), source };
        let extents = proto.dims.iter().map(|extent| u64::try_from(*extent));
        let shape = extents.collect::<Result<Vec<_>, _>>().map_err(|_negative| refused(ReadError::Dimension))?;
        let elements = shape.iter().try_fold(1_u64, |elements, extent| elements.checked_mul(*extent));
        if elements != Some(proto.string_data.len() as u64) {
            return Err(refused(ReadError::Storage));
        }
        Ok(Self::Text(Text::of(shape, &proto.string_data)))
    }

    /// The value of a node `Constant` that is text.
    pub(super) fn of_node(name: &str, proto: &NodeProto) -> Result<Option<Self>, LowerError> {
        let [attribute] = proto.attribute.as_slice() else { return Ok(None) };
        let text = match (attribute.name.as_deref().unwrap_or_default(), &attribute.t) {
            ("value", Some(tensor)) if tensor.data_type == Some(STRING) => return Self::read(name, tensor).map(Some),
            ("value_string", _) => Text::of(vec![], &[attribute.s.clone().unwrap_or_default()]),
            ("value_strings", _) => Text::of(vec![attribute.strings.len() as u64], &attribute.strings),
            _ => return Ok(None),
        };
        Ok(Some(Self::Text(text)))
    }
}

/// Whether a node takes or makes text by what its attributes say.
pub(super) fn speaks(proto: &NodeProto) -> bool {
    let texts = |attribute: &AttributeProto| {
        let name = attribute.name.as_deref().unwrap_or_default();
        let is_text = attribute.t.as_ref().is_some_and(|tensor| tensor.data_type == Some(STRING));
        is_text || (TEXTS.contains(&name) && !attribute.strings.is_empty())
    };
    domain(proto.domain.as_deref()) == LEARNING && proto.attribute.iter().any(texts)
}

/// What a node makes of a constant when one of the two is about text; `None` when it is none of
/// those that are resolved, or its attributes contradict each other.
pub(super) fn resolve(proto: &NodeProto, opset: u32, input: &Constant) -> Result<Option<Constant>, LowerError> {
    let op = proto.op_type.as_deref().unwrap_or_default();
    match (domain(proto.domain.as_deref()), op) {
        (ONNX, "Identity") => Ok(Some(input.clone())),
        (LEARNING, "LabelEncoder") => labelled(proto, opset, input),
        _ => Ok(None),
    }
}

/// The elements of a constant, as keys are compared.
fn elements(constant: &Constant) -> Vec<Element> {
    match constant {
        Constant::Text(text) => text.values.to_vec(),
        Constant::Numbers(tensor) => {
            let size = usize::try_from(tensor.dtype().size_bytes()).unwrap_or(1);
            tensor.data().chunks_exact(size).map(Arc::from).collect()
        }
    }
}

/// A constant of the kind of `like` with other elements.
fn with_elements(like: &Constant, shape: Vec<u64>, values: Vec<Element>) -> Option<Constant> {
    match like {
        Constant::Text(_) => Some(Constant::Text(Text { shape, values: values.into() })),
        Constant::Numbers(tensor) => {
            let bytes = values.iter().flat_map(|value| value.iter().copied()).collect();
            Tensor::new(tensor.dtype(), shape, bytes).ok().map(Constant::Numbers)
        }
    }
}

fn is_like(left: &Constant, right: &Constant) -> bool {
    match (left, right) {
        (Constant::Text(_), Constant::Text(_)) => true,
        (Constant::Numbers(left), Constant::Numbers(right)) => left.dtype() == right.dtype(),
        (Constant::Text(_), Constant::Numbers(_)) | (Constant::Numbers(_), Constant::Text(_)) => false,
    }
}

/// Keys, values and what everything else becomes.
struct Labels {
    keys: Constant,
    values: Constant,
    otherwise: Constant,
}

impl Labels {
    fn read(proto: &NodeProto, opset: u32) -> Result<Option<Self>, LowerError> {
        let node = proto.name.clone().unwrap_or_default();
        let list = |name: &str| {
            let found = proto.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name));
            found.map(|attribute| constant(&node, attribute)).transpose()
        };
        let first = |kind: &str| -> Result<Option<Constant>, LowerError> {
            for suffix in ["floats", "int64s", "strings", "tensor"] {
                if let Some(found) = list(&format!("{kind}_{suffix}"))? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        };
        let number = |value| Tensor::from_i64(vec![], &[value]).ok().map(Constant::Numbers);
        let unused = || Constant::Text(Text::of(vec![], &[b"_Unused".to_vec()]));
        // The first version has a list of classes; which way it maps says the default that is given.
        if opset < 2 {
            let Some(classes) = list("classes_strings")? else { return Ok(None) };
            let places: Vec<_> = (0..elements(&classes).len() as i64).collect();
            let places = Tensor::from_i64(vec![places.len() as u64], &places).ok().map(Constant::Numbers);
            let Some(places) = places else { return Ok(None) };
            return Ok(match (list("default_string")?, list("default_int64")?) {
                (Some(otherwise), None) => Some(Self { keys: places, values: classes, otherwise }),
                (None, otherwise) => {
                    otherwise.or(number(-1)).map(|otherwise| Self { keys: classes, values: places, otherwise })
                }
                (Some(_), Some(_)) => None,
            });
        }
        let (Some(keys), Some(values)) = (first("keys")?, first("values")?) else { return Ok(None) };
        let stated = match &values {
            Constant::Text(_) => Some(list("default_string")?.unwrap_or_else(unused)),
            Constant::Numbers(tensor) if tensor.dtype() == DType::F32 => {
                let nothing = Tensor::from_f32(vec![], &[-0.0]).ok().map(Constant::Numbers);
                list("default_float")?.or(nothing)
            }
            Constant::Numbers(_) => list("default_int64")?.or(number(-1)),
        };
        let otherwise = list("default_tensor")?.or(stated).filter(|otherwise| is_like(otherwise, &values));
        Ok(otherwise.map(|otherwise| Self { keys, values, otherwise }))
    }
}

/// An attribute as a constant.
fn constant(node: &str, proto: &AttributeProto) -> Result<Constant, LowerError> {
    if let Some(tensor) = &proto.t {
        return Constant::read(node, tensor);
    }
    let text = |shape, values: &[Vec<u8>]| Constant::Text(Text::of(shape, values));
    let unreadable =
        || LowerError::Attribute { attribute: proto.name.clone().unwrap_or_default(), node: node.to_owned() };
    let read = read_all(node, &[proto])?;
    let made = match read.as_slice() {
        [NamedAttribute { value: Attribute::Floats(list), .. }] => Tensor::from_f32(vec![list.len() as u64], list),
        [NamedAttribute { value: Attribute::Ints(list), .. }] => Tensor::from_i64(vec![list.len() as u64], list),
        [NamedAttribute { value: Attribute::Float(value), .. }] => Tensor::from_f32(vec![], &[*value]),
        [NamedAttribute { value: Attribute::Int(value), .. }] => Tensor::from_i64(vec![], &[*value]),
        [NamedAttribute { value: Attribute::Texts(_), .. }] => {
            return Ok(text(vec![proto.strings.len() as u64], &proto.strings));
        }
        [NamedAttribute { value: Attribute::Text(_), .. }] => {
            return Ok(text(vec![], &[proto.s.clone().unwrap_or_default()]));
        }
        _ => return Err(unreadable()),
    };
    made.map(Constant::Numbers).map_err(|_overflow| unreadable())
}

fn labelled(proto: &NodeProto, opset: u32, input: &Constant) -> Result<Option<Constant>, LowerError> {
    let Some(Labels { keys, values, otherwise }) = Labels::read(proto, opset)? else { return Ok(None) };
    let (listed, made, otherwise) = (elements(&keys), elements(&values), elements(&otherwise));
    let [otherwise] = otherwise.as_slice() else { return Ok(None) };
    if !is_like(&keys, input) || listed.len() != made.len() {
        return Ok(None);
    }
    // Of keys that are listed twice the last holds.
    let map: BTreeMap<_, _> = listed.into_iter().zip(&made).collect();
    let found = elements(input).into_iter().map(|element| Arc::clone(map.get(&element).copied().unwrap_or(otherwise)));
    Ok(with_elements(&values, shape(input), found.collect()))
}

fn shape(constant: &Constant) -> Vec<u64> {
    match constant {
        Constant::Text(text) => text.shape.clone(),
        Constant::Numbers(tensor) => tensor.shape().to_vec(),
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
