//! What somebody who means harm would publish or ask: each gets a typed refusal, before anything of the size that it claims
//! is allocated.

use prost::Message as _;

use super::*;
use crate::{
    Fault, WeightsError,
    onnx::{
        LowerError,
        testing::{self, FLOAT, GraphProto, floats, ints, model, node, port, small, small_file, small_graph},
    },
};

const INT64: i32 = 7;
const BOOL: i32 = 9;

#[test]
fn what_can_be_published_is_taken() {
    assert!(takes_onnx(&small_file()));
    assert!(takes_weights(&small().weights));
    assert!(takes_model(&small().graph.encode().unwrap()));
}

#[test]
fn what_cannot_is_not() {
    assert!(!takes_onnx(&small_file()[1..]));
    assert!(!takes_weights(&small().weights[1..]));
    let mut graph = small().graph;
    graph.nodes[0].operator.version = 99;
    assert!(!takes_model(&graph.encode().unwrap()));
}

fn refused(graph: GraphProto) -> String {
    let mut text = String::new();
    let error = lower(&model(graph).encode_to_vec(), &LowerLimits::default()).unwrap_err();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        text = format!("{text}{}{error}", if text.is_empty() { "" } else { ": " });
        cause = error.source();
    }
    text
}

/// A model of one operator, whose limits allow everything that a node might.
fn open(graph: GraphProto, node: ExecLimits) -> Model {
    let limits =
        LowerLimits { graph: Limits { symbol_max: u64::MAX, memory_bytes_max: u64::MAX }, ..LowerLimits::default() };
    let lowered = lower(&model(graph).encode_to_vec(), &limits).unwrap();
    loaded(&lowered, node).unwrap().unwrap()
}

fn ask(model: &Model, inputs: &[(&str, Tensor)]) -> Result<BTreeMap<String, Tensor>, RunError> {
    model.run(inputs.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect())
}

fn unary(op: &str, shape: &[&str]) -> GraphProto {
    GraphProto {
        node: vec![node("n", op, &["x"], &["y"])],
        input: vec![port("x", FLOAT, shape)],
        output: vec![port("y", FLOAT, shape)],
        ..GraphProto::default()
    }
}

#[test]
fn shapes_that_lie_about_their_data_are_refused() {
    let lying = |dims: &[i64], values: &[f32]| {
        let mut graph = small_graph();
        graph.initializer = vec![floats("weight", dims, values)];
        refused(graph)
    };
    let unreadable = "tensor \"weight\" cannot be read: data does not fit the shape: shape";
    assert_eq!(lying(&[2], &[1.0; 3]), format!("{unreadable} [2] of FP32 needs 8 bytes, got 12"));
    let vast = lying(&[1 << 40], &[1.0]);
    assert_eq!(vast, format!("{unreadable} [{}] of FP32 needs {} bytes, got 4", 1_u64 << 40, 1_u64 << 42));
    assert_eq!(lying(&[1 << 62, 4], &[1.0]), format!("{unreadable} [{}, 4] overflows", 1_u64 << 62));
    assert_eq!(lying(&[1, 1, 1, 1, 1, 1, 1, 1, 1], &[1.0]), {
        "tensor \"weight\" cannot be read: data does not fit the shape: shape has 9 dimensions, at most 8 are possible"
    });
    let mut graph = small().graph;
    graph.weights[0].shape = vec![1 << 40];
    let weights = small().weights;
    assert!(matches!(Weights::open(weights, &graph.weights), Err(WeightsError::Mismatch { name }) if name == "weight"));
    assert!(!takes_model(&graph.encode().unwrap()), "weights of 4 TiB are not made up");
}

/// A safetensors file with this header and so many bytes behind it.
fn file(header: &str, bytes: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; bytes]].concat()
}

#[test]
fn weights_that_overlap_or_leave_holes_are_refused() {
    let two = |first: [u64; 2], second: [u64; 2]| {
        let entry = |name: &str, [start, end]: [u64; 2]| {
            format!(r#""{name}":{{"dtype":"F32","shape":[2],"data_offsets":[{start},{end}]}}"#)
        };
        let header = format!("{{{},{}}}", entry("a", first), entry("b", second));
        weights::listed(&file(&header, 16)).map(|infos| infos.len())
    };
    assert_eq!(two([0, 8], [8, 16]).unwrap(), 2);
    for (first, second) in [([0, 8], [4, 12]), ([0, 8], [0, 8]), ([0, 8], [12, 20]), ([8, 0], [8, 16])] {
        assert!(matches!(two(first, second), Err(WeightsError::Malformed(_))), "{first:?} {second:?}");
    }
    assert!(matches!(two([0, u64::MAX], [8, 16]), Err(WeightsError::Malformed(_))));
    let entry =
        |shape: &str, end: u64| format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
    for shape in ["[1099511627776]", "[18446744073709551615,2]", "[2,2]"] {
        let listed = weights::listed(&file(&entry(shape, 8), 8));
        assert!(matches!(listed, Err(WeightsError::Malformed(_) | WeightsError::Type { .. })), "{shape}");
    }
    // Nested deeper than any header is.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(weights::listed(&file(&deep, 0)), Err(WeightsError::Malformed(_))));
}

#[test]
fn names_are_compared_byte_by_byte_and_are_no_paths() {
    let names = ["weight", "WEIGHT", "../../etc/passwd", "..", "/", "weight\u{301}"];
    let mut graph = GraphProto { input: vec![port("x", FLOAT, &["1"])], ..GraphProto::default() };
    let mut sum = "x".to_owned();
    for (at, name) in names.iter().enumerate() {
        graph.initializer.push(floats(name, &[1], &[f32::from(1_u8 << at)]));
        let next = format!("{sum}+");
        graph.node.push(node(&next, "Add", &[&sum, name], &[&next]));
        sum = next;
    }
    graph.output.push(port(&sum, FLOAT, &["1"]));
    let model = open(graph, ExecLimits::default());
    let answer = ask(&model, &[("x", Tensor::from_f32(vec![1], &[0.0]).unwrap())]).unwrap();
    assert_eq!(answer[&sum].to_f32().unwrap(), [63.0], "each is a value of its own");
}

#[test]
fn graphs_that_go_round_are_refused() {
    let graph = |nodes| GraphProto { node: nodes, ..unary("Relu", &["2"]) };
    let itself = graph(vec![node("n", "Add", &["x", "y"], &["y"])]);
    let before = |value: &str| format!("value \"{value}\" is used before it is made");
    let refusal = "graph is refused: ai.onnx/Add-7 at node \"n\" is refused";
    assert_eq!(refused(itself), format!("{refusal}: {}", before("y")));
    let two = graph(vec![node("n", "Add", &["x", "b"], &["a"]), node("m", "Add", &["a", "a"], &["b"])]);
    assert_eq!(refused(two), format!("{refusal}: {}", before("b")));
}

#[test]
fn loops_that_are_asked_for_ever_end() {
    let body = GraphProto {
        input: vec![port("count", INT64, &[]), port("going", BOOL, &[]), port("value", FLOAT, &["2"])],
        output: vec![port("going", BOOL, &[]), port("value", FLOAT, &["2"])],
        ..GraphProto::default()
    };
    let mut repeat = node("loop", "Loop", &["m", "", "x"], &["y"]);
    repeat.attribute.push(testing::body("body", body));
    let mut graph = unary("Relu", &["2"]);
    graph.node = vec![repeat];
    graph.input.push(port("m", INT64, &[]));
    let model = open(graph, ExecLimits::default());
    let x = Tensor::from_f32(vec![2], &[1.0, 2.0]).unwrap();
    let times = |m| ask(&model, &[("x", x.clone()), ("m", Tensor::from_i64(vec![], &[m]).unwrap())]);
    for m in [0, 1, -1, i64::MIN] {
        assert_eq!(times(m).unwrap()["y"], x);
    }
    let refused = times(i64::MAX).unwrap_err();
    assert!(matches!(refused, RunError::Refused { node, source: Fault::Iterations } if node == "loop"));
}

#[test]
fn dimensions_of_nothing_and_of_billions_are_bounded() {
    let named = |node| open(unary("Relu", &["rows", "columns"]), node);
    // As many rows as a signed word of 32 bits cannot count, of nothing: no byte has to be sent.
    let flat = |rows, columns| Tensor::new(tensor::DType::F32, vec![rows, columns], Vec::new()).unwrap();
    let usual = named(ExecLimits::default());
    let refused = ask(&usual, &[("x", flat(1 << 31, 0))]).unwrap_err();
    assert!(matches!(refused, RunError::TooMany { symbol, got: 0x8000_0000, most: 1024 } if symbol == "rows"));
    assert_eq!(ask(&usual, &[("x", flat(0, 0))]).unwrap()["y"], flat(0, 0));
    let lenient = named(ExecLimits { symbol_max: u64::MAX, ..ExecLimits::default() });
    let refused = ask(&lenient, &[("x", flat(1 << 31, 0))]).unwrap_err();
    assert!(matches!(refused, RunError::Elements { .. }), "{refused:?}");
    assert_eq!(ask(&lenient, &[("x", flat(0, 1 << 20))]).unwrap()["y"], flat(0, 1 << 20));
    let refused = ask(&lenient, &[("x", flat(0, u64::MAX))]);
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn tensors_of_terabytes_are_not_made() {
    let vast = 1_i64 << 40;
    let made = |op: &str, constants: Vec<(&str, Vec<i64>)>, rank: usize| {
        let mut inputs = vec!["x"];
        inputs.extend(constants.iter().map(|(name, _)| *name));
        let initializer = constants.iter().map(|(name, values)| ints(name, &[values.len() as i64], values)).collect();
        let graph = GraphProto {
            node: vec![node("n", op, &inputs, &["y"])],
            initializer,
            output: vec![port("y", FLOAT, &vec![""; rank])],
            ..unary(op, &["1"])
        };
        let model = open(graph, ExecLimits::default());
        ask(&model, &[("x", Tensor::from_f32(vec![1], &[1.0]).unwrap())])
    };
    for result in [
        made("Expand", vec![("shape", vec![vast])], 1),
        made("Tile", vec![("repeats", vec![vast])], 1),
        made("Pad", vec![("pads", vec![0, vast])], 1),
        made("Expand", vec![("shape", vec![1 << 20, 1 << 20, 1])], 3),
    ] {
        assert!(matches!(result, Err(RunError::Elements { .. } | RunError::Fit { .. })), "{result:?}");
    }
    // An extent of 0 does not hide the others.
    let hidden = made("Expand", vec![("shape", vec![vast, vast, 0])], 3);
    assert!(matches!(hidden, Err(RunError::Elements { .. } | RunError::Fit { .. })), "{hidden:?}");
}

#[test]
fn files_that_are_nested_deeper_than_the_stack_are_refused() {
    // Bodies within bodies: field 1 (node), 5 (attribute) and 6 (body) over and over.
    let mut bytes = Vec::new();
    for tag in [0x32_u8, 0x2a, 0x0a].iter().cycle().take(3_000) {
        let mut length = Vec::new();
        prost::encoding::encode_varint(bytes.len() as u64, &mut length);
        bytes.splice(0..0, [&[*tag], length.as_slice()].concat());
    }
    let mut length = Vec::new();
    prost::encoding::encode_varint(bytes.len() as u64, &mut length);
    let file = [&[0x3a], length.as_slice(), &bytes].concat();
    assert!(matches!(lower(&file, &LowerLimits::default()), Err(LowerError::Protobuf(_))));
}
