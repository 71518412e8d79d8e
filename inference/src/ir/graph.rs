//! The types of the IR. Their field order and variant order are the format, of both its versions.

use std::fmt;

use hedgerow_attest::bounded::bounded_vec;
use serde::{Deserialize, Serialize};

use super::bounded::text;
use crate::tensor::{DType, Tensor};

/// Longest name of a value, node, weight, operator, attribute or symbol, in bytes.
const NAME_BYTES_MAX: usize = 256;
const NODES_MAX: usize = 16_384;
const WEIGHTS_MAX: usize = 16_384;
const SUBGRAPHS_MAX: usize = 256;
const PORTS_MAX: usize = 256;
const ATTRIBUTES_MAX: usize = 64;
const ELEMENTS_MAX: usize = 65_536;
const RANK_MAX: usize = crate::tensor::RANK_MAX;

/// A model without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// What callers give and get.
    pub signature: Signature,
    /// What the publisher says is enough to run it; a node may allow less.
    pub limits: Limits,
    /// The tensors that the weights layer must hold, exactly these, sorted by name.
    #[serde(deserialize_with = "bounded_vec::<_, _, WEIGHTS_MAX>")]
    pub weights: Vec<WeightInfo>,
    /// Operator applications; each uses only values made before it.
    #[serde(deserialize_with = "bounded_vec::<_, _, NODES_MAX>")]
    pub nodes: Vec<Node>,
    /// Bodies that [`Attribute::Graph`] refers to by index. They lie flat, so that decoding needs
    /// no recursion; a body refers only to bodies behind it.
    #[serde(deserialize_with = "bounded_vec::<_, _, SUBGRAPHS_MAX>")]
    pub subgraphs: Vec<Subgraph>,
}

/// Named inputs and outputs of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What a caller must give, all of it.
    #[serde(deserialize_with = "bounded_vec::<_, _, PORTS_MAX>")]
    pub inputs: Vec<ValueInfo>,
    /// What a caller gets.
    #[serde(deserialize_with = "bounded_vec::<_, _, PORTS_MAX>")]
    pub outputs: Vec<ValueInfo>,
}

/// Name, type and shape of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueInfo {
    /// Unique among the values of the graph.
    #[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")]
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// Extents, outermost first.
    #[serde(deserialize_with = "bounded_vec::<_, _, RANK_MAX>")]
    pub shape: Vec<Dim>,
}

/// One extent of a shape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dim {
    /// Always this many, which may be 0.
    Fixed(u64),
    /// Chosen by each request, which may choose 0, and the same wherever the name stands.
    Symbol(#[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")] String),
}

/// Bounds that the publisher states. A node takes the smaller of these and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest value that any symbolic dimension may take.
    pub symbol_max: u64,
    /// Bytes that weights and live values together may take.
    pub memory_bytes_max: u64,
}

/// A tensor of the weights layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightInfo {
    /// Its name in the safetensors file, and the value's name in the graph.
    #[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")]
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// Extents, outermost first.
    #[serde(deserialize_with = "bounded_vec::<_, _, RANK_MAX>")]
    pub shape: Vec<u64>,
}

/// One application of an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The publisher's name for it, for messages; unique.
    #[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")]
    pub name: String,
    /// Which operator, in which version.
    pub operator: OperatorId,
    /// Values used, by position; `None` is an optional input left out.
    #[serde(deserialize_with = "bounded_vec::<_, _, PORTS_MAX>")]
    pub inputs: Vec<Option<ValueName>>,
    /// Values made, by position; `None` is an optional output left out.
    #[serde(deserialize_with = "bounded_vec::<_, _, PORTS_MAX>")]
    pub outputs: Vec<Option<ValueName>>,
    /// Attributes that differ from their default or have none, sorted by name.
    #[serde(deserialize_with = "bounded_vec::<_, _, ATTRIBUTES_MAX>")]
    pub attributes: Vec<NamedAttribute>,
}

/// A value's name, a type of its own so that it is bounded inside an `Option` too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValueName(#[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")] pub String);

/// An operator in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorId {
    /// Empty for the operators of ONNX itself.
    #[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")]
    pub domain: String,
    /// As ONNX spells it, for example `Conv`.
    #[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")]
    pub name: String,
    /// The first ONNX opset in which the operator meant what it means here.
    pub version: u32,
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedAttribute {
    /// As the operator's specification names it.
    #[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")]
    pub name: String,
    /// Its value, of the type that the specification gives it.
    pub value: Attribute,
}

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Attribute {
    /// A signed integer; also how ONNX writes a flag.
    Int(i64),
    /// A single-precision number.
    Float(f32),
    /// UTF-8 text.
    Text(#[serde(deserialize_with = "text::<_, NAME_BYTES_MAX>")] String),
    /// Signed integers, for example the pads of a convolution.
    Ints(#[serde(deserialize_with = "bounded_vec::<_, _, ELEMENTS_MAX>")] Vec<i64>),
    /// Single-precision numbers.
    Floats(#[serde(deserialize_with = "bounded_vec::<_, _, ELEMENTS_MAX>")] Vec<f32>),
    /// Several texts.
    Texts(#[serde(deserialize_with = "bounded_vec::<_, _, ELEMENTS_MAX>")] Vec<ValueName>),
    /// A small constant; large ones belong into the weights.
    Tensor(Tensor),
    /// Index into [`Graph::subgraphs`].
    Graph(u32),
}

/// The body of a control-flow operator; it may also use values of the graph around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subgraph {
    /// Values that the operator binds.
    #[serde(deserialize_with = "bounded_vec::<_, _, PORTS_MAX>")]
    pub inputs: Vec<ValueInfo>,
    /// Values that the operator takes, by name.
    #[serde(deserialize_with = "bounded_vec::<_, _, PORTS_MAX>")]
    pub outputs: Vec<ValueName>,
    /// Operator applications; each uses only values made before it.
    #[serde(deserialize_with = "bounded_vec::<_, _, NODES_MAX>")]
    pub nodes: Vec<Node>,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(extent) => extent.fmt(f),
            Self::Symbol(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for ValueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, name, version } = self;
        let domain = if domain.is_empty() { "ai.onnx" } else { domain };
        write!(f, "{domain}/{name}-{version}")
    }
}

impl Default for Limits {
    /// 256 requests in a batch and 256 MiB, a guess that suits small models; `pack` keeps what
    /// the lowered graph says.
    fn default() -> Self {
        Self { symbol_max: 256, memory_bytes_max: 256 << 20 }
    }
}
