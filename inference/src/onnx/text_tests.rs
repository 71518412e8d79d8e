use std::collections::BTreeMap;

use prost::Message as _;

use super::*;
use crate::{
    artifact::pack,
    exec::{ExecLimits, Model},
    onnx::{
        LowerLimits, lower,
        proto::{GraphProto, ModelProto, OperatorSetId},
        testing::{body, floats, ints, model, node, port},
    },
};

fn texts(name: &str, values: &[&str]) -> AttributeProto {
    let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    AttributeProto { name: Some(name.into()), kind: Some(8), strings, ..AttributeProto::default() }
}

fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), kind: Some(7), ints: values.to_vec(), ..AttributeProto::default() }
}

fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), kind: Some(4), t: Some(value), ..AttributeProto::default() }
}

fn text(name: &str, dims: &[i64], values: &[&str]) -> TensorProto {
    let string_data = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    TensorProto { data_type: Some(STRING), string_data, ..floats(name, dims, &[]) }
}

fn encoder(input: &str, output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    let domain = Some(LEARNING.into());
    NodeProto { attribute, domain, ..node(output, "LabelEncoder", &[input], &[output]) }
}

/// `y = x + codes`, where the nodes make `codes` of two numbers.
fn adding(opset: i64, mut nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> ModelProto {
    nodes.push(node("add", "Add", &["x", "codes"], &["y"]));
    let graph = GraphProto {
        node: nodes,
        initializer: initializers,
        input: vec![port("x", 7, &["2"])],
        output: vec![port("y", 7, &["2"])],
        ..GraphProto::default()
    };
    let mut model = model(graph);
    model.opset_import.push(OperatorSetId { domain: Some(LEARNING.into()), version: Some(opset) });
    model
}

/// What comes of zeros.
fn answer(model: &ModelProto) -> Vec<i64> {
    let lowered = lower(&model.encode_to_vec(), &LowerLimits::default()).unwrap();
    let opened = pack("m".parse().unwrap(), "1".parse().unwrap(), &lowered).unwrap().open().unwrap();
    let model = Model::load(&opened, ExecLimits::default()).unwrap();
    let zeros = Tensor::from_i64(vec![2], &[0, 0]).unwrap();
    model.run(BTreeMap::from([("x".into(), zeros)])).unwrap()["y"].to_i64().unwrap()
}

fn refusal(model: &ModelProto) -> String {
    lower(&model.encode_to_vec(), &LowerLimits::default()).unwrap_err().to_string()
}

fn of_node(node: &str) -> String {
    let remedy = "encode it as numbers before the model, and name labels behind it";
    format!("an input or output of node \"{node}\" is text when the model runs; {remedy}")
}

#[test]
fn constant_labels_become_numbers_when_a_model_is_lowered() {
    let codes = |attributes| vec![encoder("names", "codes", attributes)];
    let names = || vec![text("names", &[2], &["Sally", "Dori"])];
    // The example of the specification.
    let listed = || vec![texts("keys_strings", &["Amy", "Sally"]), integers("values_int64s", &[5, 6])];
    assert_eq!(answer(&adding(2, codes(listed()), names())), [6, -1]);
    let tensors = vec![
        tensor("keys_tensor", text("", &[2], &["Amy", "Sally"])),
        tensor("values_tensor", ints("", &[2], &[5, 6])),
        tensor("default_tensor", ints("", &[1], &[42])),
    ];
    assert_eq!(answer(&adding(4, codes(tensors), names())), [6, 42]);
    let classes = vec![texts("classes_strings", &["Amy", "Sally"])];
    assert_eq!(answer(&adding(1, codes(classes), names())), [1, -1]);
}

#[test]
fn text_between_nodes_is_resolved_where_it_is_constant() {
    let there = encoder("x2", "names", vec![integers("keys_int64s", &[1, 2]), texts("values_strings", &["a", "b"])]);
    let same = node("same", "Identity", &["names"], &["again"]);
    let back = vec![texts("keys_strings", &["b", "_Unused"]), integers("values_int64s", &[7, 8])];
    let nodes = vec![there, same, encoder("again", "codes", back)];
    assert_eq!(answer(&adding(2, nodes, vec![ints("x2", &[2], &[2, 9])])), [7, 8]);
}

#[test]
fn text_at_a_run_is_refused_with_what_to_do() {
    let to_text = || vec![integers("keys_int64s", &[1]), texts("values_strings", &["a"])];
    assert_eq!(refusal(&adding(2, vec![encoder("x", "codes", to_text())], vec![])), of_node("codes"));
    let of_text = || vec![texts("keys_strings", &["a"]), integers("values_int64s", &[1])];
    assert_eq!(refusal(&adding(2, vec![encoder("x", "codes", of_text())], vec![])), of_node("codes"));
    let joined = node("join", "Concat", &["names", "x"], &["codes"]);
    assert_eq!(refusal(&adding(2, vec![joined], vec![text("names", &[1], &["a"])])), of_node("join"));
    let mut model = adding(2, vec![], vec![ints("codes", &[2], &[0, 0])]);
    model.graph.as_mut().unwrap().input.push(port("name", STRING, &["1"]));
    let remedy = "is text when the model runs; encode it as numbers before the model, and name labels behind it";
    assert_eq!(refusal(&model), format!("input or output \"name\" {remedy}"));
}

#[test]
fn labels_that_contradict_each_other_are_refused() {
    let names = || vec![text("names", &[2], &["a", "b"])];
    let uneven = vec![texts("keys_strings", &["a"]), integers("values_int64s", &[1, 2])];
    assert_eq!(refusal(&adding(2, vec![encoder("names", "codes", uneven)], names())), of_node("codes"));
    let numbers = vec![integers("keys_int64s", &[1]), integers("values_int64s", &[1])];
    assert_eq!(refusal(&adding(2, vec![encoder("names", "codes", numbers)], names())), of_node("codes"));
    let short = vec![text("names", &[3], &["a", "b"])];
    assert_eq!(refusal(&adding(2, vec![], short)), "tensor \"names\" cannot be read");
    let twice = vec![ints("codes", &[2], &[0, 0]), text("codes", &[1], &["a"])];
    assert_eq!(refusal(&adding(2, vec![], twice)), "initializer \"codes\" is given twice");
}

#[test]
fn bodies_read_the_text_around_them() {
    let listed = vec![texts("keys_strings", &["a"]), integers("values_int64s", &[4])];
    let graph = || GraphProto {
        node: vec![encoder("names", "inner", listed.clone())],
        output: vec![port("inner", 7, &["2"])],
        ..GraphProto::default()
    };
    let mut branch = node("branch", "If", &["yes"], &["codes"]);
    branch.attribute = vec![body("else_branch", graph()), body("then_branch", graph())];
    let yes = TensorProto { data_type: Some(9), int32_data: vec![1], ..floats("yes", &[], &[]) };
    assert_eq!(answer(&adding(2, vec![branch], vec![text("names", &[2], &["a", "b"]), yes])), [4, -1]);
}
