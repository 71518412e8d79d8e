//! Why an ONNX file is not lowered.

use std::fmt;

use crate::{check::GraphError, tensor::TensorError};

/// Why an ONNX file is refused. Nothing is written; the remedy is to export the model differently,
/// unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// Refused before reading.
    #[error("ONNX file of {bytes} bytes is larger than {most}")]
    Size {
        /// Bytes of the file.
        bytes: usize,
        /// The bound of [`super::LowerLimits`].
        most: usize,
    },
    /// Not protobuf of ONNX's schema.
    #[error("file is not ONNX")]
    Protobuf(#[source] prost::DecodeError),
    /// An IR version that this crate was not compared with.
    #[error("ONNX IR version {found} is not between 3 and {most}")]
    IrVersion {
        /// The version found; 0 when it is missing.
        found: i64,
        /// Latest version understood.
        most: i64,
    },
    /// The file has no graph.
    #[error("ONNX file has no graph")]
    NoGraph,
    /// An operator set that is missing, given twice or later than the table was compared with.
    #[error("opset {version} of domain \"{domain}\" is not usable, the latest is {most}")]
    Opset {
        /// The domain; `ai.onnx` for ONNX itself.
        domain: String,
        /// Its version; 0 when it is missing.
        version: i64,
        /// Latest version understood.
        most: u32,
    },
    /// Something that would change the result and that this crate does not read.
    #[error("{place} uses {feature}, which is not supported")]
    Unread {
        /// What it is.
        feature: Unread,
        /// The graph, node or tensor where it stands.
        place: String,
    },
    /// The table has no such operator.
    #[error("unknown operator {op} (domain {domain}) at node \"{node}\"")]
    UnknownOperator {
        /// The operator's name.
        op: String,
        /// Its domain; `ai.onnx` for ONNX itself.
        domain: String,
        /// The node's name, or its operator and position when it has none.
        node: String,
    },
    /// A function that calls itself, or functions that together have too many nodes or constants.
    #[error("functions called at node \"{node}\" do not end or are too large")]
    Functions {
        /// The call, or the constant that is one too many.
        node: String,
    },
    /// The operator had another meaning in the model's opset.
    #[error("operator {op} at node \"{node}\" is of opset {opset}, supported since {since}")]
    OperatorOpset {
        /// The operator's name.
        op: String,
        /// The node's name.
        node: String,
        /// The model's opset.
        opset: u32,
        /// First opset in which the operator is supported.
        since: u32,
    },
    /// An input without type or shape, or one that is no tensor.
    #[error("input or output \"{name}\" is no tensor of a known shape")]
    Port {
        /// The input or output.
        name: String,
    },
    /// An initializer that callers could replace; remove it from the graph's inputs.
    #[error("initializer \"{name}\" is also an input")]
    Overridable {
        /// The initializer.
        name: String,
    },
    /// Text that is there when the model runs. Constant labels that a `LabelEncoder` maps to numbers
    /// are resolved; all other text belongs before or behind the model.
    #[error("{place} is text when the model runs; encode it as numbers before the model, and name labels behind it")]
    Text {
        /// The node, input or output.
        place: String,
    },
    /// Two initializers of one name.
    #[error("initializer \"{name}\" is given twice")]
    Initializer {
        /// The initializer.
        name: String,
    },
    /// A tensor that cannot be read.
    #[error("tensor \"{name}\" cannot be read")]
    Tensor {
        /// The initializer, or the node whose attribute it is.
        name: String,
        /// What is wrong.
        #[source]
        source: ReadError,
    },
    /// An attribute that cannot be read.
    #[error("attribute `{attribute}` of node \"{node}\" cannot be read")]
    Attribute {
        /// The attribute.
        attribute: String,
        /// The node.
        node: String,
    },
    /// The file says something else of an output than follows from its operators.
    #[error("output \"{name}\" is {inferred}, not what the file says")]
    Output {
        /// The output.
        name: String,
        /// What was inferred.
        inferred: String,
    },
    /// The graph does not fit together.
    #[error("graph is refused")]
    Graph(#[source] GraphError),
}

/// Why a tensor of an ONNX file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// An element type that graphs do not know.
    #[error("element type {code} is not supported")]
    Type {
        /// ONNX's number of it.
        code: i32,
    },
    /// A negative dimension.
    #[error("a dimension is negative")]
    Dimension,
    /// Data in a field that does not fit the element type, or in several fields.
    #[error("data is not stored as its element type demands")]
    Storage,
    /// Data of the wrong length.
    #[error("data does not fit the shape")]
    Data(#[source] TensorError),
}

/// Parts of ONNX that are noticed and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Weights in another file.
    ExternalData,
    /// A tensor in several pieces.
    Segments,
    /// A training graph.
    Training,
    /// Sparse weights.
    SparseInitializers,
    /// Quantisation parameters beside the graph.
    QuantizationAnnotations,
    /// Attributes that refer to those of a function.
    AttributeReference,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExternalData => "external data",
            Self::Segments => "tensor segments",
            Self::Training => "training information",
            Self::SparseInitializers => "sparse initializers",
            Self::QuantizationAnnotations => "quantization annotations",
            Self::AttributeReference => "attribute references",
        })
    }
}
