//! ONNX files for tests, built from the messages that the parser reads.

use prost::Message as _;

pub(crate) use super::proto::{GraphProto, NodeProto, TensorProto};
use super::{
    lower::{LowerLimits, Lowered, lower},
    proto::{
        AttributeProto, DimensionProto, ModelProto, OperatorSetId, TensorShapeProto, TensorTypeProto, TypeProto,
        ValueInfoProto,
    },
};

/// `FLOAT` of `TensorProto.DataType`.
pub(crate) const FLOAT: i32 = 1;

/// A model of opset 17 whose graph is given.
pub(crate) fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: None, version: Some(17) }],
        ..ModelProto::default()
    }
}

/// A named node of ONNX's own domain.
pub(crate) fn node(name: &str, op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        name: Some(name.into()),
        op_type: Some(op.into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        ..NodeProto::default()
    }
}

/// An integer attribute.
pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), kind: Some(2), i: Some(value), ..AttributeProto::default() }
}

/// A body.
pub(crate) fn body(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), kind: Some(5), g: Some(Box::new(graph)), ..AttributeProto::default() }
}

/// An input or output; a dimension that reads as a number is one.
pub(crate) fn port(name: &str, elem_type: i32, dims: &[&str]) -> ValueInfoProto {
    let dim = |dim: &&str| match dim.parse() {
        Ok(extent) => DimensionProto { dim_value: Some(extent), dim_param: None },
        Err(_) if dim.is_empty() => DimensionProto::default(),
        Err(_) => DimensionProto { dim_value: None, dim_param: Some((*dim).into()) },
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: Some(elem_type), shape });
    ValueInfoProto { name: Some(name.into()), kind: Some(TypeProto { tensor_type }) }
}

/// An `FP32` initializer.
pub(crate) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(FLOAT),
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// An `INT64` initializer.
pub(crate) fn ints(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto { data_type: Some(7), float_data: vec![], int64_data: values.to_vec(), ..floats(name, dims, &[]) }
}

/// `y = x · weight + x` over `[batch, 2]`.
pub(crate) fn small_graph() -> GraphProto {
    GraphProto {
        node: vec![node("scale", "Mul", &["x", "weight"], &["scaled"]), node("add", "Add", &["scaled", "x"], &["y"])],
        initializer: vec![floats("weight", &[2], &[2.0, -1.0])],
        input: vec![port("x", FLOAT, &["batch", "2"])],
        output: vec![port("y", FLOAT, &["batch", "2"])],
        ..GraphProto::default()
    }
}

/// The small graph as a file.
pub(crate) fn small_file() -> Vec<u8> {
    model(small_graph()).encode_to_vec()
}

/// The small graph, lowered.
pub(crate) fn small() -> Lowered {
    lowered(small_graph())
}

/// A graph of opset 17, lowered.
pub(crate) fn lowered(graph: GraphProto) -> Lowered {
    lower(&model(graph).encode_to_vec(), &LowerLimits::default()).unwrap()
}
