//! What a request is charged for, and what must not be charged twice.

use std::collections::BTreeMap;

use super::*;
use crate::{
    artifact::pack,
    onnx::testing::{self, FLOAT, GraphProto, body, floats, node, port},
    tensor::DType,
};

const BOOL: i32 = 9;

fn load(graph: GraphProto, memory_bytes_max: u64) -> Model {
    let artifact = pack("charged".parse().unwrap(), "1".parse().unwrap(), &testing::lowered(graph)).unwrap();
    Model::load(&artifact.open().unwrap(), ExecLimits { memory_bytes_max, ..ExecLimits::default() }).unwrap()
}

fn given(tensors: &[(&str, Tensor)]) -> BTreeMap<String, Tensor> {
    tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect()
}

fn numbers(shape: &[u64], value: f32) -> Tensor {
    Tensor::from_f32(shape.to_vec(), &vec![value; shape.iter().product::<u64>() as usize]).unwrap()
}

/// `If` around a product by a constant that the branch computes, beside one by a weight outside.
#[test]
fn panels_of_the_graph_are_not_those_of_its_bodies() {
    let branch = |factor: &str| GraphProto {
        node: vec![
            node("turn", "Transpose", &[factor], &["turned"]),
            node("inner", "MatMul", &["x", "turned"], &["made"]),
        ],
        output: vec![port("made", FLOAT, &["2", "2"])],
        ..GraphProto::default()
    };
    let mut choice = node("if", "If", &["c"], &["chosen"]);
    choice.attribute.push(body("then_branch", branch("w")));
    choice.attribute.push(body("else_branch", branch("v")));
    let model = load(
        GraphProto {
            node: vec![
                choice,
                node("outer", "MatMul", &["x", "v"], &["plain"]),
                node("add", "Add", &["chosen", "plain"], &["y"]),
            ],
            initializer: vec![floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]), floats("v", &[2, 2], &[5.0, 6.0, 7.0, 8.0])],
            input: vec![port("c", BOOL, &[]), port("x", FLOAT, &["2", "2"])],
            output: vec![port("y", FLOAT, &["2", "2"])],
            ..GraphProto::default()
        },
        1 << 20,
    );
    let x = Tensor::from_f32(vec![2, 2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    for (truth, expected) in [(true, [1.0 + 5.0, 3.0 + 6.0, 2.0 + 7.0, 4.0 + 8.0]), (false, [10.0, 13.0, 13.0, 16.0])] {
        let c = Tensor::from_bool(vec![], &[truth]).unwrap();
        let made = model.run(given(&[("c", c), ("x", x.clone())])).unwrap();
        assert_eq!(made["y"].to_f32().unwrap(), expected, "{truth}");
    }
}

/// Results that share memory leave as copies of their own.
#[test]
fn every_result_is_charged() {
    let names: Vec<_> = (0..8).map(|at| format!("y{at}")).collect();
    let mut nodes = vec![node("double", "Add", &["x", "x"], &["twice"])];
    nodes.extend(names.iter().map(|name| node(name, "Identity", &["twice"], &[name])));
    let graph = GraphProto {
        node: nodes,
        input: vec![port("x", FLOAT, &["1024"])],
        output: names.iter().map(|name| port(name, FLOAT, &["1024"])).collect(),
        ..GraphProto::default()
    };
    // x and its double lie in the arena, and eight copies leave.
    let peak = 2 * 4096 + 8 * 4096;
    let answer = |most| load(graph.clone(), most).run(given(&[("x", numbers(&[1024], 1.0))]));
    assert_eq!(answer(peak).unwrap().len(), 8);
    assert!(matches!(answer(peak - 1), Err(RunError::Memory { needed, .. }) if needed == peak));
}

/// In a body nothing is planned, and what a kernel works with is charged as it is met.
#[test]
fn what_kernels_in_bodies_work_with_is_charged() {
    let branch = || GraphProto {
        node: vec![node("inner", "MatMul", &["a", "b"], &["made"])],
        output: vec![port("made", FLOAT, &["1", "1"])],
        ..GraphProto::default()
    };
    let mut choice = node("if", "If", &["c"], &["y"]);
    choice.attribute.push(body("then_branch", branch()));
    choice.attribute.push(body("else_branch", branch()));
    let graph = GraphProto {
        node: vec![choice],
        input: vec![port("c", BOOL, &[]), port("a", FLOAT, &["1", "65536"]), port("b", FLOAT, &["65536", "1"])],
        output: vec![port("y", FLOAT, &["1", "1"])],
        ..GraphProto::default()
    };
    let inputs = || {
        let c = Tensor::from_bool(vec![], &[true]).unwrap();
        given(&[("c", c), ("a", numbers(&[1, 65536], 1.0)), ("b", numbers(&[65536, 1], 1.0))])
    };
    assert_eq!(load(graph.clone(), 256 << 20).run(inputs()).unwrap()["y"].to_f32().unwrap(), [65536.0]);
    // A panel alone has 65,536 rows of two vectors; half a mebibyte of inputs, and copies of them.
    let width = 2 * Isa::widest().lanes() as u64;
    let refused = load(graph, 2 * (512 << 10) + 65536 * 4 * width).run(inputs());
    assert!(matches!(refused, Err(RunError::Memory { .. })), "{refused:?}");
}

/// A constant factor is kept in panels, and nothing is reserved to pack it again.
#[test]
fn packed_factors_are_not_charged_again() {
    let weight = vec![0.5; 256 * 256];
    let graph = GraphProto {
        node: vec![node("product", "MatMul", &["x", "w"], &["y"])],
        initializer: vec![floats("w", &[256, 256], &weight)],
        input: vec![port("x", FLOAT, &["1", "256"])],
        output: vec![port("y", FLOAT, &["1", "256"])],
        ..GraphProto::default()
    };
    let model = load(graph, 1 << 20);
    assert_eq!(model.resident_bytes(), 256 << 10);
    assert_eq!(model.planned_bytes(&given(&[("x", numbers(&[1, 256], 1.0))]), 2).unwrap(), (256 << 10) + 3 * 1024);
}

#[test]
fn every_bit_of_a_truth_value_is_one() {
    let graph = GraphProto {
        node: vec![node("turn", "Transpose", &["x"], &["y"])],
        input: vec![port("x", BOOL, &["2", "2"])],
        output: vec![port("y", BOOL, &["2", "2"])],
        ..GraphProto::default()
    };
    let Ok(x) = Tensor::new(DType::Bool, vec![2, 2], vec![0, 2, 255, 1]) else { return };
    assert_eq!(load(graph, 1 << 20).run(given(&[("x", x)])).unwrap()["y"].data(), [0, 1, 1, 1]);
}
